"""Muon: its closed form, its identities, and which parameters it takes."""

import inspect
from typing import Any

import numpy as np
import pytest
from optimizer_paths import run
from optimizers import snapshot

from minigrad import Tensor
from optim import Muon, muon
from optim.muon import orthogonalized

muon_rule: Any = muon.muon_rule
ABC = (3.4445, -4.775, 2.0315)
SHAPES = [(5, 5), (4, 9), (9, 4), (1, 6), (6, 1)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def matrices(shape: tuple[int, int], count: int = 30, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, *shape))


def polynomial(s: Any, abc: Any = ABC, rounds: int = 5) -> Any:
    """p(...p(s))."""
    a, b, c = abc
    for _ in range(rounds):
        s = a * s + b * s**3 + c * s**5
    return s


def by_singular_values(G: Any) -> Any:
    """U p(...p(S/‖S‖)) Wᵀ."""
    U, s, Wt = np.linalg.svd(G, full_matrices=False)
    return (U * polynomial(s / np.sqrt(s @ s))) @ Wt


# Closed forms


@every_shape
@pytest.mark.parametrize(("abc", "rounds"), [(ABC, 5), (ABC, 0), ((1.5, -0.5, 0.0), 9)])
def test_orthogonalized_is_a_polynomial_of_each_singular_value(
    shape: tuple[int, int], abc: Any, rounds: int
) -> None:
    rng = np.random.default_rng(1)
    k, (a, b, c) = min(shape), abc
    for G in matrices(shape):
        U, W = (np.linalg.qr(side)[0][:, :k] for side in (G @ G.T, G.T @ G))
        s = rng.uniform(0.01, 1.0, k)
        expected = (U * polynomial(s / np.sqrt(s @ s), abc, rounds)) @ W.T
        ours = orthogonalized((U * s) @ W.T, a, b, c, 1e-7, rounds)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-14)
        assert np.sqrt(np.mean((ours - expected) ** 2)) < 3e-15


@every_shape
def test_orthogonalized_in_float32_stays_there_and_is_as_near_as_rounding_allows(
    shape: tuple[int, int],
) -> None:
    a, b, c, eps = map(np.float32, (*ABC, 1e-7))
    for G in matrices(shape).astype(np.float32):
        ours = orthogonalized(G, a, b, c, eps, 5)
        assert ours.dtype == np.float32
        expected = by_singular_values(G.astype(np.float64))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-6)


def test_five_rounds_bring_singular_values_from_0_002_on_to_between_0_68_and_1_21() -> None:
    s = polynomial(np.logspace(np.log10(0.002), 0, 10_001))
    assert 0.68 < s.min() < 0.69
    assert 1.20 < s.max() < 1.21
    assert ABC[0] ** 5 == pytest.approx(485, abs=0.5)


@pytest.mark.parametrize("nesterov", [True, False])
@every_shape
def test_a_path_is_that_of_the_equations(shape: tuple[int, int], nesterov: bool) -> None:
    """Written out once more, with singular values."""
    G = matrices(shape, 20)
    path = run(
        Muon, G, start=2.0, lr=0.1, weight_decay=0.25, momentum=0.75, nesterov=nesterov
    )
    x, v = np.full(shape, 2.0), np.zeros(shape)
    for g, ours in zip(G, path, strict=True):
        v = 0.75 * v + 0.25 * g
        m = 0.75 * v + 0.25 * g if nesterov else v
        r = np.sqrt(max(1, shape[0] / shape[1]))
        x = (1 - 0.1 * 0.25) * x - 0.1 * r * by_singular_values(m)
        np.testing.assert_allclose(ours, x, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "adjust_lr_fn", "factor"),
    [
        ((8, 2), None, 2.0),
        ((8, 2), "original", 2.0),
        ((2, 8), "original", 1.0),
        ((16, 2), "match_rms_adamw", 0.8),
        ((2, 16), "match_rms_adamw", 0.8),
    ],
)
def test_the_shape_sets_the_length_of_a_step(
    shape: tuple[int, int], adjust_lr_fn: Any, factor: float
) -> None:
    (G,) = matrices(shape, 1)
    step = -run(Muon, G[None], lr=1.0, weight_decay=0.0, adjust_lr_fn=adjust_lr_fn)[0]
    np.testing.assert_allclose(step, factor * by_singular_values(G), rtol=0, atol=1e-14)


# Identities


@every_shape
def test_scaling_every_gradient_by_a_power_of_two_changes_no_bit(shape: tuple[int, int]) -> None:
    G = matrices(shape)
    plain, scaled = (run(Muon, G * factor, start=1.0, eps=0.0) for factor in (1.0, 2.0**20))
    assert np.array_equal(plain, scaled)


@every_shape
def test_flipping_every_sign_flips_every_step_exactly(shape: tuple[int, int]) -> None:
    G = matrices(shape)
    assert np.array_equal(run(Muon, G), -run(Muon, -G))
    assert np.array_equal(run(Muon, G), run(Muon, -G, maximize=True))


def test_transposing_the_matrix_transposes_the_step() -> None:
    options = {"adjust_lr_fn": "match_rms_adamw", "lr": 0.1}
    G = matrices((4, 9))
    wide, tall = run(Muon, G, **options), run(Muon, G.transpose(0, 2, 1), **options)
    np.testing.assert_allclose(wide, tall.transpose(0, 2, 1), rtol=0, atol=1e-14)


def test_turning_the_matrix_turns_the_step() -> None:
    """Muon has no preferred coordinates, which no elementwise rule can say."""
    G = matrices((4, 9))
    Q, _ = np.linalg.qr(matrices((4, 4), 1, seed=1)[0])
    np.testing.assert_allclose(run(Muon, Q @ G), Q @ run(Muon, G), rtol=0, atol=1e-14)


def test_the_authors_sum_of_gradients_makes_the_same_steps_as_the_mean() -> None:
    G = matrices((4, 9))
    ours = run(Muon, G, lr=0.1, weight_decay=0.0)
    x, b = np.zeros((4, 9)), np.zeros((4, 9))
    for g, expected in zip(G, ours, strict=True):
        b = 0.95 * b + g
        x = x - 0.1 * orthogonalized(g + 0.95 * b, *ABC, 1e-7, 5)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-13)


@both_dtypes
@every_shape
@pytest.mark.parametrize("adjust_lr_fn", [None, "match_rms_adamw"])
def test_the_optimizer_equals_the_rule_bit_for_bit(
    shape: tuple[int, int], dtype: Any, adjust_lr_fn: Any
) -> None:
    G = matrices(shape).astype(dtype)
    x = np.ones(shape, dtype)
    parameter = Tensor(x, requires_grad=True)
    optimizer = Muon([parameter], lr=0.1, adjust_lr_fn=adjust_lr_fn)
    v = np.zeros(shape, dtype)
    for t, g in enumerate(G, start=1):
        parameter.grad = g
        optimizer.step()
        coefficients = map(dtype, optimizer.param_groups[0].coefficients(t))
        x, v = muon_rule(x, g, v, *coefficients, adjust_lr_fn=adjust_lr_fn)
        assert x.dtype == v.dtype == dtype
        assert np.array_equal(x, parameter.data)


# Gradients at the edge


@both_dtypes
@pytest.mark.parametrize("size", [0.0, 1e-45, -1e-40, 1e-38, 1e-30, 1e-12])
def test_zero_denormal_and_tiny_gradients_give_no_nan(size: float, dtype: Any) -> None:
    G = (size * np.ones((50, 3, 4))).astype(dtype)
    G[1::2, 0] *= -1
    path = run(Muon, G, weight_decay=0.0)
    assert np.all(np.isfinite(path))
    if size == 0:
        assert not np.any(path)


def test_zero_gradients_leave_the_decay_alone() -> None:
    path = run(Muon, np.zeros((20, 3, 4)), start=1.0, lr=0.5, weight_decay=0.5)
    expected = np.broadcast_to(0.75 ** np.arange(1, 21)[:, None, None], path.shape)
    np.testing.assert_allclose(path, expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_matrix_without_elements_makes_no_step(shape: tuple[int, int]) -> None:
    assert run(Muon, np.zeros((2, *shape))).shape == (2, *shape)


# What a user gives


def test_names_order_and_defaults_are_pytorchs() -> None:
    parameters = inspect.signature(Muon).parameters.values()
    given = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert given[1:] == [
        ("lr", 1e-3), ("weight_decay", 0.1), ("momentum", 0.95), ("nesterov", True),
        ("ns_coefficients", ABC), ("eps", 1e-7), ("ns_steps", 5), ("adjust_lr_fn", None),
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(), (4,), (2, 2, 2)])
def test_error_a_parameter_that_is_no_matrix_gets_advice(shape: tuple[int, ...]) -> None:
    weight, other = Tensor(np.ones((2, 2)), True), Tensor(np.ones(shape), True)
    with pytest.raises(ValueError, match=r"parameter 1 \('bias'\) has shape .* AdamW"):
        Muon([("weight", weight), ("bias", other)])
    optimizer = Muon([weight])
    before = snapshot(optimizer, [weight])
    with pytest.raises(ValueError, match="Muon is for matrices"):
        optimizer.add_param_group({"params": [other]})
    assert snapshot(optimizer, [weight]) == before


def test_error_a_matrix_that_cannot_be_updated_in_place() -> None:
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    optimizer = Muon([x])
    x.data = np.asfortranarray(np.ones((3, 4)))
    x.grad = np.ones((3, 4))
    with pytest.raises(ValueError, match="Fortran-ordered"):
        optimizer.step()


def test_the_array_itself_is_updated_and_may_be_replaced() -> None:
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    x.grad = np.asfortranarray(matrices((2, 3), 1)[0])
    array = x.data
    optimizer = Muon([x], momentum=0.0)
    optimizer.step()
    assert x.data is array
    step = array.copy()
    x.data = np.zeros((2, 3))
    optimizer.step()
    assert np.array_equal(x.data, step)


def test_a_setting_changed_between_steps_takes_effect() -> None:
    x = Tensor(np.zeros((4, 4)), requires_grad=True)
    x.grad = matrices((4, 4), 1)[0]
    optimizer = Muon([x], lr=1.0, weight_decay=0.0)
    optimizer.ns_steps = 0
    optimizer.step()
    np.testing.assert_allclose(np.linalg.norm(x.data), 1.0, rtol=1e-15)
    x.data[...] = 0
    optimizer.adjust_lr_fn = "match_rms_adamw"
    optimizer.step()
    np.testing.assert_allclose(np.linalg.norm(x.data), 0.4, rtol=1e-15)


@both_dtypes
def test_a_resumed_optimizer_has_its_settings_again_and_goes_on_bit_for_bit(dtype: Any) -> None:
    G = matrices((3, 4)).astype(dtype)
    x = Tensor(np.ones((3, 4), dtype), requires_grad=True)
    optimizer = Muon(
        [x], lr=0.1, nesterov=False, ns_coefficients=(2.0, -1.5, 0.5), ns_steps=7,
        adjust_lr_fn="match_rms_adamw",
    )  # fmt: skip
    for g in G[:15]:
        x.grad = g.copy()
        optimizer.step()
    saved = optimizer.state_dict()
    (group,) = saved["param_groups"]
    assert group["ns_coefficients"] == [2.0, -1.5, 0.5]
    assert (type(group["ns_steps"]), group["adjust_lr_fn"]) == (int, "match_rms_adamw")
    assert saved["state"][0]["v"].shape == (3, 4)

    y = Tensor(x.data.copy(), requires_grad=True)
    resumed = Muon([y])
    assert resumed.state_dict()["param_groups"][0]["adjust_lr_fn"] is None
    resumed.load_state_dict(saved)
    assert resumed.ns_coefficients == (2.0, -1.5, 0.5)
    assert snapshot(resumed, [y]) == snapshot(optimizer, [x])
    for g in G[15:]:
        x.grad, y.grad = g.copy(), g.copy()
        optimizer.step()
        resumed.step()
    assert np.array_equal(x.data, y.data)

    resumed.load_state_dict(Muon([Tensor(np.ones((3, 4), dtype), True)]).state_dict())
    assert resumed.adjust_lr_fn is None
