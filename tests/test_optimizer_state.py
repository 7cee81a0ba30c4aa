"""state_dict and load_state_dict: the next steps are the same, and a misfit changes nothing."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optimizers import OPTIMIZERS, matrix, snapshot, train

from minigrad import Tensor
from optim import SGD, Adam, AMSGrad, Yogi


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_a_resumed_optimizer_goes_on_bit_for_bit(optimizer_class: Any, dtype: Any) -> None:
    def make() -> tuple[Any, list[Tensor]]:
        parameters = [matrix(dtype=dtype), matrix(((0.5, 1.0, 2.0),), dtype)]
        return optimizer_class([{"params": [p], "lr": 0.25} for p in parameters]), parameters

    through, parameters = make()
    train(through, parameters, 7)
    train(through, parameters[:1], 3, seed=1)  # step counts differ
    saved, values = through.state_dict(), [p.data.copy() for p in parameters]
    train(through, parameters, 5, seed=2)

    resumed, twins = make()
    resumed.lr = 0.125
    train(resumed, twins, 1, seed=9)
    for twin, value in zip(twins, values, strict=True):
        twin.data[...] = value
    resumed.load_state_dict(saved)
    assert repr(resumed.state_dict()) == repr(saved)
    train(resumed, twins, 5, seed=2)
    assert snapshot(resumed, twins) == snapshot(through, parameters)


def test_the_state_is_a_copy_both_ways() -> None:
    x = matrix()
    optimizer = Adam([x])
    train(optimizer, [x], 2)
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    train(optimizer, [x], 2)
    assert repr(saved) == repr(kept)
    optimizer.load_state_dict(saved)
    train(optimizer, [x], 2)
    assert repr(saved) == repr(kept)


def test_a_new_learning_rate_is_kept_where_it_is_asked_for() -> None:
    """Otherwise the saved one comes back over it."""
    x = matrix()
    optimizer = Adam([x], lr=0.5, eps=1e-3)
    saved = optimizer.state_dict()
    other = Adam([x], lr=0.125)
    other.load_state_dict(saved, keep=["lr"])
    assert (other.lr, other.eps) == (0.125, 1e-3)
    other.load_state_dict(saved)
    assert other.lr == 0.5


def test_skipped_steps_are_still_counted_after_loading() -> None:
    x = matrix()
    optimizer = Adam([x], nonfinite="skip")
    x.grad = np.full((2, 2), np.nan)
    optimizer.step()
    twin = Adam([matrix()])
    twin.load_state_dict(optimizer.state_dict())
    assert twin.skipped == 1


def test_a_state_without_names_fits_parameters_that_have_some() -> None:
    optimizer = Adam([("w", matrix())])
    optimizer.load_state_dict(Adam([matrix()]).state_dict())


def change(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = to

    return apply


def delete(*path: Any) -> Callable[[dict[str, Any]], None]:
    def apply(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        del state[path[-1]]

    return apply


MISFITS: list[tuple[Callable[[dict[str, Any]], None], type[Exception], str]] = [
    (change("optimizer", to="AdaBelief"), ValueError, "the state of 'AdaBelief', not of Adam"),
    (delete("optimizer"), ValueError, "lacks 'optimizer'"),
    (change("step", to=1), ValueError, "has 'step', which is unknown"),
    (change("skipped", to=-1), ValueError, "skipped=-1"),
    (change("skipped", to=1.5), ValueError, r"skipped=1\.5"),
    (change("state", to={}), TypeError, "the list of parameters is of type dict"),
    (delete("state", 1), ValueError, r"of 1 parameter\(s\), the optimizer has 2"),
    (delete("param_groups", 1), ValueError, r"of 1 parameter group\(s\), the optimizer has 2"),
    (change("param_groups", 0, to=None), TypeError, "parameter group 0 is of type NoneType"),
    (change("param_groups", 0, "params", to=[0, 1]), ValueError,
     r"group 0 had the parameters \[0, 1\], and has \[0\]"),
    (delete("param_groups", 1, "eps"), ValueError, "parameter group 1 lacks 'eps'"),
    (change("param_groups", 1, "epsilon", to=1), ValueError, "group 1 has 'epsilon'"),
    (change("param_groups", 1, "amsgrad", to=True), ValueError, "group 1: .*remember v and s a"),
    (change("state", 1, "name", to="b"), ValueError, r"parameter 1 \('v'\) was 'b'"),
    (change("state", 1, "shape", to=[4]), ValueError, r"parameter 1 .*shape \(2, 2\).*\(4,\)"),
    (change("state", 1, "dtype", to="float32"), ValueError, "float64 .* saved they were float32"),
    (change("state", 1, "steps", to=-1), ValueError, "steps=-1"),
    (change("state", 1, "steps", to=True), ValueError, "steps=True"),
    (delete("state", 1, "s"), ValueError, "parameter 1 .*lacks 's'"),
    (change("state", 1, "s_max", to=np.ones((2, 2))), ValueError, "has 's_max', which is unknown"),
    (change("state", 1, "s", to=np.ones((4,))), ValueError, r"s is of float64 and shape \(4,\)"),
    (change("state", 1, "s", to=np.ones((2, 2), "f4")), ValueError, "s is of float32"),
    (change("state", 1, "s", to=[[1.0, 2.0], [3.0, 4.0]]), TypeError, "s is of type list"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "error", "match"), MISFITS)
def test_error_state_that_does_not_fit_and_nothing_has_changed(
    spoil: Callable[[dict[str, Any]], None], error: type[Exception], match: str
) -> None:
    def make() -> tuple[Adam, list[Tensor]]:
        p, q = matrix(), matrix()
        return Adam([{"params": [("w", p)]}, {"params": [("v", q)]}], lr=0.5), [p, q]

    optimizer, parameters = make()
    train(optimizer, parameters, 3)
    other, others = make()
    train(other, others, 5, seed=1)
    saved = other.state_dict()
    optimizer.load_state_dict(copy.deepcopy(saved))  # the state itself fits
    train(optimizer, parameters, 1)
    before = snapshot(optimizer, parameters)
    spoil(saved)
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(saved)
    assert snapshot(optimizer, parameters) == before


def test_error_state_of_another_optimizer_or_none() -> None:
    with pytest.raises(ValueError, match="the state of 'Yogi', not of Adam"):
        Adam([matrix()]).load_state_dict(Yogi([matrix()]).state_dict())
    with pytest.raises(TypeError, match="the state is of type list"):
        Adam([matrix()]).load_state_dict([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="remember v and s and s_max"):
        Adam([matrix()]).load_state_dict(
            AMSGrad([matrix()]).state_dict() | {"optimizer": "Adam"}
        )


def test_error_keep_names_no_hyperparameter() -> None:
    optimizer = SGD([matrix()])
    with pytest.raises(ValueError, match=r"keep=\['rate'\]: SGD has no hyperparameter 'rate'"):
        optimizer.load_state_dict(optimizer.state_dict(), keep=["rate"])
