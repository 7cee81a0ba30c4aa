# %% [markdown]
"""Problems with noisy gradients of heavy tails, and the trainings on them that sweeps repeat.

``heavy_tails.py`` tunes every optimizer on each problem here.  One call trains one optimizer at all
its learning rates and from all seeds side by side.
"""

# %% What is used
from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from experiments.lineup import build
from experiments.sweep import Result
from minigrad import Tensor, squared_loss
from optim import clip_grad_value

__all__ = [
    "CLIP", "CLIPPED", "FEATURES", "LABEL_NOISE", "NOISES", "PROBLEMS", "SHORT_MEMORY", "SPARSE",
    "SPIKE", "START", "SecondMoment", "one_sided", "second_moments", "spikes", "student", "train",
    "train_noisy", "train_sparse", "trial",
]  # fmt: skip

Array = npt.NDArray[np.float64]

# %% [markdown]
# ## Noisy quadratics
#
# The plainest problem with a noisy gradient: minimize ½ x² from x = 5, where each step sees
#
#     g_t = x_{t-1} + n_t,        n_t: noise around 0
#
# and what counts is the mean of x² over a part of the path: the second half of T steps, unless said
# otherwise.  The noise n_t is N(0, 1) plus,
# with probability p, a spike of size 1000: of either sign, or always up (and then less its mean,
# 1000 p); or it follows Student's t, which has infinite variance with 2 degrees of freedom, and not
# even a mean with 1.
#
# Spikes of either sign carry no information: the best answer is to ignore them.  Spikes that always
# go up balance all the small gradients: who ignores those ends in the wrong place.

# %% The noise of each problem
SPIKE, START = 1000.0, 5.0


def spikes(rng: np.random.Generator, steps: int, p: float) -> Array:
    """Draw N(0, 1), and with probability p ±1000 on top."""
    signs = rng.choice([-SPIKE, SPIKE], steps)
    return rng.normal(size=steps) + np.where(rng.random(steps) < p, signs, 0.0)


def one_sided(rng: np.random.Generator, steps: int, p: float) -> Array:
    """Draw N(0, 1) - 1000 p, and with probability p 1000 on top: the mean is 0."""
    return rng.normal(size=steps) + np.where(rng.random(steps) < p, SPIKE, 0.0) - p * SPIKE


def student(rng: np.random.Generator, steps: int, df: float) -> Array:
    """Draw from Student's t with `df` degrees of freedom."""
    return rng.standard_t(df, steps)


NOISES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "spikes ±1000, p = 0.001": functools.partial(spikes, p=1e-3),
    "spikes ±1000, p = 0.01": functools.partial(spikes, p=1e-2),
    "spikes +1000, p = 0.001": functools.partial(one_sided, p=1e-3),
    "Student's t, 1 degree": functools.partial(student, df=1.0),
    "Student's t, 2 degrees": functools.partial(student, df=2.0),
}
SPARSE = "rare features, p = 1/j"
PROBLEMS = (*NOISES, SPARSE)

# %% [markdown]
# ## Every learning rate at once
#
# Every rule here moves x by η times something made of gradients alone.  So with x = η z, the rule
# at learning rate 1 moves z as the rule at η moves x, if both see the same gradients.  One array z,
# with a row for each η and a column for each seed, then trains them all side by side.  The seeds'
# noise is the same for all optimizers.
#
# Clipped SGD limits every element of the gradient to [-1, 1]: in one dimension, that is its norm.
# Momentum is left out: at rates as small as these problems need, it ends where SGD does.  Adam and
# Yogi are there a second time with RMSProp's β₂ = 0.99: a mean over about 100 squares, not 1,000.

# %% A step at learning rate 1
CLIPPED, CLIP = "sgd, clipped", 1.0
SHORT_MEMORY = {"adam": "adam, β₂ = 0.99", "yogi": "yogi, β₂ = 0.99"}


def rule_and_step(optimizer: str, z: Tensor) -> Callable[[], None]:
    """Return the function that makes a step from ``z.grad``, at learning rate 1."""
    rule_name = optimizer.partition(",")[0]
    short = {"betas": (0.9, 0.99)} if optimizer in SHORT_MEMORY.values() else {}
    rule = build(rule_name, [z], lr=1.0, nonfinite="ignore", **short)
    if optimizer != CLIPPED:
        return rule.step

    def clipped_step() -> None:
        clip_grad_value([z], CLIP, nonfinite="ignore")
        rule.step()

    return clipped_step


# %% A training on a noisy quadratic
def train_noisy(
    *, problem: str, optimizer: str, rates: list[float], seeds: list[int], starts: list[float],
    parts: list[list[int]],
) -> Result:  # fmt: skip
    """Return, for each start, part and seed, the mean of x² over the part, at every rate.

    A part [a, b] of the path is its steps a + 1 to b; the training ends with the last part.
    """
    borders = sorted({0, *itertools.chain(*parts)})
    noise = np.column_stack([NOISES[problem](np.random.default_rng(s), borders[-1]) for s in seeds])
    eta = np.array(rates)[:, None, None]
    x = np.broadcast_to(np.array(starts)[:, None], (len(rates), len(starts), len(seeds)))
    z = Tensor(x / eta, requires_grad=True)
    step = rule_and_step(optimizer, z)
    squares = {}  # by border: the sum of x² from the border before
    with np.errstate(all="ignore"):  # a training that diverges is a result
        for first, last in itertools.pairwise(borders):
            squares[last] = np.zeros(z.shape)
            for t in range(first, last):
                z.grad = x + noise[t]
                step()
                x = eta * z.data
                squares[last] += x * x
        result: dict[str, list[float]] = {}
        for first, last in parts:
            within = np.sum([squares[b] for b in borders if first < b <= last], axis=0)
            errors = np.moveaxis(within / (last - first), 0, -1)
            for start, of_start in zip(starts, errors, strict=True):
                trials = [trial(seed, start, [first, last]) for seed in seeds]
                result |= named(trials, of_start)
    return result


def trial(seed: int, start: float, part: Sequence[int]) -> str:
    """Return the name that a result has for a seed, a start and a part of the path."""
    first, last = part
    return f"seed {seed} from {start:g}, steps {first} to {last}"


def named(trials: list[str], errors: Array) -> dict[str, list[float]]:
    """Name each trial's errors, a row each, and write what diverged as infinity."""
    errors = np.where(np.isfinite(errors), errors, np.inf)
    return {name: [float(e) for e in row] for name, row in zip(trials, errors, strict=True)}


# %% [markdown]
# ## Rare features
#
# Linear regression on 200 features that are 1 or 0, feature j with probability 1/j: the last are
# seen once in 200 steps, and their weights have gradients in those steps only.
#
#     y = Σ_j x_j w*_j + 0.1 n,    w*_j, n ~ N(0, 1)        loss ½ (x·w - y)²,  one example a step
#
# What counts is again the mean squared error of the parameters: the mean of (w_j - w*_j)² over j at
# the end of the training.  It starts at 1, and most of it lies with the rare ones.

# %% A training on rare features
FEATURES, LABEL_NOISE = 200, 0.1


def train_sparse(
    *, problem: str, optimizer: str, rates: list[float], seeds: list[int], steps: int
) -> Result:
    """Return, for each seed, the mean of (w - w*)² at the end, at every rate."""
    errors = [_train_sparse(optimizer, np.array(rates), seed, steps) for seed in seeds]
    return named([str(seed) for seed in seeds], np.array(errors))


def _train_sparse(optimizer: str, eta: Array, seed: int, steps: int) -> Array:
    rng = np.random.default_rng(seed)
    best = rng.normal(size=(FEATURES, 1))
    present = 1 / np.arange(1, FEATURES + 1)
    z = Tensor(np.zeros((FEATURES, len(eta))), requires_grad=True)
    step = rule_and_step(optimizer, z)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            x = (rng.random((1, FEATURES)) < present).astype(float)
            y = np.repeat(x @ best + LABEL_NOISE * rng.normal(), len(eta), axis=1)
            W = Tensor(eta * z.data, requires_grad=True)  # a column for each learning rate
            squared_loss(x @ W, y).sum().backward()
            z.grad = W.grad
            step()
        error: Array = np.mean((eta * z.data - best) ** 2, axis=0)
    return error


# %% A training on any of them
def train(*, problem: str, **run: Any) -> Result:
    """Train on a problem by its name."""
    return (train_sparse if problem == SPARSE else train_noisy)(problem=problem, **run)


# %% [markdown]
# ## What the second moments tend to
#
# Adam's s is a mean of g² and tends to E[g²].  Yogi's s moves up by (1 - β₂) g² when g² is above
# it, and down by as much when g² is below: it comes to rest where both weigh the same, at the
# *median of g², weighted by g²*.  With E[g²; g² > s] for the part of E[g²] from gradients with g²
# above s, this is where E[g²; g² > s] = E[g²; g² < s].
#
#     noise                        Adam, E[g²]            Yogi, weighted median
#     N(0, 1)                      1                      2.366, the median of χ² with 3 degrees
#     and ±1000 with p = 0.001     1 + p 1000² = 1001     1000²: spikes have nearly all the weight
#
# With spikes, Yogi's steps so become √(10⁶/1001) = 31.6 times smaller than Adam's at the same η.
# That takes time: Yogi's s climbs from 0 by about p (1 - β₂) 1000² = 1 a step, and needs a million.
# So it is started 1.5% below and above the median here, and x is kept at the minimum.  In trainings
# of fewer steps than that, s is still on its way up: how Yogi compares with Adam depends on T.

# %% Their measurement
MOMENT_STEPS, MOMENT_REPLICAS = 30_000, 100


@dataclass(frozen=True)
class SecondMoment:
    """What the second moment of an optimizer comes to, on gradients that are noise alone.

    Attributes
    ----------
    noise, optimizer : str
        Which noise, and which optimizer.
    theory, measured : float
        The limit, and the mean of s (over both starts, for Yogi under spikes).
    """

    noise: str
    optimizer: str
    theory: float
    measured: float


def second_moment(optimizer: str, p: float, seed: int, start: float = 0.0) -> float:
    """Return the mean of s over replicas and the last 10,000 of 30,000 gradients at x = 0."""
    rng = np.random.default_rng(seed)
    x = Tensor(np.zeros(MOMENT_REPLICAS), requires_grad=True)
    first = {"initial_accumulator": start} if start else {}
    rule = build(optimizer, [x], lr=0.0, **first)
    noise = spikes(rng, MOMENT_STEPS * MOMENT_REPLICAS, p).reshape(MOMENT_STEPS, -1)
    looks = []
    for t in range(MOMENT_STEPS):
        x.grad = noise[t]
        rule.step()
        if t >= MOMENT_STEPS - 10_000 and t % 500 == 0:
            looks.append(np.mean(rule.state_dict()["state"][0]["s"]))
    return float(np.mean(looks))


def second_moments(seed: int) -> list[SecondMoment]:
    """Measure s for Adam and Yogi, under N(0, 1) and under spikes with p = 0.001."""
    both = [second_moment("yogi", 1e-3, seed, around * SPIKE**2) for around in (0.985, 1.015)]
    normal, rare = "N(0, 1)", "spikes ±1000, p = 0.001"
    return [
        SecondMoment(normal, "adam", 1.0, second_moment("adam", 0.0, seed)),
        SecondMoment(normal, "yogi", 2.366, second_moment("yogi", 0.0, seed)),
        SecondMoment(rare, "adam", 1 + 1e-3 * SPIKE**2, second_moment("adam", 1e-3, seed)),
        SecondMoment(rare, "yogi", SPIKE**2, float(np.mean(both))),
    ]
