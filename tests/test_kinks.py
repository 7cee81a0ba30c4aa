"""Kinks, ties and edges of domains, where numerical derivatives have nothing to say."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, primitives


def gradient_at(f: Callable[..., Any], *values: Any) -> list[Any]:
    inputs = [Tensor(v, requires_grad=True) for v in values]
    f(*inputs).sum().backward()
    return [t.grad.tolist() for t in inputs]


@pytest.mark.parametrize("f", [primitives.relu, np.abs, np.sign, np.floor, np.rint, np.trunc])
def test_relu_absolute_sign_and_the_roundings_have_derivative_0_at_0(f: Any) -> None:
    assert gradient_at(f, 0.0) == [0.0]


def test_leaky_relu_and_elu_have_the_slope_of_their_left_side_at_0() -> None:
    assert gradient_at(primitives.leaky_relu, 0.0) == [0.01]
    assert gradient_at(lambda x: primitives.elu(x, alpha=0.5), 0.0) == [0.5]


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_maximum_and_minimum_of_equal_inputs_send_half_to_each(f: Any) -> None:
    assert gradient_at(f, 2.0, 2.0) == [0.5, 0.5]


def test_clip_at_a_bound_sends_half_to_the_input() -> None:
    assert gradient_at(lambda x: np.clip(x, -1.0, 1.0), [-2.0, -1.0, 0.0, 1.0, 2.0]) == [
        [0.0, 0.5, 1.0, 0.5, 0.0]
    ]


@pytest.mark.parametrize(("f", "extreme"), [(np.max, 3.0), (np.min, -3.0)])
def test_max_and_min_share_equally_among_ties(f: Any, extreme: float) -> None:
    x = [[extreme, 0.0, extreme], [0.0, extreme, 0.0]]
    assert gradient_at(lambda x: f(x, axis=1), x) == [[[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]]
    third = 1 / 3
    assert gradient_at(f, x) == [[[third, 0.0, third], [0.0, third, 0.0]]]


def test_sort_of_ties_keeps_their_order() -> None:
    rank = np.array([1.0, 2.0, 3.0])
    [g] = gradient_at(lambda x: np.sort(x, kind="stable") * rank, [5.0, 4.0, 4.0])
    assert g == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "f",
    [
        np.linalg.norm,
        np.std,
        lambda x: np.linalg.norm(x, axis=0),
        lambda x: np.linalg.norm(x, 1),
        lambda x: np.linalg.norm(x, 3),
        lambda x: np.linalg.norm(x, np.inf),
        lambda x: np.hypot(x[0], x[1]),
    ],
)
def test_norm_std_and_hypot_have_subgradient_0_at_0(f: Any) -> None:
    assert gradient_at(f, [0.0, 0.0]) == [[0.0, 0.0]]


def test_norm_over_an_axis_is_finite_where_only_one_row_is_0() -> None:
    g = gradient_at(lambda x: np.linalg.norm(x, axis=1), [[0.0, 0.0], [3.0, 4.0]])
    assert g == [[[0.0, 0.0], [0.6, 0.8]]]


@pytest.mark.parametrize("f", [np.sqrt, np.cbrt])
def test_a_root_at_0_has_an_infinite_slope_and_numpys_warning(f: Any) -> None:
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert gradient_at(f, 0.0) == [np.inf]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0.0, 2.0, [0.0, 0.0]),
        (0.0, 1.0, [1.0, 0.0]),
        (3.0, 0.0, [0.0, np.log(3.0)]),
    ],
)
def test_power_at_0_has_finite_gradients(x: float, y: float, expected: list[float]) -> None:
    assert gradient_at(primitives.power, x, y) == expected


def test_power_0_of_0_has_derivative_0_in_the_base() -> None:
    for exponent in (0, 0.0, np.array(0.0)):
        assert gradient_at(lambda x, n=exponent: x**n, 0.0) == [0.0]


def test_power_of_a_negative_base_with_a_constant_exponent() -> None:
    assert gradient_at(lambda x: x**3, -2.0) == [12.0]
    assert gradient_at(lambda x: x**2.0, -2.0) == [-4.0]


def test_a_branch_that_was_not_taken_sends_back_0_even_where_its_gradient_is_infinite() -> None:
    for f in (primitives.relu, lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, x, 0.0)):
        x = Tensor([-1.0, 4.0], requires_grad=True)
        with np.errstate(divide="ignore"):
            np.sqrt(f(x)).sum().backward()  # at f(x) = 0 the root has slope infinity
        np.testing.assert_array_equal(x.grad, [0.0, 0.25])


def test_remainder_counts_by_its_own_result_where_the_quotient_is_rounded() -> None:
    """1 / 0.1 rounds to 10, but 1 % 0.1 is 0.0999...: 0.1 went in 9 times."""
    assert gradient_at(np.remainder, 1.0, 0.1) == [1.0, -9.0]
    assert gradient_at(np.fmod, 1.0, 0.1) == [1.0, -9.0]


def test_prod_and_cumprod_with_zeros_have_the_products_of_the_others() -> None:
    assert gradient_at(np.prod, [2.0, 0.0, 5.0]) == [[0.0, 10.0, 0.0]]
    assert gradient_at(np.prod, [2.0, 0.0, 0.0]) == [[0.0, 0.0, 0.0]]
    assert gradient_at(np.cumprod, [2.0, 0.0, 5.0]) == [[1.0, 12.0, 0.0]]


def test_det_of_a_singular_matrix_has_the_cofactors_as_its_gradient() -> None:
    [g] = gradient_at(np.linalg.det, [[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_allclose(g, [[4.0, -2.0], [-2.0, 1.0]], atol=1e-14)
    [g] = gradient_at(np.linalg.det, np.diag([3.0, 5.0, 0.0]))
    np.testing.assert_allclose(g, np.diag([0.0, 0.0, 15.0]), atol=1e-14)
    [g] = gradient_at(np.linalg.det, np.zeros((3, 3)))
    np.testing.assert_array_equal(g, np.zeros((3, 3)))


def test_cholesky_gives_half_of_the_gradient_to_each_of_two_mirrored_elements() -> None:
    [g] = gradient_at(lambda a: np.linalg.cholesky(a)[1, 0], [[4.0, 2.0], [2.0, 3.0]])
    assert g[0][1] == g[1][0] == 0.25  # z_10 = a_10 / √a_00


# Far out

ACTIVATIONS = ["sigmoid", "softplus", "silu", "elu", "leaky_relu", "relu"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [*ACTIVATIONS, "tanh", "erf", "arctan", "arcsinh", "cbrt"])
def test_values_and_two_derivatives_are_finite_at_1e4(name: str, dtype: Any) -> None:
    row = getattr(primitives, name)
    for x in (-1e4, -750.0, 0.5, 750.0, 1e4):
        value = np.array(x, dtype)
        for f in (row, grad(row), grad(grad(row))):
            assert np.isfinite(np.asarray(f(value)))


def test_sigmoid_softplus_and_silu_keep_their_digits_far_out() -> None:
    x = np.array([-700.0, -40.0, 40.0, 700.0])
    small = np.exp(-np.abs(x))
    exact = np.where(x < 0, small, 1.0)
    np.testing.assert_allclose(primitives.sigmoid(x), exact, rtol=1e-15)
    np.testing.assert_allclose(primitives.softplus(x), np.where(x < 0, small, x), rtol=1e-15)
    np.testing.assert_allclose(primitives.silu(x), x * exact, rtol=1e-15)


def test_activations_follow_their_definitions() -> None:
    x = np.linspace(-3, 3, 13)
    sigmoid = 1 / (1 + np.exp(-x))
    for row, expected in (
        (primitives.sigmoid, sigmoid),
        (primitives.softplus, np.log(1 + np.exp(x))),
        (primitives.silu, x * sigmoid),
        (primitives.relu, np.maximum(x, 0)),
        (primitives.leaky_relu, np.maximum(x, 0.01 * x)),
        (primitives.elu, np.where(x > 0, x, np.exp(x) - 1)),
    ):
        np.testing.assert_allclose(row(x), expected, rtol=1e-14, atol=1e-15)


def test_erf_is_pythons_and_takes_what_numpys_functions_take() -> None:
    x = [-np.inf, -1.0, -1e-300, 0.0, 0.3, 2.0, np.inf]
    np.testing.assert_array_equal(primitives.erf(x), [math.erf(a) for a in x])
    assert primitives.erf(0.3) == math.erf(0.3)
    assert np.isnan(primitives.erf(np.nan))
    for given, result in ((int, float), (bool, float), (np.float32, np.float32)):
        assert primitives.erf(np.zeros((0, 2), given)).dtype == result
        assert primitives.erf(np.ones((2, 2), given)).dtype == result


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_logsumexp_and_logaddexp_neither_overflow_nor_lose_small_terms(shift: float) -> None:
    x = np.array([0.5, -1.0, 2.0])
    exact = np.log(np.sum(np.exp(x)))
    t = Tensor(x + shift, requires_grad=True)
    for f in (primitives.logsumexp, np.logaddexp.reduce):
        t.grad = None
        z = f(t)
        z.backward()
        assert float(z) == pytest.approx(shift + exact, rel=1e-15)
        np.testing.assert_allclose(t.grad, np.exp(x) / np.exp(x).sum(), rtol=1e-11)


def test_logsumexp_of_minus_infinity_among_numbers_ignores_it() -> None:
    t = Tensor([-np.inf, 1.0, 1.0], requires_grad=True)
    z = primitives.logsumexp(t)
    z.backward()
    assert float(z) == pytest.approx(1 + np.log(2), rel=1e-15)
    np.testing.assert_allclose(t.grad, [0.0, 0.5, 0.5], rtol=1e-15)
    assert float(primitives.logsumexp(np.array([-np.inf, -np.inf]))) == -np.inf


# Piecewise constant functions under create_graph


@pytest.mark.parametrize("f", [np.sign, np.floor, np.round, lambda x: x // 2.0])
def test_a_constant_piece_has_a_zero_gradient_of_any_order(f: Any) -> None:
    x = Tensor([1.5, -0.3], requires_grad=True)
    (f(x) * 3.0).sum().backward(create_graph=True)
    assert isinstance(x.grad, Tensor)
    assert x.grad.data.tolist() == [0.0, 0.0]
    assert grad(grad(grad(lambda x: f(x) * x)))(1.5).tolist() == 0.0
    assert grad(lambda x: f(x) * x)(4.5) == f(4.5)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_arctan2_neither_underflows_nor_overflows(scale: float) -> None:
    """Its gradient is (x, -y) / (x² + y²), whose squares would."""
    y, x = (Tensor(a * scale, requires_grad=True) for a in (3.0, 4.0))
    z: Any = np.arctan2(y, x)
    z.backward()
    np.testing.assert_allclose([y.grad, x.grad], [0.16 / scale, -0.12 / scale], rtol=1e-15)
