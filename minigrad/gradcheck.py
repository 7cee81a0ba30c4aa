"""Hold a function's gradient against numerical derivatives, to any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.tensor import Tensor
from minigrad.transforms import grad

__all__ = ["GradientError", "check_gradients"]

# Step of the five-point stencil: its error is of order h⁴ by truncation and 1e-16/h by rounding,
# which balance at h = (1e-16)^(1/5).
STEP = float(np.finfo(np.float64).eps ** 0.2)


class GradientError(AssertionError):
    """A gradient disagrees with the numerical derivative."""


def check_gradients(
    f: Callable[..., Any],
    *inputs: npt.ArrayLike,
    order: int = 2,
    rtol: float = 1e-7,
    atol: float = 1e-7,
) -> None:
    """Check the derivatives of f at `inputs`, up to the given order.

    f may return an array of any shape: it is contracted with fixed weights of different sizes,
    so that a gradient which confuses two elements is found.  The order-2 check differentiates
    the gradient itself, contracted in the same way.

    Parameters
    ----------
    f : callable
        Made of minigrad operations.
    *inputs : array_like
        Floating-point arguments of f; checked in float64, each with respect to every element.
        They should keep a distance of 0.01 from kinks.
    order : int
        Highest order of derivative to check.
    rtol, atol : float
        Accepted difference, relative to the largest element of the derivative, and absolute.

    Raises
    ------
    GradientError
        If a derivative is off; the message names order, input, element and both values.
    ValueError
        If there is no input, or `order` is below 1.

    Examples
    --------
    >>> check_gradients(np.tanh, [0.3, -1.2])
    >>> check_gradients(lambda x: x * x.detach(), [1.5], order=1)
    Traceback (most recent call last):
        ...
    minigrad.gradcheck.GradientError: order 1, input 0, element (0,): ...
    """
    if not inputs:
        raise ValueError("check_gradients() needs at least one input of f to vary")
    if order < 1:
        raise ValueError(f"order={order}: accepted is 1 or above")
    arrays = [np.array(x, np.float64) for x in inputs]

    scalar = _contracted(f)
    for k in range(1, order + 1):
        gradient = grad(scalar, argnums=range(len(arrays)))
        for i, computed in enumerate(gradient(*arrays)):
            _compare(scalar, arrays, i, computed, f"order {k}", rtol, atol)
        scalar = _contracted(gradient)


def _contracted(f: Callable[..., Any]) -> Callable[..., Any]:
    """One number that depends on every element of every output of f, on each by another weight."""

    def scalar(*xs: Any) -> Any:
        outputs = f(*xs)
        total: Any = 0.0
        for z in outputs if isinstance(outputs, tuple) else (outputs,):
            count = np.arange(np.size(z), dtype=np.float64).reshape(np.shape(z))
            total = total + np.sum(z * (1 + np.cos(count) / 2))
        return total

    return scalar


def _compare(
    scalar: Callable[..., Any],
    arrays: list[npt.NDArray[Any]],
    i: int,
    computed: npt.NDArray[Any],
    label: str,
    rtol: float,
    atol: float,
) -> None:
    numeric = np.empty_like(arrays[i])
    for index in np.ndindex(arrays[i].shape):

        def along(h: float, index: tuple[int, ...] = index) -> float:
            moved = [x.copy() for x in arrays]
            moved[i][index] += h
            # Tensors, because f may use their methods; the value is all that is needed.
            return float(scalar(*map(Tensor, moved)))

        h = STEP * max(1.0, abs(float(arrays[i][index])))
        near = (along(h) - along(-h)) / (2 * h)
        far = (along(2 * h) - along(-2 * h)) / (4 * h)
        numeric[index] = (4 * near - far) / 3
    error = np.abs(computed - numeric)
    scale = float(np.max(np.abs(numeric), initial=0.0))
    wrong = ~(error <= atol + rtol * scale)
    if np.any(wrong):
        place = np.unravel_index(np.argmax(np.where(wrong, error, -1)), error.shape)
        worst = tuple(map(int, place))
        raise GradientError(
            f"{label}, input {i}, element {worst}: the gradient is {computed[worst]:.12g}, "
            f"numerically it is {numeric[worst]:.12g} ({int(wrong.sum())} of {error.size} elements "
            "are off)"
        )
