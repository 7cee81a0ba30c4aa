"""The useful range: the learning rates around the best one that end at a low enough loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Range", "useful_range"]


@dataclass(frozen=True)
class Range:
    """A range of learning rates.

    Attributes
    ----------
    low, high : float
        Its ends.
    cut : bool
        Whether it reaches an end of the grid, so that it may be wider than it is here.
    """

    low: float
    high: float
    cut: bool = False

    @property
    def width(self) -> float:
        """In decades."""
        return math.log10(self.high / self.low)


def useful_range(
    rates: Sequence[float], losses: npt.NDArray[np.float64], most: float
) -> Range | None:
    """Return the interval around the best rate in which losses are at most `most`.

    Parameters
    ----------
    rates : sequence of float
        Increasing.
    losses : ndarray
        The loss at each rate, inf where it diverged.
    most : float
        The largest loss that is still useful.

    Returns
    -------
    Range or None
        None if no loss is useful.

    Examples
    --------
    >>> found = useful_range([0.01, 0.1, 1.0, 10.0], np.array([4.0, 1.0, 1.0, np.inf]), most=2.0)
    >>> round(found.low, 4), found.high, round(found.width, 2)
    (0.0316, 1.0, 1.5)
    """
    first = last = int(np.argmin(losses))
    if not losses[first] <= most:
        return None
    while first > 0 and losses[first - 1] <= most:
        first -= 1
    while last < len(rates) - 1 and losses[last + 1] <= most:
        last += 1

    def end(inside: int, outside: int) -> float:
        """The rate at which a straight line, from log L to log L over log η, crosses `most`."""
        if not 0 <= outside < len(rates) or not np.isfinite(losses[outside]):
            return rates[inside]
        part = math.log(most / losses[inside]) / math.log(losses[outside] / losses[inside])
        return float(rates[inside] * (rates[outside] / rates[inside]) ** part)

    cut = first == 0 or last == len(rates) - 1
    return Range(end(first, first - 1), end(last, last + 1), cut)
