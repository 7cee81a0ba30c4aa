# %% [markdown]
"""Weight decay: coupled to Adam's gradient or decoupled from it, and what that changes.

The section says that Adam's generalization gap "motivated AdamW + decoupled weight decay".  This
script shows the mechanism on single weights, then trains on a grid of learning rates and decays
with both kinds.  Run it whole, cell by cell, or with ``python -m experiments weight_decay``.
"""

# %% What is used
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.lineup import build, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings.digits import train_on_digits
from experiments.uncertainty import mean_and_error
from minigrad import Tensor

Array = npt.NDArray[np.float64]

Outcome = Literal["holds", "in part", "fails"]

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


def decay_per_step(optimizer: str) -> Array:
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


def predicted_decay(optimizer: str) -> Array:
    """Return the same by the formulas above."""
    sigma, decay = np.array(SIGMAS), MECHANISM_DECAY
    scale = np.hypot(sigma, decay) if optimizer == "adam" else np.ones_like(sigma)
    return MECHANISM_LR * decay / scale


# %% [markdown]
# ## The grid
#
# Drawn digits (`datasets.glyphs`), few of them (200), and a fifth of the labels drawn at random, so
# that a network that fits them all does badly on clean ones: decay has something to do.  An MLP
# 256-64-10, 400 steps on batches of 20, and for every learning rate η every λ, of both kinds.
#
# The paper's picture (Loshchilov & Hutter, arXiv:1711.05101, figure 2): with coupled decay the good
# cells lie on a diagonal, so that η and λ have to be tuned together; decoupled they fill a
# rectangle, and one can be tuned after the other.  The paper decouples twice, though.  Its decay is
# a λ' that is *not* multiplied by η; PyTorch's AdamW, and ours, shrinks by ηλ.  The two have the
# same cells, λ' = ηλ, but on the paper's axes each column of cells is shifted up by log η against
# the one of another rate: a rectangle on one pair of axes is a diagonal on the other.
#
# What should one expect?  Where training has come to rest, weights do not move any more: decay and
# gradients are in balance,
#
#     coupled     ∇f(x) + λx = 0
#     decoupled   v̂/√ŝ + λx = 0:  |x| at most about 1/λ
#
# and η does not appear: the best λ is the same for all η, for both.  Where training ends long
# before, after T steps with ηλT below 1, there are two answers.  If what counts is how far weights
# have shrunk, ηλT, the best λ goes as 1/η.  But training that ends early overfits less by itself:
# then small rates need no decay, and the best λ goes *up* with η.
#
# So we measure.  For each η, λ* is where the mean validation loss is lowest, between cells by the
# parabola through the lowest three.  Its slope b in log λ* = a + b log η is 0 for a rectangle and
# ±1 for a diagonal, rising or falling; on the paper's axes it is b + 1.
#
# Which rates should take part?  At the smallest, 400 steps are too few to fit the training images,
# yet the best of all cells is among them.  We leave the smallest out one after the other, and look
# at all the slopes.

# %% Its size
IMAGES: dict[str, Any] = {"training_images": 200, "wrong_labels": 0.2}
LRS = [0.0005 * 2**k for k in range(7)]
DECAYS = {"adam": [2.0**k for k in range(-10, -2)], "adamw": [2.0**k for k in range(-4, 4)]}
SEEDS, REDUCED_SEEDS = 6, 3
AT_LEAST = 3  # rates take part in a slope
FITTED = 0.01  # part of the training images that may be wrong where they count as fitted


# %% The measurement
@dataclass(frozen=True)
class Grid:
    """What every cell gives.

    Attributes
    ----------
    lrs, decays : list of float
        The rates η and the decays λ.
    train_error, validation_loss, test_loss, test_error : arrays of shape (rates, decays, seeds)
        Losses in nats: a network that gives the right class the probability p has -ln p.
    """

    lrs: list[float]
    decays: list[float]
    train_error: Array
    validation_loss: Array
    test_loss: Array
    test_error: Array

    @property
    def chosen(self) -> tuple[int, int]:
        """The cell with the lowest mean validation loss."""
        mean = self.validation_loss.mean(axis=2)
        i, j = np.unravel_index(int(np.argmin(mean)), mean.shape)
        return int(i), int(j)

    @property
    def best_decays(self) -> Array:
        """λ* of each rate, from the mean over seeds."""
        return best_decays(self.decays, self.validation_loss.mean(axis=2))

    @property
    def lowest(self) -> npt.NDArray[np.bool_]:
        """At which rates the lowest λ of the grid is best, so that λ* may be lower still."""
        return np.asarray(self.validation_loss.mean(axis=2).argmin(axis=1) == 0)

    def slope(self, first: int) -> tuple[float, float]:
        """Return the slope of log λ* over log η from a rate on: mean and error over seeds."""
        lrs = np.array(self.lrs[first:])
        of_seeds = np.moveaxis(self.validation_loss[first:], 2, 0)
        slopes = [slope(lrs, best_decays(self.decays, losses)) for losses in of_seeds]
        return mean_and_error(np.array(slopes))


def best_decays(decays: list[float], losses: Array) -> Array:
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


def slope(lrs: Array, decays: Array) -> float:
    """Return b of log λ = a + b log η, by least squares."""
    return float(np.polyfit(np.log(lrs), np.log(decays), 1)[0])


@dataclass(frozen=True)
class Measurement:
    """The mechanism, and the trainings.

    Attributes
    ----------
    shrinkage : dict
        By name, how much a weight of 1 shrinks per step at each of `SIGMAS`.
    grids : dict
        By name, the grid of coupled and of decoupled decay.
    none : Grid
        The same rates without decay.
    """

    shrinkage: dict[str, Array]
    grids: dict[str, Grid]
    none: Grid

    @property
    def firsts(self) -> range:
        """Every rate from which on a slope can be taken."""
        return range(len(self.none.lrs) - AT_LEAST + 1)

    @property
    def fitted(self) -> npt.NDArray[np.bool_]:
        """At which rates the training images are fitted, without decay."""
        return np.asarray(self.none.train_error[:, 0].mean(axis=1) <= FITTED)

    @property
    def settled(self) -> int:
        """The first rate at which they are."""
        return int(np.argmax(self.fitted))

    def difference(self, quantity: str, of: str, to: str) -> tuple[float, float]:
        """One chosen cell minus another: mean and standard error over seeds."""
        grids = self.grids | {"none": self.none}
        a, b = (getattr(grid, quantity)[grid.chosen] for grid in (grids[of], grids[to]))
        return mean_and_error(a - b)


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
    train = functools.partial(train_on_digits, **IMAGES)
    results = iter(setting.sweep("weight_decay", train, runs))
    cells: dict[str, list[Result]] = {name: [] for name in columns}
    for _ in seeds:
        for name, decays in columns.items():
            cells[name] += [next(results) for _ in lrs for _ in decays]

    def grid(name: str) -> Grid:
        def values(key: str) -> Array:
            flat = np.array([result[key] for result in cells[name]])
            return flat.reshape(len(seeds), len(lrs), len(columns[name])).transpose(1, 2, 0)

        keys = "train_error", "validation_loss", "test_loss", "test_error"
        return Grid(lrs, columns[name], *(values(key) for key in keys))

    return Measurement(
        shrinkage={name: decay_per_step(name) for name in NAMES},
        grids={name: grid(name) for name in NAMES},
        none=grid("none"),
    )


# %% [markdown]
# ## In numbers
#
# Losses are mean cross-entropies in nats.  ± is the standard error of the mean over seeds; that of
# a slope, from each seed's own slope.


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
    lrs, seeds = np.array(m.none.lrs), m.none.test_loss.shape[2]
    wrong = "".join(f"{e:10.1%}" for e in m.none.train_error[:, 0].mean(axis=1))
    lines += [
        "",
        f"images: best λ at each η, mean of {seeds} seeds; ≤: the lowest of the grid",
        f"{'η':22}" + "".join(f"{lr:10.3g}" for lr in lrs),
        f"{'train error, λ = 0':22}{wrong}",
    ]
    for name, label in NAMES.items():
        grid = m.grids[name]
        signs = np.where(grid.lowest, "≤", "")
        rows = {label: grid.best_decays}
        if name == "adamw":
            rows["the same as ηλ"] = grid.best_decays * lrs
        for title, row in rows.items():
            shown = [f"{sign}{value:.3g}" for sign, value in zip(signs, row, strict=True)]
            lines.append(f"{title:22}" + "".join(f"{value:>10}" for value in shown))
    lines += [
        "",
        "images: slope of log λ over log η from each η on (0: rectangle, ±1: diagonal); of ηλ: 1 "
        "more",
        f"{'from η =':22}" + "".join(f"{lrs[first]:>15.3g}" for first in m.firsts),
    ]
    for name, label in NAMES.items():
        slopes = ["{:+.2f} ± {:.2f}".format(*m.grids[name].slope(first)) for first in m.firsts]
        lines.append(f"{label:22}" + "".join(f"{value:>15}" for value in slopes))
    lines += [
        "",
        "images: the cell with the lowest validation loss, judged on test images",
        f"{'':22}{'η':>9}{'λ':>9}{'test loss':>18}{'test error':>18}",
    ]
    for label, grid in (("no decay", m.none), *((NAMES[n], g) for n, g in m.grids.items())):
        i, j = grid.chosen
        loss, error = (mean_and_error(values[i, j]) for values in (grid.test_loss, grid.test_error))
        lines.append(
            f"{label:22}{grid.lrs[i]:9.3g}{grid.decays[j]:9.3g}"
            f"{'{:.3f} ± {:.3f}'.format(*loss):>18}{'{:.1%} ± {:.1%}'.format(*error):>18}"
        )
    return "\n".join(lines)


# %% [markdown]
# ## The verdicts
#
# 1. The mechanism is exact arithmetic rather than an experiment.  The claim holds if coupled decay
#    of equal weights differs more than tenfold between small and large gradients, and decoupled
#    decay by less than 1%; in part if one of the two is so; and fails otherwise.
# 2. The best λ *moves* with η if its slope is nearer to ±1 than to 0.  Each choice of the first
#    rate has a verdict: the claim holds if the coupled λ* moves and the decoupled one does not; in
#    part if neither moves; and fails otherwise.  If all choices agree, that is the verdict; if they
#    do not, the claim holds in part.
# 3. Decoupled decay is better if it is lower, each kind in its chosen cell, by more than 2 standard
#    errors of the difference over seeds.  The claim holds if it is better in test loss and in test
#    error, in part if in one of them, and fails otherwise.


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
        verdict=_of_two(ratios["adam"] > 10, ratios["adamw"] < 1.01),
        remark="Exact arithmetic, not an experiment.",
        source="paper",
    )


def _of_two(one: bool, other: bool) -> Outcome:
    """Both of two, one, or none."""
    return "holds" if one and other else "in part" if one or other else "fails"


def _judge_first(m: Measurement, first: int) -> Outcome:
    """Return the verdict on the grid from one rate on."""
    moves = {name: abs(grid.slope(first)[0]) > 0.5 for name, grid in m.grids.items()}
    return "fails" if moves["adamw"] else "holds" if moves["adam"] else "in part"


def _judge_grid(m: Measurement) -> Verdict:
    answers = {_judge_first(m, first) for first in m.firsts}
    lrs = m.none.lrs
    slopes = {
        name: "{:+.2f} ± {:.2f}".format(*grid.slope(0))
        + ", {:+.2f} ± {:.2f}".format(*grid.slope(m.settled))
        for name, grid in m.grids.items()
    }
    best = {name: lrs[grid.chosen[0]] for name, grid in m.grids.items()}
    return Verdict(
        claim="On a grid of η and λ the best coupled decay moves with η along a diagonal, the best "
        "decoupled one does not.",
        number="slope of log λ* over log η, all η and from "
        f"η = {lrs[m.settled]:g} on: coupled "
        f"{slopes['adam']}; decoupled {slopes['adamw']} (0: rectangle, ±1: diagonal)",
        verdict=answers.pop() if len(answers) == 1 else "in part",
        remark="Which rates take part decides the slopes: from "
        f"η = {lrs[m.settled]:g} on 400 steps fit the training images; the best cells are at "
        f"{best['adam']:g} (coupled) and {best['adamw']:g}. These are AdamW's axes as in PyTorch, "
        "where each step shrinks by ηλ; on the paper's, λ' = ηλ, decoupled slopes are 1 more. The "
        "paper anneals η, and its networks have normalized layers.",
        source="paper",
    )


def _judge_benefit(m: Measurement) -> Verdict:
    loss, wrong = (m.difference(q, "adamw", "adam") for q in ("test_loss", "test_error"))
    gains = {name: m.difference("test_loss", name, "none") for name in NAMES}
    helps = [NAMES[name].split()[0] for name, (mean, error) in gains.items() if mean < -2 * error]
    none = float(m.none.test_loss[m.none.chosen].mean())
    return Verdict(
        claim="Decoupled decay makes Adam generalize better than coupled decay.",
        number="decoupled minus coupled, each at its best cell: test loss "
        "{:+.3f} ± {:.3f} nats; test error ".format(*loss) + "{:+.1%} ± {:.1%}".format(*wrong),
        verdict=_of_two(loss[0] < -2 * loss[1], wrong[0] < -2 * wrong[1]),
        remark=f"Without decay, tuned alike, the test loss is {none:.3f}; coupled decay changes it "
        "by {:+.3f} ± {:.3f}, decoupled by ".format(*gains["adam"])
        + "{:+.3f} ± {:.3f}: ".format(*gains["adamw"])
        + {0: "neither improves on that.", 1: f"only {''.join(helps)} decay improves on that.",
           2: "both improve on that."}[len(helps)]
        + " One small network with noisy labels; the paper's evidence is from long trainings of "
        "large ones.",
        source="paper",
    )  # fmt: skip


# %% [markdown]
# ## As a picture
#
# λ* is hollow at rates where 400 steps do not fit the training images.  At the foot of a panel it
# is no more than a bound.


# %% The figure
def draw(m: Measurement) -> Figure:
    """Draw the mechanism, and the grids: the coupled one, and the decoupled one on both axes."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.6), layout="constrained")
    _draw_mechanism(m, axes[0, 0])
    losses = np.concatenate([g.test_loss.mean(axis=2).ravel() for g in m.grids.values()])
    limits = float(losses.min()), float(np.quantile(losses, 0.8))
    _draw_grid(m, "adam", axes[0, 1], limits)
    _draw_grid(m, "adamw", axes[1, 0], limits)
    _draw_grid(m, "adamw", axes[1, 1], limits, sheared=True)
    image = axes[1, 1].collections[0]
    bar = figure.colorbar(image, ax=list(axes.flat), shrink=0.6, extend="max", location="right")
    bar.set_label("mean test loss, nats")
    figure.legend(
        handles=axes[0, 1].get_legend_handles_labels()[0], loc="outside lower center", ncols=3
    )
    figure.suptitle(_finding(m))
    return figure


def _finding(m: Measurement) -> str:
    """Say what the grid shows, and with which rates."""
    answers = {_judge_first(m, first) for first in m.firsts}
    lead = "How the best λ moves with η depends on the rates that take part"
    if len(answers) == 1:
        lead = {
            "holds": "The best coupled λ moves with η, the best decoupled λ does not",
            "in part": "Neither best λ follows a diagonal",
            "fails": "The best decoupled λ moves with η as well",
        }[answers.pop()]
    powers = [
        f"$\\eta^{{{m.grids[name].slope(first)[0]:.1f}}}$"
        for first in (0, m.settled)
        for name in NAMES
    ]
    return (
        f"{lead}:\n{powers[0]} coupled, {powers[1]} decoupled over all rates; {powers[2]} and "
        f"{powers[3]} where 400 steps fit the training images"
    )


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
    ax.legend(loc="lower left", title=f"measured; lines: closed form, λ = {MECHANISM_DECAY}")
    ax.set_title("Coupled decay fades as 1/gradient, decoupled does not", fontsize="medium")


def _draw_grid(
    m: Measurement, name: str, ax: Axes, limits: tuple[float, float], *, sheared: bool = False
) -> None:
    """Draw mean test losses as a heat map, and λ* on it; sheared: over ηλ instead of λ."""
    grid = m.grids[name]
    lrs, loss = np.array(grid.lrs), grid.test_loss.mean(axis=2)
    across, up = _edges(lrs), _edges(np.array(grid.decays))
    factor = lrs if sheared else np.ones_like(lrs)
    for i in range(len(lrs)):
        x, y = np.meshgrid(across[i : i + 2], up * factor[i])
        ax.pcolormesh(x, y, loss[i][:, None], cmap="viridis_r", vmin=limits[0], vmax=limits[1])
    best = grid.best_decays * factor
    ax.plot(lrs, best, "k-", linewidth=1.2)
    for fitted, face, label in (
        (True, "black", "λ*: lowest validation loss at this η"),
        (False, "white", "the same, training images not fitted"),
    ):
        at = m.fitted == fitted
        ax.plot(lrs[at], best[at], "ko", markerfacecolor=face, markersize=7, label=label)
    i, j = grid.chosen
    left, right, low, high = across[i], across[i + 1], up[j] * factor[i], up[j + 1] * factor[i]
    ax.plot([left, right, right, left, left], [low, low, high, high, low], "k-", linewidth=2.5)
    ax.plot([], [], "ks", markerfacecolor="none", markersize=10, mew=2, label="best of all cells")
    ax.set(xscale="log", yscale="log", xlabel="learning rate η")
    ax.set_ylabel("decay per step λ' = ηλ" if sheared else "decay λ")
    ax.set_xticks(lrs, [f"{lr:g}" for lr in lrs])
    ax.minorticks_off()
    powers = [f"\\eta^{{{grid.slope(first)[0] + sheared:.1f}}}" for first in (0, m.settled)]
    axes = "the paper's axes" if sheared else "PyTorch's axes" if name == "adamw" else ""
    what = NAMES[name].split()[0].capitalize() + (f", {axes}" if axes else "")
    star = r"\eta\lambda^*" if sheared else r"\lambda^*"
    ax.set_title(
        rf"{what}: ${star} \propto {powers[0]}$; ${powers[1]}$ where fitted", fontsize="medium"
    )


def _edges(values: Array) -> Array:
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
