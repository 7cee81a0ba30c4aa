"""Elementwise nonlinearities as layers, for `Sequential`; and softmax."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from minigrad import functional, primitives
from minigrad.nn.hyperparameters import check_numbers
from minigrad.nn.module import Module

__all__ = [
    "ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh",
]  # fmt: skip

FINITE = "a finite number"


class ReLU(Module):
    """max(x, 0), with derivative 0 at 0."""

    def forward(self, x: Any) -> Any:
        """Return max(x, 0)."""
        return primitives.relu(x)


class LeakyReLU(Module):
    """x where x is positive, else negative_slope · x.

    Parameters
    ----------
    negative_slope : float
        Left of 0, and at 0.

    Raises
    ------
    TypeError, ValueError
        If `negative_slope` is no finite number.

    Examples
    --------
    >>> LeakyReLU(0.25)(np.array([-2.0, 2.0]))
    array([-0.5,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        check_numbers("LeakyReLU", FINITE, math.isfinite, negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        """Return x or negative_slope · x."""
        return primitives.leaky_relu(x, negative_slope=self.negative_slope)

    def describe(self) -> str:
        """Return e.g. ``LeakyReLU(0.01)``."""
        return f"LeakyReLU({self.negative_slope})"


class ELU(Module):
    """x where x is positive, else α (exp x - 1): smooth for α = 1, and never below -α.

    Parameters
    ----------
    alpha : float
        α, what the result approaches on the left, but for the sign.

    Raises
    ------
    TypeError, ValueError
        If `alpha` is no finite number.

    Examples
    --------
    >>> ELU(2.0)(np.array([-100.0, 2.0]))
    array([-2.,  2.])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        check_numbers("ELU", FINITE, math.isfinite, alpha=alpha)
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        """Return x or α (exp x - 1)."""
        return primitives.elu(x, alpha=self.alpha)

    def describe(self) -> str:
        """Return e.g. ``ELU(1.0)``."""
        return f"ELU({self.alpha})"


class SiLU(Module):
    """x · sigmoid x, also called swish."""

    def forward(self, x: Any) -> Any:
        """Return x · sigmoid x."""
        return primitives.silu(x)


class GELU(Module):
    """x · Φ(x), with Φ the distribution function of the standard normal distribution.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Φ exactly, or by the formula with tanh that GPT-2 used.

    Raises
    ------
    ValueError
        If `approximate` is anything else.

    References
    ----------
    D. Hendrycks and K. Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415.
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate={approximate!r}; it must be 'none' or 'tanh'")
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        """Return x · Φ(x)."""
        return functional.gelu(x, approximate=self.approximate)

    def describe(self) -> str:
        """Return ``GELU()`` or ``GELU('tanh')``."""
        return "GELU()" if self.approximate == "none" else f"GELU({self.approximate!r})"


class Sigmoid(Module):
    """1 / (1 + exp(-x)), from 0 to 1."""

    def forward(self, x: Any) -> Any:
        """Return 1 / (1 + exp(-x))."""
        return primitives.sigmoid(x)


class Softplus(Module):
    """log(1 + exp x), a smooth ReLU."""

    def forward(self, x: Any) -> Any:
        """Return log(1 + exp x)."""
        return primitives.softplus(x)


class Tanh(Module):
    """Hyperbolic tangent, from -1 to 1."""

    def forward(self, x: Any) -> Any:
        """Return tanh x."""
        return primitives.tanh(x)


class Softmax(Module):
    """exp x, divided by its sum along `axis`: positive numbers with sum 1.

    Do not put it before `cross_entropy`, which takes the logits themselves.

    Parameters
    ----------
    axis : int
        Along which the result sums to 1.

    Raises
    ------
    TypeError
        If `axis` is no integer.

    Examples
    --------
    >>> Softmax(axis=0)(np.array([[0.0, 1.0], [0.0, 1.0]]))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    def __init__(self, axis: int = -1) -> None:
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise TypeError(
                f"Softmax: axis={axis!r} is of type {type(axis).__name__}; it must be an integer"
            )
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """Return exp x / Σ exp x."""
        return functional.softmax(x, axis=self.axis)

    def describe(self) -> str:
        """Return e.g. ``Softmax(axis=-1)``."""
        return f"Softmax(axis={self.axis})"
