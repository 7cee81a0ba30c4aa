"""Momentum, AdaGrad, RMSProp, Adadelta: what is their own."""

import inspect
from typing import Any

import numpy as np
import pytest
from optimizer_paths import normal, run

from minigrad import Tensor
from optim import Adadelta, AdaGrad, Momentum, RMSProp


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
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
