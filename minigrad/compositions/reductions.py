"""Products, variances and norms, made of the table's rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from minigrad import primitives
from minigrad.linear_maps import count
from minigrad.primitive import stands_for
from minigrad.tensor import Tensor

__all__ = [
    "cumprod", "matrix_norm", "norm", "prod", "ptp", "std", "var", "vector_norm",
]  # fmt: skip


@stands_for(np.prod)
def prod(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Multiply one half of the elements with the other, until one is left.

    The shorter formula for the gradient, product / element, fails where an element is 0.
    """
    if a.dtype.kind != "f":  # nothing to differentiate, and NumPy widens small integers
        return Tensor(np.prod(a.data, axis=axis, keepdims=keepdims))
    axes = normalize_axis_tuple(range(a.ndim) if axis is None else axis, a.ndim)
    rest = tuple(i for i in range(a.ndim) if i not in axes)
    shape = tuple(a.shape[i] for i in rest)
    z = a.transpose((*axes, *rest)).reshape(count(a, axes), *shape)
    if len(z) == 0:
        z = z.sum(axis=0, keepdims=True) + np.ones((1, *shape), a.dtype)
    while len(z) > 1:
        half = len(z) // 2
        pairs = z[:half] * z[half : 2 * half]
        z = np.concatenate([pairs, z[2 * half :]]) if len(z) % 2 else pairs
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    return z.reshape(kept if keepdims else shape)


@stands_for(np.cumprod)
def cumprod(a: Any, axis: int | None = None) -> Any:
    """Multiply each product of n elements with the n before it, for n = 1, 2, 4, ...

    (Right also where elements are 0; see `prod`.)
    """
    if a.dtype.kind != "f":
        return Tensor(np.cumprod(a.data, axis=axis))
    z = np.reshape(a, -1) if axis is None else np.moveaxis(a, axis, 0)
    n = 1
    while n < len(z):
        z = np.concatenate([z[:n], z[n:] * z[:-n]])
        n *= 2
    return z if axis is None else np.moveaxis(z, 0, axis)


@stands_for(np.cumulative_sum)
def cumulative_sum(x: Any, /, *, axis: int | None = None) -> Any:
    """The array API's name for cumsum; a matrix needs an axis."""
    return np.cumsum(x, axis=_only_axis(x, axis))


@stands_for(np.cumulative_prod)
def cumulative_prod(x: Any, /, *, axis: int | None = None) -> Any:
    """The array API's name for cumprod; a matrix needs an axis."""
    return np.cumprod(x, axis=_only_axis(x, axis))


def _only_axis(x: Any, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ValueError(f"of an array of shape {x.shape}: axis= must say along which axis")
    return axis or 0


@stands_for(np.var)
def var(
    a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: Any = None
) -> Any:
    """Σ (a - mean a)² / (n - ddof)."""
    n = _degrees_of_freedom("var", a, axis, ddof if correction is None else correction)
    return np.sum(np.square(a - np.mean(a, axis=axis, keepdims=True)), axis, keepdims=keepdims) / n


@stands_for(np.std)
def std(
    a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False, correction: Any = None
) -> Any:
    """√var, as ‖a - mean a‖ / √(n - ddof), whose subgradient for equal elements is 0."""
    n = _degrees_of_freedom("std", a, axis, ddof if correction is None else correction)
    deviation = a - np.mean(a, axis=axis, keepdims=True)
    return primitives.norm(deviation, axis=axis, keepdims=keepdims) / n**0.5


def _degrees_of_freedom(name: str, a: Any, axis: Any, ddof: float) -> float:
    n = count(a, axis)
    if n - ddof <= 0:
        raise ValueError(
            f"{name} of shape {a.shape} with axis={axis}, ddof={ddof}: of {n} element(s), the "
            "divisor n - ddof must be positive"
        )
    return n - ddof


@stands_for(np.ptp)
def ptp(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Max - min."""
    if not a.size and not count(a, axis):
        raise ValueError(f"ptp of shape {a.shape} with axis={axis}: there is no element to take")
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@stands_for(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """Σ w a / Σ w; the mean without weights."""
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    if np.shape(weights) != np.shape(a):
        if not isinstance(axis, int) or np.shape(weights) != (np.shape(a)[axis],):
            raise ValueError(
                f"average of shape {np.shape(a)}: weights of shape {np.shape(weights)} must have "
                "that shape too, or the one axis that axis= names"
            )
        after = np.ndim(a) - 1 - axis % np.ndim(a)
        weights = np.reshape(weights, (-1,) + (1,) * after)
        weights = np.broadcast_to(weights, np.shape(a))
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    return np.sum(np.multiply(a, weights), axis=axis, keepdims=keepdims) / total


@stands_for(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Any:
    """(Σ |x|ᵖ)^(1/p) over all axes, or over those given."""
    if ord == 2:
        return primitives.norm(x, axis=axis, keepdims=keepdims)
    size = np.abs(x)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    if ord == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.sign(size), axis=axis, keepdims=keepdims)
    total = np.sum(size**ord, axis=axis, keepdims=keepdims)
    # At 0 the root's slope is infinite; the 0 beside it keeps the subgradient 0.
    return primitives.one_for_zero(total) ** (1 / ord) * np.not_equal(total, 0)


@stands_for(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The Frobenius norm √Σ x², or the largest sum of |x| along a column (1) or row (inf)."""
    if ord == "fro":
        return primitives.norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord not in (1, -1, np.inf, -np.inf):
        raise TypeError(
            f"the norm of a matrix of Tensors with ord={ord!r}: accepted are 'fro', 1, -1, inf "
            "and -inf; the others need a singular value decomposition, which is not in the table"
        )
    along = -2 if abs(ord) == 1 else -1
    extreme = np.max if ord > 0 else np.min
    sums = np.sum(np.abs(x), axis=along, keepdims=True)
    z = extreme(sums, axis=(-2, -1), keepdims=True)
    return z if keepdims else np.squeeze(z, axis=(-2, -1))


@stands_for(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of a vector or a matrix, as NumPy tells them apart: by `axis`, or else by x.

    The 2-norm of a vector of zeros has derivative 0, a subgradient.
    """
    if ord is None and (axis is None or np.size(axis) <= 2):
        return primitives.norm(x, axis=axis, keepdims=keepdims)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"norm of a vector with ord={ord!r}: accepted is a number")
        return vector_norm(x, axis=axes[0], keepdims=keepdims, ord=ord)
    if len(axes) == 2:
        z = matrix_norm(np.moveaxis(x, axes, (-2, -1)), keepdims=keepdims, ord=ord)
        return np.moveaxis(z, (-2, -1), axes) if keepdims else z
    raise ValueError(
        f"norm of shape {x.shape} over axes {axes}: a vector has one axis and a matrix two; "
        "name them with axis="
    )


@stands_for(np.add.reduce)
def add_reduce(array: Any, axis: Any = 0, *, keepdims: bool = False) -> Any:
    """Sum over the first axis, unless another is named."""
    return np.sum(array, axis=axis, keepdims=keepdims)


@stands_for(np.multiply.reduce)
def multiply_reduce(array: Any, axis: Any = 0, *, keepdims: bool = False) -> Any:
    """Product over the first axis, unless another is named."""
    return prod(array, axis, keepdims=keepdims)


@stands_for(np.maximum.reduce)
def maximum_reduce(array: Any, axis: Any = 0, *, keepdims: bool = False) -> Any:
    """Maximum over the first axis, unless another is named."""
    return np.max(array, axis=axis, keepdims=keepdims)


@stands_for(np.minimum.reduce)
def minimum_reduce(array: Any, axis: Any = 0, *, keepdims: bool = False) -> Any:
    """Minimum over the first axis, unless another is named."""
    return np.min(array, axis=axis, keepdims=keepdims)


@stands_for(np.logaddexp.reduce)
def logaddexp_reduce(array: Any, axis: Any = 0, *, keepdims: bool = False) -> Any:
    """The logarithm of Σ exp over the first axis, unless another is named."""
    return primitives.logsumexp(array, axis=axis, keepdims=keepdims)


@stands_for(np.add.accumulate)
def add_accumulate(array: Any, axis: int = 0) -> Any:
    """Cumulative sum along the first axis, unless another is named."""
    return np.cumsum(array, axis=axis)


@stands_for(np.multiply.accumulate)
def multiply_accumulate(array: Any, axis: int = 0) -> Any:
    """Cumulative product along the first axis, unless another is named."""
    return cumprod(array, axis)
