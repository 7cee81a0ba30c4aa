"""Every rule in plain NumPy and its compiled loop give the same bits, and no NaN without cause."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from typing import Any

import numpy as np
import pytest
from optimizers import OPTIMIZERS, matrix

import optim
from minigrad import Tensor
from optim import Optimizer
from optim.loop import coordinatewise

CASES: list[tuple[str, str, dict[str, Any]]] = [  # class, rule, options
    ("SGD", "sgd_rule", {"weight_decay": 0.1}),
    ("SGD", "sgd_momentum_rule", {"momentum": 0.9, "dampening": 0.5}),
    ("SGD", "nesterov_rule", {"momentum": 0.9, "nesterov": True}),
    ("Momentum", "momentum_rule", {"weight_decay": 0.1}),
    ("AdaGrad", "adagrad_rule", {"lr_decay": 0.1}),
    ("AdaGrad", "adagrad_rule", {"initial_accumulator": 0.1, "weight_decay": 0.1}),
    ("RMSProp", "rmsprop_rule", {"weight_decay": 0.1}),
    ("RMSProp", "rmsprop_momentum_rule", {"momentum": 0.9}),
    ("RMSProp", "centered_rule", {"centered": True}),
    ("RMSProp", "centered_momentum_rule", {"momentum": 0.9, "centered": True}),
    ("Adadelta", "adadelta_rule", {"weight_decay": 0.1}),
    ("Adam", "adam_rule", {}),
    ("Adam", "adam_rule", {"weight_decay": 0.1, "maximize": True}),
    ("AMSGrad", "amsgrad_rule", {"weight_decay": 0.1}),
    ("AdamW", "adamw_rule", {"weight_decay": 0.1}),
    ("Adamax", "adamax_rule", {"weight_decay": 0.1}),
    ("NAdam", "nadam_rule", {"weight_decay": 0.1}),
    ("NAdam", "nadam_rule", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", "radam_rule", {"weight_decay": 0.1}),
    ("RAdam", "radam_rule", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Lion", "lion_rule", {"weight_decay": 0.1}),
    ("Yogi", "yogi_rule", {"weight_decay": 0.1}),
    ("Yogi", "yogi_rule", {"initial_accumulator": 1e-6}),
    ("AdaBelief", "adabelief_rule", {"weight_decay": 0.1, "maximize": True}),
]
"""Muon has no compiled loop: its rule on matrices in NumPy is what runs (`test_muon.py`)."""


def rule_named(optimizer_class: Any, rule: str) -> Any:
    return getattr(sys.modules[optimizer_class.__module__], rule)


def gradient(rng: np.random.Generator, size: int, dtype: Any) -> Any:
    """From 1e-12 to 1e12 in float64, 1e-6 to 1e6 in float32, with zeros and the smallest number."""
    reach = 12 if dtype == np.float64 else 6
    g = (rng.standard_normal(size) * 10.0 ** rng.integers(-reach, reach, size)).astype(dtype)
    g[::5] = 0
    g[1::7] = np.finfo(dtype).smallest_subnormal
    return g


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        pytest.param(7, np.float32, id="serial-float32"),
        pytest.param(7, np.float64, id="serial-float64"),
        pytest.param(5_003, np.float32, id="parallel-float32", marks=pytest.mark.slow),
        pytest.param(5_003, np.float64, id="parallel-float64"),
    ],
)
@pytest.mark.parametrize(("name", "rule", "options"), CASES)
def test_the_compiled_loop_equals_its_rule_in_plain_numpy_bit_for_bit_over_300_steps(
    name: str, rule: str, options: dict[str, Any], size: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    plain = rng.standard_normal(size).astype(dtype)
    x = Tensor(plain, requires_grad=True)
    optimizer = getattr(optim, name)([x], **options)
    (group,) = optimizer.param_groups
    sign = -1 if group.maximize else 1
    function = rule_named(type(optimizer), rule)
    state = [np.full_like(plain, s) for s in optimizer.initial_state(**dict(group)).values()]
    for t in range(1, 301):
        x.grad = gradient(rng, size, dtype)
        optimizer.step()
        # The smallest numbers become 0 on the way, in both.
        with np.errstate(under="ignore"):
            result = function(plain, sign * x.grad, *state, *map(dtype, group.coefficients(t)))
        plain, *state = result if state else (result,)
        assert plain.dtype == dtype
        assert np.array_equal(plain, x.data), t
    saved = optimizer.state_dict()["state"][0]
    for ours, loops in zip(state, list(saved.values())[4:], strict=True):
        assert np.array_equal(ours, loops)
    assert np.all(np.isfinite(plain))


def test_every_compiled_loop_of_a_rule_has_a_case() -> None:
    """A loop that is new in a file of an optimizer would otherwise run unchecked."""
    loops: dict[str, Any] = {}
    for found in pkgutil.iter_modules(optim.__path__):
        module = importlib.import_module(f"optim.{found.name}")
        if any(
            isinstance(member, type) and issubclass(member, Optimizer)
            and member.__module__ == module.__name__
            for member in vars(module).values()
        ):  # fmt: skip
            for name, member in vars(module).items():
                if isinstance(member, coordinatewise) and inspect.getmodule(member) is module:
                    loops[name] = member
    used = set()
    for name, rule, options in CASES:
        group = getattr(optim, name)([matrix()], **options).param_groups[0]
        loop = getattr(optim, name).loop_for(**dict(group))
        assert loop.__name__ == rule.replace("_rule", "_loop")
        used.add(loop.__name__)
    assert used == set(loops) - {"all_finite"}


TINY = [0.0, -0.0, 1.4e-45, -1e-40, 1e-38, -1e-38]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize("value", [*TINY, None], ids=[*map(str, TINY), "mixed"])
def test_zero_denormal_and_1e_38_gradients_in_float32_produce_no_nan(
    optimizer_class: Any, value: float | None
) -> None:
    rng = np.random.default_rng(0)
    x = matrix(np.ones((3, 4)), np.float32)
    optimizer = optimizer_class([x])
    for _ in range(300):
        values = rng.choice(TINY, (3, 4)) if value is None else np.full((3, 4), value)
        x.grad = values.astype(np.float32)
        optimizer.step()
    assert np.all(np.isfinite(x.data))
    for saved in list(optimizer.state_dict()["state"][0].values())[4:]:
        assert np.all(np.isfinite(saved))


@pytest.mark.parametrize(
    "options", [{"momentum": 0.9}, {"centered": True}, {"momentum": 0.9, "centered": True}]
)
def test_rmsprops_other_forms_produce_no_nan_either(options: dict[str, Any]) -> None:
    x = matrix(np.ones((2, len(TINY))), np.float32)
    optimizer = optim.RMSProp([x], **options)
    x.grad = np.array([TINY, TINY], np.float32)
    for _ in range(300):
        optimizer.step()
    assert np.all(np.isfinite(x.data))


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_error_float16_is_refused_with_advice(optimizer_class: Any) -> None:
    with pytest.raises(TypeError, match=r"float16.*Numba has no float16.*astype\(np\.float32\)"):
        optimizer_class([matrix(dtype=np.float16)])
    x = matrix(dtype=np.float32)
    optimizer = optimizer_class([x])
    x.grad = np.ones((2, 2), np.float16)
    with pytest.raises(TypeError, match=r"gradient of parameter 0 .*float16.*Numba has no"):
        optimizer.step()
    assert np.array_equal(x.data, matrix(dtype=np.float32).data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_machine_code_of_a_loop_does_what_the_loop_does(dtype: Any) -> None:
    from optim.adam import adam_loop

    one = list(np.random.default_rng(1).random((4, 9)).astype(dtype))
    two = [array.copy() for array in one]
    coefficients = optim.Adam([matrix()]).param_groups[0].coefficients(3)
    adam_loop.compiled(9, dtype, 4, len(coefficients))(*one, 1.0, coefficients)
    adam_loop(*two, dtype(1), tuple(map(dtype, coefficients)))
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a, b)
