"""Schedules that are constant between jumps: Constant, Step, MultiStep, Piecewise."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optim.hyperparameters import (
    check_increasing,
    check_nonnegative,
    check_positive,
    check_positive_whole,
)
from optim.schedules.schedule import Schedule

__all__ = ["Constant", "MultiStep", "Piecewise", "Step"]


@dataclass(frozen=True)
class Constant(Schedule):
    """η_t = η.

    Parameters
    ----------
    lr : float
        The rate η, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If `lr` is not such a number.

    Examples
    --------
    >>> from optim.schedules import Constant, Cosine
    >>> Constant(lr=0.1).then(Cosine(lr=0.1, steps=50), at=100)(125)
    0.05
    """

    lr: float

    checks = {"lr": check_nonnegative}

    def value(self, t: int) -> float:
        """See the class."""
        return self.lr


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times γ after every n steps.

        η_t = η₀ γ^⌊t/n⌋

    Which variant
    -------------
    PyTorch's `StepLR` and Optax's `exponential_decay` with ``staircase=True`` jump at the same
    steps.  PyTorch's multiplies the rate that the optimizer holds, so that it depends on who else
    has set it, and differs from this in its rounding.

    Parameters
    ----------
    lr : float
        The first rate η₀, 0 or above.
    step_size : int
        The number n of steps between two jumps, 1 or above; the first jump is at t = n.
    gamma : float
        The factor γ, above 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import Step
    >>> schedule = Step(lr=1.0, step_size=30, gamma=0.5)
    >>> [schedule(t) for t in (0, 29, 30, 59, 60)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    checks = {"lr": check_nonnegative, "step_size": check_positive_whole, "gamma": check_positive}

    def value(self, t: int) -> float:
        """See the class."""
        return self.lr * self.gamma ** (t // self.step_size)


@dataclass(frozen=True)
class MultiStep(Schedule):
    """The rate times γ at each of several steps.

        η_t = η₀ γ^k      k the number of milestones that are not above t

    Which variant
    -------------
    PyTorch's `MultiStepLR` jumps at the same steps: a milestone is the first step with the new
    rate.  It also takes milestones twice, which makes γ² of γ, and in any order; here they
    increase.

    Parameters
    ----------
    lr : float
        The first rate η₀, 0 or above.
    milestones : sequence of int
        Steps from 1, each above the one before.
    gamma : float
        The factor γ, above 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import MultiStep
    >>> schedule = MultiStep(lr=1.0, milestones=(15, 30), gamma=0.5)
    >>> [schedule(t) for t in (0, 14, 15, 29, 30)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    lr: float
    milestones: Sequence[int]
    gamma: float = 0.1

    checks = {"lr": check_nonnegative, "milestones": check_increasing, "gamma": check_positive}

    def value(self, t: int) -> float:
        """See the class."""
        return self.lr * self.gamma ** bisect_right(self.milestones, t)


def _check_values(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}={value!r}: accepted are finite numbers, e.g. (0.1, 0.01)")
    return tuple(check_nonnegative(f"{name}[{i}]", x) for i, x in enumerate(value))


@dataclass(frozen=True)
class Piecewise(Schedule):
    """Given values between given steps.

        η_t = values[k]      k the number of boundaries that are not above t

    Which variant
    -------------
    A boundary is the first step with its new value, as in PyTorch and in Optax's
    `piecewise_constant_schedule`, whose boundaries come with factors instead of values.  Keras's
    `PiecewiseConstantDecay` still has the old value there.  Between two boundaries the value is
    constant; straight lines come from joining `LinearWarmup` and `Polynomial`.

    Parameters
    ----------
    boundaries : sequence of int
        Steps from 1, each above the one before.
    values : sequence of float
        One more than there are boundaries, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import Piecewise
    >>> schedule = Piecewise(boundaries=(10, 20), values=(0.1, 0.3, 0.02))
    >>> [schedule(t) for t in (0, 9, 10, 19, 20)]
    [0.1, 0.1, 0.3, 0.3, 0.02]
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    checks = {"boundaries": check_increasing, "values": _check_values}

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values={self.values!r} are {len(self.values)} for {len(self.boundaries)} "
                f"boundaries: accepted are {len(self.boundaries) + 1}, one before each boundary "
                "and one after the last"
            )

    def value(self, t: int) -> float:
        """See the class."""
        return self.values[bisect_right(self.boundaries, t)]
