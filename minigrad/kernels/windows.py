"""Loops over the windows of images, x of shape (images, channels, height, width).

The windows are given as the pairs (vertical, horizontal) of `functional.windows.Windows`; `size`
says how many there are.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from minigrad.kernels.compilation import FUSE, kernel


@njit  # type: ignore[untyped-decorator]
def _inside(first: int, step: int, count: int, length: int) -> tuple[int, int]:
    """Return the range of q below `count` for which 0 ≤ first + step q < length."""
    start = min(max(0, -(first // step)), count)
    return start, max(start, min(count, (length - 1 - first) // step + 1))


@njit  # type: ignore[untyped-decorator]
def _is_shift(height: int, width: int, stride: Any, size: Any) -> bool:
    """Whether there is a window at each place, so that columns are shifted copies of a channel."""
    return stride[0] == stride[1] == 1 and size[0] == height and size[1] == width


@njit  # type: ignore[untyped-decorator]
def _clear_outside(row: Any, down: int, right: int, height: int, width: int) -> None:
    """Set those of a channel's elements to 0 that are outside once it is shifted."""
    for k in range(min(-down, height) * width):
        row[k] = 0
    for k in range(max(height - down, 0) * width, height * width):
        row[k] = 0
    if right < 0:
        for k in range(0, height * width, width):
            for q in range(min(-right, width)):
                row[k + q] = 0
    elif right > 0:
        for k in range(0, height * width, width):
            for q in range(max(width - right, 0), width):
                row[k + q] = 0


@kernel(FUSE)
def image_to_columns(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Write element (i, j) of all windows of channel c to row (c, i, j) of z[n]; 0 outside x."""
    height, width = x.shape[2:]
    shift = _is_shift(height, width, stride, size)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            flat = x[n, c].reshape(-1)
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    row = z[n, (c * kernel[0] + i) * kernel[1] + j]
                    down, right = i * dilation[0] - padding[0], j * dilation[1] - padding[1]
                    if shift:
                        by = down * width + right
                        for k in range(max(0, -by), min(flat.size, flat.size - by)):
                            row[k] = flat[k + by]
                        _clear_outside(row, down, right, height, width)
                        continue
                    start, stop = _inside(right, stride[1], size[1], width)
                    for r in range(size[0]):
                        y = r * stride[0] + down
                        for q in range(size[1]):
                            if 0 <= y < height and start <= q < stop:
                                row[r * size[1] + q] = x[n, c, y, right + q * stride[1]]
                            else:
                                row[r * size[1] + q] = 0


@kernel(FUSE)
def columns_to_image(
    columns: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Add each element of the columns to where `image_to_columns` took it from; uses them up."""
    height, width = z.shape[2:]
    shift = _is_shift(height, width, stride, size)
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            flat = z[n, c].reshape(-1)
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    row = columns[n, (c * kernel[0] + i) * kernel[1] + j]
                    down, right = i * dilation[0] - padding[0], j * dilation[1] - padding[1]
                    if shift:
                        by = down * width + right
                        _clear_outside(row, down, right, height, width)
                        for k in range(max(0, -by), min(flat.size, flat.size - by)):
                            flat[k + by] += row[k]
                        continue
                    start, stop = _inside(right, stride[1], size[1], width)
                    for r in range(size[0]):
                        y = r * stride[0] + down
                        if 0 <= y < height:
                            for q in range(start, stop):
                                z[n, c, y, right + q * stride[1]] += row[r * size[1] + q]


@njit  # type: ignore[untyped-decorator]
def _replaces(value: Any, best: Any) -> Any:
    """Whether a value is a new maximum: the first of equals stays, and a NaN is above all."""
    return (value > best) | ((value != value) & (best == best))


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


# Windows of 2x2 side by side, which are nearly all that networks use: whole rows of them at once.


@kernel(FUSE)
def maximum_2x2(x: Any, z: Any) -> None:
    """Write the maximum of each window to z."""
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            for r in range(z.shape[2]):
                for q in range(z.shape[3]):
                    best = x[n, c, 2 * r, 2 * q]
                    for value in (
                        x[n, c, 2 * r, 2 * q + 1],
                        x[n, c, 2 * r + 1, 2 * q],
                        x[n, c, 2 * r + 1, 2 * q + 1],
                    ):
                        best = value if _replaces(value, best) else best
                    z[n, c, r, q] = best


@kernel(FUSE)
def put_at_maximum_2x2(g: Any, x: Any, z: Any) -> None:
    """Write g to where in z the first maximum of each window of x is, and 0 to its other places."""
    zero = g.dtype.type(0)
    for n in range(g.shape[0]):
        for c in range(g.shape[1]):
            for r in range(g.shape[2]):
                upper, lower = x[n, c, 2 * r], x[n, c, 2 * r + 1]
                z_upper, z_lower = z[n, c, 2 * r], z[n, c, 2 * r + 1]
                for q in range(g.shape[3]):
                    v = g[n, c, r, q]
                    right_above = _replaces(upper[2 * q + 1], upper[2 * q])
                    right_below = _replaces(lower[2 * q + 1], lower[2 * q])
                    above = upper[2 * q + 1] if right_above else upper[2 * q]
                    below = lower[2 * q + 1] if right_below else lower[2 * q]
                    is_below = _replaces(below, above)
                    v_above, v_below = (zero if is_below else v), (v if is_below else zero)
                    z_upper[2 * q] = zero if right_above else v_above
                    z_upper[2 * q + 1] = v_above if right_above else zero
                    z_lower[2 * q] = zero if right_below else v_below
                    z_lower[2 * q + 1] = v_below if right_below else zero
