"""Functions made of primitives, and the few that are primitives of their own for speed."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import linear_maps, primitives
from minigrad.primitive import Primitive

__all__ = ["affine", "mse_loss", "squared_loss"]


def squared_loss(prediction: Any, target: Any) -> Any:
    """Half the squared error of each example, ½ (ŷ - y)²: the textbook's loss.

    Parameters
    ----------
    prediction, target : array_like or Tensor
        ŷ and y, of one shape.

    Returns
    -------
    Tensor or ndarray
        Of the same shape; take its mean for the loss of a batch.

    Raises
    ------
    ValueError
        If the shapes differ: broadcasting (10, 1) against (10,) would compare every prediction
        with every target.

    Examples
    --------
    >>> squared_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array([0., 2.])
    """
    _check_same_shape(prediction, target)
    return primitives.subtract(prediction, target) ** 2 / 2


def mse_loss(prediction: Any, target: Any) -> Any:
    """Mean squared error, mean (ŷ - y)².

    Parameters
    ----------
    prediction, target : array_like or Tensor
        ŷ and y, of one shape.

    Returns
    -------
    Tensor or scalar
        One number, without the ½ of `squared_loss`.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    return mean_squared_error(prediction, target)


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    z = linear_maps.matmul(x, weight)
    if getattr(bias, "dtype", None) != z.dtype:
        return z + bias
    z += bias
    return z


def _mean_squared_error(x: Any, y: Any) -> Any:
    _check_same_shape(x, y)
    error = x - y
    if error.size == 0:
        raise ValueError("the mean of no elements is not defined")
    return np.vdot(error, error) / error.size


def _mean_squared_error_vjp(g: Any, error: Any) -> Any:
    return g * error * (2 / error.size)


# Rows of their own, because these two are most of a small training step: together they replace
# five nodes, and affine adds the bias where the product already lies.  Its last VJP sums over the
# batch, which the engine would do as well, after looking at the shapes.
# fmt: off
affine = Primitive(_affine,
    lambda g, z, x, W, b: linear_maps.times_transposed(g, x, W),
    lambda g, z, x, W, b: linear_maps.transposed_times(x, W, g),
    lambda g, z, x, W, b: g.sum(axis=0) if g.ndim == 2 and b.ndim == 1 else g, name="affine")
mean_squared_error = Primitive(_mean_squared_error,
    lambda g, z, x, y: _mean_squared_error_vjp(g, x - y),
    lambda g, z, x, y: _mean_squared_error_vjp(g, y - x), name="mean_squared_error")
# fmt: on


def _check_same_shape(prediction: Any, target: Any) -> None:
    try:
        shape, other = prediction.shape, target.shape
    except AttributeError:  # a list or a number
        shape, other = np.shape(prediction), np.shape(target)
    if shape != other:
        raise ValueError(
            f"the prediction has shape {shape}, the target {other}; they must be equal, reshape "
            "one of them"
        )
