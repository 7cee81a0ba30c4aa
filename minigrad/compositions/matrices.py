"""Products of arrays and linear algebra, made of the table's rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad import einstein, primitives
from minigrad.primitive import stands_for
from minigrad.tensor import Tensor

__all__ = [
    "cholesky", "dot", "einsum", "inner", "multi_dot", "outer", "slogdet", "solve", "tensordot",
    "trace", "vdot", "vecdot",
]  # fmt: skip


@stands_for(np.dot)
def dot(a: Any, b: Any) -> Any:
    """Sum over the last axis of a and the last but one of b (its only one, for a vector)."""
    if not np.ndim(a) or not np.ndim(b):
        return primitives.multiply(a, b)
    if np.ndim(b) <= 2:
        return primitives.matmul(a, b)
    return tensordot(a, b, (-1, -2))


@stands_for(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Sum of the products of all elements."""
    return primitives.matmul(np.reshape(a, -1), np.reshape(b, -1))


@stands_for(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum over the last axis of both."""
    if not np.ndim(a) or not np.ndim(b):
        return primitives.multiply(a, b)
    return tensordot(a, b, (-1, -1))


@stands_for(np.outer)
def outer(a: Any, b: Any) -> Any:
    """The matrix of all products of an element of a and one of b."""
    return np.reshape(a, (-1, 1)) * np.reshape(b, -1)


@stands_for(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """The matrix of all products of elements of two vectors."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(
            f"linalg.outer of shape {np.shape(x1)} and {np.shape(x2)}: both must be vectors; "
            "np.outer flattens its arguments"
        )
    return outer(x1, x2)


@stands_for(np.cross, np.linalg.cross)
def cross(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    """The vector at right angles to two others, in three dimensions.

    Its component i is a_i+1 b_i+2 - a_i+2 b_i+1, where after 2 follows 0.
    """
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise ValueError(
            f"cross of shape {np.shape(a)} and {np.shape(b)}: a vector must have 3 components"
        )
    one, two = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., one] * b[..., two] - a[..., two] * b[..., one], -1, axis)


@stands_for(np.vecdot, np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum of the products along one axis, whose place both count alike."""
    if axis != -1:
        x1, x2 = np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1)
    if np.shape(x1)[-1] != np.shape(x2)[-1]:
        raise ValueError(
            f"vecdot of shape {np.shape(x1)} and {np.shape(x2)}: the last axes must be equally long"
        )
    return np.sum(np.multiply(x1, x2), axis=-1)


@stands_for(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum over pairs of axes, as one product of matrices.

    The axes of a that are summed go last, those of b first; then the rest of each is one axis.
    """
    shape_a, shape_b = np.shape(a), np.shape(b)
    if isinstance(axes, int | np.integer):
        if axes > min(len(shape_a), len(shape_b)):
            raise ValueError(
                f"tensordot of shape {shape_a} and {shape_b} over {axes} axes: one has fewer"
            )
        pair: Any = (range(len(shape_a) - axes, len(shape_a)), range(axes))
    else:
        pair = axes
    of_a = normalize_axis_tuple(pair[0], len(shape_a))
    of_b = normalize_axis_tuple(pair[1], len(shape_b))
    if [shape_a[i] for i in of_a] != [shape_b[i] for i in of_b]:
        raise ValueError(
            f"tensordot of shape {shape_a} and {shape_b}: axes {of_a} of the first and {of_b} of "
            "the second must have equal lengths"
        )
    rest_a = tuple(i for i in range(len(shape_a)) if i not in of_a)
    rest_b = tuple(i for i in range(len(shape_b)) if i not in of_b)
    rows, columns = [shape_a[i] for i in rest_a], [shape_b[i] for i in rest_b]
    summed = int(np.prod([shape_a[i] for i in of_a]))
    z = primitives.matmul(
        np.reshape(np.transpose(a, rest_a + of_a), (int(np.prod(rows)), summed)),
        np.reshape(np.transpose(b, of_b + rest_b), (summed, int(np.prod(columns)))),
    )
    return z.reshape((*rows, *columns))


@stands_for(np.einsum)
def einsum(*operands: Any, optimize: Any = True) -> Any:
    """Products summed over the letters that name their axes; see `minigrad.einstein`."""
    subscripts, *arrays = operands
    if not isinstance(subscripts, str):
        raise TypeError(
            "numpy.einsum of a Tensor takes its subscripts as a string before the operands, "
            "such as 'ij,jk->ik'"
        )
    ndims = [np.ndim(x) for x in arrays]
    return primitives.einsum(*arrays, subscripts=einstein.explicit(subscripts, ndims))


@stands_for(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of several matrices, from the left to the right."""
    return functools.reduce(dot, arrays)


@stands_for(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """The product of n equal matrices, by repeated squaring; of -n inverses for negative n."""
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 0:
        return np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape) + 0 * a
    if n == 1:
        return primitives.positive(a)
    half = matrix_power(a, n // 2)
    return half @ half @ a if n % 2 else half @ half


@stands_for(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Every element of a times all of b."""
    n = max(np.ndim(a), np.ndim(b))
    shape_a = (1,) * (n - np.ndim(a)) + np.shape(a)
    shape_b = (1,) * (n - np.ndim(b)) + np.shape(b)
    of_a = tuple(k for length in shape_a for k in (length, 1))
    of_b = tuple(k for length in shape_b for k in (1, length))
    z = np.reshape(a, of_a) * np.reshape(b, of_b)
    return z.reshape(tuple(i * j for i, j in zip(shape_a, shape_b, strict=True)))


@stands_for(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of the diagonal of the matrices in two axes."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


@stands_for(np.linalg.trace)
def linalg_trace(x: Any, /, *, offset: int = 0) -> Any:
    """The sum of the diagonal of the matrices in the last two axes."""
    return trace(x, offset, -2, -1)


@stands_for(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """X with a x = b; b is a matrix or a stack of them, or one vector."""
    shape, b_shape = np.shape(a), np.shape(b)
    if len(shape) > 1 and b_shape and b_shape[-2 if len(b_shape) > 1 else -1] != shape[-1]:
        raise ValueError(
            f"solve of shape {shape} and {b_shape}: the matrices need to be (..., n, n), and the "
            "second (..., n, m), or (n,) for a vector"
        )
    if np.ndim(b) == 1:
        return primitives.solve(a, np.reshape(b, (-1, 1)))[..., 0]
    return primitives.solve(a, b)


@stands_for(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Sign and log |·| of the determinant; the sign has derivative 0."""
    logabsdet = primitives.logabsdet(a)
    result = np.linalg.slogdet(a.data)
    return type(result)(Tensor(result.sign), logabsdet)


@stands_for(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Z with z zᵀ = a, lower triangular; or the upper triangular zᵀ."""
    z = primitives.cholesky(a)
    return z.mT if upper else z
