"""The table: the operations that can be differentiated, one row each.

A row is the operation z = f(x, y), then what it sends back to each input: with g = z̄ = ∂loss/∂z,
the vector-Jacobian products

    x̄ = (∂z/∂x)ᵀ g          ȳ = (∂z/∂y)ᵀ g

A VJP is called with ``g, z, *inputs, **kwargs``, so it may use the result z where that is shorter
(exp, sqrt, tanh).  Broadcasting is not the row's business, nor is a stack of matrices times one
matrix: the engine sums the gradient of a repeated input.  What takes more than a line stands in
`linear_maps`, and the rows of losses and layers in `functional`.  The tests hold every row against
numerical derivatives, first and second.

Kinks: `relu` has derivative 0 at 0, and `maximum` gives half to each input where the two are
equal.  Both are subgradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import linear_maps
from minigrad.primitive import Primitive, Variadic, bare, table


def one_less(x: Any, y: Any) -> Any:
    """Return the exponent y - 1 of y x**(y - 1), but y where x = y = 0: 0 · 0**-1 would be NaN.

    Second derivatives at x = 0 that involve y are not finite, and not to be trusted.
    """
    if isinstance(y, int | float):
        return y - (y != 0)
    return y - np.logical_or(np.not_equal(x, 0), np.not_equal(y, 0))


def log_base(x: Any) -> Any:
    """Return x, with 1 in the place of 0: log 0 would make 0 · -inf = NaN of a derivative of 0.

    (0**y = 0 for all y > 0.)  The logarithm of a negative base stays NaN: there x**y is a number
    for whole y only.
    """
    return x + np.equal(x, 0)


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
power    = Primitive(lambda x, y: x**y,  lambda g, z, x, y: g * y * x ** one_less(x, y),
                                         lambda g, z, x, y: g * z * np.log(log_base(x)), name="power", numpy=np.power)
square   = Primitive(np.square,          lambda g, z, x: 2 * g * x)
sqrt     = Primitive(np.sqrt,            lambda g, z, x: g / (2 * z))
exp      = Primitive(np.exp,             lambda g, z, x: g * z)
log      = Primitive(np.log,             lambda g, z, x: g / x)
tanh     = Primitive(np.tanh,            lambda g, z, x: g - g * z * z)

# Kinks.
relu     = Primitive(lambda x: np.maximum(x, 0), lambda g, z, x: np.where(x > 0, g, 0), name="relu")
maximum  = Primitive(np.maximum,         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.greater(x, y), g, 0)),
                                         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.less(x, y), g, 0)))
where    = Primitive(lambda x, y, condition: np.where(condition, x, y),
                     lambda g, z, x, y, condition: np.where(condition, g, 0),
                     lambda g, z, x, y, condition: np.where(condition, 0, g), name="where")

# Linear maps: each one's VJP is its transpose.
matmul   = Primitive(linear_maps.matmul, lambda g, z, x, y: linear_maps.times_transposed(g, x, y),
                                         lambda g, z, x, y: linear_maps.transposed_times(x, y, g), numpy=np.matmul)
broadcast_to = Primitive(linear_maps.broadcast_to, lambda g, z, x, shape: g, numpy=np.broadcast_to)
sum      = Primitive(linear_maps.sum,    lambda g, z, x, axis=None, keepdims=False: broadcast_to(
                                             linear_maps.with_axes(g, x, axis, keepdims), shape=x.shape), numpy=np.sum)
mean     = Primitive(linear_maps.mean,   lambda g, z, x, axis=None, keepdims=False: broadcast_to(
                                             linear_maps.with_axes(g / linear_maps.count(x, axis), x, axis, keepdims), shape=x.shape), numpy=np.mean)

# Moving elements.
reshape      = Primitive(lambda x, shape: x.reshape(shape),          lambda g, z, x, shape: g.reshape(x.shape), name="reshape", numpy=np.reshape)
transpose    = Primitive(lambda x, axes=None: x.transpose(axes),     lambda g, z, x, axes=None: g.transpose(linear_maps.inverse(axes)), name="transpose", numpy=np.transpose)
scatter      = Primitive(linear_maps.scatter,                        lambda g, z, x, index, shape: g[index])
getitem      = Primitive(lambda x, index: x[index],                  lambda g, z, x, index: scatter(g, index=index, shape=x.shape), name="getitem")
concatenate  = Primitive(lambda *xs, axis=0: np.concatenate(xs, axis), Variadic(lambda i, g, z, *xs, axis=0: g[linear_maps.part(i, xs, axis)]), name="concatenate")
astype       = Primitive(lambda x, dtype: x.astype(dtype),           lambda g, z, x, dtype: g, name="astype", numpy=np.astype)

# fmt: on

# NumPy functions whose arguments are not inputs first, options after.


def _concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    if axis is None:
        return concatenate(*(np.reshape(x, -1) for x in arrays))
    return concatenate(*arrays, axis=axis)


def _where(condition: Any, x: Any, y: Any) -> Any:
    return where(x, y, condition=bare(condition))


def _dot(a: Any, b: Any) -> Any:
    if np.ndim(b) > 2:
        raise TypeError(
            "numpy.dot of a Tensor is for vectors and matrices; for stacks of them use @"
        )
    return matmul(a, b) if np.ndim(a) and np.ndim(b) else multiply(a, b)


table[np.dot] = _dot
table[np.concatenate] = _concatenate
table[np.where] = _where
