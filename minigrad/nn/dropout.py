"""Noise against overfitting."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import functional
from minigrad.nn.hyperparameters import check_generator, check_numbers
from minigrad.nn.module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, set each element to 0 with probability p, and divide the others by 1 - p.

    The division keeps the expected value, so that there is nothing left to do in evaluation,
    where the layer returns its input.

    Parameters
    ----------
    p : float
        Probability of 0, at least 0 and below 1.
    rng : numpy.random.Generator
        Draws new zeros in every call.  It belongs to the layer: two layers may share one, but
        then what each draws depends on the other.

    Raises
    ------
    TypeError, ValueError
        If p is no number, or out of range, or `rng` no generator.

    References
    ----------
    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15, 2014.

    Examples
    --------
    >>> dropout = Dropout(0.5, rng=np.random.default_rng(0))
    >>> np.unique(dropout(np.ones(100)))
    array([0., 2.])
    >>> np.unique(dropout.eval()(np.ones(100)))
    array([1.])
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator) -> None:
        check_numbers("Dropout", "at least 0 and below 1", lambda p: 0 <= p < 1, p=p)
        check_generator(rng)
        self.p = p
        self.rng = rng

    def forward(self, x: Any) -> Any:
        """Return x with zeros in it in training, else x."""
        if not self.training or self.p == 0:
            return x
        return functional.dropout(x, self.p, rng=self.rng)

    def describe(self) -> str:
        """Return e.g. ``Dropout(0.5)``."""
        return f"Dropout({self.p})"
