"""Every row of the table against numerical derivatives, first and second."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import GradientError, Tensor, check_gradients, primitives
from minigrad.primitive import Primitive

Case = tuple[Callable[..., Any], tuple[Any, ...]]

ROWS = {
    name: value
    for name, value in vars(primitives).items()
    if isinstance(value, Primitive)
}


def sample(*shape: int, low: float = 0.4, high: float = 1.9, seed: int = 0) -> Any:
    """Positive, away from 0, 1 and from each other's values: no kink is near."""
    rng = np.random.default_rng((seed, *shape))
    return rng.uniform(low, high, shape)


def signed(*shape: int, seed: int = 0) -> Any:
    return sample(*shape, seed=seed) * np.where(sample(*shape, seed=seed + 1) > 1.1, 1.0, -1.0)


SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3), (0, 3)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()), ((3,), (3,)), ((2, 3), (2, 3)),
    ((), (2, 3)), ((3,), (2, 1)), ((2, 1, 3), (4, 1)), ((1, 3), (2, 3)), ((0, 3), (3,)),
]  # fmt: skip
MATMUL_PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)),
    ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
]  # fmt: skip


def unary(f: Callable[..., Any], make: Callable[..., Any] = signed) -> list[Case]:
    strided = (f, (make(3, 4).T[::2],))
    return [(f, (make(*shape),)) for shape in SHAPES] + [strided]


def binary(f: Callable[..., Any], make: Callable[..., Any] = signed, pairs: Any = PAIRS) -> Any:
    return [(f, (make(*a), make(*b, seed=5))) for a, b in pairs]


def reductions(f: Callable[..., Any]) -> list[Case]:
    options: list[dict[str, Any]] = [
        {}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": 1, "keepdims": True},
        {"axis": None, "keepdims": True}, {"axis": (-1, -2)}, {"axis": ()},
    ]  # fmt: skip
    return [(f, (signed(),)), (f, (signed(3),))] + [
        (lambda x, o=o: f(x, **o), (signed(2, 3, 4),)) for o in options
    ]


INDICES: list[Any] = [
    0, -1, slice(None, None, 2), (slice(None), 1), ..., (None, 1), (..., None, 0), np.int64(1),
    [0, 0, 1], ([0, 1, 1], [2, 2, 0]), (slice(1), [0, 0]), np.array([True, False]),
    np.arange(8).reshape(2, 4) % 3 > 0,
]  # fmt: skip

# What each row is checked on: a row that has no entry here fails the suite.
CASES: dict[str, list[Case]] = {
    "add": binary(primitives.add),
    "subtract": binary(primitives.subtract),
    "multiply": binary(primitives.multiply),
    "divide": binary(primitives.divide),
    "power": binary(primitives.power, make=sample)
    + [(lambda x, n=n: x**n, (signed(2, 3),)) for n in (0, 1, 2, 3, -1, -2.0)]
    + [(primitives.power, ([2.0, 0.7], [0.0, 1.0]))]
    + [(lambda y: 2.0**y, (signed(3),)), (lambda x: x ** np.array([0.0, 1.0, 2.0]), (signed(3),))],
    "maximum": binary(primitives.maximum),
    "where": [
        (lambda x, y: np.where([[True], [False]], x, y), (signed(2, 3), signed(3, seed=1))),
        (lambda x: np.where(x > 0, x**2, -x), (signed(4),)),
        (lambda x, y: np.where(True, x, y), (signed(), signed(2, seed=1))),
        (lambda x, y: np.where(np.ones((0, 3), bool), x, y), (signed(0, 3), signed(3, seed=1))),
    ],
    "negative": unary(primitives.negative),
    "positive": unary(primitives.positive),
    "square": unary(primitives.square),
    "sqrt": unary(primitives.sqrt, make=sample),
    "exp": unary(primitives.exp),
    "log": unary(primitives.log, make=sample),
    "tanh": unary(primitives.tanh),
    "relu": unary(primitives.relu),
    "matmul": binary(primitives.matmul, pairs=MATMUL_PAIRS),
    "sum": reductions(primitives.sum),
    "mean": reductions(primitives.mean),
    "reshape": [
        (lambda x, s=s: primitives.reshape(x, shape=s) ** 2, (signed(2, 6),))
        for s in ((3, 4), (-1,), (12, 1), 12)
    ],
    "transpose": [
        (lambda x, a=a: primitives.transpose(x, axes=a) ** 2, (signed(2, 3, 4),))
        for a in (None, (1, 0, 2), (2, 0, 1), (-1, 0, -2))
    ],
    "broadcast_to": [
        (lambda x, s=s: primitives.broadcast_to(x, shape=s) ** 2, (signed(*start),))
        for start, s in (((), (2, 3)), ((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((1,), (0,)))
    ],
    "getitem": [(lambda x, i=i: x[i] ** 2, (signed(2, 4),)) for i in INDICES],
    "scatter": [
        (lambda x, i=i: primitives.scatter(x, index=i, shape=(4, 3)) ** 2, (signed(2, 3),))
        for i in (slice(0, 2), [1, 1], [3, 0])
    ],
    "concatenate": [
        (lambda *xs, a=a: primitives.concatenate(*xs, axis=a) ** 2, tuple(parts))
        for a, parts in (
            (0, (signed(3), signed(2))),
            (0, (signed(1, 3), signed(2, 3), signed(0, 3))),
            (-1, (signed(2, 3), signed(2, 1))),
            (-2, (signed(2, 3), signed(1, 3))),
            (-1, (signed(1, 2, 3), signed(1, 2, 1))),
        )
    ],
    "astype": unary(lambda x: primitives.astype(x, dtype=np.float64) ** 2),
}


def test_every_row_has_a_check() -> None:
    assert set(CASES) == set(ROWS)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{i}")
        for name, cases in CASES.items()
        for i, case in enumerate(cases)
    ],
)
def test_row_agrees_with_numerical_derivatives_to_second_order(name: str, case: Case) -> None:
    f, inputs = case
    check_gradients(f, *inputs, order=2)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_row_with_a_wrong_vjp_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale each VJP of the row by 1.001, in turn: its own cases must notice."""
    row = ROWS[name]
    right = row.vjps

    def scaled(vjp: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments, **kwargs: vjp(*arguments, **kwargs) * 1.001

    if isinstance(right, tuple):
        variants = [
            tuple(scaled(v) if i == wrong else v for i, v in enumerate(right))
            for wrong in range(len(right))
        ]
    else:
        variants = [tuple(scaled(v) for v, _ in zip(right, range(3), strict=False))]

    def check_the_rows_cases() -> None:
        for f, inputs in CASES[name]:
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


# At kinks and edges of domains, where numerical derivatives have nothing to say.


def gradient_at(f: Callable[..., Any], *values: float) -> list[float]:
    inputs = [Tensor(v, requires_grad=True) for v in values]
    f(*inputs).backward()
    return [float(t.grad) for t in inputs]


def test_relu_has_derivative_0_at_0() -> None:
    assert gradient_at(primitives.relu, 0.0) == [0.0]


def test_maximum_of_equal_inputs_sends_half_to_each() -> None:
    assert gradient_at(primitives.maximum, 2.0, 2.0) == [0.5, 0.5]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0.0, 2.0, [0.0, 0.0]),
        (0.0, 1.0, [1.0, 0.0]),
        (3.0, 0.0, [0.0, np.log(3.0)]),
    ],
)
def test_power_at_0_has_finite_gradients(x: float, y: float, expected: list[float]) -> None:
    assert gradient_at(primitives.power, x, y) == expected


def test_power_0_of_0_has_derivative_0_in_the_base() -> None:
    for exponent in (0, 0.0, np.array(0.0)):
        assert gradient_at(lambda x, n=exponent: x**n, 0.0) == [0.0]


def test_a_branch_that_was_not_taken_sends_back_0_even_where_its_gradient_is_infinite() -> None:
    for f in (primitives.relu, lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, x, 0.0)):
        x = Tensor([-1.0, 4.0], requires_grad=True)
        with np.errstate(divide="ignore"):
            np.sqrt(f(x)).sum().backward()  # at f(x) = 0 the root has slope infinity
        np.testing.assert_array_equal(x.grad, [0.0, 0.25])


def test_power_of_a_negative_base_with_a_constant_exponent() -> None:
    assert gradient_at(lambda x: x**3, -2.0) == [12.0]
    assert gradient_at(lambda x: x**2.0, -2.0) == [-4.0]
