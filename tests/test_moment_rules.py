"""What the relatives of Adam have in common: defaults, the compiled loop's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_paths import normal, rule_of, run

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


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 5_003], ids=["serial", "parallel"])
@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        *((optimizer_class, {}) for optimizer_class in RULES),
        *((optimizer_class, {"weight_decay": 0.1}) for optimizer_class in RULES),
        *((c, {"weight_decay": 0.1, "decoupled_weight_decay": True}) for c in (NAdam, RAdam)),
    ],
)
def test_compiled_loop_equals_plain_numpy_bit_for_bit(
    optimizer_class: Any, options: dict[str, Any], size: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(size).astype(dtype)
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], **options)
    (group,) = optimizer.param_groups
    rule, plain = rule_of(optimizer_class), start.copy()
    state = [np.full_like(plain, s) for s in optimizer.initial_state(**dict(group)).values()]
    for t in range(1, 101):
        g = (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
        g[::5] = 0
        g[1::17] = np.finfo(dtype).smallest_subnormal
        x.grad = g
        optimizer.step()
        plain, *state = rule(plain, g, *state, *map(dtype, group.coefficients(t)))
        assert plain.dtype == dtype
        assert np.array_equal(plain, x.data)
    saved = optimizer.state_dict()["state"][0]
    for name, array in zip(optimizer.initial_state(**dict(group)), state, strict=True):
        assert np.array_equal(array, saved[name])
    assert np.all(np.isfinite(plain))


@pytest.mark.parametrize("optimizer_class", RULES)
def test_zero_and_vanishing_float32_gradients_make_no_nan(optimizer_class: Any) -> None:
    tiny = np.array([0.0, -0.0, 1e-45, -1e-42, 1e-38, -1e-38, 1e-30, 1e-20], np.float32)
    path = run(optimizer_class, np.tile(tiny, (50, 1)), start=1.0)
    assert np.all(np.isfinite(path))
    assert np.all(np.abs(path) <= 1.06)
    zero = run(optimizer_class, np.zeros((50, 2), np.float32), start=1.0, weight_decay=0.0)
    assert np.all(zero == 1)
    rule = rule_of(optimizer_class)
    optimizer = optimizer_class([Tensor(tiny, True)])
    (group,) = optimizer.param_groups
    x = np.ones_like(tiny)
    state = [np.full_like(tiny, s) for s in optimizer.initial_state(**dict(group)).values()]
    for t in range(50):
        x, *state = rule(x, tiny, *state, *map(np.float32, group.coefficients(t + 1)))
        assert np.array_equal(x, path[t])


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
