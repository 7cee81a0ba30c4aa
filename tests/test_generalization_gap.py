"""Whether Adam generalizes worse than SGD: the construction by hand, the tuning, the verdicts."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import generalization_gap as script
from experiments.generalization_gap import ADAPTIVE, CONSTRUCTION, Measurement, Tuned
from experiments.question import Setting

SEED = 1


@pytest.fixture(scope="module")
def reduced(reduced_setting: Setting) -> Measurement:
    return script.measure(reduced_setting)


def verdicts(m: Measurement) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


def with_test_errors(m: Measurement, **errors: float) -> Measurement:
    """The same measurement with one test error for all rates, and a little spread over seeds."""
    images = dict(m.images)
    for label, error in errors.items():
        shape = images[label].test_error.shape
        spread = np.linspace(-1e-4, 1e-4, shape[1])
        images[label] = replace(images[label], test_error=np.full(shape, error) + spread)
    return replace(m, images=images)


# The construction


def test_every_example_has_its_label_two_ones_and_a_block_of_its_own() -> None:
    X, y, y_new = script.examples(SEED)
    n = script.EXAMPLES
    assert X.shape == (n, 3 + 5 * n)
    np.testing.assert_array_equal(X[:, 0], y)
    np.testing.assert_array_equal(X[:, 1:3], 1)
    own = X[:, 3:].reshape(n, n, 5)
    np.testing.assert_array_equal(own.sum(axis=2), np.diag(np.where(y > 0, 1, 5)))
    assert set(y) == set(y_new) == {-1, 1}
    assert 0.65 < np.mean(y_new > 0) < 0.75


def test_the_sign_of_the_correlations_over_four_fits_every_label() -> None:
    X, y, _ = script.examples(SEED)
    np.testing.assert_array_equal(X @ np.sign(X.T @ y) / 4, y)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptive_methods_weigh_the_label_and_the_ones_alike(name: str) -> None:
    """Expected: w₁₋₃ = .25 and 29.5% test error, the share of y = -1 in a sample of new ones."""
    result = script.train_construction(optimizer=name, seed=SEED, **CONSTRUCTION[name])
    np.testing.assert_allclose(result["weights"], 0.25, atol=1e-6)
    assert result["train_error"] == 0
    assert result["train_loss"] < 1e-12
    assert result["test_error"] == np.mean(script.examples(SEED)[2] < 0)
    deviation = np.sqrt(0.3 * 0.7 / script.NEW_EXAMPLES)
    assert abs(result["test_error"] - 0.295) < 2 * deviation


@pytest.mark.parametrize("name", ["sgd", "momentum"])
def test_sgd_finds_the_solution_of_minimum_norm(name: str) -> None:
    X, y, _ = script.examples(SEED)
    result = script.train_construction(optimizer=name, seed=SEED, **CONSTRUCTION[name])
    np.testing.assert_allclose(result["weights"], np.linalg.lstsq(X, y)[0][:3], atol=1e-6)
    assert result["train_error"] == result["test_error"] == 0


def test_yogi_with_its_own_epsilon_is_off_the_line_and_as_wrong() -> None:
    own = CONSTRUCTION["yogi"] | {"eps": 1e-3, "steps": 4000}
    result = script.train_construction(optimizer="yogi", seed=SEED, **own)
    assert 0.26 < result["weights"][0] < 0.32
    assert result["train_error"] == 0
    assert result["test_error"] == np.mean(script.examples(SEED)[2] < 0)


# The images


def test_every_contestant_has_as_many_rates_a_quarter_of_a_decade_apart() -> None:
    for contestant in script.CONTESTANTS:
        assert len(contestant.lrs) == script.RATES
        np.testing.assert_allclose(np.diff(np.log10(contestant.lrs)), 0.25, atol=0.005)


def test_the_rate_is_chosen_on_validation_images_and_judged_on_others() -> None:
    validation = np.array([[0.3, 0.5], [0.3, 0.3], [0.9, 0.1]])
    test = np.array([[0.0, 0.0], [0.4, 0.6], [0.1, 0.1]])
    tuned = Tuned(script.CONTESTANTS[0], [0.1, 0.2, 0.3], 0 * test, validation, test)
    assert tuned.chosen == 1
    assert tuned.test.tolist() == [0.4, 0.6]


@pytest.mark.slow
def test_the_reduced_size_comes_to_the_verdicts(reduced: Measurement) -> None:
    assert verdicts(reduced) == ["holds", "holds"]
    for tuned in reduced.images.values():
        assert tuned.fitted < 0.002
        assert 0 < tuned.chosen < len(tuned.lrs) - 1, "a best rate at the edge of its grid"


# The verdicts


@pytest.mark.slow
def test_without_a_difference_on_images_the_claim_fails(reduced: Measurement) -> None:
    same = with_test_errors(reduced, SGD=0.2, Momentum=0.2, Adam=0.2)
    assert verdicts(same) == ["holds", "fails"]
    better = with_test_errors(reduced, SGD=0.2, Momentum=0.2, Adam=0.1)
    assert verdicts(better) == ["holds", "fails"]


@pytest.mark.slow
def test_a_gap_to_one_of_sgd_and_momentum_is_in_part(reduced: Measurement) -> None:
    assert verdicts(with_test_errors(reduced, SGD=0.2, Momentum=0.3, Adam=0.25))[1] == "in part"


@pytest.mark.slow
def test_the_spread_over_seeds_decides_whether_there_is_a_gap(reduced: Measurement) -> None:
    m = with_test_errors(reduced, SGD=0.2, Momentum=0.2, Adam=0.22)
    assert verdicts(m)[1] == "holds"
    adam = m.images["Adam"]
    noisy = replace(adam, test_error=adam.test_error + np.array([-0.1, 0.0, 0.1]))
    assert verdicts(replace(m, images=m.images | {"Adam": noisy}))[1] == "fails"


@pytest.mark.slow
def test_the_remark_says_whether_momentum_has_a_gap(reduced: Measurement) -> None:
    def remark(**errors: float) -> str:
        return script.judge(with_test_errors(reduced, **errors))[1].remark

    assert "Momentum, which is not adaptive, has a gap" in remark(SGD=0.2, Momentum=0.21)
    assert "Momentum, which is not adaptive, has no gap" in remark(SGD=0.2, Momentum=0.2)
    assert "Momentum, which is not adaptive, has no gap" in remark(SGD=0.2, Momentum=0.19)


@pytest.mark.slow
def test_the_remark_names_the_rate_at_which_sgd_is_still_fitting(reduced: Measurement) -> None:
    sgd, adam = reduced.images["SGD"], reduced.images["Adam"]
    remark = script.judge(reduced)[1].remark
    train, test = sgd.train_error.mean(axis=1), sgd.test_error.mean(axis=1)
    worse = [i for i in range(sgd.chosen) if test[i] > adam.test.mean()]
    assert (train[worse] > 0.003).all(), "SGD is worse although it fits"
    i = worse[-1]
    said = f"still fitting: at η = {sgd.lrs[i]:g} it has {train[i]:.1%} training and {test[i]:.1%}"
    assert said in remark
    fitted = replace(sgd, train_error=np.zeros_like(sgd.train_error))
    same = replace(reduced, images=reduced.images | {"SGD": fitted})
    assert "still fitting" not in script.judge(same)[1].remark


@pytest.mark.slow
def test_the_construction_can_fail(reduced: Measurement) -> None:
    def construction(**changes: dict[str, float]) -> Measurement:
        results = {n: {**r, **changes.get(n, {})} for n, r in reduced.construction.items()}
        return replace(reduced, construction=results)

    right = {"test_error": 0.0}
    assert verdicts(construction(lion=right))[0] == "in part"
    assert verdicts(construction(**dict.fromkeys(ADAPTIVE, right)))[0] == "fails"
    assert verdicts(construction(sgd={"train_error": 0.1}))[0] == "fails"


# What is shown


@pytest.mark.slow
def test_the_table_has_every_optimizer_and_the_expected_numbers(reduced: Measurement) -> None:
    text = script.table(reduced)
    assert max(map(len, text.splitlines())) <= 100
    assert "w = .25, 29.5%" in text
    for label in reduced.images:
        assert f"\n{label}" in text


@pytest.mark.slow
def test_the_figure_is_labelled_and_its_title_made_of_the_numbers(reduced: Measurement) -> None:
    figure = script.draw(reduced)
    for ax in figure.axes:
        assert ax.get_xlabel() or len(ax.get_xticklabels()) == len(reduced.images)
        assert ax.get_title()
    assert f"{100 * reduced.gap('Adam', 'SGD')[0]:+.1f} ± " in figure.get_suptitle()
    plt.close(figure)
