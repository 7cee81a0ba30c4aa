"""The optimizers' rules as text: the same numbers as the classes', in Python and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import prange
from optimizers import OPTIMIZERS

import optim
from minigrad import Tensor
from minigrad.tracing.rule import Update, update_of
from optim.loop import coordinatewise, inlinable

VARIANTS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.3, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.3, "momentum": 0.7, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.3, "momentum": 0.7, "dampening": 0.4}),
    (optim.SGD, {"lr": 0.3, "momentum": 0.7, "nesterov": True, "maximize": True}),
    (optim.Momentum, {"lr": 0.3, "weight_decay": 0.1}),
    (optim.RMSProp, {"lr": 0.3}),
    (optim.RMSProp, {"lr": 0.3, "momentum": 0.7}),
    (optim.RMSProp, {"lr": 0.3, "centered": True}),
    (optim.RMSProp, {"lr": 0.3, "centered": True, "momentum": 0.7, "weight_decay": 0.1}),
    (optim.AdaGrad, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator": 0.1}),
    (optim.Adadelta, {"lr": 0.3, "weight_decay": 0.1}),
    (optim.Adam, {"betas": (0.8, 0.99), "weight_decay": 0.1}),
    (optim.Adam, {"betas": (0.8, 0.99), "amsgrad": True}),
    (optim.AMSGrad, {"betas": (0.0, 0.99)}),
    (optim.AdamW, {"weight_decay": 0.1}),
    (optim.Adamax, {"weight_decay": 0.1}),
    (optim.AdaBelief, {"weight_decay": 0.1}),
    (optim.Yogi, {"weight_decay": 0.1, "initial_accumulator": 0.1}),
    (optim.Lion, {"weight_decay": 0.1}),
    (optim.NAdam, {"weight_decay": 0.1}),
    (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.NAdam, {"momentum_decay": 0.0}),
    (optim.RAdam, {"weight_decay": 0.1}),
    (optim.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.RAdam, {"betas": (0.9, 0.6)}),
]
NAMES = [f"{kind.__name__}-{'-'.join(map(str, given))}" for kind, given in VARIANTS]
STEPS = 1, 2, 5, 6, 100


def group_of(kind: Any, **given: Any) -> Any:
    (group,) = kind([Tensor(np.zeros((2, 2)), requires_grad=True)], **given).param_groups
    return group


def functions_of(update: Update) -> dict[str, Any]:
    """Run the text, which may see nothing but what it says."""
    import math

    namespace: dict[str, Any] = {"math": math, "np": np}
    exec(update.definitions, namespace)
    return namespace


def given_to(update: Update, group: Any) -> list[Any]:
    return [group[name] for name in update.hyperparameters]


def arrays_for(update: Update, dtype: Any = np.float64) -> list[Any]:
    """x, g and states, the states at least 0 as sums of squares are."""
    rng = np.random.default_rng(0)
    states = [rng.random(8) for _ in update.states]
    return [array.astype(dtype) for array in (*rng.standard_normal((2, 8)), *states)]


def test_every_optimizer_but_muon_is_among_the_variants() -> None:
    assert {kind for kind, _ in VARIANTS} == set(OPTIMIZERS) - {optim.Muon}


@pytest.mark.parametrize(("kind", "given"), VARIANTS, ids=NAMES)
def test_the_text_has_every_bit_of_the_class(kind: Any, given: dict[str, Any]) -> None:
    group = group_of(kind, **given)
    update = update_of(group)
    functions = functions_of(update)
    coefficients, rule = functions[update.coefficients], functions[update.rule]
    for t in STEPS:
        expected = group.coefficients(t)
        assert coefficients(t, *given_to(update, group)) == expected
        assert coefficients(float(t), *given_to(update, group)) == expected
        x, g, *states = arrays_for(update)
        found = rule(x, -g if update.maximize else g, *states, *expected)
        loop = group._loop.version(8)
        loop(x, g, *states, group._sign, expected)  # in place
        assert len(states) == len(group._slots[0].arrays)
        for array, text in zip([x, *states], found if states else [found], strict=True):
            assert np.array_equal(array, text)


def compiled_equal(kind: Any, given: dict[str, Any]) -> None:
    from numba import njit

    group = group_of(kind, **given)
    update = update_of(group)
    functions = functions_of(update)
    for name, function in list(functions.items()):
        if callable(function) and name not in ("math", "np"):
            functions[name] = njit(error_model="numpy")(function)
    coefficients, rule = functions[update.coefficients], functions[update.rule]
    for t in STEPS:
        expected = group.coefficients(t)
        found = coefficients(float(t), *given_to(update, group))
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    arrays = arrays_for(update)
    values = functions_of(update)[update.rule](*arrays, *expected)
    each = [rule(*numbers, *expected) for numbers in zip(*arrays, strict=True)]
    np.testing.assert_allclose(np.transpose(each), values, rtol=1e-13)


def test_a_rule_with_a_choice_at_each_step_compiles() -> None:
    """RAdam's rectification is None at first."""
    compiled_equal(optim.RAdam, {"weight_decay": 0.1})


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "given"), VARIANTS, ids=NAMES)
def test_every_rule_compiles(kind: Any, given: dict[str, Any]) -> None:
    compiled_equal(kind, given)


def test_other_numbers_have_the_same_text_and_other_flags_another() -> None:
    group = group_of(optim.RMSProp, momentum=0.9)
    before = update_of(group)
    group.lr, group.momentum = 0.5, 0.8
    assert update_of(group) is before
    group.maximize = True
    assert update_of(group).maximize
    assert update_of(group).definitions == before.definitions
    plain = update_of(group_of(optim.RMSProp))
    assert plain.states == ("s",)
    assert "momentum" not in plain.hyperparameters


def test_one_name_never_stands_for_two_texts() -> None:
    texts: dict[str, str] = {}
    for kind, given in VARIANTS:
        update = update_of(group_of(kind, **given))
        for text in update.definitions.split("\n\n\n"):
            name = text.split("(")[0]
            assert texts.setdefault(name, text) == text


def test_a_rule_that_is_not_elementwise_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"Muon has no rule .* its rule is not elementwise.*"
                                        r"eagerly"):  # fmt: skip
        update_of(group_of(optim.Muon))


# Optimizers of a user's own

RATE = 0.5


@inlinable
def own_rule(x: Any, g: Any, lr: Any) -> Any:
    return x - halved(lr) * g


@inlinable
def halved(x: Any) -> Any:
    return RATE * x


@coordinatewise
def own_loop(x: Any, g: Any, sign: Any, coefficients: Any) -> None:
    for i in range(x.size):
        x[i] = own_rule(x[i], sign * g[i], *coefficients)


@coordinatewise
def own_prange_loop(x: Any, g: Any, sign: Any, coefficients: Any) -> None:
    for k in prange(x.size):
        x[k] = own_rule(x[k], sign * g[k], *coefficients)


class Own(optim.SGD):
    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        return own_prange_loop

    @staticmethod
    def coefficients(t: int, *, lr: float, **_: Any) -> tuple[float, ...]:
        return (lr,)


def test_a_users_own_rule_brings_the_functions_and_numbers_that_it_uses() -> None:
    update = update_of(group_of(Own, lr=0.25))
    rule = functions_of(update)[update.rule]
    assert rule(1.0, 2.0, 0.25) == 0.75
    assert update.definitions.startswith("RATE = 0.5\n\n\ndef halved(x):")


class OtherLoop(Own):
    @staticmethod
    def loop_for(**_: Any) -> coordinatewise:
        return own_loop


class OwnStep(Own):
    def step(self) -> None:
        super().step()


class Closed(Own):
    @staticmethod
    def coefficients(t: int, *, lr: float, **others: Any) -> tuple[float, ...]:
        return (lr * others["momentum"],)


class Looks(Own):
    @staticmethod
    def coefficients(t: int, *, lr: float, **_: Any) -> tuple[float, ...]:
        return (lr * len(VARIANTS),)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (OtherLoop, "own_loop is not one rule applied to every coordinate"),
        (OwnStep, r"step\(\) of its own"),
        (Closed, r"coefficients\(\) does not take t and hyperparameters by name"),
        (Looks, "coefficients uses VARIANTS, which is no function"),
    ],
)
def test_an_own_optimizer_that_is_written_otherwise_is_refused_with_the_reason(
    kind: Any, reason: str
) -> None:
    with pytest.raises(TypeError, match=f"{kind.__name__} has no rule that can .*: .*{reason}"):
        update_of(group_of(kind))
