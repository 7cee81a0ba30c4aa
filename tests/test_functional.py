"""Every row in minigrad/functional against numerical derivatives, and in float32."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from samples import Case, signed, unary

from minigrad import GradientError, Tensor, check_gradients, functional, primitives
from minigrad.functional.attention import attention_of_heads, attention_weights
from minigrad.functional.convolution import (
    conv2d_input_gradient,
    conv2d_weight_gradient,
    convolution,
)
from minigrad.functional.cross_entropy import (
    binary_cross_entropy,
    binary_cross_entropy_vjp,
    cross_entropy_of_labels,
    cross_entropy_of_labels_vjp,
)
from minigrad.functional.gelu import gelu_exact, gelu_exact_vjp, gelu_tanh, gelu_tanh_vjp
from minigrad.functional.linear import rows_at, rows_at_transpose
from minigrad.functional.losses import huber, mean_squared_error
from minigrad.functional.normalization import standardized, standardized_affine, standardized_vjp
from minigrad.functional.pooling import (
    at_maximum,
    mean_of_windows,
    mean_of_windows_transpose,
    put_at_maximum,
)
from minigrad.functional.softmax import (
    log_softmax_along,
    log_softmax_vjp,
    softmax_along,
    softmax_vjp,
)
from minigrad.functional.windows import Windows
from minigrad.primitive import Primitive, conform

# Of which element of a window is the largest: that does not change with small changes of x.
ZERO_VJPS = {("put_at_maximum", 1), ("at_maximum", 1)}


def rows_of(package: Any) -> dict[str, Primitive]:
    """Every primitive in the files of the package that is not one of the table's."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Primitive) and vars(primitives).get(name) is not value
    }


ROWS = rows_of(functional)


AXES: list[tuple[tuple[int, ...], int]] = [
    ((3,), 0), ((2, 3), -1), ((4, 3), 0), ((2, 3, 2), 1), ((2, 1), 1), ((0, 3), -1),
]  # fmt: skip


def over_axes(*rows: Callable[..., Any], inputs: int) -> list[Case]:
    """The rows along several axes of several shapes."""
    return [
        (lambda *xs, f=f, a=a: f(*xs, axis=a), tuple(signed(*s, seed=i) for i in range(inputs)))
        for f in rows
        for s, a in AXES
    ]


def with_gradients(row: Callable[..., Any]) -> list[Case]:
    """The VJP of an elementwise function, as a row of a gradient and the function's input."""
    return [(row, (signed(*np.shape(x), seed=3), x)) for _, (x,) in unary(row)]


LABELS: list[dict[str, Any]] = [
    {"labels": np.array(labels, int), "label_smoothing": smoothing}
    for labels in (2, [0, 3, 3], [[1, 0, 1], [2, 3, 0]], [])
    for smoothing in (0.0, 0.3)
]
# Images, kernels and the windows they lie in: odd sizes, and a stride that skips the last rows.
CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], Windows]] = [
    ((2, 1, 4, 5), (2, 1, 2, 3), Windows((2, 3))),
    ((1, 2, 5, 4), (1, 2, 3, 3), Windows((3, 3), padding=(1, 2))),
    ((2, 2, 6, 5), (2, 2, 2, 2), Windows((2, 2), stride=(3, 2), padding=(0, 1))),
    ((1, 1, 6, 7), (2, 1, 2, 3), Windows((2, 3), stride=(2, 1), padding=(1, 0), dilation=(3, 2))),
    ((2, 3, 2, 2), (2, 3, 1, 1), Windows((1, 1))),
    ((0, 2, 3, 3), (1, 2, 2, 2), Windows((2, 2))),
]
POOLS: list[tuple[tuple[int, ...], Windows]] = [
    ((2, 2, 4, 4), Windows((2, 2), stride=(2, 2))),
    ((1, 2, 5, 4), Windows((3, 2), stride=(1, 1), padding=(1, 1))),
    ((1, 1, 7, 5), Windows((2, 3), stride=(3, 2), padding=(1, 0))),
    ((0, 1, 3, 3), Windows((2, 2))),
]


def convolved(x: tuple[int, ...], w: tuple[int, ...], windows: Windows) -> tuple[int, ...]:
    return (x[0], w[0], *windows.along(x[2:]))  # type: ignore[arg-type]


def pooled(x: tuple[int, ...], windows: Windows) -> tuple[int, ...]:
    return (*x[:2], *windows.along(x[2:]))  # type: ignore[arg-type]


# What each row is checked on: a row that has no entry here fails the suite.
CASES: dict[str, list[Case]] = {
    "affine": [
        (functional.affine, (signed(*x), signed(3, 2, seed=1), signed(2, seed=2)))
        for x in ((3,), (4, 3), (5, 4, 3), (0, 3))
    ],
    "mean_squared_error": [
        (mean_squared_error, (signed(*shape), signed(*shape, seed=1)))
        for shape in ((), (3,), (4, 1), (2, 3))
    ],
    "huber": [
        (lambda e, d=delta: huber(e, delta=d), (signed(*shape),))
        for shape in ((), (2, 5), (0,))
        for delta in (0.2, 1.2)
    ],
    "gelu_exact": unary(gelu_exact),
    "gelu_exact_vjp": with_gradients(gelu_exact_vjp),
    "gelu_tanh": unary(gelu_tanh),
    "gelu_tanh_vjp": with_gradients(gelu_tanh_vjp),
    "rows_at": [
        (lambda w, i=i: rows_at(w, index=np.array(i, int)) ** 2, (signed(3, 2),))
        for i in (1, [0, 2, 2], [[1, 1], [0, 1]], [])
    ],
    "rows_at_transpose": [
        (
            lambda g, i=i: rows_at_transpose(g, index=np.array(i, int), rows=3) ** 2,
            (signed(*np.shape(i), 2),),
        )
        for i in (1, [0, 2, 2], [[1, 1], [0, 1]], [])
    ],
    "softmax_along": over_axes(softmax_along, inputs=1),
    "log_softmax_along": over_axes(log_softmax_along, inputs=1),
    "softmax_vjp": over_axes(softmax_vjp, inputs=2),
    "log_softmax_vjp": over_axes(log_softmax_vjp, inputs=2),
    "attention_weights": [
        (lambda s, c=c: attention_weights(s, scale=0.7, causal=c), (signed(*shape),))
        for shape in ((3, 3), (2, 2, 4), (2, 4, 2), (0, 2, 2))
        for c in (False, True)
    ],
    "attention_of_heads": [
        (lambda x, n=n, c=c: attention_of_heads(x, num_heads=n, causal=c), (signed(*shape),))
        for n, shape in ((1, (3, 6)), (2, (2, 3, 12)), (2, (2, 1, 2, 6)), (2, (0, 3, 6)))
        for c in (False, True)
    ],
    "cross_entropy_of_labels": [
        (lambda x, o=o: cross_entropy_of_labels(x, **o), (signed(*o["labels"].shape, 4),))
        for o in LABELS
    ],
    "cross_entropy_of_labels_vjp": [
        (
            lambda g, x, o=o: cross_entropy_of_labels_vjp(g, x, **o),
            (signed(*o["labels"].shape), signed(*o["labels"].shape, 4, seed=1)),
        )
        for o in LABELS
    ],
    "binary_cross_entropy": [
        (binary_cross_entropy, (signed(*shape) * 3, signed(*shape, seed=1)))
        for shape in ((), (2, 3), (0,))
    ],
    "binary_cross_entropy_vjp": [
        (binary_cross_entropy_vjp, tuple(signed(*shape, seed=i) for i in range(3)))
        for shape in ((), (2, 3), (0,))
    ],
    "standardized": [
        # elements apart, since the numerical derivative needs a variance that its step leaves alone
        (lambda x, e=eps: standardized(x, eps=e), (signed(*shape) + 3 * np.arange(shape[-1]),))
        for shape in ((4,), (2, 3), (2, 2, 3), (0, 3))
        for eps in (1e-5, 0.5)
    ],
    "standardized_affine": [
        (
            lambda x, w, b: standardized_affine(x, w, b, eps=1e-5),
            (signed(*shape) + 3 * np.arange(3), signed(3, seed=1), signed(3, seed=2)),
        )
        for shape in ((3,), (2, 3), (2, 2, 3), (0, 3))
    ],
    "standardized_vjp": [
        (
            lambda g, z, x, e=eps: standardized_vjp(g, z, x, eps=e),
            tuple(signed(*shape, seed=i) for i in range(3)),
        )
        for shape in ((4,), (2, 3), (0, 3))
        for eps in (1e-5, 0.5)
    ],
    "convolution": [
        (lambda *xs, v=v: convolution(*xs, windows=v), (signed(*x), signed(*w), *bias))
        for x, w, v in CONVOLUTIONS
        for bias in ((), (signed(w[0]),))
    ],
    "conv2d_input_gradient": [
        (
            lambda g, w, v=v, x=x: conv2d_input_gradient(g, w, windows=v, size=x[2:]),
            (signed(*convolved(x, w, v)), signed(*w)),
        )
        for x, w, v in CONVOLUTIONS
    ],
    "conv2d_weight_gradient": [
        (
            lambda x, g, v=v: conv2d_weight_gradient(x, g, windows=v),
            (signed(*x), signed(*convolved(x, w, v))),
        )
        for x, w, v in CONVOLUTIONS
    ],
    "maximum_of_windows": [
        (
            lambda x, v=v: (
                functional.max_pool2d(x, v.kernel, stride=v.stride, padding=v.padding) ** 2
            ),
            (signed(*x),),
        )
        for x, v in POOLS
    ],
    "put_at_maximum": [
        (
            lambda g, x, v=v: put_at_maximum(g, x, windows=v) ** 2,
            (signed(*pooled(x, v)), signed(*x)),
        )
        for x, v in POOLS
    ],
    "at_maximum": [
        (lambda h, x, v=v: at_maximum(h, x, windows=v) ** 2, (signed(*x, seed=1), signed(*x)))
        for x, v in POOLS
    ],
    "mean_of_windows": [
        (lambda x, v=v: mean_of_windows(x, windows=v) ** 2, (signed(*x),)) for x, v in POOLS
    ],
    "mean_of_windows_transpose": [
        (
            lambda g, v=v, x=x: mean_of_windows_transpose(g, windows=v, size=x[2:]) ** 2,
            (signed(*pooled(x, v)),),
        )
        for x, v in POOLS
    ],
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
    """Scale each VJP of the row by 1.001, in turn: its own cases must notice.

    One that is 0 everywhere is shifted by 0.001 instead.
    """
    row = ROWS[name]
    right = row.vjps
    assert isinstance(right, tuple)

    def scaled(vjp: Callable[..., Any], shift: float) -> Callable[..., Any]:
        return lambda *arguments, **kwargs: vjp(*arguments, **kwargs) * 1.001 + shift

    def check_the_rows_cases() -> None:
        for f, inputs in CASES[name]:
            check_gradients(f, *inputs, order=1)

    for wrong in range(len(right)):
        shift = 0.001 if (name, wrong) in ZERO_VJPS else 0.0
        vjps = tuple(scaled(v, shift) if i == wrong else v for i, v in enumerate(right))
        monkeypatch.setattr(row, "vjps", vjps)
        with pytest.raises(GradientError):
            check_the_rows_cases()


@pytest.mark.parametrize("name", sorted(ROWS))
def test_float32_stays_float32_forward_and_backward(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the engine's cast, which would hide that a row computed in float64."""

    def no_cast(g: Any, x: Tensor, op: Primitive) -> Any:
        assert g.dtype == x.dtype, f"a VJP of {op} gave {g.dtype}"
        return conform(g, x, op)

    monkeypatch.setattr("minigrad.backward.conform", no_cast)
    for f, inputs in CASES[name]:
        single, double = (
            [Tensor(np.asarray(x, dtype), requires_grad=True) for x in inputs]
            for dtype in (np.float32, np.float64)
        )
        z, expected = f(*single), f(*double)
        assert z.dtype == np.float32
        z.sum().backward()
        expected.sum().backward()
        np.testing.assert_allclose(z.data, expected.data, rtol=1e-4, atol=1e-5)
        for x, y in zip(single, double, strict=True):
            np.testing.assert_allclose(x.grad, y.grad, rtol=1e-4, atol=1e-4)
