"""Initial values: variance, bounds, orthogonality."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.nn import initializers

DENSE = (300, 200)  # fan_in 300, fan_out 200
FILTERS = (40, 30, 5, 4)  # fan_in 600, fan_out 800


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_fans_of_linear_and_convolution_weights() -> None:
    assert initializers.fans(DENSE) == (300, 200)
    assert initializers.fans(FILTERS) == (600, 800)
    assert initializers.fans(nn.Linear(3, 7, rng=rng()).weight.shape) == (3, 7)
    assert initializers.fans(nn.Conv2d(3, 7, (2, 5), rng=rng()).weight.shape) == (30, 70)


VARIANCES = [
    (initializers.xavier_uniform, DENSE, {}, 2 / 500),
    (initializers.xavier_uniform, FILTERS, {}, 2 / 1400),
    (initializers.xavier_uniform, DENSE, {"gain": 5 / 3}, 25 / 9 * 2 / 500),
    (initializers.xavier_normal, DENSE, {}, 2 / 500),
    (initializers.xavier_normal, FILTERS, {"gain": 0.5}, 0.25 * 2 / 1400),
    (initializers.he_uniform, DENSE, {}, 2 / 300),
    (initializers.he_uniform, FILTERS, {"gain": 1.0}, 1 / 600),
    (initializers.he_normal, DENSE, {}, 2 / 300),
    (initializers.he_normal, FILTERS, {}, 2 / 600),
    (initializers.normal, DENSE, {"std": 0.02}, 0.0004),
    (initializers.uniform, DENSE, {"bound": 0.3}, 0.03),
]


@pytest.mark.parametrize(("initializer", "shape", "options", "variance"), VARIANCES)
def test_mean_and_variance_of_the_distribution(
    initializer: Any, shape: tuple[int, ...], options: dict[str, float], variance: float
) -> None:
    w = initializer(shape, **options, rng=rng())
    assert w.shape == shape
    assert w.dtype == np.float64
    n = w.size
    # Four standard errors: of the mean, and of the variance (kurtosis at most 3).
    assert abs(w.mean()) < 4 * math.sqrt(variance / n)
    assert abs(w.var() / variance - 1) < 4 * math.sqrt(2 / n)


@pytest.mark.parametrize(
    ("initializer", "bound"),
    [
        (initializers.uniform, 1.0),
        (initializers.xavier_uniform, math.sqrt(6 / 500)),
        (initializers.he_uniform, math.sqrt(6 / 300)),
    ],
)
def test_a_uniform_distribution_fills_its_interval(initializer: Any, bound: float) -> None:
    w = initializer(DENSE, rng=rng())
    assert 0.999 * bound < w.max() <= bound
    assert -bound <= w.min() < -0.999 * bound


@pytest.mark.parametrize("shape", [(5, 5), (9, 4), (4, 9), (1, 3), (6, 2, 3, 3), (30, 2, 3, 3)])
@pytest.mark.parametrize("gain", [1.0, math.sqrt(2)])
def test_orthogonal_columns_or_rows(shape: tuple[int, ...], gain: float) -> None:
    w = initializers.orthogonal(shape, gain, rng=rng())
    assert w.shape == shape
    matrix = w.reshape(shape[0], -1)
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    np.testing.assert_allclose(matrix.T @ matrix, gain**2 * np.eye(matrix.shape[1]), atol=1e-12)


def test_orthogonal_matrices_are_uniform_and_not_as_the_decomposition_signs_them() -> None:
    g = rng()
    drawn = np.array([initializers.orthogonal((2, 2), rng=g) for _ in range(2000)])
    # Uniform: every entry has mean 0 and variance 1/2, rotations and reflections are equally many.
    assert np.all(abs(drawn.mean(axis=0)) < 4 * math.sqrt(0.5 / 2000))
    assert np.all(abs(drawn.var(axis=0) - 0.5) < 4 * math.sqrt(0.125 / 2000))
    assert abs(np.linalg.det(drawn).mean()) < 4 / math.sqrt(2000)


ALL: list[Any] = [
    initializers.uniform, initializers.normal, initializers.xavier_uniform,
    initializers.xavier_normal, initializers.he_uniform, initializers.he_normal,
    initializers.orthogonal,
]  # fmt: skip


@pytest.mark.parametrize("initializer", ALL)
def test_the_generator_decides_and_float32_is_the_same_draw_rounded(initializer: Any) -> None:
    w = initializer((6, 4), rng=rng())
    np.testing.assert_array_equal(w, initializer((6, 4), rng=rng()))
    single = initializer((6, 4), rng=rng(), dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, w.astype(np.float32))
    assert Tensor(single, requires_grad=True).data.flags.c_contiguous


def test_every_initializer_is_tested() -> None:
    assert {f.__name__ for f in ALL} == set(initializers.__all__) - {"fans"}


def test_he_keeps_the_mean_square_through_thirty_relu_layers() -> None:
    g = rng()
    x = g.normal(size=(200, 256))
    for _ in range(30):
        x = np.maximum(x @ initializers.he_normal((256, 256), rng=g), 0)
    assert 0.3 < np.mean(x**2) < 3.0


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (0, 4), (2, 2, 0, 3), ()])
def test_error_no_fans(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"fan_in and fan_out are defined for \(in, out\)"):
        initializers.he_normal(shape, rng=rng())


def test_error_orthogonal_vector() -> None:
    with pytest.raises(ValueError, match=r"at least two axes, got \(3,\)"):
        initializers.orthogonal((3,), rng=rng())


@pytest.mark.parametrize("initializer", ALL)
def test_error_a_seed_instead_of_a_generator(initializer: Any) -> None:
    with pytest.raises(TypeError, match=r"rng=0 is of type int; .* np\.random\.default_rng\(0\)"):
        initializer((2, 2), rng=0)
