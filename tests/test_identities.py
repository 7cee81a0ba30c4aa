"""Identities of the update rules: two runs that have to be one, bit for bit where they can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_paths import normal, rule_of, run
from optimizers import OPTIMIZERS

from minigrad import Tensor
from optim import (
    SGD,
    AdaBelief,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Lion,
    Momentum,
    NAdam,
    RAdam,
    RMSProp,
    Yogi,
)
from optim.adam import adam_rule
from optim.sgd import sgd_momentum_rule

GRADIENTS = normal(200, 5, seed=4)
WILD = normal(200, 5) * 10.0 ** np.random.default_rng(1).integers(-12, 12, (200, 5))


def options_of(optimizer_class: Any) -> list[dict[str, Any]]:
    """The defaults, and what else makes the class choose another rule or another start."""
    others: dict[str, list[dict[str, Any]]] = {
        "SGD": [{"momentum": 0.9, "dampening": 0.5}, {"momentum": 0.9, "nesterov": True}],
        "AdaGrad": [{"initial_accumulator": 0.1, "lr_decay": 0.01}],
        "RMSProp": [
            {"momentum": 0.9},
            {"centered": True},
            {"centered": True, "momentum": 0.9},
        ],
        "NAdam": [{"decoupled_weight_decay": True}],
        "RAdam": [{"decoupled_weight_decay": True}],
        "Yogi": [{"initial_accumulator": 1e-6}],
        "Muon": [{"nesterov": False, "adjust_lr_fn": "match_rms_adamw"}],
    }
    return [{}, *others.get(optimizer_class.__name__, [])]


# Symmetries


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (c, {} if c is Lion else {"eps": 0.0, **options})
        for c in (Adam, Yogi, RMSProp, NAdam, Adamax, Lion, AdaGrad, AdaBelief, AMSGrad, AdamW)
        for options in options_of(c)
        if "initial_accumulator" not in options
    ],
)
def test_scaling_every_gradient_by_a_power_of_two_changes_no_bit(
    optimizer_class: Any, options: dict[str, Any]
) -> None:
    options = {"lr": 0.01, "weight_decay": 0.0} | options
    plain, scaled = (
        run(optimizer_class, GRADIENTS * factor, **options) for factor in (1.0, 2.0**20)
    )
    assert np.array_equal(plain, scaled)


def test_scaling_every_gradient_scales_radams_unrectified_steps_and_no_other() -> None:
    options = {"lr": 2.0**-4, "eps": 0.0}
    plain, scaled = (
        np.diff(run(RAdam, GRADIENTS * factor, **options), axis=0) for factor in (1.0, 2.0**20)
    )
    np.testing.assert_allclose(scaled[:4], plain[:4] * 2.0**20, rtol=1e-12)
    np.testing.assert_allclose(scaled[4:], plain[4:], rtol=0, atol=1e-8)  # x itself is large


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(
    ("optimizer_class", "options"), [(c, options) for c in OPTIMIZERS for options in options_of(c)]
)
def test_flipping_every_sign_flips_the_path_exactly(
    optimizer_class: Any, options: dict[str, Any], weight_decay: float
) -> None:
    g, start = normal(100, 3, 5), normal(3, 5, seed=1)
    path = run(optimizer_class, g, start, weight_decay=weight_decay, **options)
    flipped = run(optimizer_class, -g, -start, weight_decay=weight_decay, **options)
    assert np.array_equal(path, -flipped)
    assert np.all(path[-1] != start)


def test_adadeltas_memory_of_steps_knows_nothing_of_the_learning_rate() -> None:
    assert np.array_equal(2 * run(Adadelta, GRADIENTS), run(Adadelta, GRADIENTS, lr=2.0))


# One rule as another


def test_adamw_without_decay_is_adam() -> None:
    assert np.array_equal(run(AdamW, WILD, 1.0, weight_decay=0.0), run(Adam, WILD, 1.0))


def test_amsgrad_is_adam_while_s_grows_and_no_longer() -> None:
    """Gradients that grow for 100 steps, and then are small."""
    g = np.sign(normal(150, 5)) * np.linspace(1, 3, 150)[:, None]
    g[100:] *= 1e-2
    ours, adams = run(AMSGrad, g, lr=0.1), run(Adam, g, lr=0.1)
    assert np.array_equal(ours[:100], adams[:100])
    assert np.all(ours[100:] != adams[100:])


def test_amsgrad_is_adam_with_amsgrad_true() -> None:
    options = {"weight_decay": 0.1, "betas": (0.8, 0.9)}
    assert np.array_equal(run(AMSGrad, WILD, **options), run(Adam, WILD, amsgrad=True, **options))


def test_nadam_without_momentum_is_adam_without_momentum() -> None:
    options = {"lr": 0.01, "betas": (0.0, 0.999)}
    assert np.array_equal(run(NAdam, GRADIENTS, **options), run(Adam, GRADIENTS, **options))


def test_momentum_without_momentum_is_sgd() -> None:
    """Momentum's class, and also SGD's own rule with momentum, which the class leaves out at 0."""
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


# Coupled decay


@pytest.mark.parametrize("optimizer_class", [Adam, AMSGrad, Adamax, NAdam, RAdam, AdaBelief])
def test_coupled_decay_is_the_gradient_of_half_lambda_x_squared(optimizer_class: Any) -> None:
    """The rule with λ, and the rule without it on g + λx, are one."""
    rule, weight_decay = rule_of(optimizer_class), 0.25
    optimizers = [
        optimizer_class([Tensor(0.0, True)], weight_decay=value) for value in (weight_decay, 0.0)
    ]
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    x = other = normal(5, seed=1)
    state = [np.zeros(5) for _ in optimizers[0].initial_state(**dict(groups[0]))]
    others = state
    for t, g in enumerate(normal(50, 5), start=1):
        x, *state = rule(x, g, *state, *groups[0].coefficients(t))
        decayed = g + weight_decay * other
        other, *others = rule(other, decayed, *others, *groups[1].coefficients(t))
        assert np.array_equal(x, other)
