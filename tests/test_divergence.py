"""``experiments/divergence.py``: the constructions' ends, the closed form, and the verdicts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import divergence as script
from experiments.divergence import NAMES, Divergence
from experiments.question import Setting
from experiments.trainings.rare_gradients import (
    BETA1,
    CYCLES,
    RECORDS,
    SPACINGS,
    Cycle,
    adam_drift,
    edge_of_climbing,
    first_climb,
    measure_drift,
    walk_cycle,
)


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Divergence:
    return script.measure(reduced_setting)


def verdicts(m: Divergence) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


def end_of(c: Cycle, name: str) -> float:
    run = {key: value for key, value in dataclasses.asdict(c).items() if key != "known"}
    return walk_cycle(optimizer=name, **run)["x"][-1]


def known(number: str) -> Any:
    """A number, to the digits that are written."""
    decimals = len(number.partition(".")[2])
    return pytest.approx(float(number), abs=0.5001 * 10**-decimals)


CASES = [
    pytest.param(c, name, end, marks=[pytest.mark.slow] if c.n > 20 and name != "adam" else [])
    for c in CYCLES
    for name, end in zip(NAMES, c.known, strict=True)
    if end
]


@pytest.mark.parametrize(("c", "name", "end"), CASES)
def test_a_cycle_ends_where_it_is_known_to_end(c: Cycle, name: str, end: str) -> None:
    assert end_of(c, name) == known(end)


def test_on_reddis_problem_adam_reaches_the_worst_point_unless_beta2_is_large(
    reduced: Divergence,
) -> None:
    ends = {key: path[-1] for key, path in reduced.reddi.items()}
    assert ends.pop(("adam", 0.1)) == pytest.approx(1, abs=1e-3)
    assert len(ends) == 5
    for end in ends.values():
        assert end == pytest.approx(-1, abs=1e-3)


def test_on_reddis_problem_the_learning_rate_falls_and_x_stays_in_its_interval(
    reduced: Divergence,
) -> None:
    x = np.array(reduced.reddi["adam", 0.1])
    assert np.abs(x).max() == 1.0
    # After the first large gradient, s = (1 - β₂)·9 and later (1 - β₂)(9 β₂ᵏ) + 1 - β₂ᵏ.
    first = 0.1 / math.sqrt(1) * 3 / math.sqrt(0.9 * 9)
    second = 0.1 / math.sqrt(2) * 1 / math.sqrt(0.1 * 0.9 * 9 + 0.9)
    assert x[1:3] == pytest.approx([-first, -first + second], rel=1e-7)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("adam", 2.55e-2, 2.65e-2), ("amsgrad", 0, 1e-321), ("yogi", 0, 1e-321)],
)
def test_on_a_quadratic_only_adam_keeps_coming_back(name: str, low: float, high: float) -> None:
    path = script.walk_quadratic(optimizer=name, eps=1e-8, steps=200_000)["|x|"]
    assert low <= max(path[250:]) <= high


@pytest.mark.parametrize(("eps", "settles"), [(0.1 / 37, True), (0.1 / 39, False)])
def test_adam_settles_on_a_quadratic_once_eta_over_eps_is_below_38(
    eps: float, settles: bool
) -> None:
    path = script.walk_quadratic(optimizer="adam", eps=eps, steps=50_000)["|x|"]
    assert (max(path[250:]) < 1e-100) == settles


@pytest.mark.parametrize("beta2", script.REDDI_BETA2S[1:])
def test_adams_drift_is_its_closed_form(beta2: float) -> None:
    measured = measure_drift(optimizer="adam", beta2=beta2)["drift"]
    expected = [adam_drift(n, BETA1, beta2) for n in SPACINGS]
    np.testing.assert_allclose(measured, expected, rtol=1e-6, atol=2e-8)  # ε = 1e-8 is felt


def test_adam_climbs_from_74_on_at_the_defaults_and_from_64_without_momentum() -> None:
    assert first_climb(0.9, 0.999) == 74
    assert first_climb(0.0, 0.999) == 64


@pytest.mark.parametrize("beta2", [0.99, 0.999, 0.9999])
def test_without_momentum_the_edge_is_near_two_over_the_root_of_one_minus_beta2(
    beta2: float,
) -> None:
    rule = 2 / math.sqrt(1 - beta2)
    assert rule < edge_of_climbing(0.0, beta2) < rule + 1


def test_reduced_it_comes_to_the_same_verdicts_as_in_full(reduced: Divergence) -> None:
    assert verdicts(reduced) == ["in part", "holds", "fails"]


@pytest.mark.slow
def test_in_full_the_verdicts_are_these(tmp_path: Any) -> None:
    m = script.measure(Setting(folder=tmp_path))
    assert verdicts(m) == ["in part", "holds", "fails"]
    assert max(map(len, script.table(m).splitlines())) <= 100
    plt.close(script.draw(m))


def test_other_measurements_give_other_verdicts(reduced: Divergence) -> None:
    down = {key: [-1.0] * len(SPACINGS) for key in reduced.drifts}
    up = {key: [1.0 if key[0] == "adam" else -1.0] * len(SPACINGS) for key in reduced.drifts}
    at_best = {c: {name: [0.0, -2.0] for name in NAMES} for c in reduced.cycles}
    reddi = {key: [0.0, -1.0] for key in reduced.reddi}
    still = {key: [0.0] * RECORDS for key in reduced.quadratic}
    tame = dataclasses.replace(reduced, cycles=at_best, drifts=down, reddi=reddi, quadratic=still)
    assert verdicts(tame) == ["fails", "holds", "holds"]
    assert verdicts(dataclasses.replace(reduced, drifts=up)) == ["holds", "holds", "fails"]

    lost = {c: paths | {"yogi": [0.0, 5.0]} for c, paths in reduced.cycles.items()}
    assert verdicts(dataclasses.replace(reduced, cycles=lost))[1] == "fails"
    climbing = reduced.drifts | {("yogi", 0.9): [1.0] * len(SPACINGS)}
    assert verdicts(dataclasses.replace(reduced, drifts=climbing))[1] == "in part"


def test_the_table_has_every_end_beside_the_known_one(reduced: Divergence) -> None:
    text = script.table(reduced)
    assert max(map(len, text.splitlines())) <= 100
    (row,) = [line for line in text.splitlines() if line.startswith("  n=20")]
    assert row.split()[-6:] == ["+54.87", "(+54.9)", "-2.000", "(-2.000)", "-2.000", "(-2.000)"]
    (row,) = [line for line in text.splitlines() if line.startswith("  0.999 ")]
    assert row.split() == ["0.999", "63.2", "74", "84", "never", "never"]


def test_the_figure_names_its_axes_and_states_what_was_found(reduced: Divergence) -> None:
    figure = script.draw(reduced)
    assert len(figure.axes) == 4
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend() is not None
    titles = [ax.get_title() for ax in figure.axes]
    assert "Adam at +54.9, AMSGrad at -2.0, Yogi at -2.0" in titles[0]
    assert "Adam goes down at n = 72, climbs at 84" in titles[1]
    plt.close(figure)
