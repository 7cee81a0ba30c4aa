"""The norm that gradients are clipped by: accurate, in range, one number for any threads."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from gradient_norms import U, exact_norm, ulps, with_gradients
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from optim import clipping
from optim.clipping import clip_grad_norm, clip_grad_value
from optim.loop import coordinatewise


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 100, 2048, 4096, 4097, 100_003, 1_100_000])
def test_the_norm_is_accurate_to_a_few_units_of_the_last_place(size: int, dtype: Any) -> None:
    g = np.random.default_rng(size).standard_normal(size).astype(dtype)
    norm = clip_grad_norm(with_gradients(g), math.inf)
    wide = g.astype(np.float64)
    # Rounding the squares is a relative 2**-53 of each and so of the sum, and half that of the root
    assert norm == pytest.approx(math.sqrt(math.fsum((wide * wide).tolist())), rel=1e-15)


def test_the_norm_keeps_to_the_bound_that_the_docstring_states_on_the_worst_terms() -> None:
    """One large element, and many that each are just lost beside it."""
    g = np.full(clipping.BLOCK, 2.0**-27)
    g[0] = 1.0
    norm = clip_grad_norm(with_gradients(g), math.inf)
    assert norm == pytest.approx(exact_norm(g), rel=clipping.BLOCK / 2 * U)
    assert clipping.BLOCK / 2 * U < 1.2e-13


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_norm_is_the_same_number_serial_parallel_and_with_any_number_of_threads(
    dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numba

    g = np.random.default_rng(3).standard_normal(50_001).astype(dtype)
    (p,) = with_gradients(g)
    norms = {clip_grad_norm([p], math.inf)}
    monkeypatch.setattr("optim.loop.PARALLEL_FROM", 1000)
    available = numba.get_num_threads()
    try:
        for threads in range(1, available + 1):
            numba.set_num_threads(threads)
            norms.add(clip_grad_norm([p], math.inf))
    finally:
        numba.set_num_threads(available)
    assert len(norms) == 1


def test_the_norm_does_not_depend_on_the_order_of_large_gradients() -> None:
    rng = np.random.default_rng(4)
    params = with_gradients(*(rng.standard_normal(5000) * 10.0**k for k in range(-6, 7)))
    assert clip_grad_norm(params, math.inf) == clip_grad_norm(params[::-1], math.inf)


EXTREMES = [1e200, 1e-200, 5e-324, 1.7e308, 1e150, 1e-150, 1e-310, 2.0**-512, 2.0**511]


@pytest.mark.parametrize("size", [1, 5000])
@pytest.mark.parametrize("scale", EXTREMES)
def test_the_norm_neither_overflows_nor_underflows_in_float64(scale: float, size: int) -> None:
    g = np.random.default_rng(5).uniform(0.1, 1, size) * scale / 100
    g[-1] = scale / 100 if size > 1 else scale
    norm = clip_grad_norm(with_gradients(g), math.inf)
    assert ulps(norm, exact_norm(g)) <= 4


def test_the_norm_is_right_where_each_sum_of_squares_is_finite_and_their_sum_is_not() -> None:
    element = math.sqrt(1.5e308 / clipping.BLOCK)
    norm = clip_grad_norm(with_gradients(np.full(10_000, element)), math.inf)
    assert norm == pytest.approx(100 * element, rel=1e-15)


@pytest.mark.parametrize("scale", [3e38, 1e-30, 1.4e-45])
def test_the_norm_neither_overflows_nor_underflows_in_float32(scale: float) -> None:
    g = np.full(10_000, scale, np.float32)
    assert clip_grad_norm(with_gradients(g), math.inf) == pytest.approx(
        100 * float(np.float32(scale)), rel=1e-15
    )


@pytest.mark.parametrize("limit", [1e-300, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1.7e308, 1e308])
def test_extreme_gradients_are_clipped_to_the_limit(scale: float, limit: float) -> None:
    g = np.array([scale, -scale / 2, scale / 4, 0.0])
    before = exact_norm(g) if scale < 1e308 else math.inf
    (p,) = with_gradients(g.copy())
    clip_grad_norm([p], limit)
    if before > limit:
        assert exact_norm(p.grad) == pytest.approx(limit, rel=4 * U)
        assert p.grad.tolist() == pytest.approx((g / g[0] * p.grad[0]).tolist(), rel=4 * U)
    else:
        assert np.array_equal(p.grad, g)


def test_a_norm_that_no_float_can_hold_is_infinite_and_clipped_all_the_same() -> None:
    g = np.full(4, 1.5e308)
    (p,) = with_gradients(g)
    assert clip_grad_norm([p], math.inf) == math.inf
    assert np.all(g == 1.5e308)
    assert clip_grad_norm([p], 1.0) == math.inf
    assert p.grad.tolist() == [0.5] * 4


SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
FLOAT32 = hnp.arrays(np.float32, SHAPES, elements=st.floats(-(2.0**127), 2.0**127, width=32))
FLOAT64 = hnp.arrays(np.float64, SHAPES, elements=st.floats(-1e307, 1e307))
SOME = st.lists(FLOAT32 | FLOAT64, min_size=1, max_size=4)
LIMITS = st.floats(1e-30, 1e30)


@given(SOME, LIMITS)
def test_property_the_norm_is_exact_and_after_clipping_the_limit_with_one_factor_for_all(
    gradients: list[Any], limit: float
) -> None:
    params = with_gradients(*(g.copy() for g in gradients))
    norm = clip_grad_norm(params, limit)
    assert ulps(norm, exact_norm(*gradients)) <= 2
    if norm <= limit:
        assert all(p.grad.tobytes() == g.tobytes() for p, g in zip(params, gradients, strict=True))
        return
    assert exact_norm(*(p.grad for p in params)) <= limit * (1 + 2.0**-23) + 1e-43
    factor = Fraction(limit) / Fraction(norm)
    for p, g in zip(params, gradients, strict=True):
        for before, after in zip(g.ravel().tolist(), p.grad.ravel().tolist(), strict=True):
            expected = float(g.dtype.type(float(Fraction(before) * factor)))
            few = 4 * float(np.finfo(g.dtype).eps) * abs(expected)
            # An element may have been denormal in between, where the largest was about 1.
            tiny = float(np.finfo(g.dtype).smallest_subnormal) + 2 * limit * 2.0**-1074
            assert abs(after - expected) <= few + tiny


@given(st.lists(FLOAT64, min_size=1, max_size=4), LIMITS)
def test_property_in_float64_the_norm_after_clipping_is_the_limit_to_4_ulp(
    gradients: list[Any], limit: float
) -> None:
    params = with_gradients(*(g.copy() for g in gradients))
    if clip_grad_norm(params, limit) > limit:
        assert ulps(exact_norm(*(p.grad for p in params)), limit) <= 4


@given(SOME, LIMITS)
def test_property_clipping_by_value_is_numpys_clip(gradients: list[Any], limit: float) -> None:
    params = with_gradients(*(g.copy() for g in gradients))
    clip_grad_value(params, limit)
    for p, g in zip(params, gradients, strict=True):
        bound = g.dtype.type(limit)
        assert p.grad.tobytes() == np.asarray(np.clip(g, -bound, bound)).tobytes()


# Planted mistakes


def test_a_planted_sum_in_float32_misses_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    g = np.random.default_rng(9).standard_normal(100_000).astype(np.float32)
    right = clip_grad_norm(with_gradients(g), math.inf)

    def in_float32(x: Any, sums: Any) -> None:
        sums[:] = 0
        sums[0] = np.sum(x * x, dtype=np.float32)

    monkeypatch.setattr(coordinatewise, "version", lambda loop, size: in_float32)
    assert abs(clip_grad_norm(with_gradients(g), math.inf) / right - 1) > 1e-9


def test_a_planted_single_range_overflows_and_underflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipping, "SMALLEST", -1.0)
    monkeypatch.setattr(clipping, "LARGEST", math.inf)
    assert clip_grad_norm(with_gradients(np.array([1e-200])), math.inf) == 0.0
