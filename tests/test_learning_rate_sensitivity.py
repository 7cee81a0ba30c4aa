"""How wide the useful range of learning rates is: its ends, its measurement, its verdicts."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets import Regression, airfoil, airfoil_stand_in, minibatches
from experiments import learning_rate_sensitivity as script
from experiments.learning_rate_sensitivity import (
    EQUAL,
    FACTORS,
    LINES,
    NO_SMOOTHING,
    SPREADS,
    UNEQUAL,
    Measurement,
    scales,
)
from experiments.lineup import build
from experiments.protocol import least_squares_loss
from experiments.question import Setting
from experiments.trainings import train_linear
from experiments.useful_range import useful_range
from minigrad import Tensor, mse_loss

REDUCED_RATES = script.RATES[:: script.REDUCED_STRIDE]


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Measurement:
    """The reduced measurement of the methods that the verdicts are about, and Lion."""
    return script.measure(replace(reduced_setting, optimizers=("Lion",)))


def measured(
    equal: tuple[float, ...], unequal: tuple[float, ...], above: float = 0.0
) -> Measurement:
    """Made-up losses: the floor's, or farther `above`, over as many decades as are given."""
    rates = np.array(script.RATES)
    losses = {
        spread: {
            method: np.where(
                (rates >= 0.9e-4) & (rates <= 1.1e-4 * 10**w), 1 + above * (spread > 1), 2.0
            )[:, None]
            for method, w in zip(FACTORS, equal if spread == EQUAL else unequal, strict=True)
        }
        for spread in SPREADS
    }
    return Measurement("made up", 1.0, script.RATES, losses)


# The rates


def test_there_are_25_rates_from_1e_5_to_10_and_every_second_one_is_in_the_reduced_grid() -> None:
    assert len(script.RATES) == 25
    assert (script.RATES[0], script.RATES[-1]) == (1e-5, 10.0)
    np.testing.assert_allclose(np.diff(np.log10(script.RATES)), 0.25, atol=2e-3)
    assert len(REDUCED_RATES) == 13
    assert {1e-5, 1e-2, 10.0} < set(REDUCED_RATES) < set(script.RATES)


# The ends of the range


def test_between_rates_log_loss_is_a_straight_line_over_log_rate() -> None:
    rates = np.array([1e-3, 1e-2, 1e-1, 1.0])
    losses = 3.0 * rates**-0.5  # a straight line throughout, which crosses 12 at η = 1/16
    found = useful_range(rates.tolist(), losses, most=12.0)
    assert found is not None
    assert found.low == pytest.approx(1 / 16, rel=1e-12)
    assert (found.high, found.cut) == (1.0, True)


def test_a_range_ends_at_the_last_rate_before_one_that_diverged() -> None:
    found = useful_range([0.1, 1.0, 10.0], np.array([np.inf, 1.0, np.inf]), most=1.05)
    assert found is not None
    assert (found.low, found.high, found.width, found.cut) == (1.0, 1.0, 0.0, False)


def test_only_the_stretch_around_the_best_rate_counts() -> None:
    rates = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5]
    losses = np.array([1.0, 1.0, 4.0, 0.5, 1.0, 2.0])
    found = useful_range(rates, losses, most=1.0)
    assert found is not None
    assert found.low == pytest.approx(1e3 / 10 ** (1 / 3), rel=1e-12)  # 0.5 to 1 of 0.5 to 4
    assert found.high == pytest.approx(1e4, rel=1e-12)


def test_a_loss_just_at_the_limit_is_useful_and_one_above_is_not() -> None:
    assert useful_range([1.0, 10.0], np.array([1.05, 2.0]), most=1.05) is not None
    assert useful_range([1.0, 10.0], np.array([1.0500001, 2.0]), most=1.05) is None
    assert useful_range([1.0, 10.0], np.array([np.inf, np.inf]), most=1.05) is None


# What is measured


@pytest.mark.parametrize("spread", SPREADS)
def test_scales_do_not_move_the_floor(spread: float) -> None:
    data = airfoil_stand_in()
    scaled = replace(data, X=data.X * scales(spread, seed=2))
    assert least_squares_loss(scaled) == pytest.approx(least_squares_loss(data), rel=1e-12)


@pytest.mark.parametrize("spread", SPREADS)
def test_over_five_seeds_every_feature_has_every_scale(spread: float) -> None:
    drawn = np.array([scales(spread, seed) for seed in range(3, 8)])
    assert drawn[0].max() / drawn[0].min() == pytest.approx(spread, rel=1e-14)
    for one in (*drawn, *drawn.T):
        np.testing.assert_allclose(np.sort(one), np.sort(drawn[0]), rtol=0)
    np.testing.assert_allclose(np.prod(drawn, axis=1), 1, rtol=1e-14)
    assert (script.SEEDS % 5, script.REDUCED_SEEDS % 5) == (0, 0)


def test_standard_deviations_in_the_units_of_the_file(real_airfoil: Path) -> None:
    deviations = np.loadtxt(real_airfoil)[:, :5].std(axis=0)
    assert (round(deviations[0]), round(deviations[4], 3)) == (3152, 0.013)


def test_small_features_cost_adam_r_times_as_many_steps_and_sgd_r_squared() -> None:
    x = np.array([1.0, -1.0] * 20)[:, None]
    data = Regression(x, x, "y = x")

    def steps_to_go_half_way(optimizer: str, scale: float, lr: float) -> int:
        w = Tensor(np.zeros((1, 1)), requires_grad=True)
        rule = build(optimizer, [w], lr=lr)
        for step in range(100_000):
            if float(w.data[0, 0]) * scale >= 0.5:
                return step
            rule.zero_grad()
            (mse_loss(Tensor(data.X * scale) @ w, data.y) / 2).backward()
            rule.step()
        raise AssertionError

    adam = [steps_to_go_half_way("adam", scale, lr=1e-3) for scale in (1.0, 1 / 4)]
    sgd = [steps_to_go_half_way("sgd", scale, lr=1e-2) for scale in (1.0, 1 / 4)]
    assert adam[1] / adam[0] == pytest.approx(4, rel=0.1)
    assert sgd[1] / sgd[0] == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize("spread", [1, 16])
def test_small_rates_of_sgd_give_the_loss_of_gradient_descent_in_closed_form(
    spread: float,
) -> None:
    data = airfoil_stand_in()
    lr, steps = 1e-4, 300

    def expected(seed: int) -> float:
        A = np.column_stack([data.X * scales(spread, seed), np.ones(len(data.X))])
        eigenvalues, Q = np.linalg.eigh(A.T @ A / len(A))
        distance = Q.T @ np.linalg.lstsq(A, data.y)[0][:, 0]  # from the start, about 0
        left = (1 - lr * eigenvalues) ** steps * distance
        return least_squares_loss(data) + float(np.sum(eigenvalues * left**2)) / 2

    losses = [
        script.train(data, spread=spread, optimizer="sgd", lr=lr, seed=seed)["loss"]
        for seed in range(1, 6)
    ]
    assert np.mean(losses) == pytest.approx(np.mean([expected(s) for s in range(1, 6)]), rel=0.02)


def test_a_training_is_the_sections_protocol_written_out_in_numpy() -> None:
    data = airfoil_stand_in()
    weights, batches = np.random.default_rng(3).spawn(2)
    w, b = weights.normal(0.0, 0.01, (5, 1)), 0.0
    for _ in range(2):
        for X, y in minibatches(data.X, data.y, 10, batches):
            error = X @ w + b - y  # the gradient of ½ mean error²: mean error x
            w, b = w - 0.03 * X.T @ error / len(X), b - 0.03 * float(error.mean())
    loss = float(np.mean((data.X @ w + b - data.y) ** 2)) / 2
    found = train_linear(data, optimizer="sgd", lr=0.03, seed=3)["loss"]
    assert found == pytest.approx(loss, rel=1e-13)


@pytest.mark.slow
def test_losses_are_those_of_single_trainings(reduced: Measurement) -> None:
    data = airfoil_stand_in()
    i = REDUCED_RATES.index(0.01)
    equal = reduced.losses[EQUAL]
    for seed in (1, 3):
        alone = train_linear(data, optimizer="lion", lr=0.01, seed=seed)["loss"]
        assert equal["lion"][i, seed - 1] == alone
        alone = train_linear(data, optimizer="adam", lr=0.01, seed=seed, betas=(0, 0.999))["loss"]
        assert equal[NO_SMOOTHING][i, seed - 1] == alone


@pytest.mark.slow
def test_a_rate_at_which_sgd_diverges_is_measured_as_infinity(reduced: Measurement) -> None:
    assert np.isinf(reduced.losses[UNEQUAL]["sgd"][-1]).all()
    assert all(not np.isnan(x).any() for some in reduced.losses.values() for x in some.values())


@pytest.mark.slow
def test_chosen_optimizers_are_measured_beside_those_of_the_verdicts(reduced: Measurement) -> None:
    for spread in SPREADS:
        lion = {"lion"} if spread in (EQUAL, UNEQUAL) else set()
        assert set(reduced.losses[spread]) == {*FACTORS} | lion


def test_error_unknown_optimizer() -> None:
    with pytest.raises(ValueError, match="there is no optimizer 'adm'"):
        script.measure(Setting(data=airfoil_stand_in(), optimizers=("adm",)))


# What follows from it


def verdicts(m: Measurement) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


@pytest.mark.slow
def test_at_reduced_size_adams_range_is_wider_where_scales_are_unequal(
    reduced: Measurement,
) -> None:
    assert script.lines_at_which_wider(reduced, EQUAL) == []
    assert script.lines_at_which_wider(reduced, UNEQUAL) == list(LINES)
    assert verdicts(reduced) == ["in part", "in part"]


@pytest.mark.slow
def test_adam_needs_tuning_too_where_scales_are_unequal(reduced: Measurement) -> None:
    widths = [reduced.width(spread, "adam") for spread in SPREADS]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.25 < 1.0 < widths[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 11])
def test_at_full_size_and_with_other_seeds_the_verdicts_are_the_same(
    seed: int, tmp_path: Path
) -> None:
    setting = Setting(data=airfoil_stand_in(), seed=seed, optimizers=("adam",), folder=tmp_path)
    assert verdicts(script.measure(setting)) == ["in part", "in part"]


@pytest.mark.slow
def test_on_the_real_data_the_verdicts_are_the_same(real_airfoil: Path, tmp_path: Path) -> None:
    setting = Setting(data=airfoil(real_airfoil), optimizers=("adam",), folder=tmp_path)
    assert verdicts(script.measure(setting)) == ["in part", "in part"]


@pytest.mark.parametrize(
    ("equal", "unequal", "expected"),
    # Widths of SGD, Momentum, Adam with β₁ = 0, and Adam
    [
        ((1, 1, 1, 2), (0.5, 1, 1, 2), ["holds", "holds"]),
        ((1, 1, 1, 1), (0.5, 1, 1, 2), ["in part", "holds"]),
        ((1, 1, 1, 1), (1, 2, 1, 2), ["fails", "in part"]),
        ((1, 2, 1, 1), (2, 2, 2, 2), ["fails", "fails"]),
    ],
)
def test_other_widths_lead_to_other_verdicts(
    equal: tuple[float, ...], unequal: tuple[float, ...], expected: list[str]
) -> None:
    assert verdicts(measured(equal, unequal)) == expected


def test_what_shows_at_one_line_only_holds_in_part() -> None:
    m = measured((1, 1, 1, 2), (0.5, 1, 1, 2), above=0.07)
    assert script.lines_at_which_wider(m, UNEQUAL) == [0.1, 0.2]
    assert verdicts(m) == ["in part", "in part"]


def test_a_best_loss_just_beyond_5_percent_leaves_no_useful_range() -> None:
    m = measured((1, 1, 1, 1), (1, 1, 1, 1), above=0.051)
    assert m.useful(UNEQUAL, "sgd") is None
    assert m.width(UNEQUAL, "sgd", 0.1) > 1
    assert "none (its best is 5% above the floor)" in script.finding(m)


# What is shown


@pytest.mark.slow
def test_the_table_has_a_line_for_each_method_and_spread_and_fits_a_terminal(
    reduced: Measurement,
) -> None:
    lines = script.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    for method, blocks in {**dict.fromkeys(FACTORS, 3), "lion": 2}.items():
        assert sum(line.startswith(script.NAMES[method] + "  ") for line in lines) == blocks


@pytest.mark.slow
def test_every_panel_of_the_figure_has_labels_and_the_title_has_the_measured_widths(
    reduced: Measurement,
) -> None:
    figure = script.draw(reduced)
    figure.canvas.draw()
    title = figure.get_suptitle()
    adam, sgd = (reduced.width(EQUAL, method) for method in ("adam", "sgd"))
    assert f"({adam:.2f} and {sgd:.2f} decades)" in title
    assert f"{reduced.width(UNEQUAL, 'adam'):.2f} decades left" in title
    shown = [ax for ax in figure.axes if ax.get_visible()]
    names = {ax.get_title(loc="left") for ax in shown}
    assert {script.NAMES[method] for method in (*FACTORS, "lion")} < names
    assert sum(ax.get_xlabel().startswith("learning rate η") for ax in shown) == 4 + 2
    widths = shown[-len(LINES) :]
    assert widths[0].get_ylabel() == "width, decades of η"
    for ax, line in zip(widths, LINES, strict=True):
        assert ax.get_xlabel() == "spread: largest scale / smallest"
        assert ax.get_title(loc="left").startswith(f"Within {line:.0%}: Adam is ahead")
        drawn = np.array(ax.lines[FACTORS.index("adam")].get_ydata())
        assert drawn.tolist() == [reduced.width(spread, "adam", line) for spread in SPREADS]
    plt.close(figure)
