# %% [markdown]
"""Schedules: what learning rate each of them gives, step by step.

A schedule is a pure function of the step t, so it can be looked at before anything is trained.
This script prints every schedule of `optim.schedules` at five steps, and draws them all.  Run it
whole, cell by cell, or with ``python -m experiments schedules``.
"""

# %% What is used
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from experiments import RESULTS
from experiments.report import in_notebook, prepare_folder, save, show_figures
from optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    CosineWarmup,
    Exponential,
    Function,
    InverseSquareRoot,
    LinearWarmup,
    MultiStep,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
    WarmupStableDecay,
)

STEPS = 1000
LR = 0.1
WARMUP = 100
COLUMNS = 3

# %% [markdown]
# ## The schedules
#
# η_t is the learning rate of the step that follows t others: a training of T steps uses η_0 to
# η_{T-1}.  η is the largest rate, here 0.1, and T = 1000.
#
# Constant between jumps.  A training starts with large steps; when the loss stops falling, smaller
# ones get closer to the minimum.
#
#     Step         η_t = η γ^⌊t/n⌋
#     MultiStep    η_t = η γ^k,  k milestones passed
#     Piecewise    η_t = the k-th value, k boundaries passed
#
# Smoothly down.  The same without a choice of moments.
#
#     Exponential  η_t = η γᵗ
#     Polynomial   η_t = η_T + (η - η_T)(1 - t/T)^p
#     Cosine       η_t = η_T + ½ (η - η_T)(1 + cos(π t/T))
#
# First up.  At the start, gradients are large and Adam's second moments have seen few of them; a
# warm-up takes small steps until they have settled.
#
#     LinearWarmup       η_t = η t/w
#     CosineWarmup       η_t = ½ η (1 - cos(π t/w))
#     InverseSquareRoot  η_t = η min((t+1)/w, √(w/(t+1)))
#
# And what is made of these: restarts, one cycle, warm-up-stable-decay, any function of t, and any
# two joined, such as a linear warm-up and a cosine.


# %% One of each
@dataclass(frozen=True)
class Panel:
    """A schedule, and what it does in a few words."""

    schedule: Schedule
    does: str


def inverse_time(t: int) -> float:
    """η_t = η / (1 + t/100)."""
    return LR / (1 + t / 100)


PANELS = [
    Panel(Constant(LR), "the same throughout"),
    Panel(Step(LR, step_size=250, gamma=0.5), "halves every 250 steps"),
    Panel(MultiStep(LR, milestones=(500, 750), gamma=0.1), "a tenth at 500 and again at 750"),
    Panel(Piecewise((100, 400, 700), (0.02, 0.1, 0.05, 0.01)), "given values between given steps"),
    Panel(Exponential(LR, gamma=0.995), "0.5% less every step"),
    Panel(Polynomial(LR, steps=STEPS, power=2.0), "down with the square of the time left"),
    Panel(InverseSquareRoot(LR, warmup=WARMUP), "up for 100 steps, then down with 1/√t"),
    Panel(Cosine(LR, steps=STEPS), "down half a cosine wave"),
    Panel(CosineRestarts(LR, period=143, multiplier=2), "cosines, each twice as long"),
    Panel(LinearWarmup(LR, steps=WARMUP), "up a straight line for 100 steps"),
    Panel(CosineWarmup(LR, steps=WARMUP), "up half a cosine wave for 100 steps"),
    Panel(OneCycle(LR, steps=STEPS), "up for 30%, down to a 250,000th"),
    Panel(
        WarmupStableDecay(LR, warmup=WARMUP, stable=700, decay=200, decay_shape="1-sqrt"),
        "up for 100, level, down for 200",
    ),
    Panel(Function(inverse_time), "any function of t: 0.1/(1 + t/100)"),
    Panel(
        LinearWarmup(LR, steps=WARMUP).then(Cosine(LR, steps=STEPS - WARMUP), at=WARMUP),
        "a warm-up, then a cosine",
    ),
]

# %% [markdown]
# ## In numbers
#
# At the start, after each quarter, and after the whole of T steps: where an end value is first
# reached is in each schedule's docstring.


# %% The table
def table() -> str:
    """Return the value of every schedule at five steps, a line each."""
    at = [STEPS * quarter // 4 for quarter in range(5)]
    lines = [f"{'learning rate at t =':22}" + "".join(f"{t:>10}" for t in at)]
    for panel in PANELS:
        values = "".join(f"{panel.schedule(t):10.5f}" for t in at)
        lines.append(f"{type(panel.schedule).__name__:22}{values}")
    return "\n".join(lines)


# %% [markdown]
# ## As a picture


# %% The figure
def draw() -> Figure:
    """Draw every schedule, a panel each, all on the same axes."""
    rows = -(-len(PANELS) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(10, 2.1 * rows), sharex=True, sharey=True, layout="constrained"
    )
    ts = range(STEPS)
    for panel, ax in zip(PANELS, axes.flat, strict=False):
        values = [panel.schedule(t) for t in ts]
        ax.plot(ts, values, color="black", linewidth=1.5, drawstyle="steps-post")
        ax.fill_between(ts, values, color="black", alpha=0.08, linewidth=0, step="post")
        name = type(panel.schedule).__name__
        ax.set_title(name, loc="left", weight="bold", size="medium", pad=18)
        ax.text(0, 1.05, panel.does, transform=ax.transAxes, size="small", color="0.3")
        ax.grid(alpha=0.3)
    for ax in axes.flat[len(PANELS) :]:
        ax.set_visible(False)
    axes[0, 0].set(xlim=(0, STEPS), ylim=(0, 1.1 * LR))
    axes[0, 0].set(xticks=range(0, STEPS + 1, STEPS // 4), yticks=(0, LR / 2, LR))
    for ax in axes[:, 0]:
        ax.set_ylabel("learning rate")
    for ax in axes[-1]:
        ax.set_xlabel("step t")
    return figure


# %% Both
def picture(folder: Path = RESULTS, *, show: bool = False) -> None:
    """Print the table and save the figure as schedules.png.

    Parameters
    ----------
    folder : Path
        Where the figure goes; checked before anything is printed.
    show : bool
        Whether to open the figure in a window, or in the notebook.

    Raises
    ------
    OSError
        If `folder` cannot be written to.
    """
    prepare_folder(folder)
    print(table())
    save(draw(), folder / "schedules.png")
    if show:
        show_figures()
    plt.close("all")


if __name__ == "__main__":
    picture(show=in_notebook())
