"""The table: every operation that can be differentiated, on one row each.

A row is the operation z = f(x, y), then what it sends back to each input: with g = z̄ = ∂loss/∂z,
the vector-Jacobian products

    x̄ = (∂z/∂x)ᵀ g          ȳ = (∂z/∂y)ᵀ g

A VJP is called with ``g, z, *inputs, **kwargs``, so it may use the result z where that is shorter
(exp, sqrt, tanh).  Broadcasting is not the row's business, nor is a stack of matrices times one
matrix: the engine sums the gradient of a repeated input.  The tests hold every row against numerical derivatives, first and second.

Kinks: `relu` has derivative 0 at 0, and `maximum` gives half to each input where the two are
equal.  Both are subgradients.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.primitive import Primitive, Variadic, table

# ruff: noqa: E501  a row is a row
# fmt: off

# Arithmetic.         z = f(x, y)        x̄ from g = z̄                ȳ from g = z̄
add      = Primitive(np.add,             lambda g, z, x, y: g,        lambda g, z, x, y: g)
subtract = Primitive(np.subtract,        lambda g, z, x, y: g,        lambda g, z, x, y: -g)
multiply = Primitive(np.multiply,        lambda g, z, x, y: g * y,    lambda g, z, x, y: g * x)
divide   = Primitive(np.divide,          lambda g, z, x, y: g / y,    lambda g, z, x, y: -g * z / y)
negative = Primitive(np.negative,        lambda g, z, x: -g)
positive = Primitive(np.positive,        lambda g, z, x: g)

# Powers and functions of one variable.
power    = Primitive(lambda x, y: x**y,  lambda g, z, x, y: g * y * x ** _one_less(x, y),
                                         lambda g, z, x, y: g * z * np.log(_base(x)), name="power", numpy=np.power)
square   = Primitive(np.square,          lambda g, z, x: 2 * g * x)
sqrt     = Primitive(np.sqrt,            lambda g, z, x: g / (2 * z))
exp      = Primitive(np.exp,             lambda g, z, x: g * z)
log      = Primitive(np.log,             lambda g, z, x: g / x)
tanh     = Primitive(np.tanh,            lambda g, z, x: g * (1 - z * z))

# Kinks.
relu     = Primitive(lambda x: np.maximum(x, 0), lambda g, z, x: np.where(x > 0, g, 0), name="relu")
maximum  = Primitive(np.maximum,         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.greater(x, y), g, 0)),
                                         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.less(x, y), g, 0)))
where    = Primitive(lambda x, y, condition: np.where(condition, x, y),
                     lambda g, z, x, y, condition: np.where(condition, g, 0),
                     lambda g, z, x, y, condition: np.where(condition, 0, g), name="where")

# Linear maps: each one's VJP is its transpose.
matmul   = Primitive(lambda x, y: _matmul(x, y), lambda g, z, x, y: matmul_left(g, x, y), lambda g, z, x, y: matmul_right(g, x, y), name="matmul", numpy=np.matmul)
sum      = Primitive(lambda x, axis=None, keepdims=False: _sum(x, axis, keepdims),
                     lambda g, z, x, axis=None, keepdims=False: _repeat(g, x, axis, keepdims), name="sum", numpy=np.sum)
mean     = Primitive(lambda x, axis=None, keepdims=False: _mean(x, axis, keepdims),
                     lambda g, z, x, axis=None, keepdims=False: _repeat(g / _count(x, axis), x, axis, keepdims), name="mean", numpy=np.mean)

# Moving elements.
reshape      = Primitive(lambda x, shape: x.reshape(shape),          lambda g, z, x, shape: g.reshape(x.shape), name="reshape", numpy=np.reshape)
transpose    = Primitive(lambda x, axes=None: x.transpose(axes),     lambda g, z, x, axes=None: g.transpose(_inverse(axes)), name="transpose", numpy=np.transpose)
broadcast_to = Primitive(lambda x, shape: _filled(x, shape),         lambda g, z, x, shape: g, name="broadcast_to", numpy=np.broadcast_to)
scatter      = Primitive(lambda x, index, shape: _scattered(x, index, shape), lambda g, z, x, index, shape: g[index], name="scatter")
getitem      = Primitive(lambda x, index: x[index],                  lambda g, z, x, index: scatter(g, index=index, shape=x.shape), name="getitem")
concatenate  = Primitive(lambda *xs, axis=0: np.concatenate(xs, axis), Variadic(lambda i, g, z, *xs, axis=0: g[_part(i, xs, axis)]), name="concatenate")
astype       = Primitive(lambda x, dtype: x.astype(dtype),           lambda g, z, x, dtype: g, name="astype", numpy=np.astype)

# fmt: on


def _one_less(x: Any, y: Any) -> Any:
    """The exponent y - 1 of the derivative, except where it would give 0 · 0**(-1) instead of 0."""
    if isinstance(y, int | float):
        return y - (y != 0)
    return y - np.logical_or(np.not_equal(x, 0), np.not_equal(y, 0))


def _base(x: Any) -> Any:
    """x, and 1 in the place of 0: 0**y = 0 for all y > 0, so there the derivative in y is 0.

    The logarithm of a negative base is NaN: x**y is then a number for whole y only.
    """
    return x + np.equal(x, 0)


def _matmul(x: Any, y: Any) -> Any:
    # On two matrices np.dot is the same, and takes a third less time to reach BLAS.
    if getattr(x, "ndim", 0) == 2 == getattr(y, "ndim", 0):
        return np.dot(x, y)
    return np.matmul(x, y)


def matmul_left(g: Any, x: Any, y: Any) -> Any:
    """x̄ = g yᵀ for matrices and stacks of them.  A vector y is a column, a vector x a row."""
    if x.ndim == 2 == y.ndim:
        return np.dot(g, y.T)
    if x.ndim > 1 and y.ndim > 1:
        return g @ y.mT
    if y.ndim == 1:
        return g[..., None] * y
    return (g[..., None, :] @ y.mT)[..., 0, :]


def matmul_right(g: Any, x: Any, y: Any) -> Any:
    """ȳ = xᵀ g for matrices and stacks of them.  A vector y is a column, a vector x a row."""
    if x.ndim == 2 == y.ndim:
        return np.dot(x.T, g)
    if x.ndim > 1 and y.ndim > 1:
        return x.mT @ g
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    return (x.mT @ g[..., None])[..., 0]


def _sum(x: Any, axis: Any, keepdims: Any) -> Any:
    return np.add.reduce(x, axis, keepdims=keepdims)  # np.sum, without its two Python layers


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    return _sum(x, axis, keepdims) / _count(x, axis)


def _count(x: Any, axis: Any) -> int:
    """How many elements a reduction over `axis` makes one of."""
    if axis is None:
        return int(x.size)
    return math.prod(x.shape[i] for i in normalize_axis_tuple(axis, x.ndim))


def _repeat(g: Any, x: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Any:
    """Give every summand the gradient of its sum."""
    if axis is not None and not keepdims and x.ndim:
        summed = normalize_axis_tuple(axis, x.ndim)
        g = g.reshape(tuple(1 if i in summed else n for i, n in enumerate(x.shape)))
    return broadcast_to(g, shape=x.shape)


def _filled(x: Any, shape: Any) -> Any:
    # np.broadcast_to gives a view in which indices share elements, and is slower on small arrays.
    z = np.empty(shape, x.dtype)
    if z.ndim < x.ndim:
        raise ValueError(f"it has more axes than the shape {shape} to broadcast to")
    z[...] = x
    return z


def _inverse(axes: int | Sequence[int] | None) -> Any:
    """The order of axes that undoes `axes`."""
    if axes is None or isinstance(axes, int):
        return axes
    return tuple(np.argsort(normalize_axis_tuple(axes, len(axes))))


def _scattered(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Put x at `index` of an array of zeros; an element that is named twice receives both."""
    z = np.zeros(shape, x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
        z[index] = x
    else:
        np.add.at(z, index, x)
    return z


def _part(i: int, xs: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """The index of input i within the concatenation."""
    axis = axis % xs[i].ndim
    start = builtins.sum(x.shape[axis] for x in xs[:i])
    return (*[slice(None)] * axis, slice(start, start + xs[i].shape[axis]))


# NumPy functions whose arguments are not inputs first, options after.


def _concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    if axis is None:
        return concatenate(*(np.reshape(x, -1) for x in arrays))
    return concatenate(*arrays, axis=axis)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return where(x, y, condition=getattr(condition, "data", condition))


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(b) > 2:
        raise TypeError(
            "numpy.dot of a Tensor is for vectors and matrices; for stacks of them use @"
        )
    return matmul(a, b) if np.ndim(a) and np.ndim(b) else multiply(a, b)


table[np.dot] = _dot
table[np.concatenate] = _concatenate
table[np.where] = _where
