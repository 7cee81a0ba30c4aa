# %% [markdown]
"""What s remembers: Adam's second moment, AMSGrad's and Yogi's after impulses, drops and spikes.

The section calls Yogi "a robustness fix" whose s "only grows under large gradients".  Here are four
sequences of gradients that show what its one line changes, and what it does not.  Run it whole,
cell by cell, or with ``python -m experiments second_moment_memory``.
"""

# %% What is used
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.beside_expected import beside_expected
from experiments.lineup import LABELS, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings.walk import SETTLED, walk
from optim import Adam, Yogi
from optim.adam import adam_rule
from optim.yogi import yogi_rule

Array = npt.NDArray[np.float64]

NAMES = ("adam", "amsgrad", "yogi")
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # of all three, so that only the line of s differs
FIXED: dict[str, Any] = {"lr": 1.0, "betas": (BETA1, BETA2), "eps": EPS}

# %% [markdown]
# ## One gradient
#
# The two lines of s, and what each adds:
#
#     Adam    s_t = s_{t-1} + (1 - β₂) (g_t² - s_{t-1})
#     Yogi    s_t = s_{t-1} + (1 - β₂) sign(g_t² - s_{t-1}) g_t²
#
# Both go up where g² > s, and down where g² < s.  Upwards Yogi goes *further* than Adam.  Downwards
# it goes by (1 - β₂) g², however large s is: small gradients can hardly make it forget.  For g²
# between s/2 and s Yogi even takes more than Adam; only below s/2 does it forget more slowly.

GRADIENTS = np.linspace(0.0, 2.0, 401)


def change_of_s() -> dict[str, Array]:
    """What each of `GRADIENTS` adds to s = 1, in units of 1 - β₂, by the rules of `optim`."""
    zeros, ones = np.zeros_like(GRADIENTS), np.ones_like(GRADIENTS)
    coefficients = Adam.coefficients(SETTLED, weight_decay=0.0, **FIXED)
    _, _, adam = adam_rule(zeros, GRADIENTS, zeros, ones, *coefficients)
    coefficients = Yogi.coefficients(SETTLED, weight_decay=0.0, **FIXED)
    _, _, yogi = yogi_rule(zeros, GRADIENTS, zeros, ones, *coefficients)
    return {"adam": (adam - 1) / (1 - BETA2), "yogi": (yogi - 1) / (1 - BETA2)}


# %% [markdown]
# ## Impulses
#
# A gradient of 1 comes every 10,000 steps and is 0 in between, as for the weight of a rare word.
# v spreads it over the next steps.  Adam has forgotten all impulses before, so s = (1 - β₂) β₂ᵏ at
# k steps after one, and x moves, in η, by
#
#     Σ_k (1 - β₁) β₁ᵏ / √((1 - β₂) β₂ᵏ) = (1 - β₁)/√(1 - β₂) / (1 - β₁/√β₂)
#
# AMSGrad keeps the maximum, (1 - β₂), and moves by 1/√(1 - β₂).  Yogi's s keeps (1 - β₂) of every
# impulse, k (1 - β₂) after the k-th, until it is 1: it moves by 1/√(k (1 - β₂)), and then by 1.

GAP = 10_000
IMPULSES, REDUCED_IMPULSES = 1_010, 101
IMPULSE_AT = 9_000  # of each 10,000: late, so that by the first, bias corrections are over


def impulses(t: int, x: Array, g: Array, problem: Array) -> None:
    """Write 1 into g at one step of each gap, else 0."""
    g[:] = 1.0 if t % problem[0] == problem[1] else 0.0


def impulse_closed_form(name: str, k: npt.NDArray[np.int64]) -> Array:
    """How far the k-th impulse moves x, in η."""
    if name == "adam":
        one = (1 - BETA1) / np.sqrt(1 - BETA2) / (1 - BETA1 / np.sqrt(BETA2))
        return np.full(len(k), one)
    if name == "amsgrad":
        return np.full(len(k), 1 / np.sqrt(1 - BETA2))
    return 1 / np.sqrt(np.minimum(k * (1 - BETA2), 1.0))


# %% [markdown]
# ## A drop, and a spike
#
# The drop: gradients of 1, and from step 20,001 on of 0.01.  What counts is the effective learning
# rate η/(√ŝ + ε), measured as step over v̂.
#
# The spike: gradients of 1, and at step 20,001 a single one of 100.  It lifts s to 11, so that
# steps shrink; they are back at half their length when s is down to 4.  k steps after the spike
# Adam's s is 1 + 10 β₂ᵏ, and Yogi's 11 - k (1 - β₂):
#
#     Adam    k = ln(10/3) / -ln β₂, 1,204 steps          Yogi    k = 7/(1 - β₂), 7,000 steps

BEFORE = 20_000
DROP_STEPS = 20_000
DROP, SPIKE = 0.01, 100.0
SPIKE_STEPS = 10_000
THIN = 20  # of the paths, every so many steps are kept


def burst(t: int, x: Array, g: Array, problem: Array) -> None:
    """Write 1 into g, and another gradient after one step and up to another."""
    g[:] = problem[2] if problem[0] < t <= problem[1] else 1.0


def follow(*, gradients: str, optimizer: str, impulses_in_all: int = 0) -> Result:
    """Send one optimizer through one sequence of gradients.

    Returns ``moved`` by each impulse; or ``s``, AMSGrad's being the maximum, and the effective
    ``rate``, thinned, with ``back``, the steps from the spike until the rate is half of what it
    was; inf if it never is.
    """
    if gradients == "impulses":
        path = walk(optimizer, impulses, impulses_in_all * GAP, problem=[GAP, IMPULSE_AT],
                    every=GAP, **FIXED)  # fmt: skip
        return {"moved": (-np.diff(path.x[:, 0], prepend=0.0)).tolist()}
    size, lasts, steps = {
        "drop": (DROP, DROP_STEPS, DROP_STEPS), "spike": (SPIKE, 1, SPIKE_STEPS),
    }[gradients]  # fmt: skip
    path = walk(optimizer, burst, BEFORE + steps, problem=[BEFORE, BEFORE + lasts, size], **FIXED)
    v_hat = path.state["v"][:, 0] / (1 - BETA1**path.t)
    rate = -np.diff(path.x[:, 0], prepend=0.0) / v_hat
    s = path.state["s_max" if optimizer == "amsgrad" else "s"][:, 0]
    again = np.flatnonzero(rate[BEFORE + 1 :] >= rate[BEFORE - 1] / 2)
    return {
        "s": s[BEFORE - 1 :: THIN].tolist(),
        "rate": rate[BEFORE - 1 :: THIN].tolist(),
        "peak": float(s.max()),
        "spike": float(rate[BEFORE] * v_hat[BEFORE]),
        "back": float(again[0] + 1) if len(again) else np.inf,
    }


# %% The measurement
@dataclass(frozen=True)
class Memory:
    """What the sequences did; lengths are in η.

    Attributes
    ----------
    change : dict
        "adam" and "yogi" to what each of `GRADIENTS` adds to s = 1, in units of 1 - β₂.
    moved : dict
        Optimizer to the displacement by each impulse.
    drop, spike : dict
        Optimizer to s, the effective rate and the rest of what `follow` returns; the first entry of
        the lists is that of the last step before the drop or spike.
    """

    change: dict[str, Array]
    moved: dict[str, Array]
    drop: dict[str, dict[str, Any]]
    spike: dict[str, dict[str, Any]]

    def gain(self, name: str) -> float:
        """By what factor the effective rate grows from before the drop to the end."""
        return self.drop[name]["rate"][-1] / self.drop[name]["rate"][0]


def measure(setting: Setting) -> Memory:
    """Follow all optimizers through all sequences."""
    number = REDUCED_IMPULSES if setting.reduced else IMPULSES
    runs: list[dict[str, Any]] = [
        *({"gradients": "impulses", "optimizer": n, "impulses_in_all": number} for n in NAMES),
        *({"gradients": kind, "optimizer": n} for kind in ("drop", "spike") for n in NAMES),
    ]
    results = setting.sweep("second_moment_memory", follow, runs)
    by_kind = [dict(zip(NAMES, results[i : i + 3], strict=True)) for i in (0, 3, 6)]
    moved = {name: np.array(result["moved"]) for name, result in by_kind[0].items()}
    return Memory(change_of_s(), moved, by_kind[1], by_kind[2])


# %% [markdown]
# ## In numbers
#
# In brackets: expected, the numbers of an earlier implementation of the same constructions, where
# there are any.

MOVED_EXPECTED = {"adam": "31.77", "amsgrad": "31.62", "yogi": "1.000"}
GAIN_EXPECTED = {"adam": "×100", "amsgrad": "", "yogi": "×1.001"}
SHOWN_GRADIENTS = (0.1, 0.5, 1.5, 2.0)


# %% The table
def table(m: Memory) -> str:
    """Return the changes of s, displacements, and effective rates."""
    head = "".join(f"{LABELS[name]:>9}{'':9}" for name in NAMES).rstrip()
    lines = [
        f"{'number (expected)':46}{head}",
        "what one gradient adds to s = 1, in units of 1 - β₂",
    ]
    for g in SHOWN_GRADIENTS:
        i = int(np.argmin(np.abs(GRADIENTS - g)))
        cells = [f"{m.change['adam'][i]:+.2f}", "", f"{m.change['yogi'][i]:+.2f}"]
        lines.append(f"  g = {g:<40g}" + beside_expected(cells))
    lines.append(f"an impulse of 1 every {GAP:,} steps moves x by, in η")
    last = len(m.moved["yogi"])
    for k in (1, 10, 100, last):
        cells = [f"{m.moved[name][k - 1]:.3f}" for name in NAMES]
        late = k == last > 1 / (1 - BETA2)
        expected = [MOVED_EXPECTED[n] if late or (k == last and n != "yogi") else "" for n in NAMES]
        lines.append(f"  impulse {k:<36,}" + beside_expected(cells, expected))
    cells = [f"{impulse_closed_form(n, np.array([last]))[0]:.3f}" for n in NAMES]
    lines.append(f"  closed form, impulse {last:<23,}" + beside_expected(cells))
    lines.append(f"gradients drop from 1 to {DROP}; effective learning rate, step over v̂")
    cells = [f"×{m.gain(name):.4g}" for name in NAMES]
    expected = [GAIN_EXPECTED[name] for name in NAMES]
    lines.append(f"  {DROP_STEPS:,} steps later{'':26}" + beside_expected(cells, expected))
    lines.append(f"one gradient of {SPIKE:g} among ones")
    cells = [f"{m.spike[name]['peak']:.5g}" for name in NAMES]
    lines.append(f"  {'s rises from 1 to':44}" + beside_expected(cells))
    cells = [f"{m.spike[name]['spike']:.2f}" for name in NAMES]
    lines.append(f"  {'length of that step, η':44}" + beside_expected(cells))
    cells = [_steps(m.spike[n]["back"]) for n in NAMES]
    lines.append(f"  {'steps until half the effective rate is back':44}" + beside_expected(cells))
    return "\n".join(lines)


def _steps(number: float) -> str:
    return f"{number:,.0f}" if np.isfinite(number) else f">{SPIKE_STEPS:,}"


# %% [markdown]
# ## The verdicts
#
# The first two are exact arithmetic; the measurement makes sure that the rules of `optim` obey it.
#
# - *s only grows under large gradients* fails if Yogi's s grows at any g² < s.  Otherwise it holds
#   if that sets Yogi apart from Adam, and holds in part if Adam's s grows at the same gradients.
# - *More stable for sparse gradients* holds if every impulse moves x by less than half of what it
#   does with Adam, in part if some impulses do, and fails otherwise.  With s₀ = 0, the section's,
#   *holds* is out of reach: the first impulse finds the same s with both.
# - *Yogi does not forget* holds if after the drop Adam's effective rate has grown more than 10
#   times as much as Yogi's, in part if it has grown more, and fails otherwise.
# - *Yogi recovers from a spike no later than Adam* is how a reader may take "a robustness fix".  It
#   holds if half the rate is back as early as with Adam, in part if within twice that time, and
#   fails otherwise.


# %% Numbers to verdicts
def judge(m: Memory) -> list[Verdict]:
    """Conclude by the rules above."""
    return [_judge_growth(m), _judge_sparse(m), _judge_drop(m), _judge_spike(m)]


def _judge_growth(m: Memory) -> Verdict:
    grows = {name: change > 0 for name, change in m.change.items()}
    small = GRADIENTS < 1
    same = bool(np.array_equal(grows["adam"], grows["yogi"]))
    at = {g: {n: c[int(np.argmin(np.abs(GRADIENTS - g)))] for n, c in m.change.items()}
          for g in (0.1, 2.0)}  # fmt: skip
    return Verdict(
        "Yogi's s only grows under large gradients.",
        f"g = 2√s adds {at[2.0]['yogi']:.2f} (1-β₂)s, with Adam {at[2.0]['adam']:.2f}; g = 0.1√s "
        f"takes {-at[0.1]['yogi']:.2f} (1-β₂)s away, with Adam {-at[0.1]['adam']:.2f}",
        "fails" if np.any(grows["yogi"] & small) else "in part" if same else "holds",
        "True, and as true of Adam: both grow where g² > s, and Yogi by more. What Yogi limits is "
        "forgetting, where gradients are small: for g² below s/2 it takes less from s than Adam, "
        "between s/2 and s more.",
    )


def _judge_sparse(m: Memory) -> Verdict:
    less = m.moved["yogi"] < m.moved["adam"] / 2
    last = len(less)
    half = f"from number {int(np.argmax(less)) + 1} on" if np.any(less) else "never"
    ends = {name: float(moved[-1]) for name, moved in m.moved.items()}
    return Verdict(
        "Yogi is more stable for sparse gradients.",
        f"a unit impulse every {GAP:,} steps moves x by: the first {m.moved['adam'][0]:.2f} η "
        f"(Adam) and {m.moved['yogi'][0]:.2f} η (Yogi); number {last:,} {ends['adam']:.2f} η and "
        f"{ends['yogi']:.3f} η; AMSGrad {ends['amsgrad']:.2f} η",
        "holds" if np.all(less) else "in part" if np.any(less) else "fails",
        "The first moves both as far. Yogi adds the impulses up: the k-th moves x by 1/√(k(1-β₂)) "
        f"η, less than half as far as with Adam {half}, and 1 η only from number "
        f"{1 / (1 - BETA2):,.0f} on, after {GAP / (1 - BETA2):,.0f} steps.",
    )


def _judge_drop(m: Memory) -> Verdict:
    gain = {name: m.gain(name) for name in NAMES}
    return Verdict(
        "Yogi does not forget large gradients when small ones follow.",
        f"gradients drop from 1 to {DROP}: {DROP_STEPS:,} steps later the effective learning rate "
        f"is ×{gain['adam']:.4g} with Adam, ×{gain['yogi']:.4g} with Yogi, "
        f"×{gain['amsgrad']:.4g} with AMSGrad",
        "holds" if gain["adam"] > 10 * gain["yogi"]
        else "in part" if gain["adam"] > gain["yogi"] else "fails",
        f"If the small gradients are there to stay, that is a price: steps are {DROP} η, and it "
        f"takes Yogi some 1/((1-β₂) {DROP}²) = {1 / (1 - BETA2) / DROP**2:.0e} steps to adapt.",
        "reader",
    )  # fmt: skip


def _judge_spike(m: Memory) -> Verdict:
    back = {name: m.spike[name]["back"] for name in NAMES}
    return Verdict(
        "Yogi recovers from a single large gradient no later than Adam.",
        f"one gradient of {SPIKE:g} among ones: s rises to {m.spike['adam']['peak']:.5g} (Adam), "
        f"{m.spike['yogi']['peak']:.5g} (Yogi), the step is {m.spike['adam']['spike']:.2f} η and "
        f"{m.spike['yogi']['spike']:.2f} η; half the rate is back after {_steps(back['adam'])} and "
        f"{_steps(back['yogi'])} steps, with AMSGrad {_steps(back['amsgrad'])}",
        "holds" if back["yogi"] <= back["adam"]
        else "in part" if back["yogi"] <= 2 * back["adam"] else "fails",
        "The spike itself does the same to both; then Yogi is slow for longer. heavy_tails shows "
        "what that costs a training.",
        "reader",
    )  # fmt: skip


# %% [markdown]
# ## As a picture


# %% The figure
def draw(m: Memory) -> Figure:
    """Draw the change of s, the impulses, the drop and the spike."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.6), layout="constrained")
    _draw_change(axes[0, 0], m)
    _draw_impulses(axes[0, 1], m)
    _draw_drop(axes[1, 0], m)
    _draw_spike(axes[1, 1], m)
    return figure


def _draw_change(ax: Axes, m: Memory) -> None:
    below, above = GRADIENTS < 1, GRADIENTS > 1
    for name, change in m.change.items():  # a line for each side: Yogi's jumps at g² = s
        ax.plot(GRADIENTS[below], change[below], **line(name), linewidth=2)
        ax.plot(GRADIENTS[above], change[above], **line(name) | {"label": None}, linewidth=2)
    ax.axhline(0, color="0.5", linewidth=1)
    ax.axvline(1, color="0.5", linewidth=1)
    ax.annotate("g² < s", (0.97, 3.4), ha="right")
    ax.annotate("g² > s", (1.03, 3.4))
    ax.set(xlabel="gradient |g|, in √s", ylabel="change of s in one step, in (1-β₂) s")
    adam, yogi = m.change["adam"][-1], m.change["yogi"][-1]
    ax.set_title(
        f"g = 2√s adds {adam:.2f} with Adam, {yogi:.2f} with Yogi;\ng = 0 takes "
        f"{-m.change['adam'][0]:.2f} and {abs(m.change['yogi'][0]):.2f} away", size="medium",
    )  # fmt: skip
    ax.legend(loc="center left")


def _draw_impulses(ax: Axes, m: Memory) -> None:
    k = np.arange(1, len(m.moved["yogi"]) + 1, dtype=np.int64)
    some = np.unique(np.geomspace(1, len(k), 16).astype(int))
    for name, moved in m.moved.items():
        style = line(name, marker=True)
        ax.plot(some, moved[some - 1], **style | {"linestyle": ""}, markersize=6)
        closed = {"color": style["color"], "linestyle": style["linestyle"]}
        ax.plot(k, impulse_closed_form(name, k), **closed, linewidth=1)
    ax.set(xscale="log", yscale="log", xlabel=f"impulse, one every {GAP:,} steps")
    ax.set_ylabel("displacement by an impulse, η")
    ax.set_ylim(0.6, 60)
    ends = ", ".join(f"{LABELS[n]} {moved[-1]:#.4g} η" for n, moved in m.moved.items())
    ax.set_title(
        f"The first impulse moves Yogi by {m.moved['yogi'][0]:#.4g} η; number {len(k):,}:\n{ends}",
        size="medium",
    )
    ax.legend(loc="lower left", title="measured; lines: closed form", title_fontsize=9)


def _draw_drop(ax: Axes, m: Memory) -> None:
    for name, result in m.drop.items():
        t = np.arange(len(result["rate"])) * THIN
        ax.plot(t, result["rate"], **line(name), linewidth=2)
    ax.set(yscale="log", xlabel=f"steps since gradients dropped from 1 to {DROP}")
    ax.set_xticks(range(0, DROP_STEPS + 1, DROP_STEPS // 4))
    ax.set(ylabel="effective learning rate η/(√ŝ + ε), in η", ylim=(0.7, 200))
    gains = ", ".join(f"{LABELS[n]} ×{m.gain(n):.4g}" for n in NAMES)
    ax.set_title(f"{DROP_STEPS:,} steps after a drop of the gradients:\n{gains}", size="medium")
    ax.legend(loc="center right")


def _draw_spike(ax: Axes, m: Memory) -> None:
    for name, result in m.spike.items():
        t = np.arange(len(result["s"])) * THIN
        ax.plot(t, result["s"], **line(name), linewidth=2)
        if np.isfinite(result["back"]):
            ax.plot(result["back"], 4.0, line(name, marker=True)["marker"],
                    color=line(name)["color"], markersize=8)  # fmt: skip
    ax.axhline(4, color="0.5", linewidth=1)
    ax.annotate("half the effective rate", (0.22 * SPIKE_STEPS, 4.15), size=9)
    ax.set(xlabel=f"steps since one gradient of {SPIKE:g} among ones", ylim=(0, 12))
    ax.set_ylabel("second moment s, in g² before the spike")
    back = ", ".join(f"{LABELS[n]} {_steps(m.spike[n]['back'])}" for n in NAMES)
    ax.set_title(f"Steps until half the rate is back after a spike:\n{back}", size="medium")
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.72))


# %% The question
QUESTION = Question(
    asks="What do Adam, AMSGrad and Yogi remember of large gradients, and for how long?",
    equations=(
        r"\mathrm{Adam:}\quad s_t = s_{t-1} + (1-\beta_2)\,(g_t^2 - s_{t-1})",
        r"\mathrm{Yogi:}\quad s_t = s_{t-1} + (1-\beta_2)\,"
        r"\mathrm{sign}(g_t^2 - s_{t-1})\,g_t^2",
        r"\mathrm{effective\;rate} = \frac{\eta}{\sqrt{\hat{s}_t} + \epsilon}",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("second_moment_memory", QUESTION)
