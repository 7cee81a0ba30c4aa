"""Decays that are powers: Exponential, Polynomial, InverseSquareRoot."""

from __future__ import annotations

import math
from dataclasses import dataclass

from optim.hyperparameters import check_nonnegative, check_positive, check_positive_whole
from optim.schedules.interpolation import interpolate
from optim.schedules.schedule import Schedule

__all__ = ["Exponential", "InverseSquareRoot", "Polynomial"]


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate times γ in every step.

        η_t = η₀ γᵗ

    With γ above 1 the rate grows: so does the learning rate range test of Smith (*Cyclical
    Learning Rates for Training Neural Networks*, WACV 2017) look for the largest useful one.

    Which variant
    -------------
    PyTorch's `ExponentialLR` multiplies the rate that the optimizer holds, step by step; this is
    the closed form, and free of the rounding of t products.  Optax's `exponential_decay` has
    γ^(t/n): with this class, γ is Optax's to the power 1/n.

    Parameters
    ----------
    lr : float
        The first rate η₀, 0 or above.
    gamma : float
        The factor γ, above 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import Exponential
    >>> schedule = Exponential(lr=0.8, gamma=0.5)
    >>> [schedule(t) for t in range(4)]
    [0.8, 0.4, 0.2, 0.1]
    """

    lr: float
    gamma: float

    checks = {"lr": check_nonnegative, "gamma": check_positive}

    def value(self, t: int) -> float:
        """See the class."""
        return self.lr * self.gamma**t


@dataclass(frozen=True)
class Polynomial(Schedule):
    """From one rate to another along a power of the time that is left; p = 1 is a straight line.

        η_t = η_T + (η₀ - η_T)(1 - t/T)^p      t ≤ T
        η_t = η_T                              t > T

    Which variant
    -------------
    η_T is reached at t = T: a run of T steps, whose last is t = T - 1, stops just above it.
    Optax's `polynomial_schedule` is the same.  PyTorch's `PolynomialLR` has η_T = 0 only, and
    comes to each rate from the one before.

    Parameters
    ----------
    lr : float
        The first rate η₀, 0 or above.
    steps : int
        The number T of steps after which η_T is reached, 1 or above.
    power : float
        The exponent p, above 0.
    end : float
        The last rate η_T, 0 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import Polynomial
    >>> schedule = Polynomial(lr=1.0, steps=100, power=2.0)
    >>> [schedule(t) for t in (0, 25, 50, 100, 101)]
    [1.0, 0.5625, 0.25, 0.0, 0.0]
    """

    lr: float
    steps: int
    power: float = 1.0
    end: float = 0.0

    checks = {
        "lr": check_nonnegative,
        "steps": check_positive_whole,
        "power": check_positive,
        "end": check_nonnegative,
    }

    def value(self, t: int) -> float:
        """See the class."""
        u = min(t, self.steps) / self.steps
        return interpolate(self.end, self.lr, (1 - u) ** self.power)


@dataclass(frozen=True)
class InverseSquareRoot(Schedule):
    """A straight line up, then down with 1/√t: the transformer's schedule.

    Vaswani et al., *Attention Is All You Need*, NeurIPS 2017, section 5.3, where s = t + 1 counts
    the steps from 1:

        η_t = η min(s/w, √(w/s))

    Which variant
    -------------
    The paper's own.  It writes d^(-½) min(s^(-½), s w^(-3/2)), which is this with the peak
    η = (d w)^(-½), reached in the w-th step, t = w - 1.  The first step has the rate η/w, and none
    the rate 0.  Others start elsewhere: `LinearWarmup` with its default, like Hugging Face's
    `get_inverse_sqrt_schedule`, has the rate 0 at t = 0 and the peak at t = w, one step later.
    With w = 1 there is no warm-up, and the rate is η/√(t + 1).

    Parameters
    ----------
    lr : float
        The peak η, 0 or above.
    warmup : int
        The number w of steps on the way up, 1 or above.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described.

    Examples
    --------
    >>> from optim.schedules import InverseSquareRoot
    >>> schedule = InverseSquareRoot(lr=1.0, warmup=4)
    >>> [schedule(t) for t in (0, 1, 2, 3, 15, 63)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    """

    lr: float
    warmup: int

    checks = {"lr": check_nonnegative, "warmup": check_positive_whole}

    def value(self, t: int) -> float:
        """See the class."""
        s, w = t + 1, self.warmup
        return self.lr * min(s / w, math.sqrt(w / s))
