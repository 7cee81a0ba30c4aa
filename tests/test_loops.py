"""A traced step as loops gives the loss and the gradients of the eager engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from expressions import expressions
from hypothesis import assume, given, settings

from minigrad import Tensor
from minigrad.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    gelu,
    huber_loss,
    layer_norm,
    mse_loss,
    softmax,
)
from minigrad.primitives import elu, leaky_relu, logsumexp, relu, sigmoid, silu, softplus
from minigrad.tracing import Unsupported, kept, trace
from minigrad.tracing.loops import LoopCode, loops

TOLERANCE = {np.float64: 1e-12, np.float32: 2e-5}


def text_of(code: LoopCode, arguments: list[str]) -> str:
    """Return a function that runs the statements once, as text."""
    lines = [*code.buffers, *code.statements, f"return {code.loss}, ({', '.join(code.gradients)},)"]
    body = "\n".join("    " + line for line in lines)
    return f"{code.functions}\n\n\ndef step({', '.join(arguments)}):\n{body}\n"


def compiled_as_it_stands(**_: Any) -> Callable[[Any], Any]:
    return lambda function: function


def run(loss: Any, arrays: list[Any], njit: Any = None, blas: bool = False) -> Any:
    """Return loss and gradients of the loops, the trace, and the eager ones in its order."""
    traced = trace(loss, *arrays)
    code = loops(traced, blas=blas)
    leaves = (*traced.inputs, *traced.parameters)
    space: dict[str, Any] = {"np": np, "njit": njit or compiled_as_it_stands}
    exec(text_of(code, [leaf.name for leaf in leaves]), space)
    step = space["step"]
    if njit is not None:
        step = njit(fastmath={"contract", "reassoc"}, error_model="numpy")(step)
    values = [np.ascontiguousarray(a) for a in arrays]
    values = [v.copy() for v in values] + [tensor.data.copy() for tensor in traced.tensors]
    before = [v.copy() for v in values]
    with np.errstate(all="ignore"):
        found, gradients = step(*values)
    for value, old in zip(values, before, strict=True):
        np.testing.assert_array_equal(value, old)  # neither inputs nor parameters are written to
    return found, gradients, traced


def check(
    loss: Any, arrays: list[Any], dtype: Any, njit: Any = None, blas: bool = False, least: float = 0
) -> None:
    found, gradients, traced = run(loss, arrays, njit, blas)
    with np.errstate(all="ignore"):
        eager = loss(*arrays)
        for tensor in traced.tensors:
            tensor.grad = None
        eager.backward()
    assert_close(np.asarray(found), eager.data.reshape(()), dtype, least)
    for tensor, gradient in zip(traced.tensors, gradients, strict=True):
        assert gradient.shape == tensor.shape
        assert gradient.dtype == tensor.dtype
        assert gradient.flags.c_contiguous
        assert_close(gradient, tensor.grad, dtype, least)


def assert_close(found: Any, wanted: Any, dtype: Any, least: float) -> None:
    """Compare relative to the largest element, as sums are in another order; or to `least`."""
    wanted = np.asarray(wanted)
    finite = np.abs(wanted[np.isfinite(wanted)])
    error = TOLERANCE[dtype] * max(finite.max() if finite.size else 0, least)
    np.testing.assert_allclose(found, wanted, rtol=TOLERANCE[dtype], atol=error)


@dataclass
class Example:
    """A loss with its inputs; parameters are made anew for each type."""

    make: Callable[[Callable[..., Tensor], Any], Callable[..., Any]]
    inputs: tuple[Any, ...]


EXAMPLES: dict[str, Example] = {}


def example(*inputs: Any) -> Callable[[Any], Any]:
    """Name an example: `inputs` are shapes of normal numbers, or arrays of integers."""

    def add(make: Any) -> Any:
        EXAMPLES[make.__name__] = Example(make, inputs)
        return make

    return add


def built(name: str, dtype: Any) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(0)
    found = EXAMPLES[name]

    def parameter(*shape: int, positive: bool = False) -> Tensor:
        values = np.asarray(rng.normal(size=shape), dtype)
        return Tensor(np.abs(values) + dtype(0.5) if positive else values, requires_grad=True)

    arrays = [
        x if isinstance(x, np.ndarray) else np.asarray(rng.normal(size=x), dtype)
        for x in found.inputs
    ]
    return found.make(parameter, dtype), arrays


LABELS = np.array([2, 0, 1, 2])
X53, Y = (4, 5), (4, 1)


@example(X53, Y)
def linear_regression(p: Any, dtype: Any) -> Any:
    w, b = p(5, 1), p(1)
    return lambda X, y: mse_loss(X @ w + b, y)


@example(X53, (4,))
def linear_regression_of_vectors(p: Any, dtype: Any) -> Any:
    w, b = p(5), p()
    return lambda X, y: ((X @ w + b - y) ** 2).mean() + 0.1 * (w * w).sum()


@example(X53, (np.arange(4) % 2).reshape(4, 1))
def logistic_regression(p: Any, dtype: Any) -> Any:
    w, b = p(5, 1), p(1)
    return lambda X, y: binary_cross_entropy_with_logits(X @ w + b, y)


def mlp(p: Any, activation: Any) -> Any:
    w1, b1, w2, b2 = p(5, 6), p(6), p(6, 1), p(1)
    return lambda X, y: mse_loss(activation(X @ w1 + b1) @ w2 + b2, y)


ACTIVATIONS: dict[str, Any] = {
    "tanh": np.tanh,
    "relu": relu,
    "sigmoid": sigmoid,
    "silu": silu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": softplus,
    "gelu": lambda x: gelu(x, approximate="tanh"),
    "sin": np.sin,
}


def with_activation(f: Any) -> Any:
    return lambda p, dtype: mlp(p, f)


for name, activation in ACTIVATIONS.items():
    EXAMPLES[f"mlp_with_{name}"] = Example(with_activation(activation), (X53, Y))


@example(X53, LABELS)
def classifier(p: Any, dtype: Any) -> Any:
    w1, w2, b2 = p(5, 6), p(6, 3), p(3)
    return lambda X, y: cross_entropy(np.tanh(X @ w1) @ w2 + b2, y)


@example(X53, LABELS)
def classifier_with_smoothed_labels(p: Any, dtype: Any) -> Any:
    w = p(5, 3)
    return lambda X, y: cross_entropy(X @ w, y, label_smoothing=0.1)


@example(X53, (4, 3))
def classifier_of_probabilities(p: Any, dtype: Any) -> Any:
    w = p(5, 3)
    return lambda X, y: cross_entropy(X @ w, softmax(y))


@example(X53, Y)
def network_with_layer_norm(p: Any, dtype: Any) -> Any:
    w1, weight, bias, w2 = p(5, 6), p(6), p(6), p(6, 1)
    return lambda X, y: mse_loss(relu(layer_norm(X @ w1, weight, bias)) @ w2, y)


@example(X53, Y)
def huber_with_deep_network(p: Any, dtype: Any) -> Any:
    w1, w2, w3 = p(5, 6), p(6, 7), p(7, 1)
    return lambda X, y: huber_loss(np.tanh(np.tanh(X @ w1) @ w2) @ w3, y, delta=0.5)


@example((3, 70), (3, 70))
def long_sums(p: Any, dtype: Any) -> Any:
    w1, w2 = p(70, 9), p(9, 70)
    return lambda X, y: mse_loss(np.tanh(X @ w1 / 9) @ w2, y)


@example((70, 3), (70, 4))
def long_batch(p: Any, dtype: Any) -> Any:
    w, b = p(3, 4), p(4)
    return lambda X, y: (np.abs(X @ w + b - y) / (1 + np.exp(X.sum(axis=0)).sum())).mean()


@example((4, 3))
def functions_of_one_number(p: Any, dtype: Any) -> Any:
    w, q = p(4, 3), p(3, positive=True)
    return lambda X: (
        np.sqrt(q) + np.square(w) * np.cos(X) + np.reciprocal(q) + np.log(q) * np.sign(w)
        + np.log1p(q) + np.expm1(w) + np.abs(w) + q**3 + q**2.5 + q**-1 + q**0.5 + 2.0**w
        + np.sinh(w) * np.arctan(w) - np.hypot(w, q) + np.logaddexp(w, q) + w / (q * X)
        - (w - (q - X))
    ).sum()  # fmt: skip


@example((4, 3))
def comparisons(p: Any, dtype: Any) -> Any:
    w, q = p(4, 3), p(3)

    def loss(X: Any) -> Any:
        inside = np.logical_and(w > 0, np.logical_or(w <= 1, np.logical_not(X == 0)))
        chosen = np.where(inside, np.maximum(w, q), np.minimum(w * X, q))
        same_side = np.where((w > 0) == (X > 0), w, 0)
        return (chosen * (w != q) + np.clip(w, -0.5, 0.5) + same_side).sum()

    return loss


@example((4, 3))
def reductions(p: Any, dtype: Any) -> Any:
    w = p(4, 3, 2)
    return lambda X: (
        w.max(axis=2).sum() + w.min(axis=(0, 2)).sum() + w.mean(axis=1, keepdims=True).max()
        + (w.sum(axis=0) * w.mean()).sum() + logsumexp(w, axis=1).sum() * X.sum()
    )  # fmt: skip


@example((4, 3))
def moved_elements(p: Any, dtype: Any) -> Any:
    w, q = p(4, 3), p(6, 2)

    def loss(X: Any) -> Any:
        rows = np.concatenate([w[1:], w[::-2], X], axis=0)
        flat = q.reshape(12) * w.T.reshape(-1)
        last = w[-1] * q.reshape(2, 3, 2)[1, :, 0] + w[None, 2, 1:].sum()
        return (rows * rows).sum() + flat.reshape(3, 4).T[1].sum() + (last**2).sum()

    return loss


@example((4, 3), np.array([1, 0, -1]))
def places_that_are_data(p: Any, dtype: Any) -> Any:
    w, q = p(4, 3), p(5, 2)

    def loss(X: Any, at: Any) -> Any:
        w2, q2 = w * X[1, 1], q * X[0, 0]
        return (w2[at] ** 2).sum() + (w2[:, at] * X).sum() + (q2[at[:2] + 1, at[1:]] ** 2).sum()

    return loss


@example((2, 4, 3), (3,))
def stacks_of_matrices(p: Any, dtype: Any) -> Any:
    w, q, v = p(2, 3, 5), p(5, 2), p(4)
    return lambda X, x: (np.tanh(X @ w) @ q).sum() + (v @ X @ x).sum() + (x @ w).sum()


@example((4, 3), (4, 3, 2))
def sums_over_letters(p: Any, dtype: Any) -> Any:
    w, q = p(3, 5), p(5, 2)

    def loss(X: Any, Z: Any) -> Any:
        h = np.einsum("ni,ij->nj", X, w)
        pairs = np.einsum("nik,ij->njk", Z, w)
        kept = np.einsum("njk,nj->nk", pairs, h) * np.einsum("jk->k", q)
        return (kept**2).sum() + np.einsum("ijk,k->", Z, q[0])

    return loss


@example((4, 1))
def axes_of_length_one(p: Any, dtype: Any) -> Any:
    w, q, r = p(4, 1), p(1, 3), p(1, 1)

    def loss(X: Any) -> Any:
        sums = (w + X).sum(axis=1) * 2 + (w - X).mean(axis=1) * (w + 1).max(axis=1)
        return (sums**2).sum() + ((X @ q - w) * (w @ q)).sum() + (r + 1).sum() * (X * r).sum()

    return loss


@example((4, 3))
def gradients_that_are_no_array_of_their_own(p: Any, dtype: Any) -> Any:
    w, q, r, s, t = p(4, 3), p(4, 3), p(3, 4), p(), p(1, 1)
    return lambda X: (w * X + q * X).sum() + (r.T * X).sum() + (s * X).sum() + t.sum()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", EXAMPLES)
def test_loops_as_plain_python_give_the_eager_loss_and_gradients(name: str, dtype: Any) -> None:
    check(*built(name, dtype), dtype)


OF_BATCHES = [
    "linear_regression", "linear_regression_of_vectors", "logistic_regression", "mlp_with_tanh",
    "classifier", "classifier_with_smoothed_labels", "network_with_layer_norm",
]  # fmt: skip


@pytest.mark.parametrize("name", OF_BATCHES)
def test_a_batch_may_have_one_example(name: str) -> None:
    loss, arrays = built(name, np.float64)
    check(loss, [x[:1] for x in arrays], np.float64)


def test_compiled_loops_are_the_same_as_plain_python() -> None:
    from numba import njit

    check(*built("classifier", np.float64), np.float64, njit)


SINGLE = ["mlp_with_tanh", "classifier"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, np.float64) for name in EXAMPLES), *((name, np.float32) for name in SINGLE)],
)
def test_all_loops_compile_to_the_same(name: str, dtype: Any) -> None:
    from numba import njit

    check(*built(name, dtype), dtype, njit)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["huber_with_deep_network", "long_sums", "stacks_of_matrices"])
def test_large_products_may_be_left_to_blas(
    name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BLAS_FROM", 10)
    loss, arrays = built(name, dtype)
    assert any("np.dot(" in line for line in loops(trace(loss, *arrays), blas=True).statements)
    assert not any("np.dot(" in line for line in loops(trace(loss, *arrays)).statements)
    check(loss, arrays, dtype, blas=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["linear_regression", "mlp_with_relu", "classifier"])
def test_nan_and_infinity_are_not_lost(name: str, value: float) -> None:
    loss, arrays = built(name, np.float64)
    arrays[0][1, 2] = value
    found, gradients, traced = run(loss, arrays)
    with np.errstate(all="ignore"):
        eager = loss(*arrays)
        for tensor in traced.tensors:
            tensor.grad = None
        eager.backward()
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(eager.data))
    for tensor, gradient in zip(traced.tensors, gradients, strict=True):
        np.testing.assert_array_equal(np.isfinite(gradient), np.isfinite(tensor.grad))


def test_a_label_out_of_range_is_refused_before_anything_is_read() -> None:
    loss, arrays = built("classifier", np.float64)
    traced = trace(loss, *arrays)
    code = loops(traced)
    space: dict[str, Any] = {"np": np, "njit": compiled_as_it_stands}
    exec(text_of(code, [leaf.name for leaf in (*traced.inputs, *traced.parameters)]), space)
    parameters = [tensor.data for tensor in traced.tensors]
    for label in (3, -1):
        labels = np.array([0, 1, label, 2])
        with pytest.raises(IndexError, match="each label must be one of 3 classes"):
            space["step"](arrays[0], labels, *parameters)


def test_a_place_out_of_range_is_refused() -> None:
    loss, arrays = built("places_that_are_data", np.float64)
    traced = trace(loss, *arrays)
    space: dict[str, Any] = {"np": np, "njit": compiled_as_it_stands}
    names = [leaf.name for leaf in (*traced.inputs, *traced.parameters)]
    exec(text_of(loops(traced), names), space)
    with pytest.raises(IndexError, match="at has to be from -3 to 2"):
        space["step"](arrays[0], np.array([0, 3, 0]), *[t.data for t in traced.tensors])


def test_no_array_is_made_within_a_step() -> None:
    for name in EXAMPLES:
        loss, arrays = built(name, np.float64)
        text = "\n".join(loops(trace(loss, *arrays)).statements)
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        assert "empty" not in code
        assert ":]" not in code


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda w: np.cumsum(w, axis=0).sum(), r"np\.cumsum on float64 of shape \(4, 3\)"),
        (lambda w: np.linalg.inv(w[:3]).sum(), r"np\.linalg\.inv .* train eagerly instead"),
        (lambda w: w.astype(np.float16).sum(), "float16"),
        (lambda w: (w[:, None] * np.random.default_rng(0).normal(size=(4, 400, 3))).sum(),
         r"constant array of shape \(4, 400, 3\) is too large"),
    ],
)  # fmt: skip
def test_what_has_no_loops_is_named_with_the_way_out(operation: Any, message: str) -> None:
    w = Tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True)
    traced = trace(lambda X: operation(w * X), np.ones((4, 3)))
    with pytest.raises(Unsupported, match=message):
        loops(traced)


def test_names_of_parameters_do_not_meet_those_of_the_loops() -> None:
    i, s, block = (Tensor(np.full(3, n), requires_grad=True) for n in (1.0, 2.0, 3.0))

    def loss(j: Any) -> Any:
        total = (j * i + s).sum(axis=0)
        return (total * block).sum()

    check(loss, [np.ones((4, 3))], np.float64)
    exp = Tensor(1.0, requires_grad=True)
    with pytest.raises(Unsupported, match="variable exp has the name of a function"):
        loops(trace(lambda X: (X * exp).sum(), np.ones(2)))


@given(expressions())
@settings(max_examples=40, deadline=None)
def test_random_expressions_give_the_eager_gradients(expression: Any) -> None:
    leaves = [Tensor(x, requires_grad=True) for x in expression.leaves]

    def loss(scale: Any) -> Any:
        return sum(np.sum(z * z * scale) for z in expression(*leaves))

    try:
        loops(trace(loss, np.array([0.5])))
    except Unsupported:
        assume(False)
    check(loss, [np.array([0.5])], np.float64, least=100)  # which cancellation may leave less of
