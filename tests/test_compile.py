"""Compiled epochs: the same training as eager ones, and nothing changed where they refuse."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traced_models import MODELS

import optim
from datasets import minibatches
from minigrad import Tensor, compile, mse_loss  # noqa: A004
from minigrad.tracing.generated import imported, steps_folder

# Ten examples in batches of 4: the last has 2.  Epochs of the same text share their machine code.
X = np.random.default_rng(0).standard_normal((10, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.25
EXACT = 1e-12


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """One that outlives the run, so that the next one compiles nothing."""
    assert request.config.cache is not None
    return Path(request.config.cache.mkdir("steps"))


class Line:
    """A line to fit, its optimizer and its epoch."""

    def __init__(
        self, folder: Path | None, kind: Any = optim.Adam, dtype: Any = np.float64, **given: Any
    ) -> None:
        self.weight = weight = Tensor(np.zeros(3, dtype), requires_grad=True)
        self.bias = bias = Tensor(np.zeros((), dtype), requires_grad=True)

        def line(X: Any, y: Any) -> Any:
            return mse_loss(X @ weight + bias, y)

        compiled = {k: given.pop(k) for k in ("clip_norm", "clip_value") if k in given}
        self.loss = line
        self.optimizer = kind([("weight", weight), ("bias", bias)], **{"lr": 0.1} | given)
        self.epoch = compile(line, self.optimizer, 4, folder=folder, **compiled)

    def eager(
        self,
        X: Any,
        y: Any,
        rng: np.random.Generator | None = None,
        order: Any = None,
        rates: Any = None,
        between: Callable[[], Any] = lambda: None,
    ) -> list[float]:
        """Make an epoch as everyone writes it."""
        if order is None and rng is None:
            order = range(len(X))
        if order is None:
            batches = list(minibatches(X, y, 4, rng))  # type: ignore[arg-type]
        else:
            batches = [(X[order[i : i + 4]], y[order[i : i + 4]]) for i in range(0, len(order), 4)]
        losses = []
        for k, batch in enumerate(batches):
            if rates is not None:
                self.optimizer.lr = rates[k]
            self.optimizer.zero_grad()
            loss = self.loss(*batch)
            loss.backward()
            between()
            self.optimizer.step()
            losses.append(float(loss.data))
        return losses

    def all(self) -> tuple[Any, ...]:
        """Parameters, state and number of steps."""
        state = self.optimizer.state_dict()["state"]
        arrays = [x for one in state for x in one.values() if isinstance(x, np.ndarray)]
        return (
            np.concatenate([self.weight.data, self.bias.data, *arrays], axis=None),
            [one["steps"] for one in state],
            self.optimizer.skipped,
        )


def assert_same(line: Line, other: Line, tolerance: float = EXACT) -> None:
    (numbers, *counts), (others, *other_counts) = line.all(), other.all()
    np.testing.assert_allclose(numbers, others, rtol=tolerance, atol=tolerance)
    assert counts == other_counts


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


# The text and its file


def test_the_source_reads_in_the_order_of_a_step(folder: Path) -> None:
    line = Line(folder)
    with pytest.raises(RuntimeError, match="call the epoch once"):
        line.epoch.source  # noqa: B018
    line.epoch(X, Y)
    text = line.epoch.source
    assert line.epoch.path.read_text(encoding="utf-8") == text
    assert line.epoch.path.parent == folder
    assert re.findall(r"(?m)^ {8}# (batch|forward|backward|check|update)$", text) == [
        "batch", "forward", "backward", "check", "update",
    ]  # fmt: skip
    assert text.startswith('"""Steps of line: forward, backward and Adam.')
    assert "X float64 (4, 3), y float64 (4,)" in text
    assert set(re.findall(r"(?m)^(?:from|import) (\w+)", text)) == {"math", "numpy", "numba"}
    assert max(map(len, text.splitlines())) <= 100
    assert repr(line.epoch) == "<compiled epoch of line with Adam, 4 examples a batch>"


def test_the_source_runs_in_plain_python(folder: Path) -> None:
    """As a debugger steps through it, without Numba: the text is made of what NumPy has."""
    line = Line(folder)
    line.epoch(X, Y)
    text = line.epoch.source.replace("from numba import njit", "")

    def njit(function: Any = None, **options: Any) -> Any:
        return function or (lambda function: function)

    namespace: dict[str, Any] = {"njit": njit}
    exec(text, namespace)
    fresh = Line(folder)
    w, b, order = fresh.weight.data.copy(), fresh.bias.data.copy(), np.arange(8)
    states, t, losses = [np.zeros(n) for n in (3, 3, 1, 1)], np.zeros(1), np.empty(2)
    rates = np.full((1, 2), 0.1)
    end = namespace["run"](
        X, Y, order, w, b, *states, t, rates, (0.9, 0.999), 1e-8, 0.0, losses
    )
    assert end == -1
    assert t == 2
    np.testing.assert_allclose(fresh.epoch(X, Y, order=order), losses, rtol=EXACT)
    np.testing.assert_allclose(w, fresh.weight.data, rtol=EXACT)
    np.testing.assert_allclose(b, fresh.bias.data, rtol=EXACT)


def test_a_file_is_written_once_and_an_edited_one_is_set_aside(tmp_path: Path) -> None:
    module, path = imported("x = 1\n", "<lambda>", tmp_path)
    assert module.x == 1
    assert re.fullmatch(r"lambda_[0-9a-f]{16}\.py", path.name)
    written = path.stat().st_mtime_ns
    assert imported("x = 1\n", "<lambda>", tmp_path) == (module, path)
    assert path.stat().st_mtime_ns == written
    path.write_text("x = 2\n")
    with pytest.warns(UserWarning, match=f"{path.stem}_edited_1.py"):
        module, again = imported("x = 1\n", "<lambda>", tmp_path)
    assert module.x == 1
    assert again == path
    assert path.read_text() == "x = 1\n"
    assert (tmp_path / f"{path.stem}_edited_1.py").read_text() == "x = 2\n"
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == [".py", ".py"]


def test_where_the_cache_cannot_be_written_the_file_lasts_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert steps_folder() == tmp_path / "minigrad" / "steps"
    (tmp_path / "minigrad").write_text("in the way")
    module, path = imported("y = 2\n", "step")
    assert module.y == 2
    assert tmp_path not in path.parents
    with pytest.raises(OSError, match="minigrad"):
        imported("y = 2\n", "step", tmp_path / "minigrad")


# Refusals


def refused(line: Line, kind: type[Exception], message: str, *args: Any, **given: Any) -> None:
    before = repr(line.all())
    rng: Any = given.get("rng")
    state = rng.bit_generator.state if isinstance(rng, np.random.Generator) else None
    with pytest.raises(kind, match=message):
        line.epoch(*args, **given)
    assert repr(line.all()) == before
    assert state is None or rng.bit_generator.state == state


@pytest.mark.parametrize("traced", [False, True])
def test_arguments_that_do_not_fit_are_refused_before_anything_changes(
    folder: Path, traced: bool
) -> None:
    line = Line(folder)
    x, y = "argument 0", "argument 1"
    if traced:
        line.epoch(X, Y)
        x, y = "X", "y"
        refused(line, ValueError, r"example of X has shape \(2,\).* shape \(3,\)", X[:, :2], Y)
        refused(line, ValueError, r"example of y has shape \(1,\).* shape \(\)", X, Y[:, None])
        refused(line, ValueError, "X is of float32; .* with float64", X.astype("f4"), Y)
        refused(line, TypeError, "1 arrays of examples were given; .* 2: X, y", X)
    rng = np.random.default_rng(0)
    refused(line, ValueError, f"{x} has 10 examples and {y} 9", X, Y[:9], rng=rng)
    refused(line, ValueError, f"{x} is empty", X[:0], Y[:0])
    refused(line, TypeError, f"{y} is of type list", X, Y.tolist())
    refused(line, TypeError, f"{x} is of type Tensor; .*data", Tensor(X), Y)
    refused(line, TypeError, "no examples were given")
    refused(line, ValueError, "order holds 10; .* below 10", X, Y, order=[0, 10])
    refused(line, ValueError, "order holds -1", X, Y, order=[-1])
    refused(line, ValueError, r"order has shape \(0,\)", X, Y, order=[])
    refused(line, ValueError, r"order has shape \(1, 2\)", X, Y, order=[[0, 1]])
    refused(line, TypeError, "order is of dtype float64", X, Y, order=[0.0])
    refused(line, TypeError, "order is of dtype bool", X, Y, order=[True])
    refused(line, TypeError, "rng=3 is of type int", X, Y, rng=3)
    refused(line, ValueError, "both rng and order", X, Y, rng=rng, order=[0])
    refused(line, ValueError, r"rates has shape \(2,\); .* 3 step", X, Y, rates=[1.0, 1.0], rng=rng)
    refused(line, ValueError, "rates holds -1.0", X, Y, rates=[0.1, -1.0, 0.1])
    refused(line, ValueError, "rates holds nan", X, Y, rates=[0.1, np.nan, 0.1])
    refused(line, TypeError, "rates is of dtype", X, Y, rates=["a", "b", "c"])


def test_what_cannot_be_compiled_is_refused_at_once() -> None:
    line = Line(None)
    with pytest.raises(TypeError, match=r"takes the loss.*got Tensor"):
        compile(line.weight, line.optimizer, 4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the optimizer is of type list"):
        compile(line.loss, [line.weight], 4)
    for size in 2.0, True:
        with pytest.raises(TypeError, match=f"batch_size={size}"):
            compile(line.loss, line.optimizer, size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="batch_size=0"):
        compile(line.loss, line.optimizer, 0)
    for name in "clip_norm", "clip_value":
        for limit in 0.0, -1.0, np.inf, np.nan:
            with pytest.raises(ValueError, match=f"{name}={limit}"):
                compile(line.loss, line.optimizer, 4, **{name: limit})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"{name}='1'"):
            compile(line.loss, line.optimizer, 4, **{name: "1"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"clip_norm=1.0 and clip_value=1.0: accepted is one"):
        compile(line.loss, line.optimizer, 4, clip_norm=1.0, clip_value=1.0)
    muon = optim.Muon([Tensor(np.eye(2), requires_grad=True)])
    with pytest.raises(TypeError, match="Muon cannot be compiled"):
        compile(line.loss, muon, 4)


def test_a_loss_that_does_not_go_with_the_optimizer_is_refused(folder: Path) -> None:
    line, other = Line(folder), Line(folder)
    epoch = compile(line.loss, other.optimizer, 4, folder=folder)
    with pytest.raises(ValueError, match="line depends on none of the optimizer's 2 parameter"):
        epoch(X, Y)

    optimizer = line.optimizer

    def step(X: Any, y: Any) -> Any:
        loss = line.loss(X, y)
        loss.backward()
        optimizer.step()
        return loss

    with pytest.raises(TypeError, match="step makes a step of Adam itself"):
        compile(step, optimizer, 4, folder=folder)(X, Y)


# What takes a compilation each


@pytest.mark.slow
def test_labels_out_of_range_are_refused_before_anything_changes(folder: Path) -> None:
    model = MODELS["MLP"](np.random.default_rng(0), np.float64, 12)
    optimizer = optim.SGD(model.parameters, lr=0.1)
    epoch = compile(model.loss, optimizer, 4, folder=folder)
    examples, labels = model.examples
    for bad in 3, -1, 1000:
        wrong = labels.copy()
        wrong[7] = bad
        before = [p.data.copy() for p in model.parameters]
        epoch(examples, labels, rates=np.zeros(3))
        with pytest.raises(ValueError, match=f"labels holds {bad}; .* below 3"):
            epoch(examples, wrong)
        assert all(np.array_equal(p.data, x) for p, x in zip(model.parameters, before, strict=True))
        assert optimizer._slots[0].t > 0


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


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (optim.Adam, {"lr": 0.01}),
        (optim.Yogi, {"lr": 0.01}),
        (optim.SGD, {"lr": 0.01, "momentum": 0.9}),
        (optim.AdamW, {"lr": 0.01}),
        (optim.Lion, {"lr": 1e-3}),
    ],
)
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


@pytest.mark.slow
def test_a_second_process_makes_no_machine_code(tmp_path: Path) -> None:
    program = """
import sys, time
import numpy as np
import optim
from minigrad import Tensor, compile, mse_loss  # noqa: A004
from numba.core import event

X = np.random.default_rng(0).standard_normal((10, 3))
w = Tensor(np.zeros(3), requires_grad=True)
def loss(X, y):
    return mse_loss(X @ w, y)
with event.install_recorder("numba:compile") as compilations:
    epoch = compile(loss, optim.Adam([w], lr=0.1), 4, folder=sys.argv[1])
    losses = epoch(X, X[:, 0])
print(len(compilations.buffer), losses.tolist())
"""
    printed = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout.split(maxsplit=1)
        for _ in range(2)
    ]  # fmt: skip
    assert int(printed[0][0]) > 0
    assert printed[1] == ["0", printed[0][1]]


