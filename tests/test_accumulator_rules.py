"""Momentum, AdaGrad, RMSProp, Adadelta: NumPy and compiled, closed forms, identities."""

import inspect
from typing import Any

import numpy as np
import pytest
from test_rules import Rule, initial_state, run, run_rule

from minigrad import Tensor
from optim import SGD, Adadelta, AdaGrad, Momentum, RMSProp
from optim.adadelta import adadelta_rule
from optim.adagrad import adagrad_rule
from optim.adam import adam_rule
from optim.momentum import momentum_rule
from optim.rmsprop import (
    centered_momentum_rule,
    centered_rule,
    rmsprop_momentum_rule,
    rmsprop_rule,
)
from optim.sgd import sgd_momentum_rule

RULES: list[Any] = [
    pytest.param(c, rule, options, id=rule.__name__)
    for c, rule, options in (
        (Momentum, momentum_rule, {}),
        (AdaGrad, adagrad_rule, {"initial_accumulator": 0.1, "lr_decay": 0.01}),
        (RMSProp, rmsprop_rule, {}),
        (RMSProp, rmsprop_momentum_rule, {"momentum": 0.9}),
        (RMSProp, centered_rule, {"centered": True}),
        (RMSProp, centered_momentum_rule, {"centered": True, "momentum": 0.9}),
        (Adadelta, adadelta_rule, {}),
    )
]
every_rule = pytest.mark.parametrize(("optimizer_class", "rule", "options"), RULES)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# Plain NumPy and the compiled loop


@pytest.mark.usefixtures("parallel_from_1000")
@every_rule
@both_dtypes
@pytest.mark.parametrize("size", [7, 33_005], ids=["serial", "parallel"])
def test_compiled_loop_equals_plain_numpy_bit_for_bit_over_50_steps(
    optimizer_class: Any, rule: Rule, options: Any, size: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(size).astype(dtype)
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], weight_decay=0.01, **options)
    plain = start.copy()
    state = [np.full_like(plain, value) for value in initial_state(optimizer)]
    for t in range(1, 51):
        g = (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
        g[::5] = 0
        g[1::5] = 1
        x.grad = g
        optimizer.step()
        coefficients = map(dtype, optimizer.param_groups[0].coefficients(t))
        plain, *state = rule(plain, g, *state, *coefficients)
        assert plain.dtype == dtype
        assert np.array_equal(plain, x.data)
    assert np.all(np.isfinite(plain))
    for ours, theirs in zip(state, optimizer._slots[0].arrays, strict=True):
        assert np.array_equal(ours, theirs)


@every_rule
@pytest.mark.filterwarnings("ignore:underflow")
def test_zero_denormal_and_tiny_gradients_in_float32_give_no_nan(
    optimizer_class: Any, rule: Rule, options: Any
) -> None:
    row = np.array([0, 1e-45, -1e-45, 1e-40, 1e-38, -1e-38, 1e-30, 1e-19, 1e-12], np.float32)
    gradients = np.tile(row, (50, 1))
    gradients[1::2, 5:] *= -1
    start = np.zeros(row.shape, np.float32)
    paths = [
        run(optimizer_class, gradients, start, **options),
        run_rule(rule, optimizer_class([Tensor(start, True)], **options), gradients, start),
    ]
    assert np.all(np.isfinite(paths))
    assert np.array_equal(*paths)
    assert not np.any(paths[0][:, 0])


# Closed forms


def steps_under(optimizer_class: Any, g: float, count: int, **options: Any) -> Any:
    """How far each step goes against the gradient's sign."""
    path = run(optimizer_class, np.full((count, 1), g), **options)
    return -np.diff(path[:, 0], prepend=0.0) * np.sign(g)


T = np.arange(1, 1001)


@pytest.mark.parametrize("g", [1e-3, 1.0, -1e3])
def test_adagrad_under_a_constant_gradient_moves_by_lr_over_the_root_of_t(g: float) -> None:
    steps = steps_under(AdaGrad, g, 1000, lr=1.0, eps=0.0)
    np.testing.assert_allclose(steps, 1 / np.sqrt(T), rtol=2e-13)


def test_adagrad_counts_on_from_its_initial_accumulator_and_lets_the_learning_rate_decay() -> None:
    options = {"lr": 1.0, "eps": 0.5, "initial_accumulator": 9.0, "lr_decay": 0.25}
    steps = steps_under(AdaGrad, 2.0, 1000, **options)
    expected = 2 / (1 + (T - 1) * 0.25) / (np.sqrt(9 + 4 * T) + 0.5)
    np.testing.assert_allclose(steps, expected, rtol=1e-10)


@pytest.mark.parametrize("g", [1e-3, 1.0, -1e3])
def test_rmsprop_under_a_constant_gradient_starts_with_steps_that_are_too_long(g: float) -> None:
    """lr/√(1-αᵗ), what Adam's bias correction takes out."""
    steps = steps_under(RMSProp, g, 1000, lr=1.0, eps=0.0)
    np.testing.assert_allclose(steps, 1 / np.sqrt(1 - 0.99**T), rtol=1e-12)


def test_centered_rmsprop_under_a_constant_gradient_divides_by_what_is_left_of_the_variance() -> (
    None
):
    """s - v² is (1-αᵗ) αᵗ g²."""
    left = 0.99**T[:100]
    steps = steps_under(RMSProp, -3.0, 100, lr=1.0, eps=0.0, centered=True)
    np.testing.assert_allclose(steps, 1 / np.sqrt((1 - left) * left), rtol=1e-12)


def test_momentum_under_a_constant_gradient_moves_by_1_minus_beta_to_the_t() -> None:
    steps = steps_under(Momentum, 1.0, 1000, lr=0.125)
    np.testing.assert_allclose(steps, 0.125 * (1 - 0.9**T), rtol=2e-12)


def test_adadeltas_first_step_lives_on_epsilon() -> None:
    g = np.array([-1e3, -1.0, -1e-3, 1e-6, 1e-3, 1.0, 1e6])
    step = -run(Adadelta, g[None])[0]
    np.testing.assert_allclose(step, 1e-3 * g / np.sqrt(0.1 * g * g + 1e-6), rtol=1e-14)


def test_adadeltas_memory_of_steps_knows_nothing_of_the_learning_rate() -> None:
    g = np.random.default_rng(0).standard_normal((100, 5))
    assert np.array_equal(2 * run(Adadelta, g), run(Adadelta, g, lr=2.0))


def test_rmsprop_on_a_quadratic_ends_in_a_cycle_of_half_the_learning_rate() -> None:
    lr = 0.1
    x = Tensor(1.0, requires_grad=True)
    optimizer = RMSProp([x], lr=lr, alpha=0.99, eps=0.0)
    tail = []
    for t in range(10_000):
        x.grad = x.data.copy()
        optimizer.step()
        if t >= 9_990:
            tail.append(x.item())
    np.testing.assert_allclose(np.abs(tail), lr / 2, rtol=0, atol=2e-15)
    assert np.all(np.sign(tail[1:]) == -np.sign(tail[:-1]))


def test_centered_rmsprop_survives_constant_gradients_in_float32() -> None:
    g = np.random.default_rng(0).uniform(0.1, 10, 200).astype(np.float32)
    path = run(RMSProp, np.broadcast_to(g, (2000, 200)), centered=True, momentum=0.5)
    assert np.all(np.isfinite(path))

    # Without the clamp a variance that is 0 but for rounding is below 0 now and then.
    alpha, one_minus_alpha = np.float32(0.99), np.float32(1 - 0.99)
    s = v = np.zeros_like(g)
    first_below = None
    for t in range(1, 2001):
        s = alpha * s + one_minus_alpha * (g * g)
        v = v + one_minus_alpha * (g - v)  # as PyTorch
        if first_below is None and np.any(s - v * v < 0):
            first_below = t
    assert first_below is not None
    with np.errstate(invalid="ignore"):
        assert np.any(np.isnan(np.sqrt(s - v * v)))


# Identities


GRADIENTS = np.random.default_rng(4).standard_normal((200, 5))


@every_rule
def test_flipping_every_sign_flips_every_step_exactly(
    optimizer_class: Any, rule: Rule, options: Any
) -> None:
    path = run(optimizer_class, GRADIENTS, **options)
    assert np.array_equal(path, -run(optimizer_class, -GRADIENTS, **options))


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (AdaGrad, {}),
        (RMSProp, {}),
        (RMSProp, {"momentum": 0.9}),
        (RMSProp, {"centered": True}),
        (RMSProp, {"centered": True, "momentum": 0.9}),
    ],
)
def test_scaling_every_gradient_by_a_power_of_two_changes_no_bit(
    optimizer_class: Any, options: Any
) -> None:
    plain, scaled = (
        run(optimizer_class, GRADIENTS * factor, eps=0.0, **options) for factor in (1.0, 2.0**20)
    )
    assert np.array_equal(plain, scaled)


def test_momentum_without_momentum_is_sgd() -> None:
    options = {"lr": 0.1, "weight_decay": 0.01}
    sgd = run(SGD, GRADIENTS, start=1.0, **options)
    assert np.array_equal(run(Momentum, GRADIENTS, start=1.0, momentum=0.0, **options), sgd)
    x, b = np.ones(5), np.zeros(5)
    for g in GRADIENTS:
        x, b = sgd_momentum_rule(x, g, b, 0.1, 0.0, 1.0, 0.01)
    assert np.array_equal(x, sgd[-1])


def test_momentum_is_sgds_sum_times_1_minus_beta() -> None:
    ours = run(Momentum, GRADIENTS, lr=0.1, momentum=0.75)
    theirs = run(SGD, GRADIENTS, lr=0.1 * 0.25, momentum=0.75)
    np.testing.assert_allclose(ours, theirs, atol=1e-14 * np.max(np.abs(theirs)))


def test_dampened_sgd_is_ahead_of_momentum_by_beta_to_the_t_of_the_first_gradient() -> None:
    lr, beta = 0.1, 0.75
    ours = run(Momentum, GRADIENTS, lr=lr, momentum=beta)
    theirs = run(SGD, GRADIENTS, lr=lr, momentum=beta, dampening=beta)
    head_start = np.cumsum(beta ** np.arange(1, 201))[:, None] * GRADIENTS[0]
    np.testing.assert_allclose(ours - theirs, lr * head_start, rtol=1e-12, atol=1e-14)


def test_rmsprop_is_adam_without_momentum_and_bias_correction() -> None:
    ours = run(RMSProp, GRADIENTS, lr=0.1, alpha=0.95, eps=1e-3, weight_decay=0.01)
    x = v = s = np.zeros(5)
    c = (0.1, 0.0, 1.0, 1.0, 0.95, 1 - 0.95, 1.0, 1e-3, 0.01)
    for g, expected in zip(GRADIENTS, ours, strict=True):
        x, v, s = adam_rule(x, g, v, s, *c)
        assert np.array_equal(x, expected)


@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_with_next_to_no_momentum_is_rmsprop_without(centered: bool) -> None:
    plain = run(RMSProp, GRADIENTS, centered=centered)
    slow = run(RMSProp, GRADIENTS, centered=centered, momentum=1e-300)
    np.testing.assert_allclose(slow, plain, atol=1e-15)


# What a user gives


@pytest.mark.parametrize(
    ("optimizer_class", "defaults"),
    [
        (Momentum, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0}),
        (
            AdaGrad,
            {"lr": 1e-2, "lr_decay": 0, "weight_decay": 0, "initial_accumulator": 0, "eps": 1e-10},
        ),
        (
            RMSProp,
            {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0, "momentum": 0,
             "centered": False},
        ),
        (Adadelta, {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0}),
    ],
)  # fmt: skip
def test_names_order_and_defaults_are_pytorchs(optimizer_class: Any, defaults: Any) -> None:
    parameters = inspect.signature(optimizer_class).parameters.values()
    given = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert given[1:] == list(defaults.items())


@pytest.mark.parametrize(
    ("name", "value", "remembered"),
    [("momentum", 0.9, "s and b"), ("centered", True, "s and v")],
)
def test_error_rmsprop_switched_to_a_rule_that_remembers_more(
    name: str, value: Any, remembered: str
) -> None:
    optimizer = RMSProp([Tensor([1.0], requires_grad=True)])
    with pytest.raises(ValueError, match=f"{name}=.*would remember {remembered}.*new optimizer"):
        setattr(optimizer, name, value)
    assert not optimizer.centered
    assert optimizer.momentum == 0


@both_dtypes
def test_centered_rmsprop_with_momentum_goes_on_bit_for_bit_where_its_state_was_saved(
    dtype: Any,
) -> None:
    options: Any = {"centered": True, "momentum": 0.9}
    gradients = GRADIENTS.astype(dtype)
    x = Tensor(np.ones(5, dtype), requires_grad=True)
    optimizer = RMSProp([x], lr=0.1, **options)
    for g in gradients[:100]:
        x.grad = g.copy()
        optimizer.step()
    y = Tensor(x.data.copy(), requires_grad=True)
    resumed = RMSProp([y], **options)
    resumed.load_state_dict(optimizer.state_dict())
    for g in gradients[100:]:
        x.grad, y.grad = g.copy(), g.copy()
        optimizer.step()
        resumed.step()
    assert np.array_equal(x.data, y.data)
