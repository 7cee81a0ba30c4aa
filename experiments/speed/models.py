"""Training steps of models: what the engine costs, beside PyTorch's eager mode.

Each candidate is one whole step: gradients forgotten, forward, backward, and Adam; except for the
chain of small operations, which is forward and backward alone, and the matrix product.  Both sides
have models of the same shapes, in float32 but for the chain, on data of the same kind; of the
transformer's attention, PyTorch's projects to queries, keys and values at once.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import optim
from minigrad import Tensor, nn
from minigrad.functional import cross_entropy
from minigrad.parallel import DataParallel

__all__ = ["MODELS", "TRANSFORMER", "candidates"]

Step = Callable[[], object]

CHAIN = 20
"""Links of the chain: each a product, a sum and a tanh of 8x8 matrices."""

MLP_BATCH, IMAGES = 64, 256
LAYERS = (64, 256, 256, 10)
PRODUCT = ((4096, 128), (128, 512))
VOCABULARY, POSITIONS, WIDTH, HEADS, BLOCKS, SEQUENCES = 28, 64, 128, 2, 2, 64


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
    torch.manual_seed(int(rng.integers(2**31)))
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


def _steps(net: nn.Module, x: Any, labels: Any) -> dict[str, Step]:
    return {
        "minigrad, DataParallel": _parallel_step(net, x, labels),
        "minigrad": _step(net, x, labels),
    }


def _torch_step(net: Any, x: Any, labels: Any) -> Step:
    import torch

    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    x, labels = torch.tensor(x), torch.tensor(labels)

    def step() -> None:
        optimizer.zero_grad()
        logits = net(x)
        torch.nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
        ).backward()
        optimizer.step()

    return step


def _vectors(rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=(MLP_BATCH, LAYERS[0])).astype(np.float32)
    return x, rng.integers(0, LAYERS[-1], MLP_BATCH)


def _mlp(rng: np.random.Generator) -> dict[str, Step]:
    layers: list[nn.Module] = []
    for n, m in pairwise(LAYERS):
        layers += [nn.Linear(n, m, rng=rng, dtype=np.float32), nn.ReLU()]
    return {"minigrad": _step(nn.Sequential(*layers[:-1]), *_vectors(rng))}


def _torch_mlp(rng: np.random.Generator) -> Step:
    from torch import nn

    layers: list[Any] = []
    for n, m in pairwise(LAYERS):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return _torch_step(nn.Sequential(*layers[:-1]), *_vectors(rng))


def _images(rng: np.random.Generator) -> tuple[Any, Any]:
    x = rng.normal(size=(IMAGES, 1, 28, 28)).astype(np.float32)
    return x, rng.integers(0, 10, IMAGES)


def _cnn(rng: np.random.Generator) -> dict[str, Step]:
    options: dict[str, Any] = {"rng": rng, "dtype": np.float32}
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128, **options), nn.ReLU(),
        nn.Linear(128, 10, **options),
    )  # fmt: skip
    return _steps(net, *_images(rng))


def _torch_cnn(rng: np.random.Generator) -> Step:
    from torch import nn

    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip
    return _torch_step(net, *_images(rng))


def _tokens(rng: np.random.Generator) -> Any:
    return rng.integers(0, VOCABULARY, (2, SEQUENCES, POSITIONS))


class Block(nn.Module):
    """A pre-norm transformer block: causal attention, then an MLP of four times the width."""

    def __init__(self, rng: np.random.Generator) -> None:
        options: dict[str, Any] = {"rng": rng, "dtype": np.float32}
        self.norm1 = nn.LayerNorm(WIDTH, dtype=np.float32)
        self.attention = nn.MultiHeadAttention(WIDTH, HEADS, causal=True, **options)
        self.norm2 = nn.LayerNorm(WIDTH, dtype=np.float32)
        self.widen = nn.Linear(WIDTH, 4 * WIDTH, **options)
        self.gelu = nn.GELU()
        self.narrow = nn.Linear(4 * WIDTH, WIDTH, **options)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of x, (sequences, positions, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(self.gelu(self.widen(self.norm2(x))))


class LanguageModel(nn.Module):
    """Two blocks between embeddings and a linear head: 412,188 parameters."""

    def __init__(self, rng: np.random.Generator) -> None:
        options: dict[str, Any] = {"rng": rng, "dtype": np.float32}
        self.token = nn.Embedding(VOCABULARY, WIDTH, **options)
        self.position = nn.Embedding(POSITIONS, WIDTH, **options)
        self.blocks = nn.Sequential(*(Block(rng) for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH, dtype=np.float32)
        self.head = nn.Linear(WIDTH, VOCABULARY, **options)

    def forward(self, tokens: Any) -> Any:
        """Return the logits of the next token, (sequences, positions, vocabulary)."""
        x = self.token(tokens) + self.position.weight
        return self.head(self.norm(self.blocks(x)))


def _transformer(rng: np.random.Generator) -> dict[str, Step]:
    return _steps(LanguageModel(rng), *_tokens(rng))


def _torch_transformer(rng: np.random.Generator) -> Step:
    import torch
    from torch import nn

    class TorchBlock(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.packed, self.output = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.widen, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x: Any) -> Any:
            n, t, d = x.shape
            packed = self.packed(self.norm1(x)).reshape(n, t, 3, HEADS, d // HEADS)
            q, k, v = packed.permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(mixed.transpose(1, 2).reshape(n, t, d))
            return x + self.narrow(nn.functional.gelu(self.widen(self.norm2(x))))

    class TorchLanguageModel(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(VOCABULARY, WIDTH)
            self.position = nn.Embedding(POSITIONS, WIDTH)
            self.blocks = nn.Sequential(*(TorchBlock() for _ in range(BLOCKS)))
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY)

        def forward(self, tokens: Any) -> Any:
            x = self.token(tokens) + self.position.weight
            return self.head(self.norm(self.blocks(x)))

    net = TorchLanguageModel()
    assert sum(p.numel() for p in net.parameters()) == 412_188
    x, y = _tokens(rng)
    torch.set_grad_enabled(True)
    return _torch_step(net, x, y)


class Model(NamedTuple):
    """How to build one model's steps, here and in PyTorch."""

    steps: Callable[[np.random.Generator], dict[str, Step]]
    torch_step: Callable[[np.random.Generator], Step]


TRANSFORMER = "A transformer of 412,188 parameters, 64 sequences of 64"
MODELS = {
    "A chain of 60 operations on 8x8 matrices, float64": Model(_chain, _torch_chain),
    "An MLP 64-256-256-10, batch 64": Model(_mlp, _torch_mlp),
    "A CNN of 421,642 parameters, 256 images of 28x28": Model(_cnn, _torch_cnn),
    TRANSFORMER: Model(_transformer, _torch_transformer),
    "A matrix product, 4096x128 by 128x512": Model(_product, _torch_product),
}
