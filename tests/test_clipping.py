"""Gradient clipping: PyTorch's results, exact norms, arrays that share memory, bad input."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gradient_norms import U, exact_norm, ulps, with_gradients

from minigrad import Tensor, nn
from optim import SGD
from optim.clipping import clip_grad_norm, clip_grad_value

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "clipping.json").read_text(encoding="utf-8")
)
RUNS = REFERENCE["runs"]
CLIPS: list[Any] = [clip_grad_norm, clip_grad_value]


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
