# %% [markdown]
"""Yogi: Adam with one line changed, from scratch and from the library.

The section replaces Adam's second moment by one that moves by a fixed fraction of g², up or down.
This script trains the same linear model with it, on the same batches as ``adam.py``.  Run it
whole, cell by cell, or with ``python -m experiments yogi``.
"""

# %% What is used
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import optim
from datasets import Regression, airfoil
from experiments.protocol import (
    LEARNING_RATE,
    Curve,
    Experiment,
    full_loss,
    largest_difference,
    start,
    train,
)
from experiments.report import in_notebook, report
from minigrad import Tensor, squared_loss

SEED = 1
EPOCHS = 2

# %% [markdown]
# ## The one line
#
# Adam's second moment is a mean, so it moves by a fraction of its distance to g²:
#
#     s_t = s_{t-1} + (1 - β₂) (g_t² - s_{t-1})
#
# Yogi keeps the direction of that move and takes (1 - β₂) g² for its size:
#
#     s_t = s_{t-1} + (1 - β₂) sign(g_t² - s_{t-1}) g_t²
#
# The section says that s then "only grows under large gradients".  In fact a gradient far above √s
# makes Yogi's s grow a little *more* than Adam's.  The difference lies on the way down: when
# gradients are small, Adam forgets at the rate 1 - β₂ whatever they are, and Yogi only by
# (1 - β₂) g².

# %% One step of Yogi, for all parameters
State = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def yogi(params: list[Tensor], states: list[State], t: int, lr: float) -> None:
    """Update every parameter in place from its gradient; t counts the steps from 1."""
    beta1, beta2, eps = 0.9, 0.999, 1e-3
    for x, (v, s) in zip(params, states, strict=True):
        g = x.grad
        v[:] = beta1 * v + (1 - beta1) * g
        s[:] = s + (1 - beta2) * np.sign(g**2 - s) * g**2
        v_hat = v / (1 - beta1**t)
        s_hat = s / (1 - beta2**t)
        x.data -= lr * v_hat / (np.sqrt(s_hat) + eps)
        x.grad = None


# %% Training from scratch
def from_scratch(data: Regression, seed: int) -> tuple[Curve, list[Tensor]]:
    """Train with the equations above; returns the curve and the trained parameters."""
    w, b, batches = start(data, seed)
    states = [(np.zeros_like(x.data), np.zeros_like(x.data)) for x in (w, b)]
    t = 0

    def step(X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
        nonlocal t
        t += 1
        squared_loss(X @ w + b, y).mean().backward()
        yogi([w, b], states, t, LEARNING_RATE)

    def loss() -> float:
        return full_loss(data, w.data, b.data)

    curve = Curve(f"Yogi, from scratch, {EPOCHS} epochs", "loss: 0.244, 0.077 sec/epoch")
    train(curve, step, loss, data, epochs=EPOCHS, rng=batches)
    return curve, [w, b]


# %% [markdown]
# ## From the library
#
# `optim.Yogi` on the same start and batches has to take the same path, up to rounding.


# %% Training with the library, and the check
def from_library(data: Regression, seed: int) -> list[Tensor]:
    """Train with `optim.Yogi`; returns the trained parameters."""
    w, b, batches = start(data, seed)
    optimizer = optim.Yogi([w, b], lr=LEARNING_RATE, eps=1e-3)

    def step(X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
        optimizer.zero_grad()
        squared_loss(X @ w + b, y).mean().backward()
        optimizer.step()

    def loss() -> float:
        return full_loss(data, w.data, b.data)

    train(Curve("Yogi, library", ""), step, loss, data, epochs=EPOCHS, rng=batches)
    return [w, b]


def check(data: Regression, seed: int) -> str:
    """Train twice, and say how far the parameters end apart."""
    _, by_equations = from_scratch(data, seed)
    difference = largest_difference(from_library(data, seed), by_equations)
    return f"optim.Yogi, run with the same settings, ends within {difference:.0e} of the equations"


# %% The training, the check, and the loss curve
def run(data: Regression, seed: int) -> Iterator[Curve]:
    """Run the training."""
    yield from_scratch(data, seed)[0]


EXPERIMENT = Experiment(run, check)

if __name__ == "__main__":
    report({"yogi": EXPERIMENT}, airfoil(), SEED, show=in_notebook())
