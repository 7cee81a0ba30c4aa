# %% [markdown]
"""Learning-rate sensitivity: which rates come near the best loss, and how wide a range they are.

The section says that Adam "reaches a useful loss with little learning-rate tuning because the step
is both smoothed and coordinate-scaled".  This script trains the section's linear model at 25
learning rates with every optimizer, on features of equal and of unequal scales, and measures the
range of rates that end near the best possible loss.  Run it whole, cell by cell, or with
``python -m experiments learning_rate_sensitivity``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from datasets import Regression
from experiments.lineup import LABELS, OPTIMIZERS, chosen
from experiments.lineup import line as lineup_line
from experiments.protocol import LEARNING_RATE, least_squares_loss
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings import train_linear
from experiments.useful_range import Range, useful_range

Array = npt.NDArray[np.float64]

RATES = tuple(float(f"{10 ** (k / 4 - 5):.3g}") for k in range(25))  # 1e-5 to 10, four a decade
SEEDS, REDUCED_SEEDS, REDUCED_STRIDE = 10, 5, 2
LINES = (0.05, 0.1, 0.2)  # above the floor; the first is the one that numbers and figure are about
SPREADS = (1, 4, 16, 64)  # largest scale of a feature / smallest
EQUAL, UNEQUAL = 1, 16  # where all optimizers are trained

# %% [markdown]
# ## Useful, and the width of the useful range
#
# No linear model has a lower loss than least squares: L*, the floor.  A loss is called useful if it
# is within 5% of the floor, the same for every optimizer.  With L(η) the median over seeds of the
# loss after two epochs at learning rate η, the useful range is the interval around the best rate in
# which
#
#     L(η) ≤ 1.05 L*
#
# and its width is log₁₀(η_max/η_min), in decades.  Between two rates of the grid, log L is taken to
# be linear in log η; next to a rate at which the training diverged, the range ends at the last rate
# that did not.  A width of 1 means that a search through powers of ten cannot miss the range.
#
# The 5% are our choice.  A method whose best loss is 4.9% above the floor would be useful, one with
# 5.1% not; so everything is judged at 10% and 20% above the floor as well.
#
# ## Unequal scales
#
# The section's features are standardized: all five have the same scale, and there is nothing left
# for coordinate scaling to do.  Outside textbooks scales differ: in the file's units the standard
# deviations are 3152 (frequency, Hz) to 0.013 (thickness, m), but kHz and mm would be as good, and
# the choice of units would choose the winner.  So we sweep the *spread* r, the largest scale over
# the smallest.  Standardized features are multiplied by
#
#     r^(-1/2)   r^(-1/4)   1   r^(1/4)   r^(1/2)        r = 1, 4, 16, 64
#
# and which feature gets which factor moves on by one place with each seed: over five seeds every
# feature has had every factor.  The floor stays where it is, as a linear model can undo scales with
# its weights.
#
# Undoing them is not free for Adam either.  It divides the *gradient* by its size, not the feature:
# all weights move by about η per step, while a feature r times smaller needs a weight r times
# larger, and so r times as many steps.  SGD's steps are shorter by r where they have to be longer
# by r; it needs r² times as many.


# %% Features of unequal scales
def scales(spread: float, seed: int) -> Array:
    """Return what the five features are multiplied by.

    Examples
    --------
    >>> scales(16, seed=0), scales(16, seed=1)
    (array([0.25, 0.5 , 1.  , 2.  , 4.  ]), array([4.  , 0.25, 0.5 , 1.  , 2.  ]))
    """
    return np.roll(float(spread) ** (np.arange(-2, 3) / 4), seed)


def train(data: Regression, *, spread: float, seed: int, **run: Any) -> Result:
    """Train the section's linear model once, on features of these scales."""
    return train_linear(replace(data, X=data.X * scales(spread, seed)), seed=seed, **run)


# %% [markdown]
# ## Smoothed, and coordinate-scaled
#
# Four of the methods are the section's "because", taken apart:
#
#                     not smoothed        smoothed
#     not scaled      SGD                 Momentum
#     scaled          Adam with β₁ = 0    Adam
#
# They are trained at every spread, all other optimizers at 1 and 16 (at reduced size, a few).

# %% The methods
NO_SMOOTHING = "adam, β₁ = 0"
FACTORS = ("sgd", "momentum", NO_SMOOTHING, "adam")
REDUCED_OTHERS = ("adagrad", "rmsprop", "yogi", "lion")
NAMES = LABELS | {NO_SMOOTHING: "Adam, β₁ = 0"}


def hyperparameters(method: str) -> dict[str, Any]:
    """Return the keywords of `train_linear` that make up a method: defaults, but for β₁ = 0."""
    if method == NO_SMOOTHING:
        return {"optimizer": "adam", "betas": [0.0, 0.999]}
    return {"optimizer": method}


# %% The measurement
@dataclass(frozen=True)
class Measurement:
    """Final losses.

    Attributes
    ----------
    source : str
        The data.
    floor : float
        L*, the loss of least squares.
    rates : tuple of float
        Learning rates η, increasing.
    losses : dict
        Spread to method to an array, shape (rates, seeds); inf where a training diverged.
    """

    source: str
    floor: float
    rates: tuple[float, ...]
    losses: dict[int, dict[str, Array]]

    def median(self, spread: int, method: str) -> Array:
        """Return the median over seeds of the loss at each rate."""
        return np.median(self.losses[spread][method], axis=-1)

    def best(self, spread: int, method: str) -> float:
        """Return how far the best rate's loss is above the floor, as a part of that."""
        return float(self.median(spread, method).min()) / self.floor - 1

    def useful(self, spread: int, method: str, line: float = LINES[0]) -> Range | None:
        """Return the rates whose median loss is below the line; None if there are none."""
        return useful_range(self.rates, self.median(spread, method), (1 + line) * self.floor)

    def width(self, spread: int, method: str, line: float = LINES[0]) -> float:
        """Return the width of the useful range in decades; 0 if there is none."""
        found = self.useful(spread, method, line)
        return found.width if found else 0.0

    def widest_first(self, spread: int) -> list[str]:
        """Return the methods by the width of their useful ranges, then by their best losses."""
        return sorted(
            self.losses[spread],
            key=lambda method: (-self.width(spread, method), self.best(spread, method)),
        )


def measure(setting: Setting) -> Measurement:
    """Train at every rate with every seed, with the methods that belong to each spread."""
    rates = RATES[::REDUCED_STRIDE] if setting.reduced else RATES
    seeds = range(setting.seed, setting.seed + (REDUCED_SEEDS if setting.reduced else SEEDS))
    others = chosen(setting.optimizers or (REDUCED_OTHERS if setting.reduced else OPTIMIZERS))
    every = tuple(dict.fromkeys(FACTORS + others))
    methods = {spread: every if spread in (EQUAL, UNEQUAL) else FACTORS for spread in SPREADS}
    runs = [
        {"spread": spread, **hyperparameters(method), "lr": lr, "seed": seed}
        for spread in SPREADS
        for method in methods[spread]
        for lr in rates
        for seed in seeds
    ]
    results = setting.sweep(
        "learning_rate_sensitivity", functools.partial(train, setting.data), runs
    )
    flat = np.array([result["loss"] for result in results])
    arrays = iter(flat.reshape(-1, len(rates), len(seeds)))
    losses = {spread: {method: next(arrays) for method in methods[spread]} for spread in SPREADS}
    return Measurement(setting.data.source, least_squares_loss(setting.data), rates, losses)


# %% [markdown]
# ## In numbers
#
# First every optimizer at the spreads 1 and 16, widest range first, with ≥ where an end of the grid
# cuts a range off; then the four methods at every spread.


# %% The table
def table(m: Measurement) -> str:
    """Return a block of lines for the spreads 1 and 16, and one for all spreads."""
    lines = [
        f"data   {m.source}",
        f"floor  {m.floor:.4f} (least squares)",
        f"loss   median of {m.losses[EQUAL]['adam'].shape[-1]} seeds; useful: within "
        f"{LINES[0]:.0%} of the floor",
    ]
    at_lines = "".join(f"{line:>9.0%}" for line in LINES)
    for spread in (EQUAL, UNEQUAL):
        lines += [
            "",
            f"{described(spread):23}{'best':>8}{'loss':>9}{'above':>9}{'useful range of η':>20}"
            f"{'width in decades, within':>27}",
            f"{'':23}{'η':>8}{'there':>9}{'floor':>9}{'':20}{at_lines}",
        ]
        for method in m.widest_first(spread):
            median = m.median(spread, method)
            widths = [decades(m.useful(spread, method, line)) for line in LINES]
            lines.append(
                f"{NAMES[method]:23}{m.rates[int(np.argmin(median))]:8.2g}{median.min():9.4f}"
                f"{m.best(spread, method):9.1%}{ends(m.useful(spread, method)):>20}"
                + "".join(f"{width:>9}" for width in widths)
            )
    some = "".join(f"{line:>6.0%}" for line in LINES)
    lines += [
        "",
        "width in decades    " + "".join(f"{f'spread {s}, within':>20}" for s in SPREADS),
        f"{'':20}" + "".join(f"{some:>20}" for _ in SPREADS),
    ]
    for method in FACTORS:
        blocks = ("".join(f"{m.width(s, method, q):6.2f}" for q in LINES) for s in SPREADS)
        lines.append(f"{NAMES[method]:20}" + "".join(f"{block:>20}" for block in blocks))
    return "\n".join(lines)


def described(spread: int) -> str:
    """Return "equal scales", or how unequal they are."""
    return "equal scales" if spread == 1 else f"scales spread {spread}-fold"


def decades(found: Range | None) -> str:
    """Return a width as text, with ≥ where the grid cuts the range off."""
    if found is None:
        return "none"
    return ("≥ " if found.cut else "") + f"{found.width:.2f}"


def ends(found: Range | None) -> str:
    """Return the ends of a range as text."""
    return f"{found.low:.2g} to {found.high:.2g}" if found else "none"


# %% [markdown]
# ## The verdicts
#
# "Little tuning" is a comparison: with the methods that Adam combines and improves on.  A width
# counts as larger than another if it is by a quarter of a decade, the spacing of the grid.
#
# 1. *Little tuning*: Adam's range is compared with SGD's and Momentum's at every spread and every
#    line, 5%, 10% and 20%.  The claim holds if Adam's is wider than both each time, fails if it
#    never is, and holds in part otherwise.
# 2. *Because smoothed and scaled* is about unequal scales, where the first can hold.  What scaling
#    adds to the width is the mean of (Adam with β₁ = 0) - SGD and Adam - Momentum; what smoothing
#    adds, the mean of Momentum - SGD and Adam - (Adam with β₁ = 0); each averaged over the spreads
#    4, 16 and 64.  The claim holds if both add a quarter of a decade at all three lines, fails if
#    neither does at any, and holds in part otherwise.

# %% Numbers to verdicts
LARGER_BY = 0.25  # decades


def judge(m: Measurement) -> list[Verdict]:
    """Hold the section's sentence, and its reason, against the widths."""
    return [_judge_tuning(m), _judge_reason(m)]


def _judge_tuning(m: Measurement) -> Verdict:
    wider = {spread: lines_at_which_wider(m, spread) for spread in SPREADS}
    count = sum(map(len, wider.values()))
    numbers = [
        f"{described(spread)}: Adam {m.width(spread, 'adam'):.2f}, SGD "
        f"{m.width(spread, 'sgd'):.2f}, Momentum {m.width(spread, 'momentum'):.2f}"
        for spread in (EQUAL, UNEQUAL)
    ]
    at_best = ", ".join(
        f"{NAMES[method]}'s by {m.best(UNEQUAL, method):.1%}"
        for method in ("adam", "sgd", "momentum")
    )
    return Verdict(
        "Adam reaches a useful loss with little learning-rate tuning.",
        f"decades of η within {LINES[0]:.0%} of the floor, {'; '.join(numbers)}",
        "holds" if count == len(SPREADS) * len(LINES) else "in part" if count else "fails",
        "By spread, Adam's range is wider than both others at these lines: "
        + "; ".join(f"{spread}: {percents(lines)}" for spread, lines in wider.items())
        + f". At spread {UNEQUAL}, two epochs leave the best losses above the floor: {at_best}. "
        f"Adam's range, too, narrows: to {m.width(SPREADS[-1], 'adam'):.2f} decades at spread "
        f"{SPREADS[-1]}.",
    )


def lines_at_which_wider(m: Measurement, spread: int) -> list[float]:
    """Return the lines at which Adam's useful range is wider than SGD's and than Momentum's."""
    return [
        line
        for line in LINES
        if m.width(spread, "adam", line)
        >= max(m.width(spread, other, line) for other in ("sgd", "momentum")) + LARGER_BY
    ]


def percents(lines: Sequence[float]) -> str:
    """Return lines as text: "5, 10%", or "none"."""
    return ", ".join(f"{100 * line:.0f}" for line in lines) + "%" if lines else "none"


def _judge_reason(m: Measurement) -> Verdict:
    gains = {name: [gain(m, name, line) for line in LINES] for name in ("scaling", "smoothing")}
    adds = [value >= LARGER_BY for values in gains.values() for value in values]
    remarks = [
        f"{name.capitalize()} adds a quarter of a decade at "
        f"{sum(v >= LARGER_BY for v in values)} of {len(LINES)} lines."
        for name, values in gains.items()
    ]
    return Verdict(
        "That is because its step is both smoothed and coordinate-scaled.",
        f"decades gained within {percents(LINES)} of the floor, mean of spreads "
        f"{SPREADS[1]} to {SPREADS[-1]}: "
        + ", ".join(
            f"by {name} {' '.join(f'{value:+.2f}' for value in values)}"
            for name, values in gains.items()
        ),
        "holds" if all(adds) else "in part" if any(adds) else "fails",
        " ".join(remarks),
    )


def gain(m: Measurement, name: str, line: float) -> float:
    """Return what scaling or smoothing adds to the width, the mean over unequal scales."""

    def added(spread: int) -> float:
        neither, smoothed, scaled, both = (m.width(spread, method, line) for method in FACTORS)
        first, other = (scaled, smoothed) if name == "scaling" else (smoothed, scaled)
        return (first - neither + both - other) / 2

    return float(np.mean([added(spread) for spread in SPREADS if spread > 1]))


# %% [markdown]
# ## As a picture
#
# Above, each method's loss over the learning rate, as distance to the floor on a log scale: the
# median, a band from the best to the worst seed, and the useful range as a bar on the 5% line.
# In the middle, the useful ranges by width; the four methods of the section's reason are drawn
# darker, and where no rate is useful a cross marks the best one.  Below, how the four widths depend
# on the spread; Adam is *ahead* where its range is a quarter of a decade wider than SGD's and
# Momentum's.

# %% The figure
COLUMNS = 4
MOST_SHOWN = 3.0  # of the floor's loss; what is farther above is drawn at the edge
INK = {EQUAL: ("#000000", "-"), UNEQUAL: ("#d55e00", "--")}


def draw(m: Measurement) -> Figure:
    """Draw losses over learning rates for each method, useful ranges, and widths over spreads."""
    methods = sorted(m.losses[EQUAL], key=lambda name: NAMES[name].lower())
    heights = [0.5 + 1.45 * -(-len(methods) // COLUMNS), 0.9 + 0.2 * len(methods), 2.6]
    figure = plt.figure(figsize=(10, 0.6 + sum(heights)), layout="constrained")
    parts = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)
    upper, middle, lower = parts[:, 0]
    draw_all_losses(upper, m, methods)
    for spread, ax in zip((EQUAL, UNEQUAL), middle.subplots(1, 2), strict=True):
        draw_ranges(ax, m, spread)
    for line, ax in zip(LINES, lower.subplots(1, len(LINES), sharey=True), strict=True):
        draw_widths(ax, m, line)
    handles, labels = lower.axes[0].get_legend_handles_labels()
    lower.axes[0].set_ylabel("width, decades of η")
    lower.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(finding(m), weight="bold", size="medium")
    return figure


def finding(m: Measurement) -> str:
    """Return the figure's title: Adam's useful range beside SGD's, for equal and unequal scales."""
    adam, sgd = (m.width(EQUAL, method) for method in ("adam", "sgd"))
    by = adam - sgd
    wider = "wider than" if by > 0 else "narrower than"
    wider = wider if abs(by) >= LARGER_BY else "about as wide as"
    return (
        f"Adam's range of useful learning rates is {wider} SGD's where features have equal scales "
        f"({adam:.2f} and {sgd:.2f} decades);\nwhere scales are {UNEQUAL} times apart, it has "
        f"{m.width(UNEQUAL, 'adam'):.2f} decades left, and SGD {left(m, UNEQUAL, 'sgd')}"
    )


def left(m: Measurement, spread: int, method: str) -> str:
    """Return the width of a useful range, or that there is none."""
    if m.useful(spread, method):
        return f"{m.width(spread, method):.2f}"
    return f"none (its best is {m.best(spread, method):.0%} above the floor)"


def draw_all_losses(part: SubFigure, m: Measurement, methods: Sequence[str]) -> None:
    """Draw a panel for each method, and their legend."""
    panels = part.subplots(
        -(-len(methods) // COLUMNS), COLUMNS, sharex=True, sharey=True, squeeze=False
    )
    for method, ax in zip(methods, panels.flat, strict=False):
        draw_losses(ax, m, method)
    for ax in panels.flat[len(methods) :]:
        ax.set_visible(False)
    for column in range(COLUMNS):
        last = (len(methods) - 1 - column) // COLUMNS
        if last >= 0:
            panels[last, column].set_xlabel("learning rate η")
            panels[last, column].tick_params(labelbottom=True)
    part.supylabel("loss above the floor", size="medium")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    part.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)


def draw_losses(ax: Axes, m: Measurement, method: str) -> None:
    """Draw a method's final losses over the learning rate, for equal and unequal scales."""
    for spread, (color, dashes) in INK.items():
        above = np.clip(m.losses[spread][method] / m.floor, 1.001, MOST_SHOWN) - 1
        median = np.clip(m.median(spread, method) / m.floor, 1.001, MOST_SHOWN) - 1
        ax.fill_between(
            m.rates, above.min(-1), above.max(-1), color=color, alpha=0.16, linewidth=0,
            label="best to worst seed" if spread == EQUAL else None,
        )  # fmt: skip
        ax.plot(
            m.rates, median, color=color, linestyle=dashes, linewidth=1.6, label=described(spread)
        )
        found = m.useful(spread, method)
        if found:
            y = LINES[0] * (1.13 if spread == EQUAL else 1 / 1.13)  # each on its side
            ax.plot(
                [found.low, found.high], [y, y], color=color, linewidth=3, solid_capstyle="butt"
            )
    ax.axhline(LINES[0], color="0.4", linewidth=0.8, label=f"{LINES[0]:.0%} above the floor")
    ax.set(xscale="log", yscale="log", ylim=(0.003, MOST_SHOWN - 1))
    ax.set(xticks=[1e-5, 1e-3, 1e-1, 10])
    ax.set_yticks([0.01, 0.1, 1], ["1%", "10%", "100%"])
    ax.set_yticks([], minor=True)
    ax.grid(alpha=0.25)
    ax.set_title(NAMES[method], loc="left", weight="bold", size="medium", pad=3)


def draw_ranges(ax: Axes, m: Measurement, spread: int) -> None:
    """Draw the useful ranges as bars over the learning rate, the widest on top."""
    color, _ = INK[spread]
    methods = m.widest_first(spread)
    for y, method in enumerate(methods):
        found, strong = m.useful(spread, method), method in FACTORS
        if found:
            end, text = found.high, decades(found)
            ax.barh(
                y, found.high - found.low, left=found.low, height=0.66, color=color,
                edgecolor=color, alpha=1 if strong else 0.45,
            )  # fmt: skip
        else:
            end = m.rates[int(np.argmin(m.median(spread, method)))]
            text = f"none: {m.best(spread, method):.1%} above at best"
            ax.plot(end, y, "x", color=color)
        ax.text(
            end * 1.25, y, text, va="center", size="small", weight="bold" if strong else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    ax.set_yticks(range(len(methods)), [NAMES[method] for method in methods], size="small")
    ax.axvline(LEARNING_RATE, color="0.4", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", xlim=(1e-4, 60), ylim=(len(methods) - 0.4, -0.6))
    ax.set_xlabel("learning rate η; dotted: the section's 0.01")
    title, widest = described(spread), m.width(spread, methods[0])
    ax.set_title(
        f"{title[0].upper()}{title[1:]}: {NAMES[methods[0]]}'s range is widest, {widest:.2f}\n"
        f"decades, Adam's is {m.width(spread, 'adam'):.2f} (within {LINES[0]:.0%} of the floor)",
        loc="left", size="medium",
    )  # fmt: skip
    ax.spines[["top", "right"]].set_visible(False)


def draw_widths(ax: Axes, m: Measurement, line: float) -> None:
    """Draw the four methods' widths over the spread."""
    for method in FACTORS:
        base = "adam" if method == NO_SMOOTHING else method
        style = lineup_line(base, marker=True) | {"label": NAMES[method]}
        if method == NO_SMOOTHING:
            style |= {"linestyle": "--", "markerfacecolor": "white"}
        ax.plot(range(len(SPREADS)), [m.width(s, method, line) for s in SPREADS], **style)
    ax.set_xticks(range(len(SPREADS)), [str(spread) for spread in SPREADS])
    ax.set_xlabel("spread: largest scale / smallest")
    wider = [str(s) for s in SPREADS if line in lines_at_which_wider(m, s)]
    where = f"at {' and '.join(wider)}" if wider else "nowhere"
    ax.set_title(f"Within {line:.0%}: Adam is ahead {where}", loc="left", size="medium")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


# %% The question
QUESTION = Question(
    asks="How wide is the range of learning rates that end near the best loss?",
    equations=(
        r"L(\eta) = \mathrm{median}_{\mathrm{seeds}}\ \frac{1}{2n} \sum_i (\hat y_i - y_i)^2",
        r"L(\eta) \leq 1.05\ L^{*}",
        r"\mathrm{width} = \log_{10}(\eta_{\max} / \eta_{\min})",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("learning_rate_sensitivity", QUESTION)
