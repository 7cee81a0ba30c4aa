"""Defaults beside the best of the maps: the maps, the comparison, the verdicts, the figure."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.patches import Rectangle

from datasets import airfoil, airfoil_stand_in
from experiments import defaults as script
from experiments.defaults import Measurement, starts
from experiments.hyperparameter_maps import (
    REDUCED,
    Grid,
    Map,
    Point,
    eps_alone,
    eps_and_rate,
    pairs_of_beta,
    pairs_of_beta_at_one_rate,
    rate_alone,
)
from experiments.lineup import build
from experiments.question import Setting
from experiments.trainings import train_linear, train_mlp
from minigrad import Tensor

VIEWS = [pairs_of_beta, pairs_of_beta_at_one_rate, eps_alone, eps_and_rate, rate_alone]


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Measurement:
    return script.measure(reduced_setting)


def points(cells: Map) -> set[Point]:
    return {point for row in cells for cell in row for point in cell}


def measured(
    loss: Callable[[Point], float], noise: npt.ArrayLike = (0.0, 0.0), grid: Grid = REDUCED
) -> Measurement:
    """Made-up losses: `loss` of each point, plus the same noise over seeds everywhere."""
    every = set().union(*(points(view(grid, start)) for start in starts() for view in VIEWS))
    return Measurement("made up", grid, {point: loss(point) + np.array(noise) for point in every})


# The maps


def test_the_reduced_grid_is_part_of_the_full_one() -> None:
    for field in fields(Grid):
        assert set(getattr(REDUCED, field.name)) < set(getattr(Grid(), field.name)), field.name


@pytest.mark.parametrize("grid", [Grid(), REDUCED])
@pytest.mark.parametrize("view", VIEWS)
def test_every_map_has_the_default_in_one_cell(view: script.View, grid: Grid) -> None:
    for start in starts():
        cells = [cell for row in view(grid, start) for cell in row]
        assert sum(start in cell for cell in cells) == 1


def test_the_defaults_are_those_of_optim_but_for_the_rate_of_adam() -> None:
    for start in starts():
        optimizer = build(start.optimizer, [Tensor(1.0, requires_grad=True)])
        assert (tuple(start.run(seed=1)["betas"]), start.eps) == (optimizer.betas, optimizer.eps)
        assert start.lr == 0.01
        assert optimizer.lr == (script.SMALL_RATE if start.optimizer == "adam" else 0.01)


def test_a_map_changes_what_it_is_of_and_nothing_else() -> None:
    start, grid = script.default("MLP", "yogi"), Grid()
    assert {replace(p, one_minus_beta1=0.1, one_minus_beta2=0.001, lr=0.01)
            for p in points(pairs_of_beta(grid, start))} == {start}  # fmt: skip
    assert {replace(p, eps=1e-3, lr=0.01) for p in points(eps_and_rate(grid, start))} == {start}
    assert {p.lr for p in points(pairs_of_beta_at_one_rate(grid, start))} == {0.01}
    assert points(eps_alone(grid, start)) == points(eps_and_rate(grid, start))
    assert {replace(p, lr=0.01) for p in points(rate_alone(grid, start))} == {start}


# What is measured


@pytest.mark.slow
def test_losses_are_those_of_single_trainings(reduced: Measurement) -> None:
    data = airfoil_stand_in()
    keywords: dict[str, Any] = {
        "optimizer": "yogi",
        "lr": 0.03,
        "betas": (0.97, 0.99),
        "eps": 1e-3,
        "seed": 2,
    }
    point = Point("linear model", "yogi", 0.03, 0.03, 0.01, 1e-3)
    assert reduced.losses[point][1] == train_linear(data, **keywords)["loss"]
    found = train_mlp(data, **keywords, epochs=script.EPOCHS["MLP"])
    assert reduced.losses[replace(point, problem="MLP")][1] == found["last_epoch"]


def test_the_mlps_loss_is_the_mean_over_the_batches_of_its_last_epoch() -> None:
    data = airfoil_stand_in()
    # With a rate of 0 the weights stay, and the batches of an epoch are all examples, once each.
    found = train_mlp(data, optimizer="sgd", lr=0.0, seed=1, epochs=2)
    assert found["last_epoch"] == pytest.approx(found["loss"], rel=1e-12)
    falling = train_mlp(data, optimizer="sgd", lr=0.01, seed=1, epochs=1)
    assert falling["last_epoch"] > falling["loss"]


def test_a_diverged_mlp_is_infinite_in_both() -> None:
    found = train_mlp(airfoil_stand_in(), optimizer="sgd", lr=1e200, seed=1, epochs=1)
    assert (found["loss"], found["last_epoch"]) == (np.inf, np.inf)


# The comparison


def test_the_comparison_is_with_each_cells_best_point_and_the_error_is_of_paired_seeds() -> None:
    start = script.default("MLP", "adam")
    others = [replace(start, one_minus_beta1=a) for a in (1.0, 0.3, 0.03)]
    cells = [[[start, replace(start, lr=0.03)], [others[0]]], [[others[1]], [others[2]]]]
    losses = {
        start: np.array([9.0, 9.0]),
        replace(start, lr=0.03): np.array([2.0, 2.4]),  # the default's cell: 2.2, 10% above
        others[0]: np.array([1.9, 2.1]),  # the best: 2
        others[1]: np.array([2.0, 2.198]),  # 2.099, 4.95% above
        others[2]: np.array([1.0, np.inf]),
    }
    found = script.compare(Measurement("made up", Grid(), losses), start, cells)
    assert found.best == others[0]
    assert found.above == pytest.approx(0.1, rel=1e-12)
    # Differences 0.1 and 0.3: their mean has the standard error 0.1, 5% of 2.
    assert found.error == pytest.approx(0.05, rel=1e-12)
    assert found.near == 0.5


def test_a_default_that_diverges_is_infinitely_far_above() -> None:
    m = measured(lambda p: np.inf if p in starts() else 1.0)
    found = script.compare(m, starts()[0], rate_alone(m.grid, starts()[0]))
    assert found.above == np.inf


# What follows from it


@pytest.mark.slow
def test_at_reduced_size_the_defaults_hold_on_the_stand_in(reduced: Measurement) -> None:
    assert [verdict.verdict for verdict in script.judge(reduced)] == ["holds", "holds"]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["reduced", "full"])
def test_on_the_real_data_β_of_the_mlp_is_undecided_and_its_rate_is_not_within_5_percent(
    size: str, real_airfoil: Path, tmp_path: Path
) -> None:
    setting = Setting(data=airfoil(real_airfoil), reduced=size == "reduced", folder=tmp_path)
    m = script.measure(setting)
    assert [verdict.verdict for verdict in script.judge(m)] == ["in part", "holds"]
    start = script.default("MLP", "adam")
    assert script.compare(m, start, pairs_of_beta(m.grid, start)).decided == "undecided"
    rate = script.compare(m, start, rate_alone(m.grid, start))
    assert rate.decided == "beyond"
    assert rate.best.lr == 0.03


def test_ε_from_1e_10_to_1e_6_gives_nearly_the_same_losses() -> None:
    data = airfoil_stand_in()
    losses = [
        train_linear(data, optimizer="adam", lr=0.01, seed=1, eps=eps)["loss"]
        for eps in (1e-10, 1e-8, 1e-6)
    ]
    assert max(losses) / min(losses) - 1 < 1e-5


@pytest.mark.parametrize(
    ("loss", "verdicts"),
    [
        (lambda p: 1.0, ["holds", "holds"]),
        (lambda p: 1.0 + 0.04 * (p.one_minus_beta1 == 0.1), ["holds", "holds"]),
        (lambda p: 1.0 + 0.06 * (p.one_minus_beta1 == 0.1), ["fails", "holds"]),
        (
            lambda p: 1.0 + 0.06 * (p.one_minus_beta2 == 0.001 and p.problem == "MLP"),
            ["in part", "holds"],
        ),
        (lambda p: 1.0 + 0.06 * (p.eps < 1), ["holds", "fails"]),
        (lambda p: 1.0 + 0.06 * (p.eps == 1e-3), ["holds", "in part"]),
    ],
)
def test_other_losses_lead_to_other_verdicts(
    loss: Callable[[Point], float], verdicts: list[str]
) -> None:
    m = measured(loss)
    assert [verdict.verdict for verdict in script.judge(m)] == verdicts


@pytest.mark.parametrize(
    ("above", "noise", "verdict"),
    # Two losses, above ± noise of the best: the standard error is the noise.
    [
        (0.04, 0.004, "holds"),
        (0.04, 0.006, "in part"),
        (0.06, 0.004, "fails"),
        (0.06, 0.006, "in part"),
        (0.12, 0.04, "in part"),
    ],
)
def test_what_two_standard_errors_leave_open_is_undecided(
    above: float, noise: float, verdict: str
) -> None:
    m = measured(lambda p: 1.0)
    for start in starts():
        for lr in REDUCED.beta_rates:
            m.losses[replace(start, lr=lr)][:] = (1 + above - noise, 1 + above + noise)
    assert script.judge(m)[0].verdict == verdict


def test_a_default_that_is_the_best_by_luck_is_undecided() -> None:
    start = starts()[0]
    other = replace(start, lr=0.03)
    losses = {start: np.array([1.0, 1.0]), other: np.array([0.95, 1.07])}  # 1% above, ± 6%
    found = script.compare(Measurement("made up", REDUCED, losses), start, [[[start], [other]]])
    assert (found.above, found.error, found.best) == (0.0, 0.0, start)
    assert found.most == pytest.approx((-0.01 + 2 * 0.06) / 1.01, rel=1e-12)
    assert found.decided == "undecided"


@pytest.mark.parametrize("above", [0.0, 0.01, 0.12])
def test_more_noise_never_makes_a_default_better(above: float) -> None:
    start = starts()[0]
    found = [
        script.Comparison(above, error, start, 1.0, above + 2 * error).decided
        for error in (0.0, 0.01, 0.04, 0.2)
    ]
    assert found[0] == ("within" if above <= script.NEAR else "beyond")
    assert found == sorted(found, key=lambda text: text == "undecided")


def test_a_better_rate_does_not_count_against_β_or_ε() -> None:
    m = measured(lambda p: 1.0 if p.lr == 0.03 else 2.0)
    β, ε = script.judge(m)
    assert (β.verdict, ε.verdict) == ("holds", "holds")
    assert "η = 0.01 is up to 100% above the best η" in β.remark


# What is shown


@pytest.mark.slow
def test_the_table_has_a_column_for_each_default_and_fits_a_terminal(
    reduced: Measurement,
) -> None:
    lines = script.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    (losses,) = (line for line in lines if line.startswith("loss at the defaults"))
    expected = [f"{reduced.losses[start].mean():.4f}" for start in starts()]
    assert losses.split()[-4:] == expected


@pytest.mark.slow
def test_each_map_frames_its_default_and_stars_its_lowest(reduced: Measurement) -> None:
    figure = script.draw(reduced)
    figure.canvas.draw()
    for i, view in enumerate(script.VIEWS.values()):
        for ax, start in zip(figure.axes[4 * i : 4 * i + 4], starts(), strict=True):
            cells = view(reduced.grid, start)
            best = script.compare(reduced, start, cells).best
            (star,) = (text for text in ax.texts if text.get_text() == "★")
            x, y = star.get_position()
            assert best in cells[round(y)][round(x)]
            (frame,) = ax.patches
            assert isinstance(frame, Rectangle)
            x, y = frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2
            assert start in cells[round(y)][round(x)]
            judged = eps_alone if view is eps_and_rate else view
            found = script.compare(reduced, start, judged(reduced.grid, start))
            assert ax.get_title(loc="left").endswith(f"default {script.per_cent(found)} above")
            assert ax.get_xlabel()
            assert ax.get_ylabel()
    colorbar = figure.axes[12]
    assert "%" in colorbar.get_xlabel()
    assert f"η = 0.001 up to {script.small_rates(reduced):.0%}" in figure.get_suptitle()
    plt.close(figure)


def test_a_cell_that_diverged_is_told_from_one_that_is_very_bad() -> None:
    losses = {0.03: np.inf, 0.001: 20.0}
    figure = script.draw(measured(lambda p: losses.get(p.lr, 1.0)))
    shown = [text.get_text() for text in figure.axes[8].texts]
    assert (shown.count("∞"), shown.count(">999")) == (len(REDUCED.eps), len(REDUCED.eps))
    plt.close(figure)
