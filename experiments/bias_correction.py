# %% [markdown]
"""Bias correction: what Adam's first steps would be without it, and whether a training notices.

The section says that the two means are "biased toward zero early on" and corrects them.  Here is
the length of a step over the first 200 steps with and without the correction, the closed form
drawn over the measurement, and what becomes of the section's training.  Run it whole, cell by cell,
or with ``python -m experiments bias_correction``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import optim
from datasets import Regression, minibatches
from experiments.lineup import line
from experiments.protocol import BATCH_SIZE
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings.walk import SETTLED
from minigrad import Tensor, mse_loss

Array = npt.NDArray[np.float64]

BETA1, BETA2 = 0.9, 0.999
STEPS = 200
SHOWN = (1, 2, 5, 13, 50, 100, 200)

# %% [markdown]
# ## The equations
#
# Under a constant gradient g the means, started at 0, are too small by known factors:
#
#     v_t = (1 - β₁ᵗ) g          s_t = (1 - β₂ᵗ) g²
#
# A step is η v/√s.  s is the more biased of the two, and stands in the denominator: so without
# correction a step is not too short but too *long*.  With ε = 0, in units of η:
#
#     corrected     v̂/√ŝ                        1
#     neither       v/√s                        (1 - β₁ᵗ)/√(1 - β₂ᵗ)
#     only v        v̂/√s                        1/√(1 - β₂ᵗ)
#     only s        v/√ŝ                        1 - β₁ᵗ
#
# The first is `optim.Adam`.  Its rule is given 1/(1 - β₁ᵗ) and 1/(1 - β₂ᵗ) as numbers; a mean that
# is not to be corrected gets that of a step so late that it is 1.  So all four take their steps
# through the library's own `step()`.


# %% Adam with less correction
class Neither(optim.Adam):
    """Adam without bias correction."""

    @staticmethod
    def coefficients(t: int, **hyperparameters: Any) -> tuple[float, ...]:
        """Those of a step where βᵗ has vanished."""
        return optim.Adam.coefficients(SETTLED, **hyperparameters)


class OnlyV(optim.Adam):
    """Adam with the first moment corrected, not the second."""

    @staticmethod
    def coefficients(t: int, **hyperparameters: Any) -> tuple[float, ...]:
        """Up to that of v̂ Adam's own; then without correction."""
        now = optim.Adam.coefficients(t, **hyperparameters)
        late = optim.Adam.coefficients(SETTLED, **hyperparameters)
        return (*now[:4], *late[4:])


class OnlyS(optim.Adam):
    """Adam with the second moment corrected, not the first."""

    @staticmethod
    def coefficients(t: int, **hyperparameters: Any) -> tuple[float, ...]:
        """Up to that of v̂ without correction; then Adam's own."""
        now = optim.Adam.coefficients(t, **hyperparameters)
        late = optim.Adam.coefficients(SETTLED, **hyperparameters)
        return (*late[:4], *now[4:])


VARIANTS: dict[str, type[optim.Adam]] = {
    "corrected": optim.Adam, "neither": Neither, "only v": OnlyV, "only s": OnlyS,
}  # fmt: skip
FORMULAS = {
    "corrected": "1", "neither": "(1-β₁ᵗ)/√(1-β₂ᵗ)", "only v": "1/√(1-β₂ᵗ)", "only s": "1-β₁ᵗ",
}  # fmt: skip
CLOSED_FORMS: dict[str, Callable[[Array, float], Array]] = {
    "corrected": lambda t, beta2: np.ones(len(t)),
    "neither": lambda t, beta2: (1 - BETA1**t) / np.sqrt(1 - beta2**t),
    "only v": lambda t, beta2: 1 / np.sqrt(1 - beta2**t),
    "only s": lambda t, beta2: 1 - BETA1**t,
}


def steps_of(variant: str, gradients: Array, beta2: float = BETA2) -> Array:
    """How far down each of a sequence of gradients takes x, in η; of the shape of `gradients`.

    Each step starts from x = 0, so that it is not rounded to the digits of a large x.
    """
    x = Tensor(np.zeros(gradients.shape[1:]), requires_grad=True)
    optimizer = VARIANTS[variant]([x], lr=1.0, betas=(BETA1, beta2), eps=0.0)
    steps = np.empty_like(gradients)
    for step, g in zip(steps, gradients, strict=True):
        x.data[...] = 0
        x.grad = g
        optimizer.step()
        step[...] = -x.data
    return steps


def moments(steps: int) -> dict[str, Array]:
    """Adam's v and s after each step under a constant gradient of 1."""
    x = Tensor(np.zeros(1), requires_grad=True)
    optimizer = optim.Adam([x], betas=(BETA1, BETA2))
    found: dict[str, list[float]] = {"v": [], "s": []}
    for _ in range(steps):
        x.grad = np.ones(1)
        optimizer.step()
        (state,) = optimizer.state_dict()["state"]
        for name, values in found.items():
            values.append(state[name].item())
    return {name: np.array(values) for name, values in found.items()}


# %% [markdown]
# ## Any gradients
#
# v and s do not depend on whether they are corrected.  So with ε = 0 the uncorrected step is the
# corrected one times (1 - β₁ᵗ)/√(1 - β₂ᵗ), for *every* sequence of gradients: the correction is a
# schedule of the learning rate, and nothing else.  Random gradients, N(0, 1) and N(1, 1), have to
# show the same ratio, coordinate by coordinate.
#
# How long it takes for that ratio to come to 1 depends on β₂.

MEANS = (0.0, 1.0)
COORDINATES, REDUCED_COORDINATES = 10_000, 1_000
BETA2S = (0.9, 0.99, BETA2, 0.9999)
LONG = 30_000
CLOSE = 0.05

# %% [markdown]
# ## A training
#
# The section's linear model by its protocol, at learning rates from far too small to far too
# large, with both corrections and with neither.  The loss is taken after 15 batches, a tenth of an
# epoch, and at the end of two epochs.

LRS = tuple(float(lr) for lr in np.logspace(-3, 0, 13))
REDUCED_LRS = LRS[::2]
SEEDS, REDUCED_SEEDS = 10, 3
EPOCHS = 2
EARLY = 15
TEXTBOOK_LR = 0.01
LARGE_LR = LRS[10]  # 0.316, far above the best


def train(data: Regression, *, variant: str, lr: float, seed: int) -> Result:
    """Train the section's linear model; returns the loss ``early`` and at the ``end``.

    It is `experiments.trainings.train_linear`, to the bit, with the variants for optimizers and a
    look at the loss early.
    """
    A = np.column_stack([data.X, np.ones(len(data.X))])
    weights, batches = np.random.default_rng(seed).spawn(2)
    start = np.append(weights.normal(0.0, 0.01, data.X.shape[1]), 0.0)
    w = Tensor(start[:, None], requires_grad=True)
    optimizer = VARIANTS[variant]([w], lr=lr, nonfinite="ignore")

    def loss() -> float:
        return float(np.mean((A @ w.data - data.y) ** 2)) / 2

    t, early = 0, np.inf
    for _ in range(EPOCHS):
        for X, y in minibatches(A, data.y, BATCH_SIZE, batches):
            optimizer.zero_grad()
            (mse_loss(X @ w, y) / 2).backward()  # ½ mean squared error
            optimizer.step()
            t += 1
            if t == EARLY:
                early = loss()
    return {"early": early, "end": loss()}


# %% The measurement
@dataclass(frozen=True)
class BiasCorrection:
    """Steps are in η, and numbered from t = 1.

    Attributes
    ----------
    moments : dict
        "v" and "s" after each step under a constant gradient of 1.
    constant : dict
        Variant to its steps under a constant gradient.
    uncorrected : dict
        β₂ to the steps without correction under a constant gradient, many of them.
    rms : dict
        (variant, mean) to the root mean square of the steps under random gradients.
    off : float
        How far the ratio of uncorrected to corrected steps is from its closed form, at most, of
        all coordinates and steps under random gradients, relative.
    lrs : tuple
        Learning rates of the trainings.
    losses : dict
        (variant, "early" or "end") to the median loss at each rate.
    source : str
        Which data.
    """

    moments: dict[str, Array]
    constant: dict[str, Array]
    uncorrected: dict[float, Array]
    rms: dict[tuple[str, float], Array]
    off: float
    lrs: tuple[float, ...]
    losses: dict[tuple[str, str], Array]
    source: str

    def steps_until_close(self, beta2: float) -> int | None:
        """The first step from which on uncorrected ones are within 5% of η; None if none is."""
        far = np.flatnonzero(np.abs(self.uncorrected[beta2] - 1) > CLOSE)
        last = int(far[-1]) + 1 if len(far) else 0
        return last + 1 if last < len(self.uncorrected[beta2]) else None

    def loss(self, variant: str, when: str, lr: float) -> float:
        """The median loss at the learning rate nearest to `lr`."""
        nearest = int(np.argmin(np.abs(np.log(np.array(self.lrs) / lr))))
        return float(self.losses[variant, when][nearest])

    def best(self) -> dict[str, float]:
        """Variant to its lowest final loss over all learning rates."""
        return {v: float(np.min(self.losses[v, "end"])) for v in ("corrected", "neither")}

    def worse(self) -> float:
        """By what share the lowest final loss is higher without correction than with it."""
        return self.best()["neither"] / self.best()["corrected"] - 1


def measure(setting: Setting) -> BiasCorrection:
    """Take the steps, and train."""
    ones = np.ones((STEPS, 1))
    rng = np.random.default_rng(setting.seed)
    coordinates = REDUCED_COORDINATES if setting.reduced else COORDINATES
    ratio = CLOSED_FORMS["neither"](np.arange(1.0, STEPS + 1), BETA2)[:, None]
    rms, off = {}, 0.0
    for mean in MEANS:
        gradients = rng.normal(mean, 1.0, (STEPS, coordinates))
        steps = {variant: steps_of(variant, gradients) for variant in ("corrected", "neither")}
        for variant, taken in steps.items():
            rms[variant, mean] = np.sqrt(np.mean(taken**2, axis=1))
        off = max(off, float(np.max(np.abs(steps["neither"] / steps["corrected"] / ratio - 1))))
    lrs = REDUCED_LRS if setting.reduced else LRS
    seeds = range(setting.seed, setting.seed + (REDUCED_SEEDS if setting.reduced else SEEDS))
    results = setting.sweep(
        "bias_correction",
        functools.partial(train, setting.data),
        [{"variant": variant, "lr": lr, "seed": seed}
         for variant in ("corrected", "neither") for lr in lrs for seed in seeds],
    )  # fmt: skip
    losses = {}
    for when in ("early", "end"):
        found = np.array([result[when] for result in results]).reshape(2, len(lrs), len(seeds))
        losses["corrected", when], losses["neither", when] = np.median(found, axis=2)
    return BiasCorrection(
        moments(STEPS),
        {variant: steps_of(variant, ones)[:, 0] for variant in VARIANTS},
        {beta2: steps_of("neither", np.ones((LONG, 1)), beta2)[:, 0] for beta2 in BETA2S},
        rms, off, lrs, losses, setting.data.source,
    )  # fmt: skip


# %% [markdown]
# ## In numbers
#
# v/g and s/g² are the uncorrected means beside what they estimate; "to 7e-15" is the largest
# relative difference from the closed form; losses are medians over seeds.


# %% The table
def table(m: BiasCorrection) -> str:
    """Return lengths of steps, how long they are wrong without correction, and losses."""
    ts = np.arange(1.0, STEPS + 1)
    head = f"{'length of a step in η at t =':42}" + "".join(f"{t:>8}" for t in SHOWN)
    lines = [
        head,
        f"constant gradient{'v/g':>25}" + _at_shown(m.moments["v"]),
        f"{'s/g²':>42}" + _at_shown(m.moments["s"]),
    ]
    for variant, steps in m.constant.items():
        off = np.max(np.abs(steps / CLOSED_FORMS[variant](ts, BETA2) - 1))
        lines.append(f"  {variant:12}{FORMULAS[variant] + f', to {off:.0e}':28}" + _at_shown(steps))
    for mean in MEANS:
        lines.append(f"random gradients N({mean:g}, 1), root mean square")
        for variant in ("corrected", "neither"):
            lines.append(f"  {variant:40}" + _at_shown(m.rms[variant, mean]))
    lines.append(f"  neither/corrected, each coordinate: (1-β₁ᵗ)/√(1-β₂ᵗ), to {m.off:.0e}")
    lines += ["", "without correction       first step   longest step   within 5% of η from step"]
    for beta2, steps in m.uncorrected.items():
        longest = int(np.argmax(steps))
        at = f"{steps[longest]:.2f} at t = {longest + 1}" if steps[longest] > 1 else "none above 1"
        close = m.steps_until_close(beta2)
        lines.append(f"  β₂ = {beta2:<14g}{steps[0]:12.3f}   {at:>17}{close or 'never':>16}")
    lines += ["", f"linear model, {m.source}",
              f"median loss after     {EARLY} steps: corrected    neither      "
              f"{EPOCHS} epochs: corrected    neither"]  # fmt: skip
    for i, lr in enumerate(m.lrs):
        early, end = ([m.losses[variant, when][i] for variant in ("corrected", "neither")]
                      for when in ("early", "end"))  # fmt: skip
        losses = f"{early[0]:21.4f}{early[1]:11.4f}{end[0]:25.4f}{end[1]:11.4f}"
        lines.append(f"  η = {lr:<16.3g}{losses}")
    return "\n".join(lines)


def _at_shown(steps: Array) -> str:
    return "".join(f"{steps[t - 1]:8.3f}" for t in SHOWN)


# %% [markdown]
# ## The verdicts
#
# The first three are exact arithmetic; the measurement makes sure that `optim` obeys it.
#
# - *The means are biased toward zero early on* holds if, under a constant gradient g, v is more
#   than 5% below g after the first step, and s below g²; in part if one of them is; and fails
#   otherwise.
# - *Uncorrected steps are too short* holds if, under a constant gradient, they are shorter than η
#   at every t, fails if they are longer at every t, and holds in part otherwise.
# - *It matters early* holds if uncorrected steps are more than 5% off at some early t and within 5%
#   from a later one on, for every β₂; in part if for some; and fails otherwise.
# - *It matters for the result* compares the lowest final loss over all learning rates: it holds if
#   without the correction that is 5% or more above, in part if 1% to 5%, and fails otherwise, so
#   also where it is lower without.

ALIKE, WORSE = 0.01, 0.05


# %% Numbers to verdicts
def judge(m: BiasCorrection) -> list[Verdict]:
    """Conclude by the rules above."""
    return [_judge_means(m), _judge_short(m), _judge_early(m), _judge_result(m)]


def _judge_means(m: BiasCorrection) -> Verdict:
    first = {name: float(values[0]) for name, values in m.moments.items()}
    last = {name: float(values[-1]) for name, values in m.moments.items()}
    low = [value < 1 - CLOSE for value in first.values()]
    return Verdict(
        "The means start at zero and are biased toward zero early on.",
        f"under a constant gradient g: v = {first['v']:.3f} g and s = {first['s']:.3f} g² at "
        f"t = 1, {last['v']:.3f} g and {last['s']:.3f} g² at t = {STEPS}",
        "holds" if all(low) else "in part" if any(low) else "fails",
        "What that does to a step the section does not say; see the next claim.",
    )


def _judge_short(m: BiasCorrection) -> Verdict:
    bare = m.constant["neither"]
    longest = int(np.argmax(bare))
    shorter, longer = bool(np.all(bare < 1)), bool(np.all(bare > 1))
    only_v, only_s = m.constant["only v"][0], m.constant["only s"][0]
    return Verdict(
        "Without bias correction the first steps are too short.",
        f"under a constant gradient {bare[0]:.2f} η at t = 1, {bare[longest]:.2f} η at t = "
        f"{longest + 1}, {bare[-1]:.2f} η at t = {STEPS}; with correction "
        f"{m.constant['corrected'][0]:.2f} η throughout",
        "holds" if shorter else "fails" if longer else "in part",
        "Both means are too small, but s more so, and it divides: steps are too long. The two "
        f"errors partly cancel: correcting only v makes the first step {only_v:.1f} η, only s "
        f"{only_s:.1f} η. With β₂ = 0.9 = β₁ it would be {m.uncorrected[0.9][0]:.2f} η.",
        "reader",
    )


def _judge_early(m: BiasCorrection) -> Verdict:
    bare = m.constant["neither"]
    longest = int(np.argmax(bare))
    farther = np.sum(bare) / np.sum(m.constant["corrected"])
    close = {beta2: m.steps_until_close(beta2) for beta2 in m.uncorrected}
    early = [n is not None and n > 1 for n in close.values()]
    return Verdict(
        "Bias correction matters early.",
        "without it steps are within 5% of η from step "
        + ", ".join(f"{n or 'never'} (β₂ = {beta2:g})" for beta2, n in close.items())
        + f"; over the first {STEPS} steps they go {farther:.1f} times as far",
        "holds" if all(early) else "in part" if any(early) else "fails",
        "Early is about 2.4/(1-β₂) steps; with the default β₂ that is longer than the section's "
        f"whole training, {EPOCHS} epochs of 150. For any gradients the uncorrected step is the "
        f"corrected one times (1-β₁ᵗ)/√(1-β₂ᵗ) (seen to {m.off:.0e}): the correction is a schedule "
        f"of the learning rate. Corrected steps are 1/{bare[0]:.1f} of the uncorrected ones at "
        f"t = 1, 1/{bare[longest]:.1f} at t = {longest + 1}, and equal to within 5% from "
        f"{close.get(BETA2) or 'never'} on.",
    )


def _judge_result(m: BiasCorrection) -> Verdict:
    best = m.best()
    worse = m.worse()
    at = {v: m.lrs[int(np.argmin(m.losses[v, "end"]))] for v in best}
    large = {v: m.loss(v, "early", LARGE_LR) for v in best}
    usual = {v: m.loss(v, "early", TEXTBOOK_LR) for v in best}
    ends = {v: m.loss(v, "end", TEXTBOOK_LR) for v in best}
    return Verdict(
        "Bias correction matters for the result of a training.",
        f"linear model, best of {len(m.lrs)} learning rates: loss {best['corrected']:.4f} with "
        f"(η = {at['corrected']:.2g}), {best['neither']:.4f} without (η = {at['neither']:.2g}), "
        f"{worse:+.1%}",
        "holds" if worse >= WORSE else "in part" if worse >= ALIKE else "fails",
        f"A smaller η makes up for it. At the textbook's η = {TEXTBOOK_LR} the losses are "
        f"{usual['corrected']:.3f} with and {usual['neither']:.3f} without after {EARLY} steps, "
        f"{ends['corrected']:.4f} and {ends['neither']:.4f} at the end; at η = {LARGE_LR:.2g} "
        f"they are {large['corrected']:.2f} and {large['neither']:.2f} after {EARLY} steps: there "
        "shorter first steps protect.",
        "reader",
    )


# %% [markdown]
# ## As a picture

BLUE, RED, GRAY = line("adam")["color"], line("yogi")["color"], "0.55"
STYLES: dict[str, dict[str, Any]] = {
    "corrected": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "neither": {"color": RED, "linestyle": "--", "marker": "s"},
    "only v": {"color": GRAY, "linestyle": "-.", "marker": "^"},
    "only s": {"color": GRAY, "linestyle": ":", "marker": "v"},
}
LOSS_TICKS = (0.25, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2)


# %% The figure
def draw(m: BiasCorrection) -> Figure:
    """Draw lengths of steps, how they depend on β₂, and losses."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), layout="constrained")
    _draw_steps(axes[0], m)
    _draw_memories(axes[1], m)
    _draw_losses(axes[2], m)
    return figure


def _draw_steps(ax: Axes, m: BiasCorrection) -> None:
    ts, some = np.arange(1.0, STEPS + 1), np.array([1, 2, 3, 5, 8, 12, 19, 30, 50, 80, 125, 200])
    for variant, steps in m.constant.items():
        style = dict(STYLES[variant])
        marker = style.pop("marker")
        ax.plot(ts, CLOSED_FORMS[variant](ts, BETA2), **style, linewidth=1.5)
        ax.plot(some, steps[some - 1], marker, color=style["color"], markersize=5,
                label=f"{variant}: {FORMULAS[variant]}")  # fmt: skip
    ratio = m.rms["neither", 0.0] / m.rms["corrected", 0.0]
    ax.plot(some, ratio[some - 1], "+", color="black", markersize=9,
            label="random g: neither/corrected")  # fmt: skip
    bare = m.constant["neither"]
    ax.set(xscale="log", yscale="log", xlabel="step t", ylabel="length of a step, η")
    ax.set_ylim(0.006, 50)  # the legend stands below the data
    ax.set_title(
        f"Without correction steps have length\n{bare[0]:.2f} η at first, {bare.max():.2f} η at "
        f"t = {np.argmax(bare) + 1}", size="medium",
    )  # fmt: skip
    ax.legend(fontsize=8, title="measured; lines: closed form", title_fontsize=8, loc="lower right")


def _draw_memories(ax: Axes, m: BiasCorrection) -> None:
    ts = np.arange(1.0, LONG + 1)
    ax.axhspan(1 - CLOSE, 1 + CLOSE, color="0.85", linewidth=0)
    styles = zip((":", "-.", "--", "-"), ("0.6", "0.45", RED, "black"), strict=True)
    for (beta2, steps), (dashes, color) in zip(m.uncorrected.items(), styles, strict=True):
        close = m.steps_until_close(beta2)
        ax.plot(ts, steps, dashes, color=color, label=f"β₂ = {beta2:g}: from step {close}")
        if close is not None:
            ax.plot(close, steps[close - 1], "|", color=color, markersize=14, markeredgewidth=2)
    ax.set(xscale="log", yscale="log", xlabel="step t", ylabel="length of a step, η")
    ax.set_title(
        f"It lasts: with β₂ = {BETA2} steps are within\n5% of η from step "
        f"{m.steps_until_close(BETA2)} on", size="medium",
    )  # fmt: skip
    ax.set_ylim(0.2, 400)  # the legend stands above the data
    ax.legend(fontsize=8, title="uncorrected; within 5% (gray band)", title_fontsize=8,
              loc="upper center")  # fmt: skip


def _draw_losses(ax: Axes, m: BiasCorrection) -> None:
    for (variant, when), losses in m.losses.items():
        style = dict(STYLES[variant])
        style["linestyle"] = "-" if when == "end" else ":"
        name = "with" if variant == "corrected" else "without"
        label = f"{name}, {f'{EPOCHS} epochs' if when == 'end' else f'{EARLY} steps'}"
        ax.plot(m.lrs, losses, **style, markersize=4, label=label)
    ax.set(xscale="log", yscale="log", xlabel="learning rate η", ylabel="loss  ½ mean (ŷ - y)²")
    ax.set_yticks(LOSS_TICKS, map(str, LOSS_TICKS))
    ax.minorticks_off()
    ax.set_ylim(LOSS_TICKS[0] / 1.1, 1.5 * LOSS_TICKS[-1])  # a few of the early losses are above
    best, same = m.best(), abs(m.worse()) < ALIKE
    large = {v: m.loss(v, "early", LARGE_LR) for v in best}
    alike = abs(large["neither"] / large["corrected"] - 1) < ALIKE
    ax.set_title(
        f"Tuned, the end is {'' if same else 'not '}the same\n({best['corrected']:.4f} with, "
        f"{best['neither']:.4f} without);\nat η = {LARGE_LR:.2g} the start is"
        f"{'' if alike else ' not'} ({large['corrected']:.2f}, {large['neither']:.2f})",
        size="medium",
    )
    ax.legend(fontsize=8)


# %% The question
QUESTION = Question(
    asks="What are Adam's first steps without bias correction, and does a training notice?",
    equations=(
        r"v_t = (1 - \beta_1^t)\,g, \quad s_t = (1 - \beta_2^t)\,g^2",
        r"\frac{\mathrm{uncorrected\;step}}{\mathrm{corrected\;step}}"
        r" = \frac{1 - \beta_1^t}{\sqrt{1 - \beta_2^t}}",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("bias_correction", QUESTION)
