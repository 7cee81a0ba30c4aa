"""The textbook's epoch: 150 batches of 10, each forward, backward and one step of Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import optim
from datasets import Regression, minibatches
from experiments.protocol import BATCH_SIZE, LEARNING_RATE, start
from minigrad import mse_loss, nn
from optim.adam import adam_rule

__all__ = ["candidates"]

Epoch = Callable[[], object]


def candidates(data: Regression, seed: int) -> dict[str, Epoch]:
    """Return one epoch of training for each implementation that can be run here."""
    found: dict[str, Epoch] = {
        "minigrad": _minigrad(data, seed),
        "NumPy, gradient by hand": _numpy(data, seed),
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        found[f"PyTorch {torch.__version__}, concise loop"] = _torch(data, seed, loader=True)
        found["PyTorch, batches without DataLoader"] = _torch(data, seed, loader=False)
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        pass
    else:
        found[f"JAX {jax.__version__}, jitted step"] = _jax(data, seed, donate=False)
        found["JAX, jitted step, donated buffers"] = _jax(data, seed, donate=True)
    return found


def _minigrad(data: Regression, seed: int) -> Epoch:
    w, b, batches = start(data, seed)
    net = nn.Sequential(nn.Linear(data.X.shape[1], 1, rng=np.random.default_rng(seed)))
    for parameter, initial in zip(net.parameters(), (w, b), strict=True):
        parameter.data[...] = initial.data
    optimizer = optim.Adam(net.parameters(), lr=LEARNING_RATE)

    def epoch() -> None:
        for X, y in minibatches(data.X, data.y, BATCH_SIZE, batches):
            optimizer.zero_grad()
            mse_loss(net(X), y).backward()
            optimizer.step()

    return epoch


def _numpy(data: Regression, seed: int) -> Epoch:
    w0, b0, batches = start(data, seed)
    w, b = w0.data, b0.data
    state = [np.zeros_like(x) for x in (w, w, b, b)]
    t = 0

    def epoch() -> None:
        nonlocal w, b, t
        for X, y in minibatches(data.X, data.y, BATCH_SIZE, batches):
            error = X @ w + b - y
            g_w, g_b = X.T @ error * (2 / len(X)), error.mean(axis=0) * 2
            t += 1
            debias1, debias2 = 1 / (1 - 0.9**t), 1 / (1 - 0.999**t)
            c = (LEARNING_RATE, 0.9, 0.1, debias1, 0.999, 0.001, debias2, 1e-8, 0.0)
            w, state[0], state[1] = adam_rule(w, g_w, state[0], state[1], *c)
            b, state[2], state[3] = adam_rule(b, g_b, state[2], state[3], *c)

    return epoch


def _torch(data: Regression, seed: int, *, loader: bool) -> Epoch:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    X, y = torch.tensor(data.X, dtype=torch.float32), torch.tensor(data.y, dtype=torch.float32)
    net = torch.nn.Sequential(torch.nn.Linear(data.X.shape[1], 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    loss = torch.nn.MSELoss(reduction="none")
    generator = torch.Generator().manual_seed(seed)

    def shuffled() -> Any:
        order = torch.randperm(len(X), generator=generator)
        return zip(X[order].split(BATCH_SIZE), y[order].split(BATCH_SIZE), strict=True)

    examples = TensorDataset(X, y)
    batches = DataLoader(examples, BATCH_SIZE, shuffle=True, generator=generator)

    def epoch() -> None:
        for X_batch, y_batch in batches if loader else shuffled():
            optimizer.zero_grad()
            loss(net(X_batch), y_batch).mean().backward()
            optimizer.step()

    return epoch


def _jax(data: Regression, seed: int, *, donate: bool) -> Epoch:
    import jax
    import jax.numpy as jnp
    import optax

    rng = np.random.default_rng(seed)
    X_all, y_all = data.X.astype(np.float32), data.y.astype(np.float32)
    adam = optax.adam(LEARNING_RATE)
    parameters: Any = (jnp.zeros((data.X.shape[1], 1), jnp.float32), jnp.zeros(1, jnp.float32))
    state = adam.init(parameters)

    def loss(parameters: Any, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Any:
        w, b = parameters
        return jnp.mean((X @ w + b - y) ** 2)

    def update(parameters: Any, state: Any, X: npt.NDArray[Any], y: npt.NDArray[Any]) -> Any:
        gradients = jax.grad(loss)(parameters, X, y)
        updates, state = adam.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state

    step = jax.jit(update, donate_argnums=(0, 1) if donate else ())

    def epoch() -> None:
        nonlocal parameters, state
        for X, y in minibatches(X_all, y_all, BATCH_SIZE, rng):
            parameters, state = step(parameters, state, X, y)
        jax.block_until_ready(parameters)

    return epoch
