"""Tails of distributions: how much of a sample is far out, and its kurtosis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "MULTIPLES",
    "Tails",
    "beyond",
    "kurtosis",
    "kurtosis_error",
    "root_mean_square",
    "standardized",
    "tails",
]

Array = npt.NDArray[np.float64]
Sample = npt.NDArray[Any]  # of any floating type

MULTIPLES = np.linspace(0, 12, 121)
"""Where tails are counted, in standard deviations."""


def root_mean_square(z: Sample) -> float:
    """Return √(E z²), summed in float64."""
    return float(np.sqrt(np.mean(np.square(z), dtype=np.float64)))


def kurtosis(z: Sample, axis: int | None = None) -> Any:
    """Return E z⁴/(E z²)², about 0; it is 3 for a normal distribution.

    Examples
    --------
    >>> float(kurtosis(np.array([1.0, -1.0, 1.0, -1.0])))
    1.0
    """
    square = np.square(z / root_mean_square(z))  # near 1, so that its square fits float32
    fourth = np.mean(np.square(square), axis, dtype=np.float64)
    return fourth / np.mean(square, axis, dtype=np.float64) ** 2


def kurtosis_error(n: int) -> float:
    """Return the standard error of the kurtosis of n normal values, √(24/n) for large n.

    Examples
    --------
    >>> kurtosis_error(600)
    0.2
    """
    return float(np.sqrt(24 / n))


def beyond(z: Sample) -> Array:
    """Return the share of the values with |z| at or above each of `MULTIPLES`.

    Examples
    --------
    >>> beyond(np.array([0.5, -1.5, 2.5, -3.5]))[[0, 10, 30, 40]].tolist()
    [1.0, 0.75, 0.25, 0.0]
    """
    counts, _ = np.histogram(np.abs(z), np.append(MULTIPLES, np.inf))
    return np.asarray(np.cumsum(counts[::-1])[::-1] / z.size, np.float64)


def standardized(values: Sample) -> Sample:
    """Return each column minus its mean, over its standard deviation.

    A column that is constant, or would be without rounding, is left out.

    Parameters
    ----------
    values : ndarray
        Shape (values, columns).
    """
    deviation = values.std(axis=0, ddof=1)
    varies = deviation > 1e-6 * np.abs(values).max(axis=0)
    kept = values if varies.all() else values[:, varies]
    return (kept - kept.mean(axis=0)) / deviation[varies]


@dataclass(frozen=True)
class Tails:
    """How the values of many columns are distributed.

    Attributes
    ----------
    pooled, own : ndarray
        The share beyond each of `MULTIPLES`: of the root mean square of all values together, and
        of each column's own standard deviation, from its own mean.
    kurtosis : tuple of float
        Of all values together, then of the first half of the rows, and of the second.
    own_kurtosis : float
        The median of the columns'.
    """

    pooled: Array
    own: Array
    kurtosis: tuple[float, float, float]
    own_kurtosis: float

    def beyond(self, multiple: float, *, own: bool = False) -> float:
        """Return the share beyond the multiple nearest to this one."""
        share = self.own if own else self.pooled
        return float(share[np.argmin(np.abs(MULTIPLES - multiple))])


def tails(values: Sample) -> Tails:
    """Return the tails of values of shape (values, columns), at least 4 of each column."""
    half = len(values) // 2
    own = standardized(values)
    return Tails(
        beyond(values / root_mean_square(values)),
        beyond(own),
        (float(kurtosis(values)), float(kurtosis(values[:half])), float(kurtosis(values[half:]))),
        float(np.median(kurtosis(own, axis=0))),
    )
