"""Coupled and decoupled weight decay: the mechanism by hand, the grid's slopes, the verdicts."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import weight_decay as script
from experiments.question import Setting
from experiments.weight_decay import LRS, Grid, Measurement


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Measurement:
    return script.measure(reduced_setting)


def verdicts(m: Measurement) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


def valley(power: float, floor: float = 1.0, seeds: int = 3) -> Grid:
    """A grid whose losses are lowest along λ = 0.1 (η/0.008)^power."""
    decays = [2.0**k for k in range(-12, 6)]
    lrs = np.array(LRS)
    along = np.log(0.1 * (lrs / 0.008) ** power)
    loss = floor + (np.log(decays) - along[:, None]) ** 2
    spread = 1e-3 * np.arange(seeds)
    return Grid(LRS, decays, *[loss[:, :, None] + spread] * 3)


def with_grids(m: Measurement, coupled: Grid, decoupled: Grid) -> Measurement:
    return replace(m, grids={"adam": coupled, "adamw": decoupled})


# The mechanism


@pytest.mark.parametrize("name", script.NAMES)
def test_weights_shrink_as_the_closed_form_says(name: str) -> None:
    np.testing.assert_allclose(
        script.decay_per_step(name), script.predicted_decay(name), rtol=0.002
    )


def test_decoupled_decay_is_the_same_for_all_gradients() -> None:
    shrinkage = script.decay_per_step("adamw")
    np.testing.assert_allclose(shrinkage, shrinkage[0], rtol=1e-5)


# The grid


def test_the_best_decay_lies_between_cells() -> None:
    for power in (-1.0, 0.0, 0.5):
        grid = valley(power)
        expected = 0.1 * (grid.settled / 0.008) ** power
        np.testing.assert_allclose(grid.best_decays, expected, rtol=1e-10)
        mean, error = grid.slope
        assert mean == pytest.approx(power, abs=1e-10)
        assert error == pytest.approx(0, abs=1e-10)


def test_the_best_decay_stays_on_the_grid() -> None:
    decays = [0.1, 1.0, 10.0]
    rows = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [5.0, 1.0, 5.0], [1.0, 5.0, 2.0]])
    np.testing.assert_allclose(script.best_decays(decays, rows), [0.1, 10.0, 1.0, 0.1])


def test_the_best_decay_beside_a_cell_that_diverged_is_a_cell() -> None:
    rows = np.array([[2.0, 1.0, np.inf], [1.0, 2.0, np.inf], [np.inf, 2.0, 1.0]])
    np.testing.assert_allclose(script.best_decays([0.1, 1.0, 10.0], rows), [1.0, 0.1, 10.0])


def test_slopes_leave_out_rates_that_need_no_decay() -> None:
    assert valley(0.0).settled.tolist() == LRS[2:]
    assert valley(0.0).settled[0] == script.AT_REST


def test_a_fifth_of_the_training_labels_is_drawn_and_the_others_are_clean() -> None:
    clean = np.arange(script.HELD_OUT) % 10
    wrong = [np.mean(script.images(s)["train"].y != clean[:200]) for s in range(1, 9)]
    assert np.mean(wrong) == pytest.approx(0.9 * script.WRONG_LABELS, abs=0.03)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(script.images(1)[part].y, clean)


def test_the_reduced_size_comes_to_the_verdicts(reduced: Measurement) -> None:
    assert verdicts(reduced) == ["holds", "in part", "fails"]


# The verdicts


def test_the_papers_picture_would_hold(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(-1.0), valley(0.0)))[1] == "holds"


def test_a_decoupled_decay_that_moves_fails(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(-1.0), valley(-1.0)))[1] == "fails"
    assert verdicts(with_grids(reduced, valley(0.0), valley(1.0)))[1] == "fails"


def test_decoupled_decay_is_better_only_where_its_loss_is_lower(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0, floor=0.9)))[2] == "holds"
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0)))[2] == "fails"
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0, floor=1.1)))[2] == "fails"


def test_a_coupled_decay_that_ignores_gradients_fails(reduced: Measurement) -> None:
    flat = dict.fromkeys(script.NAMES, reduced.shrinkage["adamw"])
    assert verdicts(replace(reduced, shrinkage=flat))[0] == "fails"


# What is shown


def test_the_table_fits_a_terminal_and_has_both_axes(reduced: Measurement) -> None:
    text = script.table(reduced)
    assert max(map(len, text.splitlines())) <= 100
    assert "the same as ηλ" in text


def test_the_figure_is_labelled_and_its_title_follows_the_numbers(reduced: Measurement) -> None:
    figure = script.draw(reduced)
    for ax in figure.axes[:4]:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_title()
    assert "neither coupled nor decoupled" in figure.get_suptitle()
    plt.close(figure)
    figure = script.draw(with_grids(reduced, valley(-1.0), valley(0.0)))
    assert "Only the best decoupled λ does not move" in figure.get_suptitle()
    plt.close(figure)


def test_the_sheared_axes_show_the_same_cells(reduced: Measurement) -> None:
    figure = script.draw(reduced)
    plain, sheared = figure.axes[2], figure.axes[3]
    for one, other in zip(plain.collections, sheared.collections, strict=True):
        np.testing.assert_array_equal(one.get_array(), other.get_array())
    best, best_sheared = plain.lines[0], sheared.lines[0]
    lrs = np.asarray(best.get_xdata())
    np.testing.assert_allclose(
        np.asarray(best_sheared.get_ydata()), lrs * np.asarray(best.get_ydata())
    )
    plt.close(figure)
