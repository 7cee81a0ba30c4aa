"""What a schedule is, and how two become one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from optim.hyperparameters import (
    check_nonnegative_whole,
    check_positive_whole,
    refuse_misspelt,
)

__all__ = ["Joined", "Schedule"]

Self = TypeVar("Self", bound="Schedule")


class Schedule(ABC):
    """Base of all schedules: ``schedule(t)`` is the value for the step that follows t others.

    t counts the steps already made, so that ``schedule(0)`` is the value for the first step, and
    of a run of T steps the last uses ``schedule(T - 1)``.  The value depends on nothing but t: a
    schedule keeps no count, and can be asked for any step in any order.

    A schedule is a frozen dataclass.  Its repr says all that it depends on, and is what a
    checkpoint keeps of it.  A new one adds its fields, its `checks` and `value`.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from optim.hyperparameters import check_nonnegative
    >>> from optim.schedules import Schedule
    >>> @dataclass(frozen=True)
    ... class InverseTime(Schedule):
    ...     lr: float
    ...     checks = {"lr": check_nonnegative}
    ...
    ...     def value(self, t: int) -> float:
    ...         return self.lr / (1 + t)
    >>> schedule = InverseTime(lr=1)
    >>> schedule, schedule(0), schedule(3)
    (InverseTime(lr=1.0), 1.0, 0.25)
    """

    checks: ClassVar[dict[str, Callable[[str, Any], Any]]] = {}
    """Name of each field and the check that it has to pass."""

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Refuse a misspelt keyword with a suggestion, which Python's own message lacks."""
        refuse_misspelt(cls, kwargs)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, check in self.checks.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))

    @abstractmethod
    def value(self, t: int) -> float:
        """Return the value after t steps; t has been checked."""

    def __call__(self, t: int) -> float:
        """Return the value for the step that follows t others.

        Raises
        ------
        TypeError
            If t is no whole number.
        ValueError
            If t is below 0, or the value is not finite.
        """
        t = check_nonnegative_whole("t", t)
        try:
            value = self.value(t)
        except OverflowError as error:
            raise ValueError(f"{self!r} is out of a float's range at t={t}") from error
        if not math.isfinite(value):
            raise ValueError(f"{self!r} is {value} at t={t}: accepted are finite numbers")
        return value

    def then(self, second: Schedule, at: int) -> Joined:
        """Return this schedule for the first `at` steps and from there `second`, from its start.

        Examples
        --------
        >>> from optim.schedules import Cosine, LinearWarmup
        >>> schedule = LinearWarmup(lr=0.1, steps=10).then(Cosine(lr=0.1, steps=90), at=10)
        >>> schedule(0), schedule(5), schedule(10), schedule(55), schedule(100)
        (0.0, 0.05, 0.1, 0.05, 0.0)
        """
        return Joined(self, second, at)


def _check_schedule(name: str, value: Any) -> Schedule:
    if not isinstance(value, Schedule):
        raise TypeError(
            f"{name}={value!r} is of type {type(value).__name__}: accepted is a schedule, and "
            "Function(f) makes one of a function of t"
        )
    return value


@dataclass(frozen=True)
class Joined(Schedule):
    """Two schedules, one after the other; `Schedule.then` makes it.

        η_t = first(t)           t < n
        η_t = second(t - n)      t ≥ n

    Nothing makes the two meet: that the first ends where the second begins is the caller's choice.
    Three are joined by joining twice, and `at` then is a step of the whole: in
    ``a.then(b, at=10).then(c, at=30)``, b is in force for 20 steps.

    Which variant
    -------------
    PyTorch's `SequentialLR` and Optax's `join_schedules` switch at the same step; PyTorch's does
    it by undoing and redoing steps of its parts, whose rates depend on what was set before.

    Parameters
    ----------
    first, second : Schedule
        What is in force before step `at` and from there on.
    at : int
        The number n of steps for which `first` is in force, 1 or above.

    Raises
    ------
    TypeError, ValueError
        If `first` or `second` is no schedule, or `at` no whole number from 1.
    """

    first: Schedule
    second: Schedule
    at: int

    checks = {"first": _check_schedule, "second": _check_schedule, "at": check_positive_whole}

    def value(self, t: int) -> float:
        """See the class."""
        return self.first(t) if t < self.at else self.second(t - self.at)
