"""Reductions that are not linear, and how their gradient finds its way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.linear_maps import count, with_axes

__all__ = ["logsumexp", "max", "min", "norm", "share_among_ties"]


def max(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """`numpy.max`, without its two layers of Python."""
    _refuse_nothing(x, axis)
    return np.maximum.reduce(x, axis, keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """`numpy.min`, without its two layers of Python."""
    _refuse_nothing(x, axis)
    return np.minimum.reduce(x, axis, keepdims=keepdims)


def share_among_ties(g: Any, z: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """x̄ of an extremum z: all of g for the element that is z, an equal share if there are more."""
    g = with_axes(g, x, axis, keepdims)
    is_extreme = np.equal(x, with_axes(z, x, axis, keepdims))
    ties = np.sum(is_extreme, axis=axis, keepdims=True, dtype=g.dtype)
    return np.where(is_extreme, g / np.maximum(ties, 1), 0)  # NaN ties with nothing


def logsumexp(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Logarithm of Σ exp x, as m + log Σ exp(x - m), m the greatest x: nothing overflows."""
    m = max(x, axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0)  # inf - inf would be NaN
    with np.errstate(divide="ignore"):  # log 0 = -inf is the logarithm of an empty sum
        z = np.log(np.add.reduce(np.exp(x - m), axis, keepdims=True)) + m
    return z if keepdims else z.squeeze(axis)


def norm(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """The length √Σ x² of a vector."""
    return np.sqrt(np.add.reduce(x * x, axis, keepdims=keepdims))


def _refuse_nothing(x: Any, axis: Any) -> None:
    if not x.size and not count(x, axis):
        raise ValueError("there is no element to take; the axis must not be empty")
