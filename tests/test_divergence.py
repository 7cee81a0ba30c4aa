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
    amsgrad_drift,
    cycle,
    edge_of_climbing,
    first_climb,
    measure_drift,
    walk_cycle,
    yogi_drift,
)
from experiments.trainings.walk import walk


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Divergence:
    return script.measure(reduced_setting)


def verdicts(m: Divergence) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


def end_of(c: Cycle, name: str) -> float:
    run = {key: value for key, value in dataclasses.asdict(c).items() if key != "expected"}
    return walk_cycle(optimizer=name, **run)["x"][-1]


def written(number: str) -> Any:
    """A number, to the digits that are written."""
    decimals = len(number.partition(".")[2])
    return pytest.approx(float(number), abs=0.5001 * 10**-decimals)


CASES = [
    pytest.param(c, name, end, marks=[pytest.mark.slow] if c.n > 20 and name != "adam" else [])
    for c in CYCLES
    for name, end in zip(NAMES, c.expected, strict=True)
    if end
]


@pytest.mark.parametrize(("c", "name", "end"), CASES)
def test_a_cycle_ends_where_it_is_expected_to_end(c: Cycle, name: str, end: str) -> None:
    assert end_of(c, name) == written(end)


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


@pytest.mark.parametrize("beta2", script.REDDI_BETA2S[1:])
def test_amsgrads_drift_is_its_closed_form(beta2: float) -> None:
    measured = measure_drift(optimizer="amsgrad", beta2=beta2)["drift"]
    expected = [amsgrad_drift(n, beta2) for n in SPACINGS]
    np.testing.assert_allclose(measured, expected, rtol=1e-8, atol=5e-12)


@pytest.mark.parametrize("beta2", script.REDDI_BETA2S[1:])
def test_yogis_drift_tends_to_its_closed_form(beta2: float) -> None:
    measured = measure_drift(optimizer="yogi", beta2=beta2)["drift"]
    for n, drift in zip(SPACINGS, measured, strict=True):
        if n <= 36:  # for a larger n, s is not yet at n²
            assert drift == pytest.approx(yogi_drift(n), rel=(1 - beta2) / 4)
        assert drift < 0


def test_yogis_s_stays_near_the_square_of_n_and_adams_does_not() -> None:
    shares = {}
    for name in ("adam", "yogi"):
        path = walk(name, cycle, 51 * 2520, problem=[36], start=1000.0, corrected=False, lr=0.01,
                    betas=(0.9, 0.999), eps=1e-8)  # fmt: skip
        shares[name] = path.state["s"][-36:, 0] / 36**2
    np.testing.assert_allclose(shares["yogi"], 1, atol=1e-3)
    assert shares["adam"].max() < 0.04


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


def everywhere(m: Divergence, x: float) -> Divergence:
    """The measurement with Adam at x at the end of each construction, and drifting like that."""
    cycles = {c: paths | {"adam": [0.0, x]} for c, paths in m.cycles.items()}
    drifts = {key: [x if key[0] == "adam" else -1.0] * len(SPACINGS) for key in m.drifts}
    return dataclasses.replace(
        m, cycles=cycles, drifts=drifts, reddi=m.reddi | {("adam", 0.1): [0.0, x]}
    )


def test_adam_is_unstable_wherever_large_gradients_are_rare_or_in_part_or_nowhere(
    reduced: Divergence,
) -> None:
    assert verdicts(everywhere(reduced, 1.0))[0] == "holds"
    assert verdicts(everywhere(reduced, -1.0))[0] == "fails"
    down = everywhere(reduced, 1.0).drifts | {("adam", 0.99): [-1.0] * len(SPACINGS)}
    assert verdicts(dataclasses.replace(everywhere(reduced, 1.0), drifts=down))[0] == "in part"


def test_where_large_gradients_are_not_rare_adam_is_not_judged(reduced: Divergence) -> None:
    assert [c.n for c in CYCLES if not script.is_rare(c.n, c.beta2)] == [50]
    m = everywhere(reduced, 1.0)
    drifts = m.drifts | {("adam", b): [2 / math.sqrt(1 - b) <= n or -1.0 for n in SPACINGS]
                         for name, b in m.drifts if name == "adam"}  # fmt: skip
    control = {**m.cycles, CYCLES[3]: {name: [0.0, -2.0] for name in NAMES}}
    assert verdicts(dataclasses.replace(m, drifts=drifts, cycles=control))[0] == "holds"
    assert verdicts(dataclasses.replace(m, reddi=m.reddi | {("adam", 0.9): [-1.0]}))[0] == "holds"


def test_yogi_helps_or_climbs_on_the_map_or_does_not_help(reduced: Divergence) -> None:
    climbing = reduced.drifts | {("yogi", 0.9): [1.0] * len(SPACINGS)}
    assert verdicts(dataclasses.replace(reduced, drifts=climbing))[1] == "in part"
    lost = {c: paths | {"yogi": [0.0, 5.0]} for c, paths in reduced.cycles.items()}
    assert verdicts(dataclasses.replace(reduced, cycles=lost))[1] == "fails"
    assert verdicts(everywhere(reduced, -1.0))[1] == "fails"  # nothing to help with


@pytest.mark.parametrize(
    ("tail", "verdict"), [(1.1e-3, "fails"), (1e-4, "in part"), (0.9e-7, "holds"), (0.0, "holds")]
)
def test_adam_comes_to_rest_by_an_absolute_measure(
    reduced: Divergence, tail: float, verdict: str
) -> None:
    records = [1.0] * (RECORDS // 2) + [tail] * (RECORDS // 2)
    m = dataclasses.replace(reduced, quadratic=reduced.quadratic | {("adam", 1e-8): records})
    assert verdicts(m)[2] == verdict


def test_what_the_section_claims_is_told_from_what_a_reader_concludes(reduced: Divergence) -> None:
    sources = [verdict.source for verdict in script.judge(reduced)]
    assert sources == ["section", "section", "reader"]


def test_the_table_has_every_end_beside_the_expected_one(reduced: Divergence) -> None:
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
