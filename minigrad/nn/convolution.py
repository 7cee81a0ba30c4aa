"""Convolution of images, which are arrays (batch, channel, row, column)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import functional
from minigrad.functional.windows import Pair, pair
from minigrad.nn.hyperparameters import check_sizes, short
from minigrad.nn.initializers import fans, uniform
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["Conv2d"]


class Conv2d(Module):
    """Each output channel: a filter slid over the image, a dot product at every place.

    It is the cross-correlation z[n, o, i, j] = b[o] + Σ W[o, c, k, l] · x[n, c, i + k, j + l],
    which deep learning calls convolution.

    Parameters
    ----------
    in_channels, out_channels : int
        Number of channels of the input and of the output.
    kernel_size, stride, padding, dilation : int or (int, int)
        Height and width of the filter; its step; the zeros around the image on each side; the
        distance between neighboring elements of the filter on the image.
    bias : bool
        Whether there is a b.
    rng : numpy.random.Generator
        Draws the initial weights and bias, uniform in ±1/√fan_in with
        fan_in = in_channels · height · width, as PyTorch does.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight : Tensor
        W, shape (out_channels, in_channels, height, width).
    bias : Tensor or None
        b, shape (out_channels,).

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1, or `padding` of at least 0.

    Examples
    --------
    >>> layer = Conv2d(1, 32, 3, padding=1, rng=np.random.default_rng(0))
    >>> layer(np.ones((10, 1, 28, 28))).shape
    (10, 32, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        *,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        check_sizes("Conv2d", in_channels=in_channels, out_channels=out_channels)
        kernel = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = pair("Conv2d", "padding", padding, 0)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        shape = (out_channels, in_channels, *kernel)
        bound = 1 / math.sqrt(fans(shape)[0])
        self.weight = Tensor(uniform(shape, bound, rng=rng, dtype=dtype), requires_grad=True)
        self.bias: Any = None  # or a Tensor; Any spares its readers a cast
        if bias:
            b = uniform((out_channels,), bound, rng=rng, dtype=dtype)
            self.bias = Tensor(b, requires_grad=True)

    def forward(self, x: Any) -> Any:
        """Return W ⋆ x + b, for x of shape (batch, in_channels, rows, columns)."""
        return functional.conv2d(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def describe(self) -> str:
        """Return e.g. ``Conv2d(1, 32, 3, padding=1)``."""
        out_channels, in_channels, height, width = self.weight.shape
        return (
            f"Conv2d({in_channels}, {out_channels}, {short((height, width))}"
            + (f", stride={short(self.stride)}" if self.stride != (1, 1) else "")
            + (f", padding={short(self.padding)}" if self.padding != (0, 0) else "")
            + (f", dilation={short(self.dilation)}" if self.dilation != (1, 1) else "")
            + (", bias=False)" if self.bias is None else ")")
        )
