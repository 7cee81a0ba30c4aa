"""Schedules: closed forms, joints, where values are first reached, and what is refused."""

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

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

# Closed forms


def test_step_and_multistep_count_jumps_exactly() -> None:
    for t in range(200):
        assert Step(1.0, 7, gamma=0.5)(t) == 2.0 ** -(t // 7)
        jumps = sum(m <= t for m in (3, 50, 51))
        assert MultiStep(1.0, (3, 50, 51), gamma=0.5)(t) == 2.0**-jumps


def test_exponential_is_the_rounded_power_after_many_steps() -> None:
    gamma = 0.999
    for t in (0, 1, 10, 1000, 10_000):
        exact = float(Fraction(gamma) ** t)
        assert Exponential(1.0, gamma)(t) == pytest.approx(exact, rel=1e-15)


def test_polynomial_of_power_one_is_a_straight_line() -> None:
    schedule = Polynomial(0.75, steps=64, end=0.25)
    assert [schedule(t) for t in range(65)] == [0.75 - t / 128 for t in range(65)]


def test_polynomial_of_power_two_is_a_parabola() -> None:
    schedule = Polynomial(1.0, steps=16, power=2.0)
    assert [schedule(t) for t in range(17)] == [((16 - t) / 16) ** 2 for t in range(17)]


def test_cosine_at_thirds_and_halves() -> None:
    schedule = Cosine(1.0, steps=6, end=0.5)
    expected = [1.0, 0.75 + math.sqrt(3) / 8, 0.875, 0.75, 0.625, 0.75 - math.sqrt(3) / 8, 0.5]
    np.testing.assert_allclose([schedule(t) for t in range(7)], expected, rtol=1e-15)


def test_cosine_is_as_far_from_its_middle_before_as_after() -> None:
    schedule = Cosine(0.3, steps=101, end=0.1)
    for t in range(102):
        assert schedule(t) + schedule(101 - t) == pytest.approx(0.4, rel=1e-15)


def test_cosine_warmup_is_cosine_backwards() -> None:
    up, down = CosineWarmup(0.3, steps=50, start=0.1), Cosine(0.3, steps=50, end=0.1)
    for t in range(51):
        assert up(t) == pytest.approx(down(50 - t), rel=1e-15)


def test_inverse_square_root_is_equation_3_of_the_transformer_paper() -> None:
    d, w = 512, 4000
    schedule = InverseSquareRoot(lr=1 / math.sqrt(d * w), warmup=w)
    for t in (0, 1, 1000, 3998, 3999, 4000, 15_999, 100_000):
        s = t + 1
        paper = d**-0.5 * min(s**-0.5, s * w**-1.5)
        assert schedule(t) == pytest.approx(paper, rel=1e-15)


def test_inverse_square_root_first_step_is_not_zero_and_peak_is_step_w() -> None:
    schedule = InverseSquareRoot(lr=1.0, warmup=4)
    assert [schedule(t) for t in range(5)] == [0.25, 0.5, 0.75, 1.0, math.sqrt(0.8)]
    assert InverseSquareRoot(lr=3.0, warmup=1)(0) == 3.0


def test_linear_one_cycle_is_two_straight_lines() -> None:
    schedule = OneCycle(
        1.0, steps=13, pct_start=5 / 13, div_factor=2, final_div_factor=4, anneal_strategy="linear"
    )
    up, down = np.linspace(0.5, 1, 5), np.linspace(1, 0.125, 9)
    np.testing.assert_allclose([schedule(t) for t in range(13)], [*up, *down[1:]], rtol=1e-15)


@pytest.mark.parametrize(
    ("shape", "psi"),
    [
        ("linear", lambda u: 1 - u),
        ("cosine", lambda u: math.cos(math.pi * u / 2) ** 2),
        ("1-sqrt", lambda u: 1 - u**0.5),
    ],
)
def test_warmup_stable_decay_is_a_trapezoid(shape: Any, psi: Callable[[float], float]) -> None:
    schedule = WarmupStableDecay(0.4, 4, 3, 8, start=0.2, end=0.1, decay_shape=shape)
    up, level = [0.2, 0.25, 0.3, 0.35], [0.4] * 3
    down = [0.1 + 0.3 * psi(u / 8) for u in range(9)]
    expected = [*up, *level, *down, 0.1, 0.1]
    np.testing.assert_allclose([schedule(t) for t in range(18)], expected, rtol=1e-14)


def test_warmup_stable_decay_without_warmup_or_stable_part_is_the_decay() -> None:
    schedule, cosine = WarmupStableDecay(0.4, 0, 0, 9, decay_shape="cosine"), Cosine(0.4, 9)
    assert [schedule(t) for t in range(12)] == [cosine(t) for t in range(12)]


# Off by one


@pytest.mark.parametrize(
    ("schedule", "last_but_one", "value"),
    [
        (Polynomial(0.3, steps=20, end=0.1), 19, 0.1),
        (Cosine(0.3, steps=20, end=0.1), 19, 0.1),
        (LinearWarmup(0.3, steps=20, start=0.1), 19, 0.3),
        (CosineWarmup(0.3, steps=20, start=0.1), 19, 0.3),
        (OneCycle(0.3, steps=20, div_factor=3.0, final_div_factor=1.0), 18, 0.3 / 3.0),
        (WarmupStableDecay(0.3, 5, 5, 10, end=0.1), 19, 0.1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Schedule) else "",
)
def test_the_end_is_first_reached_where_the_docstring_says_and_then_stays(
    schedule: Schedule, last_but_one: int, value: float
) -> None:
    assert schedule(last_but_one) != value
    for t in (last_but_one + 1, last_but_one + 2, 1000, 10**12):
        assert schedule(t) == value


@pytest.mark.parametrize("m", [1, 2, 3, 5, 10])
def test_restarts_are_exact_where_a_logarithm_would_round(m: int) -> None:
    schedule, t, period = CosineRestarts(0.3, period=1, multiplier=m, end=0.1), 0, 1
    for _ in range(12):
        assert schedule(t) == 0.3
        if period > 1:
            assert schedule(t - 1 + period) < 0.3
        t, period = t + period, period * m


def test_restarts_approach_the_end_and_never_use_it() -> None:
    schedule = CosineRestarts(0.3, period=4, end=0.1)
    assert min(schedule(t) for t in range(100)) == schedule(3) > 0.1


def test_restarts_with_equal_periods_are_found_at_once_for_a_large_step() -> None:
    schedule = CosineRestarts(0.3, period=7)
    assert schedule(7 * 10**15 + 2) == schedule(2)


def test_a_boundary_is_the_first_step_of_the_new_value() -> None:
    assert Piecewise((5,), (1.0, 2.0))(4) == 1.0
    assert Piecewise((5,), (1.0, 2.0))(5) == 2.0
    assert MultiStep(1.0, (5,))(4) == 1.0
    assert MultiStep(1.0, (5,))(5) == 0.1
    assert Step(1.0, 5)(4) == 1.0
    assert Step(1.0, 5)(5) == 0.1


def test_one_cycle_has_its_peak_where_a_whole_number_of_steps_leads_up() -> None:
    schedule = OneCycle(0.3, steps=100, pct_start=0.25)
    assert [t for t in range(100) if schedule(t) == 0.3] == [24]


# Joining


def test_joined_second_starts_from_its_own_beginning() -> None:
    first, second = Polynomial(1.0, 10), Exponential(0.5, 0.9)
    joined = first.then(second, at=4)
    assert joined == Joined(first, second, 4)
    assert [joined(t) for t in range(9)] == [first(t) for t in range(4)] + [
        second(t) for t in range(5)
    ]


@pytest.mark.parametrize("warmup", [LinearWarmup, CosineWarmup])
@pytest.mark.parametrize("lr", [0.1, 0.29, 0.3, 0.7, 1e-5])
def test_a_warmup_meets_what_follows_without_a_jump_or_a_lost_step(warmup: Any, lr: float) -> None:
    up = warmup(lr, steps=7, start=0.03)
    for after in (Cosine(lr, 20, end=0.01), Polynomial(lr, 20), Constant(lr), Step(lr, 9)):
        joined = up.then(after, at=7)
        assert up(7) == after(0) == joined(7) == lr
        assert joined(6) == up(6) != lr
        assert joined(8) == after(1)


def test_joining_twice_counts_the_steps_of_the_whole() -> None:
    joined = Constant(1.0).then(Constant(2.0), at=3).then(Polynomial(3.0, 3), at=5)
    assert [joined(t) for t in range(9)] == [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 2.0, 1.0, 0.0]


def test_joining_a_joined_schedule_as_second_counts_from_its_start() -> None:
    inner = Constant(2.0).then(Constant(3.0), at=2)
    assert [Constant(1.0).then(inner, at=3)(t) for t in range(7)] == [1, 1, 1, 2, 2, 3, 3]


def test_interpolation_is_exact_at_the_end_where_the_formula_is_not() -> None:
    assert 0.03 + 1.0 * (0.29 - 0.03) != 0.29
    assert interpolate(0.03, 0.29, 1.0) == 0.29


# What a schedule is


def test_the_repr_is_the_identity() -> None:
    schedule = Cosine(0.1, np.int64(1000))
    assert repr(schedule) == "Cosine(lr=0.1, steps=1000, end=0.0)"
    assert schedule == Cosine(np.float64(0.1), 1000, 0)
    assert hash(schedule) == hash(Cosine(0.1, 1000))
    assert repr(MultiStep(1, [3, np.int32(5)])) == "MultiStep(lr=1.0, milestones=(3, 5), gamma=0.1)"
    assert repr(Constant(1).then(Constant(2), at=3)) == (
        "Joined(first=Constant(lr=1.0), second=Constant(lr=2.0), at=3)"
    )


def test_a_schedule_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cosine(0.1, 10).lr = 0.2  # type: ignore[misc]


def test_numpy_integers_are_steps() -> None:
    schedule = Cosine(0.1, steps=10)
    for t in (np.int64(3), np.uint8(3), np.arange(5)[3]):
        assert schedule(t) == schedule(3)
        assert type(schedule(t)) is float


@pytest.mark.parametrize("t", [1.0, 0.5, True, np.float64(1), "1", None, np.arange(3), math.nan])
def test_error_a_step_that_is_no_whole_number(t: Any) -> None:
    for schedule in (Constant(0.1), Cosine(0.1, 10), Function(lambda t: 0.1)):
        with pytest.raises(TypeError, match=r"^t=.*accepted is a whole number, 0 or above"):
            schedule(t)


def test_error_negative_step() -> None:
    for schedule in (Constant(0.1), Cosine(0.1, 10), Constant(0.1).then(Constant(0.2), at=3)):
        with pytest.raises(ValueError, match=r"^t=-1: accepted is a whole number, 0 or above"):
            schedule(-1)


# Functions


def test_a_function_may_return_any_real_number() -> None:
    for number in (2, 0.5, -0.25, np.float32(0.5), np.int64(3), Fraction(1, 4)):
        value = Function(lambda t, number=number: number)(0)  # type: ignore[misc]
        assert value == number
        assert type(value) is float


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_error_function_returns_what_is_not_finite(number: float) -> None:
    schedule = Function(lambda t: number if t == 7 else 0.1)
    assert schedule(6) == 0.1
    with pytest.raises(ValueError, match=r"Function\(.*<lambda>\) is .* at t=7"):
        schedule(7)


@pytest.mark.parametrize("number", [None, "0.1", True, 1j, np.ones(1), [0.1]])
def test_error_function_returns_what_is_no_number(number: Any) -> None:
    with pytest.raises(TypeError, match="at t=3: accepted are finite numbers"):
        Function(lambda t: number)(3)


@pytest.mark.parametrize("function", [0.1, None, Constant(0.1)])
def test_error_function_that_is_none(function: Any) -> None:
    with pytest.raises(TypeError, match=r"^function=.*accepted is a function of t"):
        Function(function)


def test_an_error_inside_a_function_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        Function(lambda t: 1 / t)(0)


def test_error_a_growing_rate_beyond_the_range_names_the_step() -> None:
    with pytest.raises(ValueError, match=r"Exponential\(lr=1.0, gamma=10.0\) is .* at t=400"):
        Exponential(1.0, 10.0)(400)
    with pytest.raises(ValueError, match="is inf at t=301"):
        Exponential(1e10, 10.0)(301)


# Bad parameters


LR = {"lr": 0.1}
BAD_RATE: list[Any] = [-0.1, math.nan, math.inf, "0.1", None, True, 1j, 10**400]
BAD_COUNT: list[Any] = [0, -1, 2.0, "2", None, True]
BAD_FACTOR: list[Any] = [*BAD_RATE, 0, 0.0]
BAD_STEPS: list[Any] = [(), (0, 1), (2, 2), (3, 1), (1, 2.5), 5, "12", (True, 2), None, (-1,)]

BAD: list[tuple[Any, dict[str, Any], dict[str, list[Any]]]] = [
    (Constant, LR, {"lr": BAD_RATE}),
    (Step, {**LR, "step_size": 5}, {"lr": BAD_RATE, "step_size": BAD_COUNT, "gamma": BAD_FACTOR}),
    (
        MultiStep,
        {**LR, "milestones": (1, 2)},
        {"lr": BAD_RATE, "milestones": BAD_STEPS, "gamma": BAD_FACTOR},
    ),
    (
        Piecewise,
        {"boundaries": (3,), "values": (1, 2)},
        {"boundaries": BAD_STEPS, "values": [(), (1,), (1, 2, 3), (1, -2), (1, "2"), 1, None]},
    ),
    (Exponential, {**LR, "gamma": 0.9}, {"lr": BAD_RATE, "gamma": BAD_FACTOR}),
    (
        Polynomial,
        {**LR, "steps": 5},
        {"lr": BAD_RATE, "steps": BAD_COUNT, "power": BAD_FACTOR, "end": BAD_RATE},
    ),
    (InverseSquareRoot, {**LR, "warmup": 5}, {"lr": BAD_RATE, "warmup": BAD_COUNT}),
    (Cosine, {**LR, "steps": 5}, {"lr": BAD_RATE, "steps": BAD_COUNT, "end": BAD_RATE}),
    (
        CosineRestarts,
        {**LR, "period": 5},
        {"lr": BAD_RATE, "period": BAD_COUNT, "multiplier": BAD_COUNT, "end": BAD_RATE},
    ),
    (LinearWarmup, {**LR, "steps": 5}, {"lr": BAD_RATE, "steps": BAD_COUNT, "start": BAD_RATE}),
    (CosineWarmup, {**LR, "steps": 5}, {"lr": BAD_RATE, "steps": BAD_COUNT, "start": BAD_RATE}),
    (
        OneCycle,
        {**LR, "steps": 50},
        {
            "lr": BAD_RATE,
            "steps": BAD_COUNT,
            "pct_start": [0, 1, -0.1, 1.5, math.nan, "0.3", 0.02],
            "div_factor": BAD_FACTOR,
            "final_div_factor": BAD_FACTOR,
            "anneal_strategy": ["cosine", "", None, 1],
        },
    ),
    (
        WarmupStableDecay,
        {**LR, "warmup": 5, "stable": 5, "decay": 5},
        {
            "lr": BAD_RATE,
            "warmup": [-1, 1.0, None],
            "stable": [-1, 1.0, None],
            "decay": BAD_COUNT,
            "start": BAD_RATE,
            "end": BAD_RATE,
            "decay_shape": ["sqrt", "cos", None],
        },
    ),
    (
        Joined,
        {"first": Constant(1), "second": Constant(2), "at": 3},
        {"first": [0.1, abs], "second": [None, Constant], "at": BAD_COUNT},
    ),
]


@pytest.mark.parametrize("row", BAD, ids=lambda row: row[0].__name__)
def test_error_names_parameter_value_and_what_is_accepted(row: Any) -> None:
    make, good, bad = row
    make(**good)
    for name, values in bad.items():
        for value in values:
            with pytest.raises((TypeError, ValueError), match="accepted") as caught:
                make(**{**good, name: value})
            assert str(caught.value).startswith((f"{name}=", f"{name}["))


def test_every_parameter_of_every_schedule_is_checked() -> None:
    tried = {make.__name__: set(bad) for make, _, bad in BAD}
    tried["Function"] = {"function"}
    expected = {
        cls.__name__: {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for cls in Schedule.__subclasses__()
        if cls.__module__.startswith("optim.")
    }
    assert tried == expected


def test_error_then_with_what_is_no_schedule() -> None:
    with pytest.raises(TypeError, match=r"second=.*Function\(f\) makes one of a function"):
        Constant(0.1).then(lambda t: 0.1, at=3)  # type: ignore[arg-type]
