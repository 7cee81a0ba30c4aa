"""An epoch in one call: compiled by minigrad, scanned by JAX, and written by hand.

Beside them stand the loops that call a step for each batch: minigrad's, and the textbook's concise
one in PyTorch.  All candidates of a task start from one point and see the same batches, drawn by
NumPy in the epoch's time; so after their first epoch they have the same parameters, up to rounding.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import minigrad
import optim
from datasets import Regression, minibatches
from experiments.protocol import BATCH_SIZE, LEARNING_RATE
from experiments.speed.timing import Timings, interleaved
from minigrad import mse_loss, nn

__all__ = [
    "COMPILED", "EAGER", "LINEAR", "MLP", "RELU", "TASKS",
    "Candidate", "Task", "candidates", "timed",
]  # fmt: skip

Array = npt.NDArray[Any]

COMPILED, EAGER = "minigrad, compiled", "minigrad, eager"
BY_HAND = "loops written by hand"


class Candidate(NamedTuple):
    """One implementation of a training.

    Attributes
    ----------
    epoch : callable
        Runs the next epoch.
    parameters : callable
        Returns what is trained, in the order of the layers.
    restart : callable
        Sets parameters and optimizer to where they started; the batches go on.  After 50 epochs
        something else would be timed: where a unit of relu is never active its gradients are 0, and
        its first moments, a tenth smaller at each step, become subnormal numbers, with which
        processors are slow.  (JAX takes them for 0.)
    """

    epoch: Callable[[], object]
    parameters: Callable[[], list[Array]]
    restart: Callable[[], object]


class Task(NamedTuple):
    """A model for the section's data: widths of its layers, and what stands between them."""

    widths: tuple[int, ...]
    activation: type[nn.Module] | None = None

    def net(self, seed: int, dtype: npt.DTypeLike) -> nn.Sequential:
        """Return the model at its start."""
        rng = np.random.default_rng(seed)
        layers: list[nn.Module] = []
        for n, m in pairwise(self.widths):
            if layers and self.activation is not None:
                layers.append(self.activation())
            layers.append(nn.Linear(n, m, rng=rng, dtype=dtype))
        return nn.Sequential(*layers)


LINEAR = "The section's linear model"
MLP = "An MLP 5-32-1 with tanh"
RELU = "An MLP 5-32-1 with relu"
TASKS = {
    LINEAR: Task((5, 1)),
    MLP: Task((5, 32, 1), nn.Tanh),
    RELU: Task((5, 32, 1), nn.ReLU),
}
"""What an epoch of 1,500 examples in batches of 10 trains, with Adam on the mean squared error."""


def candidates(
    task: Task, data: Regression, seed: int, dtype: npt.DTypeLike = np.float64
) -> dict[str, Candidate]:
    """Return the task's epoch for each implementation that can be run here.

    Parameters
    ----------
    task : Task
        What is trained.
    data : Regression
        On what.
    seed : int
        Of the weights and the batches.
    dtype : dtype
        float32 or float64: of data, parameters and state, in every implementation.
    """
    data = Regression(data.X.astype(dtype), data.y.astype(dtype), data.source)
    start = functools.partial(task.net, seed, dtype)
    found = {COMPILED: _compiled(start(), data, seed)}
    if task.activation is None:
        found[BY_HAND] = _by_hand(start(), data, seed)
    try:
        import jax
        import optax  # noqa: F401
    except ImportError:
        pass
    else:
        found[f"JAX {jax.__version__}, lax.scan"] = _jax(start(), data, seed)
    found[EAGER] = _eager(start(), data, seed)
    try:
        import torch
    except ImportError:
        pass
    else:
        name = f"PyTorch {torch.__version__.split('+')[0]}, concise loop"
        found[name] = _torch(start(), data, seed)
    return found


def timed(
    found: Mapping[str, Candidate], rounds: int, tick: Callable[[], object] = lambda: None
) -> Timings:
    """Return the seconds of an epoch for each candidate, as `interleaved` has them.

    Every turn is a training from the start, some 3 ms of it.
    """
    return interleaved(
        {name: candidate.epoch for name, candidate in found.items()},
        rounds=rounds,
        before_turn={name: candidate.restart for name, candidate in found.items()},
        tick=tick,
    )


def _compiled(net: nn.Module, data: Regression, seed: int) -> Candidate:
    rng = np.random.default_rng(seed)
    optimizer = optim.Adam(net.parameters(), lr=LEARNING_RATE)

    def loss(X: Any, y: Any) -> Any:
        return mse_loss(net(X), y)

    epoch = minigrad.compile(loss, optimizer, BATCH_SIZE)
    return _candidate(lambda: epoch(data.X, data.y, rng=rng), net, optimizer)


def _eager(net: nn.Module, data: Regression, seed: int) -> Candidate:
    rng = np.random.default_rng(seed)
    optimizer = optim.Adam(net.parameters(), lr=LEARNING_RATE)

    def epoch() -> None:
        for X, y in minibatches(data.X, data.y, BATCH_SIZE, rng):
            optimizer.zero_grad()
            mse_loss(net(X), y).backward()
            optimizer.step()

    return _candidate(epoch, net, optimizer)


def _candidate(epoch: Callable[[], object], net: nn.Module, optimizer: optim.Adam) -> Candidate:
    start, state = [p.data.copy() for p in net.parameters()], optimizer.state_dict()

    def restart() -> None:
        for parameter, values in zip(net.parameters(), start, strict=True):
            parameter.data[...] = values
        optimizer.load_state_dict(state)

    return Candidate(epoch, lambda: [p.data.copy() for p in net.parameters()], restart)


def _by_hand(net: nn.Module, data: Regression, seed: int) -> Candidate:
    from experiments.speed.hand_written import linear_adam_epoch

    rng = np.random.default_rng(seed)
    start = [p.data.copy() for p in net.parameters()]
    weight, bias = ((x.copy(), np.zeros_like(x), np.zeros_like(x)) for x in start)
    t = 0

    def epoch() -> None:
        nonlocal t
        order = rng.permutation(len(data.X))
        losses = linear_adam_epoch(
            data.X, data.y, order, BATCH_SIZE, weight, bias, t, LEARNING_RATE
        )
        t += len(losses)

    def restart() -> None:
        nonlocal t
        for (x, v, s), values in zip((weight, bias), start, strict=True):
            x[...], v[...], s[...] = values, 0, 0
        t = 0

    return Candidate(epoch, lambda: [weight[0].copy(), bias[0].copy()], restart)


def _jax(net: nn.Sequential, data: Regression, seed: int) -> Candidate:
    import jax
    import jax.numpy as jnp
    import optax

    jax.config.update("jax_enable_x64", True)  # float32 arrays stay what they are
    rng = np.random.default_rng(seed)
    adam = optax.adam(LEARNING_RATE)
    X_all, y_all = jnp.asarray(data.X), jnp.asarray(data.y)
    parameters: Any
    state: Any
    activations = {nn.Tanh: jnp.tanh, nn.ReLU: jax.nn.relu}
    kinds = [type(layer) for layer in net]

    def restart() -> None:
        nonlocal parameters, state
        parameters = [tuple(jnp.array(p.data) for p in layer.parameters()) for layer in net]
        state = adam.init(parameters)

    def loss(parameters: Any, X: Any, y: Any) -> Any:
        for kind, own in zip(kinds, parameters, strict=True):
            X = X @ own[0] + own[1] if kind is nn.Linear else activations[kind](X)
        return jnp.mean((X - y) ** 2)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def train(parameters: Any, state: Any, X: Any, y: Any, order: Any) -> Any:
        def step(trained: Any, batch: Any) -> Any:
            parameters, state = trained
            value, gradients = jax.value_and_grad(loss)(parameters, X[batch], y[batch])
            updates, state = adam.update(gradients, state, parameters)
            return (optax.apply_updates(parameters, updates), state), value

        # To look up each batch in its step takes less time than to shuffle all of X before.
        return jax.lax.scan(step, (parameters, state), order.reshape(-1, BATCH_SIZE))

    def epoch() -> None:
        nonlocal parameters, state
        order = rng.permutation(len(data.X))
        (parameters, state), losses = train(parameters, state, X_all, y_all, order)
        jax.block_until_ready((parameters, losses))

    restart()
    return Candidate(
        epoch, lambda: [np.asarray(array) for own in parameters for array in own], restart
    )


class _Shuffled:
    """The order of the examples for PyTorch's DataLoader, drawn by NumPy."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.rng = n, np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[int]:
        return iter(self.rng.permutation(self.n).tolist())


def _torch(net: nn.Sequential, data: Regression, seed: int) -> Candidate:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from experiments.speed.torch_models import in_torch

    theirs = in_torch(net)
    start = copy.deepcopy(theirs.state_dict())
    examples = TensorDataset(torch.tensor(data.X), torch.tensor(data.y))
    batches = DataLoader(examples, BATCH_SIZE, sampler=_Shuffled(len(data.X), seed))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=LEARNING_RATE)
    loss = torch.nn.MSELoss(reduction="none")

    def epoch() -> None:
        for X, y in batches:
            optimizer.zero_grad()
            loss(theirs(X), y).mean().backward()
            optimizer.step()

    def parameters() -> list[Array]:  # PyTorch keeps W transposed
        return [parameter.detach().numpy().T.copy() for parameter in theirs.parameters()]

    def restart() -> None:
        theirs.load_state_dict(start)
        optimizer.state.clear()

    return Candidate(epoch, parameters, restart)
