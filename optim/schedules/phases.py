"""Whole trainings in phases, up and down again: OneCycle, WarmupStableDecay."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from optim.hyperparameters import (
    check_choice,
    check_fraction,
    check_nonnegative,
    check_nonnegative_whole,
    check_positive,
    check_positive_whole,
)
from optim.schedules.interpolation import interpolate
from optim.schedules.schedule import Schedule

__all__ = ["OneCycle", "WarmupStableDecay"]


def _check_anneal_strategy(name: str, value: Any) -> Any:
    return check_choice(name, value, ("cos", "linear"))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One way up and one long way down: the one-cycle policy.

    Smith & Topin, *Super-Convergence: Very Fast Training of Neural Networks Using Large Learning
    Rates*, 2017.  With the peak η, the first rate η/d, the last one η/(d f), and the peak at
    m = p T - 1:

        η_t = η/d + (η - η/d) φ(t/m)                        t ≤ m
        η_t = η + (η/(d f) - η) φ((t - m)/(T - 1 - m))      m < t ≤ T - 1
        η_t = η/(d f)                                       t > T - 1

    φ(u) = ½ (1 - cos(π u)) for "cos", φ(u) = u for "linear".

    Which variant
    -------------
    PyTorch's `OneCycleLR` with two phases, its default.  Unlike `Cosine`, a run of T steps uses
    the last rate: it is reached at t = T - 1.  m need not be whole, and then no step has quite
    the rate η.  After T - 1 the rate stays; PyTorch goes one step beyond u = 1, up again for "cos"
    and below 0 for "linear", and then refuses.  The paper has two phases of equal length and a
    third, shorter one down to the last rate.  Optax's `cosine_onecycle_schedule` has the peak at
    ⌊p T⌋ and the last rate at T.  PyTorch also moves the momentum against the rate: here, a second
    `Scheduler` with ``hyperparameter="momentum"`` does.

    Parameters
    ----------
    lr : float
        The peak η, 0 or above.
    steps : int
        The number T of all steps, 2 or above.
    pct_start : float
        The part p of them that leads up, above 0 and below 1.  p T has to be above 1.
    div_factor : float
        What the peak is times the first rate, d, above 0.
    final_div_factor : float
        What the first rate is times the last, f, above 0.
    anneal_strategy : {"cos", "linear"}
        Along half a cosine wave or a straight line.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import OneCycle
    >>> schedule = OneCycle(lr=1.0, steps=11, pct_start=5 / 11, anneal_strategy="linear")
    >>> [round(schedule(t), 3) for t in range(12)]
    [0.04, 0.28, 0.52, 0.76, 1.0, 0.833, 0.667, 0.5, 0.333, 0.167, 0.0, 0.0]
    """

    lr: float
    steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal_strategy: Literal["cos", "linear"] = "cos"

    checks = {
        "lr": check_nonnegative,
        "steps": check_positive_whole,
        "pct_start": check_fraction,
        "div_factor": check_positive,
        "final_div_factor": check_positive,
        "anneal_strategy": _check_anneal_strategy,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        up = self.pct_start * self.steps
        if up <= 1:
            raise ValueError(
                f"pct_start={self.pct_start} of steps={self.steps} is {up}: accepted is more than "
                "one step for the way up; for a way down alone use Cosine"
            )

    def value(self, t: int) -> float:
        """See the class."""
        first = self.lr / self.div_factor
        last = first / self.final_div_factor
        peak, end = self.pct_start * self.steps - 1, self.steps - 1
        if t <= peak:
            return interpolate(first, self.lr, self._phi(t / peak))
        return interpolate(self.lr, last, self._phi((min(t, end) - peak) / (end - peak)))

    def _phi(self, u: float) -> float:
        return (1 - math.cos(math.pi * u)) / 2 if self.anneal_strategy == "cos" else u


def _check_decay_shape(name: str, value: Any) -> Any:
    return check_choice(name, value, ("linear", "cosine", "1-sqrt"))


@dataclass(frozen=True)
class WarmupStableDecay(Schedule):
    """Up, level, down: the trapezoid, whose level part can be made longer while it runs.

    With w steps up, s level and d down, and u = (t - w - s)/d from 0 to 1 on the way down:

        η_t = η₀ + (η - η₀) t/w          t < w
        η_t = η                          w ≤ t ≤ w + s
        η_t = η_T + (η - η_T) ψ(u)       w + s < t ≤ w + s + d
        η_t = η_T                        t > w + s + d

    ψ(u) is 1 - u for "linear", ½ (1 + cos(π u)) for "cosine", and 1 - √u for "1-sqrt".

    Zhai, Kolesnikov, Houlsby & Beyer, *Scaling Vision Transformers*, CVPR 2022, cool down from
    different steps of one run; Hu et al., *MiniCPM*, 2024, gave it its name; Hägele et al.,
    *Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations*, NeurIPS 2024,
    find "1-sqrt" better than "linear".

    Which variant
    -------------
    MiniCPM's way down is exponential: `Exponential`, joined to a `LinearWarmup`, which stays level
    by itself.  The first step has the rate η₀ and, as in `Cosine`, η_T is reached at the step after
    the last of w + s + d.  Neither PyTorch nor Optax has this schedule as one.

    Parameters
    ----------
    lr : float
        The rate η of the level part, 0 or above.
    warmup, stable : int
        The numbers w and s of steps up and level, 0 or above.
    decay : int
        The number d of steps down, 1 or above.
    start, end : float
        The first rate η₀ and the last one η_T, 0 or above.
    decay_shape : {"linear", "cosine", "1-sqrt"}
        The way down.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import WarmupStableDecay
    >>> schedule = WarmupStableDecay(lr=1.0, warmup=2, stable=3, decay=4, decay_shape="1-sqrt")
    >>> [round(schedule(t), 3) for t in range(11)]
    [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.293, 0.134, 0.0, 0.0]
    """

    lr: float
    warmup: int
    stable: int
    decay: int
    start: float = 0.0
    end: float = 0.0
    decay_shape: Literal["linear", "cosine", "1-sqrt"] = "linear"

    checks = {
        "lr": check_nonnegative,
        "warmup": check_nonnegative_whole,
        "stable": check_nonnegative_whole,
        "decay": check_positive_whole,
        "start": check_nonnegative,
        "end": check_nonnegative,
        "decay_shape": _check_decay_shape,
    }

    def value(self, t: int) -> float:
        """See the class."""
        if t < self.warmup:
            return interpolate(self.start, self.lr, t / self.warmup)
        u = min(max(t - self.warmup - self.stable, 0) / self.decay, 1.0)
        return interpolate(self.end, self.lr, self._psi(u))

    def _psi(self, u: float) -> float:
        if self.decay_shape == "cosine":
            return (1 + math.cos(math.pi * u)) / 2
        return 1 - u if self.decay_shape == "linear" else 1 - math.sqrt(u)
