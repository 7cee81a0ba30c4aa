# %% [markdown]
"""Language model: how much better than SGD Adam trains a transformer, each tuned.

"The default for transformers / language models", the section says of Adam.  Here a small
transformer learns which character of a book comes next, with the same starts, the same batches
and as many learning rates for each optimizer.  Run it whole, cell by cell, or with
``python -m experiments language_model``; ``--quick`` takes about a minute.
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

from datasets.time_machine import VOCABULARY, Text, decode, time_machine
from experiments.final_loss import edge_remark, final_loss, final_steps, smoothed
from experiments.lineup import LABELS, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.trainings.characters import (
    BATCH_SIZE,
    PROMPT,
    evaluation_windows,
    train_on_text,
    training_characters,
)
from experiments.trainings.resumable import one_by_one

Array = npt.NDArray[np.float64]

# %% [markdown]
# ## The model
#
# `experiments.trainings.tiny_lm`: token and position embeddings of width 128, two blocks of causal
# attention with two heads and an MLP 128-512-128, a linear head; 412,188 parameters in float32.  It
# reads 64 characters and says at each of them how probable every character is as the next.  The
# loss is the mean cross-entropy, in nats a character; e to the loss, the *perplexity*: the number
# of equally likely characters that would be as hard to guess.  Guessing among all 28: loss
# log 28 = 3.33.
#
# ## The text
#
# *The Time Machine*, letters and spaces only (`datasets.time_machine`); where its file is absent, a
# generated text.  The first 100,000 windows of 65 characters are for training.  Every 50 steps we
# take the loss on 128 of them, and on 128 windows of the rest of the text (*held out*), by
# character; both are evenly spaced and always the same.
#
# ## The protocol
#
# A seed draws the weights and then the batches, 64 windows each, so all runs start alike and see
# the same.  SGD has momentum 0.9, all other hyperparameters are the defaults.  The learning rate is
# constant.  There are four for each optimizer, a factor of about 3 apart, and the best of the four
# counts: the one with the lowest *final loss*, the mean over the last 100 of 2,000 steps (over the
# last quarter, if there are fewer than 400).  A run whose loss or gradients are no longer finite
# has diverged.
#
# The final loss is a *training loss*, and so is its perplexity: 2,000 batches of 64 windows are
# 1.28 epochs, and the windows overlap, so that each character is to be predicted about 82 times.
# Part of what is learned is memory; the loss on held-out text stands beside it.
#
# At a constant learning rate the last steps still move the model to and fro.  Losses on held-out
# text and on single characters are therefore means too: of the looks from where the final loss
# begins, which are three.
#
# The rates are centered where each optimizer is usually run.  Lion's steps have the length η in
# every coordinate, Adam's are mostly shorter, so Lion's rates are three times smaller.  Yogi's
# default ε, 0.001, is larger than most gradients are here: its steps are shorter than Adam's, and
# its rates three times larger.
#
# The quick version leaves out each optimizer's smallest rate, with which few steps lead nowhere.

# %% Its size
SEED = 1
STEPS, EVERY = 2000, 50
QUICK_STEPS, QUICK_EVERY = 150, 30

OF_ADAM = (3e-4, 1e-3, 3e-3, 1e-2)
RATES = {
    "sgd": (0.03, 0.1, 0.3, 1.0),
    "adam": OF_ADAM,
    "adamw": OF_ADAM,
    "amsgrad": OF_ADAM,
    "nadam": OF_ADAM,
    "radam": OF_ADAM,
    "yogi": (1e-3, 3e-3, 1e-2, 3e-2),
    "lion": (1e-4, 3e-4, 1e-3, 3e-3),
}
HYPERPARAMETERS = {"sgd": {"momentum": 0.9}}  # that are not the defaults
COMPARED = ("sgd", "adam")  # the verdicts need them

# PyTorch's final losses by the same protocol on the real text, seed 1: from equal weights, on equal
# batches.  At η = 1 it diverges too.  (tests/reference/record_tiny_lm.py --protocol)
PYTORCH: dict[str, dict[float, float]] = {
    "sgd": {0.03: 1.955, 0.1: 1.424, 0.3: 1.084, 1.0: np.inf},
    "adam": {3e-4: 1.511, 1e-3: 1.119, 3e-3: 0.890, 1e-2: 0.974},
}

# %% [markdown]
# ## What is expected
#
# On images SGD and Adam, each tuned, end close together (`experiments.cnn`); on language models SGD
# is far behind.  Kunstner, Yadav, Milligan, Schmidt and Bietti, *Heavy-Tailed Class Imbalance and
# Why Adam Outperforms Gradient Descent on Language Models*, NeurIPS 2024 (arXiv:2402.19449), trace
# this to words that are rare.  The gradient that a rare word's parameters get is small in
# proportion to its share of the text, so under SGD the loss on rare words falls slowly.  Adam
# divides by the size of the gradient, and takes steps as long for rare words as for frequent ones.
# Characters are less uneven than words, but uneven: the space is 19% of the text, the j 0.06%.
#
# - *frequent*: the most frequent characters, as few as make up half of the training text;
# - *rare*: the rarest ones, as many as make up at most a tenth of it.


# %% Who is frequent, and who is rare
def frequent_and_rare(text: Text) -> tuple[list[int], list[int]]:
    """Return the characters of either group, the most frequent one first.

    Examples
    --------
    >>> characters = np.repeat([5, 0, 7, 1], [6, 60, 30, 4])
    >>> frequent_and_rare(Text(characters, "made up"))
    ([0], [5, 1])
    """
    counts = np.bincount(training_characters(text), minlength=len(VOCABULARY))
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    shares = counts[order] / counts.sum()
    up_to, from_there = np.cumsum(shares), np.cumsum(shares[::-1])[::-1]
    frequent = order[: np.argmax(up_to >= 0.5) + 1]
    rare = order[from_there <= 0.1]
    return frequent.tolist(), rare.tolist()


# %% The measurement
@dataclass(frozen=True)
class Trained:
    """One run.

    Attributes
    ----------
    optimizer, lr : str, float
        What it was trained by.
    losses : array of shape (steps,)
        Each step's loss on its batch, before the update; inf from a divergence on.
    diverged : int
        The step at which it did, or 0.
    milliseconds : float
        The median step's.
    evaluated : array of shape (evaluations,)
        After which steps the text was looked at.
    training, held_out : arrays of shape (evaluations, 28)
        The sum of the losses of each character, on windows of either part of the text.
    sample : str
        The prompt, and what the model writes after it; empty if it has diverged.
    """

    optimizer: str
    lr: float
    losses: Array
    diverged: int
    milliseconds: float
    evaluated: npt.NDArray[np.int64]
    training: Array
    held_out: Array
    sample: str

    @property
    def final(self) -> float:
        """Mean loss of the last steps."""
        return final_loss(self.losses)

    @property
    def last(self) -> npt.NDArray[np.bool_]:
        """Which looks are at its end: those from where the final loss begins."""
        steps = len(self.losses)
        return self.evaluated >= steps - final_steps(steps)


@dataclass(frozen=True)
class Measurement:
    """What the optimizers have learned.

    Attributes
    ----------
    text : Text
        From which.
    seed, steps : int
        Of every run.
    quick : bool
        Whether fewer steps were asked for, as a preview.
    runs : dict
        By optimizer, a run for each of its learning rates.
    """

    text: Text
    seed: int
    steps: int
    quick: bool
    runs: dict[str, list[Trained]]

    def best(self, optimizer: str) -> Trained:
        """Return the run with the lowest final loss."""
        return min(self.runs[optimizer], key=lambda run: run.final)

    @property
    def diverged(self) -> bool:
        """Whether one of the two that are compared diverges at every learning rate."""
        return any(self.best(name).diverged for name in COMPARED)

    def counts(self, part: str = "training") -> Array:
        """Return how often each character comes next in the windows looked at, shape (28,)."""
        windows = dict(zip(("training", "held_out"), evaluation_windows(self.text), strict=True))
        return np.bincount(windows[part][1].ravel(), minlength=len(VOCABULARY)).astype(float)

    def loss_of(self, run: Trained, group: list[int]) -> Array:
        """Return the mean loss of these characters at each look, on the training windows."""
        return run.training[:, group].sum(axis=1) / self.counts()[group].sum()

    def final_loss_of(self, run: Trained, group: list[int]) -> float:
        """Return the mean of `loss_of` over the last looks."""
        return float(self.loss_of(run, group)[run.last].mean())

    def looks_held_out(self, run: Trained) -> Array:
        """Return the mean loss on held-out text at each look."""
        losses: Array = run.held_out.sum(axis=1) / self.counts("held_out").sum()
        return losses

    def held_out(self, run: Trained) -> float:
        """Return the mean loss on held-out text, over the last looks."""
        return float(self.looks_held_out(run)[run.last].mean())

    def losses_by_group(self) -> dict[str, tuple[float, float]]:
        """Return the final losses under SGD and under Adam, of the frequent and the rare ones."""
        sgd, adam = (self.best(name) for name in COMPARED)
        groups = zip(("frequent", "rare"), frequent_and_rare(self.text), strict=True)
        return {k: (self.final_loss_of(sgd, g), self.final_loss_of(adam, g)) for k, g in groups}


def measure(setting: Setting) -> Measurement:
    """Train with every optimizer and rate, one after the other, as each may use several cores."""
    text = time_machine(setting.path)
    evaluation_windows(text)  # raises if the text is too short
    steps = setting.steps or (QUICK_STEPS if setting.reduced else STEPS)
    optimizers = [n for n in RATES if n in COMPARED or n in setting.optimizers]
    runs = [
        {"optimizer": name, "lr": lr, "steps": steps, "seed": setting.seed,
         "every": QUICK_EVERY if setting.reduced else EVERY, **HYPERPARAMETERS.get(name, {})}
        for name in optimizers
        for lr in RATES[name][1 if setting.reduced else 0 :]
    ]  # fmt: skip
    name, _, _ = text.source.partition(",")  # wherever its file is, the runs are the same
    results = one_by_one(
        functools.partial(train_on_text, replace(text, source=name)), runs, folder=setting.folder,
        name="language_model" + ("_quick" if setting.reduced else ""),
        fresh=setting.fresh, extend=not setting.reduced,
    )  # fmt: skip
    trained = [_trained(run, result) for run, result in zip(runs, results, strict=True)]
    return Measurement(
        text, setting.seed, steps, setting.reduced,
        {name: [run for run in trained if run.optimizer == name] for name in optimizers},
    )  # fmt: skip


def _trained(run: dict[str, Any], result: dict[str, Any]) -> Trained:
    return Trained(
        run["optimizer"], run["lr"], np.array(result["losses"]), result["diverged"],
        result["milliseconds"], np.array(result["evaluated"]), np.array(result["training"]),
        np.array(result["held_out"]), decode(np.array(result["sample"], dtype=np.int64)),
    )  # fmt: skip


# %% [markdown]
# ## In numbers
#
# *Held out* is the loss on text that was not trained on.  PyTorch's numbers stand where they
# belong: beside the full protocol on the real text.  Some characters are so rare that the windows
# looked at have only a few of them; with fewer than 20, their losses are not printed.
FEWEST = 20


# %% The table
def table(m: Measurement) -> str:
    """Return every run, the losses by character, and samples as text."""
    return "\n".join([*_runs(m), "", *_characters(m), "", *_samples(m)])


def _runs(m: Measurement) -> list[str]:
    comparable = (m.steps, m.seed, m.text.source[:16]) == (STEPS, SEED, "The Time Machine")
    lines = [
        m.text.source,
        f"{m.steps:,} steps of {BATCH_SIZE} windows{', a quick preview' if m.quick else ''}; seed "
        f"{m.seed}; SGD has momentum 0.9",
        f"final loss: training loss, mean of the last {final_steps(m.steps)} steps, nats a "
        "character, *: an optimizer's best",
        "perplexity: e to it; held out: loss on other text, mean over the same steps; ms: median "
        "step",
        f"{'':12}{'η':>8}{'final loss':>13}{'PyTorch':>10}{'perplexity':>13}{'held out':>11}"
        f"{'ms':>8}",
    ]
    for name, runs in m.runs.items():
        for run in runs:
            theirs = PYTORCH.get(name, {}).get(run.lr) if comparable else None
            numbers = (
                f"   diverged at step {run.diverged:,}{', as in PyTorch' * (theirs == np.inf)}"
                if run.diverged
                else f"{run.final:12.3f}{'*' if run is m.best(name) else ' '}"
                f"{'-' if theirs is None else f'{theirs:.3f}':>10}{np.exp(run.final):12.2f} "
                f"{m.held_out(run):11.3f}{run.milliseconds:8.1f}"
            )
            lines.append(f"{LABELS[name] if run is runs[0] else '':12}{run.lr:8g}{numbers}")
    return lines


def _characters(m: Measurement) -> list[str]:
    """Return the final loss of each group, and of each character, for the two that are compared."""
    counts = np.bincount(training_characters(m.text), minlength=len(VOCABULARY))
    shares = counts / counts.sum()
    if m.diverged:
        return ["the loss of single characters: none, where every learning rate diverges"]
    lines = [
        "the best runs' loss on characters that come next, training windows, mean over the last "
        f"{final_steps(m.steps)}",
        f"steps; -: fewer than {FEWEST} such characters there",
        f"{'':34}{'share':>7}{'SGD':>9}{'Adam':>9}{'difference':>13}",
    ]
    groups = frequent_and_rare(m.text)
    for (label, (a, b)), group in zip(m.losses_by_group().items(), groups, strict=True):
        name = f"{label}: {_shown(group)}"
        lines.append(f"{name:34}{shares[group].sum():7.1%}{a:9.3f}{b:9.3f}{a - b:+13.3f}")
    sgd, adam = (m.best(name) for name in COMPARED)
    cells = [
        f"{_shown([i])} {shares[i]:6.2%}"
        + (
            "".join(f"{m.final_loss_of(run, [i]):6.2f}" for run in (sgd, adam))
            if m.counts()[i] >= FEWEST
            else 2 * f"{'-':>6}"
        )
        for i in np.argsort(-counts, kind="stable")
        if counts[i]
    ]
    height = -(-len(cells) // 4)
    lines += ["", "     ".join([f"{'share':>8}{'SGD':>6}{'Adam':>6}"] * 4)]
    return lines + ["     ".join(cells[i::height]) for i in range(height)]


def _shown(group: list[int]) -> str:
    return " ".join("␣" if VOCABULARY[i] == " " else VOCABULARY[i] for i in group)


def _samples(m: Measurement) -> list[str]:
    lines = [f"what the best runs write after {PROMPT.strip()!r}, drawn with their probabilities:"]
    for name in COMPARED:
        lines += textwrap.wrap(
            m.best(name).sample, 99, initial_indent=f"{LABELS[name]:10}", subsequent_indent=" " * 10
        )
    return lines


# %% [markdown]
# ## The verdicts
#
# 1. *The default for language models* holds if the best final loss of Adam is at least 10% below
#    that of SGD with momentum; in part if it is lower, but by less; and fails otherwise.
# 2. *Because of what is rare*: Adam's advantage is the loss under SGD minus that under Adam.  The
#    claim holds if it is larger on the rare characters than on the frequent ones, in nats and also
#    as a part of SGD's loss; in part if in nats only, since the loss on rare characters is larger
#    from the beginning; and fails otherwise, also if there is no advantage on the rare ones.
#
# If one of the two diverges at every rate, nothing is known of it tuned, and both fail.  Both are
# about training; the first one's remark says how it is on held-out text.
#
# A best rate at the edge of its grid is named: beyond it there may be a better one.


# %% Numbers to verdicts
def judge(m: Measurement) -> list[Verdict]:
    """Return one verdict on the two final losses, one on rare characters."""
    return [_judge_default(m), _judge_rare(m)]


def _lowest(m: Measurement, run: Trained) -> str:
    losses = m.looks_held_out(run)
    return f"{losses.min():.3f} after {run.evaluated[losses.argmin()]:,} steps"


def _judge_default(m: Measurement) -> Verdict:
    claim = "Adam is the default for transformers and language models."
    if m.diverged:
        return Verdict(claim, "one of them diverges at every rate", "fails")
    sgd, adam = (m.best(name) for name in COMPARED)
    remark = [f"{m.steps:,} steps and fewer rates, a preview."] if m.quick else []
    remark += [
        f"On held-out text the loss of Adam is {m.held_out(adam):.3f}, of SGD with momentum "
        f"{m.held_out(sgd):.3f}: Adam is {'' if m.held_out(adam) < m.held_out(sgd) else 'not '}"
        f"ahead there. Lowest on the way: Adam {_lowest(m, adam)}, SGD {_lowest(m, sgd)}."
    ]
    remark += [
        edge_remark(LABELS[name], m.best(name).lr, [run.lr for run in m.runs[name]])
        for name in COMPARED
    ]
    for run in [m.best(name) for name in m.runs if name not in COMPARED]:
        end = f"ends at {run.final:.3f} (η = {run.lr:g})"
        remark += [
            f"{LABELS[run.optimizer]}, tuned alike, "
            f"{'diverges at every rate' if run.diverged else end}."
        ]
    return Verdict(
        claim,
        number=f"final training loss of Adam {adam.final:.3f} (η = {adam.lr:g}), of SGD with "
        f"momentum {sgd.final:.3f} (η = {sgd.lr:g}): {_percent_lower(m)}; perplexity "
        f"{np.exp(adam.final):.2f} and {np.exp(sgd.final):.2f} a character",
        verdict="fails"
        if adam.final >= sgd.final
        else "holds"
        if adam.final <= 0.9 * sgd.final
        else "in part",
        remark=" ".join([*filter(None, remark), "One small model, one text, one seed."]),
    )


def _percent_lower(m: Measurement) -> str:
    sgd, adam = (m.best(name).final for name in COMPARED)
    part = adam / sgd - 1
    return f"{abs(part):.1%} {'lower' if part < 0 else 'higher'}"


def _judge_rare(m: Measurement) -> Verdict:
    claim = (
        "Adam is ahead of SGD on language models because of what is rare, on which SGD makes slow "
        "progress (Kunstner et al. 2024)."
    )
    if m.diverged:
        return Verdict(claim, "one of them diverges at every rate", "fails", source="paper")
    losses = m.losses_by_group()
    frequent, rare = (sgd - adam for sgd, adam in losses.values())
    part_frequent, part_rare = (1 - adam / sgd for sgd, adam in losses.values())
    larger = rare > max(0.0, frequent)
    return Verdict(
        claim,
        number=f"Adam's advantage is {rare:+.3f} nats ({part_rare:+.0%} of SGD's loss) on rare "
        f"characters, {frequent:+.3f} ({part_frequent:+.0%}) on frequent ones",
        verdict="fails" if not larger else "holds" if part_rare > part_frequent else "in part",
        remark="This compares the two groups; it does not show what causes the difference. The "
        "paper's words are far more uneven than characters.",
        source="paper",
    )


# %% [markdown]
# ## As a picture
#
# Losses of single batches jump; what is drawn is the mean of the last 50 steps, at each step.  The
# thin lines are the loss on held-out text, from the first look after the start on.
SMOOTHED = 50


# %% The figure
def draw(m: Measurement) -> Figure:
    """Draw the best runs' losses, all final losses, and those on frequent and rare characters."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), layout="constrained")
    _draw_losses(m, axes[0])
    _draw_rates(m, axes[1])
    _draw_groups(m, axes[2])
    figure.suptitle(f"{finding(m)}\n{m.text.source.split(',')[0]}; seed {m.seed}")
    return figure


def finding(m: Measurement) -> str:
    """Say how far apart the two are, in one line."""
    head = f"TinyLM after {m.steps:,} steps{' (quick)' if m.quick else ''}: "
    if m.diverged:
        return head + "SGD with momentum or Adam diverges at every rate"
    sgd, adam = (m.best(name).final for name in COMPARED)
    return (
        f"{head}Adam's training loss is {adam:.2f}, that of SGD with momentum {sgd:.2f}: "
        f"{_percent_lower(m)}, each at its best learning rate"
    )


def _draw_losses(m: Measurement, ax: Axes) -> None:
    width = max(1, min(SMOOTHED, m.steps // 10))
    for name in m.runs:
        run = m.best(name)
        style = line(name) | {"label": f"{LABELS[name]}, η = {run.lr:g}"}
        ax.plot(np.arange(width, m.steps + 1), smoothed(run.losses, width), **style, linewidth=2)
        if not run.diverged:
            style["label"] += ", held out"
            losses = m.looks_held_out(run)[1:]
            ax.plot(run.evaluated[1:], losses, **style, linewidth=1, alpha=0.7)
    ax.set(xlabel="step", ylabel=f"loss (nats); in training the mean of {width} steps")
    ax.set_title("On the way, at the best learning rates", size="medium")
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)


def _draw_rates(m: Measurement, ax: Axes) -> None:
    finals = [run.final for runs in m.runs.values() for run in runs if not run.diverged]
    top = max(finals, default=1.0) + 0.15 * np.ptp(finals or [1.0])
    for name, runs in m.runs.items():
        ended = [run for run in runs if not run.diverged]
        style = line(name, marker=True)
        ax.plot([run.lr for run in ended], [run.final for run in ended], **style, linewidth=1.5)
        for run in runs:
            if run.diverged:
                ax.plot(run.lr, top, marker="^", color=style["color"], markerfacecolor="white")
                ax.annotate("diverged", (run.lr, top), (0, -12), ha="center", size=8,
                            textcoords="offset points")  # fmt: skip
    ax.set(xscale="log", xlabel="learning rate η", ylabel="final loss (nats)")
    ax.set_title("At the end, at each learning rate", size="medium")
    ax.margins(x=0.1)
    ax.legend(fontsize="small")
    ax.grid(alpha=0.3)


def _draw_groups(m: Measurement, ax: Axes) -> None:
    groups = dict(zip(("frequent", "rare"), frequent_and_rare(m.text), strict=True))
    for name in COMPARED:
        run = m.best(name)
        for label, width in (("frequent", 1.2), ("rare", 2.8)):
            style = line(name) | {"label": f"{LABELS[name]}, {label}"}
            ax.plot(run.evaluated, m.loss_of(run, groups[label]), **style, linewidth=width)
    ax.set(xlabel="step", ylabel="mean loss of these characters (nats)")
    shown = "\n".join(f"{label}: {_shown(group)}" for label, group in groups.items())
    ax.legend(title=shown, fontsize="small", title_fontsize="small", loc="upper right")
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])  # room for the legend
    ax.grid(alpha=0.3)
    if not m.diverged:
        frequent, rare = (sgd - adam for sgd, adam in m.losses_by_group().values())
        ax.set_title(
            f"Adam's advantage: {frequent:+.2f} nats on frequent\n"
            f"characters, {rare:+.2f} on rare ones",
            size="medium",
        )


# %% What `python -m experiments language_model` asks
QUESTION = Question(
    asks="How much better does Adam train a small language model than SGD with momentum?",
    equations=(
        r"L = -\frac{1}{64 n} \sum_i \sum_{j=1}^{64}"
        r" \log p(c_{i+j} \mid c_i, \ldots, c_{i+j-1})",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

# %% All of it
if __name__ == "__main__":
    ask("language_model", QUESTION)
