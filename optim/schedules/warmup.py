"""Warm-ups: from a small rate up to the full one, and from there constant.

A warm-up alone ends in a constant rate.  Joined to what comes after it, it ends where it is full:

>>> from optim.schedules import Cosine, LinearWarmup
>>> schedule = LinearWarmup(lr=0.1, steps=10).then(Cosine(lr=0.1, steps=90), at=10)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optim.hyperparameters import check_nonnegative, check_positive_whole
from optim.schedules.interpolation import interpolate
from optim.schedules.schedule import Schedule

__all__ = ["CosineWarmup", "LinearWarmup"]


@dataclass(frozen=True)
class LinearWarmup(Schedule):
    """Along a straight line up to the full rate.

        η_t = η₀ + (η - η₀) t/w      t ≤ w
        η_t = η                      t > w

    Goyal et al., *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour*, 2017.

    Which variant
    -------------
    The first step, t = 0, has the rate η₀, the one after w steps the rate η.  With η₀ = 0, the
    default and that of the textbook, the first step moves nothing.  PyTorch's `LinearLR` gives
    η₀ as a factor of η, by default 1/3 and never 0; Optax's `warmup_constant_schedule` has no
    default.

    Parameters
    ----------
    lr : float
        The full rate η, 0 or above.
    steps : int
        The number w of steps after which it is reached, 1 or above.
    start : float
        The first rate η₀, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import LinearWarmup
    >>> schedule = LinearWarmup(lr=1.0, steps=4)
    >>> [schedule(t) for t in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    lr: float
    steps: int
    start: float = 0.0

    checks = {"lr": check_nonnegative, "steps": check_positive_whole, "start": check_nonnegative}

    def value(self, t: int) -> float:
        """See the class."""
        return interpolate(self.start, self.lr, min(t, self.steps) / self.steps)


@dataclass(frozen=True)
class CosineWarmup(Schedule):
    """Along half a cosine wave up to the full rate: without a kink at either end.

        η_t = η₀ + ½ (η - η₀)(1 - cos(π t/w))      t ≤ w
        η_t = η                                    t > w

    Which variant
    -------------
    The way up of PyTorch's one-cycle policy (see `OneCycle`), on its own, and counted as
    in `LinearWarmup`.  In Optax it is `piecewise_interpolate_schedule` with "cosine".

    Parameters
    ----------
    lr : float
        The full rate η, 0 or above.
    steps : int
        The number w of steps after which it is reached, 1 or above.
    start : float
        The first rate η₀, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import CosineWarmup
    >>> schedule = CosineWarmup(lr=1.0, steps=4)
    >>> [round(schedule(t), 3) for t in range(6)]
    [0.0, 0.146, 0.5, 0.854, 1.0, 1.0]
    """

    lr: float
    steps: int
    start: float = 0.0

    checks = {"lr": check_nonnegative, "steps": check_positive_whole, "start": check_nonnegative}

    def value(self, t: int) -> float:
        """See the class."""
        u = min(t, self.steps) / self.steps
        return interpolate(self.start, self.lr, (1 - math.cos(math.pi * u)) / 2)
