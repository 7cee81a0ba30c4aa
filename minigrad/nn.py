"""Layers: parameters with a place to live."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import primitives
from minigrad.functional import affine
from minigrad.tensor import Tensor

__all__ = ["Linear", "Module", "ReLU", "Sequential", "Tanh"]


class Module(ABC):
    """Base of all layers and models.

    A subclass sets its parameters (Tensors with ``requires_grad=True``) and sub-modules as
    attributes, also in lists, and defines `forward`.  Calling the module runs `forward`.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(3.0).item()
    6.0
    >>> [name for name, parameter in Scale().named_parameters()]
    ['factor']
    """

    @abstractmethod
    def forward(self, x: Any) -> Any:
        """Compute the output from the input."""

    def __call__(self, x: Any) -> Any:
        """Run `forward`."""
        return self.forward(x)

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter once, with its dotted name, in order of definition."""
        seen: set[Tensor] = set()
        for name, value in _walk(vars(self), ""):
            if value not in seen:
                seen.add(value)
                yield name, value

    def parameters(self) -> list[Tensor]:
        """Return every parameter once, in order of definition.

        Examples
        --------
        >>> net = Sequential(Linear(5, 3, rng=np.random.default_rng(0)), ReLU())
        >>> [parameter.shape for parameter in net.parameters()]
        [(5, 3), (3,)]
        """
        return [parameter for _, parameter in self.named_parameters()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _walk(attributes: dict[str, Any], prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in attributes.items():
        path = f"{prefix}{name}"
        if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
            yield path, value
        elif isinstance(value, Module):
            yield from _walk(vars(value), f"{path}.")
        elif isinstance(value, list | tuple):
            yield from _walk({str(i): entry for i, entry in enumerate(value)}, f"{path}.")
        elif isinstance(value, dict):
            yield from _walk({str(key): entry for key, entry in value.items()}, f"{path}.")


class Linear(Module):
    """Affine layer y = x W + b.

    Parameters
    ----------
    in_features, out_features : int
        Length of the last axis of the input and of the output.
    rng : numpy.random.Generator
        Draws the initial weights and bias, uniform in ±1/√in_features.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight : Tensor
        W, shape (in_features, out_features), so that the code reads like the equation.  (PyTorch
        keeps the transpose.)
    bias : Tensor
        b, shape (out_features,).

    Raises
    ------
    ValueError
        If a number of features is below 1.

    Examples
    --------
    >>> layer = Linear(5, 1, rng=np.random.default_rng(0))
    >>> layer(np.ones((10, 5))).shape
    (10, 1)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"Linear({in_features}, {out_features}): both numbers of features must be at "
                "least 1"
            )
        bound = 1 / np.sqrt(in_features)
        weight = rng.uniform(-bound, bound, (in_features, out_features))
        bias = rng.uniform(-bound, bound, out_features)
        self.weight = Tensor(weight.astype(dtype), requires_grad=True)
        self.bias = Tensor(bias.astype(dtype), requires_grad=True)

    def forward(self, x: Any) -> Any:
        """Return x W + b."""
        return affine(x, self.weight, self.bias)

    def __repr__(self) -> str:
        return f"Linear({self.weight.shape[0]}, {self.weight.shape[1]})"


class ReLU(Module):
    """Elementwise max(x, 0), with derivative 0 at 0."""

    def forward(self, x: Any) -> Any:
        """Return max(x, 0)."""
        return primitives.relu(x)


class Tanh(Module):
    """Elementwise hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        """Return tanh x."""
        return primitives.tanh(x)


class Sequential(Module):
    """Modules one after the other, each fed with the output of the one before.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> Sequential(Linear(5, 32, rng=rng), Tanh(), Linear(32, 1, rng=rng))
    Sequential(
      0: Linear(5, 32)
      1: Tanh()
      2: Linear(32, 1)
    )
    """

    def __init__(self, *layers: Module) -> None:
        self.layers = layers

    def forward(self, x: Any) -> Any:
        """Run the layers in turn."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Module:
        return self.layers[i]

    def __repr__(self) -> str:
        lines = [f"{i}: {layer!r}".replace("\n", "\n  ") for i, layer in enumerate(self.layers)]
        return "Sequential(\n" + "".join(f"  {line}\n" for line in lines) + ")"
