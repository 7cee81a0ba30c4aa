"""Losses and softmax where logits are huge: closed forms, no warnings, no loss of a dtype."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, functional, grad

HUGE = 1e4
DTYPES = [np.float32, np.float64]


def value_and_gradient(f: Any, x: Any, g: Any = None) -> tuple[Any, Any]:
    leaf = Tensor(x, requires_grad=True)
    z = f(leaf)
    z.backward(g)
    assert z.dtype == leaf.grad.dtype == leaf.dtype
    return z.data, leaf.grad


def rows(dtype: Any) -> Any:
    """One huge logit, all but one tiny, two equal ones, all equal."""
    h = HUGE
    return np.array([[h, 0, -h], [-h, -h, 0], [h, h, -h], [-h, -h, -h]], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_huge_logits(dtype: Any) -> None:
    expected = np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]], dtype)
    g = np.array([[1, 2, 4]] * 4, dtype)
    p, gradient = value_and_gradient(functional.softmax, rows(dtype), g)
    np.testing.assert_array_equal(p, expected)
    third = np.array([-4, -1, 5]) / 9  # p (g - g·p)
    slopes = np.array([[0, 0, 0], [0, 0, 0], [-0.25, 0.25, 0], third])
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=np.finfo(dtype).eps)
    np.testing.assert_array_equal(gradient[:3], slopes[:3])


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_of_huge_logits(dtype: Any) -> None:
    log2, log3 = np.log(np.array([2, 3], dtype))
    expected = np.array(
        [[0, -HUGE, -2 * HUGE], [-HUGE, -HUGE, 0], [-log2, -log2, -2 * HUGE - log2], [-log3] * 3],
        dtype,
    )
    g = np.array([[1, 2, 4]] * 4, dtype)
    z, gradient = value_and_gradient(functional.log_softmax, rows(dtype), g)
    np.testing.assert_array_equal(z, expected)
    slopes = g - 7 * np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_of_huge_logits(dtype: Any) -> None:
    x = rows(dtype)
    p = np.array([[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]], dtype)
    log2, log3 = np.log(np.array([2, 3], dtype))
    for labels, expected in (
        ([0, 2, 0, 0], [0, 0, log2, log3]),
        ([2, 0, 2, 1], [2 * HUGE, HUGE, 2 * HUGE + log2, log3]),
    ):
        t = np.eye(3, dtype=dtype)[labels]
        for target in (labels, t):
            z, gradient = value_and_gradient(
                lambda x, t=target: functional.cross_entropy(x, t, reduction="none"),
                x,
                np.ones(4),
            )
            np.testing.assert_array_equal(z, np.array(expected, dtype))
            np.testing.assert_array_equal(gradient[:3], (p - t)[:3])
            np.testing.assert_allclose(gradient, p - t, rtol=0, atol=np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_smoothed_cross_entropy_of_huge_logits(dtype: Any) -> None:
    """-Σ t log p  with t = (¾, ⅛, ⅛, 0...): all numbers are exact in binary."""
    x = np.array([[HUGE, 0, 0, -HUGE]], dtype)
    t = np.array([[0.8125, 0.0625, 0.0625, 0.0625]])
    z, gradient = value_and_gradient(
        lambda x: functional.cross_entropy(x, [0], label_smoothing=0.25), x
    )
    assert z == (0.0625 * 4) * HUGE
    np.testing.assert_array_equal(gradient, np.array([[1, 0, 0, 0]]) - t)


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_cross_entropy_of_huge_logits(dtype: Any) -> None:
    x = np.array([HUGE, HUGE, -HUGE, -HUGE, 0], dtype)
    t = np.array([1, 0, 1, 0, 0.5], dtype)
    z, gradient = value_and_gradient(
        lambda x: functional.binary_cross_entropy_with_logits(x, t, reduction="none"),
        x,
        np.ones(5),
    )
    np.testing.assert_array_equal(z, np.array([0, HUGE, HUGE, 0, np.log(2)], dtype))
    np.testing.assert_array_equal(gradient, [0, 1, -1, 0, 0])


def test_binary_cross_entropy_keeps_its_digits_where_it_is_small() -> None:
    """log(1 + exp -30) ≈ exp -30: gone if 1 is added first, or 30 taken from 30."""
    small = functional.binary_cross_entropy_with_logits([30.0], [1.0])
    assert float(small) == pytest.approx(np.exp(-30.0), rel=1e-12, abs=0)
    slope = grad(lambda x: functional.binary_cross_entropy_with_logits(x, [0.0]))
    assert float(slope(np.array([-30.0]))[0]) == pytest.approx(np.exp(-30.0), rel=1e-12, abs=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_huber_loss_of_huge_errors(dtype: Any) -> None:
    x = np.array([HUGE, -HUGE, 0.5, 2], dtype)
    z, gradient = value_and_gradient(
        lambda x: functional.huber_loss(x, np.zeros(4, dtype), delta=2.0, reduction="none"),
        x,
        np.ones(4),
    )
    np.testing.assert_array_equal(z, [2 * HUGE - 2, 2 * HUGE - 2, 0.125, 2])
    np.testing.assert_array_equal(gradient, [2, -2, 0.5, 2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_with_huge_scores_picks_the_best_key(dtype: Any, causal: bool) -> None:
    q = np.array([[0, 1], [1, 0], [0, 1]], dtype) * HUGE
    v = np.arange(6, dtype=dtype).reshape(3, 2)
    keys = np.array([[1, 0], [1, -1], [0, 2]], dtype)
    picked = [0, 0, 2] if causal else [2, 0, 2]  # query 1 answers keys 0 and 1 alike
    z, gradient = value_and_gradient(
        lambda q: functional.scaled_dot_product_attention(q, keys, v, causal=causal),
        q,
        np.ones((3, 2)),
    )
    expected = v[picked]
    expected[1] = (v[0] + v[1]) / 2
    np.testing.assert_array_equal(z, expected)
    np.testing.assert_array_equal(gradient[[0, 2]], 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm_far_from_zero(dtype: Any) -> None:
    """The deviation is 1 around 10,000: squaring first would lose it."""
    x = np.array([[HUGE - 1, HUGE + 1]], dtype)
    z, gradient = value_and_gradient(
        lambda x: functional.layer_norm(x, eps=1e-8), x, np.array([[1.0, 0.0]])
    )
    np.testing.assert_allclose(z, [[-1, 1]], rtol=1e-7)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    np.testing.assert_array_equal(functional.layer_norm(np.full((1, 3), HUGE, dtype)), 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_second_derivatives_of_huge_logits_are_finite(dtype: Any) -> None:
    for f in (
        lambda x: (functional.softmax(x) ** 2).sum(),
        lambda x: (functional.log_softmax(x) / HUGE).sum(),
        lambda x: functional.cross_entropy(x, [0, 1, 2, 0]),
        lambda x: functional.cross_entropy(x, np.eye(4, 3, dtype=dtype)),
        lambda x: functional.binary_cross_entropy_with_logits(x, np.eye(4, 3, dtype=dtype)),
    ):
        hessian_times_ones = grad(lambda x, f=f: grad(f)(x).sum())(rows(dtype))
        assert np.isfinite(hessian_times_ones).all()
        assert hessian_times_ones.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_float32_stays_float32_through_images(dtype: Any) -> None:
    x = np.ones((1, 2, 5, 5), dtype)
    kernels, bias = np.ones((3, 2, 2, 2), dtype), np.zeros(3, dtype)
    value_and_gradient(lambda x: functional.conv2d(x, kernels, bias).sum(), x)
    value_and_gradient(lambda x: functional.max_pool2d(x, 2).sum(), x)
    value_and_gradient(lambda x: functional.avg_pool2d(x, 2, padding=1).sum(), x)
    value_and_gradient(lambda w: functional.embedding(w, [0, 0]).sum(), np.ones((2, 3), dtype))
    value_and_gradient(lambda x: functional.dropout(x, 0.5, rng=np.random.default_rng(0)).sum(), x)


def test_layer_norm_and_conv2d_promote_like_the_expressions_they_stand_for() -> None:
    x, double = np.ones((1, 2), np.float32), np.ones(2)
    assert functional.layer_norm(x, double, double).dtype == np.float64
    assert functional.layer_norm(x, double.astype(np.float32), double).dtype == np.float64
    image, kernel = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)
    assert functional.conv2d(image, kernel, np.ones(1)).dtype == np.float64


def test_masked_classes_may_be_minus_infinity() -> None:
    x = np.array([[0.0, -np.inf, 0.0]])
    z, gradient = value_and_gradient(lambda x: functional.cross_entropy(x, [0]), x)
    assert z == np.log(2)
    np.testing.assert_array_equal(gradient, [[-0.5, 0.0, 0.5]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_and_its_two_derivatives_are_exact_far_out(approximate: str, dtype: Any) -> None:
    x = np.array([-HUGE, -750, 750, HUGE], dtype)
    z, gradient = value_and_gradient(lambda x: functional.gelu(x, approximate), x, np.ones(4))
    np.testing.assert_array_equal(z, [0, 0, 750, HUGE])
    np.testing.assert_array_equal(gradient, [0, 0, 1, 1])
    slope = grad(lambda x: functional.gelu(x, approximate).sum())
    np.testing.assert_array_equal(grad(lambda x: slope(x).sum())(x), np.zeros(4, dtype))


def test_gelu_takes_a_number_as_numpys_functions_do() -> None:
    assert functional.gelu(2) == functional.gelu(2.0) == functional.gelu(np.array([2.0]))[0]
    assert functional.gelu(2, "tanh") == functional.gelu(np.array([2.0]), "tanh")[0]
