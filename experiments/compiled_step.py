# %% [markdown]
"""The step as code: what `backward` does, as lines of NumPy, and a whole epoch of it compiled.

A training step lives in a graph: the forward pass builds it, `backward` walks back over it, and
nobody sees either.  Here the section's step is recorded once, and printed as the NumPy statements
that it consists of.  Then the same statements, with Adam's rule and the loop over the batches, run
as one compiled function; and all of this once more, with a hidden layer.  Run it whole, cell by
cell, or with ``python -m experiments compiled_step``.
"""

# %% What is used
from __future__ import annotations

import inspect
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

import minigrad
import optim
from datasets import Regression, airfoil, minibatches
from experiments import RESULTS
from experiments.protocol import BATCH_SIZE, LEARNING_RATE, start
from experiments.report import in_notebook, prepare_folder, save, show_figures
from experiments.speed import whole_epochs
from experiments.speed.timing import Timings, ratio
from experiments.terminal import accept_any_encoding
from minigrad import Tensor, mse_loss

Array = npt.NDArray[Any]

SEED = 1
EPOCHS = 4
ROUNDS = 31
HIDDEN = 32

# %% [markdown]
# ## Two models
#
# The section's linear model ŷ = X w + b, and a network with a hidden layer of 32 units.  The loss
# is that of the concise training, L = mean (ŷ - y)².


# %% A model at its start, how to train it, and what draws the batches
@dataclass(frozen=True)
class Model:
    """What is trained."""

    loss: Callable[[Any, Any], Any]
    parameters: dict[str, Tensor]
    optimizer: optim.Adam
    batches: np.random.Generator

    def step(self, X: Any, y: Any) -> Any:
        """Train on a batch; returns its loss before."""
        self.optimizer.zero_grad()
        loss = self.loss(X, y)
        loss.backward()
        self.optimizer.step()
        return loss


def linear(data: Regression, seed: int) -> Model:
    """The section's model."""
    w, b, batches = start(data, seed)

    def loss(X: Any, y: Any) -> Any:
        y_hat = X @ w + b
        return mse_loss(y_hat, y)

    return Model(loss, {"w": w, "b": b}, optim.Adam([w, b], lr=LEARNING_RATE), batches)


def mlp(data: Regression, seed: int) -> Model:
    """One with a hidden layer; weights are drawn from N(0, 1/n) for n inputs."""
    weights, batches = np.random.default_rng(seed).spawn(2)

    def layer(n: int, m: int) -> tuple[Tensor, Tensor]:
        W = Tensor(weights.normal(0.0, n**-0.5, (n, m)), requires_grad=True)
        return W, Tensor(np.zeros(m), requires_grad=True)

    W1, b1 = layer(data.X.shape[1], HIDDEN)
    W2, b2 = layer(HIDDEN, 1)

    def loss(X: Any, y: Any) -> Any:
        z = X @ W1 + b1
        h = np.tanh(z)
        y_hat = h @ W2 + b2
        return mse_loss(y_hat, y)

    parameters = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}
    return Model(loss, parameters, optim.Adam(parameters.values(), lr=LEARNING_RATE), batches)


MODELS = {whole_epochs.LINEAR: linear, whole_epochs.MLP: mlp}
"""By the name that the speed table has for their epochs."""

# %% [markdown]
# ## The step, recorded
#
# `trace` calls the step on one batch, and notes every NumPy function that the loss and `backward`
# call, and which optimizer would make its step.  `source` writes it as text, with the optimizer's
# rule from its own source file.  A name that ends in ``_bar`` is the derivative of
# the loss by what has the name without it: ``w_bar`` is ∂L/∂w.
#
# For the linear model and n examples, these are the equations:
#
#     ŷ = X w + b                    L = Σ (ŷ - y)² / n
#     ∂L/∂ŷ = 2 (ŷ - y) / n          ∂L/∂w = Xᵀ ∂L/∂ŷ          ∂L/∂b = Σ ∂L/∂ŷ
#
# Each is a line of the source, or two, and then come Adam's.  With a hidden layer, the way back
# leads through it.

READING = {
    whole_epochs.LINEAR: f"""\
product, y_hat    ŷ = X w + b               a prediction for each example of the batch
error             ŷ - y
loss              L = Σ (ŷ - y)² / n        vdot multiplies and sums: here it sums the squares
y_hat_bar         ∂L/∂ŷ = 2 (ŷ - y) / n     n is {BATCH_SIZE}, and 2/n is {2 / BATCH_SIZE}
b_bar             ∂L/∂b = Σ ∂L/∂ŷ           b is part of every prediction: derivatives add up
w_bar             ∂L/∂w = Xᵀ ∂L/∂ŷ          so is w, multiplied by the example's features
c                 η, β₁, ..., ε, λ          the numbers that are the same for every parameter
w, w_v, w_s       w ← w - η v̂ / (√ŝ + ε)     Adam; w_v and w_s are its two means
b, b_v, b_s       b ← b - η v̂ / (√ŝ + ε)
""",
    whole_epochs.MLP: f"""\
product, z        z = X W₁ + b₁             {HIDDEN} numbers for each example
h                 h = tanh z
product_2, y_hat  ŷ = h W₂ + b₂             from here to W2_bar as above, with h for X
error, loss       L = Σ (ŷ - y)² / n
y_hat_bar         ∂L/∂ŷ = 2 (ŷ - y) / n
b2_bar, W2_bar    Σ ∂L/∂ŷ, hᵀ ∂L/∂ŷ
h_bar             ∂L/∂h = ∂L/∂ŷ W₂ᵀ         back through the product, to each unit by its weight
z_bar             ∂L/∂z = ∂L/∂h (1 - h²)    back through tanh: its derivative is 1 - tanh²
b1_bar, W1_bar    Σ ∂L/∂z, Xᵀ ∂L/∂z         as above, with z for ŷ
""",
}
"""Variables of the sources: names, equations, and a word on some.  The update is Adam's in both."""


# %% The source
def source_of(model: Model, data: Regression) -> str:
    """Trace the model's step on a batch, and return it as text."""
    X, y = data.X[:BATCH_SIZE], data.y[:BATCH_SIZE]
    return minigrad.source(minigrad.trace(model.step, X, y))


def code_of(model: Model) -> str:
    """Return the loss as it is written above, without its types."""
    code = textwrap.dedent(inspect.getsource(model.loss))
    return code.replace(": Any", "").replace(" -> Any", "")


# %% [markdown]
# ## Run as it stands
#
# The text is a module that needs nothing but NumPy.  Given a batch, parameters, Adam's means and
# the number of the step, its function returns the loss and what is new.  That has to be the
# engine's bit for bit: it makes the same calls in the same order, without those that change
# nothing, and Adam's rule rounds alike on one number and on an array.


# %% An epoch by the engine, and one by the text
def eager(model: Model, data: Regression) -> list[float]:
    """Train for an epoch with a graph for each batch; returns the batches' losses."""
    batches = minibatches(data.X, data.y, BATCH_SIZE, model.batches)
    return [model.step(X, y).item() for X, y in batches]


def by_text(text: str, model: Model, data: Regression) -> tuple[list[float], list[Array]]:
    """Train for an epoch by a source; returns the batches' losses, and the parameters."""
    module: dict[str, Any] = {}
    exec(text, module)
    parameters = [p.data for p in model.parameters.values()]
    means = [np.zeros_like(x) for x in parameters for _ in ("v", "s")]
    losses = []
    batches = minibatches(data.X, data.y, BATCH_SIZE, model.batches)
    for t, (X, y) in enumerate(batches, start=1):
        loss, *new = module["step"](X, y, *parameters, *means, t)
        parameters, means = new[: len(parameters)], new[len(parameters) :]
        losses.append(float(loss))
    return losses, parameters


def text_beside_engine(
    make: Callable[[Regression, int], Model], data: Regression, seed: int
) -> str:
    """Train for an epoch both ways, and say how much of it has the same bits."""
    model = make(data, seed)
    found, parameters = by_text(source_of(model, data), model, data)
    reference = make(data, seed)
    losses = [a == b for a, b in zip(found, eager(reference, data), strict=True)]
    ends = [
        np.array_equal(x, y.data)
        for x, y in zip(parameters, reference.parameters.values(), strict=True)
    ]
    return (
        f"{sum(losses)} of {len(losses)} losses, and {sum(ends)} of {len(ends)} parameters at the "
        "end, are the engine's bit for bit"
    )


# %% [markdown]
# ## Compiled
#
# `compile` writes the same statements as scalar loops, with Adam's rule and the loop over the
# batches around them, into a file, and has Numba compile it.  Parameters and moments are the
# optimizer's own arrays, changed in place: so one epoch may be compiled and the next one eager.
# The loops add in another order than NumPy does, so the last digits differ.


# %% Eager and compiled epochs in turns
@dataclass(frozen=True)
class InTurns:
    """How epochs went that were eager, compiled, eager, compiled.

    Attributes
    ----------
    path : Path
        Of the file that was compiled.
    lines : int
        How long that file is.
    difference : float
        By how much a loss differs from that of as many eager epochs, at most; relative.
    seconds : float
        What the first compiled epoch took, with tracing, and compiling or loading.
    """

    path: Path
    lines: int
    difference: float
    seconds: float


def in_turns(make: Callable[[Regression, int], Model], data: Regression, seed: int) -> InTurns:
    """Train one model in turns, and the same one eagerly."""
    model, reference = make(data, seed), make(data, seed)
    compiled = minigrad.compile(model.loss, model.optimizer, BATCH_SIZE)
    differences, seconds = [], []
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        if epoch % 2:
            found = compiled(data.X, data.y, rng=model.batches)
            seconds.append(time.perf_counter() - started)
        else:
            found = np.array(eager(model, data))
        expected = np.array(eager(reference, data))
        differences.append(float(np.max(np.abs(found - expected) / expected)))
    lines = compiled.source.count("\n")
    return InTurns(compiled.path, lines, max(differences), seconds[0])


# %% [markdown]
# ## How fast
#
# What else could run an epoch: JAX's `lax.scan` compiles all of it, too; PyTorch and the engine are
# called for each batch; and for the linear model someone has written the loops by hand, in
# ``experiments/speed/hand_written.py``.  All in float64, in one process, in turns, each with the
# shuffling.  How far the parameters are from the engine's after the first epoch shows that all of
# them do the same work.


# %% The measurement
@dataclass(frozen=True)
class Times:
    """What an epoch takes.

    Attributes
    ----------
    task : str
        Whose; a name of `MODELS`.
    timings : dict
        Candidate to seconds, one for each round.
    differences : dict
        Candidate to how far its parameters are from the engine's after one epoch, at most,
        relative to the largest of the array.
    """

    task: str
    timings: Timings
    differences: dict[str, float]

    def milliseconds(self, name: str) -> float:
        """A candidate's median."""
        return median(self.timings[name]) * 1e3

    def times_compiled(self, name: str) -> float:
        """How many times as long as the compiled epoch a candidate takes."""
        return ratio(self.timings, name, whole_epochs.COMPILED)

    def fastest_first(self) -> list[str]:
        """The candidates."""
        return sorted(self.timings, key=self.milliseconds)


def measure(task: str, data: Regression, seed: int) -> Times:
    """Run every candidate's first epoch and compare; then time them."""
    found = whole_epochs.candidates(whole_epochs.TASKS[task], data, seed)
    trained = {}
    for name, candidate in found.items():
        candidate.epoch()
        trained[name] = candidate.parameters()
    differences = {
        name: max(
            float(np.max(np.abs(x - y)) / np.max(np.abs(y)))
            for x, y in zip(parameters, trained[whole_epochs.EAGER], strict=True)
        )
        for name, parameters in trained.items()
    }
    return Times(task, whole_epochs.timed(found, ROUNDS), differences)


def table(found: Times) -> str:
    """Return a line for each candidate."""
    lines = [f"{'':34}{'an epoch':>12}{'times compiled':>18}{'differs by':>14}"]
    for name in found.fastest_first():
        lines.append(
            f"{name:34}{found.milliseconds(name):9.3f} ms{found.times_compiled(name):18.2f}"
            f"{_relative(found.differences[name]):>14}"
        )
    return "\n".join(lines) + "\n"


def _relative(x: float) -> str:
    return f"{x:.0e}" if x else "0"


# %% [markdown]
# ## As a picture


# %% The figure
def draw(measured: Sequence[Times]) -> Figure:
    """Draw the time of each candidate's epoch, a panel for each model."""
    figure, axes = plt.subplots(
        1, len(measured), figsize=(10, 3.2), sharex=True, layout="constrained", squeeze=False
    )
    for ax, found in zip(axes.flat, measured, strict=True):
        names = found.fastest_first()
        for row, name in enumerate(names):
            color = "#0072b2" if name == whole_epochs.COMPILED else "black"
            value = found.milliseconds(name)
            ax.plot(value, row, "o", color=color)
            ax.annotate(
                f"{value:.3g} ms", (value, row), (7, 0), textcoords="offset points", va="center",
                color=color,
            )  # fmt: skip
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set(xscale="log", xlabel="an epoch of 150 steps, ms")
        gain = found.times_compiled(whole_epochs.EAGER)
        ax.set_title(f"{found.task}:\ncompiled {gain:.0f} times as fast as eager", size="medium")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    values = [found.milliseconds(name) for found in measured for name in found.timings]
    axes[0, 0].set_xlim(min(values) / 2, max(values) * 20)  # for the labels
    return figure


# %% All of it
def show_text(caption: str, text: str) -> None:
    """Print a caption, and below it the text, indented."""
    print(f"\n{caption}\n{textwrap.indent(text.rstrip(), '    ')}", flush=True)


def walk(data: Regression, seed: int, folder: Path = RESULTS, *, show: bool = False) -> None:
    """Print sources, comparisons and times, and save the figure as compiled_step.png.

    Parameters
    ----------
    data : Regression
        What to train on.
    seed : int
        Of the initial weights and the batches.
    folder : Path
        Where the figure goes; checked before anything is printed.
    show : bool
        Whether to open the figure in a window, or in the notebook.

    Raises
    ------
    OSError
        If `folder` cannot be written to.
    """
    accept_any_encoding()
    prepare_folder(folder)
    print(f"data   {data.source}\nseed   {seed}")
    measured: list[Times] = []
    for task, make in MODELS.items():
        model = make(data, seed)
        text = source_of(model, data)
        if measured:  # the imports and Adam's functions are as before
            text = text[text.index("def step(") :]
        show_text(f"{task}\n{'=' * len(task)}\n", code_of(model))
        show_text(
            "A step is zero_grad, this loss, backward, and Adam's step.  What minigrad.trace has "
            "noted of\none, as minigrad.source writes it down:\n",
            text,
        )
        show_text(
            "Line by line, with n examples in a batch; its first two lines refuse any but n = "
            f"{BATCH_SIZE}:\n",
            READING[task],
        )
        show_text("This text, run as it stands for an epoch:", text_beside_engine(make, data, seed))
        turns = in_turns(make, data, seed)
        show_text(
            f"minigrad.compile(loss, optimizer, {BATCH_SIZE}), in {EPOCHS} epochs that are eager, "
            "compiled, eager, ...:",
            f"losses differ by up to {_relative(turns.difference)} of those of {EPOCHS} eager "
            f"epochs\nthe first compiled epoch took {turns.seconds:.2f} s, with making the machine "
            f"code or loading it\nthe code, {turns.lines} lines of Python for Numba, is\n"
            f"{turns.path}",
        )
        measured.append(measure(task, data, seed))
        show_text(
            "An epoch in float64, and how far the parameters are from the eager engine's after the "
            "first:",
            table(measured[-1]),
        )
    print()
    save(draw(measured), folder / "compiled_step.png")
    if show:
        show_figures()
    plt.close("all")


if __name__ == "__main__":
    walk(airfoil(), SEED, show=in_notebook())
