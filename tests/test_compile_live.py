"""What may change between compiled epochs: they read it anew, or refuse it."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_lines import EXACT, Line, X, Y, assert_same

import optim
from minigrad import Tensor, compile, mse_loss, nn  # noqa: A004
from minigrad.functional import cross_entropy
from optim.schedules import Cosine, Scheduler

LABELS = np.arange(10) % 3


def test_a_parameter_that_is_frozen_stays_and_one_that_thaws_is_trained(folder: Path) -> None:
    line, eager = (Line(folder, optim.SGD) for _ in range(2))
    for frozen, value in (False, 0.0), (True, 1.0), (True, -2.0), (False, 0.5):
        for one in line, eager:
            one.bias.requires_grad = not frozen
            one.bias.grad = None
            one.bias.data[()] = value
        losses = line.epoch(X, Y, order=range(8))
        assert losses.tolist() == pytest.approx(eager.eager(X, Y, order=range(8)), rel=EXACT)
        assert_same(line, eager)
        assert (line.bias.data == value) == frozen


def test_values_of_another_shape_or_layout_are_refused_also_in_the_same_array(folder: Path) -> None:
    line = Line(folder, optim.SGD)
    line.epoch(X, Y, order=range(8))
    before = line.all()[1:]

    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            line.epoch(X, Y, order=range(8))
        assert line.all()[1:] == before

    line.weight.data = np.zeros(3)
    line.weight.data.shape = (1, 3)
    refused(r"'weight'\) now holds float64 values of shape \(1, 3\)")
    line.weight.data.shape = (3,)
    line.weight.data.flags.writeable = False
    refused(r"'weight'\) is strided, Fortran-ordered or read-only")
    line.weight.data = np.zeros(6)[::2]
    refused(r"'weight'\) is strided, Fortran-ordered or read-only")
    line.weight.data = np.zeros(3)
    line.bias.requires_grad = False
    line.epoch(X, Y, order=range(8))
    line.bias.data = np.zeros(3)
    with pytest.raises(ValueError, match=r"bias now holds float64 values of shape \(3,\)"):
        line.epoch(X, Y, order=range(8))


@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_an_interrupt_leaves_the_counts_that_the_steps_made(
    folder: Path, nonfinite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One comes as soon as machine code returns, and another while the counts are set."""
    bad = X.copy()
    bad[6, 1] = np.nan if nonfinite == "skip" else X[6, 1]
    line, eager = (Line(folder, nonfinite=nonfinite) for _ in range(2))
    line.epoch(bad, Y, order=range(8))
    ((key, function),) = line.epoch._functions.items()

    def interrupted(*arguments: Any) -> int:
        function.run(*arguments)
        raise KeyboardInterrupt

    line.epoch._functions[key] = dataclasses.replace(function, run=interrupted)
    with pytest.raises(KeyboardInterrupt):
        line.epoch(bad, Y, order=range(8))
    again = iter([KeyboardInterrupt])

    def set_once(self: Tensor, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "grad" and value is None:
            for interrupt in again:
                raise interrupt

    with monkeypatch.context() as patched:
        patched.setattr(Tensor, "__setattr__", set_once, raising=False)
        with pytest.raises(KeyboardInterrupt):
            line.epoch(bad, Y, order=range(8))
    assert next(again, None) is None
    for _ in range(3):
        eager.eager(bad, Y, order=range(8))
    assert_same(line, eager)


def test_tied_weights_get_the_sum_of_their_gradients(folder: Path) -> None:
    found = []
    for compiled in True, False:
        tied = Tensor(np.eye(3) / 2, requires_grad=True)

        def loss(X: Any, y: Any, tied: Tensor = tied) -> Any:
            return mse_loss((X @ tied @ tied.T).sum(axis=1), y)

        optimizer = optim.SGD([tied], lr=0.01)
        if compiled:
            compile(loss, optimizer, 4, folder=folder)(X, Y, order=range(8))
        else:
            for rows in slice(4), slice(4, 8):
                optimizer.zero_grad()
                loss(X[rows], Y[rows]).backward()
                optimizer.step()
        found.append(tied.data)
    np.testing.assert_allclose(found[0], found[1], rtol=EXACT)


def test_a_checkpoint_may_be_loaded_and_a_schedule_run_between_epochs(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    saved = line.optimizer.state_dict()
    for one in line, eager:
        scheduler = Scheduler(one.optimizer, Cosine(lr=0.2, steps=4))
        for k in range(4):
            (one.epoch if one is line else one.eager)(X, Y, order=range(8))
            scheduler.step()
            if k == 1:
                one.optimizer.load_state_dict(saved)
        assert one.optimizer.lr == 0.0
    assert_same(line, eager)
    assert [slot.t for slot in line.optimizer._slots] == [4, 4]


def test_two_epochs_of_one_optimizer_go_on_from_each_other(folder: Path) -> None:
    line, eager = Line(folder), Line(folder)
    other = compile(line.loss, line.optimizer, 4, folder=folder)
    for epoch in line.epoch, other, line.epoch:
        epoch(X, Y, order=range(8))
        eager.eager(X, Y, order=range(8))
        assert_same(line, eager)


def test_a_copy_of_an_epoch_trains_the_copy(folder: Path) -> None:
    class Model:
        def __init__(self) -> None:
            self.weight = Tensor(np.zeros(3), requires_grad=True)
            self.bias = Tensor(0.0, requires_grad=True)

        def __call__(self, X: Any, y: Any) -> Any:
            return mse_loss(X @ self.weight + self.bias, y)

    model = Model()
    optimizer = optim.SGD([("weight", model.weight), ("bias", model.bias)], lr=0.1)
    epoch = compile(model, optimizer, 4, folder=folder)
    epoch(X, Y, order=range(8))
    before = model.weight.data.copy()
    twin = copy.deepcopy(epoch)
    twin(X, Y, order=range(8))
    assert np.array_equal(model.weight.data, before)
    assert not np.array_equal(twin._optimizer._slots[0].data, before)
    assert [slot.t for slot in twin._optimizer._slots] == [4, 4]


def test_bad_labels_are_named_at_the_first_call_and_examples_may_then_have_another_shape(
    folder: Path,
) -> None:
    weight = Tensor(np.zeros((3, 3)), requires_grad=True)
    shapes: list[tuple[int, ...]] = []

    def loss(X: Any, labels: Any) -> Any:
        shapes.append(X.shape)
        return cross_entropy(X @ weight, labels[:, 1])

    epoch = compile(loss, optim.SGD([weight], lr=0.1), 4, folder=folder)
    columns = np.stack([LABELS + 100, LABELS], axis=1)  # only the second is looked at
    for row in 1, 9:  # in the first batch, and not
        wrong = columns.copy()
        wrong[row, 1] = 7
        with pytest.raises(ValueError, match=r"labels holds 7; .* below 3"):
            epoch(X, wrong)
        if row == 1:
            with pytest.raises(ValueError, match="shape"):
                epoch(X[:, :2], columns)
            assert (4, 2) in shapes
    assert not weight.data.any()


def test_rows_that_do_not_exist_are_refused_before_the_first_step(folder: Path) -> None:
    table = Tensor(np.ones((5, 2)), requires_grad=True)

    def loss(words: Any) -> Any:
        return (table[words] ** 2).sum()

    epoch = compile(loss, optim.SGD([table], lr=0.1), 2, folder=folder)
    for bad in 5, -6:
        for words in np.array([0, 1, 2, bad]), np.array([bad, 1, 2, 3]):
            with pytest.raises(ValueError, match=rf"words holds {bad}; .* from -5, below 5"):
                epoch(words)
    assert np.array_equal(table.data, np.ones((5, 2)))


@pytest.mark.slow
def test_the_norm_of_a_classifiers_gradient_is_clipped(folder: Path) -> None:
    """Of an MLP, whose softmax has a largest logit: `max` is the builtin all the same."""
    found = []
    for compiled in True, False:
        rng = np.random.default_rng(0)
        net = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 3, rng=rng))

        def abs(X: Any, range: Any, exp: Any, net: Any = net) -> Any:
            return cross_entropy(net(X) * np.exp(exp)[:, None], range)

        optimizer = optim.SGD(net.named_parameters(), lr=0.5, nonfinite="skip")
        if compiled:
            epoch = compile(abs, optimizer, 4, clip_norm=0.1, folder=folder)
            epoch(X, LABELS, Y, order=range(8))
            assert max(map(len, epoch.source.splitlines())) <= 100
        else:
            for rows in slice(4), slice(4, 8):
                optimizer.zero_grad()
                abs(X[rows], LABELS[rows], Y[rows]).backward()
                optim.clip_grad_norm(list(net.parameters()), 0.1)
                optimizer.step()
        found.append(np.concatenate([p.data for p in net.parameters()], axis=None))
    np.testing.assert_allclose(found[0], found[1], rtol=EXACT)


@pytest.mark.slow
def test_constants_may_be_infinite(folder: Path) -> None:
    weight = Tensor(np.ones((3, 3)), requires_grad=True)
    mask, unknown = np.array([0.0, -np.inf, 1.0]), np.array([[np.nan, 1.0, 2.0]])

    def loss(X: Any) -> Any:
        masked = np.maximum(X @ weight, mask)
        return np.where(np.isnan(unknown), 0.0, masked).sum()

    losses = compile(loss, optim.SGD([weight], lr=0.0), 4, folder=folder)(X, order=range(4))
    np.testing.assert_allclose(losses, [loss(X[:4]).data], rtol=EXACT)
