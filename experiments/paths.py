# %% [markdown]
"""Paths: which way each optimizer goes on functions of two variables, and what decides it.

The textbook draws its optimizers on f = 0.1x₁² + 2x₂² from (-5, -2).  This script draws all of ours
on it, on a copy turned by 45°, and on Rosenbrock's and Beale's functions; and it puts a number to
"coordinate-scaled".  Run it whole, cell by cell, or with ``python -m experiments paths``.
"""

# %% What is used
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from experiments.lineup import LABELS, OPTIMIZERS, chosen, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.race import Panel, race
from experiments.sweep import Result
from experiments.trainings.landscapes import (
    LANDSCAPES,
    ROTATION,
    SETTLED,
    STEPS,
    Descent,
    contours,
    descend,
    quadratic,
)

RATES = tuple(float(10 ** (k / 4)) for k in range(-12, 5))  # 0.001 to 10, four to a decade
REDUCED_RATES = RATES[2:15:2]  # 0.003 to 3, two to a decade
ADAM_DEFAULT = 1e-3
ROUNDING = 1e-9  # two paths that differ by less are the same but for rounding
JUDGED = ("sgd", "momentum", "rmsprop", "adam")  # neither, smoothed, scaled, both

# AdamW is not in them: without weight decay it is Adam, and its label stands at Adam's line.
FAMILIES = {
    "Along the gradient": ("sgd", "momentum", "muon"),
    "A scale per coordinate": ("adagrad", "rmsprop", "adadelta", "lion"),
    "Adam and its kin": ("adam", "nadam", "radam", "adamax"),
    "Other second moments": ("yogi", "amsgrad", "adabelief"),
}
RACE = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "yogi")

# %% [markdown]
# ## A descent
#
# The functions, and the loop that descends on them, stand in `trainings/landscapes.py`.  Gradients
# are minigrad's: f is computed on tensors, `backward` fills in ∇f, and the optimizer steps.  The
# point is a matrix of one column, for Muon's sake, whose step is then about η along the mean
# gradient: a column has one singular value, its length.  Weight decay is 0, since it would move the
# minimum; so AdamW is Adam here.

# %% [markdown]
# ## Each at a rate of its own
#
# At one equal learning rate, the optimizers would be compared by what η means to them: SGD's is
# multiplied by a gradient, Adam's is itself the length of a step, Adadelta's a factor near 1.  So
# each optimizer runs on each function at every rate of one grid.  A descent has *arrived* when f is
# below a thousandth of its value at the start and stays there.  The rate that arrives in the fewest
# steps is the tuned one; of rates within a fifth of that, the smallest, whose path is calmest.
# Where none arrives, it is the rate whose last 50 steps stay lowest.  The best of many rates is
# partly luck: AdaGrad may step nearly onto a minimum because a rate of the grid happens to fit.


# %% Tuning
def train(*, optimizer: str, function: str, lr: float, steps: int) -> Result:
    """Descend once; returns the steps until arrival, and the largest f of the last 50 steps."""
    descent = descend(optimizer, LANDSCAPES[function], lr, steps=steps)
    return {"f": descent.rest, "steps": descent.steps}


def tuned_rate(rates: Sequence[float], results: Sequence[Result]) -> float:
    """Choose the learning rate, by the rule above."""
    fewest = min(result["steps"] for result in results)
    if fewest == np.inf:
        return min(zip(rates, results, strict=True), key=lambda trial: trial[1]["f"])[0]
    trials = zip(rates, results, strict=True)
    return min(lr for lr, result in trials if result["steps"] <= 1.2 * fewest)


# %% [markdown]
# ## What a change of coordinates does
#
# Make f c times as steep along one coordinate, and SGD's steps are c times as long there.  Adam's
# stay as they are: v̂ and √ŝ grow by c alike, and with ε = 0 their quotient is the same.  So if the
# coefficients 0.1 and 2 of f change places, Adam takes the same path as before.
#
# Turn f by 45°, and SGD's path turns with it: at y = R x, the gradient is R ∇f(x), and a rule that
# only adds gradients, multiplies them by numbers and takes their norm, as Muon does, turns with R.
# Adam divides by √ŝ in each coordinate, and coordinates belong to the axes, not to f.  What that
# costs depends on η, so steps on f and on its turned copy are compared at every rate of the grid.


# %% The two changes, for one optimizer
def gap(first: Descent, second: Descent) -> float:
    """How far apart two paths are where they are furthest; inf if only one diverges."""
    distance = np.linalg.norm(first.points - second.points, axis=1)
    both = np.isfinite(first.values) & np.isfinite(second.values)
    if not np.array_equal(np.isfinite(first.values), np.isfinite(second.values)):
        return float("inf")
    return float(distance[both].max())


def gap_exchanged(optimizer: str, lr: float, *, zero_eps: bool = True) -> float:
    """How far the path moves when the coefficients change places; nan if it never leaves the start.

    With ``zero_eps``, ε is 0 in the optimizers that have one.
    """
    has_eps = zero_eps and "eps" in OPTIMIZERS[optimizer].hyperparameters
    plain = LANDSCAPES["quadratic"]
    exchanged = replace(plain, f=quadratic(2.0, 0.1))
    first, second = (
        descend(optimizer, f, lr, eps=0.0) if has_eps else descend(optimizer, f, lr)
        for f in (plain, exchanged)
    )
    return gap(first, second) if first.length > 0 else float("nan")


def gap_rotated(optimizer: str, lr: float) -> float:
    """How far the path on the turned function is from the turned path."""
    path = descend(optimizer, LANDSCAPES["quadratic"], lr)
    turned = Descent(lr, path.points @ ROTATION.T, path.values)
    return gap(turned, descend(optimizer, LANDSCAPES["rotated"], lr))


# %% The measurement
@dataclass(frozen=True)
class Paths:
    """What was measured, by optimizer and function, or by optimizer or function alone.

    Attributes
    ----------
    rates : tuple of float
        The grid.
    optimizers : tuple of str
        The optimizers.
    best : dict
        The path at the tuned rate.
    steps : dict
        The steps until arrival at each rate; inf where it does not arrive.
    exchanged, rotated : dict
        By optimizer: how far its path on the quadratic moves in the two changes.
    exchanged_with_eps : float
        Adam's, with its default ε.
    same_rate : dict
        By optimizer: the path on the turned copy, at the rate tuned for f.
    default_rate : dict
        By function: Adam's path at its default learning rate.
    """

    rates: tuple[float, ...]
    optimizers: tuple[str, ...]
    best: dict[tuple[str, str], Descent]
    steps: dict[tuple[str, str], tuple[float, ...]]
    exchanged: dict[str, float]
    rotated: dict[str, float]
    exchanged_with_eps: float
    same_rate: dict[str, Descent]
    default_rate: dict[str, Descent]

    def shown(self, optimizer: str, function: str) -> Descent:
        """The path that figures show: on the turned copy, the one at the rate tuned for f."""
        if function == "rotated":
            return self.same_rate[optimizer]
        return self.best[optimizer, function]

    def counts(self, optimizer: str) -> list[int]:
        """How many rates arrive, on each function."""
        return [int(np.isfinite(self.steps[optimizer, f]).sum()) for f in LANDSCAPES]

    def serving_all(self, optimizer: str) -> int:
        """How many rates arrive on every function."""
        arrive = [np.isfinite(self.steps[optimizer, f]) for f in LANDSCAPES]
        return int(np.all(arrive, axis=0).sum())

    def turning(self, optimizer: str) -> dict[float, float]:
        """By what factor the turn multiplies the steps, by the rates that arrive on f.

        It is inf where the descent on the turned copy does not arrive.
        """
        pairs = zip(self.steps[optimizer, "quadratic"], self.steps[optimizer, "rotated"],
                    strict=True)  # fmt: skip
        factors = zip(self.rates, pairs, strict=True)
        return {lr: turned / plain for lr, (plain, turned) in factors if plain < np.inf}


def measure(setting: Setting) -> Paths:
    """Tune every optimizer on every function; then take the paths at the tuned rates.

    The four that the verdicts are about are measured whichever optimizers are chosen.
    """
    optimizers = chosen((*(setting.optimizers or OPTIMIZERS), *JUDGED))
    rates = REDUCED_RATES if setting.reduced else RATES
    pairs = [(optimizer, function) for optimizer in optimizers for function in LANDSCAPES]
    runs = [
        {"optimizer": optimizer, "function": function, "lr": lr, "steps": STEPS}
        for optimizer, function in pairs
        for lr in rates
    ]
    results = iter(setting.sweep("paths", train, runs))
    best, steps = {}, {}
    for optimizer, function in pairs:
        trials = [next(results) for _ in rates]
        lr = tuned_rate(rates, trials)
        best[optimizer, function] = descend(optimizer, LANDSCAPES[function], lr)
        steps[optimizer, function] = tuple(trial["steps"] for trial in trials)
    tuned = {name: best[name, "quadratic"].lr for name in optimizers}
    return Paths(
        rates,
        optimizers,
        best,
        steps,
        exchanged={name: gap_exchanged(name, lr) for name, lr in tuned.items()},
        rotated={name: gap_rotated(name, lr) for name, lr in tuned.items()},
        exchanged_with_eps=gap_exchanged("adam", tuned["adam"], zero_eps=False),
        same_rate={name: descend(name, LANDSCAPES["rotated"], lr) for name, lr in tuned.items()},
        default_rate={name: descend("adam", f, ADAM_DEFAULT) for name, f in LANDSCAPES.items()},
    )


# %% [markdown]
# ## In numbers


# %% The table
def table(m: Paths) -> str:
    """Return two tables: every optimizer at its tuned rates, and what the changes do to it."""
    lines = [
        "At tuned rates: η; steps until f stays below a thousandth of its value at the start, or",
        f"the largest f of the last {SETTLED} of {STEPS}; and the length of the path until then.",
        "",
        f"{'':10}" + "".join(f"{landscape.title:>22}" for landscape in LANDSCAPES.values()),
        f"{'':10}" + f"{'η':>7}{'steps':>8}{'length':>7}" * len(LANDSCAPES),
    ]
    for name in m.optimizers:
        cells = ""
        for function in LANDSCAPES:
            best = m.best[name, function]
            cells += f"{best.lr:7.2g}{_steps(best):>8}{best.length:7.1f}"
        lines.append(f"{LABELS[name]:10}{cells}")
    lines += [
        "",
        "How far a path moves when the coefficients change places (ε = 0), how far it is from the",
        "turned path when f is turned, and its steps there at the same rate; then how many of "
        f"{len(m.rates)}",
        f"rates from {m.rates[0]:.2g} to {m.rates[-1]:.2g} arrive. -: with ε = 0 Adadelta never "
        "leaves the start.",
        "",
        f"{'':10}{'exchanged':>10}{'turned':>10}{'steps':>8}{'':2}"
        + "".join(f"{function:>11}" for function in (*LANDSCAPES, "all four")),
    ]
    for name in m.optimizers:
        exchanged = "-" if np.isnan(m.exchanged[name]) else f"{m.exchanged[name]:.1e}"
        counts = "".join(f"{count:11}" for count in (*m.counts(name), m.serving_all(name)))
        lines.append(
            f"{LABELS[name]:10}{exchanged:>10}{m.rotated[name]:10.1e}"
            f"{_steps(m.same_rate[name]):>8}{'':2}{counts}"
        )
    return "\n".join(lines)


def _steps(descent: Descent) -> str:
    """The steps until arrival, or the largest f of the last 50."""
    return f"{descent.steps:.0f}" if descent.steps < np.inf else f"f {descent.rest:.1g}"


# %% [markdown]
# ## The verdicts
#
# 1. *Coordinate-scaled* holds if exchanging the coefficients moves Adam's path by rounding alone,
#    10⁻⁹, and SGD's by more than 0.1; in part if Adam's moves at least ten times less than SGD's;
#    it fails otherwise.  This is arithmetic, and the run a check of it.
# 2. *Copes with unequal curvatures* is about the rates at which Adam arrives on f.  It holds if at
#    each of them Adam also arrives on the turned copy, with at most a fifth more steps; in part if
#    at half of them or more; it fails otherwise.
# 3. *More learning rates arrive* holds if on each function more rates of the grid arrive with Adam
#    than with SGD and with Momentum; in part if on some; it fails otherwise.


# %% Numbers to verdicts
LATE = 1.2


def judge(m: Paths) -> list[Verdict]:
    """Judge three readings of "smoothed and coordinate-scaled", by the rules above."""
    return [_judge_scaling(m), _judge_turn(m), _judge_tuning(m)]


def _judge_scaling(m: Paths) -> Verdict:
    adam, sgd = m.exchanged["adam"], m.exchanged["sgd"]
    exact = adam <= ROUNDING and sgd > 0.1
    return Verdict(
        "Adam's step is coordinate-scaled.",
        f"when the coefficients change places, Adam's path moves {adam:.0e} (ε = 0), SGD's "
        f"{sgd:.2g}",
        "holds" if exact else "in part" if adam <= sgd / 10 else "fails",
        f"With its default ε, Adam's moves {m.exchanged_with_eps:.0e}. It is gradients that are "
        "scaled, not x: if x is measured in mm instead of m, Adam must go 1000 times as far with "
        "steps of the same η.",
    )


def spared(m: Paths, optimizer: str) -> list[float]:
    """Return the rates at which the turn costs at most a fifth more steps."""
    return [lr for lr, factor in m.turning(optimizer).items() if factor <= LATE]


def _judge_turn(m: Paths) -> Verdict:
    factors, fine = m.turning("adam"), spared(m, "adam")
    share = len(fine) / len(factors) if factors else 0.0
    plain, turned = m.best["adam", "quadratic"], m.same_rate["adam"]
    return Verdict(
        "Scaled by coordinate, Adam's step copes with unequal curvatures.",
        f"f turned by 45° takes Adam at most a fifth more steps {_spared(m, 'adam')}; SGD "
        f"{_spared(m, 'sgd')}",
        "holds" if share == 1 else "in part" if share >= 0.5 else "fails",
        f"It copes along the axes: SGD's path turns with f (to {m.rotated['sgd']:.0e}), Adam's is "
        f"up to {m.rotated['adam']:.1f} away from the turned path. At its tuned rate "
        f"{plain.lr:.2g} Adam takes {_steps(plain)} steps on f and {_steps(turned)} turned, at "
        f"{m.best['adam', 'rotated'].lr:.2g} {_steps(m.best['adam', 'rotated'])} turned; tuned, "
        f"SGD takes {_steps(m.best['sgd', 'quadratic'])}, turned or not.",
        source="reader",
    )


def _spared(m: Paths, optimizer: str) -> str:
    """Say at how many rates, and which, the turn costs at most a fifth more steps."""
    fine = spared(m, optimizer)
    between = f" ({min(fine):.2g} to {max(fine):.2g})" if fine else ""
    return (
        f"at {len(fine)} of the {len(m.turning(optimizer))} rates at which it arrives on f{between}"
    )


def _judge_tuning(m: Paths) -> Verdict:
    others = zip(m.counts("sgd"), m.counts("momentum"), strict=True)
    wider = [adam > max(other) for adam, other in zip(m.counts("adam"), others, strict=True)]
    at_default = sum(descent.steps < np.inf for descent in m.default_rate.values())
    return Verdict(
        "On four functions of two variables, more learning rates arrive with Adam than with SGD "
        "and Momentum.",
        f"of {len(m.rates)} rates, these arrive on the four: "
        f"{_counts(m, 'adam')}; {_counts(m, 'sgd')}; {_counts(m, 'momentum')}",
        "holds" if all(wider) else "in part" if any(wider) else "fails",
        f"Scaled and not smoothed: {_counts(m, 'rmsprop')}. A little tuning is needed: at Adam's "
        f"default, {ADAM_DEFAULT}, it arrives within {STEPS} steps on {at_default} of "
        f"{len(LANDSCAPES)}.",
        source="reader",
    )


def _counts(m: Paths, name: str) -> str:
    counts = ", ".join(map(str, m.counts(name)))
    return f"{LABELS[name]} {counts} ({m.serving_all(name)} on all)"


# %% [markdown]
# ## As a picture
#
# A row for each function, a column for each family.  Contours are a constant factor apart, and the
# dark one is the tolerance; numbers are the steps until it is reached to stay, where the path ends,
# or else f.  "Leaves view" is said of paths that lie outside the window for a while.  On the turned
# copy every optimizer has the rate that was tuned for f, so it shows what the turn does at that one
# rate; at others it may cost less, as the title says of Adam.


# %% The figure
TITLES = {function: landscape.title for function, landscape in LANDSCAPES.items()} | {
    "rotated": "Turned, same η"
}


def draw(m: Paths) -> Figure:
    """Draw the paths: a row for each function, a column for each family."""
    members = {
        family: [name for name in names if name in m.optimizers]
        for family, names in FAMILIES.items()
    }
    families = {family: names for family, names in members.items() if names}
    lines = max(map(len, families.values()))
    figure, axes = plt.subplots(
        len(LANDSCAPES), len(families), figsize=(10, 11.5), layout="constrained", squeeze=False
    )
    for row, (function, landscape) in zip(axes, LANDSCAPES.items(), strict=True):
        for ax, names in zip(row, families.values(), strict=True):
            contours(ax, landscape)
            for name in names:
                descent = m.shown(name, function)
                label = "Adam, AdamW" if name == "adam" else LABELS[name]
                path = descent.points[: int(min(descent.steps, STEPS)) + 1]
                out = "" if landscape.shows(path) else ", leaves view"
                ax.plot(*path.T, **line(name) | {"label": f"{label} {_steps(descent)}{out}"})
            legend = ax.legend(
                loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=8, frameon=False,
                borderpad=0, labelspacing=0.2, handlelength=2.2,
            )  # fmt: skip
            legend.set_in_layout(False)
            ax.set_title("\n" * lines, loc="left", size=8)  # the legend's place
            ax.tick_params(labelsize="small")
            ax.locator_params(integer=True, nbins=4)
            ax.set_xlabel(landscape.coordinates[0])
        row[0].set_ylabel(landscape.coordinates[1])
        row[0].annotate(
            TITLES[function], (0, 0.5), (-36, 0), xycoords="axes fraction",
            textcoords="offset points", rotation=90, va="center", ha="right", weight="bold",
        )  # fmt: skip
    for ax, family in zip(axes[0], families, strict=True):
        ax.set_title(family + "\n" * lines, loc="left", weight="bold", size="medium")
    figure.suptitle(finding(m) + "\n", weight="bold", size="medium")
    return figure


def finding(m: Paths) -> str:
    """Say what the turn does, in two lines."""
    follows = "follows" if m.rotated["sgd"] <= ROUNDING else "does not follow"
    adam = m.best["adam", "quadratic"]
    return (
        f"When f is turned, SGD's path {follows} and Adam's bends: at η = {adam.lr:.2g} Adam needs "
        f"{_steps(m.same_rate['adam'])} steps, not {_steps(adam)};\n"
        f"{_spared(m, 'adam')}, at most a fifth more"
    )


# %% [markdown]
# ## The animation
#
# Six of them, all at once, on the four functions; `race.py` draws it.  Early steps are shown one by
# one, later ones in leaps.


# %% Animating
def animate(m: Paths, path: Path) -> None:
    """Write the race as a GIF: of all optimizers if they are at most six, else of the usual six."""
    names = m.optimizers if len(m.optimizers) <= len(RACE) else RACE
    panels = [
        Panel(TITLES[function], landscape, {name: m.shown(name, function) for name in names})
        for function, landscape in LANDSCAPES.items()
    ]
    race(panels, path)


# %% The question
QUESTION = Question(
    asks="Which way does each optimizer go, and what decides it?",
    equations=(
        r"f(\mathbf{x}) = 0.1 x_1^2 + 2 x_2^2",
        r"f_R(\mathbf{y}) = f(R^{-1} \mathbf{y})",
        r"\frac{c\,\hat v}{\sqrt{c^2\,\hat s}} = \frac{\hat v}{\sqrt{\hat s}}",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
    animate=animate,
)

if __name__ == "__main__":
    ask("paths", QUESTION)
