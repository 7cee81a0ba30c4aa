"""Any function of the step as a schedule."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from optim.schedules.schedule import Schedule

__all__ = ["Function"]


def _check_callable(name: str, value: Any) -> Callable[[int], float]:
    if isinstance(value, Schedule) or not callable(value):
        raise TypeError(
            f"{name}={value!r} is of type {type(value).__name__}: accepted is a function of t "
            "that returns a number, and a schedule needs no Function around it"
        )
    return value


@dataclass(frozen=True, repr=False)
class Function(Schedule):
    """η_t = f(t), for any f.

    f has to be pure: what it returns may depend on t alone, or a resumed run will take other
    steps than one that ran through.  Its repr, and with it what a checkpoint keeps, has the name of
    f and not its code: give f a name with ``def``, and a new name when it changes.

    Which variant
    -------------
    f returns the value itself.  For PyTorch's `LambdaLR` it is a factor of the first rate.

    Parameters
    ----------
    function : callable
        Takes t, a whole number from 0, and returns a finite number.

    Raises
    ------
    TypeError
        If `function` cannot be called, or when it returns what is no number.
    ValueError
        When it returns NaN or infinity.

    Examples
    --------
    >>> from optim.schedules import Function
    >>> def inverse_time(t):
    ...     return 0.1 / (1 + t / 100)
    >>> schedule = Function(inverse_time)
    >>> schedule, schedule(0), schedule(100)
    (Function(inverse_time), 0.1, 0.05)
    """

    function: Callable[[int], float]

    checks = {"function": _check_callable}

    def value(self, t: int) -> float:
        """See the class."""
        number: Any = self.function(t)
        if isinstance(number, bool) or not isinstance(number, numbers.Real):
            raise TypeError(
                f"{self!r} returned {number!r} of type {type(number).__name__} at t={t}: accepted "
                "are finite numbers"
            )
        return float(number)

    def __repr__(self) -> str:
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"Function({name})"
