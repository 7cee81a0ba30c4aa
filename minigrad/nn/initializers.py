"""Initial values of weights: shape and generator in, array out.

How large should a weight be when training starts?  A layer's output is a sum of fan_in products,
its input's gradient a sum of fan_out products, so for weights of variance σ² each layer multiplies
the variance of what passes through it by fan_in σ² forward, and by fan_out σ² backward.  Both
should be near 1, or a deep network's activations and gradients vanish or explode.

======================  ==============================  =========================================
weight of               shape                           fan_in, fan_out
======================  ==============================  =========================================
Linear (y = x W + b)    (in, out)                       in, out
Conv2d                  (out, in, height, width)        in · height · width, out · height · width
======================  ==============================  =========================================

The layers draw PyTorch's defaults by themselves.  For others, set a weight's `data`:

>>> from minigrad import nn
>>> rng = np.random.default_rng(0)
>>> layer = nn.Linear(512, 512, rng=rng)
>>> layer.weight.data = he_normal(layer.weight.shape, rng=rng)
>>> round(float(layer.weight.data.std() * 512**0.5), 1)  # √2
1.4
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.nn.hyperparameters import check_generator

__all__ = [
    "fans", "he_normal", "he_uniform", "normal", "orthogonal", "uniform", "xavier_normal",
    "xavier_uniform",
]  # fmt: skip

Array = npt.NDArray[Any]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return (fan_in, fan_out): how many products an output, and an input's gradient, sum up.

    Parameters
    ----------
    shape : sequence of int
        Of a `Linear` weight, (in, out), or of a `Conv2d` weight, (out, in, height, width).

    Raises
    ------
    ValueError
        If the shape has another number of axes, or an axis of length 0.

    Examples
    --------
    >>> fans((3, 10)), fans((32, 16, 3, 3))
    ((3, 10), (144, 288))
    """
    if len(shape) not in (2, 4) or 0 in shape:
        raise ValueError(
            f"a weight of shape {tuple(shape)}: fan_in and fan_out are defined for (in, out) and "
            "for (out, in, height, width), no length being 0"
        )
    if len(shape) == 2:
        return shape[0], shape[1]
    area = shape[2] * shape[3]
    return shape[1] * area, shape[0] * area


def uniform(
    shape: Sequence[int],
    bound: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw from the uniform distribution on [-bound, bound).

    Examples
    --------
    >>> uniform((2, 3), 0.1, rng=np.random.default_rng(0), dtype=np.float32).dtype
    dtype('float32')
    """
    check_generator(rng)
    return rng.uniform(-bound, bound, shape).astype(dtype)


def normal(
    shape: Sequence[int],
    std: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw from the normal distribution with mean 0 and standard deviation `std`.

    Examples
    --------
    >>> normal((2, 3), 0.02, rng=np.random.default_rng(0)).shape
    (2, 3)
    """
    check_generator(rng)
    return rng.normal(0.0, std, shape).astype(dtype)


def xavier_uniform(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw uniformly with variance gain² · 2 / (fan_in + fan_out).

    The variance is between 1/fan_in (forward) and 1/fan_out (backward), and right where the
    activation is nearly the identity around 0, like tanh.  A uniform distribution on ±a has
    variance a²/3, hence a = gain · √(6 / (fan_in + fan_out)).

    Parameters
    ----------
    shape : sequence of int
        See `fans`.
    gain : float
        Factor of all weights.
    rng : numpy.random.Generator
        Source of the numbers.
    dtype : dtype
        float64 or float32.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.

    Examples
    --------
    >>> a = (6 / (30 + 20)) ** 0.5
    >>> bool(abs(xavier_uniform((30, 20), rng=np.random.default_rng(0))).max() <= a)
    True
    """
    fan_in, fan_out = fans(shape)
    return uniform(shape, gain * math.sqrt(6 / (fan_in + fan_out)), rng=rng, dtype=dtype)


def xavier_normal(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw normally with variance gain² · 2 / (fan_in + fan_out); see `xavier_uniform`."""
    fan_in, fan_out = fans(shape)
    return normal(shape, gain * math.sqrt(2 / (fan_in + fan_out)), rng=rng, dtype=dtype)


def he_uniform(
    shape: Sequence[int],
    gain: float = math.sqrt(2),
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw uniformly with variance gain² / fan_in.

    ReLU sets half of a layer's outputs to 0, and with them half of the mean square; the default
    gain √2 makes up for it.  A uniform distribution on ±a has variance a²/3, hence
    a = gain · √(3 / fan_in).

    Parameters
    ----------
    shape : sequence of int
        See `fans`.
    gain : float
        √2 for ReLU, 1 for a linear layer, √(2 / (1 + slope²)) for leaky ReLU.
    rng : numpy.random.Generator
        Source of the numbers.
    dtype : dtype
        float64 or float32.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV 2015, equations 10 and 15.

    Examples
    --------
    >>> a = (6 / 30) ** 0.5
    >>> bool(abs(he_uniform((30, 20), rng=np.random.default_rng(0))).max() <= a)
    True
    """
    fan_in, _ = fans(shape)
    return uniform(shape, gain * math.sqrt(3 / fan_in), rng=rng, dtype=dtype)


def he_normal(
    shape: Sequence[int],
    gain: float = math.sqrt(2),
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw normally with variance gain² / fan_in; see `he_uniform`."""
    fan_in, _ = fans(shape)
    return normal(shape, gain / math.sqrt(fan_in), rng=rng, dtype=dtype)


def orthogonal(
    shape: Sequence[int],
    gain: float = 1.0,
    *,
    rng: np.random.Generator,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Draw a matrix with orthonormal columns (or rows, if there are fewer), times `gain`.

    All such matrices are equally likely.  A square one changes no vector's length, however many
    are multiplied.  It is Q of Z = QR with Z normal, which is unique, and so uniform, once R's
    diagonal is positive.

    Parameters
    ----------
    shape : sequence of int
        At least two axes; all but the first count as one, so that a `Conv2d` weight is the matrix
        (out, in · height · width).
    gain : float
        Factor of all weights.
    rng : numpy.random.Generator
        Source of the numbers.
    dtype : dtype
        float64 or float32; computed in float64 either way.

    Raises
    ------
    ValueError
        If the shape has fewer than two axes.

    References
    ----------
    A. Saxe, J. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning
    in deep linear neural networks", ICLR 2014.
    F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of
    the AMS 54, 2007: the signs.

    Examples
    --------
    >>> q = orthogonal((3, 2), rng=np.random.default_rng(0))
    >>> bool(np.allclose(q.T @ q, np.eye(2)))
    True
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal needs a shape of at least two axes, got {tuple(shape)}")
    check_generator(rng)
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(gain * (q if rows >= columns else q.T), dtype).reshape(shape)
