"""Compiled epochs of other models, types, groups and rules; each takes a compilation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_lines import EXACT, Line, X, Y, assert_same
from traced_models import MODELS

import optim
from datasets import minibatches
from minigrad import Tensor, compile  # noqa: A004


@pytest.mark.slow
@pytest.mark.parametrize("kind", [optim.Adam, optim.SGD, optim.RAdam])
def test_float32_is_rounded_as_eagerly(folder: Path, kind: Any) -> None:
    given = {"momentum": 0.9} if kind is optim.SGD else {}
    line, eager = (Line(folder, kind, np.float32, **given) for _ in range(2))
    x, y = X.astype(np.float32), Y.astype(np.float32)
    for _ in range(5):
        losses = line.epoch(x, y)
        assert losses.dtype == np.float32
        np.testing.assert_allclose(losses, eager.eager(x, y), rtol=2e-5)
    assert_same(line, eager, 2e-6)


@pytest.mark.slow
def test_groups_flags_and_late_parameters_have_their_own_rules(folder: Path) -> None:
    """Two groups, one ascending; a parameter whose t is behind; and a flag set in between."""

    def make() -> tuple[Line, Any]:
        line = Line(folder)
        line.optimizer = optim.Adam(
            [
                {"params": [line.weight], "weight_decay": 0.1, "betas": (0.8, 0.9)},
                {"params": [line.bias], "lr": 1e-3, "maximize": True},
            ],
            lr=0.05,
        )
        line.epoch = compile(line.loss, line.optimizer, 4, folder=folder)
        return line, line.optimizer.param_groups

    (line, groups), (eager, eager_groups) = make(), make()
    for one in line, eager:  # the weight is a step ahead
        one.weight.grad = np.ones(3)
        one.optimizer.step()
        one.weight.grad = None
    rates = np.array([[0.1, 0.2, 0.3], [1e-3, 2e-3, 3e-3]])
    line.epoch(X, Y, order=range(8))
    eager.eager(X, Y, order=range(8))
    assert_same(line, eager)
    line.epoch(X, Y, order=range(8), rates=rates[:, :2])
    for k in range(2):
        eager_groups[0].lr, eager_groups[1].lr = rates[:, k]
        eager.eager(X, Y, order=range(4 * k, 4 * k + 4))
    eager_groups[0].lr, eager_groups[1].lr = 0.05, 1e-3
    assert_same(line, eager)
    groups[1].maximize = eager_groups[1].maximize = False
    line.epoch(X, Y, order=range(8))
    eager.eager(X, Y, order=range(8))
    assert_same(line, eager)


@pytest.mark.slow
def test_parameters_of_one_group_may_be_at_different_steps(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    for one in line, eager:
        one.bias.grad = np.ones(())
        one.optimizer.step()
        one.bias.grad = None
    line.epoch(X, Y, order=range(8))
    eager.eager(X, Y, order=range(8))
    assert_same(line, eager)
    assert [slot.t for slot in line.optimizer._slots] == [2, 3]


@pytest.mark.slow
def test_a_parameter_that_the_optimizer_lacks_is_read_live_and_stays(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    for one in line, eager:
        one.optimizer = optim.SGD([one.weight, Tensor(1.0, requires_grad=True)], lr=0.1)
        one.epoch = compile(one.loss, one.optimizer, 4, folder=folder)
        for value in 3.0, -5.0:
            one.bias.data = np.array(value)
            order = range(8)
            (one.epoch if one is line else one.eager)(X, Y, order=order)
    np.testing.assert_allclose(line.weight.data, eager.weight.data, rtol=EXACT)
    assert line.bias.data == -5.0
    assert [slot.t for slot in line.optimizer._slots] == [4, 0]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e307, 0.0])
def test_the_norm_is_right_where_squares_leave_the_range(folder: Path, scale: float) -> None:
    def through(X: Any) -> Any:
        return (X @ weight).sum()

    found = []
    for compiled in True, False:
        weight = Tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([weight], lr=0.1)
        gradient = np.array([[3.0, 4.0]]) * scale
        if compiled:
            compile(through, optimizer, 1, clip_norm=scale or 1.0, folder=folder)(gradient)
        else:
            with np.errstate(over="ignore"):
                weight.grad = gradient[0]
            optim.clip_grad_norm([weight], scale or 1.0)
            optimizer.step()
        found.append(weight.data)
    np.testing.assert_allclose(found[0], found[1], rtol=EXACT)


HUNDREDS: list[tuple[str, Any, dict[str, Any]]] = [
    *((name, optim.Adam, {"lr": 0.01}) for name in sorted(MODELS)),
    ("MLP", optim.Yogi, {"lr": 0.01}),
    ("layer norm", optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    ("logistic regression", optim.AdamW, {"lr": 0.01}),
    ("linear regression", optim.Lion, {"lr": 1e-3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "given"), HUNDREDS)
def test_a_hundred_steps_equal_eager_ones(
    folder: Path, name: str, kind: Any, given: dict[str, Any]
) -> None:
    models = [MODELS[name](np.random.default_rng(0), np.float64, 40) for _ in range(2)]
    optimizers = [kind(model.parameters, **given) for model in models]
    epoch = compile(models[0].loss, optimizers[0], 10, folder=folder)
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    for _ in range(25):
        losses = epoch(*models[0].examples, rng=rng)
        expected = []
        for batch in minibatches(*models[1].examples, 10, twin):
            optimizers[1].zero_grad()
            loss = models[1].loss(*batch)
            loss.backward()
            optimizers[1].step()
            expected.append(float(loss.data))
        np.testing.assert_allclose(losses, expected, rtol=EXACT)
    for p, q in zip(models[0].parameters, models[1].parameters, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=EXACT, atol=EXACT)
