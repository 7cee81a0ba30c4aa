"""Coupled and decoupled weight decay: the mechanism by hand, the grid's slopes, the verdicts."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import weight_decay as script
from experiments.question import Setting
from experiments.weight_decay import LRS, Grid, Measurement

QUANTITIES = ("train_error", "validation_loss", "test_loss", "test_error")


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
    losses = loss[:, :, None] + spread
    return Grid(LRS, decays, np.zeros_like(losses), *[losses] * 3)


def bent(low: float, high: float) -> Grid:
    """A grid whose losses are lowest along one power of η below 0.008, and another above."""
    below, above = valley(low), valley(high)
    losses = np.concatenate([below.test_loss[:4], above.test_loss[4:]])
    return Grid(LRS, below.decays, np.zeros_like(losses), *[losses] * 3)


def with_grids(m: Measurement, coupled: Grid, decoupled: Grid) -> Measurement:
    """The measurement with grids of all rates."""
    none = replace(coupled, decays=[0.0], **{
        name: getattr(coupled, name)[:, :1] for name in QUANTITIES
    })  # fmt: skip
    return replace(m, grids={"adam": coupled, "adamw": decoupled}, none=none)


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
        expected = 0.1 * (np.array(LRS) / 0.008) ** power
        np.testing.assert_allclose(grid.best_decays, expected, rtol=1e-10)
        for first in range(5):
            mean, error = grid.slope(first)
            assert mean == pytest.approx(power, abs=1e-10)
            assert error == pytest.approx(0, abs=1e-10)


def test_the_best_decay_stays_on_the_grid() -> None:
    decays = [0.1, 1.0, 10.0]
    rows = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [5.0, 1.0, 5.0], [1.0, 5.0, 2.0]])
    np.testing.assert_allclose(script.best_decays(decays, rows), [0.1, 10.0, 1.0, 0.1])


def test_the_best_decay_beside_a_cell_that_diverged_is_a_cell() -> None:
    rows = np.array([[2.0, 1.0, np.inf], [1.0, 2.0, np.inf], [np.inf, 2.0, 1.0]])
    np.testing.assert_allclose(script.best_decays([0.1, 1.0, 10.0], rows), [1.0, 0.1, 10.0])


def test_a_slope_has_at_least_three_rates(reduced: Measurement) -> None:
    assert with_grids(reduced, valley(0.0), valley(0.0)).firsts == range(5)
    assert reduced.firsts == range(2)


def test_the_rates_from_0_002_on_fit_the_training_images(reduced: Measurement) -> None:
    assert reduced.none.lrs[0] == 0.001
    assert reduced.fitted.tolist() == [False, True, True, True]
    assert reduced.none.lrs[reduced.settled] == 0.002


def test_a_best_decay_at_the_foot_of_the_grid_is_marked_as_a_bound(reduced: Measurement) -> None:
    grid = valley(4.0)  # at the lowest rates λ* is below the lowest λ
    m = with_grids(reduced, grid, grid)
    assert grid.lowest.tolist() == [True, True] + [False] * 5
    row = next(line for line in script.table(m).splitlines() if line.startswith("the same as ηλ"))
    assert row.count("≤") == 2


def test_the_reduced_size_comes_to_the_verdicts(reduced: Measurement) -> None:
    assert verdicts(reduced) == ["holds", "in part", "fails"]


# The verdicts


def test_the_papers_picture_would_hold(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(-1.0), valley(0.0)))[1] == "holds"


def test_a_decoupled_decay_that_moves_fails(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(-1.0), valley(-1.0)))[1] == "fails"
    assert verdicts(with_grids(reduced, valley(0.0), valley(1.0)))[1] == "fails"


def test_without_a_diagonal_the_picture_appears_in_part(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(0.2), valley(-0.2)))[1] == "in part"


def test_a_picture_that_depends_on_the_first_rate_appears_in_part(reduced: Measurement) -> None:
    m = with_grids(reduced, bent(0.0, -1.0), valley(0.0))
    answers = [script._judge_first(m, first) for first in m.firsts]
    assert set(answers) == {"in part", "holds"}
    assert verdicts(m)[1] == "in part"
    m = with_grids(reduced, valley(-1.0), bent(0.0, -1.0))
    assert {script._judge_first(m, first) for first in m.firsts} == {"holds", "fails"}
    assert verdicts(m)[1] == "in part"


def test_decoupled_decay_is_better_only_where_its_loss_is_lower(reduced: Measurement) -> None:
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0, floor=0.9)))[2] == "holds"
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0)))[2] == "fails"
    assert verdicts(with_grids(reduced, valley(0.0), valley(0.0, floor=1.1)))[2] == "fails"


def test_a_lower_loss_with_the_same_error_is_better_in_part(reduced: Measurement) -> None:
    coupled = valley(0.0)
    decoupled = replace(valley(0.0, floor=0.9), test_error=coupled.test_error)
    assert verdicts(with_grids(reduced, coupled, decoupled))[2] == "in part"


def test_the_remark_says_which_decay_improves_on_none(reduced: Measurement) -> None:
    remark = script.judge(reduced)[2].remark
    mean, error = reduced.difference("test_loss", "adam", "none")
    assert f"{mean:+.3f} ± {error:.3f}" in remark
    better = mean + 2 * error < 0
    assert ("coupled decay improves" in remark or "both improve" in remark) == better
    neither = with_grids(reduced, valley(0.0), valley(0.0))
    assert "both improve" in script.judge(neither)[2].remark


def test_a_coupled_decay_that_ignores_gradients_holds_in_part(reduced: Measurement) -> None:
    flat = dict.fromkeys(script.NAMES, reduced.shrinkage["adamw"])
    assert verdicts(replace(reduced, shrinkage=flat))[0] == "in part"


def test_a_mechanism_the_other_way_round_fails(reduced: Measurement) -> None:
    swapped = dict(zip(script.NAMES, reversed(reduced.shrinkage.values()), strict=True))
    assert verdicts(replace(reduced, shrinkage=swapped))[0] == "fails"


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
    for name in script.NAMES:
        for first in (0, reduced.settled):
            power = f"{reduced.grids[name].slope(first)[0]:.1f}"
            assert f"^{{{power}}}" in figure.get_suptitle()
    plt.close(figure)
    for coupled, decoupled, finding in (
        (valley(-1.0), valley(0.0), "coupled λ moves with η, the best decoupled λ does not"),
        (valley(0.0), valley(0.0), "Neither best λ follows a diagonal"),
        (valley(0.0), valley(-1.0), "decoupled λ moves with η as well"),
        (valley(0.0), bent(0.0, -1.0), "depends on the rates that take part"),
    ):
        figure = script.draw(with_grids(reduced, coupled, decoupled))
        assert finding in figure.get_suptitle()
        plt.close(figure)


def test_the_sheared_axes_show_the_same_cells(reduced: Measurement) -> None:
    figure = script.draw(reduced)
    plain, sheared = figure.axes[2], figure.axes[3]
    for one, other in zip(plain.collections, sheared.collections, strict=True):
        np.testing.assert_array_equal(one.get_array(), other.get_array())
    best, best_sheared = plain.lines[0], sheared.lines[0]  # λ* of all rates
    lrs = np.asarray(best.get_xdata())
    np.testing.assert_allclose(
        np.asarray(best_sheared.get_ydata()), lrs * np.asarray(best.get_ydata())
    )
    plt.close(figure)
