"""Layers that multiply by a matrix, or look up one of its rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import functional, primitives
from minigrad.nn.hyperparameters import check_sizes
from minigrad.nn.initializers import normal, uniform
from minigrad.nn.module import Module
from minigrad.tensor import Tensor

__all__ = ["Embedding", "Linear"]


class Linear(Module):
    """Affine layer y = x W + b.

    Parameters
    ----------
    in_features, out_features : int
        Length of the last axis of the input and of the output.
    bias : bool
        Whether there is a b.
    rng : numpy.random.Generator
        Draws the initial weights and bias, uniform in ±1/√in_features, as PyTorch does.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight : Tensor
        W, shape (in_features, out_features), so that the code reads like the equation.  (PyTorch
        keeps the transpose.)
    bias : Tensor or None
        b, shape (out_features,).

    Raises
    ------
    TypeError, ValueError
        If a number of features is not an integer of at least 1.

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
        bias: bool = True,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        bound = 1 / math.sqrt(in_features)
        weight = uniform((in_features, out_features), bound, rng=rng, dtype=dtype)
        self.weight = Tensor(weight, requires_grad=True)
        self.bias: Any = None  # or a Tensor; Any spares its readers a cast
        if bias:
            b = uniform((out_features,), bound, rng=rng, dtype=dtype)
            self.bias = Tensor(b, requires_grad=True)

    def forward(self, x: Any) -> Any:
        """Return x W + b."""
        if self.bias is None:
            return primitives.matmul(x, self.weight)
        return functional.affine(x, self.weight, self.bias)

    def describe(self) -> str:
        """Return e.g. ``Linear(5, 32)``."""
        rows, columns = self.weight.shape
        return f"Linear({rows}, {columns}{'' if self.bias is not None else ', bias=False'})"


class Embedding(Module):
    """A table of vectors, one for each of the numbers 0, 1, ..., such as the words of a vocabulary.

    Parameters
    ----------
    num_embeddings : int
        How many vectors.
    embedding_dim : int
        Length of each.
    rng : numpy.random.Generator
        Draws the initial vectors, normal with mean 0 and variance 1, as PyTorch does.
    dtype : dtype
        float64 or float32.

    Attributes
    ----------
    weight : Tensor
        Shape (num_embeddings, embedding_dim).

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1.  When called, if an index is no integer, or not
        in the table.

    Examples
    --------
    >>> embedding = Embedding(28, 8, rng=np.random.default_rng(0))
    >>> embedding(np.array([[3, 1, 4], [1, 5, 9]])).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        check_sizes("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        weight = normal((num_embeddings, embedding_dim), rng=rng, dtype=dtype)
        self.weight = Tensor(weight, requires_grad=True)

    def forward(self, index: Any) -> Any:
        """Return the vectors at `index`, of shape (*index.shape, embedding_dim)."""
        return functional.embedding(self.weight, index)

    def describe(self) -> str:
        """Return e.g. ``Embedding(28, 128)``."""
        return f"Embedding({self.weight.shape[0]}, {self.weight.shape[1]})"
