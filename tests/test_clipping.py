"""Gradient clipping: PyTorch's results, exact norms, arrays that share memory, bad input."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import Tensor, nn
from optim import SGD, clipping
from optim.clipping import clip_grad_norm, clip_grad_value
from optim.loop import coordinatewise

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "clipping.json").read_text(encoding="utf-8")
)
RUNS = REFERENCE["runs"]
CLIPS: list[Any] = [clip_grad_norm, clip_grad_value]
U = 2.0**-53  # half an ulp of 1 in float64


def with_gradients(*gradients: Any) -> list[Tensor]:
    """Parameters of the gradients' shapes and dtypes, with the very gradients given."""
    params = [Tensor(np.zeros_like(g), requires_grad=True) for g in gradients]
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    return params


def exact_norm(*gradients: Any) -> float:
    """The norm, correctly rounded but for the last bit: squares are exact, and their sum."""
    total = sum(Fraction(v) ** 2 for g in gradients for v in np.asarray(g).ravel().tolist())
    bits = max(120, 120 + total.denominator.bit_length() - total.numerator.bit_length())
    return float(Fraction(math.isqrt(int(total * 4**bits)), 2**bits))


def ulps(a: Any, b: Any) -> float:
    """How far two numbers or arrays are apart at most, in units of the last place of b."""
    a, b = np.asarray(a), np.asarray(b)
    return float(np.max(np.abs(a - b) / np.spacing(np.abs(b)), initial=0.0))


# PyTorch's recorded results


@pytest.mark.parametrize("run", RUNS, ids=[f"limit {run['limit']}" for run in RUNS])
def test_the_norm_and_the_values_are_pytorchs_and_a_clipped_norm_lacks_its_1e_6(run: Any) -> None:
    by_norm = with_gradients(*map(np.array, REFERENCE["gradients"]))
    by_value = with_gradients(*map(np.array, REFERENCE["gradients"]))
    norm = clip_grad_norm(by_norm, run["limit"])
    clip_grad_value(by_value, run["limit"])
    assert ulps(norm, run["norm"]) <= 2
    without = (norm + 1e-6) / norm if norm > run["limit"] else 1.0
    for p, theirs in zip(by_norm, run["by_norm"], strict=True):
        assert ulps(p.grad, np.array(theirs) * without) <= 4
    for p, theirs in zip(by_value, run["by_value"], strict=True):
        assert np.array_equal(p.grad, theirs)


def test_the_recorded_limits_lie_on_both_sides_of_the_recorded_norm() -> None:
    assert {run["norm"] > run["limit"] for run in RUNS} == {True, False}


# The rule


def test_a_longer_gradient_gets_the_limit_as_its_norm_and_keeps_its_direction() -> None:
    params = with_gradients(np.array([3.0, 0.0]), np.array(4.0))
    assert clip_grad_norm(params, 2.5) == 5.0
    assert [p.grad.tolist() for p in params] == [[1.5, 0.0], 2.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_within_the_limit_keeps_every_bit_and_its_array(dtype: Any) -> None:
    """PyTorch multiplies by min(1, c/(norm + 1e-6)), which is below 1 here."""
    g = np.random.default_rng(0).standard_normal(100).astype(dtype)
    before = g.copy()
    (p,) = with_gradients(g)
    norm = clip_grad_norm([p], math.inf)
    assert clip_grad_norm([p], norm) == norm
    assert p.grad is g
    assert g.tobytes() == before.tobytes()
    assert clip_grad_norm([p], norm * 0.999) == norm
    assert g.tobytes() != before.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_within_the_limit_keep_every_bit(dtype: Any) -> None:
    g = np.array([0.0, -0.0, 1e-40, 0.1, -0.1, 0.1000001, 5.0, -5.0], dtype)
    (p,) = with_gradients(g.copy())
    clip_grad_value([p], 0.1)
    assert p.grad[:5].tobytes() == g[:5].tobytes()
    assert p.grad[5:].tolist() == [dtype(0.1), dtype(0.1), -dtype(0.1)]


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 33_005], ids=["serial", "parallel"])
def test_compiled_loops_equal_plain_numpy_bit_for_bit(size: int, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    g = (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
    by_norm, by_value = with_gradients(g.copy(), g.copy())
    norm = clip_grad_norm([by_norm], 2.0)
    clip_grad_value([by_value], 2.0)
    assert np.array_equal(by_norm.grad, (g * np.float64(2.0 / norm)).astype(dtype))
    assert np.array_equal(by_value.grad, np.clip(g, -2, 2))


def test_the_norm_is_of_all_gradients_together_in_any_mix_of_shapes_and_dtypes() -> None:
    rng = np.random.default_rng(2)
    gradients = [
        rng.standard_normal((3, 4)), rng.standard_normal(9000), np.array(2.0), np.zeros((0, 3)),
        rng.standard_normal(5).astype(np.float32), rng.standard_normal((70, 70)).astype("f"),
    ]  # fmt: skip
    params = with_gradients(*gradients)
    params.insert(2, Tensor([1.0], requires_grad=True))  # without a gradient
    dtypes, norm = [g.dtype for g in gradients], exact_norm(*gradients)
    assert ulps(clip_grad_norm(params, 1.0), norm) <= 2
    assert [p.grad.dtype for p in params if p.grad is not None] == dtypes
    assert params[2].grad is None
    after = exact_norm(*(p.grad for p in params if p.grad is not None))
    assert after == pytest.approx(1.0, rel=2.0**-24)


def test_gradients_of_no_elements_have_norm_0() -> None:
    (p,) = with_gradients(np.zeros((0, 3)))
    assert clip_grad_norm([p], 1.0) == 0.0
    clip_grad_value([p], 1.0)
    assert p.grad.shape == (0, 3)


def test_zero_gradients_stay_zero() -> None:
    params = with_gradients(np.zeros(3), np.zeros(2, np.float32))
    assert clip_grad_norm(params, 1e-300) == 0.0
    assert all(not p.grad.any() for p in params)


# The norm in floating point


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


# Arrays of every kind, and arrays that share memory


@pytest.mark.parametrize("clip", CLIPS)
def test_an_array_of_its_own_is_changed_in_place_in_any_order(clip: Any) -> None:
    values = np.random.default_rng(6).standard_normal((2, 3, 4))
    permuted = np.ascontiguousarray(values.transpose(2, 0, 1)).transpose(1, 2, 0).copy("K")
    for g in (values.copy(), np.asfortranarray(values.transpose(1, 0, 2)), permuted, np.array(3.0)):
        (p,), before = with_gradients(g), g.copy()
        clip([p], 0.5)
        assert p.grad is g
        assert not np.array_equal(g, before)
        if clip is clip_grad_value:
            assert np.array_equal(g, np.clip(before, -0.5, 0.5))
        else:
            np.testing.assert_allclose(g, before * (0.5 / exact_norm(before)), rtol=4 * U)


def read_only(g: Any) -> Any:
    g.flags.writeable = False
    return g


class Subclass(np.ndarray):
    pass


REPLACED: list[tuple[str, Callable[[], Any]]] = [
    ("a strided view", lambda: np.arange(1.0, 9.0)[::2]),
    ("a reversed view", lambda: np.arange(1.0, 5.0)[::-1]),
    ("a column", lambda: np.arange(1.0, 9.0).reshape(4, 2)[:, 1]),
    ("a row of a larger array", lambda: np.arange(1.0, 9.0).reshape(2, 4)[1]),
    ("a broadcast view", lambda: np.broadcast_to(2.0, 4)),
    ("read-only", lambda: read_only(np.arange(1.0, 5.0))),
    ("a subclass", lambda: np.arange(1.0, 5.0).view(Subclass)),
    ("a scalar", lambda: np.float64(3.0)),
    ("a tensor", lambda: Tensor([1.0, 2.0, 3.0, 4.0])),
    ("a tensor in a graph", lambda: Tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True) * 2.0),
]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("make", [make for _, make in REPLACED], ids=[name for name, _ in REPLACED])
def test_any_other_gradient_is_replaced_and_its_memory_not_written_to(
    clip: Any, make: Callable[[], Any]
) -> None:
    g: Any = make()
    values = np.array(g.data if isinstance(g, Tensor) else g)
    base = g.base if isinstance(g, np.ndarray) else None
    behind = np.array(base)
    p = Tensor(np.zeros(values.shape), requires_grad=True)
    p.grad = g
    clip([p], 0.5)
    assert type(p.grad) is np.ndarray
    assert p.grad is not g
    assert not np.array_equal(p.grad, values)
    assert np.array_equal(g.data if isinstance(g, Tensor) else g, values)
    assert np.array_equal(np.array(base), behind)
    SGD([p], lr=1.0).step()
    assert np.array_equal(p.data, -p.grad)


def test_two_parameters_with_one_gradient_array_do_not_have_it_scaled_twice() -> None:
    g = np.array([3.0, 4.0])
    params = with_gradients(g, g)
    assert clip_grad_norm(params, 1.0) == pytest.approx(math.sqrt(50), rel=2 * U)
    assert params[0].grad is params[1].grad is g
    assert exact_norm(g, g) == pytest.approx(1.0, rel=4 * U)


@pytest.mark.parametrize("view_first", [False, True])
def test_a_gradient_that_is_a_view_of_anothers_is_not_scaled_twice(view_first: bool) -> None:
    g = np.array([3.0, 4.0])
    params = with_gradients(*((g[::-1], g) if view_first else (g, g[::-1])))
    clip_grad_norm(params, math.sqrt(50) / 2)
    forward, backward = (p.grad.tolist() for p in params[:: -1 if view_first else 1])
    assert forward == pytest.approx([1.5, 2.0], rel=4 * U)
    assert backward == pytest.approx([2.0, 1.5], rel=4 * U)


def test_overlapping_views_are_each_scaled_once() -> None:
    buffer = np.array([3.0, 0.0, 4.0])
    params = with_gradients(buffer[:2], buffer[1:])
    clip_grad_norm(params, 2.5)
    assert [p.grad.tolist() for p in params] == [[1.5, 0.0], [0.0, 2.0]]
    assert buffer.tolist() == [3.0, 0.0, 4.0]


@pytest.mark.parametrize("clip", CLIPS)
def test_a_gradient_that_is_the_parameters_own_array_leaves_the_parameter_alone(clip: Any) -> None:
    """The gradient of x·x/2 is x."""
    p = Tensor([3.0, 4.0], requires_grad=True)
    p.grad = p.data
    clip([p], 0.5)
    assert p.data.tolist() == [3.0, 4.0]
    assert p.grad.tolist() != [3.0, 4.0]


def test_gradients_from_backward_are_clipped_and_a_step_has_the_length_lr() -> None:
    rng = np.random.default_rng(7)
    net = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.ReLU(), nn.Linear(4, 2, rng=rng))
    (net(100 * rng.standard_normal((5, 3))) ** 2).sum().backward()
    before = [p.data.copy() for p in net.parameters()]
    assert clip_grad_norm(net.named_parameters(), 1.0) > 1.0
    SGD(net.parameters(), lr=0.5).step()
    moves = [p.data - x for p, x in zip(net.parameters(), before, strict=True)]
    assert exact_norm(*moves) == pytest.approx(0.5, rel=1e-14)


def test_many_small_gradients_are_clipped_like_one_large_one() -> None:
    g = np.random.default_rng(8).standard_normal((1000, 100))
    rows, (whole,) = with_gradients(*(row.copy() for row in g)), with_gradients(g.copy())
    norm = clip_grad_norm(rows, 2.0)
    assert ulps(norm, clip_grad_norm([whole], 2.0)) <= 1
    np.testing.assert_allclose([p.grad for p in rows], whole.grad, rtol=4 * U)


# NaN and infinity


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [3, 5000], ids=["packed", "alone"])
def test_error_nonfinite_gradient_is_named_and_nothing_has_changed(
    clip: Any, bad: float, size: int
) -> None:
    first, second = np.full((2, size), 5.0), np.full((2, size), 5.0, np.float32)
    second[1, 2] = bad
    params = with_gradients(first, second)
    named = [("w", params[0]), ("b", params[1])]
    with pytest.raises(FloatingPointError, match=r"parameter 1 \('b'\).*holds .*at index \(1, 2\)"):
        clip(named, 1.0)
    assert np.all(first == 5)
    second[1, 2] = 5
    assert np.all(second == 5)


@pytest.mark.parametrize(
    ("bad", "norm"), [([np.nan], np.nan), ([np.inf], np.inf), ([np.inf, np.nan], np.nan)]
)
def test_ignored_nonfinite_gradients_give_their_norm_and_nothing_is_scaled(
    bad: list[float], norm: float
) -> None:
    """The optimizer can then skip the step; PyTorch makes all other gradients 0 or NaN."""
    g = np.array([3.0, 4.0, *bad])
    (p,) = with_gradients(g.copy())
    assert str(clip_grad_norm([p], 1.0, nonfinite="ignore")) == str(norm)
    np.testing.assert_array_equal(p.grad, g)
    optimizer = SGD([p], nonfinite="skip")
    optimizer.step()
    assert optimizer.skipped == 1


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("size", [6, 60_000], ids=["serial", "parallel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ignored_infinity_is_clipped_to_the_limit_by_value_and_nan_stays(
    dtype: Any, size: int
) -> None:
    g = np.tile(np.array([np.nan, np.inf, -np.inf, 3, -3, 1], dtype), size // 6)
    (p,) = with_gradients(g)
    clip_grad_value([p], 2.0, nonfinite="ignore")
    expected = np.tile(np.array([np.nan, 2, -2, 2, -2, 1], dtype), size // 6)
    np.testing.assert_array_equal(p.grad, expected)


# Bad input


def loose(values: Any = (1.0, 2.0)) -> Tensor:
    return Tensor(values, requires_grad=True)


def given_gradient(gradient: Any, values: Any = (1.0, 2.0)) -> Any:
    x = loose(values)
    x.grad = gradient
    return x


BAD_PARAMETERS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: given_gradient(np.ones(2)), TypeError, r"one tensor: give a list.*\[w\]"),
    (lambda: np.ones(3), TypeError, r"\[w\]"),
    (lambda: nn.Linear(2, 1, rng=np.random.default_rng(0)).parameters, TypeError, "parentheses"),
    (lambda: None, TypeError, "NoneType"),
    (lambda: "w", TypeError, "of type str"),
    (list, RuntimeError, "no gradient in any of 0"),
    (lambda: [np.ones(3)], TypeError, "parameter 0 is of type ndarray"),
    (lambda: [given_gradient(np.ones(2)), None], TypeError, "parameter 1 is of type NoneType"),
    (lambda: [("w", 3.0)], TypeError, r"parameter 0 \('w'\) is of type float"),
    (lambda: [(3, given_gradient(np.ones(2)))], TypeError, "parameter 0 is of type tuple"),
    (lambda: [SimpleNamespace(grad=np.ones(2))], TypeError, "parameter 0 is of type Simple"),
    (lambda: [SimpleNamespace(grad=np.ones(2), data=[1.0])], TypeError, "parameter 0 is of type"),
    (lambda: [given_gradient(np.ones(2))] * 2, ValueError, "parameter 1 is parameter 0 again"),
    (lambda: [loose(), loose()], RuntimeError, r"clip_grad_\w+\(\) found no gradient in any of 2"),
    (lambda: [given_gradient(np.ones(3))], ValueError, r"parameter 0 has shape \(3,\)"),
    (lambda: [given_gradient(np.ones((2, 1)))], ValueError, r"has shape \(2, 1\)"),
    (lambda: [given_gradient(np.ones(2, "f"))], TypeError, "type float32, the parameter of float6"),
    (lambda: [given_gradient(np.ones(2, int))], TypeError, "type int64"),
    (lambda: [given_gradient(np.ones(2, ">f8"))], TypeError, "type >f8"),
    (lambda: [given_gradient([1.0, 1.0])], TypeError, "type list"),
    (lambda: [given_gradient(np.ones(2, "e"), np.ones(2, "e"))], TypeError, "dtype float16"),
    (lambda: [given_gradient(np.ones(2, "g"), np.ones(2, "g"))], TypeError, "accepted are float32"),
]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("make", "error", "match"), BAD_PARAMETERS)
def test_error_parameters_and_gradients(
    clip: Any, make: Callable[[], Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        clip(make(), 0.5)


@pytest.mark.parametrize("clip", CLIPS)
def test_a_frozen_parameter_without_a_gradient_is_no_error_and_hides_none(clip: Any) -> None:
    frozen, x = Tensor([1.0]), given_gradient(np.array([3.0, 4.0]))
    clip([frozen, x], 0.5)
    assert frozen.grad is None
    x.grad = np.array([3.0, np.nan])
    with pytest.raises(FloatingPointError, match=r"parameter 1 \(shape"):
        clip([frozen, x], 0.5)
    x.grad = [3.0, 4.0]
    with pytest.raises(TypeError, match=r"parameter 1 \('x'\) is of type list"):
        clip([frozen, ("x", x)], 0.5)


@pytest.mark.parametrize("clip", CLIPS)
def test_error_in_the_last_gradient_leaves_the_first_as_it_was(clip: Any) -> None:
    first = np.array([3.0, 4.0])
    with pytest.raises(ValueError, match="parameter 1 has shape"):
        clip([given_gradient(first), given_gradient(np.ones(3))], 0.5)
    assert first.tolist() == [3.0, 4.0]


BAD_LIMITS: list[tuple[Any, type[Exception]]] = [
    (0.0, ValueError), (-1.0, ValueError), (math.nan, ValueError), (-math.inf, ValueError),
    ("1", TypeError), (None, TypeError), (True, TypeError), (np.ones(2), TypeError),
    (1j, TypeError),
]  # fmt: skip


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize(("limit", "error"), BAD_LIMITS)
def test_error_limit_and_nothing_has_changed(
    clip: Any, limit: Any, error: type[Exception]
) -> None:
    """PyTorch takes a negative limit, and so turns the gradient round."""
    g = np.array([3.0, 4.0])
    with pytest.raises(error, match=r"(max_norm|limit)=.*above 0"):
        clip([given_gradient(g)], limit)
    assert g.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(("limit", "held"), [(1e39, "inf"), (1e-46, "0.0")])
def test_error_limit_for_values_that_float32_cannot_hold(limit: float, held: str) -> None:
    g = np.array([3.0, 4.0], np.float32)
    with pytest.raises(ValueError, match=f"which is {held} in float32"):
        clip_grad_value([given_gradient(g, np.ones(2, "f"))], limit)
    assert g.tolist() == [3.0, 4.0]
    wide = given_gradient(np.array([3.0, 4.0]))
    clip_grad_value([wide], limit)
    assert wide.grad.tolist() == np.minimum([3.0, 4.0], limit).tolist()


def test_error_infinity_is_no_limit_for_values() -> None:
    with pytest.raises(ValueError, match="limit=inf"):
        clip_grad_value([given_gradient(np.ones(2))], math.inf)


@pytest.mark.parametrize("clip", CLIPS)
def test_error_nonfinite_choice(clip: Any) -> None:
    with pytest.raises(ValueError, match="'raise', 'ignore'"):
        clip([given_gradient(np.ones(2))], 1.0, nonfinite="skip")


# Planted mistakes: each has to turn a test red


def scaled_by(mistake: Callable[[float, float, Any], Any], g: Any, limit: float) -> float:
    """How far, in units of the last place, a mistaken clipping is from ours."""
    (p,) = with_gradients(g.copy())
    norm = clip_grad_norm([p], limit)
    return ulps(mistake(norm, limit, g), p.grad)


MISTAKES: list[tuple[str, Callable[[float, float, Any], Any]]] = [
    ("PyTorch's 1e-6", lambda n, c, g: g * min(1.0, c / (n + 1e-6))),
    ("the norm without its root", lambda n, c, g: g * (c / n**2)),
    ("each element by itself", lambda n, c, g: np.clip(g, -c, c)),
    ("the largest element for the norm", lambda n, c, g: g * (c / np.max(np.abs(g)))),
    ("no clipping", lambda n, c, g: g),
]


@pytest.mark.parametrize("mistake", [m for _, m in MISTAKES], ids=[name for name, _ in MISTAKES])
def test_a_planted_mistake_is_far_from_the_clipped_gradient(mistake: Any) -> None:
    g = np.array(REFERENCE["gradients"][0])
    assert scaled_by(lambda n, c, g: g * (c / n), g, 2.0) <= 1
    assert scaled_by(mistake, g, 2.0) > 1e4


def test_a_planted_scaling_always_by_1_or_less_changes_gradients_within_the_limit() -> None:
    g = np.array([0.3, 0.4])
    limit = exact_norm(g)
    assert not np.array_equal(g * min(1.0, limit / (limit + 1e-6)), g)


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
