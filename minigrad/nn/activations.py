"""Elementwise nonlinearities as layers, for `Sequential`; and softmax."""

from __future__ import annotations

from typing import Any, Literal

from minigrad import functional, primitives
from minigrad.nn.module import Module

__all__ = [
    "ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh",
]  # fmt: skip


class ReLU(Module):
    """max(x, 0), with derivative 0 at 0."""

    def forward(self, x: Any) -> Any:
        """Return max(x, 0)."""
        return primitives.relu(x)


class LeakyReLU(Module):
    """x where x is positive, else negative_slope · x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        """Return x or negative_slope · x."""
        return primitives.leaky_relu(x, negative_slope=self.negative_slope)

    def describe(self) -> str:
        """Return e.g. ``LeakyReLU(0.01)``."""
        return f"LeakyReLU({self.negative_slope})"


class ELU(Module):
    """x where x is positive, else α (exp x - 1): smooth for α = 1, and never below -α."""

    def __init__(self, alpha: float = 1.0) -> None:
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

    Not before `cross_entropy`, which takes the logits themselves.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Any) -> Any:
        """Return exp x / Σ exp x."""
        return functional.softmax(x, axis=self.axis)

    def describe(self) -> str:
        """Return e.g. ``Softmax(axis=-1)``."""
        return f"Softmax(axis={self.axis})"
