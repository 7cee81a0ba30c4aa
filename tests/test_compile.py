"""Compiled epochs: the same training as eager ones."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_lines import EXACT, Line, X, Y, assert_same

import optim
from minigrad import Tensor, compile, mse_loss  # noqa: A004


def test_eager_and_compiled_epochs_alternate(folder: Path) -> None:
    """Losses, parameters, state, t and the generator are those of eager training."""
    mixed, eager = Line(folder), Line(folder)
    rng, twin = np.random.default_rng(1), np.random.default_rng(1)
    for k in range(12):
        if k % 3 == 2:
            found = mixed.eager(X, Y, rng)
        else:
            losses = mixed.epoch(X, Y, rng=rng)
            assert losses.shape == (3,)
            assert losses.dtype == np.float64
            found = losses.tolist()
            assert mixed.weight.grad is None
        assert found == pytest.approx(eager.eager(X, Y, twin), rel=EXACT)
        mixed.optimizer.lr = eager.optimizer.lr = 0.1 / (k + 1)  # as a scheduler does
        assert_same(mixed, eager)
        assert rng.bit_generator.state == twin.bit_generator.state
    assert losses[0] < 1


def test_a_checkpoint_of_a_compiled_run_goes_on_eagerly(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    line.epoch(X, Y)
    eager.optimizer.load_state_dict(line.optimizer.state_dict())
    eager.weight.data[:], eager.bias.data[()] = line.weight.data, line.bias.data
    line.epoch(X, Y)
    eager.eager(X, Y)
    assert_same(line, eager)


def test_the_order_may_be_any_number_of_steps_over_any_examples(folder: Path) -> None:
    for order in [3], [0, 1, 2, 3], [9, 9, 9, 0, 1] * 3, np.arange(10, dtype=np.uint8)[::-1]:
        line, eager = Line(folder), Line(folder)
        losses = line.epoch(X, Y, order=order)
        assert losses.tolist() == pytest.approx(eager.eager(X, Y, order=list(order)), rel=EXACT)
        assert_same(line, eager)


def test_without_an_order_the_examples_come_as_they_are(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    strided = np.asfortranarray(X)
    assert line.epoch(strided, Y).tolist() == pytest.approx(eager.eager(X, Y), rel=EXACT)
    assert_same(line, eager)


def test_every_step_may_have_a_learning_rate_of_its_own(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    rates = [0.3, 0.0, 0.01]
    line.epoch(X, Y, rates=rates)
    eager.eager(X, Y, rates=rates)
    assert_same(line, eager)
    assert line.optimizer.lr == 0.1
    line.epoch(X, Y, rates=[rates])  # a row for the only group
    eager.eager(X, Y, rates=rates)
    assert_same(line, eager)


def test_a_graph_from_before_an_epoch_can_no_longer_go_backward(folder: Path) -> None:
    line = Line(folder)
    loss = line.loss(X, Y)
    line.epoch(X, Y)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_values_that_were_replaced_are_used(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    for one in line, eager:
        one.epoch(X, Y) if one is line else one.eager(X, Y)
        one.weight.data = np.array([3.0, 2.0, 1.0])
        one.epoch(X, Y) if one is line else one.eager(X, Y)
    assert_same(line, eager)
    line.weight.data = np.zeros(4)
    before = line.all()[1:]
    with pytest.raises(ValueError, match=r"'weight'\) now holds float64 values of shape \(4,\)"):
        line.epoch(X, Y)
    assert [slot.t for slot in line.optimizer._slots] == before[0]


def test_a_nonfinite_gradient_ends_the_epoch_before_its_step(folder: Path) -> None:
    bad = X.copy()
    bad[6, 1] = np.inf
    line, eager = Line(folder), Line(folder)
    with pytest.raises(FloatingPointError, match=r"step 1 of this call .* parameter 0 \('weight'\)"
                       r".*examples \[4, 5, 6, 7\]"):  # fmt: skip
        line.epoch(bad, Y)
    eager.eager(bad, Y, order=[0, 1, 2, 3])
    assert_same(line, eager)
    with pytest.raises(FloatingPointError, match=r"step 0 of this call .*examples \[6, 1, 2, 3\]"):
        line.epoch(bad, Y, order=[6, 1, 2, 3, 0])
    assert_same(line, eager)


def test_or_that_step_is_skipped_and_counted(folder: Path) -> None:
    bad = X.copy()
    bad[6, 1] = np.nan
    line, eager = (Line(folder, nonfinite="skip") for _ in range(2))
    losses = line.epoch(bad, Y, order=range(8))
    expected = eager.eager(bad, Y, order=range(8))
    np.testing.assert_allclose(losses, expected, rtol=EXACT)  # NaN is NaN
    assert np.isnan(losses[1])
    assert line.optimizer.skipped == 1
    assert_same(line, eager)


@pytest.mark.parametrize("limits", [{"clip_norm": 0.5}, {"clip_value": 0.25}])
def test_gradients_are_clipped_as_by_optim(folder: Path, limits: dict[str, float]) -> None:
    line, eager = Line(folder, optim.SGD, **limits), Line(folder, optim.SGD)
    for examples in X, 1e-3 * X:  # with long gradients, and short ones
        ((name, limit),) = limits.items()
        clip: Any = optim.clip_grad_norm if name == "clip_norm" else optim.clip_grad_value
        clipping = functools.partial(clip, [eager.weight, eager.bias], limit)
        line.epoch(examples, Y, order=range(8))
        eager.eager(examples, Y, order=range(8), between=clipping)
        assert_same(line, eager)
        eager.weight.data[:] = line.weight.data[:] = [1.0, -2.0, 0.5]
        eager.bias.data[()] = line.bias.data[()] = 0.2


def test_variables_may_have_the_names_that_the_code_itself_uses(folder: Path) -> None:
    t, order, i, c = (Tensor(np.full(3, x), requires_grad=True) for x in (1.0, 2.0, 3.0, 4.0))
    n, losses = Tensor(0.5, requires_grad=True), Tensor(np.eye(3), requires_grad=True)

    def step(rates: Any, betas: Any) -> Any:
        return mse_loss(rates @ losses @ (t * order + i * c) + n, betas)

    parameters = [t, order, i, c, n, losses]
    optimizer = optim.Momentum(parameters, lr=0.01)
    epoch = compile(step, optimizer, 4, folder=folder)
    epoch(X, Y, order=range(4))
    found = [p.data.copy() for p in parameters]
    for p, values in zip(parameters, [np.full(3, x) for x in (1.0, 2.0, 3.0, 4.0)], strict=False):
        p.data[:] = values
    n.data[()], losses.data[:] = 0.5, np.eye(3)
    fresh = optim.Momentum(parameters, lr=0.01)
    step(X[:4], Y[:4]).backward()
    fresh.step()
    for p, values in zip(parameters, found, strict=True):
        np.testing.assert_allclose(values, p.data, rtol=EXACT)
