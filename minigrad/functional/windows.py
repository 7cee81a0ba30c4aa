"""The windows that slide over an image: what convolution and pooling share."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["Windows", "blocks", "check_images", "pair"]

Pair = tuple[int, int]

# Bytes of window elements to lay out at a time: about what a core's second cache holds.
BLOCK = 2**20


class Windows(NamedTuple):
    """Where the windows of an image lie: each pair is (vertical, horizontal).

    Parameters
    ----------
    kernel : pair of int
        Height and width of a window, in elements that it takes.
    stride : pair of int
        From one window to the next.
    padding : pair of int
        Rows and columns added on each of two sides.
    dilation : pair of int
        From one element of a window to the next; 1 for neighbors.

    Examples
    --------
    >>> Windows((3, 3), stride=(2, 2), padding=(1, 1)).along((28, 28))
    (14, 14)
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def along(self, size: Pair) -> Pair:
        """How many windows lie below each other, and side by side, in an image of this size."""
        rows, columns = (
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(size, *self, strict=True)
        )
        return rows, columns

    def pad(self, x: npt.NDArray[Any], value: float = 0.0) -> npt.NDArray[Any]:
        """Surround the images (N, C, H, W) with `value`."""
        if self.padding == (0, 0):
            return x
        (h, w), (above, left) = x.shape[2:], self.padding
        z = np.full((*x.shape[:2], h + 2 * above, w + 2 * left), value, x.dtype)
        z[:, :, above : above + h, left : left + w] = x
        return z

    def inside(self, padded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the padding off again: a view."""
        (h, w), (above, left) = padded.shape[2:], self.padding
        return padded[:, :, above : h - above, left : w - left]

    def view(self, padded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """All windows of padded images, as a view (N, C, kernel, windows) without a copy.

        Element (n, c, i, j, r, q) is element (i, j) of the window in row r and column q.
        """
        (kh, kw), (sh, sw), _, (dh, dw) = self
        extent = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
        z = sliding_window_view(padded, extent, axis=(2, 3))
        return z[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)

    def elements(self, size: Pair) -> Iterator[tuple[int, int, Any]]:
        """For each element (i, j) of a window: where it lies in all windows of a padded image.

        Parameters
        ----------
        size : pair of int
            Of the image, without its padding.
        """
        (kh, kw), (sh, sw), _, (dh, dw) = self
        rows, columns = self.along(size)
        for i in range(kh):
            for j in range(kw):
                vertical = slice(dh * i, dh * i + sh * (rows - 1) + 1, sh)
                horizontal = slice(dw * j, dw * j + sw * (columns - 1) + 1, sw)
                yield i, j, (slice(None), slice(None), vertical, horizontal)


def blocks(images: int, bytes_per_image: int) -> Iterator[slice]:
    """Yield slices of as many images as go into a block, at least one."""
    count = max(1, BLOCK // max(1, bytes_per_image))
    return (slice(start, start + count) for start in range(0, images, count))


def pair(function: str, name: str, value: int | Pair, lowest: int) -> Pair:
    """Return `value` twice if it is one number, and check it.

    Raises
    ------
    TypeError, ValueError
        If `value` is neither a whole number nor two of them, or one is below `lowest`.

    Examples
    --------
    >>> pair("conv2d", "stride", 2, 1)
    (2, 2)
    """
    try:
        both = tuple(value) if isinstance(value, tuple | list) else (value, value)
        first, second = map(operator.index, both)
    except (TypeError, ValueError):
        raise TypeError(
            f"{function}: {name}={value!r} must be a whole number, or a pair of them "
            "(vertical, horizontal)"
        ) from None
    if first < lowest or second < lowest:
        raise ValueError(f"{function}: {name}={value!r} must be at least {lowest}")
    return first, second


def check_images(function: str, x: Any, windows: Windows) -> None:
    """Check that x holds images (N, C, H, W) that are large enough for a window.

    Raises
    ------
    ValueError
        If they do not.
    """
    shape = np.shape(x)
    if len(shape) != 4:
        raise ValueError(
            f"{function}: the images have shape {shape}; they need four axes, (batch, "
            "channels, height, width); add an axis to a single one with x[None]"
        )
    if min(shape[2:]) < 1:
        raise ValueError(f"{function}: images of shape {shape} have no elements to look at")
    if min(windows.along(shape[2:])) < 1:
        extent = tuple(
            d * (k - 1) + 1 for k, d in zip(windows.kernel, windows.dilation, strict=True)
        )
        padded = tuple(n + 2 * p for n, p in zip(shape[2:], windows.padding, strict=True))
        raise ValueError(
            f"{function}: a kernel of {windows.kernel} takes up {extent} elements at dilation "
            f"{windows.dilation}, more than the padded images have: {padded} "
            f"(images of shape {shape}, padding {windows.padding})"
        )
