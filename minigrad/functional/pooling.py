"""Pooling: one number for each window of an image, its maximum or its mean.

Maximum pooling picks the largest element of each window.  Which one that is does not change with
small changes of x, so the derivative is a linear map like that of indexing, and its transpose puts
each gradient back where the element came from.  Average pooling is linear from the start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.compiled import kernels_for
from minigrad.functional.windows import Pair, Windows, blocks, check_images, pair
from minigrad.primitive import Primitive
from minigrad.primitives import zero

__all__ = [
    "at_maximum", "avg_pool2d", "max_pool2d", "maximum_of_windows", "mean_of_windows",
    "mean_of_windows_transpose", "put_at_maximum",
]  # fmt: skip


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Any:
    """Largest element of each window.

    Where several elements are equally large, the first of them (row by row) receives the whole
    gradient; this is a subgradient, and PyTorch's choice.  A window with a NaN gives NaN.

    Parameters
    ----------
    x : array_like or Tensor
        Images, shape (N, C, H, W).
    kernel_size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        From window to window; by default `kernel_size`, so that windows lie side by side.
    padding : int or pair of int
        Elements -∞ around the image on each side, at most half a window.

    Returns
    -------
    Tensor or ndarray
        Shape (N, C, rows, columns), with rows = ⌊(H + 2 padding - kernel) / stride⌋ + 1, and
        columns alike.

    Raises
    ------
    TypeError, ValueError
        If the images have no four axes, a window is larger than the padded image, or an option
        is no number that it can be.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """
    windows = _windows("max_pool2d", x, kernel_size, stride, padding)
    return maximum_of_windows(x, windows=windows)


def avg_pool2d(
    x: Any,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
) -> Any:
    """Mean of each window, over all its elements: the zeros of the padding count.

    (PyTorch's default too, ``count_include_pad=True``.)

    Parameters
    ----------
    x, kernel_size, stride
        As in `max_pool2d`.
    padding : int or pair of int
        Zeros around the image on each side, at most half a window.

    Returns
    -------
    Tensor or ndarray
        As in `max_pool2d`.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`.

    Examples
    --------
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    windows = _windows("avg_pool2d", x, kernel_size, stride, padding)
    return mean_of_windows(x, windows=windows)


def _windows(
    function: str, x: Any, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair
) -> Windows:
    windows = Windows(
        pair(function, "kernel_size", kernel_size, 1),
        pair(function, "stride", kernel_size if stride is None else stride, 1),
        pair(function, "padding", padding, 0),
    )
    if any(2 * p > k for p, k in zip(windows.padding, windows.kernel, strict=True)):
        raise ValueError(
            f"{function}: padding={padding!r} must be at most half of kernel_size="
            f"{kernel_size!r}, so that no window lies in the padding alone"
        )
    check_images(function, x, windows)
    return windows


def _index_of_maximum(x: npt.NDArray[Any], windows: Windows) -> npt.NDArray[np.intp]:
    """Return where each window's first maximum lies in x.reshape(-1): (N, C, rows, columns)."""
    kernels = kernels_for(x)
    if kernels is not None:
        index = np.empty((*x.shape[:2], *windows.along(x.shape[2:])), np.intp)
        kernels.index_of_maximum(x, *windows[:3], index)
        return index
    n, channels, height, width = x.shape
    (sh, sw), (above, left) = windows.stride, windows.padding
    rows, columns = windows.along((height, width))
    images = np.arange(n * channels).reshape(n, channels, 1, 1) * (height * width)
    corners = (np.arange(rows)[:, None] * sh - above) * width + np.arange(columns) * sw - left
    z = images + corners
    steps = np.array([i * width + j for i, j, _ in windows.elements((height, width))])
    for some in blocks(n, channels * rows * columns * len(steps) * x.itemsize):
        z[some] += steps[_number_of_maximum(x[some], windows)]
    return z


def _number_of_maximum(x: npt.NDArray[Any], windows: Windows) -> npt.NDArray[Any]:
    """Count the elements of each window before the first that is its maximum."""
    size = x.shape[2:]
    places = [place for _, _, place in windows.elements(size)]
    padded = windows.pad(x, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min)
    outside = windows.pad(np.zeros((1, 1, *size), bool), True)

    # Each element in an array of its own, since reading with a stride is slow.
    values = [padded[place].copy() for place in places]
    largest = values[0].copy()
    for value in values[1:]:
        np.maximum(largest, value, out=largest)
    has_nan = bool(np.isnan(largest).any())

    missed = np.ones(largest.shape, bool)
    before = np.zeros(largest.shape, np.min_scalar_type(len(places)))
    for value, place in zip(values, places, strict=True):
        other = value != largest
        if has_nan:
            other &= ~np.isnan(value)  # a NaN differs from itself
        other |= outside[place]
        missed &= other
        before += missed
    return before


def _is_2x2(x: Any, windows: Windows) -> bool:
    """Whether all of each row's elements are in windows of 2x2 side by side."""
    return windows == Windows((2, 2), stride=(2, 2)) and x.shape[3] % 2 == 0


def _maximum_of_windows(x: Any, *, windows: Windows) -> Any:
    kernels = kernels_for(x) if _is_2x2(x, windows) else None
    if kernels is None:
        return _at_maximum(x, x, windows=windows)
    z = np.empty((*x.shape[:2], *windows.along(x.shape[2:])), x.dtype)
    kernels.maximum_2x2(x, z)
    return z


def _at_maximum(h: Any, x: Any, *, windows: Windows) -> Any:
    return h.reshape(-1)[_index_of_maximum(x, windows)]


def _put_at_maximum(g: Any, x: Any, *, windows: Windows) -> Any:
    kernels = kernels_for(x) if g.flags.c_contiguous and g.dtype == x.dtype else None
    if kernels is not None and _is_2x2(x, windows):
        z = np.empty_like(x)
        kernels.put_at_maximum_2x2(g, x, z)
        return z
    z = np.zeros(x.shape, g.dtype)
    index = _index_of_maximum(x, windows)
    if kernels is not None:
        kernels.add_at(g.reshape(-1), index.reshape(-1), z.reshape(-1))
        return z
    np.add.at(z.reshape(-1), index.reshape(-1), g.reshape(-1))  # windows may overlap
    return z


def _mean_of_windows(x: Any, *, windows: Windows) -> Any:
    padded = windows.pad(x)
    size = x.shape[2:]
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    z = np.zeros((*x.shape[:2], *windows.along(size)), dtype)
    for _, _, place in windows.elements(size):
        z += padded[place]
    z /= windows.kernel[0] * windows.kernel[1]
    return z


def _mean_of_windows_transpose(g: Any, *, windows: Windows, size: Pair) -> Any:
    (above, left), (h, w) = windows.padding, size
    z = np.zeros((*g.shape[:2], h + 2 * above, w + 2 * left), g.dtype)
    share = g / (windows.kernel[0] * windows.kernel[1])
    for _, _, place in windows.elements(size):
        z[place] += share
    return np.ascontiguousarray(windows.inside(z))


# fmt: off
maximum_of_windows: Primitive = Primitive(_maximum_of_windows,
    lambda g, z, x, windows: put_at_maximum(g, x, windows=windows),
    name="max_pool2d")
put_at_maximum: Primitive = Primitive(_put_at_maximum,
    lambda h, z, g, x, windows: at_maximum(h, x, windows=windows),
    lambda h, z, g, x, windows: zero(x),
    name="put_at_maximum")
at_maximum: Primitive = Primitive(_at_maximum,
    lambda g, z, h, x, windows: put_at_maximum(g, x, windows=windows),
    lambda g, z, h, x, windows: zero(x),
    name="at_maximum")
mean_of_windows: Primitive = Primitive(_mean_of_windows,
    lambda g, z, x, windows: mean_of_windows_transpose(g, windows=windows, size=x.shape[2:]),
    name="avg_pool2d")
mean_of_windows_transpose: Primitive = Primitive(_mean_of_windows_transpose,
    lambda h, z, g, windows, size: mean_of_windows(h, windows=windows),
    name="avg_pool2d_transpose")
# fmt: on
