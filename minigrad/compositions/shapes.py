"""Other axes, and arrays joined and cut, made of the table's rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from minigrad import primitives
from minigrad.primitive import bare, stands_for

__all__ = [
    "array_split", "atleast_1d", "atleast_2d", "broadcast_arrays", "column_stack", "concatenate",
    "expand_dims", "flip", "hstack", "matrix_transpose", "moveaxis", "pad", "ravel", "roll",
    "split", "squeeze", "stack", "swapaxes", "tile", "unstack", "vstack",
]  # fmt: skip


@stands_for(np.copy)
def copy(a: Any, order: str = "K") -> Any:
    """A new node with the same values."""
    return primitives.positive(a)


@stands_for(np.ravel)
def ravel(a: Any) -> Any:
    """All elements along one axis."""
    return np.reshape(a, -1)


@stands_for(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Bring axes to another place; the others keep their order."""
    n = np.ndim(a)
    here, there = normalize_axis_tuple(source, n), normalize_axis_tuple(destination, n)
    if len(here) != len(there):
        raise ValueError(f"moveaxis from {source} to {destination}: both must name as many axes")
    order = [i for i in range(n) if i not in here]
    for to, axis in sorted(zip(there, here, strict=True)):
        order.insert(to, axis)
    return np.transpose(a, tuple(order))


@stands_for(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    order = list(range(np.ndim(a)))
    i, j = (normalize_axis_index(axis, np.ndim(a)) for axis in (axis1, axis2))
    order[i], order[j] = j, i
    return np.transpose(a, tuple(order))


@stands_for(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    return swapaxes(x, -1, -2)


@stands_for(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Drop axes of length 1: all of them, or those named."""
    shape = np.shape(a)
    if axis is None:
        return np.reshape(a, tuple(n for n in shape if n != 1))
    dropped = normalize_axis_tuple(axis, len(shape))
    if any(shape[i] != 1 for i in dropped):
        raise ValueError(f"squeeze of shape {shape} with axis={axis}: only length 1 can be dropped")
    return np.reshape(a, tuple(n for i, n in enumerate(shape) if i not in dropped))


@stands_for(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Put in axes of length 1."""
    added = normalize_axis_tuple(axis, np.ndim(a) + np.size(axis))
    rest = iter(np.shape(a))
    return np.reshape(
        a, tuple(1 if i in added else next(rest) for i in range(np.ndim(a) + len(added)))
    )


@stands_for(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Give a number an axis."""
    results = tuple(a if np.ndim(a) else np.reshape(a, 1) for a in arys)
    return results[0] if len(arys) == 1 else results


@stands_for(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Make a number or a vector a row."""
    results = tuple(a if np.ndim(a) > 1 else np.reshape(a, (1, -1)) for a in arys)
    return results[0] if len(arys) == 1 else results


@stands_for(np.broadcast_arrays)
def broadcast_arrays(*args: Any) -> tuple[Any, ...]:
    """Repeat each array to the shape that all of them broadcast to."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


# Joining and cutting


@stands_for(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Join along an axis that there is; with None, all elements along one."""
    if axis is None:
        return primitives.concatenate(*(np.reshape(x, -1) for x in arrays))
    return primitives.concatenate(*arrays, axis=axis)


@stands_for(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Join along a new axis."""
    shapes = [np.shape(a) for a in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(f"stack of shape {' and '.join(map(str, shapes))}: they must be equal")
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis)


@stands_for(np.vstack)
def vstack(tup: Sequence[Any]) -> Any:
    """Join rows, or matrices one below the other."""
    return concatenate([np.atleast_2d(a) for a in tup])


@stands_for(np.hstack)
def hstack(tup: Sequence[Any]) -> Any:
    """Join side by side: along the second axis, or the only one."""
    arrays = [np.atleast_1d(a) for a in tup]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)


@stands_for(np.dstack)
def dstack(tup: Sequence[Any]) -> Any:
    """Join along a third axis, which vectors and matrices get first."""
    rows = [np.atleast_2d(a) for a in tup]
    return concatenate([np.expand_dims(a, -1) if np.ndim(a) == 2 else a for a in rows], 2)


@stands_for(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """Join two arrays; without an axis, all their elements."""
    return concatenate([arr, values], axis)


@stands_for(np.column_stack)
def column_stack(tup: Sequence[Any]) -> Any:
    """Join vectors as the columns of a matrix."""
    return concatenate([a if np.ndim(a) > 1 else np.reshape(a, (-1, 1)) for a in tup], 1)


@stands_for(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut at the given indices, or into as many parts, the first longer by 1 if need be."""
    axis = normalize_axis_index(axis, ary.ndim)
    places = np.array_split(np.arange(ary.shape[axis]), bare(indices_or_sections))
    before = (slice(None),) * axis
    parts = [slice(place[0], place[-1] + 1) if place.size else slice(0) for place in places]
    return [ary[before + (part,)] for part in parts]  # noqa: RUF005  a[*b, c] is Python 3.11


@stands_for(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut at the given indices, or into as many equal parts."""
    n = ary.shape[axis]
    if isinstance(indices_or_sections, int | np.integer) and n % indices_or_sections:
        raise ValueError(
            f"split of shape {ary.shape}: axis {axis} has length {n}, which is not a multiple of "
            f"{indices_or_sections}; np.array_split gives parts of unequal lengths"
        )
    return array_split(ary, indices_or_sections, axis)


@stands_for(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut between rows."""
    return split(ary, indices_or_sections, 0)


@stands_for(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Cut between columns, or a vector between elements."""
    return split(ary, indices_or_sections, 0 if ary.ndim == 1 else 1)


@stands_for(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The parts along an axis, without that axis."""
    return tuple(np.moveaxis(x, axis, 0))


# Repeating, filling up and turning round


@stands_for(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Lay copies side by side, `reps` of them along each axis."""
    repeats = tuple(np.atleast_1d(bare(reps)).tolist())
    n = max(len(repeats), A.ndim)
    repeats = (1,) * (n - len(repeats)) + repeats
    shape = (1,) * (n - A.ndim) + A.shape
    split = A.reshape(tuple(k for length in shape for k in (1, length)))
    every = tuple(k for pair in zip(repeats, shape, strict=True) for k in pair)
    total = tuple(r * length for r, length in zip(repeats, shape, strict=True))
    return np.broadcast_to(split, every).reshape(total)


@stands_for(np.pad)
def pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """Put a constant around an array: the array amid zeros, and the constant amid which it is 0."""
    if mode != "constant":
        raise TypeError(f"numpy.pad of a Tensor with mode={mode!r}: accepted is 'constant'")
    frame = np.pad(np.zeros(array.shape, array.dtype), pad_width, constant_values=constant_values)
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i, pad_width.get(i - array.ndim, 0)) for i in range(array.ndim)]
        pad_width = [(w, w) if isinstance(w, int) else w for w in pad_width]
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    place = tuple(
        slice(before, before + n) for (before, _), n in zip(widths, array.shape, strict=True)
    )
    amid = primitives.scatter(array, index=place, shape=frame.shape)
    return amid + frame if np.any(frame) else amid


@stands_for(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Reverse the order along axes, or along all of them."""
    flipped = normalize_axis_tuple(range(m.ndim) if axis is None else axis, m.ndim)
    return m[tuple(slice(None, None, -1 if i in flipped else None) for i in range(m.ndim))]


@stands_for(np.flipud)
def flipud(m: Any) -> Any:
    """Reverse the order of the rows."""
    return flip(m, 0)


@stands_for(np.fliplr)
def fliplr(m: Any) -> Any:
    """Reverse the order of the columns."""
    return flip(m, 1)


@stands_for(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Move along axes, and let what leaves at one end come back at the other."""
    if axis is None:
        return roll(np.reshape(a, -1), shift, 0).reshape(a.shape)
    shifts, axes = np.broadcast_arrays(shift, axis)
    for n, along in zip(shifts.ravel().tolist(), axes.ravel().tolist(), strict=True):
        length = a.shape[normalize_axis_index(along, a.ndim)]
        cut = -n % length if length else 0
        first, second = np.split(a, [cut], axis=along)
        a = concatenate([second, first], along)
    return a
