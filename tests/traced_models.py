"""Small models and batches, for tests of traces: the five that a learner meets first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, mse_loss, nn
from minigrad.functional import binary_cross_entropy_with_logits, cross_entropy, squared_loss

__all__ = ["MODELS", "Model"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Model:
    """A loss, its parameters and examples for it."""

    loss: Callable[..., Any]
    parameters: list[Tensor]
    examples: tuple[Array, Array]


def _features(rng: np.random.Generator, dtype: Any, n: int) -> Array:
    return rng.normal(size=(n, 5)).astype(dtype)


def from_scratch(rng: np.random.Generator, dtype: Any, n: int) -> Model:
    """Linear regression as the section writes it first: w, b and half the squared error."""
    w = Tensor(rng.normal(0, 0.01, (5, 1)).astype(dtype), requires_grad=True)
    b = Tensor(np.zeros(1, dtype), requires_grad=True)

    def loss(X: Any, y: Any) -> Any:
        prediction = X @ w + b
        return squared_loss(prediction, y).mean()

    X = _features(rng, dtype, n)
    return Model(loss, [w, b], (X, X[:, :1] - 2 * X[:, 1:2] + dtype(0.5)))


def linear_regression(rng: np.random.Generator, dtype: Any, n: int) -> Model:
    """The same with a layer and the library's loss."""
    net = nn.Sequential(nn.Linear(5, 1, rng=rng, dtype=dtype))
    X = _features(rng, dtype, n)
    return Model(
        lambda X, y: mse_loss(net(X), y), list(net.parameters()), (X, X[:, :1] - 2 * X[:, 1:2])
    )


def logistic_regression(rng: np.random.Generator, dtype: Any, n: int) -> Model:
    """Yes or no from five features."""
    net = nn.Linear(5, 1, rng=rng, dtype=dtype)
    X = _features(rng, dtype, n)

    def loss(X: Any, y: Any) -> Any:
        logits = net(X)
        return binary_cross_entropy_with_logits(logits, y)

    return Model(loss, list(net.parameters()), (X, (X[:, :1] > X[:, 1:2]).astype(dtype)))


def mlp(rng: np.random.Generator, dtype: Any, n: int) -> Model:
    """Two hidden layers, with tanh and relu, and one of three classes."""
    net = nn.Sequential(
        nn.Linear(5, 8, rng=rng, dtype=dtype), nn.Tanh(),
        nn.Linear(8, 6, rng=rng, dtype=dtype), nn.ReLU(),
        nn.Linear(6, 3, rng=rng, dtype=dtype),
    )  # fmt: skip
    X = _features(rng, dtype, n)

    def loss(X: Any, labels: Any) -> Any:
        logits = net(X)
        return cross_entropy(logits, labels)

    return Model(loss, list(net.parameters()), (X, X[:, :3].argmax(axis=1)))


def layer_norm(rng: np.random.Generator, dtype: Any, n: int) -> Model:
    """A hidden layer, layer norm and relu."""
    net = nn.Sequential(
        nn.Linear(5, 8, rng=rng, dtype=dtype), nn.LayerNorm(8, dtype=dtype), nn.ReLU(),
        nn.Linear(8, 1, rng=rng, dtype=dtype),
    )  # fmt: skip
    X = _features(rng, dtype, n)

    def loss(X: Any, y: Any) -> Any:
        return mse_loss(net(X), y)

    return Model(loss, list(net.parameters()), (X, X[:, :1] * X[:, 1:2]))


MODELS: dict[str, Callable[[np.random.Generator, Any, int], Model]] = {
    "from scratch": from_scratch,
    "linear regression": linear_regression,
    "logistic regression": logistic_regression,
    "MLP": mlp,
    "layer norm": layer_norm,
}
