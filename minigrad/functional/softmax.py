"""Softmax and its logarithm.

    softmax(x)ᵢ = exp xᵢ / Σⱼ exp xⱼ        log softmax(x)ᵢ = xᵢ - log Σⱼ exp xⱼ

Both are left as they are when a constant is taken off all of x.  With the maximum taken off, no
exponential is above 1 and one of them is 1: nothing overflows, and the sum is not 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.compiled import kernels_for
from minigrad.linear_maps import rows
from minigrad.primitive import Primitive

__all__ = [
    "log_softmax", "log_softmax_along", "log_softmax_vjp", "softmax", "softmax_along",
    "softmax_vjp",
]  # fmt: skip


def softmax(x: Any, axis: int = -1) -> Any:
    """Probabilities proportional to exp x, along one axis.

    Parameters
    ----------
    x : array_like or Tensor
        Logits.
    axis : int
        Along which the result sums to 1.

    Returns
    -------
    Tensor or ndarray
        Of the shape of x.

    Raises
    ------
    ValueError
        If there is no such axis, or it has length 0.

    Examples
    --------
    >>> softmax(np.array([0.0, 1e4, 1e4]))
    array([0. , 0.5, 0.5])
    """
    _check_axis("softmax", x, axis)
    return softmax_along(x, axis=axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """Logarithm of `softmax`, also where the softmax itself is too small for a number.

    Parameters
    ----------
    x, axis
        As in `softmax`.

    Returns
    -------
    Tensor or ndarray
        Of the shape of x.

    Raises
    ------
    ValueError
        As `softmax`.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1e4]))
    array([-10000.,      0.])
    """
    _check_axis("log_softmax", x, axis)
    return log_softmax_along(x, axis=axis)


def _check_axis(function: str, x: Any, axis: int) -> None:
    shape = x.shape if hasattr(x, "shape") else np.shape(x)  # the first is faster
    if not shape:
        raise ValueError(f"{function} of one number: it needs an axis, along which to sum")
    if -len(shape) <= axis < len(shape) and not shape[axis]:
        raise ValueError(f"{function} of shape {shape} along axis {axis}: there is no element")


def below_maximum(x: Any, axis: int) -> Any:
    """X less its maximum along the axis, in an array of its own."""
    if x.dtype.kind != "f":
        x = x.astype(np.float64)  # small integers would wrap around
    return x - np.maximum.reduce(x, axis=axis, keepdims=True)


def normalized_exponentials(u: Any, axis: int) -> Any:
    """Return exp u over its sum along the axis, in the array u."""
    exponentials = np.exp(u, out=u)
    probabilities = np.divide(u, exponentials.sum(axis=axis, keepdims=True), out=u)
    return probabilities  # noqa: RET504  a trace calls it so


def _softmax(x: Any, *, axis: int) -> Any:
    kernels = kernels_for(x) if axis in (-1, x.ndim - 1) else None
    if kernels is not None:
        z = np.empty_like(x)
        kernels.softmax(rows(x), x.dtype.type(1), 0, rows(z))
        return z
    return normalized_exponentials(below_maximum(x, axis), axis)


def _softmax_vjp(g: Any, p: Any, *, axis: int) -> Any:
    kernels = kernels_for(g, p) if axis in (-1, p.ndim - 1) else None
    if kernels is not None:
        w = np.empty_like(p)
        kernels.softmax_vjp(rows(g), rows(p), p.dtype.type(1), rows(w))
        return w
    w = g * p
    w -= p * w.sum(axis=axis, keepdims=True)
    return w


def _log_softmax(x: Any, *, axis: int) -> Any:
    u = below_maximum(x, axis)
    u -= np.log(np.exp(u).sum(axis=axis, keepdims=True))
    return u


def _log_softmax_vjp(g: Any, z: Any, *, axis: int) -> Any:
    w = np.exp(z)
    w *= g.sum(axis=axis, keepdims=True)
    return np.subtract(g, w, out=w) if g.dtype == w.dtype else g - w


def _along(x: Any, axis: int) -> Any:
    return x.sum(axis=axis, keepdims=True)


# Rows.  The VJPs are rows themselves: one pass on arrays, and a formula for the next derivative.
# The Jacobian of softmax is diag(p) - p pᵀ, which is symmetric; that of its logarithm 1 - 1 pᵀ.
# fmt: off
softmax_along: Primitive = Primitive(_softmax,
    lambda g, p, x, axis: softmax_vjp(g, p, axis=axis),
    name="softmax")
softmax_vjp: Primitive = Primitive(_softmax_vjp,
    lambda h, w, g, p, axis: softmax_vjp(h, p, axis=axis),
    lambda h, w, g, p, axis: h * g - h * _along(g * p, axis) - g * _along(h * p, axis),
    name="softmax_vjp")
log_softmax_along: Primitive = Primitive(_log_softmax,
    lambda g, z, x, axis: log_softmax_vjp(g, z, axis=axis),
    name="log_softmax")
log_softmax_vjp: Primitive = Primitive(_log_softmax_vjp,
    lambda h, w, g, z, axis: h - _along(h * np.exp(z), axis),
    lambda h, w, g, z, axis: -h * np.exp(z) * _along(g, axis),
    name="log_softmax_vjp")
# fmt: on
