"""Pooling of images, which are arrays (batch, channel, row, column), and flattening them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import functional, primitives
from minigrad.functional.windows import Pair, pair
from minigrad.nn.hyperparameters import short
from minigrad.nn.module import Module

__all__ = ["AvgPool2d", "Flatten", "MaxPool2d"]


class _Pool2d(Module):
    """What the two kinds of pooling share: the window."""

    def __init__(
        self, kernel_size: int | Pair, *, stride: int | Pair | None = None, padding: int | Pair = 0
    ) -> None:
        layer = type(self).__name__
        self.kernel_size = pair(layer, "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair(layer, "stride", stride, 1)
        self.padding = pair(layer, "padding", padding, 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{layer}: padding={padding!r} must be at most half of kernel_size={kernel_size!r},"
                " so that no window lies in the padding alone"
            )

    def describe(self) -> str:
        """Return e.g. ``MaxPool2d(2)``."""
        return (
            f"{type(self).__name__}({short(self.kernel_size)}"
            + (f", stride={short(self.stride)}" if self.stride != self.kernel_size else "")
            + (f", padding={short(self.padding)})" if self.padding != (0, 0) else ")")
        )


class MaxPool2d(_Pool2d):
    """The largest element within each window; see `functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        The window's step; its size by default, so that windows do not overlap.
    padding : int or (int, int)
        How far windows reach beyond the image on each side, at most half a window.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, or `padding` of at least 0 and at most half of
        `kernel_size`.

    Examples
    --------
    >>> MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def forward(self, x: Any) -> Any:
        """Return the largest elements, for x of shape (batch, channels, rows, columns)."""
        return functional.max_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class AvgPool2d(_Pool2d):
    """The mean of the elements within each window; see `functional.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding
        As for `MaxPool2d`.

    Examples
    --------
    >>> AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    def forward(self, x: Any) -> Any:
        """Return the means, for x of shape (batch, channels, rows, columns)."""
        return functional.avg_pool2d(x, self.kernel_size, stride=self.stride, padding=self.padding)


class Flatten(Module):
    """All axes but the first, the batch, as one.

    Examples
    --------
    >>> Flatten()(np.ones((10, 32, 7, 7))).shape
    (10, 1568)
    """

    def forward(self, x: Any) -> Any:
        """Return x of shape (batch, rest)."""
        batch, *rest = np.shape(x)
        return primitives.reshape(x, shape=(batch, math.prod(rest)))
