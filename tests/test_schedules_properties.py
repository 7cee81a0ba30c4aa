"""What holds for every schedule, whatever its parameters."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optim import schedules
from optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    CosineWarmup,
    Exponential,
    Function,
    InverseSquareRoot,
    Joined,
    LinearWarmup,
    MultiStep,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
    WarmupStableDecay,
)
from optim.schedules.interpolation import interpolate

RATES = st.floats(0, 10) | st.sampled_from([0.0, 0.1, 5e-324, 1e-300])
COUNTS = st.integers(1, 300)
PHASES = st.integers(0, 300)
FACTORS = st.floats(0.01, 1)
STEPS = st.lists(COUNTS, min_size=1, max_size=5, unique=True).map(sorted).map(tuple)
EXPONENTS = st.floats(0.1, 5)


def inverse_time(t: int) -> float:
    return 0.1 / (1 + t)


def piecewise(boundaries: Any) -> st.SearchStrategy[Piecewise]:
    n = len(boundaries) + 1
    values = st.lists(RATES, min_size=n, max_size=n).map(tuple)
    return st.builds(Piecewise, st.just(boundaries), values)


SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "Constant": st.builds(Constant, RATES),
    "Step": st.builds(Step, RATES, COUNTS, FACTORS),
    "MultiStep": st.builds(MultiStep, RATES, STEPS, FACTORS),
    "Piecewise": STEPS.flatmap(piecewise),
    "Exponential": st.builds(Exponential, RATES, FACTORS),
    "Polynomial": st.builds(Polynomial, RATES, COUNTS, EXPONENTS, RATES),
    "InverseSquareRoot": st.builds(InverseSquareRoot, RATES, COUNTS),
    "Cosine": st.builds(Cosine, RATES, COUNTS, RATES),
    "CosineRestarts": st.builds(CosineRestarts, RATES, COUNTS, st.integers(1, 4), RATES),
    "LinearWarmup": st.builds(LinearWarmup, RATES, COUNTS, RATES),
    "CosineWarmup": st.builds(CosineWarmup, RATES, COUNTS, RATES),
    "OneCycle": st.builds(
        OneCycle, RATES, st.integers(12, 300), st.floats(0.1, 0.9), st.floats(1, 100),
        st.floats(1, 1e5), st.sampled_from(["cos", "linear"]),
    ),
    "WarmupStableDecay": st.builds(
        WarmupStableDecay, RATES, PHASES, PHASES, COUNTS, RATES, RATES,
        st.sampled_from(["linear", "cosine", "1-sqrt"]),
    ),
    "Function": st.just(Function(inverse_time)),
}  # fmt: skip
EVERY = SIMPLE | {
    "Joined": st.builds(Joined, st.one_of(*SIMPLE.values()), st.one_of(*SIMPLE.values()), COUNTS)
}
NOT_SAMPLED = {"Schedule", "Scheduler"}


def test_every_exported_schedule_is_sampled() -> None:
    assert set(EVERY) == set(schedules.__all__) - NOT_SAMPLED


@pytest.mark.parametrize("name", EVERY)
@given(data=st.data(), ts=st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_pure_the_order_of_calls_does_not_matter(name: str, data: Any, ts: list[int]) -> None:
    schedule = data.draw(EVERY[name])
    in_order = {t: schedule(t) for t in sorted(ts)}
    assert [schedule(t) for t in ts] == [in_order[t] for t in ts]


@pytest.mark.parametrize("name", EVERY)
@given(data=st.data())
def test_the_repr_makes_an_equal_schedule(name: str, data: Any) -> None:
    schedule = data.draw(EVERY[name])
    names = {other: getattr(schedules, other) for other in schedules.__all__}
    again = eval(repr(schedule), names | {"inverse_time": inverse_time})
    assert again == schedule
    assert hash(again) == hash(schedule)


def bounds(schedule: Any) -> tuple[float, float]:
    """The least and largest value that a schedule's parameters allow it."""
    if isinstance(schedule, Joined):
        low, high = zip(bounds(schedule.first), bounds(schedule.second), strict=True)
        return min(low), max(high)
    if isinstance(schedule, Piecewise):
        return min(schedule.values), max(schedule.values)
    if isinstance(schedule, Function):
        return 0.0, 0.1
    if isinstance(schedule, OneCycle):
        return schedule.lr / schedule.div_factor / schedule.final_div_factor, schedule.lr
    if isinstance(schedule, Constant):
        return schedule.lr, schedule.lr
    if isinstance(schedule, Step | MultiStep | Exponential | InverseSquareRoot):
        return 0.0, schedule.lr
    ends = [getattr(schedule, n) for n in ("lr", "start", "end") if hasattr(schedule, n)]
    return min(ends), max(ends)


@pytest.mark.parametrize("name", EVERY)
@given(data=st.data(), t=st.integers(0, 1000) | st.integers(0, 10**18))
def test_values_are_floats_within_bounds_without_any_tolerance(
    name: str, data: Any, t: int
) -> None:
    schedule = data.draw(EVERY[name])
    value = schedule(t)
    low, high = bounds(schedule)
    assert type(value) is float
    assert math.isfinite(value)
    assert low <= value <= high


@given(
    start=st.floats(0, 1e308),
    stop=st.floats(0, 1e308),
    ws=st.lists(st.floats(0, 1) | st.just(1 - 2**-53), min_size=2).map(sorted),
)
def test_interpolation_goes_from_start_to_stop_and_never_back_or_beyond(
    start: float, stop: float, ws: list[float]
) -> None:
    values = [interpolate(start, stop, w) for w in (0.0, *ws, 1.0)]
    assert (values[0], values[-1]) == (start, stop)
    assert values == sorted(values, reverse=stop < start)


def is_monotone(schedule: Schedule, ts: range, *, down: bool) -> bool:
    values = [schedule(t) for t in ts]
    return all((b <= a) if down else (b >= a) for a, b in pairwise(values))


@pytest.mark.parametrize("name", ["Constant", "Step", "MultiStep", "Exponential", "Function"])
@given(data=st.data())
def test_decays_never_rise(name: str, data: Any) -> None:
    assert is_monotone(data.draw(EVERY[name]), range(310), down=True)


@pytest.mark.parametrize("name", ["Polynomial", "Cosine", "LinearWarmup", "CosineWarmup"])
@given(data=st.data())
def test_from_one_rate_to_another_never_turns(name: str, data: Any) -> None:
    schedule = data.draw(EVERY[name])
    start, stop = schedule(0), schedule(300)
    assert {start, stop} == {schedule.lr, getattr(schedule, "start", getattr(schedule, "end", 0))}
    assert is_monotone(schedule, range(310), down=stop <= start)


@given(schedule=EVERY["InverseSquareRoot"])
def test_inverse_square_root_rises_then_falls(schedule: InverseSquareRoot) -> None:
    w = schedule.warmup
    assert schedule(w - 1) == schedule.lr
    assert is_monotone(schedule, range(w), down=False)
    assert is_monotone(schedule, range(w - 1, w + 300), down=True)


@given(schedule=EVERY["OneCycle"])
def test_one_cycle_rises_then_falls(schedule: OneCycle) -> None:
    peak = schedule.pct_start * schedule.steps - 1
    assert is_monotone(schedule, range(math.floor(peak) + 1), down=False)
    assert is_monotone(schedule, range(math.ceil(peak), 310), down=True)


@given(schedule=EVERY["WarmupStableDecay"])
def test_warmup_stable_decay_turns_nowhere_within_a_part(schedule: WarmupStableDecay) -> None:
    top, bottom = schedule.warmup, schedule.warmup + schedule.stable
    assert is_monotone(schedule, range(top + 1), down=schedule.lr <= schedule.start)
    assert {schedule(t) for t in range(top, bottom + 1)} == {schedule.lr}
    ends = range(bottom, bottom + schedule.decay + 3)
    assert is_monotone(schedule, ends, down=schedule.end <= schedule.lr)


@given(schedule=EVERY["CosineRestarts"], cycle=st.integers(0, 5))
def test_each_cycle_of_restarts_is_a_cosine_of_its_own_length(
    schedule: CosineRestarts, cycle: int
) -> None:
    start = sum(schedule.period * schedule.multiplier**i for i in range(cycle))
    period = schedule.period * schedule.multiplier**cycle
    cosine = Cosine(schedule.lr, period, schedule.end)
    for t in {0, 1 % period, period // 2, period - 1}:
        assert schedule(start + t) == cosine(t)


@given(first=st.one_of(*SIMPLE.values()), second=st.one_of(*SIMPLE.values()), at=COUNTS)
def test_joined_is_one_then_the_other(first: Schedule, second: Schedule, at: int) -> None:
    joined = first.then(second, at=at)
    for t in {0, at - 1}:
        assert joined(t) == first(t)
    for t in (0, 1, 200):
        assert joined(at + t) == second(t)
