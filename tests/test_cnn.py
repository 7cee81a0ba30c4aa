"""Adam and SGD on images: the protocol, the choice of the rate, the verdicts, a small run."""

import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datasets import DataError, Images, airfoil_stand_in, glyphs
from experiments import cnn as script
from experiments.cnn import COMPARED, RATES, Measurement, Trained
from experiments.final_loss import final_loss, is_at_edge, smoothed
from experiments.question import Setting
from experiments.trainings import images as module
from experiments.trainings.images import TrainAndTest, accuracy, images
from experiments.trainings.small_cnn import SmallCNN

STEPS = 400

# Measurements that are made up


def trained(
    optimizer: str, lr: float, *, loss: float = 1.0, test: tuple[float, ...] = (0.9, 0.9, 0.9)
) -> Trained:
    """All losses alike, and test accuracies of the seeds that do not change."""
    n = len(test)
    return Trained(
        optimizer, lr, np.full((n, STEPS), loss), np.where(np.isfinite(loss), 0, [7] * n), 5.0,
        np.array([0, 100, 200, 300, 400]),
        np.repeat(np.where(np.isfinite(loss), test, np.nan)[:, None], 5, axis=1),
    )  # fmt: skip


def measured(sgd: tuple[float, ...], adam: tuple[float, ...], best: int = 2) -> Measurement:
    """Given test accuracies at the best rates, those of index `best`, and worse ones elsewhere."""
    few = glyphs(20, np.random.default_rng(0))
    return Measurement(
        TrainAndTest(few, few), 1, STEPS, False,
        {
            name: [
                trained(name, lr, loss=0.1, test=test) if i == best else trained(name, lr)
                for i, lr in enumerate(RATES[name])
            ]
            for name, test in (("sgd", sgd), ("adam", adam))
        },
    )  # fmt: skip


def verdicts(m: Measurement) -> list[str]:
    return [verdict.verdict for verdict in script.judge(m)]


# The choice


def test_every_optimizer_has_four_rates_a_factor_of_about_three_apart() -> None:
    for name, lrs in RATES.items():
        assert len(lrs) == 4, name
        np.testing.assert_allclose(np.diff(np.log10(lrs)), 0.5, atol=0.03)
    assert set(COMPARED) <= set(RATES)


def test_the_rate_is_chosen_by_training_loss_and_not_by_test_accuracy() -> None:
    m = measured((0.98, 0.98), (0.97, 0.97))
    good_on_test = replace(trained("adam", RATES["adam"][0], loss=0.2, test=(1.0, 1.0)))
    adam = [good_on_test, *m.runs["adam"][1:]]
    m = replace(m, runs={**m.runs, "adam": adam})
    assert m.best("adam").lr == RATES["adam"][2]


def test_a_rate_that_diverged_from_one_seed_is_not_chosen() -> None:
    m = measured((0.98, 0.98), (0.97, 0.97))
    losses = np.full((2, STEPS), 0.01)
    losses[1, 300:] = np.inf
    lost = trained("adam", 1e-2, test=(0.9, 0.9))
    lost = replace(lost, losses=losses, diverged=np.array([0, 301]))
    m = replace(m, runs={**m.runs, "adam": [lost, *m.runs["adam"][1:]]})
    assert m.best("adam").lr == RATES["adam"][2]
    assert "1 of 2 seeds diverged" in script.table(m)


def test_the_test_accuracy_is_the_mean_of_the_looks_in_the_final_steps() -> None:
    looks = np.array([[0.1, 0.8, 0.9, 0.91, 0.92], [0.1, 0.7, 0.8, 0.8, 0.86]])
    run = replace(trained("adam", 1e-3, test=(0.0, 0.0)), accuracy=looks)
    assert run.evaluated.tolist() == [0, 100, 200, 300, 400]
    np.testing.assert_allclose(run.test, [0.915, 0.83])  # the final loss begins at step 300


def test_the_final_loss_is_the_mean_of_the_last_steps_of_all_seeds() -> None:
    losses = np.zeros((2, 1000))
    losses[0, -100:], losses[1, -100:] = 1, 3
    assert final_loss(losses) == 2
    assert final_loss(np.arange(8.0)) == 6.5


def test_smoothed_losses_begin_where_enough_steps_are_done() -> None:
    np.testing.assert_allclose(smoothed(np.arange(10.0), 4), np.arange(1.5, 8.5))
    np.testing.assert_array_equal(smoothed(np.arange(3.0), 1), np.arange(3.0))


def test_edges_of_a_grid() -> None:
    assert [is_at_edge(lr, RATES["sgd"]) for lr in RATES["sgd"]] == [True, False, False, True]


# The verdicts


@pytest.mark.parametrize(
    ("sgd", "adam", "expected"),
    [
        ((0.990, 0.991, 0.992), (0.991, 0.990, 0.992), ["fails", "fails", "holds"]),
        ((0.960, 0.961, 0.962), (0.961, 0.960, 0.962), ["fails", "fails", "in part"]),
        ((0.980, 0.981, 0.982), (0.990, 0.991, 0.992), ["in part", "fails", "holds"]),
        ((0.990, 0.991, 0.992), (0.980, 0.981, 0.982), ["fails", "in part", "holds"]),
        ((0.950, 0.951, 0.952), (0.990, 0.991, 0.992), ["holds", "fails", "fails"]),
        ((0.990, 0.991, 0.992), (0.950, 0.951, 0.952), ["fails", "holds", "fails"]),
        ((0.99, 0.99, 0.60), (0.99, 0.99, 0.99), ["fails", "fails", "fails"]),
        # No points apart in the mean, but with two standard errors 1.96, and 2.08.
        ((0.980, 0.980, 0.980), (0.963, 0.980, 0.997), ["fails", "fails", "holds"]),
        ((0.980, 0.980, 0.980), (0.962, 0.980, 0.998), ["fails", "fails", "fails"]),
    ],
)
def test_verdicts(sgd: tuple[float, ...], adam: tuple[float, ...], expected: list[str]) -> None:
    assert verdicts(measured(sgd, adam)) == expected


def test_if_one_diverges_at_every_rate_all_fails_and_is_shown() -> None:
    m = measured((0.98, 0.98), (0.97, 0.97))
    m = replace(m, runs={**m.runs, "sgd": [trained("sgd", lr, loss=np.inf) for lr in RATES["sgd"]]})
    assert verdicts(m) == ["fails"] * 3
    table = script.table(m)
    assert table.count("3 of 3 seeds diverged") == len(RATES["sgd"])
    assert "nan" not in table
    figure = script.draw(m)
    assert "diverges at every rate" in figure.get_suptitle()
    plt.close(figure)


def test_two_seeds_are_named_in_every_verdict() -> None:
    two = script.judge(measured((0.98, 0.98), (0.99, 0.99)))
    three = script.judge(measured((0.98, 0.98, 0.98), (0.99, 0.99, 0.99)))
    assert all("Two seeds" in verdict.remark for verdict in two)
    assert not any("Two seeds" in verdict.remark for verdict in three)


def test_the_distance_comes_with_its_standard_error() -> None:
    number = script.judge(measured((0.980, 0.982), (0.990, 0.994)))[2].number
    assert number.endswith("1.10 ± 0.10 points apart")


def test_another_optimizer_that_diverges_at_every_rate_is_said_to() -> None:
    m = measured((0.98, 0.98), (0.98, 0.98))
    m = replace(m, runs={**m.runs, "lion": [trained("lion", x, loss=np.inf) for x in (1e-4, 1e-3)]})
    remark = script.judge(m)[0].remark
    assert "Lion diverges at every rate." in remark
    assert "nan" not in remark
    figure = script.draw(m)
    assert [text.get_text() for text in figure.axes[2].texts] == ["diverged"] * 2
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert "Lion, diverges at every rate" in {text.get_text() for text in legend.texts}
    plt.close(figure)


def test_a_best_rate_at_the_edge_is_named() -> None:
    for best, named in ((0, True), (1, False), (3, True)):
        remark = script.judge(measured((0.98, 0.98), (0.98, 0.98), best))[0].remark
        assert ("may be a better one beyond" in remark) == named


def test_other_optimizers_are_in_table_remark_and_figure() -> None:
    m = measured((0.98, 0.98), (0.98, 0.98))
    yogi = [trained("yogi", lr, loss=lr, test=(0.991, 0.993)) for lr in RATES["yogi"]]
    m = replace(m, runs={**m.runs, "yogi": yogi})
    assert "\nYogi " in script.table(m)
    assert "Yogi, tuned alike, comes to 99.20% (η = 0.001)" in script.judge(m)[0].remark
    figure = script.draw(m)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert "Yogi, η = 0.001" in {text.get_text() for text in legend.texts}
    plt.close(figure)


def test_the_table_is_narrow_and_says_what_was_chosen() -> None:
    text = script.table(measured((0.980, 0.982), (0.990, 0.994)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("0.1000*") == len(COMPARED)
    assert "1.0000*" not in text
    assert "+1.10 pp ± 0.10" in text
    assert "98.10% ± 0.10" in text


def test_the_title_is_made_of_the_numbers() -> None:
    figure = script.draw(measured((0.980, 0.982), (0.990, 0.994)))
    assert "Adam 99.2%, of SGD with momentum 98.1%, 1.1 ± 0.1 points" in figure.get_suptitle()
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        assert ax.get_title()
    plt.close(figure)


# The images


def test_without_files_the_images_are_drawn_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.TRAINING_IMAGES, module.TEST_IMAGES) == (10_000, 2000)
    monkeypatch.setattr(module, "TRAINING_IMAGES", 50)
    monkeypatch.setattr(module, "TEST_IMAGES", 20)
    a, b, other = images(None, 1), images("stand-in", 1), images(None, 2)
    assert (len(a.train.X), len(a.test.X)) == (50, 20)
    np.testing.assert_array_equal(a.test.X, b.test.X)
    assert not np.array_equal(a.test.X, other.test.X)
    assert not np.array_equal(a.train.X[:20], a.test.X)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_images(folder: Path, size: tuple[int, int] = (8, 8)) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, n in (("train", 30), ("t10k", 10)):
        write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (n, *size)))
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(n) % 10)


@pytest.mark.parametrize(("name", "title"), [("mnist", "MNIST"), ("my-fashion", "Fashion-MNIST")])
def test_a_folder_of_idx_files_is_read_and_named(tmp_path: Path, name: str, title: str) -> None:
    folder = tmp_path / name
    write_images(folder)
    data = images(str(folder), 1)
    assert (data.train.X.shape, data.test.X.shape) == ((30, 1, 8, 8), (10, 1, 8, 8))
    assert data.train.source == data.test.source == title


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion-mnist"])
def test_fashion_mnist_is_found_by_its_name_and_by_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_images(tmp_path / "fashion-mnist")
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    assert images(name, 1).train.source == "Fashion-MNIST"


@pytest.mark.parametrize("size", [(8, 6), (3, 3)])
def test_images_that_the_network_cannot_take_are_refused(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_images(tmp_path / "mnist", size)
    expected = rf"{re.escape(str(size))}, expected square ones of at least \(4, 4\)"
    with pytest.raises(DataError, match=expected):
        images(str(tmp_path / "mnist"), 1)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises((FileNotFoundError, DataError), match="no-such"):
        images(str(tmp_path / "no-such"), 1)


def test_accuracy_counts_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 50)
    rng = np.random.default_rng(0)
    model = SmallCNN(16, rng=rng)
    data = glyphs(123, rng)
    guesses = model(data.X).data.argmax(axis=1)
    right = replace(data, y=np.where(np.arange(123) % 4 == 0, guesses, (guesses + 1) % 10))
    assert accuracy(model, right) == 31 / 123


# Trainings


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    few = TrainAndTest(glyphs(200, rng), glyphs(50, rng))
    monkeypatch.setattr(script, "images", lambda path, seed: few)


@pytest.mark.usefixtures("few_images")
def test_a_small_run_keeps_its_results_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = Setting(airfoil_stand_in(), reduced=True, folder=tmp_path, steps=3)
    m = script.measure(setting)
    assert {name: [run.lr for run in runs] for name, runs in m.runs.items()} == {
        name: list(RATES[name][1:]) for name in COMPARED
    }
    for runs in m.runs.values():
        for run in runs:
            assert run.losses.shape == (script.QUICK_SEEDS, 3)
            assert run.evaluated.tolist() == [0, 3]
    # All begin with the same weights on the same batches, and with different ones for each seed.
    first = {float(run.losses[0, 0]) for runs in m.runs.values() for run in runs}
    assert len(first) == 1
    assert first != {float(m.runs["sgd"][0].losses[1, 0])}

    def no_training(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("it trains again")

    monkeypatch.setattr(module, "train", no_training)
    again = script.measure(setting)
    for name in COMPARED:
        for a, b in zip(m.runs[name], again.runs[name], strict=True):
            np.testing.assert_array_equal(a.losses, b.losses)
    assert max(map(len, script.table(m).splitlines())) <= 100
    assert "a quick preview" in script.table(m)
    assert "3 steps and fewer rates, a preview" in script.judge(m)[0].remark
    plt.close(script.draw(m))


@pytest.mark.slow
def test_on_glyphs_both_are_above_97_percent_and_within_2_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RATES", {"sgd": (0.01, 0.03), "adam": (0.003, 0.01)})
    setting = Setting(airfoil_stand_in(), reduced=True, folder=tmp_path, steps=800)
    m = script.measure(setting)
    assert verdicts(m)[2] == "holds", script.table(m)


def test_images_of_another_size_get_a_network_of_their_size() -> None:
    data = Images(np.zeros((4, 1, 28, 28), np.float32), np.zeros(4, np.int64), "empty")
    assert 0 <= accuracy(SmallCNN(28, rng=np.random.default_rng(0)), data) <= 1
