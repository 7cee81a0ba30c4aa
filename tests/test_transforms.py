"""Functions in, derivatives out."""

from typing import Any

import numpy as np
import pytest

from minigrad import GradientError, Tensor, check_gradients, grad, nn, no_grad, value_and_grad
from minigrad.primitive import Primitive


def test_grad_of_an_array_function_gives_an_array() -> None:
    result = grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, [2.0, 4.0])


def test_value_and_grad_with_several_arguments() -> None:
    value, (gx, gy) = value_and_grad(lambda x, y: x * y**2, argnums=(0, 1))(3.0, 2.0)
    assert (float(value), float(gx), float(gy)) == (12.0, 4.0, 12.0)
    assert float(grad(lambda x, y: x * y**2, argnums=-1)(3.0, 2.0)) == 12.0


def test_one_array_as_two_arguments_is_two_variables() -> None:
    x = np.array(3.0)
    gx, gy = grad(lambda a, b: a * b**2, argnums=(0, 1))(x, x)
    assert (float(gx), float(gy)) == (9.0, 18.0)
    t = Tensor(3.0, requires_grad=True)
    gx, gy = grad(lambda a, b: a * b**2, argnums=(0, 1))(t, t)
    assert (float(gx), float(gy)) == (9.0, 18.0)


def test_grad_nests_to_any_order() -> None:
    f: Any = lambda x: x**5  # noqa: E731
    expected = [5.0, 20.0, 60.0, 120.0, 120.0, 0.0]
    for value in expected:
        f = grad(f)
        assert float(f(1.0)) == value


def test_inner_and_outer_variable_are_not_confused() -> None:
    """d/dx [x · d/dy (x + y)] = 1; a mistake known as perturbation confusion gives 2."""
    assert float(grad(lambda x: x * grad(lambda y: x + y)(x))(1.0)) == 1.0
    assert float(grad(lambda x: x * grad(lambda y: x * y)(x))(3.0)) == 6.0


def test_an_inner_grad_that_only_closes_over_the_outer_variable() -> None:
    assert float(grad(lambda y: grad(lambda x: x * y * y)(3.0))(2.0)) == 4.0


def test_an_argument_that_is_not_used_has_gradient_zero() -> None:
    gx, gy = grad(lambda x, y: x * 2.0, argnums=(0, 1))(1.0, np.ones(3))
    assert float(gx) == 2.0
    np.testing.assert_array_equal(gy, np.zeros(3))
    assert float(grad(grad(lambda x: 2.0 * x))(1.0)) == 0.0


def test_grad_leaves_the_grad_of_other_tensors_alone() -> None:
    net = nn.Linear(3, 1, rng=np.random.default_rng(0))
    result = grad(lambda x: net(x).sum())(np.ones(3))
    np.testing.assert_array_equal(result, net.weight.data[:, 0])
    assert net.weight.grad is None


def test_no_grad_inside_a_function_makes_an_inner_gradient_constant() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            slope = grad(lambda y: y**3)(x)
        assert type(slope) is np.ndarray
        return x * slope

    assert float(grad(f)(2.0)) == 12.0


def test_the_gradient_at_a_tensor_in_a_graph_stays_in_that_graph() -> None:
    w = Tensor(2.0, requires_grad=True)
    (grad(lambda x: x**3)(w) * w).backward()
    assert w.grad == 36.0  # d/dw 3w² w


def test_an_inner_grad_costs_no_walk_through_what_came_before() -> None:
    visits = []

    def vjp(g: Any, z: Any, x: Any) -> Any:
        visits.append(x)
        return g

    noisy = Primitive(lambda x: x * 1.0, vjp, name="noisy")

    def f(h: Any) -> Any:
        total = 0.0
        for _ in range(16):
            h = noisy(h)
            total = total + grad(lambda y: y * h)(1.0)  # noqa: B023
        return total

    grad(f)(1.0)
    assert len(visits) == 16


def test_the_gradient_of_the_identity_is_one() -> None:
    assert float(grad(lambda x: x)(2.0)) == 1.0
    assert float(grad(lambda x, y: x, argnums=1)(2.0, 3.0)) == 0.0


def test_other_parameters_count_as_constants() -> None:
    w = Tensor(2.0, requires_grad=True)
    assert float(grad(lambda x: x * w)(5.0)) == 2.0
    assert w.grad is None


def test_a_nested_value_stays_in_the_graph() -> None:
    def f(x: Any) -> Any:
        value, slope = value_and_grad(lambda y: y**3)(x)
        return value * slope  # x³ · 3x²

    assert float(grad(f)(2.0)) == 15 * 2.0**4


def test_grad_works_under_no_grad() -> None:
    with no_grad():
        assert float(grad(lambda x: x * x)(3.0)) == 6.0


def test_gradient_keeps_float32() -> None:
    assert grad(lambda x: (x * x).sum())(np.ones(2, np.float32)).dtype == np.float32


def test_auxiliary_results_are_handed_through_as_plain_arrays() -> None:
    label = object()

    def f(x: Any) -> Any:
        h = x * x
        return h.sum(), {"h": h, "label": label, "none": None, "pair": (h[0], 3)}

    x = np.array([1.0, 2.0])
    (value, auxiliary), gradient = value_and_grad(f, has_aux=True)(x)
    assert value == 5.0
    np.testing.assert_array_equal(gradient, 2 * x)
    assert type(auxiliary["h"]) is np.ndarray
    np.testing.assert_array_equal(auxiliary["h"], [1.0, 4.0])
    assert auxiliary["label"] is label
    assert auxiliary["none"] is None
    assert type(auxiliary["pair"][0]) is np.ndarray
    assert auxiliary["pair"] == (1.0, 3)
    gradient, auxiliary = grad(f, has_aux=True)(x)
    np.testing.assert_array_equal(gradient, 2 * x)
    np.testing.assert_array_equal(auxiliary["h"], [1.0, 4.0])


def test_an_auxiliary_array_is_no_alias_of_a_parameter() -> None:
    w = Tensor(np.ones(2), requires_grad=True)
    _, auxiliary = grad(lambda x: ((x * w).sum(), w), has_aux=True)(np.ones(2))
    w.data += 1.0
    np.testing.assert_array_equal(auxiliary, [1.0, 1.0])


def test_nested_auxiliary_results_stay_in_the_graph() -> None:
    def f(x: Any) -> Any:
        slope, square = grad(lambda y: (y**3, y * y), has_aux=True)(x)
        return slope * square  # 3x² · x²

    assert float(grad(f)(2.0)) == 12 * 2.0**3


def test_error_auxiliary_results_that_do_not_come_as_a_pair() -> None:
    for result in (1.0, (1.0,), [1.0, 2.0], (1.0, 2.0, 3.0)):
        with pytest.raises(TypeError, match="a pair"):
            grad(lambda x, result=result: result, has_aux=True)(1.0)
    with pytest.raises(TypeError, match="has_aux=True"):
        grad(lambda x: (x, x))(1.0)


def test_error_integer_argument() -> None:
    with pytest.raises(TypeError, match=r"argument 0 is an integer number.* floating-point"):
        grad(lambda x: x * x)(3)
    with pytest.raises(TypeError, match=r"argument 1 is an integer array.* floating-point"):
        grad(lambda x, y: (x * y).sum(), argnums=-1)(2.0, np.arange(3))


@pytest.mark.parametrize(
    ("argument", "named"),
    [(True, "boolean number"), (1j, "complex"), ("a", "str"), ({1.0}, "set"), (abs, "builtin")],
)
def test_error_argument_that_has_no_derivative(argument: Any, named: str) -> None:
    def fail(x: Any) -> Any:
        raise AssertionError("f has run")

    with pytest.raises(TypeError, match=f"argument 0 is a {named}"):
        grad(fail)(argument)


def test_error_a_module_is_no_argument() -> None:
    net = nn.Linear(3, 1, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"argument 0\['net'\] is a Linear.* pass its parameters"):
        grad(lambda p: p["net"](np.ones(3)).sum())({"net": net})


def test_error_function_that_does_not_return_one_number() -> None:
    with pytest.raises(ValueError, match=r"returned shape \(2,\)"):
        grad(lambda x: x * 2.0)(np.ones(2))


def test_error_function_that_returns_no_number() -> None:
    with pytest.raises(TypeError, match="returned a tuple"):
        grad(lambda x: (x, x))(1.0)


def test_error_argument_named_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0)


def test_error_argument_that_was_not_given() -> None:
    with pytest.raises(ValueError, match=r"argnums=1: .* 1 positional"):
        grad(lambda x: x, argnums=1)(2.0)


def test_after_an_exception_in_f_results_are_plain_arrays_again() -> None:
    def fail(x: Any) -> Any:
        raise KeyError

    with pytest.raises(KeyError):
        grad(fail)(1.0)
    assert type(grad(lambda x: x * x)(1.0)) is np.ndarray


# The check itself


def test_the_check_names_order_input_element_and_values() -> None:
    with pytest.raises(GradientError, match=r"order 1, input 1, element \(1,\).*gradient is .*num"):
        check_gradients(lambda x, y: x * y.detach(), [0.0, 1.0], [1.0, 2.0])


def test_the_check_sees_two_elements_swapped() -> None:
    def swapped(x: Any) -> Any:  # the value of x, the gradient of x reversed
        return x[::-1] - x[::-1].detach() + x.detach()

    with pytest.raises(GradientError):
        check_gradients(swapped, [1.0, 2.0], order=1)


def test_the_check_finds_an_error_of_one_in_a_million() -> None:
    with pytest.raises(GradientError):
        check_gradients(lambda x: x * 1.000001 - x.detach() * 1e-6, [1.0], order=1)


def test_errors_of_the_check_itself() -> None:
    with pytest.raises(ValueError, match="at least one input"):
        check_gradients(lambda: 1.0)
    with pytest.raises(ValueError, match="order=0"):
        check_gradients(np.exp, 1.0, order=0)
