"""Convolution of images: one bilinear operation and its two transposes.

With image x, kernel w, stride s and dilation d (and x surrounded by zeros, the padding):

    z[n, o, r, q] = Σ_c Σ_i Σ_j  w[o, c, i, j] · x[n, c, s r + d i, s q + d j]  +  b[o]

which deep learning calls convolution and signal processing cross-correlation.  It is linear in x
and linear in w, so the derivative by each is a linear map, and x̄ and w̄ are its transposes applied
to z̄ = g.  Those are bilinear again, in (g, w) and in (x, g): the three operations are closed under
differentiation, and the VJPs of each are the other two.

Each is one matrix product per image: the windows of an image, laid side by side as the columns of
a matrix (*im2col*), times the kernels, one per row.

    Z = W · columns(x)        W̄ = Σ_n G · columns(x)ᵀ        x̄ = columnsᵀ(Wᵀ · G)

The bias is the weight of a constant: one more column of W, and a row of ones below columns(x).

A window's elements are repeated in the columns, kernel-height times kernel-width times the image,
so they are made for a few images at a time: little memory, and the product finds them in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.compiled import kernels_for
from minigrad.functional.windows import Pair, Windows, blocks, check_images, pair
from minigrad.primitive import Primitive

__all__ = ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient", "convolution"]


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Any:
    """Convolve images with kernels (no kernel is flipped), as the module's equation says.

    Parameters
    ----------
    x : array_like or Tensor
        Images, shape (N, C, H, W).
    weight : array_like or Tensor
        Kernels, shape (O, C, kernel height, kernel width).
    bias : array_like or Tensor, optional
        Shape (O,): added to every element of an output channel.
    stride, padding, dilation : int or pair of int
        Steps from window to window, zeros around the image on each side, and steps within a
        window; a pair is (vertical, horizontal).

    Returns
    -------
    Tensor or ndarray
        Shape (N, O, rows, columns), with rows = ⌊(H + 2 padding - dilation (kernel - 1) - 1) /
        stride⌋ + 1, and columns alike.

    Raises
    ------
    TypeError, ValueError
        If shapes do not match, the kernel is larger than the padded image, or an option is no
        number that it can be.

    Examples
    --------
    >>> image = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(image, np.array([[[[0.0, 1.0], [0.0, -1.0]]]]))
    array([[[[-3., -3.],
             [-3., -3.]]]])
    """
    shape, kernels = np.shape(x), np.shape(weight)
    if len(kernels) != 4:
        raise ValueError(
            f"conv2d: the kernels have shape {kernels}; they need four axes, (output channels, "
            "input channels, height, width)"
        )
    windows = Windows(
        pair("conv2d", "the kernel's size", kernels[2:], 1),
        pair("conv2d", "stride", stride, 1),
        pair("conv2d", "padding", padding, 0),
        pair("conv2d", "dilation", dilation, 1),
    )
    check_images("conv2d", x, windows)
    if shape[1] != kernels[1]:
        raise ValueError(
            f"conv2d: images of shape {shape} have {shape[1]} channels, kernels of shape "
            f"{kernels} take {kernels[1]}"
        )
    if bias is None:
        return convolution(x, weight, windows=windows)
    if np.shape(bias) != kernels[:1]:
        raise ValueError(
            f"conv2d: the bias has shape {np.shape(bias)}; kernels of shape {kernels} need "
            f"({kernels[0]},), one number per output channel"
        )
    return convolution(x, weight, bias, windows=windows)


def _convolution(x: Any, weight: Any, bias: Any = None, *, windows: Windows) -> Any:
    rows, columns = windows.along(x.shape[2:])
    w_rows = _merged(weight, 1)
    if bias is not None:
        w_rows = np.column_stack((w_rows, bias))
    z = np.empty((len(x), len(weight), rows * columns), np.result_type(x, w_rows))
    for some, patches in _columns(x, windows, ones=bias is not None):
        np.matmul(w_rows, patches, out=z[some])
    return z.reshape(len(x), len(weight), rows, columns)


def _input_gradient(g: Any, weight: Any, *, windows: Windows, size: Pair) -> Any:
    channels = weight.shape[1]
    (above, left), (h, w) = windows.padding, size
    transposed = _merged(weight, 1).T
    g_rows = _merged(g, 2)
    z = np.empty((len(g), channels, h, w), np.result_type(g, weight))
    for some in blocks(len(g), len(transposed) * g_rows.shape[2] * z.itemsize):
        columns = transposed @ g_rows[some]
        kernels = kernels_for(columns)
        if kernels is not None and z.dtype == columns.dtype:
            kernels.columns_to_image(columns, *windows, g.shape[2:], z[some])
            continue
        columns = columns.reshape(len(columns), channels, *windows.kernel, *g.shape[2:])
        padded = np.zeros((len(columns), channels, h + 2 * above, w + 2 * left), z.dtype)
        for i, j, place in windows.elements(size):
            padded[place] += columns[:, :, i, j]
        z[some] = windows.inside(padded)
    return z


def _weight_gradient(x: Any, g: Any, *, windows: Windows) -> Any:
    shape = (g.shape[1], x.shape[1], *windows.kernel)
    g_rows = _merged(g, 2)
    z = np.zeros((math.prod(shape[1:]), shape[0]), np.result_type(x, g))
    for some, columns in _columns(x, windows):
        z += (columns @ g_rows[some].mT).sum(axis=0)  # W̄ᵀ: a quarter faster than W̄
    return np.ascontiguousarray(z.T).reshape(shape)


def _merged(x: Any, axis: int) -> Any:
    """Make one axis of `axis` and all that follow."""
    return x.reshape(*x.shape[:axis], math.prod(x.shape[axis:]))


def _columns(
    x: Any, windows: Windows, *, ones: bool = False
) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
    """Yield, for a few images at a time, which they are and their windows as columns.

    They last until the next are asked for.  With `ones`, the last row of the columns is 1.
    """
    size = windows.along(x.shape[2:])
    taken, places = x.shape[1] * math.prod(windows.kernel), math.prod(size)
    kernels = kernels_for(x)
    if kernels is None:
        x = windows.view(windows.pad(x))
    columns: Any = None
    for some in blocks(len(x), taken * places * x.itemsize):
        images = x[some]
        if columns is None:
            columns = np.ones((len(images), taken + ones, places), x.dtype)
        columns = columns[: len(images)]
        if kernels is None:
            columns[:, :taken].reshape(images.shape)[:] = images
        else:
            kernels.image_to_columns(images, *windows, size, columns)
        yield some, columns


# Rows.  All three take the windows; a gradient also needs the size of the image, which the
# number of windows does not tell where the stride skips rows at its end.
# fmt: off
convolution: Primitive = Primitive(_convolution,
    lambda g, z, x, w, *b, windows: conv2d_input_gradient(g, w, windows=windows, size=x.shape[2:]),
    lambda g, z, x, w, *b, windows: conv2d_weight_gradient(x, g, windows=windows),
    lambda g, z, x, w, *b, windows: g.sum(axis=(0, 2, 3)),
    name="conv2d")
conv2d_input_gradient: Primitive = Primitive(_input_gradient,
    lambda h, z, g, w, windows, size: convolution(h, w, windows=windows),
    lambda h, z, g, w, windows, size: conv2d_weight_gradient(h, g, windows=windows),
    name="conv2d_input_gradient")
conv2d_weight_gradient: Primitive = Primitive(_weight_gradient,
    lambda h, z, x, g, windows: conv2d_input_gradient(g, h, windows=windows, size=x.shape[2:]),
    lambda h, z, x, g, windows: convolution(x, h, windows=windows),
    name="conv2d_weight_gradient")
# fmt: on
