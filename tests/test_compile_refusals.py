"""What compiled epochs refuse, before anything has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_lines import Line, X, Y
from traced_models import MODELS

import optim
from minigrad import Tensor, compile  # noqa: A004


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
    refused(line, TypeError, rf"{x} is of dtype\('float16'\)", X.astype(np.float16), Y)
    refused(line, TypeError, rf"{y} is of dtype\('>f8'\)", X, Y.astype(">f8"))
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
    with pytest.raises(TypeError, match="Muon has no rule that can be written down"):
        compile(line.loss, muon, 4)


def test_a_loss_that_does_not_go_with_the_optimizer_is_refused(folder: Path) -> None:
    line, other = Line(folder), Line(folder)
    epoch = compile(line.loss, other.optimizer, 4, folder=folder)
    with pytest.raises(ValueError, match="line depends on none of the optimizer's 2 parameter"):
        epoch(X, Y)

    optimizer = line.optimizer

    def step(X: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = line.loss(X, y)
        loss.backward()
        optimizer.step()
        return loss

    with pytest.raises(TypeError, match="step makes a step of Adam itself"):
        compile(step, optimizer, 4, folder=folder)(X, Y)


@pytest.mark.slow
def test_labels_out_of_range_are_refused_before_anything_changes(folder: Path) -> None:
    model = MODELS["MLP"](np.random.default_rng(0), np.float64, 12)
    optimizer = optim.SGD(model.parameters, lr=0.1)
    epoch = compile(model.loss, optimizer, 4, folder=folder)
    examples, labels = model.examples
    never = compile(model.loss, optimizer, 4, folder=folder)
    with pytest.raises(ValueError, match="labels holds 5"):
        never(examples, np.where(np.arange(12) == 7, 5, labels))
    with pytest.raises(ValueError, match=r"example of X has shape \(4,\)"):
        never(examples[:, :4], labels)  # it was traced all the same
    for bad in 3, -1, 1000:
        wrong = labels.copy()
        wrong[7] = bad
        before = [p.data.copy() for p in model.parameters]
        epoch(examples, labels, rates=np.zeros(3))
        with pytest.raises(ValueError, match=f"labels holds {bad}; .* below 3"):
            epoch(examples, wrong)
        assert all(np.array_equal(p.data, x) for p, x in zip(model.parameters, before, strict=True))
        assert optimizer._slots[0].t > 0
