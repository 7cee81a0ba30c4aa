"""vjp, jvp, jacobian, hessian and hvp: closed forms, identities, types, errors."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from minigrad.gradcheck import STEP
from minigrad.primitive import Primitive

A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, -2.0], [1.5, 0.7, -0.4]])
X = np.array([0.3, -1.2, 0.8])
V = np.array([1.0, 0.25, -2.0])

# Vector functions of a vector: elementwise, with every output depending on every input, with
# another shape, and through indices that repeat.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "elementwise": lambda x: np.exp(np.tanh(x)) * x,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "matrix": lambda x: A @ np.tanh(A @ x) + x * x.sum(),
    "outer": lambda x: x.reshape(3, 1) * np.exp(x),
    "indexed": lambda x: x[np.array([0, 0, 2, 1, 0])] ** 2,
    "linear": lambda x: A @ x,
}
each_function = pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())


def quadratic(x: Any) -> Any:
    return x @ (A @ x)


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


# Closed forms


def test_derivatives_of_a_quadratic_form() -> None:
    symmetric = A + A.T
    np.testing.assert_allclose(grad(quadratic)(X), symmetric @ X, rtol=1e-14)
    np.testing.assert_allclose(hessian(quadratic)(X), symmetric, rtol=1e-14)
    np.testing.assert_allclose(hvp(quadratic, X, V), symmetric @ V, rtol=1e-14)


def test_hessian_of_rosenbrocks_function() -> None:
    a, b = 0.7, -0.4
    expected = [[1200 * a**2 - 400 * b + 2, -400 * a], [-400 * a, 200]]
    np.testing.assert_allclose(hessian(rosenbrock)(np.array([a, b])), expected, rtol=1e-14)


def test_jacobian_of_softmax() -> None:
    s = np.exp(X) / np.exp(X).sum()
    np.testing.assert_allclose(
        jacobian(FUNCTIONS["softmax"])(X), np.diag(s) - np.outer(s, s), rtol=1e-14, atol=1e-16
    )


def test_jacobian_of_a_linear_map_is_its_matrix() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: A @ x)(X), A)
    np.testing.assert_array_equal(jvp(lambda x: A @ x, X, V)[1], A @ V)
    np.testing.assert_array_equal(vjp(lambda x: A @ x, X)[1](V)[0], A.T @ V)


def test_jacobian_has_the_results_shape_then_the_arguments() -> None:
    """∂(xy)ᵢⱼ/∂xₖₗ = δᵢₖ yₗⱼ: every index in its place, with lengths that differ."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
    by_x, by_y = jacobian(lambda x, y: x @ y, argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(by_x, np.einsum("ik,lj->ijkl", np.eye(2), y))
    np.testing.assert_array_equal(by_y, np.einsum("ik,jl->ijkl", x, np.eye(4)))


def test_hessian_of_a_matrix_argument_has_its_shape_twice() -> None:
    x = np.arange(6.0).reshape(2, 3)
    expected = np.zeros((2, 3, 2, 3))
    for i, j in np.ndindex(2, 3):
        expected[i, j, i, j] = 6 * x[i, j]
    np.testing.assert_allclose(hessian(lambda x: (x**3).sum())(x), expected, rtol=1e-15)


def test_hessian_blocks_of_two_arguments() -> None:
    """f = xᵀ A y: the blocks are 0, A; Aᵀ, 0."""
    blocks = hessian(lambda x, y: x @ (A @ y), argnums=(0, 1))(X, V)
    expected = ((np.zeros((3, 3)), A), (A.T, np.zeros((3, 3))))
    for row, expected_row in zip(blocks, expected, strict=True):
        for block, expected_block in zip(row, expected_row, strict=True):
            np.testing.assert_array_equal(block, expected_block)


# Identities


def directional(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """J v by the five-point stencil along v."""

    def along(h: float) -> Any:
        return f(Tensor(x + h * v)).data

    near = (along(STEP) - along(-STEP)) / (2 * STEP)
    far = (along(2 * STEP) - along(-2 * STEP)) / (4 * STEP)
    return (4 * near - far) / 3


@each_function
def test_jvp_is_the_numerical_derivative_along_the_tangent(f: Callable[..., Any]) -> None:
    value, tangent = jvp(f, X, V)
    np.testing.assert_array_equal(value, f(X))
    np.testing.assert_allclose(tangent, directional(f, X, V), rtol=1e-10, atol=1e-10)


@each_function
def test_jvp_is_the_jacobian_times_the_tangent(f: Callable[..., Any]) -> None:
    tangent = jvp(f, X, V)[1]
    np.testing.assert_allclose(tangent, jacobian(f)(X) @ V, rtol=1e-13, atol=1e-14)


@each_function
def test_jvp_and_vjp_are_transposes(f: Callable[..., Any]) -> None:
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩."""
    value, pullback = vjp(f, X)
    u = np.cos(np.arange(value.size)).reshape(value.shape)
    (x_bar,) = pullback(u)
    np.testing.assert_allclose(np.vdot(u, jvp(f, X, V)[1]), np.vdot(x_bar, V), rtol=1e-13)


@each_function
def test_hessians_are_symmetric_and_hvp_multiplies_by_them(f: Callable[..., Any]) -> None:
    def loss(x: Any) -> Any:
        return np.tanh(f(x)).sum() ** 2

    h = hessian(loss)(X)
    np.testing.assert_allclose(h, h.T, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(hvp(loss, X, V), h @ V, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(jvp(grad(loss), X, V)[1], h @ V, rtol=1e-12, atol=1e-12)
    slope = directional(lambda x: Tensor(grad(loss)(x.data)), X, V)
    np.testing.assert_allclose(h @ V, slope, rtol=1e-9, atol=1e-9)


def test_hvp_runs_f_once_and_walks_back_a_fixed_number_of_times() -> None:
    forwards, visits = [], []

    def vjp_of_cube(g: Any, z: Any, x: Any) -> Any:
        visits.append(x)
        return g * 3 * x**2

    cube = Primitive(lambda x: x**3, vjp_of_cube, name="cube")

    def f(x: Any) -> Any:
        forwards.append(x)
        return cube(x).sum()

    x = np.arange(1.0, 51.0)
    np.testing.assert_array_equal(hvp(f, x, np.ones(50)), 6 * x)
    assert len(forwards) == 1
    assert len(visits) == 1


def test_jacobian_runs_f_once() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x)
        return x**2

    np.testing.assert_array_equal(jacobian(f)(X), np.diag(2 * X))
    assert len(calls) == 1


def test_jacobian_needs_little_more_memory_than_its_result() -> None:
    x = np.ones(1000)
    jacobian(np.tanh)(x[:2])
    tracemalloc.start()
    try:
        result = jacobian(np.tanh)(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.1 * result.nbytes


# Types, shapes, and constants


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_have_the_arguments_dtype(dtype: Any) -> None:
    x = X.astype(dtype)
    value, tangent = jvp(np.exp, x, x)
    found = [value, tangent, jacobian(np.exp)(x), hessian(lambda x: (x**2).sum())(x)]
    found += [hvp(lambda x: (x**2).sum(), x, x), *vjp(np.exp, x)[1](x)]
    for array in found:
        assert type(array) is np.ndarray
        assert array.dtype == dtype


def test_arguments_of_two_dtypes_each_keep_their_own() -> None:
    x, y = X.astype(np.float32), V
    x_bar, y_bar = vjp(lambda x, y: x * y, x, y)[1](np.ones(3))
    assert (x_bar.dtype, y_bar.dtype) == (np.float32, np.float64)
    value, tangent = jvp(lambda x, y: (x * y, x * 2.0), (x, y), (x, y))
    assert [z.dtype for z in value] == [z.dtype for z in tangent] == [np.float64, np.float32]
    by_x, by_y = jacobian(lambda x, y: x * y, argnums=(0, 1))(x, y)
    assert (by_x.dtype, by_y.dtype) == (np.float32, np.float64)


def test_scalars_give_arrays_without_axes() -> None:
    value, tangent = jvp(np.exp, 0.0, 2.0)
    second = hessian(np.exp)(0.0)
    for result, expected in ((value, 1.0), (tangent, 2.0), (second, 1.0)):
        assert type(result) is np.ndarray
        assert result.shape == ()
        assert result == expected


def test_empty_arrays() -> None:
    x = np.zeros((0, 2))
    value, tangent = jvp(lambda x: x * 2.0, x, x)
    assert value.shape == tangent.shape == (0, 2)
    assert jacobian(lambda x: x * 2.0)(x).shape == (0, 2, 0, 2)
    assert jacobian(lambda x: x.sum(axis=0))(x).shape == (2, 0, 2)
    assert jacobian(lambda y: y.reshape(3, 1) * np.zeros((1, 0)))(X).shape == (3, 0, 3)
    assert hessian(lambda x: (x * x).sum())(x).shape == (0, 2, 0, 2)
    assert hvp(lambda x: (x * x).sum(), x, x).shape == (0, 2)
    nested = grad(lambda y: jacobian(lambda x: x * y)(x).sum() + y)(3.0)
    assert float(nested) == 1.0


def test_a_function_that_ignores_its_argument_has_derivative_zero() -> None:
    for f in (lambda x: np.array([1.0, 2.0]), lambda x: Tensor([1.0, 2.0])):
        value, tangent = jvp(f, X, V)
        np.testing.assert_array_equal(value, [1.0, 2.0])
        np.testing.assert_array_equal(tangent, [0.0, 0.0])
        np.testing.assert_array_equal(vjp(f, X)[1](np.ones(2))[0], np.zeros(3))
        np.testing.assert_array_equal(jacobian(f)(X), np.zeros((2, 3)))
    np.testing.assert_array_equal(hessian(lambda x: 3.0)(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(hessian(lambda x: x.sum())(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(hvp(lambda x: x.sum(), X, V), np.zeros(3))
    w = Tensor(2.0, requires_grad=True)
    np.testing.assert_array_equal(jacobian(lambda x: w)(X), np.zeros(3))
    np.testing.assert_array_equal(vjp(lambda x: w * 2.0, X)[1](1.0)[0], np.zeros(3))
    assert w.grad is None


def test_a_nested_derivative_of_a_constant_is_zero_too() -> None:
    assert float(grad(lambda x: x * jacobian(lambda y: 3.0)(x))(2.0)) == 0.0
    assert float(grad(lambda x: x * jvp(lambda y: 3.0, x, 1.0)[1])(2.0)) == 0.0


def test_the_identity() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: x)(X), np.eye(3))
    np.testing.assert_array_equal(jvp(lambda x: x, X, V)[1], V)
    (x_bar,) = vjp(lambda x: (x, 2.0 * x), X)[1]((V, V))
    np.testing.assert_array_equal(x_bar, 3 * V)


def test_argnums_choose_and_count_from_the_end() -> None:
    f: Any = lambda x, y, scale=1.0: scale * x * y  # noqa: E731
    np.testing.assert_array_equal(jacobian(f, argnums=-1)(X, V), np.diag(X))
    np.testing.assert_array_equal(jacobian(f)(X, V, scale=2.0), np.diag(2 * V))
    by_y, by_x = jacobian(f, argnums=(-1, 0))(X, V)
    np.testing.assert_array_equal(by_y, np.diag(X))
    np.testing.assert_array_equal(by_x, np.diag(V))
    (only,) = jacobian(f, argnums=(0,))(X, V)
    np.testing.assert_array_equal(only, np.diag(V))
    second = hessian(lambda x, y: (x * y**2).sum(), argnums=-1)(X, V)
    np.testing.assert_array_equal(second, np.diag(2 * X))


def test_hvp_of_several_arguments_has_all_blocks() -> None:
    """f = xᵀ A y: H (u, v) = (A v, Aᵀ u)."""
    products = hvp(lambda x, y: x @ (A @ y), (X, V), (V, X))
    assert type(products) is tuple
    np.testing.assert_allclose(products[0], A @ X, rtol=1e-14)
    np.testing.assert_allclose(products[1], A.T @ V, rtol=1e-14)
    (wrapped,) = hvp(quadratic, (X,), (V,))
    np.testing.assert_array_equal(wrapped, hvp(quadratic, X, V))


# Errors


def test_error_tangent_of_another_shape_or_dtype_before_f_runs() -> None:
    def fail(x: Any) -> Any:
        raise AssertionError("f has run")

    for transform in (jvp, hvp):
        with pytest.raises(
            ValueError, match=r"tangents has shape \(2,\).*primals has shape \(3,\)"
        ):
            transform(fail, X, np.ones(2))
        with pytest.raises(
            TypeError, match=r"tangents\[0\] .* float32, but primals\[0\] .* float64"
        ):
            transform(fail, (X,), (V.astype(np.float32),))
        with pytest.raises(ValueError, match=r"a tuple of length 1, but .* a tuple of length 2"):
            transform(fail, (X, X), (V,))


def test_error_cotangent_of_another_shape_or_structure() -> None:
    _, pullback = vjp(FUNCTIONS["softmax"], X)
    with pytest.raises(ValueError, match=r"cotangent has shape \(\) .* the result of .* \(3,\)"):
        pullback(1.0)
    with pytest.raises(TypeError, match=r"float32, but .* float64"):
        pullback(np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"cotangent is a list of length 3, but .* is a leaf"):
        pullback([1.0, 1.0, 1.0])


def test_error_results_without_a_derivative() -> None:
    for transform in (lambda f: vjp(f, X), lambda f: jacobian(f)(X), lambda f: jvp(f, X, V)):
        with pytest.raises(TypeError, match=r"result of <lambda>\[1\] is an integer number"):
            transform(lambda x: (x, np.argmax(x)))
        with pytest.raises(TypeError, match=r"result of <lambda> is a boolean array"):
            transform(lambda x: x > 0)
        with pytest.raises(TypeError, match=r"result of <lambda>\['label'\] is a str"):
            transform(lambda x: {"label": "x"})


def test_error_vjp_without_arguments() -> None:
    with pytest.raises(ValueError, match="at least one argument"):
        vjp(lambda: 1.0)


def test_error_hessian_and_hvp_of_a_function_with_many_results() -> None:
    with pytest.raises(ValueError, match=r"returned shape \(3,\)"):
        hessian(np.exp)(X)
    with pytest.raises(ValueError, match=r"returned shape \(3,\)"):
        hvp(np.exp, X, V)


def test_error_argnums_of_a_jacobian() -> None:
    with pytest.raises(ValueError, match=r"argnums=2: exp was called with 1 positional"):
        jacobian(np.exp, argnums=2)(X)
    with pytest.raises(ValueError, match="twice"):
        jacobian(lambda x, y: x * y, argnums=(1, -1))(X, X)


def test_after_an_exception_in_f_every_transform_gives_plain_arrays_again() -> None:
    def fail(x: Any) -> Any:
        raise KeyError

    for transform in (lambda: vjp(fail, X), lambda: jvp(fail, X, V), lambda: jacobian(fail)(X)):
        with pytest.raises(KeyError):
            transform()
    assert type(value_and_grad(quadratic)(X)[1]) is np.ndarray
    assert type(jacobian(np.exp)(X)) is np.ndarray
