"""The scheduler: brings a schedule's values to an optimizer, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from optim.hyperparameters import check_nonnegative_whole, refuse_misspelt
from optim.schedules.schedule import Schedule

__all__ = ["Scheduler"]

Self = TypeVar("Self", bound="Scheduler")


class _Group(Protocol):
    def __getitem__(self, name: str, /) -> Any: ...
    def __setitem__(self, name: str, value: Any, /) -> None: ...


class _HasGroups(Protocol):
    @property
    def param_groups(self) -> Sequence[_Group]: ...


class Scheduler:
    """Sets a hyperparameter of an optimizer to what a schedule says for the coming step.

    It sets the value for t = 0 at once, and after each ``optimizer.step()``, `step` the next one.
    What the optimizer held before plays no part: a schedule's values are absolute.

    Parameters
    ----------
    optimizer : Optimizer
        Anything with `param_groups`, whose hyperparameters are items.
    schedule : Schedule or list of Schedule
        One for all groups, or one for each.
    hyperparameter : str
        What to set; any that takes a single number.

    Attributes
    ----------
    t : int
        The number of steps made.
    last : list of float
        What was last set, one value per group.

    Raises
    ------
    TypeError
        If `schedule` is no schedule or list of them.
    KeyError
        If a group has no such hyperparameter.
    ValueError
        If there is not one schedule per group, or a group refuses the value.

    After an error, the optimizer is as it was.

    Examples
    --------
    >>> import numpy as np
    >>> from minigrad import Tensor
    >>> from optim import SGD
    >>> from optim.schedules import Cosine, Scheduler
    >>> x = Tensor(np.ones(3), requires_grad=True)
    >>> optimizer = SGD([x], lr=0.1)
    >>> scheduler = Scheduler(optimizer, Cosine(lr=0.2, steps=100))
    >>> for _ in range(50):
    ...     optimizer.zero_grad()
    ...     (x * x).sum().backward()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.t, scheduler.last
    (50, [0.1])
    """

    def __new__(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Refuse a misspelt keyword with a suggestion, which Python's own message lacks."""
        refuse_misspelt(cls, kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        optimizer: _HasGroups,
        schedule: Schedule | Sequence[Schedule],
        hyperparameter: str = "lr",
    ) -> None:
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(
                f"optimizer is of type {type(optimizer).__name__}, which has no param_groups: "
                "accepted is an optimizer"
            )
        if not isinstance(hyperparameter, str):
            raise TypeError(f"hyperparameter={hyperparameter!r}: accepted is a name, such as 'lr'")
        self.optimizer = optimizer
        self.hyperparameter = hyperparameter
        self._one_for_all = isinstance(schedule, Schedule)
        self._schedules = _checked_schedules(schedule)
        self._set(0)

    def step(self) -> None:
        """Count a step, and set the values for the next; call it after ``optimizer.step()``.

        Raises
        ------
        ValueError
            If the number of groups is no longer that of the schedules, or a value is refused;
            nothing has changed then.
        """
        self._set(self.t + 1)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs: t, and the schedules' reprs to compare."""
        return {
            "t": self.t,
            "schedule": [repr(schedule) for schedule in self._schedules],
            "hyperparameter": self.hyperparameter,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another scheduler was, and set the optimizer's values for its t.

        Schedules are compared by their reprs, in which a `Function` has a name and no code.

        Raises
        ------
        TypeError
            If `state` is no mapping, or its t no whole number.
        ValueError
            If its keys are not those of `state_dict`, or its schedules or hyperparameter are not
            those of this scheduler.  Nothing has changed then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state is of type {type(state).__name__}: accepted is a state_dict()")
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(
                f"state has the keys {', '.join(map(repr, state)) or 'none'}: accepted are "
                f"{', '.join(map(repr, own))}"
            )
        t = check_nonnegative_whole("state['t']", state["t"])
        for key in ("schedule", "hyperparameter"):
            saved = list(state[key]) if isinstance(state[key], tuple) else state[key]
            if saved != own[key]:
                raise ValueError(
                    f"the state is of a scheduler with {key} {_shown(saved)}, and this one has "
                    f"{_shown(own[key])}; make it as the saved one was, then load"
                )
        self._set(t)

    def __repr__(self) -> str:
        schedules = _shown([repr(schedule) for schedule in self._schedules])
        return f"Scheduler({schedules}, hyperparameter={self.hyperparameter!r}, t={self.t})"

    def _set(self, t: int) -> None:
        """Set the values for t in all groups, or, if one refuses, in none."""
        groups = list(self.optimizer.param_groups)
        schedules = self._schedules * len(groups) if self._one_for_all else self._schedules
        if len(schedules) != len(groups):
            raise ValueError(
                f"there are {len(schedules)} schedules for {len(groups)} parameter group(s): "
                "give one for each, or a single schedule, not in a list, for all"
            )
        before = [group[self.hyperparameter] for group in groups]
        values = [schedule(t) for schedule in schedules]
        try:
            for group, value in zip(groups, values, strict=True):
                group[self.hyperparameter] = value
        except Exception:
            for group, value in zip(groups, before, strict=True):
                group[self.hyperparameter] = value
            raise
        self.t, self.last = t, values


def _checked_schedules(schedule: Any) -> list[Schedule]:
    schedules = list(schedule) if isinstance(schedule, list | tuple) else [schedule]
    for entry in schedules:
        if isinstance(entry, Schedule) and "__dataclass_params__" not in vars(type(entry)):
            raise TypeError(
                f"{type(entry).__name__} is no dataclass: its repr, by which a saved state knows "
                "it again, would be another in the next process; decorate it with "
                "@dataclass(frozen=True)"
            )
        if not isinstance(entry, Schedule):
            raise TypeError(
                f"schedule={entry!r} is of type {type(entry).__name__}: accepted is a schedule, or "
                "a list with one per parameter group; Function(f) makes one of a function of t"
            )
    return schedules


def _shown(saved: Any) -> str:
    return ", ".join(saved) if isinstance(saved, list) and len(saved) == 1 else str(saved)
