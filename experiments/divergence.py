# %% [markdown]
"""Divergence: rare large gradients on which Adam walks away from the minimum, and how rare.

The section names as Adam's failure mode "instability with rare-but-large gradients (Yogi addresses
this)".  Here are three problems on which Adam fails, with Yogi and AMSGrad beside it at the same
learning rate, and a map of where it starts to fail.  Run it whole, cell by cell, or with
``python -m experiments divergence``.
"""

# %% What is used
from __future__ import annotations

from collections.abc import Callable
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
from experiments.trainings.rare_gradients import (
    BETA1,
    CYCLES,
    LR,
    MINIMUM,
    RECORDS,
    REDDI_CYCLE,
    SPACINGS,
    Cycle,
    edge_of_climbing,
    first_climb,
    measure_drift,
    walk_cycle,
    walk_reddi,
    yogi_drift,
)
from experiments.trainings.walk import walk

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
# rare is too rare?  Far up the slope v and s repeat every n steps, and the drift, the mean step in
# η, is a sum that can be written down; `trainings/rare_gradients.py` has it, and the constructions.
# Without momentum Adam climbs when (1 - β₂) n² is above 4 or so, by expanding the sum for a long
# memory: when n > 2/√(1-β₂).  Momentum spreads a large gradient over the steps after it, in which s
# is still large; that moves the edge a little.
#
# The map measures the drift for many spacings n, at the β₂ below.

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
# The best point is -1, and the paper proves that Adam tends to +1.

REDDI_STEPS = 5000
REDDI_BETA2S = (1 / (1 + REDDI_CYCLE**2), 0.9, 0.99, 0.999)

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

    def points_that_climb(self, optimizer: str) -> int:
        """At how many points of the map, (n, β₂), the optimizer goes uphill."""
        return sum(len(self.climbs(name, b)) for name, b in self.drifts if name == optimizer)


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
# In brackets: expected, the numbers of an earlier implementation of the same constructions, where
# there are any.

REDDI_EXPECTED = {"adam": "+1", "amsgrad": "-1", "yogi": "-1"}
TAIL_EXPECTED = {"adam": "2.6e-2", "amsgrad": "~1e-322", "yogi": "~1e-322"}


# %% The table
def table(m: Divergence) -> str:
    """Return where each walk ends, and at which spacings each optimizer climbs."""
    head = "".join(f"{LABELS[name]:>9}{'':9}" for name in NAMES)
    lines = [
        f"one gradient in n is large; x at the end, the minimum is -2, η = {LR}; (expected)",
        f"{'':43}{head}".rstrip(),
    ]
    for c, paths in m.cycles.items():
        ends = [f"{x:+.4g}" if x > 0 else f"{x:.3f}" for x in (paths[n][-1] for n in NAMES)]
        lines.append(f"  {c!s:41}" + beside_expected(ends, c.expected))
    lines += ["", "Reddi et al., theorem 1; x at the end, the best point is -1, the worst +1"]
    for beta2 in dict.fromkeys(beta2 for _, beta2 in m.reddi):
        here = [name for name in NAMES if (name, beta2) in m.reddi]
        expected = REDDI_EXPECTED if beta2 < 0.9 else {"adam": "-1"}
        ends = [f"{m.reddi[name, beta2][-1]:+.3f}" for name in here]
        lines.append(f"  β₂={beta2:<38g}" + beside_expected(ends, [expected[n] for n in here]))
    lines += ["", f"x²/2, η = {QUADRATIC_LR}: largest |x| in the second half of "
              f"{m.quadratic_steps:,} steps"]  # fmt: skip
    for eps in dict.fromkeys(eps for _, eps in m.quadratic):
        here = [name for name in NAMES if (name, eps) in m.quadratic]
        tails = [f"{m.tail(name, eps):.2g}" for name in here]
        expected = TAIL_EXPECTED if eps < 1e-3 else dict.fromkeys(NAMES, "")
        lines.append(f"  ε={eps:<39g}" + beside_expected(tails, [expected[n] for n in here]))
    lines += [
        f"  below {np.finfo(float).tiny:.0e}: 0, to the smallest number a float can hold, "
        f"{np.nextafter(0, 1):.0e}",
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


# %% [markdown]
# ## The verdicts
#
# A large gradient is *rare* for an optimizer's memory if n ≥ 2/√(1-β₂), the edge without momentum.
# The edge with β₁ = 0.9 will not do: it is where the drift changes its sign, so that the claim
# would be no more than that walk and formula agree.
#
# - *Adam is unstable under rare large gradients* holds if Adam climbs wherever they are rare, at
#   every such point of the map and in every such construction, Reddi's with its n = 3 among them;
#   it holds in part if in some; and fails otherwise.  Where they are not rare (n = 50 at β₂ =
#   0.999; Reddi's at β₂ ≥ 0.9) is for comparison.
# - *Yogi addresses this* holds if Yogi ends within 0.01 of the best point of every construction in
#   which Adam climbs, of which there is one at least, and climbs at no point of the map; in part if
#   the former only; and fails otherwise.
# - *Only rare large gradients keep Adam from coming to rest* fails if Adam, in the second half of
#   its path on x²/2, comes back to an |x| above η/100; it holds in part if above η/10⁶; and holds
#   otherwise.

NEAR = 0.01
COMPARED = 36  # a spacing at which all three go down, at the default β's


def is_rare(n: int, beta2: float) -> bool:
    """Whether one gradient in n is rare for a memory of β₂: n ≥ 2/√(1-β₂)."""
    return (1 - beta2) * n**2 >= 4


# %% Numbers to verdicts
def judge(m: Divergence) -> list[Verdict]:
    """Conclude by the rules above."""
    return [_judge_adam(m), _judge_yogi(m), _judge_rest(m)]


def _judge_adam(m: Divergence) -> Verdict:
    reddi = m.reddi["adam", REDDI_BETA2S[0]][-1]
    ends = [paths["adam"][-1] for c, paths in m.cycles.items() if is_rare(c.n, c.beta2)]
    rare = {b: [n for n in SPACINGS if is_rare(n, b)] for name, b in m.drifts if name == "adam"}
    climbs = {b: [n for n in m.climbs("adam", b) if n in rare[b]] for b in rare}
    total, climbing = (sum(map(len, points.values())) for points in (rare, climbs))
    up = [end > 0 for end in (*ends, reddi)]
    everywhere = all(up) and climbing == total
    return Verdict(
        "Adam is unstable under rare but large gradients.",
        f"one gradient in n ≥ 2/√(1-β₂) is large: Adam ends at "
        f"{', '.join(f'{end:+.1f}' for end in ends)} (minimum -2), on Reddi's problem at "
        f"{reddi:+.2f} (best -1); it climbs at {climbing} of {total} such points (n, β₂) of the "
        f"map; at β = ({BETA1}, {BETA2}) at {len(climbs[BETA2])} of {len(rare[BETA2])}, the first "
        f"n = {min(climbs[BETA2], default='none')} (closed form {first_climb(BETA1, BETA2)})",
        "holds" if everywhere else "in part" if any(up) or climbing else "fails",
        f"Momentum moves the edge, at the default β₂ from {2 / np.sqrt(1 - BETA2):.0f} to "
        f"{first_climb(BETA1, BETA2)}: between the two Adam goes down. Where large gradients are "
        "more frequent it converges; so it does on Reddi's problem with β₂ = 0.9 and above. The "
        "drift does not depend on η. All this is for gradients that almost cancel: over a cycle "
        "they sum to 1, their sizes to 2n - 1.",
    )


def _judge_yogi(m: Divergence) -> Verdict:
    ends = [(MINIMUM, {name: paths[name][-1] for name in NAMES}) for paths in m.cycles.values()]
    ends.append((-1.0, {name: m.reddi[name, REDDI_BETA2S[0]][-1] for name in NAMES}))
    saved = [abs(end["yogi"] - best) < NEAR for best, end in ends if end["adam"] > 0]
    addressed = bool(saved) and all(saved)
    worst = {name: max(abs(end[name] - best) for best, end in ends) for name in NAMES}
    climbing = m.points_that_climb("yogi")
    at = SPACINGS.index(COMPARED)
    pace = {name: -m.drifts[name, BETA2][at] for name in NAMES}
    return Verdict(
        "Yogi addresses Adam's instability under rare large gradients.",
        f"at the same η, Yogi ends within {worst['yogi']:.2g} of the best point in each of "
        f"{len(ends)} constructions, AMSGrad within {worst['amsgrad']:.2g}; Adam climbs in "
        f"{len(saved)} of them; Yogi climbs at {climbing} points of the map",
        "holds" if addressed and not climbing else "in part" if addressed else "fails",
        "Because its s stays near n² through the whole cycle, all gradients are divided by the "
        f"same number, and their sum decides. The price is pace: at n = {COMPARED} and the default "
        f"β's Yogi goes down by {pace['yogi']:.5f} η per step (1/n² = {-yogi_drift(COMPARED):.5f}),"
        f" AMSGrad by {pace['amsgrad']:.4f} η, Adam by {pace['adam']:.4f} η. A larger β₂ helps "
        "Adam as well.",
    )


def _judge_rest(m: Divergence) -> Verdict:
    tail = m.tail("adam") / QUADRATIC_LR
    return Verdict(
        "Only rare large gradients keep Adam from coming to rest.",
        f"x²/2, constant η = {QUADRATIC_LR}: in the second half of {m.quadratic_steps:,} steps "
        f"Adam's |x| comes back to {m.tail('adam'):.2g}, {tail:.2g} η; Yogi's and AMSGrad's to "
        + _size(max(m.tail("yogi"), m.tail("amsgrad"))),
        "fails" if tail > 1e-2 else "in part" if tail > 1e-6 else "holds",
        "Vanishing gradients do it as well: s forgets, and the step grows. Adam does not come to "
        f"rest, but swings about the minimum. A larger ε stops that: with {STABLE_EPS:g} in place "
        f"of 1e-8, |x| goes to {_size(m.tail('adam', STABLE_EPS))}.",
        "reader",
    )


def _size(x: float) -> str:
    if x < np.finfo(float).tiny:
        return f"0, to the smallest number a float can hold ({x:.0e})"
    return f"{x:.2g}"


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
    ax.set(xlabel="step t", ylabel="x, minimum at -2")
    ax.set_ylim(MINIMUM - 0.12 * (top - MINIMUM), None)
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
    ax.set_title(
        f"β₂ = {BETA2}: Adam goes down at n = {max(spared, default=0)}, climbs at "
        f"{min(climbs, default=0)};\nYogi climbs at {m.points_that_climb('yogi')} of the "
        f"{len(grid)} points",
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
        f"x²/2, η = {QUADRATIC_LR}: in the second half Adam's |x|\ncomes back to "
        f"{m.tail('adam') / QUADRATIC_LR:.2g} η, Yogi's to "
        f"{_size(m.tail('yogi')).partition(',')[0]}", size="medium",
    )  # fmt: skip
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
        r"\mathrm{drift}_{\mathrm{Adam}} = -\frac{\eta}{n} \sum_{k=0}^{n-1}"
        r" \frac{v_k}{\sqrt{s_k}}, \quad \mathrm{drift}_{\mathrm{Yogi}} \to -\frac{\eta}{n^2}",
    ),
    measure=measure,
    table=table,
    judge=judge,
    draw=draw,
)

if __name__ == "__main__":
    ask("divergence", QUESTION)
