"""The node: recording, memory, behaviour as an object, and errors that say what to do."""

import copy
import gc
import pickle
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import optim
from minigrad import Tensor, backpropagate, enable_grad, no_grad, primitives


def parameter(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


# Recording


def test_no_grad_records_nothing_and_nests() -> None:
    x = parameter(1.0)
    with no_grad():
        assert not (x * 2.0).requires_grad
        with enable_grad():
            assert (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_no_grad_as_a_decorator_also_when_the_function_raises() -> None:
    x = parameter(1.0)

    @no_grad()
    def evaluate(fail: bool) -> Tensor:
        if fail:
            raise KeyError
        return x * 2.0

    assert not evaluate(False).requires_grad
    with pytest.raises(KeyError):
        evaluate(True)
    assert (x * 2.0).requires_grad


def test_no_grad_in_one_thread_leaves_another_recording() -> None:
    x = parameter(1.0)
    inside, done = threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        inside.wait(10)
        seen.append((x * 2.0).requires_grad)
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with no_grad():
        inside.set()
        done.wait(10)
    thread.join()
    assert seen == [True]


def test_a_decorated_function_may_overlap_with_itself() -> None:
    x = parameter(1.0)

    @no_grad()
    def down(n: int) -> None:
        assert not (x * 2.0).requires_grad
        if n:
            down(n - 1)
            assert not (x * 2.0).requires_grad

    down(3)
    assert (x * 2.0).requires_grad


def test_a_decorated_function_in_two_threads_leaves_each_thread_as_it_was() -> None:
    x = parameter(1.0)
    inside = {name: threading.Event() for name in ("first", "second")}
    first_left = threading.Event()
    recording = {}

    @no_grad()
    def overlap(name: str) -> None:
        inside[name].set()
        assert (inside["second"] if name == "first" else first_left).wait(10)

    def first() -> None:
        overlap("first")
        recording["first"] = (x * 2.0).requires_grad
        first_left.set()

    def second() -> None:
        assert inside["first"].wait(10)
        with no_grad():
            overlap("second")
            recording["second"] = (x * 2.0).requires_grad

    threads = [threading.Thread(target=run) for run in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recording == {"first": True, "second": False}


def test_one_no_grad_object_can_be_entered_again() -> None:
    x, off = parameter(1.0), no_grad()
    with off:
        with off:
            pass
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_detach_shares_values_and_stops_the_gradient() -> None:
    w = parameter([3.0])
    constant = w.detach()
    assert np.shares_memory(constant.data, w.data)
    (w * constant).sum().backward()
    np.testing.assert_array_equal(w.grad, [3.0])


def test_constants_get_no_gradient() -> None:
    x, constant = parameter(2.0), Tensor(3.0)
    (x * constant).backward()
    assert constant.grad is None


# Memory


@pytest.mark.parametrize("create_graph", [False, True])
def test_without_the_collector_a_graph_is_gone_when_its_loss_is(create_graph: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        x = parameter(np.ones(3))
        inner: Any = np.exp(x * 2.0)
        loss = (inner @ inner).sum()
        loss.backward(create_graph=create_graph)
        nodes = [weakref.ref(inner), weakref.ref(loss), weakref.ref(inner.parents[0])]
        x.grad = None
        del inner, loss
        assert [node() for node in nodes] == [None, None, None]
    finally:
        gc.enable()


# Behaviour of the object


def test_identity_makes_tensors_usable_as_keys() -> None:
    x, y = Tensor(1.0), Tensor(1.0)
    assert len({x: 1, y: 2}) == 2
    assert x != y


def test_comparisons_give_plain_boolean_arrays() -> None:
    x = parameter([1.0, 2.0, 3.0])
    for result, expected in (
        (x > 2.0, [False, False, True]),
        (x >= Tensor([2.0, 2.0, 2.0]), [False, True, True]),
        (np.float64(2.0) > x, [True, False, False]),
        (x <= 1, [True, False, False]),
        (np.equal(x, [1.0, 0.0, 3.0]), [True, False, True]),
    ):
        assert type(result) is np.ndarray
        assert result.tolist() == expected


def test_repr_shows_the_values_and_how_they_came_about() -> None:
    x = parameter([1.0, 2.0])
    assert repr(x) == "Tensor([1., 2.], requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], op=multiply)"
    assert repr(Tensor([1.0])) == "Tensor([1.])"


def test_numbers_can_be_taken_out_and_formatted() -> None:
    x = parameter(0.24349)
    assert f"{x * 1:.3f}" == "0.243"
    assert float(x) == x.item() == 0.24349
    assert f"{Tensor([1.0])}" == "Tensor([1.])"


def test_iteration_and_length_follow_the_first_axis() -> None:
    x = parameter([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    assert len(x) == 2
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3.0, 4.0], [1.0, 2.0]])


def test_a_leaf_can_be_copied_and_pickled_and_a_graph_cannot() -> None:
    x = parameter([1.0])
    for twin in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert twin.requires_grad
        assert not np.shares_memory(twin.data, x.data)
    with pytest.raises(TypeError, match="detach"):
        copy.deepcopy(x * 2)


# Errors say what to do


def test_error_an_operation_whose_result_has_no_gradient() -> None:
    with pytest.raises(TypeError, match="whole numbers have no gradient"):
        parameter(1.0).astype(np.int64)
    with pytest.raises(TypeError, match="dtype int64, which astype computed"):
        primitives.astype(parameter(1.0), dtype=np.int64).backward()
    with pytest.raises(TypeError, match="dtype complex128, which multiply computed"):
        (parameter(1.0) * 1j).backward()
    with pytest.raises(TypeError, match="gradient of dtype float64 for values of dtype int64"):
        (primitives.astype(parameter(1.0), dtype=np.int64) * 0.5).backward()


def test_error_new_values_between_forward_and_a_recorded_backward() -> None:
    x = parameter(2.0)
    z = x * x
    x.data = np.array(5.0)
    with pytest.raises(RuntimeError, match="got a new array of shape"):
        z.backward(create_graph=True)
    assert x.grad is None
    z.backward()  # on bare arrays it computes with the old values, which are still there
    assert x.grad == 4.0


def test_error_a_parameter_changed_in_place_between_forward_and_backward() -> None:
    w, x = parameter([1.0, 2.0]), Tensor([3.0, 4.0])
    for changed in (w, x):
        loss = (w * x).sum()
        changed.data -= 0.5
        with pytest.raises(RuntimeError, match=r"multiply, of shape \(2,\), was changed"):
            loss.backward()
        assert w.grad is None
    (w * x).sum().backward()
    np.testing.assert_array_equal(w.grad, x.data)


def test_error_backward_again_after_an_optimizers_step() -> None:
    w = parameter([1.0, 2.0])
    optimizer = optim.Adam([w])
    loss = (w * w).sum()
    loss.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="run backward before an optimizer's step"):
        loss.backward()


def test_the_values_of_a_result_cannot_be_written_to() -> None:
    x = parameter([1.0, 2.0])
    y: Any = np.exp(x)
    for array in (y.data, y.detach().data, x.detach().data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5.0
    with pytest.raises(TypeError, match="that exp computed cannot be set"):
        y.data = np.zeros(2)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_a_leaf_with_a_new_array_is_still_found_as_a_target() -> None:
    w = parameter(2.0)
    y = w * 3
    w.data = np.array(5.0)
    z = y * y + w
    assert backpropagate(z, targets=[w])[w] == 37.0


def test_error_a_change_in_place_is_not_forgotten_when_a_new_array_follows() -> None:
    w = parameter([3.0])
    y = (w * w).sum()
    w.data -= 1
    w.data = w.data.copy()
    with pytest.raises(RuntimeError, match="after the forward pass"):
        y.backward()


@pytest.mark.parametrize("size", [1, 4])
def test_error_a_new_array_of_another_shape(size: int) -> None:
    w = parameter(np.ones(3))
    y = (w * w).sum()
    w.data = np.ones(size)
    with pytest.raises(RuntimeError, match=rf"got a new array of shape \({size},\)"):
        y.backward()
    assert w.grad is None


def test_a_view_of_a_parameter_without_a_graph_cannot_be_written_to() -> None:
    w = parameter([1.0, 2.0])
    with no_grad():
        view, product = w.reshape(2, 1), w * 1.0
    with pytest.raises(ValueError, match="read-only"):
        view.data -= 1
    product.data -= 1
    assert w.data.tolist() == [1.0, 2.0]


def test_contains_looks_at_the_values() -> None:
    assert 2.0 in Tensor([1.0, 2.0])
    assert 3.0 not in parameter([1.0, 2.0])


@pytest.mark.parametrize("values", [[1, 2], "two", [1j]])
def test_error_data_set_to_values_without_gradient(values: Any) -> None:
    w = parameter([1.0, 2.0])
    with pytest.raises(TypeError, match="floating-point numbers, for its gradient"):
        w.data = values
    assert w.data.tolist() == [1.0, 2.0]


def test_the_given_gradient_takes_the_outputs_dtype() -> None:
    x = parameter(np.ones(2, np.float32))
    (+x).backward(Tensor([1, 2]))
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [1.0, 2.0]


def test_error_backward_of_a_non_scalar() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\) needs gradient=.*\.sum\(\)"):
        (parameter([1.0, 2.0]) * 2).backward()


def test_error_gradient_of_another_shape() -> None:
    x = parameter([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(2,\) was given a gradient of shape \(3,\)"):
        (x * 2).backward(np.ones(3))
    assert x.grad is None


def test_error_backward_without_a_graph() -> None:
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        Tensor(1.0).backward()


@pytest.mark.parametrize("values", [3, [1, 2], True, np.arange(3)])
def test_error_requires_grad_on_integers(values: Any) -> None:
    with pytest.raises(TypeError, match=r"floating-point.*3\.0 for 3"):
        parameter(values)


@pytest.mark.parametrize("values", ["text", 1j, [None]])
def test_error_values_that_are_no_real_numbers(values: Any) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        Tensor(values)


def test_error_tensor_of_a_tensor() -> None:
    with pytest.raises(TypeError, match="detach"):
        Tensor(Tensor(1.0))


def test_error_item_assignment_and_in_place_operators() -> None:
    x = parameter([1.0, 2.0])
    with pytest.raises(TypeError, match=r"t\.data"):
        x[0] = 3.0
    with pytest.raises(TypeError, match=r"t = t \+ u"):
        x += 1.0
    with pytest.raises(TypeError, match=r"t = t \+ u"):
        x @= 1.0
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


def test_error_matmul_names_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"matmul of shape \(2, 3\) and \(4, 1\): the last axis"):
        parameter(np.ones((2, 3))) @ np.ones((4, 1))


def test_error_matmul_with_a_number() -> None:
    with pytest.raises(ValueError, match=r"matmul of shape \(2,\) and \(\)"):
        parameter([1.0, 2.0]) @ 3.0


def test_error_broadcast_names_operation_and_shapes() -> None:
    with pytest.raises(ValueError, match=r"add of shape \(2,\) and \(3,\)"):
        parameter([1.0, 2.0]) + np.ones(3)


def test_error_item_of_several_elements() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        parameter([1.0, 2.0]).item()


def test_error_bare_array_of_a_tensor_in_a_graph() -> None:
    with pytest.raises(TypeError, match=r"t\.data"):
        np.asarray(parameter([1.0]))
    assert np.asarray(Tensor([1.0])).tolist() == [1.0]
