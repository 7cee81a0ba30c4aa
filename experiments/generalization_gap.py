# %% [markdown]
"""Generalization gap: whether Adam's solutions are worse on new data than SGD's.

The section names among Adam's failure modes a "generalization gap vs. SGD on certain vision
tasks".  First a construction where the gap can be computed by hand; then small images of digits,
with every optimizer tuned in the same way.  Run it whole, cell by cell, or with
``python -m experiments generalization_gap``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets import Images, glyphs
from experiments.lineup import BLUE, LABELS, build, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings.digits import HELD_OUT, STEPS, train_on_digits
from experiments.uncertainty import mean_and_error
from minigrad import Tensor, squared_loss

Array = npt.NDArray[np.float64]

# %% [markdown]
# ## The construction
#
# Wilson et al., *The Marginal Value of Adaptive Gradient Methods in Machine Learning*, NIPS 2017
# (arXiv:1705.08292), section 3.  n examples with labels y = ±1, 70% of them +1, and features
#
#     x₁ = y                           the label itself: all that one needs
#     x₂ = x₃ = 1                      the same for all: no use
#     5 columns of each example's own  one 1 if y = +1, five if y = -1, else 0: seen only once
#
# Least squares, ½ mean (Xw - y)², on all examples at once, from w = 0.  There are more weights
# than examples, so many solutions fit perfectly; which one is found is the optimizer's choice.
#
# *Adaptive methods* divide each coordinate of the gradient by its own size.  At w = 0 the gradient
# is -Xᵀy/n.  Divided by its own size, each coordinate becomes -1 or +1, so the first step is
# w = τ sign(Xᵀy), with the same τ for all coordinates.  That gives the training examples the scores
#
#              w₁ y    w₂ + w₃    own features       sum
#     y = +1    +τ       +2τ      one of +τ          +4τ
#     y = -1    -τ       +2τ      five of -τ         -4τ
#
# which is 4τy: the residuals stay in proportion to y, the gradient to Xᵀy, and w on this line,
# until 4τ = 1:
#
#     w₁ = w₂ = w₃ = ¼
#
# A new example has no weights of its own.  Its score is w₁ y + w₂ + w₃: ¾ for y = +1, but +¼ for
# y = -1.  Everyone is taken for +1, and the error is the share of y = -1: 30% in expectation, and
# 29.5% in the sample of an earlier implementation.
#
# *SGD* adds multiples of the examples, so it stays in their span and ends at the solution of
# minimum norm, Xᵀ(XXᵀ)⁻¹y: of all w with Xw = y the one with the smallest Σ wᵢ².  There w₁ is near
# 1 and w₂ + w₃ near 0: no error.

# %% Its size, and each optimizer's steps
EXAMPLES, NEW_EXAMPLES = 100, 2000
POSITIVE = 0.7

CONSTRUCTION: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.5, "steps": 4000},
    "momentum": {"lr": 0.5, "steps": 4000},
    "adam": {"lr": 0.01, "steps": 1500},
    "rmsprop": {"lr": 0.001, "steps": 1500},
    "adagrad": {"lr": 0.05, "steps": 1500},
    "lion": {"lr": 2**-9, "steps": 1500},
    "yogi": {"lr": 0.01, "steps": 1500, "eps": 1e-8},
}
ADAPTIVE = ("adam", "rmsprop", "adagrad", "lion", "yogi")


def examples(seed: int) -> tuple[Array, Array, Array]:
    """Return features and labels of the training examples, and labels of new ones."""
    labels = np.random.default_rng(seed).random(EXAMPLES + NEW_EXAMPLES)
    y, y_new = np.split(np.where(labels < POSITIVE, 1.0, -1.0), [EXAMPLES])
    own = np.zeros((EXAMPLES, EXAMPLES, 5))
    for i in range(EXAMPLES):
        own[i, i, : 1 if y[i] > 0 else 5] = 1.0
    ones = np.ones((EXAMPLES, 2))
    return np.column_stack([y, ones, own.reshape(EXAMPLES, -1)]), y, y_new


def train_construction(
    *, optimizer: str, lr: float, steps: int, seed: int, **hyperparameters: Any
) -> Result:
    """Train on the construction; returns the path of w₁ and w₂, and how well it ends."""
    X, y, y_new = examples(seed)
    w = Tensor(np.zeros(X.shape[1]), requires_grad=True)
    rule = build(optimizer, [w], lr=lr, **hyperparameters)
    path = [w.data[:2].tolist()]
    for _ in range(steps):
        rule.zero_grad()
        squared_loss(X @ w, y).mean().backward()
        rule.step()
        path.append(w.data[:2].tolist())
    # The first steps are the longest.
    shown = np.unique(np.geomspace(1, steps + 1, 100).astype(int)) - 1
    w1, w2 = np.array(path)[shown].T.tolist()
    score = X @ w.data
    score_new = w.data[0] * y_new + w.data[1] + w.data[2]  # its own columns: weights still 0
    return {
        "weights": w.data[:3].tolist(),
        "w1": w1,
        "w2": w2,
        "train_loss": float(np.mean((score - y) ** 2)) / 2,
        "train_error": float(np.mean(score * y <= 0)),
        "test_error": float(np.mean(score_new * y_new <= 0)),
    }


# %% [markdown]
# ## The images
#
# Digits in 16x16 pixels (`datasets.glyphs`), an MLP 256-64-10, softmax cross-entropy, batches of
# 20.  Every optimizer gets the same: 7 learning rates a quarter of a decade apart, equal starts
# and batches, and 400 steps.  The rate with the lowest mean error on 1000 validation images is
# chosen, and only it is judged, on 1000 test images; there all optimizers fit all training images.
# A seed draws everything: training, validation and test images, start and batches.
#
# For each seed we take the difference in test error between two optimizers.  There is a gap where
# the mean of these differences is more than 2 standard errors above 0.  (The standard error is that
# of the mean over n seeds: the differences' standard deviation, divided by √n.)

# %% Its size, and who takes part
TRAINING_IMAGES = 500
SEEDS, REDUCED_SEEDS = 10, 3
RATES = 7


def rates(lowest: float) -> list[float]:
    """Return learning rates a quarter of a decade apart, three digits each."""
    return [float(f"{lowest * 10 ** (k / 4):.3g}") for k in range(RATES)]


@dataclass(frozen=True)
class Contestant:
    """Who takes part.

    Attributes
    ----------
    label : str
        The name in table and figure.
    optimizer : str
        A name of `experiments.lineup`.
    lrs : list of float
        The learning rates that may be chosen.
    hyperparameters : dict
        Others that are not the defaults.
    """

    label: str
    optimizer: str
    lrs: list[float]
    hyperparameters: dict[str, float]


CONTESTANTS = [
    Contestant("SGD", "sgd", rates(0.0632), {}),
    Contestant("Momentum", "momentum", rates(0.0949), {}),
    Contestant("Adam", "adam", rates(0.00316), {}),
    Contestant("AdamW", "adamw", rates(0.00316), {}),
    Contestant("Yogi", "yogi", rates(0.00316), {}),
    Contestant("Adam, ε = 0.01", "adam", rates(0.00562), {"eps": 0.01}),
]


# %% The measurement
@dataclass(frozen=True)
class Tuned:
    """A contestant's errors.

    Attributes
    ----------
    contestant : Contestant
        Whose they are.
    lrs : list of float
        The rates that were tried.
    train_error, validation_error, test_error : arrays of shape (rates, seeds)
        Which part of the images is taken for another digit.
    """

    contestant: Contestant
    lrs: list[float]
    train_error: Array
    validation_error: Array
    test_error: Array

    @property
    def chosen(self) -> int:
        """Which rate has the lowest mean validation error."""
        return int(np.argmin(self.validation_error.mean(axis=1)))

    @property
    def test(self) -> Array:
        """Test errors at the chosen rate, one for each seed."""
        return self.test_error[self.chosen]

    @property
    def fitted(self) -> float:
        """Mean training error at the chosen rate."""
        return float(self.train_error[self.chosen].mean())


@dataclass(frozen=True)
class Measurement:
    """What the optimizers found on the construction, and on the images.

    Attributes
    ----------
    construction : mapping
        By optimizer, what `train_construction` returns.
    minimum_norm : array of shape (3,)
        w₁, w₂, w₃ of the solution of minimum norm.
    negatives : float
        Part of the new examples whose label is -1.
    images : dict
        By label, each contestant's errors.
    sample : Images
        Some to look at.
    """

    construction: Mapping[str, Result]
    minimum_norm: Array
    negatives: float
    images: dict[str, Tuned]
    sample: Images

    def gap(self, label: str, to: str) -> tuple[float, float]:
        """Mean and standard error over seeds of one test error minus another."""
        return mean_and_error(self.images[label].test - self.images[to].test)


def measure(setting: Setting) -> Measurement:
    """Train on both: on the construction once, on the images with every rate and seed."""
    names = list(CONSTRUCTION)
    runs = [{"optimizer": n, **CONSTRUCTION[n], "seed": setting.seed} for n in names]
    paths = setting.sweep("generalization_gap_construction", train_construction, runs)
    X, y, y_new = examples(setting.seed)
    seeds = range(setting.seed, setting.seed + (REDUCED_SEEDS if setting.reduced else SEEDS))
    some = slice(2, None) if setting.reduced else slice(None)  # of the learning rates
    runs = [
        {"optimizer": c.optimizer, "lr": lr, "seed": seed, **c.hyperparameters}
        for seed in seeds
        for c in CONTESTANTS
        for lr in c.lrs[some]
    ]
    train = functools.partial(train_on_digits, training_images=TRAINING_IMAGES)
    results = setting.sweep("generalization_gap", train, runs)

    def errors(part: str) -> Array:
        flat = [result[f"{part}_error"] for result in results]
        return np.reshape(flat, (len(seeds), len(CONTESTANTS), -1)).transpose(1, 2, 0)

    fit, validation, test = errors("train"), errors("validation"), errors("test")
    return Measurement(
        construction=dict(zip(names, paths, strict=True)),
        minimum_norm=np.linalg.lstsq(X, y)[0][:3].astype(float),
        negatives=float(np.mean(y_new < 0)),
        images={
            c.label: Tuned(c, c.lrs[some], fit[i], validation[i], test[i])
            for i, c in enumerate(CONTESTANTS)
        },
        sample=glyphs(80, np.random.default_rng(setting.seed)),
    )


# %% [markdown]
# ## In numbers
#
# *Expected* are the numbers of an earlier implementation of the same construction, on examples of
# its own.  "+1.0 pp ± 0.4" is a difference of 1.0 percentage points with its standard error.


# %% The table
def points(difference: tuple[float, float]) -> str:
    """Return a difference of errors and its standard error, in percentage points."""
    mean, error = difference
    return f"{100 * mean:+.1f} pp ± {100 * error:.1f}"


def table(m: Measurement) -> str:
    """Return both parts as text."""
    lines = [
        f"construction: {EXAMPLES} examples, {NEW_EXAMPLES} new ones, {m.negatives:.1%} of them -1",
        f"{'':16}{'w₁':>8}{'w₂':>8}{'w₃':>8}{'train loss':>12}{'train error':>13}"
        f"{'test error':>12}   expected",
    ]
    for name, result in m.construction.items():
        weights = "".join(f"{w:8.3f}" for w in result["weights"])
        expected = "w = .25, 29.5%" if name in ADAPTIVE else "0%" if name == "sgd" else ""
        lines.append(
            f"{LABELS[name]:16}{weights}{result['train_loss']:12.0e}{result['train_error']:13.1%}"
            f"{result['test_error']:12.1%}   {expected}"
        )
    lines.append(f"{'minimum norm':16}" + "".join(f"{w:8.3f}" for w in m.minimum_norm))
    seeds = len(m.images["SGD"].test)
    lines += [
        "",
        f"images: {TRAINING_IMAGES} to train on, {HELD_OUT} to test on, {seeds} seeds; "
        "± is a standard error",
        f"{'':16}{'chosen η':>10}{'train error':>13}{'test error':>18}{'minus SGD':>18}"
        f"{'minus Momentum':>19}",
    ]
    for label, tuned in m.images.items():
        mean, error = mean_and_error(tuned.test)
        gaps = ["" if label == to else points(m.gap(label, to)) for to in ("SGD", "Momentum")]
        lr = tuned.lrs[tuned.chosen]
        lines.append(
            f"{label:16}{lr:10.3g}{tuned.fitted:13.1%}{f'{mean:.1%} ± {error:.1%}':>18}"
            f"{gaps[0]:>18}{gaps[1]:>19}"
        )
    return "\n".join(lines)


# %% [markdown]
# ## The verdicts
#
# 1. On the construction, arithmetic on a sample of labels, the claim holds if all methods
#    fit the training examples and each adaptive one has a larger test error than SGD; in part, if
#    all fit and only some adaptive ones are worse; and fails otherwise.
# 2. On the images it holds if Adam has a gap (more than 2 standard errors) to SGD and to momentum,
#    each of them tuned; in part if to one of them; and fails otherwise.


# %% Numbers to verdicts
def judge(m: Measurement) -> list[Verdict]:
    """Return one verdict on the construction, one on the images."""
    return [_judge_construction(m), _judge_images(m)]


def _judge_construction(m: Measurement) -> Verdict:
    sgd = m.construction["sgd"]
    fitted = all(result["train_error"] == 0 for result in m.construction.values())
    worse = [n for n in ADAPTIVE if m.construction[n]["test_error"] > sgd["test_error"]]
    adam = m.construction["adam"]
    return Verdict(
        claim="Adaptive methods can fit the training data as perfectly as SGD and be worse on new "
        "data (Wilson et al. 2017).",
        number=f"test error: Adam {adam['test_error']:.1%}, SGD {sgd['test_error']:.1%}; worse "
        f"than SGD: {len(worse)} of {len(ADAPTIVE)} adaptive methods; w₁ = "
        f"{adam['weights'][0]:.2f} and {sgd['weights'][0]:.2f}",
        verdict=(
            "holds" if fitted and len(worse) == len(ADAPTIVE)
            else "in part" if fitted and worse
            else "fails"
        ),
        remark="The data are built for this: the loss has many minima, every example has features "
        "of its own, and the classes are unbalanced. It shows that a gap is possible, not that it "
        "is common.",
        source="paper",
    )  # fmt: skip


def _judge_images(m: Measurement) -> Verdict:
    gaps = {to: m.gap("Adam", to) for to in ("SGD", "Momentum")}
    found = [to for to, (mean, error) in gaps.items() if mean > 2 * error]
    sgd = m.images["SGD"]
    adam = m.images["Adam"]
    better = sgd.test_error.mean(axis=1) < adam.test.mean()
    return Verdict(
        claim="There is a generalization gap between Adam and SGD on certain vision tasks.",
        number="test error of Adam minus "
        + ", ".join(f"{to}'s {points(gap)}" for to, gap in gaps.items())
        + f" (percentage points ± standard error; SGD's is {sgd.test.mean():.1%}; all tuned)",
        verdict="holds" if len(found) == len(gaps) else "in part" if found else "fails",
        remark=f"Of SGD's {len(sgd.lrs)} learning rates, {sgd.lrs[0]:g} to {sgd.lrs[-1]:g}, these "
        "beat the tuned Adam: "
        + (", ".join(f"{lr:g}" for lr in np.array(sgd.lrs)[better]) or "none")
        + f". {_still_fitting(sgd, adam)}{_momentum(m)} With ε = 0.01, tuned "
        f"alike, Adam's gap to SGD is {points(m.gap('Adam, ε = 0.01', 'SGD'))}; AdamW with its "
        f"default decay differs from Adam by {points(m.gap('AdamW', 'Adam'))}. One small task, one "
        "small network.",
    )


def _still_fitting(sgd: Tuned, adam: Tuned) -> str:
    """Say at which rate SGD is worse than the tuned Adam because 400 steps are too few for it."""
    fit, test = sgd.train_error.mean(axis=1), sgd.test_error.mean(axis=1)
    worse = [
        i for i in range(sgd.chosen) if test[i] > adam.test.mean() and fit[i] > 2 * adam.fitted
    ]
    if not worse:
        return ""
    i = worse[-1]
    return (
        f"All have {STEPS} steps, and below its best rate SGD is still fitting: at η = "
        f"{sgd.lrs[i]:g} it has {fit[i]:.1%} training and {test[i]:.1%} test error, the tuned Adam "
        f"{adam.test.mean():.1%}. "
    )


def _momentum(m: Measurement) -> str:
    """Say whether momentum, which is not adaptive, has a gap to SGD by the same rule."""
    mean, error = m.gap("Momentum", "SGD")
    has = "has a gap to SGD too" if mean > 2 * error else "has no gap to SGD"
    return f"By the same rule Momentum, which is not adaptive, {has}: {points((mean, error))}."


# %% [markdown]
# ## As a picture
#
# The adaptive methods go along one line and end at one point, so they are drawn alike.


# %% The figure
def draw(m: Measurement) -> Figure:
    """Draw the paths on the construction, some images, the tuning, and the tuned test errors."""
    figure, axes = plt.subplot_mosaic(
        [["paths", "glyphs"], ["rates", "gaps"]], figsize=(10, 8.3), layout="constrained"
    )
    _draw_paths(m, axes["paths"])
    _draw_glyphs(m.sample, axes["glyphs"])
    _draw_rates(m, axes["rates"])
    _draw_gaps(m, axes["gaps"])
    handles = axes["rates"].get_lines()[: len(m.images)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize="small")
    gap, error = m.gap("Adam", "SGD")
    made = m.construction["adam"]["test_error"] - m.construction["sgd"]["test_error"]
    figure.suptitle(
        "Adam's test error minus SGD's, both fitting the training data: "
        f"{100 * made:+.1f} percentage points\nwhere it is built in, {100 * gap:+.1f} ± "
        f"{100 * error:.1f} on images of digits, each at its best learning rate"
    )
    return figure


def _draw_paths(m: Measurement, ax: Axes) -> None:
    """Draw where w₁ and w₂ go; above w₁ = 2 w₂ the class -1 is taken for +1."""
    corner = 1.5
    ax.fill_between([0, corner], [0, corner / 2], [0, -corner / 2], color="0.93", linewidth=0)
    ax.text(0.75, 0.25, "test error 0%", ha="center")
    ax.text(0.3, 0.55, f"test error {m.negatives:.1%}", ha="center")
    for name in ("sgd", "momentum"):
        ax.plot(m.construction[name]["w1"], m.construction[name]["w2"], **line(name), linewidth=1.5)
    labels = [LABELS[name] for name in ADAPTIVE]
    label = ", ".join(labels[:3]) + ",\n" + ", ".join(labels[3:]) + ": one line"
    for name in ADAPTIVE:
        result = m.construction[name]
        first = name == ADAPTIVE[0]
        ax.plot(result["w1"], result["w2"], color=BLUE, linewidth=2.5, label=label if first else "")
        ax.plot(*result["weights"][:2], "o", color=BLUE, markerfacecolor="white", markersize=8,
                zorder=3, label="where all five end" if first else "")  # fmt: skip
    ax.plot(*m.minimum_norm[:2], "k*", markersize=13, clip_on=False, label="minimum norm")
    ax.set(
        xlim=(0, corner),
        ylim=(-0.2, 0.65),
        xlabel="$w_1$, on the label",
        ylabel="$w_2 = w_3$, useless",
    )
    ax.legend(fontsize="small", loc="upper right", handlelength=3)
    ax.set_title("Adaptive methods weigh label and useless features alike", fontsize="medium")


def _draw_glyphs(sample: Images, ax: Axes) -> None:
    """Draw a contact sheet."""
    rows, columns = len(sample.X) // 10, 10
    size = sample.X.shape[-1]
    sheet = sample.X[:, 0].reshape(rows, columns, size, size).transpose(0, 2, 1, 3)
    ax.imshow(1 - sheet.reshape(rows * size, columns * size), cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], xlabel=f"digits of {size}x{size} pixels, here in negative")
    ax.set_title("What is told apart: drawn digits", fontsize="medium")


def _style(contestant: Contestant) -> dict[str, Any]:
    """Return the optimizer's line; Adam with another ε is dashed and hollow."""
    style = line(contestant.optimizer, marker=True) | {"label": contestant.label}
    other = {"linestyle": (0, (5, 3)), "markerfacecolor": "white", "color": BLUE}
    return style | (other if contestant.hyperparameters else {})


def _rates_finding(m: Measurement) -> str:
    """Say at how many rates SGD has a lower test error than the tuned Adam."""
    sgd, adam = m.images["SGD"], m.images["Adam"]
    better = int(np.sum(sgd.test_error.mean(axis=1) < adam.test.mean()))
    return f"SGD is better than the tuned Adam at {better} of {len(sgd.lrs)} learning rates"


def _draw_rates(m: Measurement, ax: Axes) -> None:
    """Draw mean test error over the learning rate, in units of the chosen one."""
    for tuned in m.images.values():
        lrs = np.array(tuned.lrs)
        mean = 100 * tuned.test_error.mean(axis=1)
        ax.plot(lrs / lrs[tuned.chosen], mean, **_style(tuned.contestant), markersize=5)
    best = 100 * min(float(tuned.test.mean()) for tuned in m.images.values())
    ax.set(xscale="log", ylim=(best - 1.5, best + 16))
    ax.set(xlabel="learning rate / the one chosen on validation images", ylabel="test error in %")
    ax.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    ax.minorticks_off()
    ax.axvline(1, color="0.7", linewidth=1, zorder=0)
    ax.set_title(_rates_finding(m), fontsize="medium")


def _draw_gaps(m: Measurement, ax: Axes) -> None:
    """Draw how far the tuned test errors are above SGD's, for each seed and in the mean."""
    gaps = 100 * np.array([tuned.test - m.images["SGD"].test for tuned in m.images.values()])
    at = np.arange(len(gaps))
    ax.plot(at, gaps, color="0.8", linewidth=1, zorder=0)
    for x, (tuned, gap) in enumerate(zip(m.images.values(), gaps, strict=True)):
        style = _style(tuned.contestant) | {"linestyle": "none", "markersize": 9}
        mean, error = mean_and_error(gap)
        ax.errorbar(x, mean, yerr=2 * error, capsize=5, **style)
        percent = f"{tuned.test.mean():.1%}"
        ax.annotate(percent, (x, mean), (9, 0), textcoords="offset points", va="center")
    ax.set_xticks(at, [label.replace(", ", ",\n") for label in m.images], fontsize="small")
    ax.set(xlim=(-0.4, len(at) - 0.1), ylabel="test error minus SGD's, percentage points")
    above = [label for label in m.images if m.gap(label, "SGD")[0] > 2 * m.gap(label, "SGD")[1]]
    ax.set_title(
        f"{len(above)} of {len(gaps) - 1} have a gap to SGD; bars: 2 standard errors",
        fontsize="medium",
    )


# %% The question
QUESTION = Question(
    asks="Does Adam find solutions that are worse on new data than SGD's?",
    equations=(
        r"w = \tau\,\mathrm{sign}(X^\top y) \;\Rightarrow\; Xw = 4\tau y,\quad"
        r" w_1 = w_2 = w_3 = \frac{1}{4}",
        r"w_{\mathrm{SGD}} = X^\top (X X^\top)^{-1} y",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("generalization_gap", QUESTION)
