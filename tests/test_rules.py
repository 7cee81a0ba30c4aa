"""The update rules: NumPy and compiled."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optim
from minigrad import Tensor
from optim import SGD, Adam, Optimizer, Yogi
from optim.adam import adam_rule
from optim.sgd import sgd_rule
from optim.yogi import yogi_rule

Rule = Callable[..., Any]


def initial_state(optimizer: Optimizer) -> list[float]:
    return list(optimizer.initial_state(**dict(optimizer.param_groups[0])).values())


# Plain NumPy and the compiled loop


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 33_005], ids=["serial", "parallel"])
@pytest.mark.parametrize(
    ("optimizer_class", "rule", "options"),
    [
        (SGD, sgd_rule, {}),
        (Adam, adam_rule, {}),
        (Yogi, yogi_rule, {}),
        (Yogi, yogi_rule, {"initial_accumulator": 1e-6}),
    ],
    ids=["SGD", "Adam", "Yogi", "Yogi with s_0"],
)
def test_compiled_loop_equals_plain_numpy_bit_for_bit_over_300_steps(
    optimizer_class: Any, rule: Rule, options: dict[str, Any], size: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(size).astype(dtype)
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], **options)
    plain = start.copy()
    state = [np.full_like(plain, value) for value in initial_state(optimizer)]
    for t in range(1, 301):
        g = (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
        g[::5] = 0
        x.grad = g
        optimizer.step()
        result = rule(plain, g, *state, *map(dtype, optimizer.param_groups[0].coefficients(t)))
        plain, *state = result if state else (result,)
        assert plain.dtype == dtype
        assert np.array_equal(plain, x.data)
    assert np.all(np.isfinite(plain))


def test_a_parameter_that_got_no_gradient_keeps_its_own_step_count() -> None:
    """Skipped steps must not count: bias correction would be off."""
    x, y = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    optimizer = Adam([x, y], lr=1.0, eps=0.0)
    for _ in range(3):
        x.grad = np.array(1.0)
        optimizer.step()
        optimizer.zero_grad()
    y.grad = np.array(1.0)
    optimizer.step()
    assert x.item() == pytest.approx(-3.0, rel=1e-12)
    assert y.item() == pytest.approx(-1.0, rel=1e-12)


def test_every_optimizer_is_exported() -> None:
    for found in pkgutil.iter_modules(optim.__path__):
        module = importlib.import_module(f"optim.{found.name}")
        for name, member in vars(module).items():
            if isinstance(member, type) and issubclass(member, Optimizer):
                assert getattr(optim, name) is member
                assert name in optim.__all__
