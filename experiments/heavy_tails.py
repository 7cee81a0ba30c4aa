# %% [markdown]
"""Heavy tails: whether Yogi copes better than Adam with spikes, Student-t noise, rare features.

The section calls Yogi "a robustness fix", "more stable for sparse / heavy-tailed gradient
distributions".  Here every optimizer gets its own best learning rate on each of six such problems,
three with spikes, two with Student-t noise and one with rare features, and then the section's own
data.  Yogi wins some and loses some.  Run it whole, cell by cell, or with
``python -m experiments heavy_tails``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from experiments.lineup import line
from experiments.protocol import LEARNING_RATE
from experiments.question import Question, Setting, Verdict, ask
from experiments.trainings import train_linear
from experiments.trainings.noisy_gradients import (
    CLIPPED,
    PROBLEMS,
    SPARSE,
    SecondMoment,
    second_moments,
    train,
)

Array = npt.NDArray[np.float64]

STEPS, REDUCED_STEPS = 200_000, 20_000
SHORTER, REDUCED_SHORTER = (20_000, 60_000), (5_000,)
"""Steps of a training under noise; and of shorter ones, for Adam and Yogi alone."""
SEEDS, OTHER_SEEDS = 48, 12
"""Of Adam and Yogi, and of the others beside them, on noisy quadratics."""
SPARSE_STEPS, REDUCED_SPARSE_STEPS = 5_000, 2_000
SPARSE_SEEDS, REDUCED_SPARSE_SEEDS = 5, 3
AIRFOIL_SEEDS = 10
VISIBLE = 0.001
"""One in the last digit of the losses that the section prints."""

# %% [markdown]
# ## The problems
#
# They stand with their equations in ``trainings/noisy_gradients.py``:
#
#     g_t = x_{t-1} + n_t        ½ x² from x = 5, where n_t is N(0, 1) plus a spike of 1000 with
#                                probability p: of either sign, or always up, less its mean;
#                                or Student's t with 1 or 2 degrees of freedom
#     y = Σ_j x_j w*_j + 0.1 n   linear regression, feature j present with probability 1/j
#
# What counts is the mean squared error of the parameters: over the second half of the steps, and
# for the regression at the end.
#
# The start, T and the part of the path that counts are not neutral.  They were chosen, after a look
# at four starts, T from 2,000 to 200,000 and three such parts, because they come near the numbers
# known before.  From x = 1, Adam's wins at p = 0.001 and with 2 degrees become ties; over the last
# tenth only, these two and Yogi's at p = 0.01 do.  Yogi's win at one-sided spikes and Adam's with 1
# degree stay in both.

# %% What was known, and the learning rates that each optimizer tries
PAIR = ("adam", "yogi")

REFERENCE = {
    ("spikes ±1000, p = 0.001", "adam"): 5.7e-3,
    ("spikes ±1000, p = 0.001", "yogi"): 1.08e-2,
    ("spikes ±1000, p = 0.01", "adam"): 8.6e-2,
    ("spikes ±1000, p = 0.01", "yogi"): 2.9e-2,
    ("Student's t, 1 degree", "adam"): 0.029,
    ("Student's t, 1 degree", "yogi"): 0.487,
    ("airfoil", "adam"): 0.2435,
    ("airfoil", "yogi"): 0.2434,
}
"""Measured before, on other draws and by a protocol that was not written down: what should agree is
the order, and about the ratio of Yogi to Adam at full size."""

PER_DECADE = 3
DECADES = {
    "adam": (-5, -1), "yogi": (-4, 0), "amsgrad": (-4, 0), "rmsprop": (-5, 0), "adagrad": (-3, 1),
    "lion": (-6, -1), "momentum": (-8, -2), "sgd": (-8, -2), CLIPPED: (-5, -1),
}  # fmt: skip
"""Powers of ten at the two ends of each grid."""
SPARSE_DECADES = DECADES | {
    "adam": (-4, 0), "amsgrad": (-4, 0), "rmsprop": (-4, 0), "adagrad": (-2, 2),
    "lion": (-5, -1), "momentum": (-4, 0), "sgd": (-3, 1), CLIPPED: (-3, 1),
}  # fmt: skip
"""The same for rare features, whose gradients are small: rules that do not scale them need more."""


def grid(problem: str, optimizer: str) -> list[float]:
    """Return the learning rates that an optimizer tries on a problem, three to a decade."""
    low, high = (SPARSE_DECADES if problem == SPARSE else DECADES)[optimizer]
    return [float(lr) for lr in np.logspace(low, high, (high - low) * PER_DECADE + 1)]


# %% [markdown]
# ## All of it
#
# The error of an optimizer on a problem is the mean over seeds, at the rate where that mean is
# least.  Adam or Yogi *wins* a problem if the 95% bootstrap interval of the ratio of their errors
# lies on its side of 1: 2,000 times, as many seeds are drawn with replacement, the same for both.
# The best rates are not sought again for each draw, so the true interval is somewhat wider.
#
# The section's own training closes the list: airfoil, two epochs at η = 0.01, with the section's ε.


# %% The measurement
@dataclass(frozen=True)
class Tuning:
    """What an optimizer comes to on a problem, at every learning rate it tried.

    Attributes
    ----------
    problem, optimizer : str
        Which.
    rates : ndarray (rates,)
        The grid.
    errors : ndarray (rates, seeds)
        Mean squared errors; inf where it diverged.
    """

    problem: str
    optimizer: str
    rates: Array
    errors: Array

    @property
    def mean(self) -> Array:
        """The mean over seeds at each rate."""
        mean: Array = self.errors.mean(axis=1)
        return mean

    @property
    def best(self) -> int:
        """The place of the best rate in the grid."""
        return int(np.argmin(self.mean))

    @property
    def lr(self) -> float:
        """The best rate."""
        return float(self.rates[self.best])

    @property
    def error(self) -> float:
        """The mean squared error at the best rate."""
        return float(self.mean[self.best])

    @property
    def middle(self) -> tuple[float, float]:
        """What the middle half of the seeds lies between, at the best rate."""
        low, high = np.quantile(self.errors[self.best], [0.25, 0.75])
        return float(low), float(high)

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the first or last, so that a better one may lie outside."""
        return self.best in (0, len(self.rates) - 1)

    def at(self, lr: float) -> float:
        """Return the error at the rate of the grid nearest to `lr`."""
        return float(self.mean[np.argmin(np.abs(np.log(self.rates / lr)))])


RESAMPLES = 2000


@dataclass(frozen=True)
class HeavyTails:
    """What `measure` returns.

    Attributes
    ----------
    tunings : dict
        (problem, optimizer) to its `Tuning`.
    moments : list of SecondMoment
        Limits of s.
    airfoil : dict of ndarray
        Optimizer to the final losses, one for each seed.
    source : str
        Which data stood in for airfoil, or that it is the real one.
    steps : int
        T, of the noisy quadratics.
    shorter : dict
        A smaller number of steps to (problem, optimizer) to `Tuning`, for noisy quadratics.
    """

    tunings: dict[tuple[str, str], Tuning]
    moments: list[SecondMoment]
    airfoil: dict[str, Array]
    source: str
    steps: int
    shorter: dict[int, dict[tuple[str, str], Tuning]]

    def ratio(self, problem: str) -> float:
        """Yogi's error over Adam's, each at its best rate."""
        return self.tunings[problem, "yogi"].error / self.tunings[problem, "adam"].error

    def ratios(self, problem: str) -> dict[int, float]:
        """The same for each number of steps, the shorter ones first."""
        before = {
            steps: tunings[problem, "yogi"].error / tunings[problem, "adam"].error
            for steps, tunings in self.shorter.items()
        }
        return before | {self.steps: self.ratio(problem)}

    def undecided(self) -> list[str]:
        """Problems on which the number of steps decides who is ahead."""
        noisy = [problem for problem in PROBLEMS if problem != SPARSE]
        return [p for p in noisy if len({r < 1 for r in self.ratios(p).values()}) > 1]

    def shift(self, problem: str) -> float:
        """Yogi's best rate over Adam's."""
        return self.tunings[problem, "yogi"].lr / self.tunings[problem, "adam"].lr

    def interval(self, problem: str) -> tuple[float, float]:
        """Return the 95% bootstrap interval of `ratio`."""
        adam, yogi = (self.tunings[problem, name] for name in PAIR)
        count = adam.errors.shape[1]
        drawn = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
        ratios = yogi.errors[yogi.best][drawn].mean(1) / adam.errors[adam.best][drawn].mean(1)
        low, high = np.quantile(ratios, [0.025, 0.975])
        return float(low), float(high)

    def winner(self, problem: str) -> str:
        """Who wins, each at its best rate: "Adam", "Yogi" or "neither"."""
        low, high = self.interval(problem)
        return "Adam" if low > 1 else "Yogi" if high < 1 else "neither"

    def turned(self, problem: str) -> bool:
        """Whether a comparison at one rate, Adam's best or Yogi's, puts the other one ahead."""
        adam, yogi = (self.tunings[problem, name] for name in PAIR)
        ahead = yogi.error < adam.error
        return any((yogi.at(lr) < adam.at(lr)) != ahead for lr in (adam.lr, yogi.lr))


def measure(setting: Setting) -> HeavyTails:
    """Train everything at every rate, through ``setting.sweep``."""
    reduced = setting.reduced
    steps = REDUCED_STEPS if reduced else STEPS

    def seeds(count: int) -> list[int]:
        return [setting.seed + k for k in range(count)]

    def size(problem: str, optimizer: str) -> dict[str, Any]:
        if problem == SPARSE:
            return {
                "seeds": seeds(REDUCED_SPARSE_SEEDS if reduced else SPARSE_SEEDS),
                "steps": REDUCED_SPARSE_STEPS if reduced else SPARSE_STEPS,
            }
        count = SEEDS if optimizer in PAIR else OTHER_SEEDS
        return {"seeds": seeds(count), "steps": steps}

    runs: list[dict[str, Any]] = [
        {"problem": p, "optimizer": o, "rates": grid(p, o)} | size(p, o)
        for p in PROBLEMS
        for o in DECADES
    ]
    lengths = REDUCED_SHORTER if reduced else SHORTER
    short_runs = [
        run | {"steps": length}
        for length in lengths
        for run in runs
        if run["optimizer"] in PAIR and run["problem"] != SPARSE
    ]
    results = setting.sweep("heavy_tails", train, runs + short_runs)
    tunings: dict[int, dict[tuple[str, str], Tuning]] = {length: {} for length in (*lengths, steps)}
    for run, result in zip(runs + short_runs, results, strict=True):
        problem, optimizer = run["problem"], run["optimizer"]
        errors = np.array([result[str(seed)] for seed in run["seeds"]]).T
        length = steps if problem == SPARSE else run["steps"]
        tunings[length][problem, optimizer] = Tuning(
            problem, optimizer, np.array(run["rates"]), errors
        )
    whole = tunings.pop(steps)
    section = [
        {"optimizer": o, "lr": LEARNING_RATE, "eps": eps, "seed": seed}
        for o, eps in (("adam", 1e-6), ("yogi", 1e-3))
        for seed in seeds(AIRFOIL_SEEDS)
    ]
    losses = setting.sweep(
        "heavy_tails_airfoil", functools.partial(train_linear, setting.data), section
    )
    airfoil = {
        name: np.array([r["loss"] for r, run in zip(losses, section, strict=True)
                        if run["optimizer"] == name])
        for name in PAIR
    }  # fmt: skip
    moments = second_moments(setting.seed)
    return HeavyTails(whole, moments, airfoil, setting.data.source, steps, tunings)


# %% [markdown]
# ## In numbers


# %% The table
def label(optimizer: str) -> str:
    """Return an optimizer's name as tables and figures show it."""
    return str(style(optimizer)["label"])


def table(m: HeavyTails) -> str:
    """Return the errors of every optimizer on every problem, the limits of s, and airfoil."""
    lines = [
        "mean squared error of the parameters, at each optimizer's best learning rate η",
        "(middle half: of the seeds;  !: the best rate is at an end of the grid)",
        f"{m.steps:,} steps under noise, from an error of 25; rare features start at an error of 1",
        "",
        f"{'':26}{'optimizer':14}{'best η':>9}{'error':>10}  {'middle half':21}"
        f"{'/ Adam':>8}{'reference':>10}",
    ]
    for problem in PROBLEMS:
        adam = m.tunings[problem, "adam"]
        for optimizer in DECADES:
            tuned = m.tunings[problem, optimizer]
            low, high = tuned.middle
            edge = "!" if tuned.at_edge else ""
            known = REFERENCE.get((problem, optimizer))
            reference = f"{known:10.2g}" if known else ""
            lines.append(
                f"{problem if optimizer == 'adam' else '':26}{label(optimizer):14}"
                f"{tuned.lr:9.1e}{edge:1}{tuned.error:9.2g}  {f'{low:.2g} to {high:.2g}':21}"
                f"{tuned.error / adam.error:8.2g}{reference}"
            )
        low, high = m.interval(problem)
        lines += [
            f"{'':26}Yogi / Adam: error {m.ratio(problem):.2g} (95%: {low:.2g} to {high:.2g}), "
            f"best η {m.shift(problem):.2g};  winner: {m.winner(problem)}",
        ]
        if problem != SPARSE:
            ratios = ", ".join(f"{r:.2g} (T = {t:,})" for t, r in m.ratios(problem).items())
            lines.append(f"{'':26}Yogi / Adam: error {ratios}")
        lines.append("")
    lines.append(f"{'what s tends to':26}{'optimizer':15}{'theory':>10}{'measured':>12}")
    for x in m.moments:
        lines.append(f"{x.noise:26}{label(x.optimizer):15}{x.theory:10.5g}{x.measured:12.5g}")
    lines += ["", f"{'airfoil, η = 0.01':26}{'optimizer':15}{'final loss':>17}{'reference':>17}"]
    for name, losses in m.airfoil.items():
        ours = f"{losses.mean():.4f} ± {losses.std(ddof=1):.4f}"
        known = REFERENCE["airfoil", name]
        lines.append(f"{'':26}{label(name):15}{ours:>17}{f'{known} ± 0.0009':>17}")
    return "\n".join([*lines, f"data: {m.source}"])


# %% [markdown]
# ## The verdicts
#
# - *More stable on sparse and heavy-tailed gradients* holds if Yogi wins all six problems against
#   Adam, each at its best rate; fails if it wins none; otherwise in part.
# - *Yogi addresses instability with rare but large gradients*: the same for the three problems with
#   spikes.
# - *Can be compared at one learning rate* fails if taking Adam's best rate for both, or Yogi's,
#   changes who is ahead, on half of the problems or more; holds if on none.
# - *On the section's own data Yogi ends at a lower loss* holds if its mean over seeds is lower by
#   at least 0.001, one in the last digit that the section prints, and fails otherwise.


# %% The rules
def judge(m: HeavyTails) -> list[Verdict]:
    """Apply the rules above."""
    spiky = [p for p in PROBLEMS if p.startswith("spikes")]
    shifts = [m.shift(p) for p in PROBLEMS]
    turned = [p for p in PROBLEMS if m.turned(p)]
    clipped = [p for p in PROBLEMS if m.tunings[p, CLIPPED].error < m.tunings[p, "yogi"].error]
    adam, yogi = (m.airfoil[name] for name in PAIR)
    return [
        Verdict(
            "Yogi is more stable than Adam for sparse and heavy-tailed gradient distributions.",
            f"tuned, {score(m, PROBLEMS)}",
            portion([m.winner(p) == "Yogi" for p in PROBLEMS]),
            f"Plain SGD with gradients clipped to [-1, 1] is ahead of Yogi on {len(clipped)} of "
            f"{len(PROBLEMS)}, and of little use where the spikes matter: on one-sided ones its "
            f"error is {m.tunings['spikes +1000, p = 0.001', CLIPPED].error:.2g}.",
        ),
        Verdict(
            "Yogi addresses Adam's instability with rare but large gradients.",
            f"tuned, {score(m, spiky)}",
            portion([m.winner(p) == "Yogi" for p in spiky]),
            "Yogi gives rare large gradients their full weight.  That is right where they carry "
            "signal (one-sided spikes), and where they are noise it costs: its s tends to the "
            "square of a spike, and Adam's to p times that.  It gets there slowly, so the number "
            f"of steps can decide who is ahead: it does on {len(m.undecided())} of "
            f"{len(PROBLEMS) - 1} problems, between {min(m.ratios(PROBLEMS[0])):,} and "
            f"{m.steps:,} steps.",
        ),
        Verdict(
            "Adam and Yogi can be compared at one learning rate.",
            f"best η of Yogi {min(shifts):.2g} to {max(shifts):.2g} times Adam's; taking Adam's "
            f"best η for both, or Yogi's, changes who is ahead on {len(turned)} of "
            f"{len(PROBLEMS)} problems",
            "fails" if 2 * len(turned) >= len(PROBLEMS) else "in part" if turned else "holds",
            "Under such noise Yogi's s is larger than Adam's, so at equal η its steps are smaller: "
            "it looks more stable at large η and slower at small η.",
        ),
        Verdict(
            "On the section's own data, at its η = 0.01, Yogi ends at a lower loss than Adam.",
            f"{yogi.mean():.4f} ± {yogi.std(ddof=1):.4f}, Adam {adam.mean():.4f} ± "
            f"{adam.std(ddof=1):.4f} ({len(adam)} seeds)",
            "holds" if float(adam.mean() - yogi.mean()) >= VISIBLE else "fails",
            "Airfoil's gradients have no heavy tails: its losses do not show what Yogi changes.",
        ),
    ]


def score(m: HeavyTails, problems: Sequence[str]) -> str:
    """Say on how many problems each one wins, and with which ratios of errors."""
    winners = [m.winner(p) for p in problems]
    ratios = ", ".join(f"{m.ratio(p):.2g}" for p in problems)
    return (
        f"Yogi wins {winners.count('Yogi')} of {len(problems)} problems and Adam "
        f"{winners.count('Adam')}; Yogi's error / Adam's: {ratios}"
    )


def portion(wins: Sequence[bool]) -> Literal["holds", "in part", "fails"]:
    """All, some or none."""
    return "holds" if all(wins) else "in part" if any(wins) else "fails"


# %% [markdown]
# ## As a picture
#
# A valley for each of the two: its lowest point is the best rate, its width how much that matters.
# The shade holds the middle half of the seeds: it is below the mean where a few seeds end far off.
# Of the others only the lowest point is drawn; those of momentum and SGD lie on each other.


# %% The figure
def style(optimizer: str) -> dict[str, Any]:
    """Return an optimizer's line; clipped SGD has no line in the lineup."""
    if optimizer == CLIPPED:
        return line("sgd", marker=True) | {
            "label": "SGD, clipped", "marker": "s", "markerfacecolor": "none",
        }  # fmt: skip
    return line(optimizer, marker=True)


def draw(m: HeavyTails) -> Figure:
    """Draw error over learning rate for Adam and Yogi, and the others' lowest points."""
    figure, axes = plt.subplots(2, 3, figsize=(10, 7), sharey="row", layout="constrained")
    for ax, problem in zip(axes.flat, PROBLEMS, strict=True):
        for optimizer in DECADES:
            tuned = m.tunings[problem, optimizer]
            look = style(optimizer)
            if optimizer in PAIR:
                low, high = np.quantile(tuned.errors, [0.25, 0.75], axis=1)
                ax.fill_between(tuned.rates, low, high, color=look["color"], alpha=0.12, lw=0)
                ax.plot(tuned.rates, tuned.mean, **look, linewidth=2, markevery=[tuned.best],
                        markersize=9, markeredgecolor="white")  # fmt: skip
            else:
                ax.plot(tuned.lr, tuned.error, **look | {"linestyle": ""}, markersize=6)
        shown = {"Adam": "Adam wins", "Yogi": "Yogi wins", "neither": "no clear winner"}
        ax.set_title(problem, loc="left", weight="bold", size="medium", pad=18)
        does = (
            f"{shown[m.winner(problem)]}; Yogi / Adam: error {m.ratio(problem):.2g}, "
            f"best η {m.shift(problem):.2g}"
        )
        ax.text(0, 1.03, does, transform=ax.transAxes, size="small", color="0.3")
        ax.set(xscale="log", yscale="log")
        ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("learning rate η")
    for ax in axes[:, 0]:
        ax.set_ylabel("mean squared error of the parameters")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    figure.suptitle(finding(m), weight="bold")
    return figure


def finding(m: HeavyTails) -> str:
    """Say who wins how often, in two lines."""
    winners = [m.winner(p) for p in PROBLEMS]
    shifts = [m.shift(p) for p in PROBLEMS]
    return (
        f"Each at its best learning rate, Yogi wins {winners.count('Yogi')} of {len(PROBLEMS)} "
        f"problems, Adam wins {winners.count('Adam')};\nYogi's best rate is {min(shifts):.2g} to "
        f"{max(shifts):.2g} times Adam's"
    )


QUESTION = Question(
    asks="Is Yogi a fix for sparse and heavy-tailed gradients?",
    equations=(
        r"g_t = x_{t-1} + n_t",
        r"\mathrm{Adam}: s_\infty = \mathbf{E}[g^2]",
        r"\mathrm{Yogi}: \mathbf{E}[g^2;\, g^2 > s_\infty] = \mathbf{E}[g^2;\, g^2 < s_\infty]",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("heavy_tails", QUESTION)
