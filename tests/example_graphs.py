"""Graphs to draw: each function gives an output, and names for some of its nodes."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, mse_loss, nn


def parameter(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def linear_regression() -> tuple[Tensor, dict[str, Any]]:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.9, 5.1, 7.2, 8.8])
    w, b = parameter(1.5), parameter(0.5)
    loss = ((x * w + b - y) ** 2).mean()
    return loss, {"x": x, "y": y, "w": w, "b": b, "loss": loss}


def network() -> tuple[Tensor, dict[str, Any]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    net = nn.Sequential(nn.Linear(3, 8, rng=rng), nn.Tanh(), nn.Linear(8, 1, rng=rng))
    return mse_loss(net(x), x[:, :1]), dict(net.named_parameters(), x=x)


def diamond() -> tuple[Tensor, dict[str, Any]]:
    a = parameter(2.0)
    h = a * 3
    return (h + 1) * h + np.exp(-h) + h + h, {"a": a}


def second_order() -> tuple[Tensor, dict[str, Any]]:
    x = parameter(0.7)
    (x * np.tanh(x)).backward(create_graph=True)
    gradient, x.grad = x.grad, None
    return gradient, {"x": x}


def matrices() -> tuple[Tensor, dict[str, Any]]:
    """Two layers of plain operations, and back: the graph of a gradient, on small matrices."""
    rng = np.random.default_rng(1)
    V, b, W = (parameter(rng.normal(size=shape)) for shape in [(2, 3), (3,), (3, 1)])
    x, y = rng.normal(size=(2, 2)), np.array([[1.0], [-1.0]])
    ((np.tanh(x @ V + b) @ W - y) ** 2).mean().backward(create_graph=True)
    gradient, V.grad, b.grad, W.grad = V.grad, None, None, None
    return gradient, {"V": V, "b": b, "W": W, "x": x, "y": y}


def tangle() -> tuple[Tensor, dict[str, Any]]:
    """Long edges, many inputs, long names, and no order that is free of crossings."""
    rng = np.random.default_rng(2)
    nodes = [parameter(rng.normal(size=3)) for _ in range(5)]
    names = {f"encoder.blocks.{i}.attention.weight": node for i, node in enumerate(nodes)}
    for _ in range(15):
        i, j = rng.integers(len(nodes), size=2)
        nodes.append(nodes[i] * nodes[j] if i != j else np.tanh(nodes[i]))
    return np.concatenate(nodes[-6:]).astype(np.float32).sum(), names


def uneven() -> tuple[Tensor, dict[str, Any]]:
    """Flat cards beside high ones, under which their arrows have to go."""
    flat = [parameter(np.ones((1, 2))) for _ in range(2)]
    high = [parameter(np.full((3, 2), 0.123456 + i)) for i in range(6)]
    weights = np.linspace(-1, 1, 40).reshape(20, 2)
    return (np.concatenate([flat[0], *high, flat[1]]) * weights).sum(), {}


EXAMPLES = [linear_regression, network, diamond, second_order, matrices, uneven, tangle]
examples = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.__name__)
