"""Loops over the windows of images, x of shape (images, channels, height, width).

The windows are given as the pairs (vertical, horizontal) of `functional.windows.Windows`; `size`
says how many there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from minigrad.kernels.compilation import FUSE, kernel


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _inside(first: int, step: int, count: int, length: int) -> tuple[int, int]:
    """Return the range of q below `count` for which 0 ≤ first + step q < length."""
    start = min(max(0, -(first // step)), count)
    return start, max(start, min(count, (length - 1 - first) // step + 1))


# A window's element (i, j) is taken in two steps: column j of the image, then row i of that.  Where
# the windows are as many as the columns, or follow each other without a stride, a step is one copy
# from a place further on; so images are flat here, with a width.


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _clear_beside(z: Any, first: int, width: int) -> None:
    """Set the columns q of z to 0 for which first + q is not in an image of the same width."""
    start, stop = (0, -first) if first < 0 else (width - first, width)
    for q in range(start, stop):
        for k in range(q, z.size, width):
            z[k] = 0


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _take_columns(x: Any, width: int, first: int, step: int, z: Any, columns: int) -> None:
    """Write column first + step q of x to column q of z, and 0 where x has none."""
    if step == 1 and columns == width > abs(first):  # all at once, then what has come from beside
        source, target = x[max(first, 0) :], z[max(-first, 0) :]
        for k in range(x.size - abs(first)):
            target[k] = source[k]
        _clear_beside(z, first, width)
        return
    start, stop = _inside(first, step, columns, width)
    for r in range(x.size // width):
        for q in range(columns):
            z[r * columns + q] = x[r * width + first + step * q] if start <= q < stop else 0


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _add_columns(z: Any, columns: int, first: int, step: int, x: Any, width: int) -> None:
    """Add column q of z to column first + step q of x where there is one; uses z up."""
    if step == 1 and columns == width > abs(first):
        _clear_beside(z, first, width)
        source, target = z[max(-first, 0) :], x[max(first, 0) :]
        for k in range(x.size - abs(first)):
            target[k] += source[k]
        return
    start, stop = _inside(first, step, columns, width)
    for r in range(x.size // width):
        for q in range(start, stop):
            x[r * width + first + step * q] += z[r * columns + q]


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _take_rows(x: Any, height: int, first: int, step: int, z: Any, rows: int, width: int) -> None:
    """Write row first + step r of x to row r of z, and 0 where x has none."""
    start, stop = _inside(first, step, rows, height)
    for k in range(start * width):
        z[k] = 0
    for k in range(stop * width, rows * width):
        z[k] = 0
    count, length = (1, (stop - start) * width) if step == 1 else (stop - start, width)
    for r in range(start, start + count):
        source, target = x[(first + step * r) * width :], z[r * width :]
        for k in range(length):
            target[k] = source[k]


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _add_rows(z: Any, rows: int, first: int, step: int, x: Any, height: int, width: int) -> None:
    """Add row r of z to row first + step r of x where there is one."""
    start, stop = _inside(first, step, rows, height)
    count, length = (1, (stop - start) * width) if step == 1 else (stop - start, width)
    for r in range(start, start + count):
        source, target = z[r * width :], x[(first + step * r) * width :]
        for k in range(length):
            target[k] += source[k]


@kernel(FUSE)
def image_to_columns(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Write element (i, j) of all windows of channel c to row (c, i, j) of z[n]; 0 outside x."""
    height, width = x.shape[2:]
    rows, columns = size
    flat = x.reshape(x.shape[0], x.shape[1], height * width)
    taken = np.empty(height * columns, x.dtype)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for j in range(kernel[1]):
                right = j * dilation[1] - padding[1]
                _take_columns(flat[n, c], width, right, stride[1], taken, columns)
                for i in range(kernel[0]):
                    down = i * dilation[0] - padding[0]
                    row = z[n, (c * kernel[0] + i) * kernel[1] + j]
                    _take_rows(taken, height, down, stride[0], row, rows, columns)


@kernel(FUSE)
def columns_to_image(
    columns: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Write the sum of the columns' elements to where `image_to_columns` took them from."""
    height, width = z.shape[2:]
    flat = z.reshape(z.shape[0], z.shape[1], height * width)
    taken = np.empty(height * size[1], z.dtype)
    flat[:] = 0
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            for j in range(kernel[1]):
                taken[:] = 0
                for i in range(kernel[0]):
                    down = i * dilation[0] - padding[0]
                    row = columns[n, (c * kernel[0] + i) * kernel[1] + j]
                    _add_rows(row, size[0], down, stride[0], taken, height, size[1])
                right = j * dilation[1] - padding[1]
                _add_columns(taken, size[1], right, stride[1], flat[n, c], width)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _replaces(value: Any, best: Any) -> Any:
    """Whether a value is a new maximum: the first of equals stays, and a NaN is above all."""
    return (not (value <= best)) & (best == best)


@kernel(FUSE)
def index_of_maximum(x: Any, kernel: Any, stride: Any, padding: Any, z: Any) -> None:
    """Write the index in x.reshape(-1) of each window's first maximum, or first NaN, to z."""
    height, width = x.shape[2:]
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            origin = (n * x.shape[1] + c) * height * width
            for r in range(z.shape[2]):
                top = r * stride[0] - padding[0]
                first, below = max(top, 0), min(top + kernel[0], height)
                for q in range(z.shape[3]):
                    left = q * stride[1] - padding[1]
                    start, beyond = max(left, 0), min(left + kernel[1], width)
                    best, where = x[n, c, first, start], first * width + start
                    for y in range(first, below):
                        for at in range(start, beyond):
                            value = x[n, c, y, at]
                            better = _replaces(value, best)
                            best = value if better else best
                            where = y * width + at if better else where
                    z[n, c, r, q] = origin + where


# Windows of 2x2 side by side in images of even width, nearly all that networks use: there the
# elements 2k and 2k + 1 are neighbors in a row for every k.  A loop over a whole channel finds the
# larger of each two, and a loop over each row compares those with the ones below.


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def _larger_neighbors(x: Any, z: Any) -> None:
    """Write the larger of x[2k] and x[2k + 1] to z[k]."""
    for k in range(z.size):
        left, right = x[2 * k], x[2 * k + 1]
        z[k] = right if _replaces(right, left) else left


@kernel(FUSE)
def maximum_2x2(x: Any, z: Any) -> None:
    """Write the maximum of each window to z."""
    rows, columns = z.shape[2:]
    flat = x.reshape(x.shape[0], x.shape[1], x.shape[2] * x.shape[3])
    larger = np.empty(x.shape[2] * columns, x.dtype)
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            _larger_neighbors(flat[n, c], larger)
            for r in range(rows):
                above, below = larger[2 * r * columns :], larger[(2 * r + 1) * columns :]
                for q in range(columns):
                    u, v = above[q], below[q]
                    z[n, c, r, q] = v if _replaces(v, u) else u


@kernel(FUSE)
def put_at_maximum_2x2(g: Any, x: Any, z: Any) -> None:
    """Write g to where in z the first maximum of each window of x is, and 0 to its other places."""
    rows, columns = g.shape[2:]
    zero = g.dtype.type(0)
    flat = x.reshape(x.shape[0], x.shape[1], x.shape[2] * x.shape[3])
    flat_z = z.reshape(flat.shape)
    larger = np.empty(x.shape[2] * columns, x.dtype)
    share = np.zeros(larger.size, g.dtype)  # what of g goes to either of two neighbors
    for n in range(g.shape[0]):
        for c in range(g.shape[1]):
            channel, channel_z = flat[n, c], flat_z[n, c]
            _larger_neighbors(channel, larger)
            for r in range(rows):
                above, below = larger[2 * r * columns :], larger[(2 * r + 1) * columns :]
                to_above, to_below = share[2 * r * columns :], share[(2 * r + 1) * columns :]
                for q in range(columns):
                    v, is_below = g[n, c, r, q], _replaces(below[q], above[q])
                    to_above[q], to_below[q] = zero if is_below else v, v if is_below else zero
            for k in range(share.size):
                v, is_right = share[k], _replaces(channel[2 * k + 1], channel[2 * k])
                to_left, to_right = zero if is_right else v, v if is_right else zero
                channel_z[2 * k], channel_z[2 * k + 1] = to_left, to_right
