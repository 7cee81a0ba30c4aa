# %% [markdown]
"""Divergence: rare large gradients on which Adam walks away from the minimum, and how rare.

The section names as Adam's failure mode "instability with rare-but-large gradients (Yogi addresses
this)".  Here are three problems on which Adam fails, with Yogi and AMSGrad beside it at the same
learning rate, and a map of where it starts to fail.  Run it whole, cell by cell, or with
``python -m experiments divergence``.
"""

# %% What is used
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.lineup import LABELS, OPTIMIZERS, line
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Result
from experiments.trainings.rare_gradients import (
    BETA1,
    CYCLES,
    LR,
    MINIMUM,
    RECORDS,
    SPACINGS,
    Cycle,
    edge_of_climbing,
    first_climb,
    measure_drift,
    walk_cycle,
)
from experiments.trainings.walk import SETTLED, walk
from optim.adam import adam_rule
from optim.amsgrad import amsgrad_rule
from optim.yogi import yogi_rule

Array = npt.NDArray[np.float64]

NAMES = ("adam", "amsgrad", "yogi")

# %% [markdown]
# ## One gradient in n is large
#
# n components take turns.  One has gradient n, the n - 1 others have -1: over a cycle they sum to
# +1, so the way down is to the left.  From x = -1 on all gradients shrink, to 0 at the minimum -2.
#
#     g_t = n d  if t mod n = 1,  else  -d         d = 1 if x ≥ -1, else x + 2
#
# Adam divides by √s, and by the time of the next large gradient s has forgotten the last one.  How
# rare is too rare?  Far up the slope v and s repeat every n steps, and Adam's drift is a sum that
# can be written down; `trainings/rare_gradients.py` has it, and the constructions.  Without
# momentum Adam climbs when (1 - β₂) n² is above 4 or so, by expanding the sum for a long memory:
# when n > 2/√(1-β₂).
#
# The map measures the drift for many n, at the β₂ below.

BETA2 = 0.999
BETA2S = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, BETA2, 0.9995)
REDUCED_BETA2S = (0.9, 0.99, BETA2)
REDUCED_CYCLES = 2

# %% [markdown]
# ## Theorem 1 of Reddi, Kale & Kumar (2018)
#
# The same in small, with a cycle of 3 and a learning rate that falls as theory wants it:
#
#     f_t(x) = C x  if t mod 3 = 1,  else  -x          x in [-1, 1], C = 3
#     β₁ = 0, β₂ = 1/(1 + C²), η_t = 0.1/√t, no bias correction
#
# The best point is -1, and the paper proves that Adam tends to +1.  The rules are those of `optim`;
# a step so late that βᵗ has vanished has no bias correction.

C = 3.0
REDDI_STEPS = 5000
REDDI_BETA2S = (1 / (1 + C**2), 0.9, 0.99, 0.999)
RULES: dict[str, Callable[..., Any]] = {
    "adam": adam_rule, "amsgrad": amsgrad_rule, "yogi": yogi_rule,
}  # fmt: skip


def walk_reddi(*, optimizer: str, beta2: float, steps: int) -> Result:
    """Walk from x = 0 and return to [-1, 1] after each step; ``x`` is the whole path."""
    rule, kind = RULES[optimizer], OPTIMIZERS[optimizer]
    fixed = {"betas": (0.0, beta2), "eps": 1e-8, "weight_decay": 0.0, "initial_accumulator": 0.0}
    x = 0.0
    state = list(kind.initial_state(amsgrad=optimizer == "amsgrad", **fixed).values())
    path = [x]
    for t in range(1, steps + 1):
        g = C if t % 3 == 1 else -1.0
        coefficients = kind.coefficients(SETTLED, lr=0.1 / np.sqrt(t), **fixed)
        x, *state = rule(x, g, *state, *coefficients)
        x = float(min(max(x, -1.0), 1.0))
        path.append(x)
    return {"x": path}


# %% [markdown]
# ## No rare gradients at all
#
# f = x²/2 with a constant η = 0.1, from x = 1.  As x → 0, so do the gradients; s forgets the old
# ones, and η/(√ŝ + ε) grows until steps overshoot.  Near 0, Adam is stable only while η/ε is below
# 2(1 + β₁)/(1 - β₁) = 38: ε = 1e-8 is far from that, ε = 0.003 is enough.

QUADRATIC_LR = 0.1
QUADRATIC_STEPS, REDUCED_QUADRATIC_STEPS = 200_000, 50_000
STABLE_EPS = 3e-3


def quadratic(t: int, x: Array, g: Array, _: Array) -> None:
    """Write the gradient of x²/2 into g."""
    g[:] = x


def walk_quadratic(*, optimizer: str, eps: float, steps: int) -> Result:
    """Walk from x = 1; returns the largest ``|x|`` of each of 500 pieces of the path, in order."""
    path = walk(optimizer, quadratic, steps, start=1.0, lr=QUADRATIC_LR, eps=eps)
    return {"|x|": np.abs(path.x).reshape(RECORDS, -1).max(axis=1).tolist()}


# %% The measurement
@dataclass(frozen=True)
class Divergence:
    """What the walks gave.

    Attributes
    ----------
    cycles : dict
        Construction to optimizer to x at evenly spaced steps, from x = 0.
    drifts : dict
        (optimizer, β₂) to the drift for each of `SPACINGS`, in η per step; above 0 is uphill.
    reddi : dict
        (optimizer, β₂) to x at every step of Reddi's problem.
    quadratic : dict
        (optimizer, ε) to the largest |x| in each of 500 pieces of the path.
    quadratic_steps : int
        Length of these paths.
    """

    cycles: dict[Cycle, dict[str, list[float]]]
    drifts: dict[tuple[str, float], list[float]]
    reddi: dict[tuple[str, float], list[float]]
    quadratic: dict[tuple[str, float], list[float]]
    quadratic_steps: int

    def tail(self, optimizer: str, eps: float = 1e-8) -> float:
        """Largest |x| in the second half of the path on x²/2."""
        return max(self.quadratic[optimizer, eps][RECORDS // 2 :])

    def climbs(self, optimizer: str, beta2: float) -> list[int]:
        """The spacings at which the optimizer goes uphill."""
        drifts = self.drifts[optimizer, beta2]
        return [n for n, drift in zip(SPACINGS, drifts, strict=True) if drift > 0]


def measure(setting: Setting) -> Divergence:
    """Walk through all constructions with each optimizer."""
    cycles = CYCLES[:REDUCED_CYCLES] if setting.reduced else CYCLES
    beta2s = REDUCED_BETA2S if setting.reduced else BETA2S
    steps = REDUCED_QUADRATIC_STEPS if setting.reduced else QUADRATIC_STEPS
    around = [(c, name) for c in cycles for name in NAMES]
    drifting = [(name, beta2) for beta2 in beta2s for name in NAMES]
    reddi = [(name, REDDI_BETA2S[0]) for name in NAMES] + [("adam", b) for b in REDDI_BETA2S[1:]]
    down = [(name, 1e-8) for name in NAMES] + [("adam", STABLE_EPS)]
    runs: list[dict[str, Any]] = [
        *({"problem": "cycle", "optimizer": name, "n": c.n, "beta1": c.beta1, "beta2": c.beta2,
           "eps": c.eps, "steps": c.steps} for c, name in around),
        *({"problem": "drift", "optimizer": name, "beta2": beta2} for name, beta2 in drifting),
        *({"problem": "reddi", "optimizer": name, "beta2": beta2, "steps": REDDI_STEPS}
          for name, beta2 in reddi),
        *({"problem": "quadratic", "optimizer": name, "eps": eps, "steps": steps}
          for name, eps in down),
    ]  # fmt: skip
    results = iter(setting.sweep("divergence", walk_one, runs))
    paths: dict[Cycle, dict[str, list[float]]] = {c: {} for c in cycles}
    for c, name in around:
        paths[c][name] = next(results)["x"]
    return Divergence(
        paths,
        {key: next(results)["drift"] for key in drifting},
        {key: next(results)["x"] for key in reddi},
        {key: next(results)["|x|"] for key in down},
        steps,
    )


def walk_one(*, problem: str, **run: Any) -> Result:
    """One run of the sweep."""
    walks: dict[str, Callable[..., Result]] = {
        "cycle": walk_cycle, "drift": measure_drift, "reddi": walk_reddi,
        "quadratic": walk_quadratic,
    }  # fmt: skip
    return walks[problem](**run)


# %% [markdown]
# ## In numbers
#
# In brackets: what earlier runs of the same constructions gave, where there were any.

REDDI_KNOWN = {"adam": "+1", "amsgrad": "-1", "yogi": "-1"}
TAIL_KNOWN = {"adam": "2.6e-2", "amsgrad": "~1e-322", "yogi": "~1e-322"}


# %% The table
def table(m: Divergence) -> str:
    """Return where each walk ends, and at which spacings each optimizer climbs."""
    head = "".join(f"{LABELS[name]:>9}{'':9}" for name in NAMES)
    lines = [
        f"one gradient in n is large; x at the end, the minimum is -2, η = {LR}",
        f"{'':43}{head}".rstrip(),
    ]
    for c, paths in m.cycles.items():
        cells = [(f"{paths[n][-1]:+.4g}" if paths[n][-1] > 0 else f"{paths[n][-1]:.3f}", known)
                 for n, known in zip(NAMES, c.known, strict=True)]  # fmt: skip
        lines.append(f"  {c!s:41}" + _with_known(cells))
    lines += ["", "Reddi et al., theorem 1; x at the end, the best point is -1, the worst +1"]
    for beta2 in dict.fromkeys(beta2 for _, beta2 in m.reddi):
        here = [name for name in NAMES if (name, beta2) in m.reddi]
        known = REDDI_KNOWN if beta2 < 0.9 else {"adam": "-1"}
        cells = [(f"{m.reddi[name, beta2][-1]:+.3f}", known[name]) for name in here]
        lines.append(f"  β₂={beta2:<38g}" + _with_known(cells))
    lines += ["", f"x²/2, η = {QUADRATIC_LR}: largest |x| in the second half of "
              f"{m.quadratic_steps:,} steps"]  # fmt: skip
    for eps in dict.fromkeys(eps for _, eps in m.quadratic):
        here = [name for name in NAMES if (name, eps) in m.quadratic]
        cells = [(f"{m.tail(name, eps):.2g}", TAIL_KNOWN[name] if eps < 1e-3 else "")
                 for name in here]  # fmt: skip
        lines.append(f"  ε={eps:<39g}" + _with_known(cells))
    lines += [
        "",
        f"uphill from which n on, for β₁ = {BETA1} (n: the divisors of 2520 up to 504)",
        f"  {'β₂':8}{'2/√(1-β₂)':>11}{'closed form':>13}" + "".join(
            f"{LABELS[name]:>10}" for name in NAMES
        ),
    ]  # fmt: skip
    for beta2 in dict.fromkeys(beta2 for _, beta2 in m.drifts):
        firsts = [min(m.climbs(name, beta2), default=None) for name in NAMES]
        lines.append(
            f"  {beta2:<8g}{2 / np.sqrt(1 - beta2):11.1f}{first_climb(BETA1, beta2):13}"
            + "".join(f"{first or 'never':>10}" for first in firsts)
        )
    return "\n".join(lines)


def _with_known(cells: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{ours:>9} {f'({known})' if known else '':8}" for ours, known in cells).rstrip()


# %% [markdown]
# ## What follows
#
# - *Adam is unstable under rare large gradients* holds if Adam ends above its start in every
#   construction and climbs at every spacing of the map, holds in part if it does so in some, and
#   fails if in none.
# - *Yogi addresses this* holds if Yogi ends within 0.01 of the best point wherever Adam climbs,
#   and climbs at no spacing of the map; in part if the former only.
# - *It takes rare large gradients* fails if Adam, on x²/2, keeps coming back to an |x| a thousand
#   times Yogi's.

NEAR = 0.01
COMPARED = 36  # a spacing at which all three go down, at the default β's


# %% The verdicts
def judge(m: Divergence) -> list[Verdict]:
    """Conclude by the rules above."""
    beta2 = REDDI_BETA2S[0]
    ends = {name: [paths[name][-1] for paths in m.cycles.values()] for name in NAMES}
    best = [MINIMUM] * len(m.cycles)
    for name in NAMES:
        ends[name].append(m.reddi[name, beta2][-1])
    best.append(-1.0)
    up = [end > 0 for end in ends["adam"]]
    climbs = m.climbs("adam", BETA2)
    spared = [n for n in SPACINGS if n not in climbs]
    everywhere = all(up) and not spared
    somewhere = any(up) or bool(climbs)
    found = ", ".join(f"{end:+.1f}" for end in ends["adam"][:-1] if end > 0)
    unstable = Verdict(
        "Adam is unstable under rare but large gradients.",
        f"one gradient in n is large: Adam ends at {found or 'the minimum'} (minimum -2); Reddi's "
        f"problem: {ends['adam'][-1]:+.2f} (best -1); at β = (0.9, 0.999) it climbs at "
        f"{len(climbs)} of {len(SPACINGS)} spacings n, "
        f"the smallest {min(climbs, default='none')} (closed form {first_climb(BETA1, BETA2)})",
        "holds" if everywhere else "in part" if somewhere else "fails",
        "How rare is too rare depends on β₂: with β₁ = 0 about n > 2/√(1-β₂), "
        f"{2 / np.sqrt(1 - BETA2):.0f} at the default. More often, and Adam converges; so it does "
        "on Reddi's problem with β₂ = 0.9 and above. The drift does not depend on η. All this is "
        "for gradients that almost cancel: over a cycle they sum to 1, their sizes to 2n - 1.",
    )
    saved = [abs(end - goal) < NEAR for end, goal, bad in zip(ends["yogi"], best, up, strict=True)
             if bad]  # fmt: skip
    never = not any(m.climbs("yogi", b) for name, b in m.drifts if name == "yogi")
    worst = {name: max(abs(end - goal) for end, goal in zip(ends[name], best, strict=True))
             for name in NAMES}  # fmt: skip
    at = SPACINGS.index(COMPARED)
    speed = {name: -m.drifts[name, BETA2][at] for name in NAMES}
    robust = Verdict(
        "Yogi addresses Adam's instability under rare large gradients.",
        f"at the same η, Yogi ends within {worst['yogi']:.2g} of the best point in each of "
        f"{len(best)} constructions, AMSGrad within {worst['amsgrad']:.2g}; Yogi climbs at "
        f"{sum(len(m.climbs('yogi', b)) for n, b in m.drifts if n == 'yogi')} points of the map",
        "holds" if all(saved) and never else "in part" if all(saved) else "fails",
        f"By smaller steps: where all converge, at n = {COMPARED} and the default β's, Yogi "
        f"goes down at {speed['yogi']:.2g} η per step, AMSGrad at {speed['amsgrad']:.2g} η, Adam "
        f"at {speed['adam']:.2g} η. A larger β₂ helps Adam as well.",
    )
    tail, yogi = m.tail("adam"), m.tail("yogi")
    rare = Verdict(
        "It takes rare large gradients to make Adam unstable.",
        f"x²/2, constant η = {QUADRATIC_LR}: in the second half of {m.quadratic_steps:,} steps |x| "
        f"comes back to {tail:.2g}; Yogi {yogi:.0e}, AMSGrad {m.tail('amsgrad'):.0e}",
        "fails" if tail > 1000 * yogi else "holds",
        f"Vanishing gradients do it as well: s forgets, the step grows. ε is what stops it: with "
        f"ε = {STABLE_EPS:g} in place of 1e-8 Adam's |x| stays below "
        f"{m.tail('adam', STABLE_EPS):.0e}.",
    )
    return [unstable, robust, rare]


# %% [markdown]
# ## As a picture


# %% The figure
def draw(m: Divergence) -> Figure:
    """Draw a path around cycles, the map, Reddi's problem and x²/2."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7.6), layout="constrained")
    _draw_cycle(axes[0, 0], m)
    _draw_map(axes[0, 1], m)
    _draw_reddi(axes[1, 0], m)
    _draw_quadratic(axes[1, 1], m)
    return figure


def _draw_cycle(ax: Axes, m: Divergence) -> None:
    climbing = [c for c, paths in m.cycles.items() if paths["adam"][-1] > 0]
    shown = climbing[-1] if climbing else next(iter(m.cycles))
    paths = m.cycles[shown]
    t = np.arange(RECORDS + 1) * (shown.steps // RECORDS)
    for name in NAMES:
        ax.plot(t, paths[name], **line(name), linewidth=2)
    top = max(map(max, paths.values()))
    ax.axhline(MINIMUM, color="0.5", linewidth=1)
    ax.annotate("minimum", (t[-1], MINIMUM), (0, -4), textcoords="offset points", size=8,
                va="top", ha="right")  # fmt: skip
    ax.set(xlabel="step t", ylabel="x", ylim=(MINIMUM - 0.12 * (top - MINIMUM), None))
    ends = ", ".join(f"{LABELS[name]} at {paths[name][-1]:+.1f}" for name in NAMES)
    ax.set_title(
        f"One gradient in {shown.n} is large, β₂ = {shown.beta2:g}, one rate for all:\n{ends}",
        size="medium",
    )
    ax.ticklabel_format(axis="x", style="sci", scilimits=(0, 5), useMathText=True)
    ax.legend()


def _draw_map(ax: Axes, m: Divergence) -> None:
    beta2s = [beta2 for name, beta2 in m.drifts if name == "adam"]
    grid = [(n, 1 / (1 - b), d > 0) for b in beta2s
            for n, d in zip(SPACINGS, m.drifts["adam", b], strict=True)]  # fmt: skip
    for uphill, style in (
        (True, {**line("adam"), "linestyle": "", "marker": "^", "label": "Adam climbs"}),
        (False, {"color": "0.55", "linestyle": "", "marker": "o", "markerfacecolor": "white",
                 "label": "Adam goes down"}),
    ):  # fmt: skip
        points = [(n, age) for n, age, up in grid if up == uphill]
        ax.plot([n for n, _ in points], [age for _, age in points], markersize=4, **style)
    memory = np.geomspace(min(1 / (1 - b) for b in beta2s), max(1 / (1 - b) for b in beta2s), 60)
    edge = [edge_of_climbing(BETA1, 1 - 1 / age) for age in memory]
    ax.axhline(1 / (1 - BETA2), color="0.8", linewidth=1, zorder=0)
    ax.annotate("default β₂", (2, 1 / (1 - BETA2)), (-3, 4), textcoords="offset points", size=8)
    ax.plot(edge, memory, color="black", linewidth=2, label=f"closed form, β₁ = {BETA1}")
    ax.plot(2 * np.sqrt(memory), memory, ":", color="black", label="n = 2/√(1-β₂), no momentum")
    ax.set(xscale="log", xlabel="one gradient in n is large:  n")
    ax.set(yscale="log", ylabel="memory of s:  1/(1-β₂), steps")
    ax.set_ylim(memory[0] / 1.3, memory[-1] * 9)
    climbs = m.climbs("adam", BETA2)
    spared = [n for n in SPACINGS if n not in climbs]
    yogi = sum(len(m.climbs("yogi", b)) for b in beta2s)
    ax.set_title(
        f"β₂ = {BETA2}: Adam goes down at n = {max(spared, default=0)}, climbs at "
        f"{min(climbs, default=0)};\nYogi climbs at {yogi} of the {len(grid)} points",
        size="medium",
    )  # fmt: skip
    ax.legend(ncols=2, fontsize=8, loc="upper center")


def _draw_reddi(ax: Axes, m: Divergence) -> None:
    for name, beta2 in m.reddi:
        path = m.reddi[name, beta2]
        if beta2 == REDDI_BETA2S[0]:
            ax.plot(path, **line(name), linewidth=2)
        elif beta2 == BETA2:
            style = line(name) | {"label": f"Adam, β₂ = {beta2}", "linestyle": (0, (1, 1))}
            ax.plot(path, **style, linewidth=1.5)
    ax.set(xscale="log", xlabel="step t", ylabel="x in [-1, 1],  best at -1", xlim=(1, REDDI_STEPS))
    adam = m.reddi["adam", REDDI_BETA2S[0]][-1]
    ax.set_title(
        f"Reddi et al.: with β₂ = {REDDI_BETA2S[0]:g} Adam tends to {adam:+.2f},\n"
        f"with β₂ = {BETA2} to {m.reddi['adam', BETA2][-1]:+.2f}", size="medium",
    )  # fmt: skip
    ax.legend(loc="upper left")


def _draw_quadratic(ax: Axes, m: Divergence) -> None:
    t = np.arange(1, RECORDS + 1) * (m.quadratic_steps // RECORDS)
    for name, eps in m.quadratic:
        style = line(name)
        if eps == STABLE_EPS:
            style |= {"label": f"Adam, ε = {eps:g}", "linestyle": (0, (1, 1))}
        ax.plot(t, np.log10(m.quadratic[name, eps]), **style, linewidth=2)
    ax.set(xlabel="step t", ylabel="log₁₀ of the largest |x| around t")
    ax.set_title(
        f"x²/2 with constant η: Adam's |x| keeps\nreturning to {m.tail('adam'):.2g}", size="medium"
    )
    ax.ticklabel_format(axis="x", style="sci", scilimits=(0, 4), useMathText=True)
    ax.legend(loc="center right")


# %% The question
QUESTION = Question(
    asks="Do rare large gradients make Adam diverge, and does Yogi prevent it?",
    equations=(
        r"g_t = n\,d \;\mathrm{if}\; t \,\mathrm{mod}\, n = 1,\; \mathrm{else}\; -d, \quad"
        r" d = 1 \;\mathrm{if}\; x \geq -1,\; \mathrm{else}\; x + 2",
        r"v_k = -1 + (n+1)\,\frac{(1-\beta_1)\,\beta_1^k}{1-\beta_1^n}, \quad"
        r" s_k = 1 + (n^2-1)\,\frac{(1-\beta_2)\,\beta_2^k}{1-\beta_2^n}",
        r"\mathrm{drift} = -\frac{\eta}{n} \sum_{k=0}^{n-1} \frac{v_k}{\sqrt{s_k}}",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("divergence", QUESTION)
