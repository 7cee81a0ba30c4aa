"""What NumPy code does with arrays, traced: the same, on other data too, or a clear refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, functional, nn
from minigrad.tracing import Unsupported, ValueNeeded, source, trace
from minigrad.tracing.record import Recorder
from minigrad.tracing.symbol import Symbol

w = Tensor(np.array([0.5, -1.0, 2.0, 0.25]), requires_grad=True)
W = Tensor(np.arange(16.0).reshape(4, 4) / 7, requires_grad=True)
rng = np.random.default_rng(0)
TRACED, OTHER = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
LABELS, OTHER_LABELS = np.array([0, 1, 2]), np.array([3, 3, 1])


def bits_of_both(
    loss: Callable[..., Any], traced: tuple[Any, ...], other: tuple[Any, ...]
) -> tuple[list[Any], list[Any]]:
    """Loss and gradients on other data than traced: of the text, and of the engine."""
    names: dict[str, Any] = {}
    step = trace(loss, *traced)
    exec(compile(source(step), "<step>", "exec"), names)
    found = names["step"](*other, *(p.data for p in step.tensors))
    for p in step.tensors:
        p.grad = None
    eager = loss(*other)
    eager.backward()
    return list(found), [eager.data, *(p.grad for p in step.tensors)]


def same(found: list[Any], expected: list[Any]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


def out_of_a_reduction(X: Any) -> Any:
    sums = np.tanh(X[0])
    np.sum(X, axis=0, out=sums)
    return (sums * w).sum()


def out_of_clip(X: Any) -> Any:
    a = X * 2
    np.clip(a, -1, 1, out=a)
    return (a @ w).sum()


def out_of_cumsum(X: Any) -> Any:
    a = X * 2
    np.cumsum(X, axis=0, out=a)
    return (a @ w).sum()


def out_of_a_ufunc(X: Any) -> Any:
    a = X * 2
    b = a
    np.add(X, 1, out=a)
    b *= 3
    return (a @ w).sum()


def out_of_another_layout(X: Any) -> Any:
    a = X * 2
    np.add(a, np.asfortranarray(np.ones((3, 4))), out=a)
    return (a * w).sum() + np.exp(a).sum(axis=1).sum()


def a_number_that_is_not_changed(X: Any) -> Any:
    s = X.sum()
    before = s
    s += 1
    return (X @ w).sum() * s + before


def ufunc_reductions(X: Any) -> Any:
    rows = np.add.reduce(X) + np.maximum.reduce(X) * np.add.reduce(X, keepdims=True)
    return (rows * w).sum() * np.add.reduce(X, None) + np.minimum.reduce(X, -1).sum()


def reduction_of_a_number(X: Any) -> Any:
    return (X @ w).sum() * np.add.reduce(X.sum()) * np.sum(X.max(), axis=-1)


def positional_keepdims(X: Any) -> Any:
    Z = X / X.max(1, None, True) + X.sum(1, None, None, True) * X.mean(1, None, None, True)
    return ((Z * X.min(0, None, True)) @ w).sum()


def masks_of_its_own(X: Any) -> Any:
    z: Any = 0.0
    m = np.ones(4)
    for i in range(3):
        m = m.copy()
        m[i] = 0
        z = z + (X * m) @ w
    return z.sum()


def copies_of_other_layouts(X: Any) -> Any:
    Y = np.concatenate([X] * 16)
    columns = (Y.T.copy().sum(1) * 3, np.copy(Y.T).sum(1), np.copy(Y.T, "C").sum(1))
    return sum((column * w).sum() for column in columns) + Y[:, ::2].copy().sum()


def flattened(X: Any) -> Any:
    a = X.T.flatten()
    a *= 2
    return (a.reshape(4, 3).T @ w).sum()


def changed_copy(X: Any) -> Any:
    a = X * 2
    b = a.copy()
    c = a.astype(float)
    b += 1
    c *= 3
    return ((a + b * c) @ w).sum()


def another_name(X: Any) -> Any:
    a = np.tanh(X)
    b = a.astype(float, copy=False)
    b *= 2
    return (a @ w + b @ w).sum()


def moved(X: Any) -> Any:
    Z = np.moveaxis(np.expand_dims(X, 0), (0, 2), (2, 0)).squeeze().swapaxes(0, 1)
    return (Z @ w).sum()


def joined(X: Any) -> Any:
    return (np.concatenate([X, X * 2], axis=-2) @ w).sum()


@pytest.mark.parametrize(
    "loss",
    [
        out_of_a_reduction, out_of_clip, out_of_cumsum, out_of_a_ufunc, out_of_another_layout,
        a_number_that_is_not_changed, ufunc_reductions, reduction_of_a_number, positional_keepdims,
        masks_of_its_own, copies_of_other_layouts, flattened,
        changed_copy, another_name, moved, joined,
    ],
)  # fmt: skip
def test_on_other_data_the_text_gives_the_bits_of_the_engine(loss: Callable[..., Any]) -> None:
    assert same(*bits_of_both(loss, (TRACED,), (OTHER,)))


def label_scores(X: Any, y: Any) -> Any:
    return -((X @ W)[np.arange(len(X)), y]).mean()


def label_scores_along(X: Any, y: Any) -> Any:
    return np.take_along_axis(X @ W, y[:, None], axis=1).sum()


def one_hot(X: Any, y: Any) -> Any:
    return (X @ W * np.equal(y[:, None], np.arange(4))).sum()


def embedded(X: Any, y: Any) -> Any:
    return functional.embedding(W, y).sum() + (X @ W).sum()


@pytest.mark.parametrize("loss", [label_scores, label_scores_along, one_hot, embedded])
def test_labels_may_be_indices(loss: Callable[..., Any]) -> None:
    assert same(*bits_of_both(loss, (TRACED, LABELS), (OTHER, OTHER_LABELS)))


def view_by(function: Callable[..., Any]) -> Callable[..., Any]:
    def loss(X: Any) -> Any:
        a = np.tanh(X)
        c = function(a)
        c *= 2
        return (a @ w + c @ w).sum()

    return loss


def into_an_array(X: Any) -> Any:
    buffer = np.empty((3, 4))
    np.add(X, 1, out=buffer)
    return (X @ w).sum() * buffer.sum()


def added_to_an_array(X: Any) -> Any:
    total = np.zeros((3, 4))
    total += X
    return (X @ w).sum() * total.sum()


def summed_into_an_array(X: Any) -> Any:
    buffer = np.empty(4)
    np.sum(X, axis=0, out=buffer)
    return (buffer * w).sum()


def changes_a_parameter(X: Any) -> Any:
    np.fill_diagonal(W.data, 0)
    return (X @ W).sum()


def copies_into_an_array(X: Any) -> Any:
    buffer = np.empty((3, 4))
    np.copyto(buffer, X)
    return (buffer @ w).sum()


def bakes_a_value_in(X: Any) -> Any:
    return (np.full_like(X, X.mean()) @ w).sum()


CHANGED = r"changed in place|changes an array in place"
WRITES = "writes into an array"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (view_by(np.flip), CHANGED),
        (view_by(np.atleast_2d), CHANGED),
        (view_by(lambda a: a.reshape(3, 4)), CHANGED),
        (view_by(lambda a: a[:]), CHANGED),
        (into_an_array, r"np\.add " + WRITES),
        (added_to_an_array, r"np\.add " + WRITES),
        (summed_into_an_array, r"np\.sum " + WRITES),
        (changes_a_parameter, r"np\.fill_diagonal changes an array in place"),
        (copies_into_an_array, r"np\.copyto changes an array in place"),
        (lambda X: (np.clip(X * 2, -1, 1, X * 3) @ w).sum(), r"np\.clip " + "changes"),
        (lambda X: (np.sum(X, 0, None, X[0]) * w).sum(), r"np\.sum with out"),
        (lambda X: (np.add.reduce(X, out=np.exp(X[0]).astype("f")) * w).sum(), "another type"),
        (lambda X: ((X * 2).sort() or X @ w).sum(), r"\.sort\(\) changes"),
        (lambda X: ((X * 2).partition(1) or X @ w).sum(), r"\.partition\(\) changes"),
        (lambda X: ((X * 2).fill(1) or X @ w).sum(), r"\.fill\(\) changes"),
        (lambda X: (np.reshape(X, (4, 3), order="F").T @ w).sum(), r"np\.reshape with order"),
        (lambda X: (X.reshape(4, 3, order="F").T @ w).sum(), r"np\.reshape with order"),
        (lambda X: (X.ravel("F")[:4] * w).sum(), r"np\.ravel with order"),
        (lambda X: (X.flatten("F")[:4] * w).sum(), r"flatten with order"),
        (lambda X: (np.concatenate([X, X], dtype=np.float32) @ w).sum(), "concatenate with dtype"),
        (lambda X: (np.sum(X, 0, initial=3.0) * w).sum(), r"np\.sum with initial"),
        (lambda X: (X.max(0, where=X > 0, initial=0) * w).sum(), r"np\.max with initial, where"),
        (bakes_a_value_in, r"np\.full_like with a fill value"),
        (lambda X: (np.split(X, 3)[0] @ w).sum(), r"np\.split .*gives no single array"),
        (lambda X: (X @ w).sum() * np.eye(3)[X].sum(), r"one-hot rows np\.equal"),
        (lambda X: (X.view(np.int64) @ w).sum(), "view with another type"),
    ],
)
def test_what_would_be_something_else_is_refused(loss: Callable[..., Any], message: str) -> None:
    before = W.data.copy()
    with pytest.raises(Unsupported, match=message) as raised:
        trace(loss, TRACED)
    assert np.array_equal(W.data, before)
    assert "test_trace_forms.py:" in str(raised.value)
    assert "eagerly" in str(raised.value)


def test_attributes_that_a_traced_array_lacks_are_named() -> None:
    for name in ("real", "flat", "strides"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}'.*eagerly"):
            trace(lambda X, name=name: (getattr(X, name) @ w).sum(), TRACED)


def test_a_layer_that_fills_arrays_is_refused_by_name() -> None:
    attention = nn.MultiHeadAttention(4, 2, rng=np.random.default_rng(0))
    with pytest.raises(Unsupported, match=r"attention.*eagerly"):
        trace(lambda X: attention(X).sum(), np.ones((2, 3, 4)))


def changing_mask(X: Any) -> Any:
    z: Any = 0.0
    m = np.ones(4)
    for i in range(3):
        m[i] = 0
        z = z + (X * m) @ w
    return z.sum()


def test_a_constant_that_is_changed_after_its_use_is_refused() -> None:
    with pytest.raises(Unsupported, match="changed in place after"):
        trace(changing_mask, TRACED)


def test_a_refusal_that_the_loss_catches_is_one_all_the_same() -> None:
    def loss(X: Any) -> Any:
        z = (X @ w).sum()
        try:
            return z if z > 0 else -z
        except TypeError:
            return z

    with pytest.raises(ValueNeeded, match="if z > 0"):
        trace(loss, TRACED)


def test_a_constant_is_one_node_that_keeps_its_layout_and_may_not_change() -> None:
    recorder = Recorder(len)
    mask = np.asfortranarray(np.ones((2, 3)))
    first = recorder.constant(mask)
    assert first is recorder.constant(mask)
    assert first.value.flags.f_contiguous
    recorder.check_constants()
    mask[0] = 0
    for use in (recorder.check_constants, lambda: recorder.constant(mask)):
        with pytest.raises(Unsupported, match="changed in place after"):
            use()


def test_a_refusal_is_remembered() -> None:
    recorder = Recorder(len)
    X = Symbol(recorder.leaf("input", TRACED, "X"), recorder)
    with pytest.raises(ValueNeeded) as raised:
        bool(X)
    assert recorder.refused is raised.value
    assert re.search("np.where", str(recorder.refused))
