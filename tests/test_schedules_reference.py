"""Schedules against the rates that PyTorch and Optax gave, step by step, in float64."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from optim import schedules
from optim.schedules import Schedule

RUNS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "schedules.json").read_text(encoding="utf-8")
)["runs"]
ACCURACY = 2e-15  # relative to the largest rate of a run


def inverse_time(t: int) -> float:
    return 0.1 / (1 + t / 10)


def named(run: dict[str, Any]) -> Schedule:
    names = {name: getattr(schedules, name) for name in schedules.__all__}
    schedule = eval(run["schedule"], names | {"inverse_time": inverse_time})
    assert isinstance(schedule, Schedule)
    return schedule


def largest_error(run: dict[str, Any], schedule: Callable[[int], float]) -> float:
    errors = [abs(schedule(t) - value) for t, value in enumerate(run["values"])]
    return max(errors) / max(run["values"])


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run['source']}: {run['schedule']}")
def test_rates_are_those_recorded(run: dict[str, Any]) -> None:
    assert largest_error(run, named(run)) < ACCURACY


def test_every_schedule_is_recorded() -> None:
    recorded = {type(named(run)).__name__ for run in RUNS}
    assert recorded == set(schedules.__all__) - {"Schedule", "Scheduler"}


# Each schedule with one mistake: a recorded run of that schedule must notice.


def one_late(s: Any, t: int) -> float:
    return float(s(max(t - 1, 0)))


def one_early(s: Any, t: int) -> float:
    return float(s(t + 1))


def wave(s: Any, u: float) -> float:
    return float((s.lr - s.end) * (1 + math.cos(math.pi * u)) / 2 + s.end)


def one_cycle(s: Any, t: int, peak: float, end: float, last: float) -> float:
    first = s.lr / s.div_factor
    a, b, u = (first, s.lr, t / peak) if t <= peak else (s.lr, last, (t - peak) / (end - peak))
    w = (1 - math.cos(math.pi * u)) / 2 if s.anneal_strategy == "cos" else u
    return float(a + w * (b - a))


def restarts_as_long_as_all_before(s: Any, t: int) -> float:
    start, period = 0, s.period
    while t >= start + period:
        start, period = start + period, s.multiplier * (start + period)
    return wave(s, (t - start) / period)


MISTAKES: dict[str, tuple[str, Callable[[Any, int], float]]] = {
    "Step, a step late": ("Step", one_late),
    "Step, a step early": ("Step", one_early),
    "Step, not rounded down": ("Step", lambda s, t: s.lr * s.gamma ** (t / s.step_size)),
    "MultiStep, a step late": ("MultiStep", one_late),
    "MultiStep, γ once": ("MultiStep", lambda s, t: s.lr * s.gamma ** (t >= s.milestones[0])),
    "Exponential, t from 1": ("Exponential", one_early),
    "Exponential, e": ("Exponential", lambda s, t: s.lr * math.exp(-t * (1 - s.gamma))),
    "Polynomial, a step early": ("Polynomial", one_early),
    "Polynomial, power on t/T": (
        "Polynomial",
        lambda s, t: s.lr + (s.end - s.lr) * min(1, t / s.steps) ** s.power,
    ),
    "Polynomial, power on the end": (
        "Polynomial",
        lambda s, t: s.lr * (1 - min(1, t / s.steps)) ** s.power + s.end,
    ),
    "Polynomial, beyond T": ("Polynomial", lambda s, t: s.lr + (s.end - s.lr) * t / s.steps),
    "InverseSquareRoot, s = t": (
        "InverseSquareRoot",
        lambda s, t: s.lr * min(t / s.warmup, math.sqrt(s.warmup / max(t, 1))),
    ),
    "Cosine, without the half": ("Cosine", lambda s, t: wave(s, t / s.steps) * 2 - s.end),
    "Cosine, without π": ("Cosine", lambda s, t: wave(s, t / s.steps / math.pi)),
    "Cosine, T - 1": ("Cosine", lambda s, t: wave(s, min(1, t / (s.steps - 1)))),
    "Cosine, end as a part": ("Cosine", lambda s, t: wave(s, min(1, t / s.steps)) * (1 - s.end)),
    "Cosine, up again": ("Cosine", lambda s, t: wave(s, t / s.steps)),
    "CosineRestarts, no restart": ("CosineRestarts", lambda s, t: wave(s, min(1, t / s.period))),
    "CosineRestarts, a step late": ("CosineRestarts", one_late),
    "CosineRestarts, end used": (
        "CosineRestarts",
        lambda s, t: wave(s, t % (s.period + 1) / s.period),
    ),
    "CosineRestarts, T_i of all before": ("CosineRestarts", restarts_as_long_as_all_before),
    "LinearWarmup, t from 1": ("LinearWarmup", one_early),
    "LinearWarmup, start added": (
        "LinearWarmup",
        lambda s, t: s.start + s.lr * min(1, t / s.steps),
    ),
    "CosineWarmup, linear": (
        "CosineWarmup",
        lambda s, t: s.start + (s.lr - s.start) * min(1, t / s.steps),
    ),
    "CosineWarmup, t from 1": ("CosineWarmup", one_early),
    "OneCycle, peak at p T": (
        "OneCycle",
        lambda s, t: one_cycle(s, t, s.pct_start * s.steps, s.steps - 1, s(s.steps)),
    ),
    "OneCycle, peak rounded": (
        "OneCycle",
        lambda s, t: one_cycle(s, t, int(s.pct_start * s.steps - 1) or 1, s.steps - 1, s(s.steps)),
    ),
    "OneCycle, end at T": (
        "OneCycle",
        lambda s, t: one_cycle(s, t, s.pct_start * s.steps - 1, s.steps, s(s.steps)),
    ),
    "OneCycle, last of the peak": (
        "OneCycle",
        lambda s, t: one_cycle(
            s, t, s.pct_start * s.steps - 1, s.steps - 1, s.lr / s.final_div_factor
        ),
    ),
    "WarmupStableDecay, down at once": (
        "WarmupStableDecay",
        lambda s, t: s(t if t < s.warmup else t + s.stable),
    ),
    "WarmupStableDecay, t from 1": ("WarmupStableDecay", one_early),
    "Piecewise, a step late": ("Piecewise", one_late),
    "Joined, at the same t": ("Joined", lambda s, t: (s.first if t < s.at else s.second)(t)),
    "Joined, a step late": (
        "Joined",
        lambda s, t: s.first(t) if t <= s.at else s.second(t - s.at),
    ),
    "Joined, second a step on": (
        "Joined",
        lambda s, t: s.first(t) if t < s.at else s.second(t - s.at + 1),
    ),
    "Function, t from 1": ("Function", one_early),
    "Constant, decaying": ("Constant", lambda s, t: s.lr / (1 + t)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_records_notice(mistake: str) -> None:
    name, wrong = MISTAKES[mistake]
    errors = [
        largest_error(run, partial(wrong, schedule))
        for run in RUNS
        if type(schedule := named(run)).__name__ == name
    ]
    assert max(errors) > 1e9 * ACCURACY


def test_every_schedule_has_a_planted_mistake() -> None:
    assert {name for name, _ in MISTAKES.values()} == {type(named(run)).__name__ for run in RUNS}
