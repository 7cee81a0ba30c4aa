"""Momentum, AdaGrad, RMSProp, Adadelta: NumPy and compiled, and what a user gives."""

import inspect
from typing import Any

import numpy as np
import pytest
from optimizer_paths import normal, run
from test_rules import Rule, initial_state

from minigrad import Tensor
from optim import Adadelta, AdaGrad, Momentum, RMSProp
from optim.adadelta import adadelta_rule
from optim.adagrad import adagrad_rule
from optim.momentum import momentum_rule
from optim.rmsprop import (
    centered_momentum_rule,
    centered_rule,
    rmsprop_momentum_rule,
    rmsprop_rule,
)

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


def run_rule(rule: Rule, optimizer: Any, gradients: Any, start: Any) -> Any:
    """The path of x by the rule on whole arrays in plain NumPy, one row a step."""
    x = start.copy()
    state = [np.full_like(x, value) for value in initial_state(optimizer)]
    path = []
    for t, g in enumerate(gradients, start=1):
        coefficients = map(x.dtype.type, optimizer.param_groups[0].coefficients(t))
        x, *state = rule(x, g, *state, *coefficients)
        path.append(x)
    return np.array(path)


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
    gradients = normal(200, 5).astype(dtype)
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
