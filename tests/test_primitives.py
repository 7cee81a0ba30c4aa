"""The whole table against numerical derivatives, first and second, and against NumPy's values."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases_elementwise import ELEMENTWISE
from cases_linear_algebra import LINEAR_ALGEBRA
from cases_reductions import REDUCTIONS
from cases_shapes import SHAPES
from samples import Case, Cases

from minigrad import GradientError, Tensor, check_gradients, primitives
from minigrad.primitive import Primitive, table

# What each function is checked on: one that has no entry here fails the suite.
CASES: Cases = ELEMENTWISE | REDUCTIONS | SHAPES | LINEAR_ALGEBRA

ROWS = {name: value for name, value in vars(primitives).items() if isinstance(value, Primitive)}
CONSTANT_BETWEEN_JUMPS = {"zero", "sign", "floor", "ceil", "trunc", "rint", "round", "floor_divide"}
# Which row does not change with small changes of which input.
WITHOUT_SLOPE = {("where_positive", 1)}


def name_of(function: Any) -> str:
    if isinstance(function, Primitive):
        return f"row {function.name}"
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return f"{function.__self__.__name__}.{function.__name__}"
    module = getattr(function, "__module__", None) or "numpy"  # a ufunc has one since NumPy 2.2
    return f"{module}.{function.__name__}".removeprefix("numpy.")


ALL = [
    pytest.param(case, id=f"{name_of(function)}-{i}")
    for function, cases in CASES.items()
    for i, case in enumerate(cases)
]


def cases_of(row: Primitive) -> list[Case]:
    """Cases of the row itself, or of NumPy functions that run nothing else."""
    return [
        case
        for function, cases in CASES.items()
        for case in cases
        if function is row or table.get(function) is row  # type: ignore[call-overload]
    ]


def test_every_numpy_function_in_the_table_has_a_check() -> None:
    assert {name_of(function) for function in table} <= {name_of(function) for function in CASES}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_row_has_a_check(name: str) -> None:
    assert cases_of(ROWS[name])


@pytest.mark.parametrize("case", ALL)
def test_agrees_with_numerical_derivatives_to_second_order(case: Case) -> None:
    f, inputs = case
    check_gradients(f, *inputs, order=2)


@pytest.mark.parametrize("case", ALL)
def test_has_numpys_values_shapes_and_dtypes(case: Case) -> None:
    """The same call on Tensors and on bare arrays, float64 and float32."""
    f, inputs = case
    for dtype, eps in ((np.float64, 1e-15), (np.float32, 1e-6)):
        arrays = [np.asarray(x, dtype) for x in inputs]
        leaves = [Tensor(x, requires_grad=True) for x in arrays]
        results, expected = f(*leaves), f(*arrays)
        if not isinstance(expected, tuple | list):
            results, expected = (results,), (expected,)
        assert len(results) == len(expected)
        for z, value in zip(results, expected, strict=True):
            value = np.asarray(value)
            assert isinstance(z, Tensor)
            assert (z.shape, z.dtype) == (value.shape, value.dtype)
            np.testing.assert_allclose(z.data, value, rtol=50 * eps, atol=50 * eps)
            if z.requires_grad:
                z.sum().backward()
        for leaf in leaves:
            if leaf.grad is not None:
                assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, leaf.dtype)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_with_a_wrong_vjp_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale each VJP of the row by 1.001, in turn: its own cases must notice.

    (Scaling would leave a derivative of 0 as it is, so there 0.001 is added.)
    """
    row = ROWS[name]
    right = row.vjps

    def wrong(vjp: Callable[..., Any], i: int = 0) -> Callable[..., Any]:
        if name in CONSTANT_BETWEEN_JUMPS or (name, i) in WITHOUT_SLOPE:
            return lambda *arguments, **kwargs: vjp(*arguments, **kwargs) + 0.001
        return lambda *arguments, **kwargs: vjp(*arguments, **kwargs) * 1.001

    if isinstance(right, tuple):
        variants = [
            tuple(wrong(v, i) if i == k else v for i, v in enumerate(right))
            for k in range(len(right))
        ]
    else:
        variants = [tuple(wrong(v) for v, _ in zip(right, range(3), strict=False))]

    def check_the_rows_cases() -> None:
        for f, inputs in cases_of(row):
            check_gradients(f, *inputs, order=1)

    for wrong_vjps in variants:
        monkeypatch.setattr(row, "vjps", wrong_vjps)
        with pytest.raises(GradientError):
            check_the_rows_cases()


def test_a_vjp_that_is_right_at_first_order_only_is_caught() -> None:
    """A VJP that uses bare values has the right gradient, and none of its own."""
    cube = Primitive(
        lambda x: x**3,
        lambda g, z, x: g * (3 * getattr(x, "detach", lambda: x)() ** 2),
        name="cube",
    )
    check_gradients(cube, [1.5, -0.7], order=1)
    with pytest.raises(GradientError, match="order 2"):
        check_gradients(cube, [1.5, -0.7], order=2)


def test_a_vjp_of_wrong_shape_is_named() -> None:
    bad = Primitive(lambda x: x * 2, lambda g, z, x: g[:1, :2], name="bad")
    t = Tensor(np.ones((3, 3)), requires_grad=True)
    with pytest.raises(ValueError, match=r"VJP of bad gave a gradient of shape \(1, 2\)"):
        bad(t).sum().backward()


def test_a_vjp_of_wrong_dtype_is_named() -> None:
    bad = Primitive(lambda x: x * 2, lambda g, z, x: g > 0, name="bad")
    t = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(TypeError, match="VJP of bad gave a gradient of dtype bool"):
        bad(t).sum().backward()
