"""The section's training protocol: small batches, and the full loss now and then, off the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from datasets import Regression, minibatches
from minigrad import Tensor
from optim import Optimizer

__all__ = [
    "BATCH_SIZE", "EVALUATE_EVERY", "LEARNING_RATE",
    "Curve", "Experiment", "compile_ahead", "full_loss", "largest_difference",
    "least_squares_loss", "start", "train",
]  # fmt: skip

BATCH_SIZE = 10
LEARNING_RATE = 0.01
EVALUATE_EVERY = 200  # examples


@dataclass(frozen=True)
class Experiment:
    """What a script offers to ``python -m experiments``.

    Attributes
    ----------
    run : callable
        ``run(data, seed)`` yields a `Curve` as each training is done.
    check : callable
        ``check(data, seed)`` holds the library against the equations; returns a sentence.
    """

    run: Callable[[Regression, int], Iterable[Curve]]
    check: Callable[[Regression, int], str]


@dataclass
class Curve:
    """How one training went.

    Attributes
    ----------
    method : str
        Optimizer and implementation.
    textbook : str
        The line that the textbook prints for it.
    epochs : list of float
        When the loss was evaluated; starts at 0.
    losses : list of float
        ½ mean squared error over all examples at those times.
    seconds_per_epoch : float
        Time in training steps; evaluations do not count.
    """

    method: str
    textbook: str
    epochs: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds_per_epoch: float = float("nan")


def train(
    curve: Curve,
    step: Callable[[npt.NDArray[Any], npt.NDArray[Any]], None],
    loss: Callable[[], float],
    data: Regression,
    *,
    epochs: int,
    rng: np.random.Generator,
) -> Curve:
    """Call `step` on every batch of every epoch, and fill in `curve`.

    Parameters
    ----------
    curve : Curve
        Named, still empty.
    step : callable
        ``step(X, y)`` makes one update from one batch.
    loss : callable
        The loss over all examples, evaluated every 200 examples and at the end, outside the timer.
    data : Regression
        Training examples.
    epochs : int
        Passes over the data.
    rng : numpy.random.Generator
        Draws the order of the examples.

    Returns
    -------
    Curve
        The one that was given.
    """
    n, seconds, total = 0, 0.0, epochs * len(data.X)
    curve.epochs, curve.losses = [0.0], [loss()]
    with tqdm(total=total, desc=curve.method, unit="example", leave=False, disable=None) as bar:
        for _ in range(epochs):
            started = time.perf_counter()
            for X, y in minibatches(data.X, data.y, BATCH_SIZE, rng):
                step(X, y)
                n += len(X)
                if n % EVALUATE_EVERY == 0 or n == total:
                    seconds += time.perf_counter() - started
                    curve.epochs.append(n / len(data.X))
                    curve.losses.append(loss())
                    bar.update(n - bar.n)
                    started = time.perf_counter()
            seconds += time.perf_counter() - started
    curve.seconds_per_epoch = seconds / epochs
    return curve


def start(data: Regression, seed: int) -> tuple[Tensor, Tensor, np.random.Generator]:
    """Return the linear model at its start, and the generator that draws the batches.

    Weights are drawn from N(0, 0.01²), the bias is 0.  Trainings with one seed start at one point
    and see the same batches.
    """
    weights, batches = np.random.default_rng(seed).spawn(2)
    w = Tensor(weights.normal(0.0, 0.01, (data.X.shape[1], 1)), requires_grad=True)
    b = Tensor(np.zeros(1), requires_grad=True)
    return w, b, batches


def full_loss(data: Regression, w: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Return ½ mean (X w + b - y)² over all examples, in plain NumPy."""
    return float(np.mean((data.X @ w + b - data.y) ** 2)) / 2


def least_squares_loss(data: Regression) -> float:
    """Return the loss of the best linear model: the floor that no method can pass.

    Examples
    --------
    >>> from datasets import airfoil_stand_in
    >>> round(least_squares_loss(airfoil_stand_in()), 3)
    0.242
    """
    solution = np.linalg.lstsq(np.column_stack([data.X, np.ones(len(data.X))]), data.y)[0]
    return full_loss(data, solution[:-1], solution[-1])


def compile_ahead(optimizer: Callable[..., Optimizer]) -> None:
    """Have Numba compile the optimizer's loop now, so that no epoch's time includes it."""
    x = Tensor(1.0, requires_grad=True)
    x.grad = np.array(1.0)
    optimizer([x], lr=LEARNING_RATE).step()


def largest_difference(a: list[Tensor], b: list[Tensor]) -> float:
    """Return the largest relative difference between two models' parameters."""
    return max(
        float(np.max(np.abs(x.data - y.data) / np.abs(y.data))) for x, y in zip(a, b, strict=True)
    )
