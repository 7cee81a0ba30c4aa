"""One gradient in n is large: problems on which Adam can climb, and their drift in closed form.

n components take turns.  One has gradient n, the n - 1 others have -1: over a cycle they sum to
+1, so the way down is to the left.  From x = -1 on all gradients shrink, to 0 at the minimum -2.

    g_t = n d  if t mod n = 1,  else  -d         d = 1 if x ≥ -1, else x + 2

Adam divides by √s.  The large gradient raises s in the very step in which it counts; by the time of
the next one s has forgotten it, and n - 1 small gradients have had full-sized steps.

Far up the slope, where d = 1, gradients repeat every n steps, and so do v and s in the end.  With k
steps since the large gradient, geometric series give them:

    v_k = -1 + (n + 1)  (1 - β₁) β₁ᵏ / (1 - β₁ⁿ)
    s_k =  1 + (n² - 1) (1 - β₂) β₂ᵏ / (1 - β₂ⁿ)

The drift, in η per step, is - 1/n Σ v_k / √s_k, the sum from k = 0 to n - 1.  Where it is positive,
Adam climbs for ever, however small η is.

AMSGrad and Yogi divide all gradients of a cycle by one number; so the sum of the gradients decides,
which is +1, and so is the sum of the v_k:

    AMSGrad    by √max s = √s_0                      drift  -1/(n √s_0)
    Yogi       by n, in the end: s stays near n²     drift  -1/n²

Yogi's s goes up by (1 - β₂) n² with every large gradient until it is n², after about n/(1 - β₂)
steps, and down by 1 - β₂ with a small one: through a cycle it changes by a share 1 - β₂ at most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.lineup import OPTIMIZERS
from experiments.sweep import Result
from experiments.trainings.walk import SETTLED, walk
from optim.adam import adam_rule
from optim.amsgrad import amsgrad_rule
from optim.yogi import yogi_rule

__all__ = [
    "BETA1",
    "CYCLES",
    "LR",
    "MINIMUM",
    "RECORDS",
    "REDDI_CYCLE",
    "SPACINGS",
    "Cycle",
    "adam_drift",
    "amsgrad_drift",
    "cycle",
    "edge_of_climbing",
    "first_climb",
    "measure_drift",
    "walk_cycle",
    "walk_reddi",
    "yogi_drift",
]

Array = npt.NDArray[np.float64]

LR = 0.01
MINIMUM = -2.0
RECORDS = 500
"""How many points of a path are kept."""

BETA1 = 0.9
CIRCLE = 2520
SPACINGS = [n for n in range(2, 505) if CIRCLE % n == 0]
"""Divisors of 2520, so that after 2520 steps all cycles have come full circle."""

TOP = 1000.0


def cycle(t: int, x: Array, g: Array, n: Array) -> None:
    """Write the gradient of step t into g; n has a number for each coordinate."""
    for i in range(x.size):
        d = 1.0 if x[i] >= -1 else x[i] + 2
        g[i] = n[i] * d if t % n[i] == 1 else -d


@dataclass(frozen=True)
class Cycle:
    """A construction, and where Adam, AMSGrad and Yogi are expected to end, where that is known."""

    n: int
    beta1: float
    beta2: float
    eps: float
    steps: int
    expected: tuple[str, ...]

    def __str__(self) -> str:
        return f"n={self.n}, β₁={self.beta1:g}, β₂={self.beta2:g}, {self.steps:,} steps"


CYCLES = (
    Cycle(5, 0.0, 0.1, 1e-8, 20_000, ("+96.2", "", "-2.000")),
    Cycle(20, 0.9, 0.9, 1e-8, 200_000, ("+54.9", "-2.000", "-2.000")),
    Cycle(100, 0.9, 0.999, 1e-3, 2_000_000, ("+20.3", "", "-2.000")),
    Cycle(50, 0.9, 0.999, 1e-3, 2_000_000, ("-2.000", "-2.000", "-2.000")),
)


def walk_cycle(
    *, optimizer: str, n: int, beta1: float, beta2: float, eps: float, steps: int
) -> Result:
    """Walk from x = 0; returns ``x`` at evenly spaced steps, the start first."""
    path = walk(
        optimizer, cycle, steps, problem=[n], every=steps // RECORDS,
        lr=LR, betas=(beta1, beta2), eps=eps,
    )  # fmt: skip
    return {"x": [0.0, *path.x[:, 0].tolist()]}


def adam_drift(n: int, beta1: float, beta2: float) -> float:
    """How far Adam goes up per step of a cycle of n, in η, with ε = 0: the equations above.

    Examples
    --------
    >>> round(adam_drift(50, 0.9, 0.999), 5), round(adam_drift(100, 0.9, 0.999), 5)
    (-0.0017, 0.00101)
    """
    v = -1 + (n + 1) * (1 - beta1) * beta1 ** np.arange(n) / (1 - beta1**n)
    return -float(np.mean(v / np.sqrt(_adams_s(n, beta2))))


def _adams_s(n: int, beta2: float) -> Array:
    k = np.arange(n, dtype=np.float64)
    return 1 + (n**2 - 1) * (1 - beta2) * beta2**k / (1 - beta2**n)


def amsgrad_drift(n: int, beta2: float) -> float:
    """AMSGrad's, as `adam_drift`; β₁ does not matter.

    Examples
    --------
    >>> round(amsgrad_drift(36, 0.999), 5)
    -0.00453
    """
    return -1 / (n * float(np.sqrt(_adams_s(n, beta2)[0])))


def yogi_drift(n: int) -> float:
    """Yogi's in the end, as `adam_drift`, to a share (1 - β₂)/2 of it; β₁ does not matter.

    Examples
    --------
    >>> round(yogi_drift(36), 5)
    -0.00077
    """
    return -1 / n**2


def first_climb(beta1: float, beta2: float) -> int:
    """Return the smallest n at which Adam's drift is upwards."""
    return next(n for n in range(2, 10_000) if adam_drift(n, beta1, beta2) > 0)


def edge_of_climbing(beta1: float, beta2: float) -> float:
    """Where the drift is 0, between the two n at which it changes its sign.

    Without momentum and for a long memory, the sum says that n is near 2/√(1-β₂):

    >>> round(edge_of_climbing(0.0, 0.9999), 1)
    200.7
    """
    n = first_climb(beta1, beta2)
    below, above = adam_drift(n - 1, beta1, beta2), adam_drift(n, beta1, beta2)
    return n - above / (above - below)


def measure_drift(*, optimizer: str, beta2: float) -> Result:
    """Walk on the slope with all spacings side by side; returns their ``drift`` in the end.

    Steps are made until s has forgotten 50 times how it began.
    """
    steps = (int(50 / (1 - beta2)) // CIRCLE + 2) * CIRCLE
    path = walk(
        optimizer, cycle, steps, problem=SPACINGS, start=np.full(len(SPACINGS), TOP), every=CIRCLE,
        corrected=False, lr=LR, betas=(BETA1, beta2), eps=1e-8,
    )  # fmt: skip
    return {"drift": ((path.x[-1] - path.x[-2]) / (CIRCLE * LR)).tolist()}


# Theorem 1 of Reddi, Kale & Kumar (2018), the same in small: a cycle of 3, x in [-1, 1], and a
# learning rate that falls as theory wants it.
REDDI_CYCLE = 3
RULES: dict[str, Callable[..., Any]] = {
    "adam": adam_rule, "amsgrad": amsgrad_rule, "yogi": yogi_rule,
}  # fmt: skip


def walk_reddi(*, optimizer: str, beta2: float, steps: int) -> Result:
    """Walk from x = 0 and clip x to [-1, 1] after each step; ``x`` is the whole path.

    The gradient is 3 if t mod 3 = 1, else -1; β₁ = 0, η_t = 0.1/√t, no bias correction.
    """
    rule, kind = RULES[optimizer], OPTIMIZERS[optimizer]
    fixed = {"betas": (0.0, beta2), "eps": 1e-8, "weight_decay": 0.0, "initial_accumulator": 0.0}
    x = 0.0
    state = list(kind.initial_state(amsgrad=optimizer == "amsgrad", **fixed).values())
    path = [x]
    for t in range(1, steps + 1):
        g = float(REDDI_CYCLE) if t % REDDI_CYCLE == 1 else -1.0
        coefficients = kind.coefficients(SETTLED, lr=0.1 / np.sqrt(t), **fixed)
        x, *state = rule(x, g, *state, *coefficients)
        x = float(min(max(x, -1.0), 1.0))
        path.append(x)
    return {"x": path}
