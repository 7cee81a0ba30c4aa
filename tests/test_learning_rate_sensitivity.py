"""How wide the useful range of learning rates is: its ends, its measurement, its verdicts."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets import airfoil, airfoil_stand_in, minibatches
from experiments import learning_rate_sensitivity as script
from experiments.learning_rate_sensitivity import FACTORS, NO_SMOOTHING, UNITS, Measurement
from experiments.protocol import least_squares_loss
from experiments.question import Setting
from experiments.trainings import train_linear
from experiments.useful_range import useful_range

REDUCED_RATES = script.RATES[:: script.REDUCED_STRIDE]


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Measurement:
    """The reduced measurement of the methods that the verdicts are about, and Lion."""
    return script.measure(replace(reduced_setting, optimizers=("Lion",)))


def measured(widths: dict[str, tuple[float, ...]]) -> Measurement:
    """Made-up losses: 1 over as many decades from 1e-4 on as `widths` has for a method, else 2."""
    rates = np.array(script.RATES)
    losses = {
        units: {
            method: np.where((rates >= 0.9e-4) & (rates <= 1.1e-4 * 10**w), 1.0, 2.0)[:, None]
            for method, w in zip(FACTORS, widths[units], strict=True)
        }
        for units in UNITS
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


@pytest.mark.parametrize("units", UNITS)
def test_units_do_not_move_the_floor(units: str) -> None:
    data = airfoil_stand_in()
    assert least_squares_loss(replace(data, X=data.X * UNITS[units])) == pytest.approx(
        least_squares_loss(data), rel=1e-12
    )


def test_own_units_are_those_of_the_file_in_khz_and_cm(real_airfoil: Path) -> None:
    raw = np.loadtxt(real_airfoil)[:, :5] * (1e-3, 1, 100, 1, 100)
    X = airfoil(real_airfoil).X * UNITS["own units"]
    np.testing.assert_allclose(X, (raw - raw.mean(axis=0))[:1500], rtol=5e-6, atol=1e-12)


@pytest.mark.parametrize("units", UNITS)
def test_small_rates_of_sgd_give_the_loss_of_gradient_descent_in_closed_form(units: str) -> None:
    data = airfoil_stand_in()
    lr, steps = 1e-4, 300
    A = np.column_stack([data.X * UNITS[units], np.ones(len(data.X))])
    eigenvalues, Q = np.linalg.eigh(A.T @ A / len(A))
    distance = Q.T @ np.linalg.lstsq(A, data.y)[0][:, 0]  # from the start, about 0
    left = (1 - lr * eigenvalues) ** steps * distance
    expected = least_squares_loss(data) + np.sum(eigenvalues * left**2) / 2
    losses = [
        script.train(data, units=units, optimizer="sgd", lr=lr, seed=seed)["loss"]
        for seed in range(1, 6)
    ]
    assert np.mean(losses) == pytest.approx(expected, rel=0.01)


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


def test_losses_are_those_of_single_trainings(reduced: Measurement) -> None:
    data = airfoil_stand_in()
    i = REDUCED_RATES.index(0.01)
    standardised = reduced.losses["standardised"]
    for seed in (1, 3):
        alone = train_linear(data, optimizer="lion", lr=0.01, seed=seed)["loss"]
        assert standardised["lion"][i, seed - 1] == alone
        alone = train_linear(data, optimizer="adam", lr=0.01, seed=seed, betas=(0, 0.999))["loss"]
        assert standardised[NO_SMOOTHING][i, seed - 1] == alone


def test_a_rate_at_which_sgd_diverges_is_measured_as_infinity(reduced: Measurement) -> None:
    assert np.isinf(reduced.losses["own units"]["sgd"][-1]).all()
    assert all(not np.isnan(x).any() for units in UNITS for x in reduced.losses[units].values())


def test_chosen_optimizers_are_measured_beside_those_of_the_verdicts(reduced: Measurement) -> None:
    for units in UNITS:
        assert set(reduced.losses[units]) == {*FACTORS, "lion"}


def test_error_unknown_optimizer() -> None:
    with pytest.raises(ValueError, match="there is no optimizer 'adm'"):
        script.measure(Setting(data=airfoil_stand_in(), optimizers=("adm",)))


# What follows from it


def test_at_reduced_size_scaling_widens_the_range_and_smoothing_does_not(
    reduced: Measurement,
) -> None:
    tuning, reason = script.judge(reduced)
    assert (tuning.verdict, reason.verdict) == ("in part", "in part")
    assert "nothing to scale" in tuning.remark
    assert reason.remark.startswith("By smoothing")


@pytest.mark.slow
def test_at_full_size_the_verdicts_are_the_same(tmp_path: Path) -> None:
    full = script.measure(Setting(data=airfoil_stand_in(), optimizers=("adam",), folder=tmp_path))
    assert [verdict.verdict for verdict in script.judge(full)] == ["in part", "in part"]


@pytest.mark.parametrize(
    ("standardised", "own", "verdicts"),
    # Widths of SGD, Momentum, Adam with β₁ = 0, and Adam
    [
        ((1, 1, 1, 2), (0.5, 1, 1, 2), ["holds", "holds"]),
        ((1, 1, 1, 1), (0.5, 1, 1, 2), ["in part", "holds"]),
        ((1, 1, 1, 1), (1, 2, 1, 2), ["fails", "in part"]),
        ((1, 2, 1, 1), (2, 2, 2, 2), ["fails", "fails"]),
    ],
)
def test_other_widths_lead_to_other_verdicts(
    standardised: tuple[float, ...], own: tuple[float, ...], verdicts: list[str]
) -> None:
    m = measured({"standardised": standardised, "own units": own})
    assert [verdict.verdict for verdict in script.judge(m)] == verdicts


def test_rates_useful_in_both_units_are_those_that_the_ranges_share() -> None:
    m = measured({"standardised": (1, 2, 1, 1), "own units": (1, 1, 0, 2)})
    shared = script.overlap(m, "momentum")
    assert shared is not None
    assert shared.width == pytest.approx(1.0, abs=0.1)
    m.losses["own units"]["sgd"][:] = 2.0
    assert script.overlap(m, "sgd") is None


# What is shown


def test_the_table_has_a_line_for_each_method_and_units_and_fits_a_terminal(
    reduced: Measurement,
) -> None:
    lines = script.table(reduced).splitlines()
    assert max(map(len, lines)) <= 100
    for method in (*FACTORS, "lion"):
        assert sum(line.startswith(script.NAMES[method] + "  ") for line in lines) == len(UNITS)


def test_every_panel_of_the_figure_has_labels_and_the_title_has_the_measured_widths(
    reduced: Measurement,
) -> None:
    figure = script.draw(reduced)
    figure.canvas.draw()
    title = figure.get_suptitle()
    for units in UNITS:
        adam, sgd = (script.width(reduced, units, method) for method in ("adam", "sgd"))
        assert f"({adam:.2f} and {sgd:.2f} decades)" in title
    shown = [ax for ax in figure.axes if ax.get_visible()]
    names = {ax.get_title(loc="left") for ax in shown}
    assert {script.NAMES[method] for method in (*FACTORS, "lion")} < names
    assert sum(ax.get_xlabel().startswith("learning rate η") for ax in shown) == 4 + len(UNITS)
    assert all(ax.get_xscale() == "log" for ax in shown)
    plt.close(figure)
