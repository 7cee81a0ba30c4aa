"""Random expressions over the table: reverse, forward and numerical derivatives agree.

Hypothesis searches for an expression for which a property does not hold; for each of the faults
that are planted below it has to find one.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from expression_properties import (
    check_create_graph,
    check_exactly,
    check_forward,
    check_order,
    check_reverse,
    check_second,
    check_sum,
    check_transposition,
    check_twice,
)
from expressions import Expression, compiled, expressions, of_one, of_two
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from samples import sample

from minigrad import Tensor, functional, linear_maps, primitive, primitives
from minigrad.primitive import Primitive, bare

Check = Callable[[Expression], None]


@pytest.mark.parametrize(
    "check",
    [check_reverse, check_forward, check_transposition, check_second, check_sum, check_order,
     check_create_graph, check_twice],
    ids=lambda check: check.__name__.removeprefix("check_"),
)  # fmt: skip
def test_holds_for_random_expressions(check: Check) -> None:
    @given(expressions())
    @settings(max_examples=150)
    def holds(expression: Expression) -> None:
        check(expression)

    holds()


@given(expressions(exact=True))
@settings(max_examples=200)
def test_holds_without_rounding_for_whole_numbers(expression: Expression) -> None:
    check_exactly(expression)


@given(expressions())
@settings(max_examples=50)
def test_what_is_printed_is_what_is_computed(expression: Expression) -> None:
    scope: dict[str, Any] = {"np": np, "primitives": primitives, "functional": functional}
    scope["array"] = np.array
    exec(repr(expression), scope)
    printed = scope["f"](*(scope[f"x{i}"] for i in range(len(expression.leaves))))
    for a, b in zip(printed, expression(*expression.leaves), strict=True):
        np.testing.assert_array_equal(a, b)


def test_expressions_reach_every_row_but_those_named_here() -> None:
    shapes = [(), (3,), (2, 3), (3, 3)]
    reached: set[Any] = set()
    for a in shapes:
        for b in shapes:
            xs = [Tensor(sample(*shape), requires_grad=True) for shape in (a, b)]
            for kinds in (of_one(a), of_two(a, b)):
                waiting = [compiled(o.code)(*xs) for kind in kinds.values() for o in kind]
                while waiting:
                    z = waiting.pop()
                    reached.add(z.op)
                    waiting += [x for x in z.parents if isinstance(x, Tensor)]
    rows = {name for name, row in vars(primitives).items()
            if isinstance(row, Primitive) and row not in reached}  # fmt: skip
    assert rows == {"zero", "keep", "where_positive"}  # what VJPs are made of


# Planted faults


def counterexample(check: Check, first: str, others: tuple[str, ...] = ("",)) -> Expression:
    """An expression, with such code in its steps, for which the property does not hold."""

    def fails(expression: Expression) -> bool:
        try:
            check(expression)
        except AssertionError:
            return True
        return False

    found: Expression = find(
        expressions(exact=check is check_exactly, first=first, others=others),
        fails,
        settings=settings(
            max_examples=500,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
        random=random.Random(0),
    )
    return found


def written_into_z(g: Any, z: Any, x: Any) -> Any:
    if not isinstance(z, np.ndarray) or not z.ndim:
        return g * z
    z *= g
    return z


def counted_once(x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    z = np.zeros(shape)
    z[index] = x
    return z


# Row, its attribute, the fault, code that runs the row, and which properties have to notice.
FAULTS: dict[str, tuple[Any, str, Any, str, list[Check]]] = {
    "tanh twice": (
        primitives.tanh, "vjps", [lambda g, z, x: 2 * (g - g * z * z)],
        "np.tanh", [check_reverse, check_forward, check_second],
    ),
    "tanh with 1 - z": (
        primitives.tanh, "vjps", [lambda g, z, x: g * (1 - z)],
        "np.tanh", [check_reverse, check_forward, check_second],
    ),
    "multiply with its inputs exchanged": (
        primitives.multiply, "vjps", [lambda g, z, x, y: g * x, lambda g, z, x, y: g * y],
        "np.multiply", [check_reverse, check_forward, check_exactly],
    ),
    "subtract without a sign": (
        primitives.subtract, "vjps", [lambda g, z, x, y: g, lambda g, z, x, y: g],
        "np.subtract", [check_reverse, check_forward, check_exactly],
    ),
    "sum by half": (
        primitives.sum, "vjps",
        [lambda g, z, x, axis=None, keepdims=False, vjp=primitives.sum.vjps[0]:
         vjp(g, z, x, axis=axis, keepdims=keepdims) / 2],
        "np.sum", [check_reverse, check_forward, check_exactly],
    ),
    "indexing backwards": (
        primitives.getitem, "vjps",
        [lambda g, z, x, index: primitives.scatter(np.flip(g), index=index, shape=x.shape)],
        "[", [check_reverse, check_forward, check_exactly],
    ),
    "a repeated index counted once": (
        primitives.scatter, "forward", counted_once,
        "[[0, -1, 0]]", [check_reverse, check_transposition, check_exactly],
    ),
    "scatter twice on the way back": (
        primitives.scatter, "vjps", [lambda g, z, x, index, shape: 2 * g[index]],
        "[0]", [check_forward, check_transposition, check_exactly],
    ),
    "a transposed product not transposed": (
        primitives.matmul, "vjps",
        [lambda g, z, x, y: np.matmul(g, y) if y.ndim == 2 and y.shape[0] == y.shape[1]
         else linear_maps.times_transposed(g, x, y), primitives.matmul.vjps[1]],
        "np.matmul", [check_reverse, check_transposition, check_exactly],
    ),
    "a VJP that is not linear": (
        primitives.sinh, "vjps", [lambda g, z, x: g * np.cosh(x) * np.absolute(g)],
        "np.sinh", [check_reverse, check_sum, check_transposition],
    ),
    "a second derivative that takes z for a constant": (
        primitives.tanh, "vjps", [lambda g, z, x: g - g * bare(z) ** 2],
        "np.tanh", [check_second],
    ),
    "other roundings on Tensors": (
        primitives.tanh, "vjps",
        [lambda g, z, x: g * (1 - z * z) if isinstance(g, Tensor) else g - g * z * z],
        "np.tanh", [check_create_graph],
    ),
    "a VJP that writes into the graph": (
        primitives.exp, "vjps", [written_into_z], "np.exp(", [check_twice],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        pytest.param(fault, check, id=f"{name}-{check.__name__.removeprefix('check_')}")
        for name, (*fault, checks) in FAULTS.items()
        for check in checks
    ],
)
def test_a_planted_fault_is_found(
    fault: Any, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, attribute, wrong, first = fault
    monkeypatch.setattr(row, attribute, wrong)
    counterexample(check, first)


@pytest.mark.parametrize("check", [check_order, check_create_graph, check_sum])
def test_a_vjp_that_writes_into_the_gradient_of_another_node_is_found(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An addition sends one array to both of its inputs; which of them is first to use it?"""

    def in_place(g: Any, z: Any, x: Any, y: Any) -> Any:
        if not isinstance(g, np.ndarray):
            return g * x
        g *= x
        return g

    monkeypatch.setattr(primitives.multiply, "vjps", [primitives.multiply.vjps[0], in_place])
    counterexample(check, "np.multiply", others=("np.multiply", "np.add"))


@pytest.mark.parametrize("check", [check_reverse, check_forward, check_exactly])
def test_broadcasting_that_is_not_summed_is_found(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_of_them(g: Any, shape: tuple[int, ...]) -> Any:
        return g[(0,) * (g.ndim - len(shape))][tuple(slice(n) for n in shape)]

    monkeypatch.setattr(primitive, "unbroadcast", first_of_them)
    counterexample(check, "np.add")


@pytest.mark.parametrize("check", [check_reverse, check_exactly])
def test_without_a_fault_the_same_search_finds_nothing(check: Check) -> None:
    with pytest.raises(NoSuchExample):
        counterexample(check, "np.add")
