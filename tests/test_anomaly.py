"""`detect_anomaly` names the operation and the line behind a NaN or a changed array."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, detect_anomaly, no_grad
from minigrad.recording import watchers


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        yield
    assert not watchers


def parameter(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


def test_a_nan_in_the_forward_pass_names_operation_index_inputs_and_line() -> None:
    x = parameter([4.0, -1.0])
    with detect_anomaly(), pytest.raises(FloatingPointError) as raised:
        np.sqrt(x) * 2  # here
    message = str(raised.value)
    assert message.startswith("sqrt made a NaN, at index (1,) of a result of shape (2,)")
    assert "[ 4., -1.]" in message
    assert "test_anomaly.py:" in message
    assert message.endswith("np.sqrt(x) * 2  # here")


def test_a_nan_without_a_graph_is_found_too() -> None:
    with detect_anomaly(), no_grad(), pytest.raises(FloatingPointError, match="log made a NaN"):
        np.log(parameter(-1.0))


def test_a_nan_that_was_given_is_passed_on() -> None:
    with detect_anomaly():
        (parameter(np.nan) * 2).backward()


def test_a_nan_in_the_backward_pass_names_the_operation_and_the_line_that_built_it() -> None:
    x = parameter(0.0)
    with detect_anomaly():
        root: Any = np.sqrt(x * x)  # built here: 0 times the slope, infinity
        loss = 3 * root
        with pytest.raises(FloatingPointError) as raised:
            loss.backward()
    message = str(raised.value)
    assert message.startswith("the gradient of multiply with respect to its input 0 holds a NaN")
    assert "root: Any = np.sqrt(x * x)  # built here" in message
    assert x.grad is None


def test_an_operation_from_before_is_named_without_its_line() -> None:
    x = parameter(0.0)
    loss: Any = np.sqrt(x * x)
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"multiply .* built before"):
        loss.backward()


def test_a_nan_in_a_recorded_backward_pass_is_found() -> None:
    x = parameter(0.0)
    with detect_anomaly():
        root: Any = np.sqrt(x * x)
        with pytest.raises(FloatingPointError, match=r"made a NaN|holds a NaN"):
            root.backward(create_graph=True)


@pytest.mark.parametrize("change", ["parameter", "constant"])
def test_an_array_written_to_between_forward_and_backward_is_noticed(change: str) -> None:
    w, batch = parameter([1.0, 2.0]), np.array([3.0, 4.0])
    with detect_anomaly():
        loss = (w * batch).sum()
        (w.data if change == "parameter" else batch)[0] = 7.0
        with pytest.raises(RuntimeError, match=r"was changed .*loss = \(w \* batch"):
            loss.backward()
    assert w.grad is None


def test_an_index_written_to_between_forward_and_backward_is_noticed() -> None:
    w, index = parameter([1.0, 2.0, 3.0]), np.array([0, 1])
    for place in (index, (index, ...)):
        index[:] = 0, 1
        with detect_anomaly():
            loss = w[place].sum()
            index[:] = 2
            with pytest.raises(RuntimeError, match="index= of getitem was changed in place"):
                loss.backward()


def test_the_outer_of_two_blocks_is_told_too() -> None:
    w, batch = parameter([1.0, 2.0]), np.array([3.0, 4.0])
    with detect_anomaly():
        loss = (w * batch).sum()
        batch[:] = 7
        with detect_anomaly(), pytest.raises(RuntimeError, match="was changed in place"):
            loss.backward()


def test_large_inputs_are_described_by_their_range() -> None:
    x = parameter(np.linspace(-1, 2, 100))
    with detect_anomaly(), pytest.raises(FloatingPointError, match=r"\(100,\) between -1 and 2"):
        np.log(x)


def test_works_as_a_decorator_and_nests() -> None:
    @detect_anomaly()
    def f(x: Tensor) -> Any:
        with detect_anomaly():
            np.exp(x)
        return np.log(x)

    assert f(parameter(1.0)).item() == 0.0
    with pytest.raises(FloatingPointError, match="log made a NaN"):
        f(parameter(-1.0))


def test_gradients_are_the_same_under_it() -> None:
    x = parameter([0.5, 2.0])
    with detect_anomaly():
        (np.tanh(x) * x).sum().backward()
    watched, x.grad = x.grad, None
    (np.tanh(x) * x).sum().backward()
    np.testing.assert_array_equal(watched, x.grad)
