"""The table: every operation that can be differentiated, on one row each.

A row is the operation z = f(x, y), then what it sends back to each input: with g = z̄ = ∂loss/∂z,
the vector-Jacobian products

    x̄ = (∂z/∂x)ᵀ g          ȳ = (∂z/∂y)ᵀ g

A VJP is called with ``g, z, *inputs, **kwargs``, so it may use the result z where that is shorter
(exp, sqrt, tanh).  Broadcasting is not the row's business: the engine sums the gradient of a
repeated input.  The tests hold every row against numerical derivatives, first and second.

Kinks: `relu` has derivative 0 at 0, and `maximum` gives half to each input where the two are
equal.  Both are subgradients.
"""

from __future__ import annotations

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
power    = Primitive(lambda x, y: x**y,  lambda g, z, x, y: g * y * x ** (y - _one_unless_0(y)),
                                         lambda g, z, x, y: g * z * np.log(x + np.equal(x, 0)), name="power", numpy=np.power)
square   = Primitive(np.square,          lambda g, z, x: 2 * g * x)
sqrt     = Primitive(np.sqrt,            lambda g, z, x: g / (2 * z))
exp      = Primitive(np.exp,             lambda g, z, x: g * z)
log      = Primitive(np.log,             lambda g, z, x: g / x)
tanh     = Primitive(np.tanh,            lambda g, z, x: g * (1 - z * z))

# Kinks.
relu     = Primitive(lambda x: np.maximum(x, 0), lambda g, z, x: g * (x > 0), name="relu")
maximum  = Primitive(np.maximum,         lambda g, z, x, y: g * np.greater(x, y) + g / 2 * np.equal(x, y),
                                         lambda g, z, x, y: g * np.less(x, y) + g / 2 * np.equal(x, y))

# Linear maps: each one's VJP is its transpose.
matmul   = Primitive(np.matmul,          lambda g, z, x, y: matmul_left(g, x, y), lambda g, z, x, y: matmul_right(g, x, y))
sum      = Primitive(lambda x, axis=None, keepdims=False: _sum(x, axis, keepdims),
                     lambda g, z, x, axis=None, keepdims=False: _repeat(g, x, axis, keepdims), name="sum", numpy=np.sum)
mean     = Primitive(lambda x, axis=None, keepdims=False: _mean(x, axis, keepdims),
                     lambda g, z, x, axis=None, keepdims=False: _repeat(g / (x.size / z.size), x, axis, keepdims), name="mean", numpy=np.mean)

# Moving elements.
reshape      = Primitive(lambda x, shape: x.reshape(shape),          lambda g, z, x, shape: g.reshape(x.shape), name="reshape", numpy=np.reshape)
transpose    = Primitive(lambda x, axes=None: x.transpose(axes),     lambda g, z, x, axes=None: g.transpose(_inverse(axes)), name="transpose", numpy=np.transpose)
broadcast_to = Primitive(lambda x, shape: _filled(x, shape),         lambda g, z, x, shape: g, name="broadcast_to", numpy=np.broadcast_to)
scatter      = Primitive(lambda x, index, shape: _scattered(x, index, shape), lambda g, z, x, index, shape: g[index], name="scatter")
getitem      = Primitive(lambda x, index: x[index],                  lambda g, z, x, index: scatter(g, index=index, shape=x.shape), name="getitem")
concatenate  = Primitive(lambda *xs, axis=0: np.concatenate(xs, axis), Variadic(lambda i, g, z, *xs, axis=0: g[_part(i, xs, axis)]), name="concatenate")
astype       = Primitive(lambda x, dtype: x.astype(dtype),           lambda g, z, x, dtype: g, name="astype", numpy=np.astype)

# fmt: on


def _one_unless_0(y: Any) -> Any:
    """Where y = 0, x**y is the constant 1; lowering the exponent there would give 0/0 at x = 0."""
    return np.not_equal(y, 0) if np.ndim(y) else float(y) != 0


def matmul_left(g: Any, x: Any, y: Any) -> Any:
    """x̄ = g yᵀ.  A vector y is a column; a vector x is a row."""
    if x.ndim > 1 and y.ndim > 1:
        return g @ y.mT
    if y.ndim == 1:
        return g[..., None] * y
    return (g[..., None, :] @ y.mT)[..., 0, :]


def matmul_right(g: Any, x: Any, y: Any) -> Any:
    """ȳ = xᵀ g.  A vector y is a column; a vector x is a row."""
    if x.ndim > 1 and y.ndim > 1:
        return x.mT @ g
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    return (x.mT @ g[..., None])[..., 0]


def _sum(x: Any, axis: Any, keepdims: Any) -> Any:
    return np.add.reduce(x, axis, keepdims=keepdims)  # np.sum, without its two Python layers


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    total = _sum(x, axis, keepdims)
    return total / (x.size / total.size)


def _repeat(g: Any, x: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Any:
    """Give every summand the gradient of its sum."""
    if axis is not None and not keepdims:
        summed = normalize_axis_tuple(axis, x.ndim)
        g = g.reshape(tuple(1 if i in summed else n for i, n in enumerate(x.shape)))
    return broadcast_to(g, shape=x.shape)


def _filled(x: Any, shape: Any) -> Any:
    # np.broadcast_to gives a view that several indices share; a tensor owns its elements, and
    # for small arrays filling is also the faster way.
    z = np.empty(shape, x.dtype)
    z[...] = x
    return z


def _inverse(axes: Sequence[int] | None) -> Any:
    """The order of axes that undoes `axes`."""
    return None if axes is None else tuple(np.argsort(normalize_axis_tuple(axes, len(axes))))


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
    start = int(np.sum([x.shape[axis] for x in xs[:i]], dtype=int))
    return (*[slice(None)] * axis, slice(start, start + xs[i].shape[axis]))


def _concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    if axis is None:
        return concatenate(*(np.reshape(x, -1) for x in arrays))
    return concatenate(*arrays, axis=axis)


table[np.concatenate] = _concatenate
