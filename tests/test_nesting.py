"""Transforms inside transforms, and at Tensors that have a graph already."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, vjp

A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, -2.0], [1.5, 0.7, -0.4]])
X = np.array([0.3, -1.2, 0.8])
V = np.array([1.0, 0.25, -2.0])


def quadratic(x: Any) -> Any:
    return x @ (A @ x)


def matrix(x: Any) -> Any:
    return A @ np.tanh(A @ x) + x * x.sum()


def test_perturbations_are_not_confused() -> None:
    """d/dx [x · d/dy (x + y)] = 1; a tangent of y mistaken for one of x gives 2."""

    def inner_jvp(x: Any) -> Any:
        return x * jvp(lambda y: x + y, x, 1.0)[1]

    def inner_vjp(x: Any) -> Any:
        return x * vjp(lambda y: x + y, x)[1](1.0)[0]

    def inner_jacobian(x: Any) -> Any:
        return x * jacobian(lambda y: x + y)(x)

    for f in (inner_jvp, inner_vjp, inner_jacobian):
        assert float(grad(f)(3.0)) == 1.0
        assert float(jvp(f, 3.0, 1.0)[1]) == 1.0
        assert float(jacobian(f)(3.0)) == 1.0


@pytest.mark.parametrize(
    "derivative",
    [
        grad,
        lambda f: lambda x: jvp(f, x, 1.0)[1],
        lambda f: lambda x: vjp(f, x)[1](1.0)[0],
        jacobian,
    ],
    ids=["grad", "jvp", "vjp", "jacobian"],
)
def test_every_first_derivative_nests_with_every_other_to_third_order(derivative: Any) -> None:
    forward: Any = lambda f: lambda x: jvp(f, x, 1.0)[1]  # noqa: E731
    for second in (grad, forward, jacobian):
        for third in (grad, forward, jacobian):
            assert float(derivative(second(third(lambda x: x**5)))(2.0)) == 60 * 2.0**2


def test_grad_through_jvp_is_the_hessian_times_the_tangent() -> None:
    product = grad(lambda x: jvp(quadratic, x, V)[1])(X)
    np.testing.assert_allclose(product, (A + A.T) @ V, rtol=1e-14)


def test_grad_of_a_jvp_with_respect_to_its_tangent() -> None:
    """∂⟨c, J v⟩/∂v = Jᵀ c, and J v is not itself in the way of a second derivative."""
    result = grad(lambda v: (jvp(matrix, X, v)[1] * V).sum())(X)
    np.testing.assert_allclose(result, jacobian(matrix)(X).T @ V, rtol=1e-13)
    second = grad(lambda v: (jvp(matrix, X, v)[1] ** 2).sum())(V)
    J = jacobian(matrix)(X)
    np.testing.assert_allclose(second, 2 * J.T @ (J @ V), rtol=1e-13)


def test_hessian_of_a_function_with_a_gradient_inside() -> None:
    """f(x) = ½|∇q|² with q = xᵀAx has the Hessian (A + Aᵀ)²."""
    symmetric = A + A.T
    f: Any = lambda x: (grad(quadratic)(x) ** 2).sum() / 2  # noqa: E731
    np.testing.assert_allclose(hessian(f)(X), symmetric @ symmetric, rtol=1e-13)
    np.testing.assert_allclose(hvp(f, X, V), symmetric @ (symmetric @ V), rtol=1e-13)


def test_grad_of_a_hessian_and_of_an_hvp() -> None:
    """For f = Σ x⁴: H = diag 12x², and its derivative 24x."""
    f: Any = lambda x: (x**4).sum()  # noqa: E731
    np.testing.assert_allclose(grad(lambda x: hessian(f)(x).sum())(X), 24 * X, rtol=1e-14)
    np.testing.assert_allclose(grad(lambda x: hvp(f, x, V).sum())(X), 24 * X * V, rtol=1e-14)
    third = jacobian(hessian(f))(X)
    expected = np.zeros((3, 3, 3))
    expected[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = 24 * X
    np.testing.assert_allclose(third, expected, rtol=1e-14)


def test_results_for_a_tensor_in_a_graph_stay_in_that_graph() -> None:
    """Each is 3w², whose derivative at 2 is 12."""
    cube: Any = lambda x: x**3  # noqa: E731
    derivatives: list[Any] = [
        lambda w: jvp(cube, w, 1.0)[1],
        lambda w: vjp(cube, w)[1](1.0)[0],
        jacobian(cube),
        lambda w: hvp(lambda x: x**4 / 4, w, 1.0),
        hessian(lambda x: x**4 / 4),
    ]
    for derivative in derivatives:
        w = Tensor(2.0, requires_grad=True)
        result = derivative(w)
        result.backward()
        assert float(result) == 12.0
        assert w.grad == 12.0


def test_values_for_a_tensor_in_a_graph_stay_in_that_graph() -> None:
    w = Tensor(2.0, requires_grad=True)
    for value in (vjp(lambda x: x**3, w)[0], jvp(lambda x: x**3, w, 1.0)[0]):
        w.grad = None
        value.backward()
        assert w.grad == 12.0


def test_a_tangent_or_cotangent_in_a_graph_keeps_the_result_in_it() -> None:
    v = Tensor(2.0, requires_grad=True)
    for result in (
        jvp(lambda x: x**3, 2.0, v)[1],
        vjp(lambda x: x**3, 2.0)[1](v)[0],
        hvp(lambda x: x**4 / 4, 2.0, v),
    ):
        v.grad = None
        result.backward()
        assert v.grad == 12.0


def test_a_pullback_from_outside_works_inside_a_transform() -> None:
    _, pullback = vjp(lambda x: x**3, 2.0)
    assert float(grad(lambda u: pullback(u)[0] ** 2)(5.0)) == 2 * 60.0 * 12.0


def test_no_grad_makes_derivatives_inside_it_constant() -> None:
    def f(x: Any) -> Any:
        with no_grad():
            slope = jvp(lambda y: y**3, x, 1.0)[1]
            _, pullback = vjp(lambda y: y**3, x)
        assert type(slope) is np.ndarray
        return x * slope + x * pullback(1.0)[0]

    assert float(grad(f)(2.0)) == 24.0


def test_transforms_work_under_no_grad() -> None:
    with no_grad():
        _, pullback = vjp(quadratic, X)
        results = [
            pullback(1.0)[0] @ V, jvp(quadratic, X, V)[1], jacobian(quadratic)(X) @ V
        ]  # fmt: skip
        np.testing.assert_allclose(hessian(quadratic)(X), A + A.T, rtol=1e-14)
        np.testing.assert_allclose(hvp(quadratic, X, V), (A + A.T) @ V, rtol=1e-14)
    for result in results:
        assert not isinstance(result, Tensor)
        np.testing.assert_allclose(result, X @ (A + A.T) @ V, rtol=1e-14)
