"""Adam's moments, coordinate by coordinate: the scale √ŝ, the step, and how long it should be."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BETA1",
    "BETA2",
    "EPS",
    "Moments",
    "corrected",
    "expected_step",
    "half_normal",
    "momentum_rate",
    "scale_of_rate",
]

Array = npt.NDArray[np.float64]

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # Adam's defaults


@dataclass(frozen=True)
class Moments:
    """Adam's state, corrected for its start, of some coordinates.

    Attributes
    ----------
    scale : ndarray
        √ŝ.
    step : ndarray
        The last step, in η: v̂/(√ŝ + ε).
    """

    scale: Array
    step: Array


def corrected(v: Any, s: Any, t: int) -> Moments:
    """Return √ŝ and the step, in float64, from Adam's state after t steps.

    Examples
    --------
    A constant gradient of 3, from which v and s have grown for t = 2 steps:

    >>> moments = corrected(v=(1 - 0.9**2) * 3.0, s=(1 - 0.999**2) * 9.0, t=2)
    >>> round(float(moments.scale), 12), round(float(moments.step), 6)
    (3.0, 1.0)
    """
    v_hat = np.asarray(v, np.float64) / (1 - BETA1**t)
    s_hat = np.asarray(s, np.float64) / (1 - BETA2**t)
    return Moments(np.sqrt(s_hat), v_hat / (np.sqrt(s_hat) + EPS))


def momentum_rate(scale: Any, lr: float) -> Any:
    """Return the rate at which SGD with momentum makes Adam's step: (1 - β₁) η/(√ŝ + ε).

    Examples
    --------
    >>> float(round(momentum_rate(1e-3, lr=1e-3), 4)), float(round(momentum_rate(0.0, lr=1e-3)))
    (0.1, 10000.0)
    """
    return (1 - BETA1) * lr / (scale + EPS)


def scale_of_rate(rate: Any, lr: float) -> Any:
    """Return the √ŝ whose `momentum_rate` this is; below 0 if no √ŝ has so high a rate.

    Examples
    --------
    >>> round(scale_of_rate(momentum_rate(1e-3, lr=1e-3), lr=1e-3), 12)
    0.001
    """
    return (1 - BETA1) * lr / rate - EPS


def expected_step(share: float = 0.0) -> float:
    """Return the root mean square of Adam's steps, in η, if the gradients' mean stays the same.

    Parameters
    ----------
    share : float
        The signal's share of the gradients' power; 0 is pure noise.  An estimate below 0 counts
        as 0.

    Examples
    --------
    >>> round(expected_step(), 3), round(expected_step(0.25), 3), expected_step(1.0)
    (0.229, 0.538, 1.0)
    """
    share = max(share, 0.0)
    return float(np.sqrt(share + (1 - share) * (1 - BETA1) / (1 + BETA1)))


def half_normal(x: Array) -> Array:
    """Return the probability that a standard normal number is at most x from 0."""
    return np.asarray(np.vectorize(erf)(x / np.sqrt(2)), np.float64)
