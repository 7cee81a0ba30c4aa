"""Tails and kurtosis: closed forms, known distributions, and mixtures of scales."""

import numpy as np
import pytest

from experiments.tails import MULTIPLES, beyond, kurtosis, kurtosis_error, standardized, tails


@pytest.fixture
def normal() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((100, 5000)).astype(np.float32)


def test_the_kurtosis_of_two_values_is_one_over_their_variance() -> None:
    """1 with probability p and else 0, about 0: E z⁴/(E z²)² = 1/p."""
    z = np.zeros(1000)
    z[:10] = 7.0
    assert kurtosis(z) == pytest.approx(100, rel=1e-12)


def test_kurtosis_of_tiny_float32_gradients_does_not_underflow() -> None:
    z = np.array([1, -1, 3, -3], np.float32)
    assert kurtosis(1e-15 * z) == pytest.approx(float(kurtosis(z)), rel=1e-6)


def test_columns_have_their_own_kurtosis() -> None:
    z = np.array([[1.0, 0.0], [-1.0, 2.0]])
    np.testing.assert_allclose(kurtosis(z, axis=0), [1.0, 2.0])


def test_a_normal_sample_has_normal_tails(normal: np.ndarray) -> None:
    found = tails(normal)
    error = 5 * kurtosis_error(normal.size)
    np.testing.assert_allclose(found.kurtosis, 3, atol=2 * error)
    assert found.beyond(2) == pytest.approx(0.0455, rel=0.03)
    assert found.beyond(2, own=True) == pytest.approx(0.0455, rel=0.06)


def test_different_scales_make_a_heavy_tail_of_normal_columns(normal: np.ndarray) -> None:
    """Log-normal scales exp(τ u): the pooled kurtosis is 3 exp(4τ²), each column's stays 3."""
    scales = np.exp(0.5 * np.random.default_rng(1).standard_normal(5000)).astype(np.float32)
    mixed, alone = tails(normal * scales), tails(normal)
    assert mixed.kurtosis[0] == pytest.approx(3 * np.exp(1), rel=0.25)
    assert mixed.beyond(4) > 20 * alone.beyond(4)
    np.testing.assert_allclose(mixed.own, alone.own, atol=1e-5)
    assert mixed.own_kurtosis == pytest.approx(alone.own_kurtosis, abs=1e-3)


def test_a_heavy_tail_of_every_column_is_seen_in_its_own_units(normal: np.ndarray) -> None:
    student = np.random.default_rng(2).standard_t(3, (100, 5000)).astype(np.float32)
    assert tails(student).own_kurtosis > tails(normal).own_kurtosis + 1
    assert tails(student).beyond(4, own=True) > 10 * tails(normal).beyond(4, own=True)


def test_shares_are_counted_at_each_multiple() -> None:
    shares = beyond(np.array([0.0, 1.0, -2.0, 100.0]))
    assert len(shares) == len(MULTIPLES)
    assert shares[0] == 1
    assert shares[-1] == 0.25
    assert np.all(np.diff(shares) <= 0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-20])
def test_a_constant_column_has_no_deviation_and_is_left_out(constant: float) -> None:
    values = np.column_stack([np.full(30, constant), np.arange(30.0)]).astype(np.float32)
    own = standardized(values)
    assert own.shape == (30, 1)
    assert own.std(ddof=1) == pytest.approx(1)


def test_a_column_far_from_zero_is_not_taken_for_a_constant() -> None:
    values = (1000 + np.arange(30.0)[:, None]).astype(np.float64)
    assert standardized(values).shape == (30, 1)
