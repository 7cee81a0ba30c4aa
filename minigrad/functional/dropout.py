"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.functional.checks import number
from minigrad.primitive import bare
from minigrad.primitives import multiply
from minigrad.recording import is_traced
from minigrad.tensor import Tensor

__all__ = ["dropout"]


def dropout(x: Any, p: float, *, rng: np.random.Generator) -> Any:
    """Set each element to 0 with probability p, and divide the others by 1 - p.

    The division keeps the expected value as it was, so nothing is to be done when the network is
    used after training: call it in training only.

    Parameters
    ----------
    x : array_like or Tensor
        Any shape.
    p : float
        0 <= p < 1.
    rng : numpy.random.Generator
        Draws which elements stay: one number each, and none if p = 0.

    Returns
    -------
    Tensor or ndarray
        Of the shape of x.

    Raises
    ------
    TypeError
        If p is no number, or `rng` no generator.
    ValueError
        If p is out of its range.

    References
    ----------
    Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting, 2014.

    Examples
    --------
    >>> dropout(np.ones(6), 0.5, rng=np.random.default_rng(0))
    array([2., 2., 2., 0., 0., 0.])
    """
    if not 0 <= number("dropout", "p", p) < 1:
        raise ValueError(f"dropout: p={p!r} is out of range; accepted is 0 <= p < 1")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"dropout: rng={rng!r} must be a numpy.random.Generator, such as "
            "numpy.random.default_rng(seed)"
        )
    if p == 0:
        return x if isinstance(x, Tensor) or is_traced(x) else np.asarray(x)
    if is_traced(bare(x)):
        bare(x).refuse("dropout draws other zeros in every step; call eval() on the network first")
    values = np.asarray(bare(x))
    dtype = values.dtype if values.dtype.kind == "f" else np.float64
    stays = rng.random(values.shape, dtype=np.float32) >= p
    return multiply(x, np.multiply(stays, 1 / (1 - p), dtype=dtype))
