"""Digits drawn from matplotlib's fonts: the same every time, balanced, and readable."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.transforms import Affine2D

from datasets import Images, glyphs
from datasets.__main__ import main
from datasets.glyphs import FONTS, TURN, _covered, _outline


def drawn(n: int, seed: int = 0) -> Images:
    return glyphs(n, np.random.default_rng(seed))


def upright(font: str, digits: Sequence[int], turn: float = 0.0) -> npt.NDArray[np.float64]:
    """Clean digits of height 12 in the middle, a row of pixels for each."""
    full = np.ones(len(digits))
    return _covered(
        np.array(digits), np.full(len(digits), FONTS.index(font)),
        height=12 * full, turn=turn * full, right=8 * full, up=8 * full,
    )  # fmt: skip


def test_what_layers_and_losses_take() -> None:
    data = drawn(23)
    assert data.X.shape == (23, 1, 16, 16)
    assert data.X.dtype == np.float32
    assert data.X.flags.c_contiguous
    assert data.y.shape == (23,)
    assert data.y.dtype == np.int64
    assert data.X.min() >= 0
    assert data.X.max() <= 1
    assert "no file needed" in data.source


def test_one_generator_state_one_set() -> None:
    np.testing.assert_array_equal(drawn(50).X, drawn(50).X)
    assert not np.array_equal(drawn(50).X, drawn(50, seed=1).X)
    rng = np.random.default_rng(0)
    assert not np.array_equal(glyphs(50, rng).X, glyphs(50, rng).X)


def test_a_smaller_set_begins_a_larger_one() -> None:
    np.testing.assert_array_equal(drawn(17).X, drawn(230).X[:17])
    np.testing.assert_array_equal(drawn(17).y, drawn(230).y[:17])


def test_classes_are_balanced() -> None:
    assert np.bincount(drawn(200).y).tolist() == [20] * 10
    assert np.ptp(np.bincount(drawn(37).y)) == 1


def test_a_pixel_is_the_part_that_the_digit_covers() -> None:
    """The area under all pixels is that of the outline, by the shoelace formula.

    At this size Agg takes a few straight lines for each curve, hence the tolerance.
    """
    for name in FONTS:
        large = Affine2D().scale(1000)  # curves become polygons: the larger, the finer
        area = 0.0
        for polygon in _outline(name, 8).to_polygons(large):
            x, y = np.asarray(polygon).T / 1000 * 12
            area += float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
        for turn in (0.0, 0.2):
            assert upright(name, [8], turn).sum() == pytest.approx(abs(area), rel=0.015), name


def test_row_0_is_at_the_top() -> None:
    for name in FONTS:
        seven = upright(name, [7]).reshape(16, 16)
        assert seven[:8].sum() > 1.2 * seven[8:].sum(), name


def test_every_font_has_ten_distinct_digits() -> None:
    for name in FONTS:
        images = upright(name, range(10))
        difference = np.abs(images[:, None] - images).sum(axis=-1) / images.sum(axis=-1)
        np.fill_diagonal(difference, np.inf)
        assert difference.min() > 0.15, name


@pytest.mark.parametrize(("one", "other"), [(6, 9), (1, 7)])
def test_no_turn_makes_one_digit_another(one: int, other: int) -> None:
    """However both are turned, they differ by at least a third of their ink."""
    for name in FONTS:
        turned = np.array([upright(name, [one, other], t) for t in np.linspace(-TURN, TURN, 7)])
        ones, others = turned[:, None, 0], turned[None, :, 1]
        difference = np.abs(ones - others).sum(axis=-1) / np.maximum(ones, others).sum(axis=-1)
        assert difference.min() > 1 / 3, name


def test_each_class_is_learnable() -> None:
    """The nearest of 3,000 images is of the same digit, for most of each digit's others."""
    train, test = drawn(3000), drawn(1000, seed=1)
    A, B = train.X.reshape(3000, -1), test.X.reshape(1000, -1)
    found = train.y[np.argmin((A**2).sum(axis=1) - 2 * B @ A.T, axis=1)]
    rates = [float(np.mean(found[test.y == digit] == digit)) for digit in range(10)]
    assert min(rates) > 0.8, rates


def test_nothing_global_is_changed_and_no_window_opened() -> None:
    code = (
        "import matplotlib as mpl, numpy as np; before = dict(mpl.rcParams); "
        "from datasets import glyphs; glyphs(20, np.random.default_rng(0)); import sys; "
        "assert dict(mpl.rcParams) == before; "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {"MPLBACKEND": "qtagg", "PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


def test_settings_of_matplotlib_change_no_image() -> None:
    import matplotlib as mpl

    expected = drawn(40).X
    _outline.cache_clear()
    changed: dict[Any, Any] = {
        "font.family": "monospace", "font.size": 40, "text.hinting": "force_autohint",
        "path.snap": False, "lines.linewidth": 9, "text.antialiased": False,
        "agg.path.chunksize": 100,
    }  # fmt: skip
    with mpl.rc_context(changed):
        np.testing.assert_array_equal(drawn(40).X, expected)


@pytest.mark.parametrize("n", [0, -3])
def test_error_no_image(n: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}; there must be at least 1"):
        drawn(n)


@pytest.mark.parametrize("n", [2.0, "10", None, True])
def test_error_n_is_no_integer(n: Any) -> None:
    with pytest.raises(TypeError, match="must be an integer"):
        drawn(n)


@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0)])
def test_error_rng_is_no_generator(rng: Any) -> None:
    with pytest.raises(TypeError, match=r"numpy\.random\.Generator"):
        glyphs(10, rng)


def test_an_error_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match="at least 1"):
        glyphs(0, rng)
    assert rng.bit_generator.state == before


def test_the_list_of_data_sets_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "glyphs: digits from 20 fonts of matplotlib, drawn here" in capsys.readouterr().out
