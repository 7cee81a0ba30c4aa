"""Losses of real numbers: squared, Huber's."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import primitives
from minigrad.functional.checks import check_same_shape, number
from minigrad.primitive import Primitive

__all__ = ["huber", "huber_loss", "mean_squared_error", "mse_loss", "reduced", "squared_loss"]


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
    check_same_shape("squared_loss", prediction, target)
    error = _error(prediction, target)
    return error**2 / 2


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
        If the shapes differ, or there is no element.

    Examples
    --------
    >>> float(mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """
    check_same_shape("mse_loss", prediction, target)
    return mean_squared_error(prediction, target)


def huber_loss(prediction: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Any:
    """Huber's loss: the squared loss ½ e² of small errors, linear beyond δ.

        ½ e²  where |e| <= δ        δ (|e| - ½ δ)  beyond            with  e = ŷ - y

    Its derivative is e, clipped to ±δ.

    Parameters
    ----------
    prediction, target : array_like or Tensor
        ŷ and y, of one shape.
    delta : float
        δ > 0.
    reduction : {"mean", "sum", "none"}
        Of the losses of all elements.

    Returns
    -------
    Tensor, ndarray or scalar
        One number, or with "none" an array of the inputs' shape.

    Raises
    ------
    TypeError
        If `delta` is no number.
    ValueError
        If the shapes differ, `delta` is not above 0, `reduction` is unknown, or it is the mean of
        no elements.

    References
    ----------
    Huber, Robust Estimation of a Location Parameter, 1964.

    Examples
    --------
    >>> huber_loss(np.array([0.5, -10.0]), np.zeros(2), reduction="none")
    array([0.125, 9.5  ])
    """
    if not number("huber_loss", "delta", delta) > 0:
        raise ValueError(f"huber_loss: delta={delta!r} must be above 0")
    check_same_shape("huber_loss", prediction, target)
    error = _error(prediction, target)
    return reduced("huber_loss", huber(error, delta=float(delta)), reduction)


def reduced(function: str, losses: Any, reduction: str) -> Any:
    """Return the mean of the losses, their sum, or with "none" all of them.

    Raises
    ------
    ValueError
        If `reduction` is none of the three, or it is the mean of nothing.
    """
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction != "mean":
        raise ValueError(
            f'{function}: reduction={reduction!r} is unknown; accepted are "mean", "sum" and "none"'
        )
    if not np.size(losses):
        raise ValueError(f"{function}: the mean of no elements is not defined")
    return losses.mean()


def _error(prediction: Any, target: Any) -> Any:
    """ŷ - y; that of two integers in float64, where small ones do not wrap around."""
    if all(_dtype(x).kind in "iu" for x in (prediction, target)):
        prediction = primitives.multiply(prediction, 1.0)
    return primitives.subtract(prediction, target)


def _dtype(x: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype
    return dtype


def _mean_squared_error(x: Any, y: Any) -> Any:
    error = np.subtract(x, y)
    if error.size == 0:
        raise ValueError("the mean of no elements is not defined")
    if error.dtype.kind != "f":
        error = np.subtract(x, y, dtype=np.float64)
    if error.dtype.char == "e":  # its sum is one in float32, like that of NumPy's mean
        wide = error.astype(np.float32)
        return (np.vdot(wide, wide) / wide.size).astype(np.float16)
    return np.vdot(error, error) / error.size


def _mean_squared_error_vjp(g: Any, error: Any) -> Any:
    return g * error * (2 / error.size)


def _huber(error: Any, *, delta: float) -> Any:
    clipped = np.clip(error, -delta, delta)
    return clipped * (error - clipped / 2)


# The mean squared error is a row because it and `affine` are most of a small training step:
# together they replace five nodes.
# fmt: off
mean_squared_error = Primitive(_mean_squared_error,
    lambda g, z, x, y: _mean_squared_error_vjp(g, x - y),
    lambda g, z, x, y: _mean_squared_error_vjp(g, y - x), name="mse_loss")
huber = Primitive(_huber,
    lambda g, z, e, delta: g * np.where(e > delta, delta, np.where(e < -delta, -delta, e)),
    name="huber_loss")
# fmt: on
