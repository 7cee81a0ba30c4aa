"""Training steps of models: what the engine costs, beside PyTorch's eager mode.

Each candidate is one whole step: gradients forgotten, forward, backward, and Adam; except for the
chain of small operations, which is forward and backward alone, and the matrix product.  PyTorch's
models are those of minigrad, translated layer by layer, in float32 but for the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import optim
from experiments.trainings.small_cnn import SmallCNN
from experiments.trainings.tiny_lm import TinyLM
from minigrad import Tensor, nn
from minigrad.functional import cross_entropy
from minigrad.parallel import DataParallel

__all__ = ["MODELS", "TRANSFORMER", "candidates"]

Step = Callable[[], object]

CHAIN = 20
"""Links of the chain: each a product, a sum and a tanh of 8x8 matrices."""

MLP_BATCH = 64
LAYERS = (64, 256, 256, 10)
PRODUCT = ((4096, 128), (128, 512))
VOCABULARY, POSITIONS, SEQUENCES = 28, 64, 64


class Model(NamedTuple):
    """How to build one model's steps, here and in PyTorch."""

    steps: Callable[[np.random.Generator], dict[str, Step]]
    torch_step: Callable[[np.random.Generator], Step]


def candidates(model: str, rng: np.random.Generator) -> dict[str, Step]:
    """Return a step of the model in minigrad, and in PyTorch if that is installed.

    Parameters
    ----------
    model : str
        One of `MODELS`.
    rng : numpy.random.Generator
        Draws weights and data.

    Returns
    -------
    dict
        The fastest way that minigrad has for a model of this size comes first.
    """
    found = MODELS[model].steps(rng)
    try:
        import torch
    except ImportError:
        return found
    found[f"PyTorch {torch.__version__}, eager"] = MODELS[model].torch_step(rng)
    return found


# A chain of small operations.


def _chain(rng: np.random.Generator) -> dict[str, Step]:
    x, w, b = (Tensor(m, requires_grad=True) for m in _matrices(rng))

    def step() -> None:
        z: Any = x
        for _ in range(CHAIN):
            z = np.tanh(z * w + b)
        z.sum().backward()
        x.grad = w.grad = b.grad = None

    return {"minigrad": step}


def _torch_chain(rng: np.random.Generator) -> Step:
    import torch

    x, w, b = (torch.tensor(m, requires_grad=True) for m in _matrices(rng))

    def step() -> None:
        z = x
        for _ in range(CHAIN):
            z = torch.tanh(z * w + b)
        z.sum().backward()
        x.grad = w.grad = b.grad = None

    return step


def _matrices(rng: np.random.Generator) -> Any:
    return rng.normal(size=(3, 8, 8))


# A matrix product, which is most of what large models do, and where neither side adds anything.


def _product(rng: np.random.Generator) -> dict[str, Step]:
    x, w = (rng.normal(size=shape).astype(np.float32) for shape in PRODUCT)
    return {"NumPy": lambda: x @ w}


def _torch_product(rng: np.random.Generator) -> Step:
    import torch

    x, w = (torch.tensor(rng.normal(size=shape), dtype=torch.float32) for shape in PRODUCT)
    return lambda: x @ w


# Networks.


def _network(
    net: Callable[[np.random.Generator], nn.Module],
    batch: Callable[[np.random.Generator], tuple[Any, Any]],
    *,
    parallel: bool,
) -> Model:
    """Return how to build the steps of a classifier: a network, a batch, Adam, cross-entropy."""

    def steps(rng: np.random.Generator) -> dict[str, Step]:
        ours, data = net(rng), batch(rng)
        if not parallel:
            return {"minigrad": _step(ours, *data)}
        return {
            "minigrad, DataParallel": _parallel_step(ours, *data),
            "minigrad": _step(ours, *data),
        }

    return Model(steps, lambda rng: _torch_step(net(rng), *batch(rng)))


def _step(net: nn.Module, x: Any, labels: Any) -> Step:
    optimizer = optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(net(x), labels).backward()
        optimizer.step()

    return step


def _parallel_step(net: nn.Module, x: Any, labels: Any) -> Step:
    optimizer = optim.Adam(net.parameters(), lr=1e-3)
    backward = DataParallel(lambda x, labels: cross_entropy(net(x), labels))

    def step() -> None:
        optimizer.zero_grad()
        backward(x, labels)
        optimizer.step()

    return step


def _torch_step(net: nn.Module, x: Any, labels: Any) -> Step:
    import torch

    from experiments.speed.torch_models import in_torch, mean_cross_entropy

    theirs = in_torch(net)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    x, labels = torch.tensor(x), torch.tensor(labels)

    def step() -> None:
        optimizer.zero_grad()
        mean_cross_entropy(theirs(x), labels).backward()
        optimizer.step()

    return step


def _mlp(rng: np.random.Generator) -> nn.Module:
    layers: list[nn.Module] = []
    for n, m in pairwise(LAYERS):
        layers += [nn.Linear(n, m, rng=rng, dtype=np.float32), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _vectors(rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=(MLP_BATCH, LAYERS[0])).astype(np.float32)
    return x, rng.integers(0, LAYERS[-1], MLP_BATCH)


def _cnn(rng: np.random.Generator) -> nn.Module:
    options: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128, **options), nn.ReLU(),
        nn.Linear(128, 10, **options),
    )  # fmt: skip


def _images(count: int, size: int, rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=(count, 1, size, size)).astype(np.float32)
    return x, rng.integers(0, 10, count)


def _tokens(rng: np.random.Generator) -> Any:
    return rng.integers(0, VOCABULARY, (2, SEQUENCES, POSITIONS))


TRANSFORMER = "A transformer of 412,188 parameters, 64 sequences of 64"
MODELS = {
    "A chain of 60 operations on 8x8 matrices, float64": Model(_chain, _torch_chain),
    "An MLP 64-256-256-10, batch 64": _network(_mlp, _vectors, parallel=False),
    "A small CNN of 38,282 parameters, 64 images of 16x16": _network(
        lambda rng: SmallCNN(16, rng=rng), lambda rng: _images(64, 16, rng), parallel=False
    ),
    "A CNN of 421,642 parameters, 256 images of 28x28": _network(
        _cnn, lambda rng: _images(256, 28, rng), parallel=True
    ),
    TRANSFORMER: _network(
        lambda rng: TinyLM(VOCABULARY, POSITIONS, rng=rng), _tokens, parallel=True
    ),
    "A matrix product, 4096x128 by 128x512": Model(_product, _torch_product),
}
