"""``experiments/bias_correction.py``: lengths of steps are their closed forms; the verdicts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import bias_correction as script
from experiments.bias_correction import CLOSED_FORMS, VARIANTS, BiasCorrection, steps_of
from experiments.question import Setting
from experiments.trainings import train_linear

T = np.arange(1.0, 201.0)


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> BiasCorrection:
    return script.measure(reduced_setting)


def verdicts(m: BiasCorrection) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


@pytest.mark.parametrize("beta2", script.BETA2S)
@pytest.mark.parametrize("variant", VARIANTS)
def test_steps_under_a_constant_gradient_have_their_closed_form(variant: str, beta2: float) -> None:
    taken = steps_of(variant, np.full((200, 2), [3.0, -0.01]), beta2)
    expected = CLOSED_FORMS[variant](T, beta2)
    np.testing.assert_allclose(taken[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(taken[:, 1], -expected, rtol=1e-12)


def test_the_first_steps_are_these() -> None:
    first = {variant: steps_of(variant, np.ones((1, 1))).item() for variant in VARIANTS}
    assert first == pytest.approx(
        {"corrected": 1, "neither": 0.1 / math.sqrt(0.001), "only v": 1 / math.sqrt(0.001),
         "only s": 0.1}, rel=1e-13,
    )  # fmt: skip


def test_the_ratio_of_steps_does_not_depend_on_the_gradients(reduced: BiasCorrection) -> None:
    assert 0 < reduced.off < 1e-13
    for mean in script.MEANS:
        ratio = reduced.rms["neither", mean] / reduced.rms["corrected", mean]
        np.testing.assert_allclose(ratio, CLOSED_FORMS["neither"](T, 0.999), rtol=1e-13)


def test_the_longest_uncorrected_step_is_6_57_at_step_12(reduced: BiasCorrection) -> None:
    bare = reduced.constant["neither"]
    assert np.argmax(bare) + 1 == 12
    assert bare.max() == pytest.approx(6.57, abs=5e-3)


@pytest.mark.parametrize(
    ("beta2", "step"), [(0.9, 23), (0.99, 237), (0.999, 2375), (0.9999, 23754)]
)
def test_steps_are_close_from_where_the_closed_form_says(
    reduced: BiasCorrection, beta2: float, step: int
) -> None:
    t = np.arange(1.0, 40_000)
    far = np.abs((1 - 0.9**t) / np.sqrt(1 - beta2**t) - 1) > 0.05
    assert step == t[far][-1] + 1
    assert reduced.steps_until_close(beta2) == step


def test_steps_that_never_come_close_are_none(reduced: BiasCorrection) -> None:
    far = dataclasses.replace(reduced, uncorrected={0.999: np.full(9, 3.0), 0.9: np.ones(9)})
    assert far.steps_until_close(0.999) is None
    assert far.steps_until_close(0.9) == 1


def test_moments_are_those_of_a_mean_that_starts_at_zero(reduced: BiasCorrection) -> None:
    np.testing.assert_allclose(reduced.moments["v"], 1 - 0.9**T, rtol=1e-12)
    np.testing.assert_allclose(reduced.moments["s"], 1 - 0.999**T, rtol=1e-12)


def test_the_corrected_training_is_that_of_all_other_questions() -> None:
    data = Setting().data
    ours = script.train(data, variant="corrected", lr=0.01, seed=4)
    assert ours["end"] == train_linear(data, optimizer="adam", lr=0.01, seed=4)["loss"]
    assert script.train(data, variant="neither", lr=0.01, seed=4)["end"] != ours["end"]


def test_the_same_seed_gives_the_same_numbers(
    reduced: BiasCorrection, reduced_setting: Setting, tmp_path: Any
) -> None:
    again = script.measure(dataclasses.replace(reduced_setting, folder=tmp_path))
    assert script.table(again) == script.table(reduced)


def test_reduced_it_comes_to_the_same_verdicts_as_in_full(reduced: BiasCorrection) -> None:
    assert verdicts(reduced) == ["holds", "fails", "holds", "fails"]


@pytest.mark.slow
def test_in_full_the_verdicts_are_these(tmp_path: Any) -> None:
    full = script.measure(Setting(folder=tmp_path))
    assert verdicts(full) == ["holds", "fails", "holds", "fails"]


def test_other_measurements_give_other_verdicts(reduced: BiasCorrection) -> None:
    level = np.ones(script.STEPS)
    other = dataclasses.replace(
        reduced,
        moments={"v": level, "s": level},
        constant=reduced.constant | {"neither": level / 2},
        uncorrected={0.999: np.ones(9), 0.9: np.ones(9)},
        losses=reduced.losses | {("neither", "end"): 1.04 * reduced.losses["corrected", "end"]},
    )
    assert verdicts(other) == ["fails", "holds", "fails", "in part"]
    other = dataclasses.replace(
        reduced,
        moments={"v": level, "s": level / 2},
        constant=reduced.constant | {"neither": np.linspace(0.5, 2, script.STEPS)},
        uncorrected={0.999: np.append(np.full(9, 3.0), 1), 0.9: np.full(9, 3.0)},
        losses=reduced.losses | {("neither", "end"): 1.06 * reduced.losses["corrected", "end"]},
    )
    assert verdicts(other) == ["in part", "in part", "in part", "holds"]


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(0.989, "fails"), (0.5, "fails"), (1.009, "fails"), (1.011, "in part"), (1.051, "holds")],
)
def test_a_better_result_without_correction_is_no_reason_to_correct(
    reduced: BiasCorrection, factor: float, verdict: str
) -> None:
    without = {("neither", "end"): factor * reduced.losses["corrected", "end"]}
    other = dataclasses.replace(reduced, losses=reduced.losses | without)
    assert verdicts(other)[3] == verdict
    title = script.draw(other).axes[2].get_title()
    assert ("the end is the same" in title) == (abs(factor - 1) < 0.01)
    plt.close("all")


def test_steps_that_start_right_and_go_wrong_later_count_as_off(reduced: BiasCorrection) -> None:
    assert reduced.uncorrected[0.99][0] == pytest.approx(1, rel=1e-12)
    other = dataclasses.replace(reduced, uncorrected={0.9: np.array([1.0, 2.0, 1.0])})
    assert verdicts(other)[2] == "holds"


def test_what_the_section_claims_is_told_from_what_a_reader_concludes(
    reduced: BiasCorrection,
) -> None:
    sources = [verdict.source for verdict in script.judge(reduced)]
    assert sources == ["section", "reader", "section", "reader"]


def test_the_table_has_measured_steps_and_fits_a_terminal(reduced: BiasCorrection) -> None:
    lines = script.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    (row, *_) = [line for line in lines if line.startswith("  neither")]
    assert row.split()[-7:] == ["3.162", "4.250", "5.797", "6.561", "4.504", "3.241", "2.348"]


def test_the_figure_draws_the_closed_form_over_the_measurement(reduced: BiasCorrection) -> None:
    figure = script.draw(reduced)
    assert len(figure.axes) == 3
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend() is not None
    lines = figure.axes[0].get_lines()
    for curve, points in zip(lines[0:8:2], lines[1:8:2], strict=True):
        t = np.asarray(points.get_xdata(), int)
        drawn, closed = np.asarray(points.get_ydata()), np.asarray(curve.get_ydata())
        np.testing.assert_allclose(drawn, closed[t - 1], rtol=1e-12)
    assert "3.16 η at first, 6.57 η at t = 12" in figure.axes[0].get_title()
    assert "from step 2375 on" in figure.axes[1].get_title()
    plt.close(figure)
