"""What an optimizer comes to at every learning rate it tried, and comparing two at their best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Tuning", "interval_of_ratio"]

Array = npt.NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True)
class Tuning:
    """What an optimizer comes to on a problem, at every learning rate it tried.

    Attributes
    ----------
    problem, optimizer : str
        Which.
    rates : ndarray (rates,)
        The grid.
    errors : ndarray (rates, seeds)
        Mean squared errors; inf where it diverged.
    """

    problem: str
    optimizer: str
    rates: Array
    errors: Array

    @property
    def mean(self) -> Array:
        """The mean over seeds at each rate."""
        mean: Array = self.errors.mean(axis=1)
        return mean

    @property
    def best(self) -> int:
        """The place of the best rate in the grid."""
        return int(np.argmin(self.mean))

    @property
    def lr(self) -> float:
        """The best rate."""
        return float(self.rates[self.best])

    @property
    def error(self) -> float:
        """The mean squared error at the best rate."""
        return float(self.mean[self.best])

    @property
    def middle(self) -> tuple[float, float]:
        """What the middle half of the seeds lies between, at the best rate."""
        low, high = np.quantile(self.errors[self.best], [0.25, 0.75])
        return float(low), float(high)

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the first or last, so that a better one may lie outside."""
        return self.best in (0, len(self.rates) - 1)

    def at(self, lr: float) -> float:
        """Return the error at the rate of the grid nearest to `lr`."""
        return float(self.mean[np.argmin(np.abs(np.log(self.rates / lr)))])


def interval_of_ratio(a: Tuning, b: Tuning) -> tuple[float, float]:
    """Return the 95% bootstrap interval of a's error over b's, each at its best rate.

    Seeds are drawn with replacement, as many as there are and the same for both, 2,000 times; the
    interval holds the ratio of the means in 95% of the draws.

    Examples
    --------
    >>> seeds = np.array([[0.9, 1.0, 1.1]])
    >>> one, two = (Tuning("p", "o", np.array([0.1]), error * seeds) for error in (1.0, 2.0))
    >>> low, high = interval_of_ratio(two, one)
    >>> round(low, 12), round(high, 12)
    (2.0, 2.0)
    """
    count = a.errors.shape[1]
    drawn = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    ratios = a.errors[a.best][drawn].mean(1) / b.errors[b.best][drawn].mean(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
