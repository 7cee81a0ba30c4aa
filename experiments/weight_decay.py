# %% [markdown]
"""Weight decay: coupled to Adam's gradient or decoupled from it, and what that changes.

The section says that Adam's generalization gap "motivated AdamW + decoupled weight decay".  This
script shows the mechanism on single weights, then trains on a grid of learning rates and decays
with both kinds.  Run it whole, cell by cell, or with ``python -m experiments weight_decay``.
"""

# %% What is used
from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets import Images, glyphs
from experiments.lineup import build, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings import train_classifier
from experiments.uncertainty import mean_and_error
from minigrad import Tensor

Vector = npt.NDArray[np.float64]

NAMES = {"adam": "coupled (Adam)", "adamw": "decoupled (AdamW)"}

# %% [markdown]
# ## The mechanism
#
#     coupled     g = ∇f(x) + λx,  x ← x - η v̂/(√ŝ + ε)                 optim.Adam(weight_decay=λ)
#     decoupled   g = ∇f(x),       x ← (1 - ηλ) x - η v̂/(√ŝ + ε)        optim.AdamW(weight_decay=λ)
#
# Take one weight x = 1 whose loss gradient is pure noise, ±σ in turn.  What decay adds to the mean
# step is ηλ when it is decoupled.  Coupled, it is divided by √ŝ like the rest of the gradient:
#
#     coupled   ηλ / √(σ² + λ²)          decoupled   ηλ
#
# So coupled decay hardly touches weights with large gradients, and pulls on those with small ones
# with a full step of η whatever λ is.

# %% Its size
MECHANISM_LR, MECHANISM_DECAY, MECHANISM_STEPS = 1e-7, 0.1, 1000
SIGMAS = [10.0 ** (k / 2) for k in range(-6, 7)]


def decay_per_step(optimizer: str) -> Vector:
    """Measure how much weights of 1 shrink per step, one for each size of gradient.

    Two copies of each weight get opposite noise; in their mean it cancels, and the decay remains.
    """
    x = Tensor(np.ones((2, len(SIGMAS))), requires_grad=True)
    rule = build(optimizer, [x], lr=MECHANISM_LR, weight_decay=MECHANISM_DECAY)
    noise = np.outer([1.0, -1.0], SIGMAS)
    for step in range(MECHANISM_STEPS):
        x.grad = noise * (-1) ** step
        rule.step()
    return np.asarray((1 - x.data.mean(axis=0)) / MECHANISM_STEPS)


def predicted_decay(optimizer: str) -> Vector:
    """Return the same by the formulas above."""
    sigma, decay = np.array(SIGMAS), MECHANISM_DECAY
    scale = np.hypot(sigma, decay) if optimizer == "adam" else np.ones_like(sigma)
    return MECHANISM_LR * decay / scale


# %% [markdown]
# ## The grid
#
# Digits again, now few (200) and with a fifth of the labels drawn at random, so that a network
# that fits them all does badly on clean ones: decay has something to do.  An MLP 256-64-10, 400
# steps on batches of 20, and for every learning rate η every λ, of both kinds.
#
# The paper's picture (Loshchilov & Hutter, arXiv:1711.05101, figure 2): with coupled decay the good
# cells lie on a diagonal, so that η and λ have to be tuned together; decoupled they fill a
# rectangle, and one can be tuned after the other.  The paper decouples twice, though.  Its decay is
# a λ' that is *not* multiplied by η; PyTorch's AdamW, and ours, shrinks by ηλ.  The two have the
# same cells, on axes that are sheared against each other: λ' = ηλ.
#
# What should one expect?  Once training has come to rest, decay and gradients are in balance,
#
#     coupled     ∇f(x) + λx = 0
#     decoupled   v̂/√ŝ + λx = 0:  |x| at most about 1/λ
#
# and η does not appear: the best λ is the same for all η, for both.  Where training ends long
# before, after T steps with ηλT below 1, what counts is how far weights have shrunk, ηλT, and the
# best λ goes as 1/η: then PyTorch's axes have the diagonal and the paper's the rectangle.
#
# So we measure.  For each η from 0.002 on, λ* is where the mean validation loss is lowest, between
# cells by the parabola through the lowest three.  Its slope b in log λ* = a + b log η is 0 for a
# rectangle and ±1 for a diagonal; on the paper's axes it is b + 1.  Standard errors are over seeds,
# each with a slope of its own.  Below 0.002 training stops early enough to need little decay; those
# rates take part only where the best of all cells is looked for.

# %% Its size
TRAINING_IMAGES, HELD_OUT, WRONG_LABELS = 200, 1000, 0.2
HIDDEN, EPOCHS, BATCH_SIZE = 64, 40, 20
LRS = [0.0005 * 2**k for k in range(7)]
AT_REST = 0.002  # η from which on 400 steps are enough to overfit: below, decay hardly matters
DECAYS = {"adam": [2.0**k for k in range(-10, -2)], "adamw": [2.0**k for k in range(-4, 4)]}
SEEDS, REDUCED_SEEDS = 6, 3


@functools.cache
def images(seed: int) -> dict[str, Images]:
    """Draw the images of a seed: training images with some wrong labels, and clean ones."""
    rng = np.random.default_rng(seed)
    train = glyphs(TRAINING_IMAGES, rng)
    wrong = rng.random(TRAINING_IMAGES) < WRONG_LABELS
    labels = np.where(wrong, rng.integers(0, 10, TRAINING_IMAGES), train.y)
    return {
        "train": replace(train, y=labels),
        "validation": glyphs(HELD_OUT, rng),
        "test": glyphs(HELD_OUT, rng),
    }


def train_on_images(*, seed: int, **options: Any) -> Result:
    """Train on the images of a seed, from the start of that seed."""
    return train_classifier(
        images(seed), seed=seed, hidden=HIDDEN, epochs=EPOCHS, batch_size=BATCH_SIZE, **options
    )


# %% The measurement
@dataclass(frozen=True)
class Grid:
    """Losses and errors of every cell: arrays of shape (rates, decays, seeds)."""

    lrs: list[float]
    decays: list[float]
    validation_loss: Vector
    test_loss: Vector
    test_error: Vector

    @property
    def chosen(self) -> tuple[int, int]:
        """The cell with the lowest mean validation loss."""
        mean = self.validation_loss.mean(axis=2)
        i, j = np.unravel_index(int(np.argmin(mean)), mean.shape)
        return int(i), int(j)

    @property
    def first(self) -> int:
        """The first of the rates at which training comes to rest."""
        return int(np.argmax(np.array(self.lrs) >= AT_REST))

    @property
    def settled(self) -> Vector:
        """The rates at which it does."""
        return np.array(self.lrs[self.first :])

    @property
    def best_decays(self) -> Vector:
        """λ* for each of them, from the mean over seeds."""
        return best_decays(self.decays, self.validation_loss[self.first :].mean(axis=2))

    @property
    def slope(self) -> tuple[float, float]:
        """Mean and standard error over seeds of the slope of log λ* over log η."""
        of_seeds = np.moveaxis(self.validation_loss[self.first :], 2, 0)
        slopes = [slope(self.settled, best_decays(self.decays, losses)) for losses in of_seeds]
        return mean_and_error(np.array(slopes))


def best_decays(decays: list[float], losses: Vector) -> Vector:
    """Return for each row of losses the λ at the minimum of a parabola in log λ."""
    at = np.log(decays)
    best = []
    for row in losses:
        j = int(np.clip(np.argmin(row), 1, len(row) - 2))
        left, middle, right = row[j - 1 : j + 2]
        bend = left - 2 * middle + right
        if 0 < bend < np.inf:
            shift = float(np.clip((left - right) / (2 * bend), -1, 1))
        else:  # the minimum is at the edge, or beside a cell that diverged
            shift = float(np.argmin(row) - j)
        best.append(at[j] + shift * (at[1] - at[0]))
    return np.exp(best)


def slope(lrs: Vector, decays: Vector) -> float:
    """Return b of log λ = a + b log η, by least squares."""
    return float(np.polyfit(np.log(lrs), np.log(decays), 1)[0])


@dataclass(frozen=True)
class Measurement:
    """The mechanism, the two grids, and what no decay gives."""

    shrinkage: dict[str, Vector]
    grids: dict[str, Grid]
    none: Grid

    def difference(self, quantity: str) -> tuple[float, float]:
        """Decoupled minus coupled at the chosen cells: mean and standard error over seeds."""
        values = {name: getattr(g, quantity)[g.chosen] for name, g in self.grids.items()}
        return mean_and_error(values["adamw"] - values["adam"])


def measure(setting: Setting) -> Measurement:
    """Shrink single weights, and train in every cell of the grids."""
    seeds = range(setting.seed, setting.seed + (REDUCED_SEEDS if setting.reduced else SEEDS))
    lrs = [LRS[1], *LRS[2::2]] if setting.reduced else LRS
    some = slice(1, -1) if setting.reduced else slice(None)  # of the decays
    columns = {name: decays[some] for name, decays in DECAYS.items()} | {"none": [0.0]}
    runs = [
        {
            "optimizer": "adamw" if name == "adamw" else "adam",
            "lr": lr,
            "weight_decay": decay,
            "seed": s,
        }
        for s in seeds
        for name, decays in columns.items()
        for lr in lrs
        for decay in decays
    ]
    results = iter(setting.sweep("weight_decay", train_on_images, runs))
    cells: dict[str, list[Result]] = {name: [] for name in columns}
    for _ in seeds:
        for name, decays in columns.items():
            cells[name] += [next(results) for _ in lrs for _ in decays]

    def grid(name: str) -> Grid:
        def values(key: str) -> Vector:
            flat = np.array([result[key] for result in cells[name]])
            return flat.reshape(len(seeds), len(lrs), len(columns[name])).transpose(1, 2, 0)

        keys = "validation_loss", "test_loss", "test_error"
        return Grid(lrs, columns[name], *(values(key) for key in keys))

    return Measurement(
        shrinkage={name: decay_per_step(name) for name in NAMES},
        grids={name: grid(name) for name in NAMES},
        none=grid("none"),
    )


# %% The table
def table(m: Measurement) -> str:
    """Return the mechanism, the best λ of each rate, and the best cells as text."""
    lines = [
        f"decay of a weight of 1 per step, in units of ηλ; λ = {MECHANISM_DECAY}",
        f"{'gradient ±σ':22}" + "".join(f"{s:>10.3g}" for s in SIGMAS[::2]),
    ]
    unit = MECHANISM_LR * MECHANISM_DECAY
    for name, label in NAMES.items():
        values = "".join(f"{v / unit:10.4f}" for v in m.shrinkage[name][::2])
        lines.append(f"{label:22}{values}")
    seeds = m.none.test_loss.shape[2]
    settled = m.grids["adam"].settled
    lines += [
        "",
        f"images: best λ at each η, mean of {seeds} seeds; slope of log λ over log η ± its "
        "standard error",
        f"{'η':22}" + "".join(f"{lr:9.3g}" for lr in settled) + f"{'slope':>18}",
    ]
    for name, label in NAMES.items():
        grid = m.grids[name]
        values = "".join(f"{v:9.3g}" for v in grid.best_decays)
        lines.append(f"{label:22}{values}{'{:+.2f} ± {:.2f}'.format(*grid.slope):>18}")
        if name == "adamw":
            b, error = grid.slope
            values = "".join(f"{v:9.3g}" for v in grid.best_decays * settled)
            lines.append(f"{'the same as ηλ':22}{values}{f'{b + 1:+.2f} ± {error:.2f}':>18}")
    lines += [
        "",
        "images: the cell with the lowest validation loss, judged on test images",
        f"{'':22}{'η':>9}{'λ':>9}{'test loss':>18}{'test error':>18}",
    ]
    for label, grid in (("no decay", m.none), *((NAMES[n], g) for n, g in m.grids.items())):
        i, j = grid.chosen
        loss, wrong = (mean_and_error(values[i, j]) for values in (grid.test_loss, grid.test_error))
        lines.append(
            f"{label:22}{grid.lrs[i]:9.3g}{grid.decays[j]:9.3g}"
            f"{'{:.3f} ± {:.3f}'.format(*loss):>18}{'{:.1%} ± {:.1%}'.format(*wrong):>18}"
        )
    return "\n".join(lines)


# %% [markdown]
# ## The verdicts
#
# 1. The mechanism holds if coupled decay of equal weights differs more than tenfold between small
#    and large gradients, and decoupled decay by less than 1%.
# 2. The best λ *moves* with η if its slope is nearer to ±1 than to 0.  The claim holds if the
#    coupled one moves and the decoupled one does not; in part, if the decoupled one stays but so
#    does the coupled; else it fails.
# 3. Decoupled decay is better if its chosen cell has a lower test loss than the coupled one's by
#    more than 2 standard errors of the difference over seeds.


# %% Numbers to verdicts
def judge(m: Measurement) -> list[Verdict]:
    """Return the verdicts on mechanism, grid, and benefit."""
    return [_judge_mechanism(m), _judge_grid(m), _judge_benefit(m)]


def _judge_mechanism(m: Measurement) -> Verdict:
    ratios = {name: float(values.max() / values.min()) for name, values in m.shrinkage.items()}
    return Verdict(
        claim="Adam divides a coupled decay by the size of the gradients; a decoupled one shrinks "
        "all weights alike.",
        number=f"fastest / slowest decay for gradients from {SIGMAS[0]:g} to {SIGMAS[-1]:g}: "
        f"{ratios['adam']:,.0f} coupled, {ratios['adamw']:.4f} decoupled",
        verdict="holds" if ratios["adam"] > 10 and ratios["adamw"] < 1.01 else "fails",
    )


def _judge_grid(m: Measurement) -> Verdict:
    (coupled, e), (decoupled, f) = m.grids["adam"].slope, m.grids["adamw"].slope
    moves = {"adam": abs(coupled) > 0.5, "adamw": abs(decoupled) > 0.5}
    return Verdict(
        claim="On a grid of η and λ the best coupled decay moves with η along a diagonal, the best "
        "decoupled one does not.",
        number=f"slope of log λ* over log η: coupled {coupled:+.2f} ± {e:.2f}, decoupled "
        f"{decoupled:+.2f} ± {f:.2f} (0: does not move, ±1: diagonal)",
        verdict=(
            "fails" if moves["adamw"]
            else "holds" if moves["adam"]
            else "in part"
        ),
        remark="These are AdamW's axes as in PyTorch, where each step shrinks by ηλ. On the "
        f"paper's, λ' = ηλ, the decoupled slope is {decoupled + 1:+.2f}. A "
        "best λ that does not move is what one expects where training comes to rest, for then η "
        "drops out of the balance of decay and gradients. The paper anneals η, and its networks "
        "have normalized layers.",
    )  # fmt: skip


def _judge_benefit(m: Measurement) -> Verdict:
    mean, error = m.difference("test_loss")
    mean_wrong, error_wrong = m.difference("test_error")
    none = float(m.none.test_loss[m.none.chosen].mean())
    coupled, decoupled = (float(g.test_loss[g.chosen].mean()) for g in m.grids.values())
    return Verdict(
        claim="Decoupled decay makes Adam generalize better than coupled decay.",
        number=f"test loss, decoupled minus coupled, each at its best cell: {mean:+.3f} ± "
        f"{error:.3f} nats; test error {mean_wrong:+.1%} ± {error_wrong:.1%}",
        verdict="holds" if mean < -2 * error else "fails",
        remark=f"Test losses: no decay, tuned, {none:.3f}; coupled {coupled:.3f}; decoupled "
        f"{decoupled:.3f}. One small network with noisy labels; the paper's evidence is from "
        "long trainings of large ones.",
    )


# %% The figure
def draw(m: Measurement) -> Figure:
    """Draw the mechanism, and the grids: the coupled one, and the decoupled one on both axes."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.6), layout="constrained")
    _draw_mechanism(m, axes[0, 0])
    coupled, decoupled = m.grids["adam"], m.grids["adamw"]
    losses = np.concatenate([g.test_loss.mean(axis=2).ravel() for g in m.grids.values()])
    limits = float(losses.min()), float(np.quantile(losses, 0.8))
    b, c = coupled.slope[0], decoupled.slope[0]
    titles = (
        rf"Coupled: $\lambda^* \propto \eta^{{{b:.1f}}}$",
        rf"Decoupled, PyTorch's axes: $\lambda^* \propto \eta^{{{c:.1f}}}$",
        rf"The same on the paper's axes: $\eta\lambda^* \propto \eta^{{{c + 1:.1f}}}$",
    )
    _draw_grid(coupled, axes[0, 1], limits, titles[0])
    _draw_grid(decoupled, axes[1, 0], limits, titles[1])
    _draw_grid(decoupled, axes[1, 1], limits, titles[2], sheared=True)
    image = axes[1, 1].collections[0]
    bar = figure.colorbar(image, ax=list(axes.flat), shrink=0.6, extend="max", location="right")
    bar.set_label("mean test loss, nats")
    figure.legend(handles=axes[0, 1].get_lines(), loc="outside lower center", ncols=2)
    figure.suptitle(_finding(m))
    return figure


def _finding(m: Measurement) -> str:
    """Say in a sentence what the grid shows."""
    flat = [name for name, grid in m.grids.items() if abs(grid.slope[0]) <= 0.5]
    if len(flat) == 2:
        rows = "The best λ does not move with η, neither coupled nor decoupled"
    elif flat:
        rows = f"Only the best {NAMES[flat[0]].split()[0]} λ does not move with η"
    else:
        rows = "The best λ moves with η, coupled and decoupled"
    paper = abs(m.grids["adamw"].slope[0] + 1) > 0.5
    return f"{rows};\nλ' = ηλ, the paper's, {'moves along the diagonal' if paper else 'stays'}"


def _draw_mechanism(m: Measurement, ax: Axes) -> None:
    """Draw measured decay over gradient size, on the closed form."""
    unit = MECHANISM_LR * MECHANISM_DECAY
    for name, values in m.shrinkage.items():
        style = line(name, marker=True) | {"linestyle": "none", "label": NAMES[name]}
        ax.plot(SIGMAS, values / unit, **style, markersize=7)
        form = line(name) | {"label": "", "linewidth": 1.5}
        ax.plot(SIGMAS, predicted_decay(name) / unit, **form)
    ax.set(xscale="log", yscale="log")
    ax.set(
        xlabel="size of the gradient σ", ylabel="decay of a weight of 1 per step, in units of ηλ"
    )
    ax.grid(alpha=0.3)
    ax.legend(loc="lower left", title="measured, on the closed form")
    ax.set_title(f"The mechanism, λ = {MECHANISM_DECAY}", fontsize="medium")


def _draw_grid(
    grid: Grid, ax: Axes, limits: tuple[float, float], title: str, *, sheared: bool = False
) -> None:
    """Draw mean test losses as a heat map, and λ* on it; sheared: over ηλ instead of λ."""
    lrs, loss = np.array(grid.lrs), grid.test_loss.mean(axis=2)
    across, up = _edges(lrs), _edges(np.array(grid.decays))
    for i, lr in enumerate(lrs):
        x, y = np.meshgrid(across[i : i + 2], up * (lr if sheared else 1))
        ax.pcolormesh(x, y, loss[i][:, None], cmap="viridis_r", vmin=limits[0], vmax=limits[1])
    best = grid.best_decays * (grid.settled if sheared else 1)
    label = "λ*: lowest validation loss at this η"
    ax.plot(grid.settled, best, "ko-", markerfacecolor="white", markersize=8, label=label)
    i, j = grid.chosen
    at = grid.decays[j] * (lrs[i] if sheared else 1)
    ax.plot(lrs[i], at, "k*", markerfacecolor="white", markersize=13, label="lowest of all cells")
    ax.set(xscale="log", yscale="log", xlabel="learning rate η")
    ax.set_ylabel("decay per step λ' = ηλ" if sheared else "decay λ")
    ax.set_xticks(lrs, [f"{lr:g}" for lr in lrs])
    ax.minorticks_off()
    ax.set_title(title, fontsize="medium")


def _edges(values: Vector) -> Vector:
    """Return the edges of cells on a logarithmic axis: half-way between the values."""
    at = np.log(values)
    middle = (at[:-1] + at[1:]) / 2
    ends = [2 * at[0] - middle[0]], [2 * at[-1] - middle[-1]]
    return np.asarray(np.exp(np.concatenate([ends[0], middle, ends[1]])))


# %% The question
QUESTION = Question(
    asks="What does decoupling weight decay from Adam's gradient change?",
    equations=(
        r"g = \nabla f(x) + \lambda x, \quad"
        r" x \leftarrow x - \eta\,\hat v/(\sqrt{\hat s}+\epsilon)",
        r"x \leftarrow (1 - \eta\lambda)\,x - \eta\,\hat v/(\sqrt{\hat s}+\epsilon)",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("weight_decay", QUESTION)
