"""``experiments/second_moment_memory.py``: closed forms, expected numbers, and the verdicts."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import second_moment_memory as script
from experiments.question import Setting
from experiments.second_moment_memory import GRADIENTS, NAMES, Memory, follow, impulse_closed_form


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Memory:
    return script.measure(reduced_setting)


def verdicts(m: Memory) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


def test_one_gradient_changes_s_as_the_two_lines_say() -> None:
    change = script.change_of_s()
    g2 = GRADIENTS**2
    np.testing.assert_allclose(change["adam"], g2 - 1, atol=1e-12)
    np.testing.assert_allclose(change["yogi"], np.sign(g2 - 1) * g2, atol=1e-12)


def test_impulses_move_x_by_the_closed_forms(reduced: Memory) -> None:
    k = np.arange(1, script.REDUCED_IMPULSES + 1)
    for name in NAMES:  # they leave out what is left of c₂ at first, and of impulses before
        np.testing.assert_allclose(reduced.moved[name], impulse_closed_form(name, k), rtol=7e-5)


def test_an_impulse_moves_x_by_31_77_with_adam_and_31_62_with_amsgrad(reduced: Memory) -> None:
    assert reduced.moved["adam"][-1] == pytest.approx(31.77, abs=0.005)
    assert reduced.moved["amsgrad"][-1] == pytest.approx(31.62, abs=0.005)


def test_after_a_thousand_impulses_one_moves_x_by_1_000_with_yogi() -> None:
    moved = follow(gradients="impulses", optimizer="yogi", impulses_in_all=1002)["moved"]
    assert moved[0] == pytest.approx(1 / math.sqrt(0.001), rel=1e-4)
    np.testing.assert_allclose(moved[998:], 1.000, atol=0.001)
    assert np.all(np.diff(moved[:999]) < 0)


@pytest.mark.parametrize(
    ("name", "gain", "digit"), [("adam", 100, 0.5), ("amsgrad", 1.0, 1e-3), ("yogi", 1.001, 5e-4)]
)
def test_after_the_drop_the_effective_rate_is_the_known_one(
    reduced: Memory, name: str, gain: float, digit: float
) -> None:
    assert reduced.gain(name) == pytest.approx(gain, abs=digit)


def test_after_the_drop_s_follows_its_closed_form(reduced: Memory) -> None:
    k = np.arange(0, script.DROP_STEPS + 1, script.THIN)
    adam = 1e-4 + (1 - 1e-4) * 0.999**k
    np.testing.assert_allclose(reduced.drop["adam"]["s"], adam, rtol=1e-8)
    yogi = reduced.drop["yogi"]["s"]
    np.testing.assert_allclose(yogi, yogi[0] - k * 0.001 * 1e-4, rtol=1e-11)
    assert yogi[0] == pytest.approx(1, abs=1e-3)


def test_after_the_spike_half_the_rate_is_back_when_the_closed_forms_say(reduced: Memory) -> None:
    back = {name: reduced.spike[name]["back"] for name in NAMES}
    assert back["adam"] == math.ceil(math.log(9.999 / 3) / -math.log(0.999)) == 1204
    assert back["yogi"] == pytest.approx(7000, abs=2)  # Yogi's s is 1 to within 0.001 only
    assert back["amsgrad"] == math.inf


def test_the_spike_lifts_yogis_s_by_more_than_adams(reduced: Memory) -> None:
    for name, change in (("adam", 9999 * 0.001), ("yogi", 10_000 * 0.001)):
        assert reduced.spike[name]["peak"] == pytest.approx(1 + change, abs=2e-3)
    step = (0.9 + 0.1 * 100) / math.sqrt(10.999)
    assert reduced.spike["adam"]["spike"] == pytest.approx(step, rel=1e-7)


def test_yogi_takes_more_from_s_than_adam_between_half_of_s_and_s() -> None:
    change = script.change_of_s()
    more = (GRADIENTS**2 > 0.5) & (GRADIENTS < 1)
    assert np.all(change["yogi"][more] < change["adam"][more])
    less = GRADIENTS**2 < 0.5
    assert np.all(change["yogi"][less] > change["adam"][less])


def test_yogi_moves_less_than_half_as_far_as_adam_from_the_fourth_impulse_on(
    reduced: Memory,
) -> None:
    less = reduced.moved["yogi"] < reduced.moved["adam"] / 2
    np.testing.assert_array_equal(less, np.arange(1, len(less) + 1) >= 4)


def test_what_the_section_claims_is_told_from_what_a_reader_concludes(reduced: Memory) -> None:
    sources = [verdict.source for verdict in script.judge(reduced)]
    assert sources == ["section", "section", "reader", "reader"]


def test_reduced_it_comes_to_the_same_verdicts_as_in_full(reduced: Memory) -> None:
    assert verdicts(reduced) == ["in part", "in part", "holds", "fails"]


@pytest.mark.slow
def test_in_full_the_verdicts_are_these(tmp_path: Any) -> None:
    m = script.measure(Setting(folder=tmp_path))
    assert verdicts(m) == ["in part", "in part", "holds", "fails"]
    assert max(map(len, script.table(m).splitlines())) <= 100
    plt.close(script.draw(m))


def test_other_measurements_give_other_verdicts(reduced: Memory) -> None:
    rising = np.ones_like(GRADIENTS)
    adam = reduced.moved["adam"]

    def yogi(sequence: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return sequence | {"yogi": {**sequence["yogi"], **changes}}

    other = dataclasses.replace(
        reduced,
        change=reduced.change | {"yogi": rising},
        moved=reduced.moved | {"yogi": adam},
        drop=yogi(reduced.drop, rate=[1.0, 200.0]),
        spike=yogi(reduced.spike, back=1000.0),
    )
    assert verdicts(other) == ["fails", "fails", "fails", "holds"]
    other = dataclasses.replace(
        reduced,
        change={"adam": rising, "yogi": (GRADIENTS > 1).astype(float)},
        moved=reduced.moved | {"yogi": adam / 3},
        drop=yogi(reduced.drop, rate=[1.0, 50.0]),
        spike=yogi(reduced.spike, back=2000.0),
    )
    assert verdicts(other) == ["holds", "holds", "in part", "in part"]


def test_the_table_has_the_expected_numbers_beside_ours(reduced: Memory) -> None:
    lines = script.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    (row,) = [line for line in lines if line.startswith("  impulse 101")]
    assert row.split()[-5:] == ["31.765", "(31.77)", "31.622", "(31.62)", "3.147"]
    (row,) = [line for line in lines if line.startswith("  20,000 steps later")]
    assert row.split()[-5:] == ["×100", "(×100)", "×1", "×1.001", "(×1.001)"]


def test_the_figure_names_its_axes_and_states_what_was_found(reduced: Memory) -> None:
    figure = script.draw(reduced)
    assert len(figure.axes) == 4
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_legend() is not None
    titles = [ax.get_title() for ax in figure.axes]
    assert "Adam 31.77 η, AMSGrad 31.62 η, Yogi 3.147 η" in titles[1]
    assert "Adam ×100, AMSGrad ×1, Yogi ×1.001" in titles[2]
    assert "Adam 1,204, AMSGrad >10,000, Yogi" in titles[3]
    jumps = [ax.get_xdata() for ax in figure.axes[0].get_lines()[:4]]
    assert all(np.max(x) < 1 or np.min(x) > 1 for x in jumps)
    plt.close(figure)
