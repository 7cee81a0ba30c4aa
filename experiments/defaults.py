# %% [markdown]
"""Defaults: what is lost by leaving β₁, β₂, ε and the learning rate where they are.

The section says that Adam's "defaults β₁ = 0.9, β₂ = 0.999, ε = 1e-8 rarely need tuning".  This
script trains a linear model and a small MLP all around these defaults, with Adam and Yogi, and
measures how far the default is above the best.  Run it whole, cell by cell, or with
``python -m experiments defaults``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from datasets import STAND_IN, Regression
from experiments.hyperparameter_maps import (
    REDUCED,
    Grid,
    Map,
    Point,
    eps_alone,
    eps_and_rate,
    pairs_of_beta,
    pairs_of_beta_at_one_rate,
    rate_alone,
)
from experiments.lineup import LABELS
from experiments.protocol import LEARNING_RATE
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings import train_linear, train_mlp
from experiments.uncertainty import mean_and_error

Array = npt.NDArray[np.float64]

OPTIMIZERS = ("adam", "yogi")
EPOCHS = {"linear model": 2, "MLP": 5}
SEEDS = {"linear model": 5, "MLP": 10}  # the MLP's losses vary more
REDUCED_SEEDS = {"linear model": 3, "MLP": 7}
NEAR = 0.05
SMALL_RATE = 0.001  # Adam's default in `optim` and PyTorch

# %% [markdown]
# ## The maps
#
# β₁ and β₂ are means over about 1/(1 - β) steps, so it is 1 - β that is spaced evenly on a log
# scale, from no mean at all (1 - β₁ = 1) to means over 100 and 10,000 steps.  Defaults are
#
#     1 - β₁ = 0.1     1 - β₂ = 0.001     ε = 1e-8 (Adam), 1e-3 (Yogi)
#
# as in the section, which for Adam has ε = 1e-8 in its text and 1e-6 in its code.  The learning
# rate η has no such default: the section trains with 0.01, while Adam's default in `optim` and in
# PyTorch is 0.001.  What β is best may depend on η, so each pair of β is trained at three
# rates, and every pair is given its best; and ε is mapped together with η.  The values are in
# `experiments.hyperparameter_maps`.  A *map* is a table of such trainings; a *cell* of it has one
# value, or pair of values, and is one training or the best of several rates.


# %% The defaults, and the two problems
def default(problem: str, optimizer: str) -> Point:
    """Return the point of the section's defaults, at its learning rate."""
    return Point(problem, optimizer, LEARNING_RATE, eps={"adam": 1e-8, "yogi": 1e-3}[optimizer])


def train(data: Regression, *, problem: str, **run: Any) -> Result:
    """Train the linear model, or an MLP 5-16-1 with tanh, once, by the section's protocol."""
    if problem == "linear model":
        return train_linear(data, **run)
    return {"loss": train_mlp(data, **run)["last_epoch"]}


# %% [markdown]
# ## The losses
#
# For the linear model, ½ mean squared error over all examples at the end, as in the section.  The
# MLP's loss at a constant rate goes up and down by a tenth from step to step; so for it, the mean
# over the last epoch is taken.  Both are losses on the training data: how fast, not how general.


# %% The measurement
@dataclass(frozen=True)
class Measurement:
    """Final losses on the training data.

    Attributes
    ----------
    source : str
        The data.
    grid : Grid
        The values that were tried.
    losses : dict
        Point to an array, one loss for each seed; inf where a training diverged.
    """

    source: str
    grid: Grid
    losses: dict[Point, Array]


def measure(setting: Setting) -> Measurement:
    """Train at all points of both maps, for both problems and optimizers, with every seed."""
    grid = REDUCED if setting.reduced else Grid()
    seeds = REDUCED_SEEDS if setting.reduced else SEEDS
    points = dict.fromkeys(  # each once: the maps have some in common
        point
        for start in starts()
        for view in (pairs_of_beta, eps_and_rate)
        for row in view(grid, start)
        for cell in row
        for point in cell
    )
    runs = [
        {**point.run(setting.seed + i), "epochs": EPOCHS[point.problem]}
        for point in points
        for i in range(seeds[point.problem])
    ]
    results = iter(setting.sweep("defaults", functools.partial(train, setting.data), runs))
    losses = {
        point: np.array([next(results)["loss"] for _ in range(seeds[point.problem])])
        for point in points
    }
    return Measurement(setting.data.source, grid, losses)


def starts() -> list[Point]:
    """Return the defaults of every problem and optimizer."""
    return [default(problem, optimizer) for problem in EPOCHS for optimizer in OPTIMIZERS]


# %% [markdown]
# ## How far above the best
#
# The mean loss over seeds at the default, L, beside the lowest of the map, L°.  Behind ± stands the
# standard error.  Trainings with one seed share initial weights and batches, so it is that of the
# differences, with their standard deviation sd:
#
#     L/L° - 1  ±  sd(L_seed - L°_seed) / (√seeds L°)
#
# The lowest of many noisy means is low also by luck, which counts against the default.  How *flat*
# a map is, is the part of its cells that is within 5% of L°.


# %% The comparison
View = Callable[[Grid, Point], Map]


@dataclass(frozen=True)
class Comparison:
    """The default's cell beside the best one.

    Attributes
    ----------
    above : float
        L/L° - 1.
    error : float
        Its standard error.
    best : Point
        Where L° is.
    near : float
        Part of the map's cells within 5% of L°.
    most : float
        How far the default may be above any cell: the difference and two standard errors of it,
        where that is most.
    """

    above: float
    error: float
    best: Point
    near: float
    most: float

    @property
    def decided(self) -> Literal["within", "beyond", "undecided"]:
        """On which side of 5% the default is, if two standard errors leave it there."""
        if self.most <= NEAR:
            return "within"
        return "beyond" if self.above - 2 * self.error > NEAR else "undecided"


def best_of(m: Measurement, cell: Iterable[Point]) -> Point:
    """Return the point with the lowest mean loss."""
    return min(cell, key=lambda point: float(m.losses[point].mean()))


def compare(m: Measurement, start: Point, cells: Map) -> Comparison:
    """Compare the cell that `start` is in with the best one of the map."""
    every = [cell for row in cells for cell in row]
    here = m.losses[best_of(m, next(cell for cell in every if start in cell))]
    best = best_of(m, [best_of(m, cell) for cell in every])
    lowest = float(m.losses[best].mean())
    above, error = distance(here, m.losses[best])
    each = [distance(here, m.losses[best_of(m, cell)]) for cell in every]
    most = max(further + 2 * its_error for further, its_error in each)
    near = np.mean([above_best(m, cell, lowest) <= NEAR for cell in every])
    return Comparison(above, error, best, float(near), most)


def distance(here: Array, there: Array) -> tuple[float, float]:
    """Return how far a loss is above another, as a part of that, and the standard error."""
    if not np.isfinite(here).all():
        return np.inf, 0.0  # a default that diverged is infinitely far above
    if not np.isfinite(there).all():
        return -1.0, 0.0
    difference, error = mean_and_error(here - there)
    return difference / float(there.mean()), error / float(there.mean())


def above_best(m: Measurement, cell: Iterable[Point], lowest: float) -> float:
    """Return how far a cell's mean loss is above the lowest of its map, as a part of that."""
    return float(m.losses[best_of(m, cell)].mean()) / lowest - 1


# %% [markdown]
# ## In numbers


# %% The table
def table(m: Measurement) -> str:
    """Return a column for each problem and optimizer."""

    def line(label: str, text: Callable[[Point], str]) -> str:
        return f"{label:38}" + "".join(f"{text(start):>15}" for start in starts())

    def block(label: str, view: View, best: str, name: Callable[[Point], str]) -> list[str]:
        found = {start: compare(m, start, view(m.grid, start)) for start in starts()}
        return [
            line(label, lambda start: per_cent(found[start])),
            line(f"    best {best}", lambda start: name(found[start].best)),
            line("    of the map within 5% of it", lambda start: f"{found[start].near:.0%}"),
        ]

    def betas(point: Point) -> str:
        return f"{point.one_minus_beta1:g}, {point.one_minus_beta2:g}"

    lines = [
        f"data   {m.source}",
        "loss   mean over seeds; above the best of the map, ± standard error",
        "",
        line("", lambda start: start.problem),
        line("", lambda start: LABELS[start.optimizer]),
        line("seeds", lambda start: str(len(m.losses[start]))),
        line("loss at the defaults and η = 0.01", lambda start: f"{m.losses[start].mean():.4f}"),
    ]
    lines += block("β₁, β₂, each pair at its best η", pairs_of_beta, "1 - β₁, 1 - β₂", betas)
    lines += block("β₁, β₂, all at η = 0.01", pairs_of_beta_at_one_rate, "1 - β₁, 1 - β₂", betas)
    lines += block("ε, each at its best η", eps_alone, "ε", lambda point: f"{point.eps:g}")
    lines += block("η = 0.01, as in the section", rate_alone, "η", lambda point: f"{point.lr:g}")
    lines.append(line("η = 0.001, Adam's in libraries", lambda p: f"{small_rate(m, p):.1%}"))
    return "\n".join(lines)


def per_cent(found: Comparison) -> str:
    """Return how far the default is above the best, with its standard error."""
    return f"{100 * found.above:.1f} ± {100 * found.error:.1f}%"


def small_rate(m: Measurement, start: Point) -> float:
    """Return how far the loss at η = 0.001 is above the best η's."""
    lowest = float(m.losses[compare(m, start, rate_alone(m.grid, start)).best].mean())
    return above_best(m, [replace(start, lr=SMALL_RATE)], lowest)


def small_rates(m: Measurement) -> float:
    """Return the same where it is most."""
    return max(small_rate(m, start) for start in starts())


# %% [markdown]
# ## The verdicts
#
# A default is *within* 5% if no cell of the map could be more than 5% better: `above` + 2 `error`
# ≤ 5%, with `above` and `error` against that cell, for all of them.  (Against the best cell alone,
# a default that happens to be the best itself would be 0 ± 0% above, however noisy the losses.)
# It is *beyond* if `above` - 2 `error` > 5% against the best cell, and *undecided* otherwise.
# "Rarely need tuning" holds if the default is within for both problems and both optimizers, fails
# if it is beyond for all four, and holds in part otherwise.
#
# β is judged with each pair at its best η, ε with each value at its best η: otherwise one would be
# blamed, or praised, for making up for an η that is too small or too large.  The learning rate has
# no default in the section; what the two in use cost is a remark.


# %% Numbers to verdicts
def judge(m: Measurement) -> list[Verdict]:
    """Hold the defaults against the best of the maps."""
    return [_judge_betas(m), _judge_eps(m)]


def _judge_betas(m: Measurement) -> Verdict:
    steepest = min(compare(m, start, pairs_of_beta(m.grid, start)).near for start in starts())
    remark = (
        f"In the steepest map, {steepest:.0%} of the cells are within 5% of its best. η = 0.01 is "
        f"up to {worst(m, rate_alone).above:.0%} above the best η, and 0.001, Adam's default in "
        f"libraries, up to {small_rates(m):.0%}."
    )
    fixed = worst(m, pairs_of_beta_at_one_rate)
    if fixed.above > NEAR:
        remark += (
            f" If η has to be 0.01, the default β are up to {per_cent(fixed)} above the best, "
            "which make up for η."
        )
    if m.source.startswith(STAND_IN):
        remark += " The stand-in's targets are linear in its features: easy for the MLP."
    return verdict(
        m, "The defaults β₁ = 0.9, β₂ = 0.999 rarely need tuning.", pairs_of_beta, remark
    )


def _judge_eps(m: Measurement) -> Verdict:
    remark = (
        "The section has 1e-8 in the text, 1e-6 in Adam's code and 1e-3 in Yogi's: at η = 0.01 "
        f"their losses differ by at most {spread(m):.1%}. ε = 1, which shortens the steps, is up "
        f"to {large_eps(m):.0%} above the default there."
    )
    return verdict(m, "The default ε = 1e-8 (Yogi's 1e-3) rarely needs tuning.", eps_alone, remark)


def verdict(m: Measurement, claim: str, view: View, remark: str) -> Verdict:
    """Apply the rule above to one kind of map."""
    found = {start: compare(m, start, view(m.grid, start)) for start in starts()}
    numbers = [
        f"{LABELS[start.optimizer]}, {start.problem} {per_cent(c)}"
        + ("" if c.decided == "within" else f" ({c.decided})")
        for start, c in found.items()
    ]
    decided = {c.decided for c in found.values()}
    return Verdict(
        claim,
        f"above the best of the map (± standard error): {'; '.join(numbers)}",
        "holds" if decided == {"within"} else "fails" if decided == {"beyond"} else "in part",
        remark,
    )


def worst(m: Measurement, view: View) -> Comparison:
    """Return the comparison in which the default is farthest above the best of the map."""
    found = [compare(m, start, view(m.grid, start)) for start in starts()]
    return max(found, key=lambda c: c.above)


def spread(m: Measurement) -> float:
    """Return the largest relative difference between losses at the section's three values of ε."""
    losses = [
        [m.losses[replace(start, eps=eps)].mean() for eps in (1e-8, 1e-6, 1e-3)]
        for start in starts()
    ]
    return max(float(max(three) / min(three)) - 1 for three in losses)


def large_eps(m: Measurement) -> float:
    """Return how far ε = 1 is above the default ε at the section's rate, where that is most."""
    return max(
        above_best(m, [replace(start, eps=1.0)], float(m.losses[start].mean()))
        for start in starts()
    )


# %% [markdown]
# ## As a picture
#
# Each cell's number is how far its mean loss is above the lowest of its map, in per cent.  The
# frame is the default, the star the lowest.  In the maps of ε and η the frame is at the section's
# η = 0.01, while ε is judged at the best η: the title has that number, from the best column of the
# default's row.

# %% The figure
LEVELS = (0, 1, 2, 5, 10, 20, 50, 100)  # per cent
VIEWS: dict[str, View] = {
    "β at best η": pairs_of_beta,
    "β at η = 0.01": pairs_of_beta_at_one_rate,
    "ε and η": eps_and_rate,
}


def draw(m: Measurement) -> Figure:
    """Draw the three maps as rows of heat maps, a column for each problem and optimizer."""
    figure, axes = plt.subplots(3, len(starts()), figsize=(10, 9), layout="constrained")
    norm = BoundaryNorm(LEVELS, 256, extend="max")
    for row, (name, view) in zip(axes, VIEWS.items(), strict=True):
        for ax, start in zip(row, starts(), strict=True):
            image = draw_map(ax, m, start, view(m.grid, start), norm)
            judged = compare(m, start, (eps_alone if view is eps_and_rate else view)(m.grid, start))
            ax.set_title(
                f"{LABELS[start.optimizer]}, {start.problem}: {name}\n"
                f"default {per_cent(judged)} above",
                loc="left", size="small",
            )  # fmt: skip
            if view is eps_and_rate:
                label(ax, m.grid.eps, "ε", m.grid.rates, "η (frame 0.01; title best η)")
            else:
                label(ax, m.grid.one_minus_beta1, "1 - β₁", m.grid.one_minus_beta2, "1 - β₂")
    figure.colorbar(
        image, ax=axes, location="bottom", shrink=0.6, aspect=50,
        label="loss above the lowest of its map, %   (frame: the default, ★: the lowest)",
    )  # fmt: skip
    figure.suptitle(finding(m), weight="bold", size="medium")
    return figure


def finding(m: Measurement) -> str:
    """Return the figure's title: what each default costs at most."""
    betas, eps = worst(m, pairs_of_beta), worst(m, eps_alone)
    return (
        "Left at their defaults and with η tuned, "
        f"β₁ and β₂ cost up to {per_cent(betas)} of the loss and ε {per_cent(eps)}\n"
        f"(± standard error); η = 0.01 costs up to {worst(m, rate_alone).above:.0%}, and "
        f"η = 0.001 up to {small_rates(m):.0%}"
    )


def draw_map(ax: Axes, m: Measurement, start: Point, cells: Map, norm: BoundaryNorm) -> Any:
    """Draw one heat map, with a number in each cell; returns its image."""
    best = compare(m, start, cells).best
    lowest = float(m.losses[best].mean())
    above = np.array([[100 * above_best(m, cell, lowest) for cell in row] for row in cells])
    image = ax.imshow(above, cmap="cividis_r", norm=norm, aspect="auto")
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            text = "★" if best in cell else rounded(above[i, j])
            color = "white" if above[i, j] > 10 else "black"
            ax.text(j, i, text, ha="center", va="center", color=color, size=7.5)
            if start in cell:
                frame = Rectangle((j - 0.44, i - 0.42), 0.88, 0.84, fill=False, linewidth=1.8)
                frame.set_edgecolor(color)
                ax.add_patch(frame)
    return image


def rounded(per_cent: float) -> str:
    """Return a number for a cell.

    Examples
    --------
    >>> [rounded(value) for value in (2.4, 999.4, 999.5, np.inf)]
    ['2', '999', '>999', '∞']
    """
    if np.isinf(per_cent):
        return "∞"
    return f"{per_cent:.0f}" if per_cent < 999.5 else ">999"


def label(ax: Axes, rows: Sequence[float], y: str, columns: Sequence[float], x: str) -> None:
    """Name the axes and their ticks."""
    ax.set_xticks(range(len(columns)), [short(value) for value in columns], size=7.5)
    ax.set_yticks(range(len(rows)), [short(value) for value in rows], size=7.5)
    ax.set(xlabel=x, ylabel=y)


def short(value: float) -> str:
    """Return 0.001 as ".001" and 1e-08 as "1e-8".

    Examples
    --------
    >>> [short(value) for value in (1.0, 0.03, 0.0001, 1e-8)]
    ['1', '.03', '1e-4', '1e-8']
    """
    if value >= 1e-3:
        return f"{value:g}".removeprefix("0")
    return f"{value:.0e}".replace("e-0", "e-")


# %% The question
QUESTION = Question(
    asks="What is lost by leaving β₁, β₂, ε and the learning rate at their defaults?",
    equations=(
        r"\beta_1 = 0.9 \quad \beta_2 = 0.999 \quad \epsilon = 10^{-8}",
        r"L / L^{\circ} - 1 \ \pm\ "
        r"\mathrm{sd}(L_{\mathrm{seed}} - L^{\circ}_{\mathrm{seed}})"
        r" / (\sqrt{\mathrm{seeds}}\ L^{\circ})",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("defaults", QUESTION)
