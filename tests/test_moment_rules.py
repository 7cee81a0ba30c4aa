"""What the relatives of Adam have in common: defaults, the compiled loop's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_paths import normal, run

from minigrad import Tensor
from optim import AdaBelief, Adamax, AdamW, Lion, NAdam, RAdam
from optim.nadam import _products

RULES: list[Any] = [AdamW, Adamax, NAdam, RAdam, Lion, AdaBelief]
COUPLED: list[Any] = [Adamax, NAdam, RAdam, AdaBelief]


def decoupled(optimizer_class: Any) -> dict[str, bool]:
    """What the class has to be told for its decay to be decoupled."""
    return {} if optimizer_class in (AdamW, Lion) else {"decoupled_weight_decay": True}


# What the class takes


@pytest.mark.parametrize(
    ("optimizer_class", "defaults"),
    [
        (AdamW, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}),
        (Adamax, {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}),
        (
            NAdam,
            {
                "lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0,
                "momentum_decay": 4e-3, "decoupled_weight_decay": False,
            },
        ),
        (
            RAdam,
            {
                "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0,
                "decoupled_weight_decay": False,
            },
        ),
        (Lion, {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0}),
        (AdaBelief, {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-16, "weight_decay": 0.0}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_defaults_and_their_order_are_pytorchs_or_the_authors(
    optimizer_class: Any, defaults: dict[str, Any]
) -> None:
    x = Tensor(0.0, requires_grad=True)
    assert dict(optimizer_class([x]).param_groups[0]) == defaults | {"maximize": False}
    in_order = optimizer_class([x], *defaults.values())
    assert dict(in_order.param_groups[0]) == defaults | {"maximize": False}


def test_adabelief_without_momentum_and_eps_would_divide_by_zero_and_is_refused() -> None:
    x = Tensor(0.0, requires_grad=True)
    with pytest.raises(ValueError, match="accepted are a β1 above 0"):
        AdaBelief([x], betas=(0.0, 0.999), eps=0.0)
    optimizer = AdaBelief([x], betas=(0.0, 0.999))
    with pytest.raises(ValueError, match="an eps above 0"):
        optimizer.eps = 0.0
    assert optimizer.eps == 1e-16


@pytest.mark.parametrize("optimizer_class", [AdamW, NAdam, RAdam, Lion])
def test_a_decay_whose_factor_is_no_finite_number_is_refused(optimizer_class: Any) -> None:
    options = {"lr": 1e200, "weight_decay": 1e200} | decoupled(optimizer_class)
    with pytest.raises(ValueError, match="needs the number -inf in its first step"):
        optimizer_class([Tensor(0.0, requires_grad=True)], **options)


@pytest.mark.parametrize("optimizer_class", [AdamW, Adamax, NAdam, RAdam, AdaBelief])
def test_an_eps_that_is_0_in_float32_is_refused_from_the_start(optimizer_class: Any) -> None:
    """Also RAdam's, which has no part in the first steps."""
    with pytest.raises(ValueError, match=r"1e-60, which is 0\.0 in float32"):
        optimizer_class([Tensor(np.float32(0), True)], eps=1e-60)


@pytest.mark.parametrize("optimizer_class", RULES)
@pytest.mark.parametrize("betas", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.999), (1 - 2**-53, 1 - 2**-53)])
def test_the_smallest_and_largest_betas_give_finite_steps(
    optimizer_class: Any, betas: tuple[float, float]
) -> None:
    for dtype in np.float32, np.float64:
        path = run(optimizer_class, normal(20, 5).astype(dtype), betas=betas)
        assert np.all(np.isfinite(path))


# Plain NumPy and the compiled loop


# Ascent and resuming


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("optimizer_class", RULES)
def test_maximize_gives_the_rule_the_negative_gradient_and_still_decays(
    optimizer_class: Any, weight_decay: float
) -> None:
    g, start = normal(50, 5), normal(5, seed=1)
    ascent = run(optimizer_class, g, start, weight_decay=weight_decay, maximize=True)
    assert np.array_equal(ascent, run(optimizer_class, -g, start, weight_decay=weight_decay))
    options = {"lr": 0.125, "weight_decay": 0.5, "maximize": True}
    if optimizer_class not in COUPLED:
        still = run(optimizer_class, np.zeros((2, 1)), start=1.0, **options)
        assert still[:, 0].tolist() == [0.9375, 0.9375**2]
    else:
        still = run(optimizer_class, np.zeros((2, 1)), start=1.0, **options)
        assert np.all(np.diff(still[:, 0], prepend=1.0) < 0)


@pytest.mark.parametrize("optimizer_class", RULES)
def test_a_resumed_run_has_the_same_bits(optimizer_class: Any) -> None:
    g, start = normal(40, 5), normal(5, seed=1)
    whole = run(optimizer_class, g, start, weight_decay=0.1)
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], weight_decay=0.1)
    for row in g[:20]:
        x.grad = row
        optimizer.step()
    _products.clear()  # as in a new process
    y = Tensor(x.data.copy(), requires_grad=True)
    resumed = optimizer_class([y])
    resumed.load_state_dict(optimizer.state_dict())
    for row in g[20:]:
        y.grad = row
        resumed.step()
    assert np.array_equal(y.data, whole[-1])
