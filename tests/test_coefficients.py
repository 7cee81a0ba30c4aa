"""What changes with t: NAdam's momentum and its product, RAdam's rectification."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_paths import steps

from optim import RAdam
from optim.nadam import _products, momentum_at, momentum_product
from optim.radam import rectification

# NAdam


def test_nadams_momentum_goes_from_half_beta1_to_beta1() -> None:
    assert momentum_at(0, 0.9, 0.004) == 0.45
    assert momentum_at(10**6, 0.9, 0.004) == 0.9
    assert momentum_at(1, 0.9, 1e308) == 0.9
    assert momentum_at(10**9, 0.9, 0.0) == 0.45


@pytest.mark.parametrize(
    ("beta1", "momentum_decay"), [(0.9, 0.004), (0.99, 1.0), (0.0, 0.004), (0.9, 0.0)]
)
def test_nadams_product_is_the_same_number_run_through_and_resumed(
    beta1: float, momentum_decay: float
) -> None:
    _products.clear()
    through = [momentum_product(t, beta1, momentum_decay) for t in range(1, 501)]
    exact = np.cumprod([momentum_at(t, beta1, momentum_decay) for t in range(1, 501)])
    assert [1 - p for p in through] == [1 - p for p in exact]
    for t in 1, 2, 17, 255, 500:
        _products.clear()
        assert momentum_product(t, beta1, momentum_decay) == through[t - 1]
    for t in 400, 3, 401, 4, 402:  # two parameters whose steps are far apart
        assert momentum_product(t, beta1, momentum_decay) == through[t - 1]


def test_nadams_product_is_quick_late_in_a_run_and_remembers_little() -> None:
    _products.clear()
    assert momentum_product(10**15, 0.9, 0.004) == 0  # would take a year one by one
    for t in range(1, 10_000):
        momentum_product(t, 0.9, 0.004)
    assert len(_products) <= 64


# RAdam


@pytest.mark.parametrize(
    ("beta2", "first"), [(0.0, None), (0.6, None), (2 / 3, None), (0.68, 12), (0.9, 6), (0.999, 6)]
)
def test_radam_rectifies_from_rho_above_5_on_or_never(beta2: float, first: int | None) -> None:
    """ρ_∞ ≤ 5 means never, also where (ρ_∞ - 4)(ρ_∞ - 2) is 0 or negative."""
    rectified = [t for t in range(1, 200) if rectification(t, beta2) is not None]
    assert rectified == ([] if first is None else list(range(first, 200)))
    taken = steps(RAdam, np.full(30, 3.0), betas=(0.9, beta2), eps=0.0)
    for t, step in enumerate(taken, start=1):
        if first is None or t < first:
            assert step == pytest.approx(3.0, rel=1e-13)
        else:
            assert 0 < step < 1


def test_radams_rectification_rises_to_1_and_is_that_of_its_docstring() -> None:
    r = np.array([rectification(t, 0.999) for t in range(6, 30_000)], np.float64)
    assert np.all(np.diff(r[:15_000]) > 0)
    assert r[-1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(r[[0, 94, 1994]], [0.026, 0.215, 0.828], atol=5e-4)
