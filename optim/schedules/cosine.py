"""Half a cosine wave from one rate to another, once or again and again: Cosine, CosineRestarts.

Loshchilov & Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optim.hyperparameters import check_nonnegative, check_positive_whole
from optim.schedules.interpolation import interpolate
from optim.schedules.schedule import Schedule

__all__ = ["Cosine", "CosineRestarts"]


@dataclass(frozen=True)
class Cosine(Schedule):
    """From one rate to another along half a cosine wave: slowly, fast, slowly.

        η_t = η_T + ½ (η₀ - η_T)(1 + cos(π t/T))      t ≤ T
        η_t = η_T                                     t > T

    Which variant
    -------------
    η_T is reached at t = T: a run of T steps, whose last is t = T - 1, stops just above it.  After
    T the rate stays.  So do the textbook's and Optax's `cosine_decay_schedule`, whose `alpha` is
    η_T/η₀.  PyTorch's `CosineAnnealingLR` is periodic instead, and climbs back to η₀ from T to 2T;
    it comes to each rate from the one before, and so depends on who else has set it.

    Parameters
    ----------
    lr : float
        The first rate η₀, 0 or above.
    steps : int
        The number T of steps after which η_T is reached, 1 or above.
    end : float
        The last rate η_T, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import Cosine
    >>> schedule = Cosine(lr=0.1, steps=1000)
    >>> schedule
    Cosine(lr=0.1, steps=1000, end=0.0)
    >>> [round(schedule(t), 3) for t in (0, 250, 500, 750, 1000, 2000)]
    [0.1, 0.085, 0.05, 0.015, 0.0, 0.0]
    """

    lr: float
    steps: int
    end: float = 0.0

    checks = {"lr": check_nonnegative, "steps": check_positive_whole, "end": check_nonnegative}

    def value(self, t: int) -> float:
        """See the class."""
        u = min(t, self.steps) / self.steps
        return interpolate(self.end, self.lr, (1 + math.cos(math.pi * u)) / 2)


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Cosine again and again, each time m times as long: SGD with warm restarts, SGDR.

        η_t = η_T + ½ (η₀ - η_T)(1 + cos(π t_i/T_i))      T_i = T₀ mⁱ

    t_i, from 0 to T_i - 1, counts the steps since the i-th restart.

    Which variant
    -------------
    PyTorch's `CosineAnnealingWarmRestarts`, with its `step()` called once a step.  t_i = T_i is
    the next restart, t_{i+1} = 0, so that η_T is approached and never used.  The restart is found
    in whole numbers; PyTorch's ``step(epoch)`` rounds a logarithm for it, and with T₀ = 1 and m = 3
    is one step late at 121.  The paper counts in epochs, of which a batch is a fraction.

    Parameters
    ----------
    lr : float
        The rate η₀ after each restart, 0 or above.
    period : int
        The number T₀ of steps before the first restart, 1 or above.
    multiplier : int
        What each period is times the one before, m, 1 or above.
    end : float
        The rate η_T that each period comes down to, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import CosineRestarts
    >>> schedule = CosineRestarts(lr=1.0, period=2, multiplier=2)
    >>> [round(schedule(t), 3) for t in range(7)]
    [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    lr: float
    period: int
    multiplier: int = 1
    end: float = 0.0

    checks = {
        "lr": check_nonnegative,
        "period": check_positive_whole,
        "multiplier": check_positive_whole,
        "end": check_nonnegative,
    }

    def value(self, t: int) -> float:
        """See the class."""
        period = self.period
        if self.multiplier == 1:
            t %= period
        while t >= period:
            t -= period
            period *= self.multiplier
        return interpolate(self.end, self.lr, (1 + math.cos(math.pi * (t / period))) / 2)
