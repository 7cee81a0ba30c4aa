"""One gradient in n is large: a problem on which Adam can climb, and its drift in closed form.

n components take turns.  One has gradient n, the n - 1 others have -1: over a cycle they sum to
+1, so the way down is to the left.  From x = -1 on all gradients shrink, to 0 at the minimum -2.

    g_t = n d  if t mod n = 1,  else  -d         d = 1 if x ≥ -1, else x + 2

Adam divides by √s.  The large gradient raises s in the very step in which it counts; by the time of
the next one s has forgotten it, and n - 1 small gradients have had full-sized steps.

Far up the slope, where d = 1, gradients repeat every n steps, and so do v and s in the end.  With k
steps since the large gradient, geometric series give them:

    v_k = -1 + (n + 1)  (1 - β₁) β₁ᵏ / (1 - β₁ⁿ)
    s_k =  1 + (n² - 1) (1 - β₂) β₂ᵏ / (1 - β₂ⁿ)

Adam's drift, in η per step, is - 1/n Σ v_k / √s_k, the sum from k = 0 to n - 1.  Where it is
positive, Adam climbs for ever, however small η is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from experiments.sweep import Result
from experiments.trainings.walk import walk

__all__ = [
    "BETA1",
    "CYCLES",
    "LR",
    "MINIMUM",
    "RECORDS",
    "SPACINGS",
    "Cycle",
    "adam_drift",
    "cycle",
    "edge_of_climbing",
    "first_climb",
    "measure_drift",
    "walk_cycle",
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
    """A construction, and where Adam, AMSGrad and Yogi are known to end, where that is known."""

    n: int
    beta1: float
    beta2: float
    eps: float
    steps: int
    known: tuple[str, ...]

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
    k = np.arange(n)
    v = -1 + (n + 1) * (1 - beta1) * beta1**k / (1 - beta1**n)
    s = 1 + (n**2 - 1) * (1 - beta2) * beta2**k / (1 - beta2**n)
    return -float(np.mean(v / np.sqrt(s)))


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
