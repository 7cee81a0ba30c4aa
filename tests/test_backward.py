"""The walk back: what a gradient is, whose array it is, and of which dtype."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, backpropagate


def parameter(values: Any) -> Tensor:
    return Tensor(values, requires_grad=True)


# The walk


def test_a_shared_node_reports_once_with_the_sum_of_its_consumers() -> None:
    a = parameter(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad == 4.0


def test_diamond_with_arms_of_different_length() -> None:
    x = parameter(3.0)
    y = x * x
    long_arm = ((y + 1.0) * 2.0) ** 2
    (long_arm + y).backward()
    assert x.grad == (2 * (2 * (9.0 + 1)) * 2 + 1) * 2 * 3.0


def test_order_of_creation_of_consumers_does_not_matter() -> None:
    def gradient(swap: bool) -> Any:
        x = parameter(0.5)
        shared = x * x
        parts: list[Callable[[], Any]] = [lambda: shared * 3.0, lambda: shared.sum() ** 2]
        made = [make() for make in (reversed(parts) if swap else parts)]
        (made[0] + made[1]).backward()
        return x.grad

    assert gradient(swap=False) == gradient(swap=True)


def test_a_chain_of_100_000_operations_goes_backward_and_is_freed() -> None:
    x = parameter(1.0)
    z = x
    for _ in range(100_000):
        z = z + 1.0
    z.backward()
    assert x.grad == 1.0
    del z  # the recursion limit of deallocation would show here


def test_a_second_backward_adds_the_same_gradient_again() -> None:
    x = parameter([1.0, 2.0])
    loss = (x * x).sum()
    loss.backward()
    loss.backward()
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])


def test_a_leaf_is_its_own_graph() -> None:
    x = parameter(2.0)
    x.backward()
    assert x.grad == 1.0


def test_backward_from_a_non_scalar_with_a_gradient() -> None:
    x = parameter([1.0, 2.0])
    (x * x).backward([1.0, 10.0])
    np.testing.assert_array_equal(x.grad, [2.0, 40.0])


def test_targets_can_be_inner_nodes_and_stop_the_walk() -> None:
    x = parameter(3.0)
    y = x * x
    z = y * 2.0
    found = backpropagate(z, targets=[y])
    assert list(found) == [y]
    assert found[y] == 2.0
    assert x.grad is None


def test_a_target_that_the_output_does_not_depend_on_is_missing() -> None:
    x, y = parameter(1.0), parameter(2.0)
    assert backpropagate(x, targets=[y]) == {}
    assert backpropagate(x * 2.0, targets=[y]) == {}


def test_create_graph_gives_gradients_that_can_be_differentiated_again() -> None:
    x = parameter(2.0)
    (x**3).backward(create_graph=True)
    first, x.grad = x.grad, None
    assert isinstance(first, Tensor)
    first.backward(create_graph=True)
    second, x.grad = x.grad, None
    second.backward()
    assert (first.item(), second.item(), float(x.grad)) == (12.0, 12.0, 6.0)


# Whose array a gradient is


def test_two_leaves_never_share_one_gradient_array() -> None:
    x, y = parameter([1.0, 2.0]), parameter([3.0, 4.0])
    (x + y).sum().backward()
    x.grad[0] = 99.0
    assert y.grad[0] == 1.0


def test_the_given_gradient_is_copied() -> None:
    x = parameter([1.0, 2.0])
    seed = np.array([1.0, 1.0])
    (+x).backward(seed)
    x.grad[0] = 99.0
    assert seed[0] == 1.0


def test_with_create_graph_a_gradient_is_no_alias_either() -> None:
    x, y = parameter([1.0]), parameter([2.0])
    (x + y).sum().backward(create_graph=True)
    assert x.grad is not y.grad
    assert not np.shares_memory(x.grad.data, y.grad.data)


def test_accumulation_leaves_an_array_that_someone_kept_alone() -> None:
    x = parameter([1.0])
    (x * 2.0).sum().backward()
    kept = x.grad
    (x * 2.0).sum().backward()
    assert (kept[0], x.grad[0]) == (2.0, 4.0)


def test_gradients_are_c_ordered_whatever_the_operation() -> None:
    x = parameter(np.ones((3, 4)))
    (x.T @ np.ones((3, 2))).sum().backward()
    assert x.grad.flags.c_contiguous


def test_a_parameter_owns_its_values_and_other_tensors_share_them() -> None:
    values = np.ones(3)
    assert not np.shares_memory(parameter(values).data, values)
    assert np.shares_memory(Tensor(values).data, values)


def test_rebinding_data_between_forward_and_backward_does_not_change_the_gradient() -> None:
    x = parameter(3.0)
    loss = x * x
    x.data = np.array(100.0)
    loss.backward()
    assert x.grad == 6.0


# dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_python_numbers_do_not_promote(dtype: Any) -> None:
    x = parameter(np.array([0.5, 2.0], dtype))
    expressions = [2 * x, x + 1, 1 - x, x / 3, 2.0**x, x**2, x**0.5, -x, x.sum(), x.mean(), x @ x]
    assert {z.dtype for z in expressions} == {np.dtype(dtype)}
    for z in expressions:
        x.grad = None
        z.sum().backward()
        assert x.grad.dtype == dtype


def test_a_gradient_has_its_parameters_dtype_also_when_the_result_was_promoted() -> None:
    x, y = parameter(np.ones(2, np.float32)), parameter(np.ones(2, np.float64))
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
    x.grad = y.grad = None
    (x * y).sum().backward(create_graph=True)
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)
