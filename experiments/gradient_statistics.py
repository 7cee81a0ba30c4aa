# %% [markdown]
"""Gradient statistics: what Adam sees while it trains a transformer.

Adam averages the gradients, and divides each coordinate of the average v̂ by √ŝ, the root of that
coordinate's own mean square.  This is worth something where coordinates differ.  By how much do
they, in a small transformer that learns to write?  And are its gradients heavy-tailed, as is often
said?  Run it whole, cell by cell, or with ``python -m experiments gradient_statistics``.
"""

# %% What is used
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datasets import MinibatchStream
from datasets.time_machine import VOCABULARY, Text, time_machine
from experiments.adam_moments import (
    EPS,
    Moments,
    corrected,
    expected_step,
    half_normal,
    momentum_rate,
    scale_of_rate,
)
from experiments.final_loss import final_loss, final_steps
from experiments.gradient_noise import gradients, noise_norms, signal_share
from experiments.lineup import BLACK, BLUE, GREEN, VERMILION
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import SweepError
from experiments.tails import (
    MULTIPLES,
    Tails,
    kurtosis,
    kurtosis_error,
    root_mean_square,
    standardized,
    tails,
)
from experiments.trainings.characters import (
    BATCH_SIZE,
    start_on_text,
    train_on_text,
    training_characters,
)
from experiments.trainings.resumable import History, checkpoints_of
from experiments.trainings.tiny_lm import TinyLM
from optim import Optimizer

Array = npt.NDArray[np.float64]

# %% [markdown]
# ## The measurement
#
# `TinyLM` is trained as in `language_model`: batches of 64 sequences, Adam with η = 0.001, 2,000
# steps.  It is the same run, with the same checkpoint: who has run `language_model` need not wait.
# For the same reason ``--fresh`` removes the checkpoints that `language_model` has of this run, and
# trains again; the results that it has kept stay.
#
# Then the model is left as it is, and two things are looked at:
#
# - *Adam's state* after the last step, v̂ and ŝ, and so the step η v̂/(√ŝ + ε) that it has just
#   made.  It comes from the past, along the way.
# - *More gradients*, of further minibatches, at the parameters where the training has ended.  The
#   parameters are fixed, so that the gradients g₁, g₂, ... of a coordinate are draws from one
#   distribution, whose mean is the signal and whose spread is the noise.  Along the way nobody
#   could tell a tail from a change.
#
# Coordinates are of four kinds: *embeddings* (of tokens and positions), *matrices*, *vectors*
# (biases, and the gains of the normalizations), and the *key biases* of attention.  A key bias b
# adds q·b to all scores of a query alike, which softmax does not notice: the true gradient is 0,
# and what is computed is the rounding error.  They stand apart here for that reason.

# %% Its size
LR, EVERY = 1e-3, 50  # as in language_model, whose checkpoint this is
STEPS, REDUCED_STEPS = 2000, 300
BATCHES, REDUCED_BATCHES = 100, 30
NORMAL_COLUMNS = 50_000  # coordinates of the normal sample
SHORT = 0.1  # a step that is short, in η
HALF_DECADE = 0.5
HEAVIER = 0.5  # than the normal sample's, of a kurtosis

KINDS = ("embeddings", "matrices", "vectors", "key biases")
ORDINARY = KINDS[:3]  # those with a true gradient
ALL = "all but those"


def kind_of(name: str, shape: tuple[int, ...]) -> str:
    """Return the kind of a parameter of `TinyLM`.

    Examples
    --------
    >>> kind_of("token.weight", (28, 128)), kind_of("blocks.0.attention.key.bias", (128,))
    ('embeddings', 'key biases')
    """
    if name in ("token.weight", "position.weight"):
        return "embeddings"
    if name.endswith("key.bias"):
        return "key biases"
    return "matrices" if len(shape) == 2 else "vectors"


# %% [markdown]
# ## What is computed from it
#
# **The scale** √ŝ of each coordinate.  With the velocity u = 0.9 u + g of SGD with momentum, v is
# (1 - β₁) u, and after many steps v̂ is v; so that Adam's step is the step of SGD with momentum at
# a learning rate of
#
#     (1 - β₁) η / (√ŝ + ε)
#
# for this one coordinate.  With one rate for all, SGD's step is longer than Adam's where √ŝ is
# above the typical one, and shorter where it is below, by the same factor as long as √ŝ is far
# above ε.  Whether Adam's lengths are the better ones, trainings tell, not these numbers.
#
# **The step** in η, |v̂|/(√ŝ + ε); Kingma and Ba, *Adam*, 2015 (arXiv:1412.6980), call v̂/√ŝ the
# signal-to-noise ratio.  If all gradients are the same it is 1.  If they are pure noise,
# independent with mean 0 and variance σ², then ŝ is near σ², and v̂, a mean with weights
# (1 - β₁) β₁ᵏ, has the variance
#
#     (1 - β₁)² (1 + β₁² + β₁⁴ + ...) σ² = (1 - β₁)/(1 + β₁) σ² = σ²/19
#
# so the root mean square of the steps is 1/√19 = 0.23 η.  If v̂ is normal too, 34% of them are
# below 0.1 η.
#
# **The signal's share** of the gradients' power, |E g|² / E|g|².  From n batches, the mean ḡ has
# the expected square |E g|² + tr(Σ)/n, Σ the covariance of one batch, so that the last term is
# subtracted.  If the mean gradient stayed the same from step to step, with a share r in each
# coordinate, v̂² would keep all of the signal's power and 1/19 of the noise's, and
#
#     √(r + (1 - r)/19)
#
# would be the root mean square of the steps, in η.  The table has it beside the measured one, which
# may well be shorter, even near pure noise.  Probably that is because r is measured at one point,
# while v̂ averages gradients along the way, on which the mean gradient turns, so that part of it
# cancels.  This was not measured.  Also, r counts coordinates by their power, while the mean over
# the steps counts all of them alike.
#
# **The tails.**  Gradients of many coordinates together have a heavy-tailed distribution if the
# coordinates have different scales, though each may be normal.  So they are looked at twice: in
# units of the root mean square of their kind, and each coordinate in units of its own standard
# deviation over the batches.  n values cannot be far from their own mean in units of their own
# deviation: (n-1)/√n at most.  A sample of a normal distribution, of as many values and treated
# alike, stands beside them.  The kurtosis E z⁴ is 3 for a normal distribution, and a few values can
# decide it; so it is given for each half of the batches too, where it has to be about the same.
#
# **The norm of the noise**, |g_i - E g| for each batch.  Zhang et al., *Why are Adaptive Methods
# Good for Attention Models?*, 2020 (arXiv:1912.03194), compare its histogram with a normal one: in
# BERT's training it had a heavy tail, in ResNet's not.  Batches of one sequence are measured too.


# %% The measurement
@dataclass(frozen=True)
class Measurement:
    """What Adam sees.

    Attributes
    ----------
    steps, loss : int, float
        Steps of training, and the final loss: see `experiments.final_loss`.
    moments : mapping
        By kind, Adam's state; without coordinates that never got a gradient.
    signal : mapping
        By kind, the signal's share of the gradients' power.
    tails : mapping
        By kind, of the gradients of further batches.
    normal : Tails
        Of a normal sample with as many values a column.
    single : Tails
        Of gradients of one sequence each, of all coordinates but the key biases.
    norms : mapping
        By batch size, the norms of the noise.
    frequency, token_scale, token_kurtosis : ndarray
        By symbol: its share of the training text, the root mean square of √ŝ in its row of the
        token embeddings, and the median kurtosis of a coordinate there; NaN if it does not occur.
    source : str
        Which text.
    """

    steps: int
    loss: float
    moments: Mapping[str, Moments]
    signal: Mapping[str, float]
    tails: Mapping[str, Tails]
    normal: Tails
    single: Tails
    norms: Mapping[int, Array]
    frequency: Array
    token_scale: Array
    token_kurtosis: Array
    source: str

    def scales(self) -> Array:
        """√ŝ of all coordinates but the key biases."""
        return np.concatenate([self.moments[kind].scale for kind in ORDINARY])

    def slope(self) -> float:
        """The power of its frequency with which a symbol's √ŝ grows, by least squares."""
        occurs = self.token_scale > 0
        logs = np.log(self.frequency[occurs]), np.log(self.token_scale[occurs])
        return float(np.polyfit(*logs, 1)[0])


def decades(scale: Array) -> float:
    """Return how many decades lie between the 5% and the 95% quantile.

    Examples
    --------
    >>> decades(np.logspace(-4, -2, 101))
    1.8
    """
    low, high = np.quantile(scale, [0.05, 0.95])
    return round(float(np.log10(high / low)), 10)


def measure(setting: Setting) -> Measurement:
    """Train, or take the training from its checkpoint, and look at what Adam sees.

    The checkpoints are those of `language_model`; with ``setting.fresh`` those of this run are
    removed.

    Raises
    ------
    SweepError
        If the training has diverged, or its checkpoint is damaged or another's.
    """
    text = time_machine(setting.path)
    text = replace(text, source=text.source.partition(",")[0])  # as in language_model
    count = REDUCED_BATCHES if setting.reduced else BATCHES
    steps = setting.steps or (REDUCED_STEPS if setting.reduced else STEPS)
    run: dict[str, Any] = {
        "optimizer": "adam", "lr": LR, "steps": steps, "seed": setting.seed, "every": EVERY,
    }  # fmt: skip
    training = functools.partial(train_on_text, text)
    kept = checkpoints_of(training, run, folder=setting.folder, name="language_model")
    if setting.fresh:
        kept.remove()
        print(f"--fresh: the checkpoints in {kept.folder}, also language_model's, are removed")
    result = training(**run, checkpoints=kept, description="TinyLM by Adam")
    if result["diverged"]:
        raise SweepError(
            f"the training diverged at step {result['diverged']:,} of {steps:,}, so there is no "
            "state of Adam after the last step to look at; try fewer --steps or another --seed"
        )
    model, optimizer, batches = start_on_text(text, optimizer="adam", lr=LR, seed=setting.seed)
    kept.restore(steps, model=model, optimizer=optimizer, batches=batches, history=History())
    return look(model, optimizer, batches, text=text, losses=result["losses"], count=count)


def look(
    model: TinyLM,
    optimizer: Optimizer,
    batches: MinibatchStream,
    *,
    text: Text,
    losses: Sequence[float],
    count: int,
) -> Measurement:
    """Take Adam's state, and the gradients of further batches at parameters that stay.

    Parameters
    ----------
    model, optimizer, batches
        As they are after the last step of training.
    text : Text
        Whose windows the batches are.
    losses : sequence of float
        Of every step of a training that has not diverged.
    count : int
        How many further batches, and how many of one sequence each.
    """
    parameters = dict(model.named_parameters())
    sizes = [p.size for p in parameters.values()]
    kinds = np.repeat([kind_of(name, p.shape) for name, p in parameters.items()], sizes)
    state = optimizer.state_dict()["state"]
    v, s = (np.concatenate([entry[name].ravel() for entry in state]) for name in "vs")
    now = corrected(v, s, t=len(losses))
    places = {kind: np.flatnonzero((kinds == kind) & (now.scale > 0)) for kind in KINDS}

    g = gradients(model, batches, count, f"batches of {batches.batch_size}")
    signal = {kind: signal_share(g[:, i]) for kind, i in places.items()}
    by_kind = {kind: tails(g[:, i]) for kind, i in places.items()}
    norms = {batches.batch_size: noise_norms(g)}
    token = parameters["token.weight"]
    end = dict(zip(parameters, np.cumsum(sizes), strict=True))["token.weight"]
    its = slice(end - token.size, end)
    token_scale = np.sqrt(np.mean(now.scale[its].reshape(token.shape) ** 2, 1))
    of_token = g[:, its].reshape(count, *token.shape)
    token_kurtosis = [row_kurtosis(of_token[:, row]) for row in range(len(token_scale))]

    seen = training_characters(text)
    one = MinibatchStream(batches.X, batches.y, 1, batches.rng)
    del g, of_token  # 165 MB
    g = gradients(model, one, count, "batches of 1")
    norms[1] = noise_norms(g)
    return Measurement(
        steps=len(losses),
        loss=final_loss(np.array(losses)),
        moments={kind: Moments(now.scale[i], now.step[i]) for kind, i in places.items()},
        signal=signal,
        tails=by_kind,
        normal=tails(batches.rng.standard_normal((count, NORMAL_COLUMNS), np.float32)),
        single=tails(g[:, np.concatenate([places[kind] for kind in ORDINARY])]),
        norms=norms,
        frequency=np.bincount(seen, minlength=len(token_scale)) / len(seen),
        token_scale=token_scale,
        token_kurtosis=np.array(token_kurtosis),
        source=text.source,
    )


def row_kurtosis(g: npt.NDArray[np.float32]) -> float:
    """Return the median kurtosis of a row's coordinates; NaN where none of them varies."""
    own = standardized(g)
    return float(np.median(kurtosis(own, axis=0))) if own.size else float("nan")


# %% [markdown]
# ## In numbers
#
# Quantiles are over the coordinates of a kind.  "Beyond 4" is the share of gradients beyond 4
# standard deviations; of a normal distribution 6.3e-05.  "If it stayed" is √(r + (1 - r)/19), the
# root mean square to be expected if the mean gradient stayed the same; not for the key biases,
# whose steps ε decides.


# %% The table
def table(m: Measurement) -> str:
    """Return scales, steps, tails, symbols and norms as text."""
    return "\n".join(
        [
            m.source,
            f"TinyLM after {m.steps:,} steps of Adam, η = {LR:g}; final loss (mean of the "
            f"last {final_steps(m.steps)}): {m.loss:.3f}",
            "",
            *_scales(m),
            "",
            *_steps(m),
            "",
            *_tails(m),
            "",
            *_symbols(m),
            "",
            *_norms(m),
        ]
    )


def _scales(m: Measurement) -> list[str]:
    lines = [
        "the scale √ŝ, and the rate at which SGD with momentum makes Adam's step",
        f"{'':14}{'coordinates':>12}{'√ŝ: 5%':>11}{'50%':>9}{'95%':>9}{'decades':>9}"
        f"{'rate: 5%':>12}{'50%':>9}{'95%':>9}",
    ]
    scales = {**{kind: m.moments[kind].scale for kind in KINDS}, ALL: m.scales()}
    for kind, scale in scales.items():
        quantiles = np.quantile(scale, [0.05, 0.5, 0.95])
        low, middle, high = (f"{q:9.1e}" for q in quantiles)
        rates = "".join(f"{momentum_rate(q, LR):9.2g}" for q in quantiles[::-1])
        lines.append(
            f"{kind:14}{len(scale):12,}  {low}{middle}{high}{decades(scale):9.2f}   {rates}"
        )
    return lines


def _steps(m: Measurement) -> list[str]:
    lines = [
        "the last step, in η, and how much of the gradients' power is signal",
        f"{'':14}{'50%':>9}{'95%':>9}{'below 0.1':>12}{'root mean square':>19}"
        f"{'if it stayed':>15}{'signal':>10}",
    ]
    for kind, moments in m.moments.items():
        step = np.abs(moments.step)
        middle, high = np.quantile(step, [0.5, 0.95])
        expected = f"{expected_step(m.signal[kind]):.3f}" if kind in ORDINARY else ""
        lines.append(
            f"{kind:14}{middle:9.3f}{high:9.3f}{np.mean(step < SHORT):12.1%}"
            f"{root_mean_square(step):19.3f}{expected:>15}{m.signal[kind]:10.1%}"
        )
    noise = expected_step()
    middle, high = (noise * NormalDist().inv_cdf((1 + q) / 2) for q in (0.5, 0.95))
    lines.append(
        f"{'pure noise':14}{middle:9.3f}{high:9.3f}{half_normal(np.array(SHORT / noise)):12.1%}"
        f"{noise:19.3f}{noise:15.3f}{0:10.1%}"
    )
    return lines


def _tails(m: Measurement) -> list[str]:
    lines = [
        f"the tails of gradients, {len(m.norms[1])} of each coordinate",
        f"{'':14}{'all of a kind in one unit':>40}{'each in its own':>24}",
        f"{'':14}{'beyond 4':>12}{'kurtosis (halves of the batches)':>36}"
        f"{'beyond 4':>13}{'kurtosis':>10}",
    ]
    rows = {**m.tails, "one sequence": m.single, "normal sample": m.normal}
    for label, of in rows.items():
        whole, first, second = of.kurtosis
        lines.append(
            f"{label:14}{of.beyond(4):12.1e}"
            f"{f'{whole:.1f} ({first:.1f}, {second:.1f})':>36}"
            f"{of.beyond(4, own=True):13.1e}"
            f"{of.own_kurtosis:10.2f}"
        )
    return lines


def _symbols(m: Measurement) -> list[str]:
    order = [i for i in np.argsort(-m.frequency, kind="stable") if m.token_scale[i] > 0]
    cells = [
        f"{_shown(i)}{m.frequency[i]:8.2%}{m.token_scale[i]:9.1e}{m.token_kurtosis[i]:6.1f}"
        for i in order
    ]
    height = -(-len(cells) // 3)
    return [
        "a symbol's frequency in the text, √ŝ in its row of the token embeddings (root mean",
        f"square), and the median kurtosis there; √ŝ grows as frequency to the {m.slope():.2f}",
        *("       ".join(cells[i::height]) for i in range(height)),
    ]


def _shown(symbol: Any) -> str:
    return "␣" if VOCABULARY[symbol] == " " else VOCABULARY[symbol]


def _norms(m: Measurement) -> list[str]:
    lines = [
        "the norm of the noise; ±: two standard errors of a normal distribution's kurtosis",
        f"{'':20}{'median':>10}{'largest/median':>17}{'deviation/mean':>17}{'kurtosis':>12}",
    ]
    for size, norms in m.norms.items():
        label = f"batches of {size}"
        median = float(np.median(norms))
        lines.append(
            f"{label:20}{median:10.2g}{norms.max() / median:17.2f}"
            f"{norms.std(ddof=1) / norms.mean():17.3f}{kurtosis(norms - norms.mean()):12.2f}"
        )
    normal = f"3 ± {2 * kurtosis_error(len(m.norms[1])):.1f}"
    return [*lines, f"{'normal':20}{'':44}{normal:>12}"]


# %% [markdown]
# ## The verdicts
#
# 1. *SGD, with its one rate, could make Adam's steps* holds if 90% of the coordinates have a √ŝ
#    within half a decade, the distance of neighbors on the grids of `language_model`; in part if
#    that is so inside each kind, so that one rate for each kind would do; and fails otherwise.
# 2. *The gradient noise is heavy-tailed* holds if the kurtosis of the noise's norm, over batches of
#    64, is above 3 by more than two standard errors; in part if it is not, but that of coordinates,
#    each in its own units, has a median above the normal sample's by more than 0.5 in at least one
#    of the three kinds; and fails otherwise.
# 3. *A step moves each coordinate by about η* holds if 90% of the steps are between η/3 and 3η; in
#    part if half of them are; and fails otherwise.
#
# The three kinds are embeddings, matrices and vectors; the key biases do not count in any of the
# rules.  (The norm of the noise has them in it, where their rounding errors do not matter.)


# %% Numbers to verdicts
def judge(m: Measurement) -> list[Verdict]:
    """Apply the rules above."""
    return [_judge_one_rate(m), _judge_tails(m), _judge_steps(m)]


def _judge_one_rate(m: Measurement) -> Verdict:
    together = decades(m.scales())
    inside = {kind: decades(m.moments[kind].scale) for kind in ORDINARY}
    biases = m.moments["key biases"]
    tiny, short = np.median(biases.scale), np.median(np.abs(biases.step))
    because = f": beside it ε = {EPS:g} is large, and keeps their steps at {short:.0e} η"
    return Verdict(
        "With one learning rate for all coordinates of a transformer, SGD could make Adam's steps.",
        f"√ŝ of 90% of the coordinates spans {together:.2f} decades; "
        + ", ".join(f"of {kind} {span:.2f}" for kind, span in inside.items()),
        "holds" if together <= HALF_DECADE
        else "in part" if max(inside.values()) <= HALF_DECADE
        else "fails",
        f"A symbol's row of the token embeddings has a √ŝ that grows as its frequency to the power "
        f"{m.slope():.2f}. The {len(biases.scale)} key biases, whose true gradient is 0, have "
        f"{tiny:.0e}, from rounding alone{because if tiny < EPS else ''}.",
        source="reader",
    )  # fmt: skip


def _judge_tails(m: Measurement) -> Verdict:
    norms = m.norms[BATCH_SIZE]
    excess = kurtosis(norms - norms.mean()) - 3
    own = {kind: m.tails[kind].own_kurtosis for kind in ORDINARY}
    heavy = max(own.values()) > m.normal.own_kurtosis + HEAVIER
    row = int(np.nanargmax(m.token_kurtosis))
    return Verdict(
        "The gradient noise of transformers is heavy-tailed (Zhang et al. 2020).",
        f"kurtosis of its norm over {len(norms)} batches {3 + excess:.1f} (normal: 3 ± "
        f"{2 * kurtosis_error(len(norms)):.1f}), the largest {norms.max() / np.median(norms):.2f} "
        "times the median; of a coordinate in its own units "
        + ", ".join(f"{kind} {value:.2f}" for kind, value in own.items())
        + f" (normal sample: {m.normal.own_kurtosis:.2f})",
        "holds" if excess > 2 * kurtosis_error(len(norms)) else "in part" if heavy else "fails",
        f"{_in_one_unit(m.tails['matrices'], m.normal)} A batch's gradient is a mean over 4,096 "
        "characters; of single sequences a coordinate's kurtosis is "
        f"{m.single.own_kurtosis:.2f}. Of all symbols' rows the one of {_shown(row)}, "
        f"{m.frequency[row]:.2%} of the text, has the largest, {m.token_kurtosis[row]:.1f}. The "
        "paper's model and data were much larger.",
        source="paper",
    )  # fmt: skip


def _in_one_unit(matrices: Tails, normal: Tails) -> str:
    """Say where the kurtosis of all matrices together comes from."""
    said = f"All matrices in one unit have a kurtosis of {matrices.kurtosis[0]:.1f}"
    if matrices.kurtosis[0] <= normal.kurtosis[0] + HEAVIER:
        return f"{said}, about that of a normal distribution."
    if matrices.own_kurtosis <= normal.own_kurtosis + HEAVIER:
        return f"{said}, since their coordinates differ in scale, which is what Adam divides by."
    return f"{said}, not from different scales alone: single coordinates have heavy tails too."


def _judge_steps(m: Measurement) -> Verdict:
    steps = np.abs(np.concatenate([m.moments[kind].step for kind in ORDINARY]))
    near = float(np.mean((steps > 1 / 3) & (steps < 3)))
    return Verdict(
        "A step of Adam moves each coordinate by about η.",
        f"{near:.0%} of the steps are between η/3 and 3η, {np.mean(steps < SHORT):.0%} below 0.1 η;"
        f" root mean square {root_mean_square(steps):.2f} η, under pure noise "
        f"{expected_step():.2f} η",
        "holds" if near >= 0.9 else "in part" if near >= 0.5 else "fails",
        "It is η where all gradients are the same; the noisier they are, the shorter it is. If the "
        f"mean gradient stayed the same, the matrices' share of signal, {m.signal['matrices']:.0%},"
        f" would make it {expected_step(m.signal['matrices']):.2f} η; theirs is "
        f"{root_mean_square(m.moments['matrices'].step):.2f} η.",
        source="reader",
    )


# %% [markdown]
# ## As a picture
#
# Each kind has one color and one kind of dashes.  The upper axis of the first panel has, for each
# √ŝ, the rate at which SGD with momentum makes Adam's step.


# %% The figure
LOOKS: dict[str, dict[str, Any]] = {
    "embeddings": {"color": VERMILION, "linestyle": "--"},
    "matrices": {"color": BLUE, "linestyle": "-"},
    "vectors": {"color": GREEN, "linestyle": "-."},
}
NORMAL_LOOK: dict[str, Any] = {"color": BLACK, "linestyle": ":", "linewidth": 2}


def draw(m: Measurement) -> Figure:
    """Draw scales, symbols, tails and steps."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 8.2), layout="constrained")
    _draw_scales(m, axes[0, 0])
    _draw_symbols(m, axes[0, 1])
    _draw_tails(m, axes[1, 0])
    _draw_steps(m, axes[1, 1])
    norms = m.norms[BATCH_SIZE]
    figure.suptitle(
        f"What Adam sees in TinyLM after {m.steps:,} steps: √ŝ of 90% of the coordinates spans "
        f"{decades(m.scales()):.1f} decades.\nKurtosis of the matrices' gradients in one unit "
        f"{m.tails['matrices'].kurtosis[0]:.0f}, each coordinate in its own "
        f"{m.tails['matrices'].own_kurtosis:.1f}, of the noise's norm "
        f"{kurtosis(norms - norms.mean()):.1f} (normal: 3)"
    )
    return figure


def _draw_scales(m: Measurement, ax: Axes) -> None:
    low, high = np.quantile(m.scales(), [0.0005, 0.9995])
    edges = np.geomspace(low, high, 60)
    for kind, look in LOOKS.items():
        scale = m.moments[kind].scale
        share = np.histogram(scale, edges)[0] / len(scale)
        ax.stairs(100 * share, edges, label=f"{kind}: {decades(scale):.2f} decades",
                  linewidth=1.8, **look)  # fmt: skip
    ax.set(xscale="log", xlabel="scale √ŝ of a coordinate", ylabel="coordinates of the kind (%)")
    ax.set_ylim(top=1.08 * ax.get_ylim()[1])
    far = np.median(m.moments["key biases"].scale)
    title = f"The scales, and how wide the middle 90% are\n(key biases: {far:.0e}, far left)"
    ax.set_title(title, size="medium")
    ax.legend(fontsize="small", loc="upper right")
    upper = ax.secondary_xaxis("top", functions=(_rate, _scale))
    upper.set_xlabel("the same step by SGD with momentum: its rate", size="small")


def _rate(scale: Any) -> Any:
    return momentum_rate(scale, LR)


def _scale(rate: Any) -> Any:
    return scale_of_rate(np.maximum(rate, 1e-300), LR)  # an axis without limits yet begins at 0


def _draw_symbols(m: Measurement, ax: Axes) -> None:
    occurs = np.flatnonzero(m.token_scale > 0)
    f, scale = m.frequency[occurs], m.token_scale[occurs]
    ax.plot(f, scale, linestyle="")  # for the limits, which an annotation does not set
    for i in occurs:
        ax.annotate(_shown(i), (m.frequency[i], m.token_scale[i]), ha="center", va="center",
                    color=VERMILION, weight="bold")  # fmt: skip
    ends = np.array([f.min(), f.max()])
    root = np.exp(np.mean(np.log(scale) - np.log(f) / 2)) * np.sqrt(ends)
    ax.plot(ends, root, color="0.6", linewidth=1, label="∝ √frequency", zorder=0)
    ax.set(xscale="log", yscale="log", xlabel="frequency of the symbol in the text",
           ylabel="√ŝ in its row of the token embeddings")  # fmt: skip
    ax.margins(0.08)
    ax.set_title(f"√ŝ of symbols ∝ frequency to the power {m.slope():.2f}", size="medium")
    ax.legend(fontsize="small", loc="lower right")
    ax.grid(alpha=0.3)


def _draw_tails(m: Measurement, ax: Axes) -> None:
    for kind, look in LOOKS.items():
        first = kind == "matrices"
        ax.plot(MULTIPLES, m.tails[kind].pooled, **look,
                label="all of a kind in one unit" if first else None)  # fmt: skip
        ax.plot(MULTIPLES, m.tails[kind].own, linewidth=3, alpha=0.45, **look,
                label="each coordinate in its own" if first else None)  # fmt: skip
    ax.plot(MULTIPLES, m.normal.pooled, label="normal sample, in one unit", **NORMAL_LOOK)
    ax.plot(MULTIPLES, m.normal.own, label="normal sample, each in its own",
            **NORMAL_LOOK | {"color": "0.5"})  # fmt: skip
    ax.set(yscale="log", ylim=(1e-8, 1.5), xlim=(0, 12), xlabel="|g| in standard deviations",
           ylabel="share of the gradients beyond")  # fmt: skip
    of = m.tails["matrices"]
    ax.set_title(f"Tails; kurtosis of matrices {of.kurtosis[0]:.1f}, one by one "
                 f"{of.own_kurtosis:.1f}", size="medium")  # fmt: skip
    ax.legend(fontsize="small", loc="upper right")
    ax.grid(alpha=0.3)


def _draw_steps(m: Measurement, ax: Axes) -> None:
    x = np.linspace(0, 1, 201)
    for kind, look in LOOKS.items():
        steps = np.sort(np.abs(m.moments[kind].step))
        ax.plot(x, 100 * np.searchsorted(steps, x, side="right") / len(steps), label=kind, **look)
    ax.plot(x, 100 * half_normal(x / expected_step()), label="pure noise", **NORMAL_LOOK)
    ax.set(xlabel="length of a step |v̂|/(√ŝ + ε), in η", ylabel="coordinates below (%)",
           xlim=(0, 1), ylim=(0, 101))  # fmt: skip
    ax.set_title("The last step, beside that under pure noise", size="medium")
    ax.legend(fontsize="small", loc="lower right")
    ax.grid(alpha=0.3)


# %% The question
QUESTION = Question(
    asks="What does Adam see in a transformer: scales, steps and tails of the gradients?",
    equations=(
        r"\hat{s} = \frac{1 - \beta_2}{1 - \beta_2^t} \sum_k \beta_2^k\, g_{t-k}^2",
        r"\Delta x = -\eta\, \frac{\hat{v}}{\sqrt{\hat{s}} + \epsilon}",
        r"\mathrm{pure\ noise}: \mathbf{E}\left[(\Delta x)^2\right] = "
        r"\frac{1 - \beta_1}{1 + \beta_1}\, \eta^2",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

# %% All of it
if __name__ == "__main__":
    ask("gradient_statistics", QUESTION)
