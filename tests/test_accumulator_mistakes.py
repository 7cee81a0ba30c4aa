"""Momentum, AdaGrad, RMSProp, Adadelta: planted mistakes leave a recorded trajectory."""

from typing import Any

import numpy as np
import pytest
from test_rules import Rule, run_rule
from trajectories import trajectories

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


def momentum_that_sums(x: Any, g: Any, v: Any, lr: Any, beta: Any, _: Any, wd: Any) -> Any:
    return momentum_rule(x, g, v, lr, beta, 1.0, wd)


def momentum_with_decay_after_the_mean(x: Any, g: Any, v: Any, lr: Any, *c: Any) -> Any:
    beta, one_minus_beta, wd = c
    v = beta * v + one_minus_beta * g
    return x - lr * (v + wd * x), v


def adagrad_with_eps_inside_the_root(x: Any, g: Any, s: Any, lr: Any, eps: Any, wd: Any) -> Any:
    g = g + wd * x
    s = s + g * g
    return x - lr * g / np.sqrt(s + eps), s


def adagrad_with_the_sum_before_this_gradient(x: Any, g: Any, s: Any, *c: Any) -> Any:
    lr, eps, wd = c
    g = g + wd * x
    return x - lr * g / (np.sqrt(s) + eps), s + g * g


def rmsprop_with_eps_inside_the_root(x: Any, g: Any, s: Any, *c: Any) -> Any:
    lr, alpha, one_minus_alpha, eps, wd = c
    g = g + wd * x
    s = alpha * s + one_minus_alpha * (g * g)
    return x - lr * g / np.sqrt(s + eps), s


def rmsprop_momentum_as_a_mean(x: Any, g: Any, s: Any, b: Any, *c: Any) -> Any:
    lr, alpha, one_minus_alpha, eps, wd, momentum = c
    g = g + wd * x
    s = alpha * s + one_minus_alpha * (g * g)
    b = momentum * b + (1 - momentum) * g / (np.sqrt(s) + eps)
    return x - lr * b, s, b


def centered_with_the_mean_before_this_gradient(x: Any, g: Any, s: Any, v: Any, *c: Any) -> Any:
    lr, alpha, one_minus_alpha, eps, wd = c
    g = g + wd * x
    s = alpha * s + one_minus_alpha * (g * g)
    x = x - lr * g / (np.sqrt(np.maximum(s - v * v, 0)) + eps)
    return x, s, alpha * v + one_minus_alpha * g


def centered_only_for_the_velocity(x: Any, g: Any, s: Any, v: Any, b: Any, *c: Any) -> Any:
    x, s, b = rmsprop_momentum_rule(x, g, s, b, *c)
    return x, s, v, b


def adadelta_with_eps_outside_the_roots(x: Any, g: Any, s: Any, u: Any, *c: Any) -> Any:
    lr, rho, one_minus_rho, eps, wd = c
    g = g + wd * x
    s = rho * s + one_minus_rho * (g * g)
    delta = (np.sqrt(u) + eps) / (np.sqrt(s) + eps) * g
    return x - lr * delta, s, rho * u + one_minus_rho * (delta * delta)


def adadelta_that_remembers_steps_with_lr(x: Any, g: Any, s: Any, u: Any, *c: Any) -> Any:
    lr, rho, *_ = c
    new, s, kept = adadelta_rule(x, g, s, u, *c)
    return new, s, rho * u + (kept - rho * u) * lr * lr


MISTAKES: list[tuple[Any, Rule, Rule, dict[str, Any]]] = [
    (Momentum, momentum_rule, momentum_that_sums, {}),
    (Momentum, momentum_rule, momentum_with_decay_after_the_mean, {}),
    (AdaGrad, adagrad_rule, adagrad_with_eps_inside_the_root, {}),
    (AdaGrad, adagrad_rule, adagrad_with_the_sum_before_this_gradient, {"initial_accumulator": 1}),
    (RMSProp, rmsprop_rule, rmsprop_with_eps_inside_the_root, {}),
    (RMSProp, rmsprop_momentum_rule, rmsprop_momentum_as_a_mean, {"momentum": 1}),
    (RMSProp, centered_rule, centered_with_the_mean_before_this_gradient, {"centered": 1}),
    (
        RMSProp, centered_momentum_rule, centered_only_for_the_velocity,
        {"momentum": 1, "centered": 1},
    ),
    (Adadelta, adadelta_rule, adadelta_with_eps_outside_the_roots, {}),
    (Adadelta, adadelta_rule, adadelta_that_remembers_steps_with_lr, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("optimizer_class", "right", "mistake", "with_"),
    MISTAKES,
    ids=[mistake.__name__ for _, _, mistake, _ in MISTAKES],
)
def test_a_planted_mistake_leaves_a_recorded_trajectory(
    optimizer_class: Any, right: Rule, mistake: Rule, with_: dict[str, Any]
) -> None:
    states = ("initial_accumulator", "momentum", "centered")
    chosen = [
        record
        for record in trajectories(optimizer_class.__name__)
        if optimizer_class is Momentum
        or all(bool(record.options.get(k, 0)) == (k in with_) for k in states)
    ]
    errors = []
    for rule in (right, mistake):
        worst = 0.0
        for record in chosen:
            optimizer = optimizer_class([Tensor(record.start, True)], **record.options)
            sign = -1.0 if record.options.get("maximize") else 1.0
            with np.errstate(all="ignore"):
                path = run_rule(rule, optimizer, sign * record.gradients, record.start)
            worst = max(worst, record.error(path))
        errors.append(worst)
    assert errors[0] < 1e-13
    assert errors[1] > 1e-9
