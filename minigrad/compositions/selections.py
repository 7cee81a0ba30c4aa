"""Elements picked by place or by size, made of the table's rows `getitem`, `scatter`, `where`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad import primitives
from minigrad.linear_maps import count
from minigrad.primitive import bare, stands_for
from minigrad.recording import is_traced

__all__ = [
    "clip", "delete", "diag", "diagonal", "diff", "median", "repeat", "sort", "take",
    "take_along_axis", "tril", "triu", "where",
]  # fmt: skip


@stands_for(np.where)
def where(condition: Any, x: Any, y: Any) -> Any:
    """Elements of x where the condition holds, of y where it does not."""
    return primitives.where(x, y, condition=bare(condition))


@stands_for(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Raise to a_min, then lower to a_max; half of the gradient goes to a bound that a equals."""
    low, high = a_min if min is None else min, a_max if max is None else max
    z = primitives.positive(a)
    if low is not None:
        z = np.maximum(z, low)
    return z if high is None else np.minimum(z, high)


@stands_for(np.take)
def take(a: Any, indices: Any, axis: int | None = None) -> Any:
    """Elements, or slices along an axis, by number; one that is named twice is there twice."""
    index = _whole(indices)
    if axis is None:
        return np.reshape(a, -1)[index]
    before = (slice(None),) * normalize_axis_index(axis, a.ndim)
    return a[before + (index,)]  # noqa: RUF005  a[*b, c] is Python 3.11


def _whole(indices: Any) -> npt.NDArray[np.intp]:
    """Whole numbers, as NumPy takes them: no fractions, True as 1, and an empty list."""
    array: Any = bare(indices)
    if not is_traced(array):
        array = np.asarray(array)
    whole: npt.NDArray[np.intp] = array.astype(
        np.intp, casting="safe" if array.size else "unsafe", copy=False
    )
    return whole


@stands_for(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """All but some elements, or slices along an axis, by number."""
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    return take(arr, np.delete(np.arange(arr.shape[axis]), bare(obj)), axis)


@stands_for(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Elements by number along an axis, other numbers in each row."""
    indices = _whole(indices)
    if axis is None:
        return np.reshape(arr, -1)[indices]
    if indices.ndim != arr.ndim:
        raise ValueError(
            f"take_along_axis of shape {arr.shape}: the indices, of shape {indices.shape}, must "
            "have as many axes"
        )
    places: list[Any] = list(np.ogrid[tuple(slice(n) for n in arr.shape)])
    places[axis] = indices
    return arr[tuple(places)]


@stands_for(np.sort)
def sort(a: Any, axis: int | None = -1, kind: Any = None, *, stable: bool | None = None) -> Any:
    """Ascending order along an axis; every element takes its gradient with it."""
    if axis is None:
        a, axis = np.reshape(a, -1), -1
    order = np.argsort(a.data, axis=axis, kind=kind, stable=stable)
    return take_along_axis(a, order, axis)


@stands_for(np.median)
def median(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """The middle one of the sorted elements, or the mean of the two in the middle."""
    axes = normalize_axis_tuple(range(a.ndim) if axis is None else axis, a.ndim)
    rest = tuple(i for i in range(a.ndim) if i not in axes)
    n = count(a, axes)
    if n == 0:
        raise ValueError(f"median of shape {a.shape} with axis={axis}: there is no element")
    rows = np.sort(a.transpose(rest + axes).reshape((*(a.shape[i] for i in rest), n)))
    middle = rows[..., (n - 1) // 2 : n // 2 + 1].mean(axis=-1)
    kept = tuple(1 if i in axes else k for i, k in enumerate(a.shape))
    return middle.reshape(kept) if keepdims else middle


@stands_for(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element, or slice along an axis, several times in a row."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    return take(a, np.repeat(np.arange(a.shape[axis]), bare(repeats)), axis)


@stands_for(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element minus the one before it, n times."""
    before = (slice(None),) * normalize_axis_index(axis, a.ndim)
    but_the_first, but_the_last = (*before, slice(1, None)), (*before, slice(-1))
    for _ in range(n):
        a = a[but_the_first] - a[but_the_last]
    return a


@stands_for(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements a_i,i+offset of the matrices in two axes."""
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    i = np.arange(len(np.diagonal(np.empty(a.shape[-2:]), offset)))
    return a[..., i + max(-offset, 0), i + max(offset, 0)]


@stands_for(np.linalg.diagonal)
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the matrices in the last two axes."""
    return diagonal(x, offset, -2, -1)


@stands_for(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """The diagonal of a matrix; for a vector, the matrix with that diagonal."""
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError(f"diag of shape {v.shape}: accepted is a vector or a matrix")
    i = np.arange(len(v))
    n = len(v) + abs(k)
    return primitives.scatter(v, index=(i + max(-k, 0), i + max(k, 0)), shape=(n, n))


@stands_for(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """The lower triangle, and zeros above its diagonal number k."""
    return primitives.where(m, 0, condition=_lower(m, k))


@stands_for(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """The upper triangle, and zeros below its diagonal number k."""
    return primitives.where(0, m, condition=_lower(m, k - 1))


def _lower(m: Any, k: int) -> npt.NDArray[np.bool_]:
    """Where the column is at most k to the right of the row; a vector is repeated as rows."""
    if not m.ndim:
        raise ValueError("tril and triu of shape (): accepted is a matrix, or a vector as its rows")
    n, columns = m.shape[-2:] if m.ndim > 1 else 2 * m.shape
    return np.tri(n, columns, k, dtype=bool)
