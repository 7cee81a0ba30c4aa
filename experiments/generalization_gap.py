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
from experiments.trainings import train_classifier
from experiments.uncertainty import mean_and_error
from minigrad import Tensor, squared_loss

Vector = npt.NDArray[np.float64]

# %% [markdown]
# ## The construction
#
# Wilson et al., *The Marginal Value of Adaptive Gradient Methods in Machine Learning*, NIPS 2017
# (arXiv:1705.08292), section 3.  n examples with labels y = ±1, 70% of them +1, and features
#
#     x_1 = y                          the label itself: all that one needs
#     x_2 = x_3 = 1                    the same for all: no use
#     5 columns of each example's own  one 1 if y = +1, five if y = -1, else 0: seen only once
#
# Least squares, ½ mean (Xw - y)², on all examples at once, from w = 0.  There are more weights
# than examples, so many solutions fit perfectly; which one is found is the optimizer's choice.
#
# *Adaptive methods* divide each coordinate of the gradient by its own size.  At w = 0 the gradient
# is -Xᵀy/n, divided by its size -sign(Xᵀy): all of w_1, w_2, w_3 and each example's own weights
# move together, w = τ sign(Xᵀy).  Then Xw is 4τ for y = +1 (3τ from the three, τ from its own) and
# -4τ for y = -1 (τ from the three, -5τ from its own): always 4τy.  So the residuals stay in
# proportion to y, the gradient to Xᵀy, and w on this line, until 4τ = 1:
#
#     w_1 = w_2 = w_3 = ¼
#
# A new example has no weights of its own.  Its score is w_1 y + w_2 + w_3: ¾ for y = +1, but +¼ for
# y = -1.  Everyone is taken for +1, and the error is the share of y = -1: 30% in expectation, and
# 29.5% in the reference's sample.
#
# *SGD* adds multiples of the examples, so it stays in their span and ends at the solution of
# minimum norm, Xᵀ(XXᵀ)⁻¹y.  There w_1 is near 1 and w_2 + w_3 near 0: no error.

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


def examples(seed: int) -> tuple[Vector, Vector, Vector]:
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
    shown = (
        np.unique(np.geomspace(1, steps + 1, 100).astype(int)) - 1
    )  # the first steps are longest
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
# the mean of these differences is more than 2 standard errors above 0.

# %% Its size, and who takes part
TRAINING_IMAGES, HELD_OUT = 500, 1000
HIDDEN, EPOCHS, BATCH_SIZE = 64, 16, 20
SEEDS, REDUCED_SEEDS = 10, 3
RATES = 7


def rates(lowest: float) -> list[float]:
    """Return learning rates a quarter of a decade apart, three digits each."""
    return [float(f"{lowest * 10 ** (k / 4):.3g}") for k in range(RATES)]


@dataclass(frozen=True)
class Contestant:
    """An optimizer with its hyperparameters and the learning rates that it may choose from."""

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


@functools.cache
def images(seed: int) -> dict[str, Images]:
    """Draw the training, validation and test images of a seed."""
    rng = np.random.default_rng(seed)
    sizes = {"train": TRAINING_IMAGES, "validation": HELD_OUT, "test": HELD_OUT}
    return {part: glyphs(n, rng) for part, n in sizes.items()}


def train_on_images(*, seed: int, **options: Any) -> Result:
    """Train on the images of a seed, from the start of that seed."""
    return train_classifier(
        images(seed), seed=seed, hidden=HIDDEN, epochs=EPOCHS, batch_size=BATCH_SIZE, **options
    )


# %% The measurement
@dataclass(frozen=True)
class Tuned:
    """A contestant's errors; each array has a row for each rate, a column for each seed."""

    contestant: Contestant
    lrs: list[float]
    train_error: Vector
    validation_error: Vector
    test_error: Vector

    @property
    def chosen(self) -> int:
        """Which rate has the lowest mean validation error."""
        return int(np.argmin(self.validation_error.mean(axis=1)))

    @property
    def test(self) -> Vector:
        """Test errors at the chosen rate, one for each seed."""
        return self.test_error[self.chosen]

    @property
    def fitted(self) -> float:
        """Mean training error at the chosen rate."""
        return float(self.train_error[self.chosen].mean())


@dataclass(frozen=True)
class Measurement:
    """What the optimizers found on the construction, and on the images."""

    construction: Mapping[str, Result]
    minimum_norm: Vector
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
    some = slice(1, -1) if setting.reduced else slice(None)  # of the learning rates
    runs = [
        {"optimizer": c.optimizer, "lr": lr, "seed": seed, **c.hyperparameters}
        for seed in seeds
        for c in CONTESTANTS
        for lr in c.lrs[some]
    ]
    results = setting.sweep("generalization_gap", train_on_images, runs)

    def errors(part: str) -> Vector:
        flat = [result[f"{part}_error"] for result in results]
        return np.reshape(flat, (len(seeds), len(CONTESTANTS), -1)).transpose(1, 2, 0)

    train, validation, test = errors("train"), errors("validation"), errors("test")
    return Measurement(
        construction=dict(zip(names, paths, strict=True)),
        minimum_norm=np.linalg.lstsq(X, y)[0][:3].astype(float),
        negatives=float(np.mean(y_new < 0)),
        images={
            c.label: Tuned(c, c.lrs[some], train[i], validation[i], test[i])
            for i, c in enumerate(CONTESTANTS)
        },
        sample=glyphs(80, np.random.default_rng(setting.seed)),
    )


# %% The table
def table(m: Measurement) -> str:
    """Return both parts as text."""
    lines = [
        f"construction: {EXAMPLES} examples, {NEW_EXAMPLES} new ones, {m.negatives:.1%} of them -1",
        f"{'':16}{'w_1':>8}{'w_2':>8}{'w_3':>8}{'train loss':>12}{'train error':>13}"
        f"{'test error':>12}   reference",
    ]
    for name, result in m.construction.items():
        weights = "".join(f"{w:8.3f}" for w in result["weights"])
        reference = "w = .25, 29.5%" if name in ADAPTIVE else "0%" if name == "sgd" else ""
        lines.append(
            f"{LABELS[name]:16}{weights}{result['train_loss']:12.0e}{result['train_error']:13.1%}"
            f"{result['test_error']:12.1%}   {reference}"
        )
    lines.append(f"{'minimum norm':16}" + "".join(f"{w:8.3f}" for w in m.minimum_norm))
    seeds = len(m.images["SGD"].test)
    lines += [
        "",
        f"images: {TRAINING_IMAGES} to train on, {HELD_OUT} to test on, {seeds} seeds; "
        "± is a standard error",
        f"{'':16}{'chosen lr':>10}{'train error':>13}{'test error':>18}{'minus SGD':>18}"
        f"{'minus Momentum':>19}",
    ]
    for label, tuned in m.images.items():
        mean, error = mean_and_error(tuned.test)
        gaps = [
            "" if label == to else "{:+.1%} ± {:.1%}".format(*m.gap(label, to))
            for to in ("SGD", "Momentum")
        ]
        lr = tuned.lrs[tuned.chosen]
        lines.append(
            f"{label:16}{lr:10.3g}{tuned.fitted:13.1%}{f'{mean:.1%} ± {error:.1%}':>18}"
            f"{gaps[0]:>18}{gaps[1]:>19}"
        )
    return "\n".join(lines)


# %% [markdown]
# ## The verdicts
#
# On the construction: the claim holds if all methods fit the training examples and each adaptive
# one has a larger test error than SGD; in part, if only some have.  On the images: it holds if
# Adam has a gap (more than 2 standard errors) to SGD and to momentum, each of them tuned; in part
# if to one of them.


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
        f"than SGD: {len(worse)} of {len(ADAPTIVE)} adaptive methods; w_1 = "
        f"{adam['weights'][0]:.2f} and {sgd['weights'][0]:.2f}",
        verdict=(
            "holds" if fitted and len(worse) == len(ADAPTIVE)
            else "in part" if fitted and worse
            else "fails"
        ),
        remark="The data are built for this: the loss has many minima, every example has features "
        "of its own, and the classes are unbalanced. It shows that a gap is possible, not that it "
        "is common.",
    )  # fmt: skip


def _judge_images(m: Measurement) -> Verdict:
    gaps = {to: m.gap("Adam", to) for to in ("SGD", "Momentum")}
    found = [to for to, (mean, error) in gaps.items() if mean > 2 * error]
    sgd = m.images["SGD"]
    below = int(np.sum(sgd.test_error.mean(axis=1) < m.images["Adam"].test.mean()))
    large_eps = m.gap("Adam, ε = 0.01", "SGD")
    decoupled = m.gap("AdamW", "Adam")
    return Verdict(
        claim="There is a generalization gap between Adam and SGD on certain vision tasks.",
        number="test error of Adam minus "
        + ", ".join(f"{to}'s {mean:+.1%} ± {error:.1%}" for to, (mean, error) in gaps.items())
        + f" (SGD's is {sgd.test.mean():.1%}; all tuned)",
        verdict="holds" if len(found) == len(gaps) else "in part" if found else "fails",
        remark="Seen on one small task with one small network. Of SGD's learning rates, "
        f"{below} of {len(sgd.lrs)} beat the tuned Adam, near the largest that SGD bears. With "
        "ε = 0.01, tuned alike, Adam's gap to SGD is {:+.1%} ± {:.1%}".format(*large_eps)
        + "; AdamW with its default decay differs from Adam by "
        + "{:+.1%} ± {:.1%}.".format(*decoupled),
    )


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
        f"Adam's test error minus SGD's, both fitting the training data: {100 * made:+.1f} points "
        f"where\nit is built in, {100 * gap:+.1f} ± {100 * error:.1f} on images of digits, each at "
        "its best learning rate"
    )
    return figure


def _draw_paths(m: Measurement, ax: Axes) -> None:
    """Draw where w_1 and w_2 go; above w_1 = 2 w_2 the class -1 is taken for +1."""
    corner = 1.5
    ax.fill_between([0, corner], [0, corner / 2], [0, -corner / 2], color="0.93", linewidth=0)
    ax.text(0.75, 0.26, "test error 0%", ha="center")
    ax.text(0.03, 0.36, "adaptive:\none line", fontsize="small", va="top")
    ax.text(0.3, 0.5, f"test error {m.negatives:.1%}", ha="center")
    widths = dict(zip(m.construction, (3.5, 1.2, 11, 8.5, 6, 3.5, 1.5), strict=True))
    for name, result in m.construction.items():  # where paths coincide, the wider is below
        style = line(name) | {"linewidth": widths[name]}
        if name in ADAPTIVE[:-1]:
            style["linestyle"] = "-"
        ax.plot(result["w1"], result["w2"], **style, solid_capstyle="butt")
    ax.plot(*m.minimum_norm[:2], "k*", markersize=13, clip_on=False, label="minimum norm")
    ax.set(
        xlim=(0, corner),
        ylim=(-0.2, 0.65),
        xlabel="$w_1$, on the label",
        ylabel="$w_2 = w_3$, useless",
    )
    ax.legend(fontsize="small", loc="upper right", handlelength=3)
    ax.set_title("The construction: paths of the weights from 0", fontsize="medium")


def _draw_glyphs(sample: Images, ax: Axes) -> None:
    """Draw a contact sheet."""
    rows, columns = len(sample.X) // 10, 10
    size = sample.X.shape[-1]
    sheet = sample.X[:, 0].reshape(rows, columns, size, size).transpose(0, 2, 1, 3)
    ax.imshow(1 - sheet.reshape(rows * size, columns * size), cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[], xlabel=f"digits of {size}x{size} pixels, here in negative")
    ax.set_title("The images", fontsize="medium")


def _style(contestant: Contestant) -> dict[str, Any]:
    """Return the optimizer's line; Adam with another ε is dashed and hollow."""
    style = line(contestant.optimizer, marker=True) | {"label": contestant.label}
    other = {"linestyle": (0, (5, 3)), "markerfacecolor": "white", "color": BLUE}
    return style | (other if contestant.hyperparameters else {})


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
    ax.set_title("Images: every learning rate, mean over seeds", fontsize="medium")


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
    ax.set(xlim=(-0.4, len(at) - 0.1), ylabel="test error minus SGD's, in points of %")
    ax.set_title("Images: at the chosen rate; bars ± 2 standard errors", fontsize="medium")


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
