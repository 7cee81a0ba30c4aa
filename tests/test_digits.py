"""The digits that networks are trained on: what a seed draws, and the training's repeatability."""

import numpy as np
import pytest

from experiments.trainings.digits import HELD_OUT, digits, train_on_digits

SEED = 1


def test_the_images_of_a_seed_are_three_different_sets() -> None:
    sets = digits(SEED, 500)
    assert [len(sets[part].X) for part in ("train", "validation", "test")] == [500, 1000, 1000]
    assert not np.array_equal(sets["validation"].X, sets["test"].X)
    assert not np.array_equal(sets["train"].X, sets["test"].X[:500])


def test_a_part_of_the_training_labels_is_drawn_and_the_others_are_clean() -> None:
    clean = np.arange(HELD_OUT) % 10
    wrong = [np.mean(digits(s, 200, 0.2)["train"].y != clean[:200]) for s in range(1, 9)]
    assert np.mean(wrong) == pytest.approx(0.9 * 0.2, abs=0.03)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(digits(1, 200, 0.2)[part].y, clean)
    np.testing.assert_array_equal(digits(1, 200)["train"].y, clean[:200])


def test_a_training_is_the_same_every_time() -> None:
    first, again = (
        train_on_digits(seed=SEED, training_images=200, optimizer="adam", lr=0.01) for _ in "ab"
    )
    assert first == again
