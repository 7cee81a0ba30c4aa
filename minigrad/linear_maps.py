"""Linear operations and their transposes, where they take more than a line.

A linear map's vector-Jacobian product is its transpose: repeating for summing, adding up at an
index for indexing, multiplying by the transposed matrix for multiplying by a matrix.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad.compiled import KERNEL_FROM, kernels_for, product_for, this_thread
from minigrad.recording import is_traced

__all__ = [
    "broadcast_to",
    "count",
    "inverse",
    "keep",
    "matmul",
    "mean",
    "part",
    "product",
    "rows",
    "scatter",
    "sum",
    "sum_of_rows",
    "sums_to_the_end",
    "times_transposed",
    "transposed_times",
    "where_positive",
    "with_axes",
]  # fmt: skip


def matmul(x: Any, y: Any) -> Any:
    """X y, for vectors, matrices and stacks of matrices."""
    # A stack of matrices times one matrix is one product, of all the stack's rows, instead of many
    # small ones.
    if getattr(y, "ndim", 0) == 2 and (n := getattr(x, "ndim", 0)) > 1:
        return product(x, y) if n == 2 else product(rows(x), y).reshape(*x.shape[:-1], y.shape[1])
    return np.matmul(x, y)


def product(x: Any, y: Any, bias: Any = None) -> Any:
    """X Y, or X Y + b with the vector b added to each row, for two matrices."""
    loop = product_for(x, y) if this_thread.has_one_core else None
    if loop is not None and (bias is None or (bias.dtype, bias.shape) == (x.dtype, y.shape[1:])):
        z = np.empty((len(x), y.shape[1]), x.dtype)
        row, step = (n // y.itemsize for n in y.strides)
        start = np.zeros(y.shape[1], x.dtype) if bias is None else np.ascontiguousarray(bias)
        loop(x, y.ravel(order="K"), row, step, start, z)
        return z
    z = np.dot(x, y)  # the same as np.matmul, and takes a third less time to reach BLAS
    if bias is None:
        return z
    if getattr(bias, "dtype", None) != z.dtype:
        return z + bias
    z += bias
    return z


def rows(x: Any) -> Any:
    """All vectors along the last axis, as the rows of one matrix."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def times_transposed(g: Any, x: Any, y: Any) -> Any:
    """x̄ = g yᵀ for matrices and stacks of them.  A vector y is a column, a vector x a row."""
    if x.ndim > 1 and y.ndim == 2:
        return product(g, y.T) if x.ndim == 2 else product(rows(g), y.T).reshape(x.shape)
    if x.ndim > 1 and y.ndim > 1:
        return g @ y.mT
    if y.ndim == 1:
        return g[..., None] * y
    return (g[..., None, :] @ y.mT)[..., 0, :]


def transposed_times(x: Any, y: Any, g: Any) -> Any:
    """ȳ = xᵀ g for matrices and stacks of them.  A vector y is a column, a vector x a row."""
    if x.ndim > 1 and y.ndim == 2:
        return np.dot(x.T, g) if x.ndim == 2 else np.dot(rows(x).T, rows(g))
    if x.ndim > 1 and y.ndim > 1:
        return x.mT @ g
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    return (x.mT @ g[..., None])[..., 0]


def sum_of_rows(x: Any) -> Any:
    """1ᵀ X, for all vectors along the last axis as the rows of X."""
    # BLAS has no product of Tensors, which have no flags, nor of float16; of large arrays it takes
    # half as long.
    if not hasattr(x, "flags") or x.size < KERNEL_FROM or x.dtype == np.float16:
        return rows(x).sum(axis=0)
    return np.dot(np.ones(math.prod(x.shape[:-1]), x.dtype), rows(x))


def keep(g: Any, mask: Any) -> Any:
    """Return g where the mask is true, and 0 elsewhere, also in the place of an infinity.

    g · mask would make 0 · ∞ = NaN, and `numpy.where` takes five times as long as this: the bits
    of g and those of -1, all ones, or 0.
    """
    if is_traced(g) or is_traced(mask):
        return np.where(mask, g, 0)
    g, mask = np.asarray(g), np.asarray(mask)
    kernels = kernels_for(g) if mask.shape == g.shape and mask.flags.c_contiguous else None
    if kernels is not None and mask.dtype == bool:
        z = np.empty_like(g)
        kernels.keep(g.reshape(-1), mask.reshape(-1), z.reshape(-1))
        return z
    whole = {2: np.int16, 4: np.int32, 8: np.int64}.get(g.itemsize)
    if whole is None or mask.dtype != bool:
        return np.where(mask, g, 0)
    return (g.view(whole) & -mask.view(np.int8)).view(g.dtype)


def where_positive(g: Any, x: Any) -> Any:
    """Return g where x is positive, and 0 elsewhere."""
    kernels = kernels_for(g, x)
    if kernels is None:
        return keep(g, np.greater(x, 0))
    z = np.empty_like(g)
    kernels.where_positive(g.reshape(-1), x.reshape(-1), z.reshape(-1))
    return z


def sum(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """`numpy.sum`, without its two layers of Python."""
    return np.add.reduce(x, axis, keepdims=keepdims)


def mean(x: Any, axis: Any = None, keepdims: Any = False) -> Any:
    """Sum, divided by the number of elements that went into it."""
    n = count(x, axis)
    if n == 0:
        raise ValueError("the mean of no elements is not defined")
    if x.dtype == np.float16:  # summed in float32, which does not overflow
        return np.mean(x, axis, keepdims=keepdims)
    return sum(x, axis, keepdims) / n


def sums_to_the_end(g: Any, x: Any, axis: int | None) -> Any:
    """x̄ of a cumulative sum: x_i is part of the sums z_i, z_i+1, ..., so x̄_i = g_i + g_i+1 + ..."""
    axis = 0 if axis is None else axis
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis).reshape(x.shape)


def count(x: Any, axis: Any) -> int:
    """How many elements a reduction over `axis` makes one of."""
    if axis is None:
        return int(x.size)
    return math.prod(x.shape[i] for i in normalize_axis_tuple(axis, x.ndim))


def with_axes(g: Any, x: Any, axis: int | Sequence[int] | None, keepdims: bool) -> Any:
    """Put the axes that a sum over x took away back into g, with length 1."""
    if axis is None or keepdims or not x.ndim:
        return g
    summed = normalize_axis_tuple(axis, x.ndim)
    return g.reshape(tuple(1 if i in summed else n for i, n in enumerate(x.shape)))


def broadcast_to(x: Any, shape: Any) -> Any:
    """Repeat x, into an array of its own.

    (`numpy.broadcast_to` gives a view in which indices share elements, and is slower on small
    arrays.)
    """
    if is_traced(x):
        return np.broadcast_to(x, shape)
    z = np.empty(shape, x.dtype)
    if z.ndim < x.ndim:
        raise ValueError(f"it has more axes than the shape {shape} to broadcast to")
    z[...] = x
    return z


def inverse(axes: int | Sequence[int] | None) -> Any:
    """The order of axes that undoes `axes`."""
    if axes is None or isinstance(axes, int | np.integer):
        return axes
    return tuple(np.argsort(normalize_axis_tuple(axes, len(axes))))


def scatter(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Put x at `index` of an array of zeros; an element that is named twice receives both."""
    parts = index if isinstance(index, tuple) else (index,)
    for part in (x, *parts):
        if is_traced(part):
            return part.record(scatter, x, index=index, shape=shape)
    z = np.zeros(shape, x.dtype)
    if all(part is None or part is ... or isinstance(part, int | slice) for part in parts):
        z[index] = x
    else:
        np.add.at(z, index, x)
    return z


def part(i: int, xs: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """The index of input i within the concatenation."""
    axis = axis % xs[i].ndim
    start = builtins.sum(x.shape[axis] for x in xs[:i])
    return (*[slice(None)] * axis, slice(start, start + xs[i].shape[axis]))
