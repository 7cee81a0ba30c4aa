# %% [markdown]
"""Learning-rate sensitivity: which rates come near the best loss, and how wide a range they are.

The section says that Adam "reaches a useful loss with little learning-rate tuning because the step
is both smoothed and coordinate-scaled".  This script trains the section's linear model at 25
learning rates with every optimizer, and measures the range of rates that end near the best
possible loss.  Run it whole, cell by cell, or with
``python -m experiments learning_rate_sensitivity``.
"""

# %% What is used
from __future__ import annotations

import functools
import textwrap
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets import Regression
from experiments.lineup import LABELS, OPTIMIZERS, chosen
from experiments.protocol import LEARNING_RATE, least_squares_loss
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings import train_linear
from experiments.useful_range import Range, useful_range

RATES = tuple(float(f"{10 ** (k / 4 - 5):.3g}") for k in range(25))  # 1e-5 to 10, four a decade
SEEDS, REDUCED_SEEDS, REDUCED_STRIDE = 10, 5, 2
TOLERANCE = 0.05

# %% [markdown]
# ## Useful, and the width of the useful range
#
# No linear model has a lower loss than least squares: L*.  A loss is called useful if it is within
# 5% of this floor, the same for every optimizer.  With L(η) the median over seeds of the loss after
# two epochs at learning rate η, and η° the best rate, the useful range is the interval around η° in
# which
#
#     L(η) ≤ 1.05 L*
#
# and its width is log₁₀(η_max/η_min), in decades.  Between two rates of the grid, log L is taken to
# be linear in log η; next to a rate at which the training diverged, the range ends at the last rate
# that did not.  A width of 1 means that a search through powers of ten cannot miss the range.
#
# ## Two sets of units
#
# The section's features are standardised: all coordinates have one scale, so that there is nothing
# left for coordinate scaling to do.  The fair test of it are the same features, centred but in
# units of their own: kHz, degrees, cm, m/s and cm.  Their standard deviations are 1.3 to 16.
# The floor stays where it is, as a linear model can undo the units with its weights.

# %% The units
UNITS = {
    "standardised": (1.0, 1.0, 1.0, 1.0, 1.0),
    "own units": (3.15152, 5.91616, 9.35096, 15.5676, 1.31459),  # kHz, °, cm, m/s, cm
}
"""What each standardised feature is multiplied by: 1, or its standard deviation."""


def train(data: Regression, *, units: str, **run: Any) -> Result:
    """Train the section's linear model once, on features in these units."""
    return train_linear(replace(data, X=data.X * UNITS[units]), **run)


# %% [markdown]
# ## Smoothed, and coordinate-scaled
#
# Four of the methods are the section's "because", taken apart:
#
#                     not smoothed        smoothed
#     not scaled      SGD                 Momentum
#     scaled          Adam with β₁ = 0    Adam

# %% The methods
NO_SMOOTHING = "adam, β₁ = 0"
FACTORS = ("sgd", "momentum", NO_SMOOTHING, "adam")
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
        Units to method to an array, shape (rates, seeds); inf where a training diverged.
    """

    source: str
    floor: float
    rates: tuple[float, ...]
    losses: dict[str, dict[str, npt.NDArray[np.float64]]]


def measure(setting: Setting) -> Measurement:
    """Train with every method at every rate, with every seed, in both units.

    The four methods that the verdicts are about are always among them.
    """
    rates = RATES[::REDUCED_STRIDE] if setting.reduced else RATES
    seeds = range(setting.seed, setting.seed + (REDUCED_SEEDS if setting.reduced else SEEDS))
    methods = tuple(dict.fromkeys(FACTORS + chosen(setting.optimizers or OPTIMIZERS)))
    runs = [
        {"units": units, **hyperparameters(method), "lr": lr, "seed": seed}
        for units in UNITS
        for method in methods
        for lr in rates
        for seed in seeds
    ]
    results = setting.sweep(
        "learning_rate_sensitivity",
        functools.partial(train, setting.data),
        runs,
    )
    losses = np.reshape(
        [result["loss"] for result in results], (len(UNITS), len(methods), len(rates), len(seeds))
    )
    return Measurement(
        setting.data.source,
        least_squares_loss(setting.data),
        rates,
        {units: dict(zip(methods, losses[i], strict=True)) for i, units in enumerate(UNITS)},
    )


# %% The useful range, and its width
def near_floor(m: Measurement, units: str, method: str) -> Range | None:
    """Return the range whose median loss is within 5% of the floor; None if there is none."""
    return useful_range(m.rates, medians(m, units, method), (1 + TOLERANCE) * m.floor)


def near_own_best(m: Measurement, units: str, method: str) -> Range:
    """Return the range whose median loss is within 5% of the method's own best one."""
    losses = medians(m, units, method)
    found = useful_range(m.rates, losses, (1 + TOLERANCE) * float(losses.min()))
    assert found is not None
    return found


def medians(m: Measurement, units: str, method: str) -> npt.NDArray[np.float64]:
    """Return the median over seeds of the loss at each rate."""
    return np.median(m.losses[units][method], axis=-1)


def width(m: Measurement, units: str, method: str) -> float:
    """Return the width of the useful range in decades; 0 if there is none."""
    found = near_floor(m, units, method)
    return found.width if found else 0.0


def widest_first(m: Measurement, units: str) -> list[str]:
    """Return the methods by the width of their useful ranges, then by their best losses."""
    return sorted(
        m.losses[units],
        key=lambda method: (-width(m, units, method), float(medians(m, units, method).min())),
    )


def overlap(m: Measurement, method: str) -> Range | None:
    """Return the rates that are useful in both units; None if there are none."""
    ranges = [near_floor(m, units, method) for units in UNITS]
    found = [r for r in ranges if r is not None]
    low, high = max((r.low for r in found), default=1), min((r.high for r in found), default=0)
    return Range(low, high) if len(found) == len(ranges) and low < high else None


# %% [markdown]
# ## In numbers


# %% The table
def table(m: Measurement) -> str:
    """Return a block of lines for each set of units, widest range first."""
    seeds = next(iter(m.losses["standardised"].values())).shape[-1]
    lines = [
        f"data   {m.source}",
        f"floor  {m.floor:.4f} (least squares); useful: median of {seeds} seeds within "
        f"{TOLERANCE:.0%} of it",
    ]
    for units in UNITS:
        lines += [
            "",
            f"{units + ' features':21}{'best':>9}{'loss':>9}{'above':>9}{'useful range of η':>21}"
            f"{'width':>9}{'5% of own best':>18}",
            f"{'':21}{'η':>9}{'there':>9}{'floor':>9}{'':21}{'decades':>9}{'decades':>18}",
        ]
        for method in widest_first(m, units):
            losses = medians(m, units, method)
            best, own = int(np.argmin(losses)), near_own_best(m, units, method)
            found = near_floor(m, units, method)
            lines.append(
                f"{NAMES[method]:21}{m.rates[best]:9.2g}{losses[best]:9.4f}"
                f"{losses[best] / m.floor - 1:9.1%}{ends(found):>21}"
                f"{decades(found):>9}{decades(own):>18}"
            )
    both = {NAMES[method]: overlap(m, method) for method in widest_first(m, "own units")}
    useful = [f"{name} ({ends(r)})" for name, r in both.items() if r]
    shared = f"useful in both units: {', '.join(useful) or 'no rate of any method'}"
    return "\n".join([*lines, "", textwrap.fill(shared, 99, subsequent_indent="  ")])


def decades(found: Range | None) -> str:
    """Return a width as text, with ≥ where the grid cuts the range off."""
    if found is None:
        return "0"
    return ("≥ " if found.cut else "") + f"{found.width:.2f}"


# %% [markdown]
# ## What follows
#
# "Little tuning" is a comparison: with the methods that Adam combines and improves on.  A width
# counts as larger than another if it is by a quarter of a decade, the spacing of the grid.
#
# 1. *Little tuning* holds if Adam's useful range is wider than SGD's and Momentum's in both units,
#    holds in part if in one of them, and fails otherwise.
# 2. *Because smoothed and scaled* is about the features that differ in scale, where the first can
#    hold.  What scaling adds to the width is the mean of (Adam with β₁ = 0) - SGD and Adam -
#    Momentum; what smoothing adds, the mean of Momentum - SGD and Adam - (Adam with β₁ = 0).  It
#    holds if both add a quarter of a decade, in part if one does, and fails otherwise.

# %% The verdicts
LARGER_BY = 0.25  # decades


def judge(m: Measurement) -> list[Verdict]:
    """Hold the section's sentence, and its reason, against the widths."""
    widths = {units: {method: width(m, units, method) for method in FACTORS} for units in UNITS}
    wider = [
        units
        for units, w in widths.items()
        if w["adam"] - max(w["sgd"], w["momentum"]) >= LARGER_BY
    ]
    numbers = [
        f"{units}: Adam {w['adam']:.2f}, SGD {w['sgd']:.2f}, Momentum {w['momentum']:.2f} decades "
        f"(widest: {NAMES[widest_first(m, units)[0]]}, "
        f"{width(m, units, widest_first(m, units)[0]):.2f})"
        for units, w in widths.items()
    ]
    remarks = []
    if "standardised" not in wider:
        remarks.append("On standardised features, as the section's are, there is nothing to scale.")
    around = [
        f"{NAMES[method]} {near_own_best(m, 'own units', method).width:.2f} decades "
        f"({medians(m, 'own units', method).min() / m.floor - 1:.1%} above the floor)"
        for method in ("adam", "sgd", "momentum")
    ]
    remarks.append(
        "In own units and within 5% of each method's own best loss, which two epochs may leave "
        f"above the floor: {', '.join(around)}."
    )
    remarks.append(
        "Rates useful in both units: "
        + ", ".join(f"{NAMES[method]} {ends(overlap(m, method))}" for method in ("adam", "sgd"))
        + "."
    )
    w = widths["own units"]
    effects = {
        "scaling": (w[NO_SMOOTHING] - w["sgd"] + w["adam"] - w["momentum"]) / 2,
        "smoothing": (w["momentum"] - w["sgd"] + w["adam"] - w[NO_SMOOTHING]) / 2,
    }
    adds = [name for name, effect in effects.items() if effect >= LARGER_BY]
    idle = [name for name in effects if name not in adds]
    return [
        Verdict(
            "Adam reaches a useful loss with little learning-rate tuning.",
            "; ".join(numbers),
            ("fails", "in part", "holds")[len(wider)],
            " ".join(remarks),
        ),
        Verdict(
            "That is because its step is both smoothed and coordinate-scaled.",
            "width gained on features in own units: "
            + ", ".join(f"by {name} {effect:+.2f} decades" for name, effect in effects.items()),
            ("fails", "in part", "holds")[len(adds)],
            f"By {' and '.join(idle)}, less is gained than {LARGER_BY} decades, the grid's spacing."
            if idle
            else "",
        ),
    ]


def ends(found: Range | None) -> str:
    """Return the ends of a range as text."""
    return f"{found.low:.2g} to {found.high:.2g}" if found else "none"


# %% [markdown]
# ## As a picture
#
# Above, each method's loss over the learning rate, as distance to the floor on a log scale: the
# median, a band from the best to the worst seed, and the useful range as a bar on the 5% line.
# Below, the ranges by width; the four methods of the section's reason are drawn darker.  Where no
# rate is useful, the dotted bar is the range within 5% of the method's own best.

# %% The figure
COLUMNS = 4
MOST_SHOWN = 3.0  # of the floor's loss; what is farther above is drawn at the edge
INK = {"standardised": ("#000000", "-"), "own units": ("#d55e00", "--")}


def draw(m: Measurement) -> Figure:
    """Draw the losses over learning rates, a panel for each method, and the useful ranges."""
    methods = sorted(m.losses["own units"], key=lambda name: NAMES[name].lower())
    rows = -(-len(methods) // COLUMNS)
    bars = 0.2 * len(methods) + 0.9
    figure = plt.figure(figsize=(10, 1.0 + 1.5 * rows + bars), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[1.5 * rows + 0.5, bars], squeeze=False)
    upper, lower = parts[:, 0]
    panels = upper.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for method, ax in zip(methods, panels.flat, strict=False):
        draw_losses(ax, m, method)
    for ax in panels.flat[len(methods) :]:
        ax.set_visible(False)
    for column in range(COLUMNS):
        last = (len(methods) - 1 - column) // COLUMNS
        if last >= 0:
            panels[last, column].set_xlabel("learning rate η")
            panels[last, column].tick_params(labelbottom=True)
    upper.supylabel("loss above the floor", size="medium")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    upper.legend(
        handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize="small"
    )
    for units, ax in zip(UNITS, lower.subplots(1, 2), strict=True):
        draw_ranges(ax, m, units)
    figure.suptitle(finding(m), weight="bold", size="medium")
    return figure


def finding(m: Measurement) -> str:
    """Return the figure's title: Adam's useful range beside SGD's, a line for each set of units."""
    lines = []
    for units in UNITS:
        adam, sgd = width(m, units, "adam"), width(m, units, "sgd")
        wider = "wider than" if adam - sgd >= LARGER_BY else "no wider than"
        lines.append(f"{wider} SGD's on {described(units)} ({adam:.2f} and {sgd:.2f} decades)")
    return "Adam's range of useful learning rates is " + ",\nand ".join(lines)


def described(units: str) -> str:
    """Return "standardised features" or "features in own units"."""
    return f"{units} features" if units == "standardised" else f"features in {units}"


def draw_losses(ax: Axes, m: Measurement, method: str) -> None:
    """Draw a method's final losses over the learning rate, in both units."""
    for units, (color, dashes) in INK.items():
        above = np.clip(m.losses[units][method] / m.floor, 1.001, MOST_SHOWN) - 1
        median = np.clip(medians(m, units, method) / m.floor, 1.001, MOST_SHOWN) - 1
        ax.fill_between(
            m.rates, above.min(-1), above.max(-1), color=color, alpha=0.16, linewidth=0,
            label="best to worst seed" if units == "standardised" else None,
        )  # fmt: skip
        ax.plot(
            m.rates, median, color=color, linestyle=dashes, linewidth=1.6, label=described(units)
        )
        found = near_floor(m, units, method)
        if found:
            y = TOLERANCE * (1.13 if units == "standardised" else 1 / 1.13)  # each on its side
            ax.plot(
                [found.low, found.high], [y, y], color=color, linewidth=3, solid_capstyle="butt"
            )
    ax.axhline(TOLERANCE, color="0.4", linewidth=0.8, label=f"{TOLERANCE:.0%} above the floor")
    ax.set(xscale="log", yscale="log", ylim=(0.003, MOST_SHOWN - 1))
    ax.set(xticks=[1e-5, 1e-3, 1e-1, 10])
    ax.set_yticks([0.01, 0.1, 1], ["1%", "10%", "100%"])
    ax.set_yticks([], minor=True)
    ax.grid(alpha=0.25)
    ax.set_title(NAMES[method], loc="left", weight="bold", size="medium", pad=3)


def draw_ranges(ax: Axes, m: Measurement, units: str) -> None:
    """Draw the useful ranges as bars over the learning rate, the widest on top."""
    color, _ = INK[units]
    methods = widest_first(m, units)
    for y, method in enumerate(methods):
        found, own = near_floor(m, units, method), near_own_best(m, units, method)
        shown = found or own
        bold = "bold" if method in ("adam", "sgd") else "normal"
        ax.barh(
            y, shown.high - shown.low, left=shown.low, height=0.66, edgecolor=color,
            color=color if found else "none", linestyle="-" if found else ":",
            alpha=1 if method in FACTORS or not found else 0.45,
        )  # fmt: skip
        above = float(medians(m, units, method).min()) / m.floor - 1
        text = decades(found) if found else f"none: {above:.1%} above at best"
        ax.text(
            shown.high * 1.15, y, text, va="center", size="small", weight=bold,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    ax.set_yticks(range(len(methods)), [NAMES[method] for method in methods], size="small")
    ax.axvline(LEARNING_RATE, color="0.4", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xscale="log", xlim=(1e-4, 60), ylim=(len(methods) - 0.4, -0.6))
    ax.set_xlabel("learning rate η; dotted: the section's 0.01")
    title = described(units)
    ax.set_title(f"{title[0].upper()}{title[1:]}: useful range, decades", loc="left", size="medium")
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
