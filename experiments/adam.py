# %% [markdown]
"""Adam: from scratch as plain equations, then concise with a library's layers and optimizer.

The textbook's section trains a linear model on NASA's airfoil data twice: with Adam written out,
and with the framework's Adam.  This script does the same, so that each equation of the section
stands beside the line that computes it.  Run it whole, cell by cell, or with
``python -m experiments adam``.
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
    compile_ahead,
    full_loss,
    largest_difference,
    start,
    train,
)
from experiments.report import in_notebook, report
from minigrad import Tensor, mse_loss, nn, squared_loss

SEED = 1
EPOCHS_FROM_SCRATCH = 2
EPOCHS_CONCISE = 4

# %% [markdown]
# ## The equations
#
# Adam keeps two running means per parameter, both starting at zero: v of the gradients (momentum)
# and s of their squares (scale).
#
#     v_t = β₁ v_{t-1} + (1 - β₁) g_t
#     s_t = β₂ s_{t-1} + (1 - β₂) g_t²
#
# A mean that starts at zero is too small at first, by the factor 1 - βᵗ.  Dividing by it corrects
# the bias.  The step then is the corrected momentum in units of the corrected scale:
#
#     v̂_t = v_t / (1 - β₁ᵗ)          ŝ_t = s_t / (1 - β₂ᵗ)
#     x_t = x_{t-1} - η v̂_t / (√ŝ_t + ε)

# %% One step of Adam, for all parameters
State = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def adam(params: list[Tensor], states: list[State], t: int, lr: float) -> None:
    """Update every parameter in place from its gradient; t counts the steps from 1."""
    beta1, beta2, eps = 0.9, 0.999, 1e-6
    for x, (v, s) in zip(params, states, strict=True):
        g = x.grad
        v[:] = beta1 * v + (1 - beta1) * g
        s[:] = beta2 * s + (1 - beta2) * g**2
        v_hat = v / (1 - beta1**t)
        s_hat = s / (1 - beta2**t)
        x.data -= lr * v_hat / (np.sqrt(s_hat) + eps)
        x.grad = None


# %% [markdown]
# ## From scratch
#
# The model is ŷ = X w + b, the loss of an example ½ (ŷ - y)².  `backward` fills in the gradients.


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
        adam([w, b], states, t, LEARNING_RATE)

    def loss() -> float:
        return full_loss(data, w.data, b.data)

    epochs = EPOCHS_FROM_SCRATCH
    curve = Curve(f"Adam, from scratch, {epochs} epochs", "loss: 0.242, 0.095 sec/epoch")
    train(curve, step, loss, data, epochs=epochs, rng=batches)
    return curve, [w, b]


# %% [markdown]
# ## Concise
#
# The same with a layer, a loss and an optimizer from the shelf.  `mse_loss` lacks the ½ of the
# section's loss, so its gradients are twice as large.  Adam hardly notices: doubling g doubles v̂
# and √ŝ alike, and only ε, now 1e-8, keeps the step from being exactly the same.


# %% Training, concise
def concise(
    data: Regression, seed: int, epochs: int = EPOCHS_CONCISE, eps: float = 1e-8
) -> tuple[Curve, list[Tensor]]:
    """Train with `nn` and `optim`; returns the curve and the trained parameters."""
    net = nn.Sequential(nn.Linear(data.X.shape[1], 1, rng=np.random.default_rng(seed)))
    w, b = net.parameters()
    w0, b0, batches = start(data, seed)
    w.data[...], b.data[...] = w0.data, b0.data
    optimizer = optim.Adam(net.parameters(), lr=LEARNING_RATE, eps=eps)

    def step(X: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
        optimizer.zero_grad()
        mse_loss(net(X), y).backward()
        optimizer.step()

    def loss() -> float:
        return full_loss(data, w.data, b.data)

    compile_ahead(optim.Adam)
    curve = Curve(f"Adam, concise, {epochs} epochs", "loss: 0.245, 0.075 sec/epoch")
    train(curve, step, loss, data, epochs=epochs, rng=batches)
    return curve, net.parameters()


# %% [markdown]
# ## Are the two the same?
#
# Given the same start, batches, number of epochs, and ε twice as large for gradients twice as
# large, the two trainings have to take the same path, up to rounding.


# %% The check
def check(data: Regression, seed: int) -> str:
    """Train twice with equal settings, and say how far the parameters end apart."""
    _, by_equations = from_scratch(data, seed)
    _, by_library = concise(data, seed, epochs=EPOCHS_FROM_SCRATCH, eps=2e-6)
    difference = largest_difference(by_library, by_equations)
    return f"optim.Adam, run with the same settings, ends within {difference:.0e} of the equations"


# %% Both trainings, the check, and the loss curves
def run(data: Regression, seed: int) -> Iterator[Curve]:
    """Run both trainings."""
    yield from_scratch(data, seed)[0]
    yield concise(data, seed)[0]


EXPERIMENT = Experiment(run, check)

if __name__ == "__main__":
    report({"adam": EXPERIMENT}, airfoil(), SEED, show=in_notebook())
