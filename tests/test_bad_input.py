"""What the table's operations say of inputs that they cannot take."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.linalg import LinAlgError

from minigrad import Tensor, check_gradients, primitives
from minigrad.primitive import bare

M, V, NOTHING = np.ones((2, 3)), np.ones(4), np.zeros((0, 3))
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def t(values: Any) -> Any:
    return Tensor(values, requires_grad=True)


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # Shapes that do not match
    "arctan2": (lambda: np.arctan2(t(M), V), ValueError, r"arctan2 of shape \(2, 3\) and \(4,\)"),
    "where": (lambda: np.where(M > 0, t(V), 0.0), ValueError, r"where of shape \(4,\) and \(\)"),
    "clip": (lambda: np.clip(t(M), V, None), ValueError, r"maximum of shape \(2, 3\) and \(4,\)"),
    "dot": (lambda: np.dot(t(M), M), ValueError, r"matmul of shape \(2, 3\) and \(2, 3\)"),
    "tensordot": (
        lambda: np.tensordot(t(M), M, 1), ValueError, r"tensordot of shape .*axes \(1,\)"
    ),
    "tensordot, axes": (
        lambda: np.tensordot(t(M), M, 3), ValueError, r"tensordot of shape .*over 3 axes"
    ),
    "cross": (lambda: np.cross(t(V), V), ValueError, r"cross of shape \(4,\) and \(4,\)"),
    "vecdot": (lambda: np.vecdot(t(M), V), ValueError, r"vecdot of shape \(2, 3\) and \(4,\)"),
    "einsum, lengths": (
        lambda: np.einsum("ij,jk", t(M), M), ValueError,
        r"einsum of shape \(2, 3\) and \(2, 3\) with subscripts='ij,jk->ik': a letter",
    ),
    "einsum, axes": (lambda: np.einsum("i->", t(M)), ValueError, "names 1 .* operand with 2"),
    "einsum, operands": (lambda: np.einsum("i,i", t(V)), ValueError, "2 operand.*was given 1"),
    "einsum, output": (lambda: np.einsum("...i->i", t(M)), ValueError, "the axes of ... too"),
    "stack": (lambda: np.stack([t(M), V]), ValueError, r"stack of shape \(2, 3\) and \(4,\)"),
    "concatenate": (
        lambda: np.concatenate([t(M), V]), ValueError, r"concatenate of shape \(2, 3\) and \(4,\)"
    ),
    "reshape": (
        lambda: t(M).reshape(4, 2), ValueError, r"reshape of shape \(2, 3\) with shape=\(4, 2\)"
    ),
    "split": (lambda: np.split(t(V), 3), ValueError, r"split of shape \(4,\).*array_split"),
    "split, length": (
        lambda: np.split(t(np.ones(5)), 2), ValueError,
        "axis 0 has length 5, which is not a multiple of 2",
    ),
    "squeeze": (lambda: np.squeeze(t(M), 0), ValueError, r"squeeze of shape \(2, 3\) with axis=0"),
    "moveaxis": (lambda: np.moveaxis(t(M), 0, (0, 1)), ValueError, "moveaxis from 0"),
    "diag": (lambda: np.diag(t(M[None])), ValueError, r"diag of shape \(1, 2, 3\)"),
    "solve": (
        lambda: np.linalg.solve(t(np.eye(2)), V), ValueError,
        r"solve of shape \(2, 2\) and \(4,\): the matrices need to be \(..., n, n\)",
    ),
    "solve, a matrix": (
        lambda: np.linalg.solve(t(np.eye(2)), M.T), ValueError,
        r"solve of shape \(2, 2\) and \(3, 2\): the matrices need to be",
    ),
    "matmul, stacks": (
        lambda: t(np.ones((2, 3, 4))) @ np.ones((3, 4, 5)), ValueError,
        "and the axes in front must broadcast",
    ),
    "no such axis": (lambda: np.max(t(M), axis=2), ValueError, "axis 2 is out of bounds"),
    "swapaxes": (lambda: np.swapaxes(t(M), 0, 2), ValueError, "axis 2 is out of bounds"),
    "roll": (lambda: np.roll(t(M), 1, 2), ValueError, "axis 2 is out of bounds"),
    "tril": (lambda: np.tril(t(1.0)), ValueError, r"of shape \(\): accepted is a matrix"),
    "take, fractions": (lambda: t(V).take([0.5]), TypeError, "float64.*'safe'"),
    "weights": (lambda: np.average(t(M), 0, V), ValueError, r"average of shape \(2, 3\): weights"),
    # Nothing to reduce
    "max of nothing": (
        lambda: np.max(t(NOTHING), axis=0), ValueError, r"max of shape \(0, 3\) with axis=0"
    ),
    "median of nothing": (
        lambda: np.median(t(NOTHING), axis=0), ValueError, r"median of shape \(0, 3\) with axis=0"
    ),
    "ptp of nothing": (
        lambda: np.ptp(t(NOTHING), axis=0), ValueError,
        r"ptp of shape \(0, 3\) with axis=0: there is no element",
    ),
    "histogram, whose weights would lose their gradient": (
        lambda: np.histogram(V, weights=t(V)), TypeError, "histogram of a Tensor: the table"
    ),
    "min of nothing": (lambda: t(NOTHING).min(), ValueError, r"min of shape \(0, 3\)"),
    "mean of nothing": (
        lambda: np.mean(t(NOTHING), axis=0), ValueError,
        r"mean of shape \(0, 3\) with axis=0: the mean of no elements",
    ),
    "var of nothing": (
        lambda: np.var(t(NOTHING), axis=0), ValueError, r"var of shape \(0, 3\) with axis=0"
    ),
    "std of too few": (
        lambda: np.std(t(M), axis=1, ddof=3), ValueError, r"axis=1, ddof=3: of 3 element"
    ),
    "logsumexp of nothing": (
        lambda: primitives.logsumexp(t(NOTHING), axis=(0, 1)), ValueError,
        r"logsumexp of shape \(0, 3\) with axis=\(0, 1\)",
    ),
    # Matrices
    "solve, singular": (
        lambda: np.linalg.solve(t(SINGULAR), [1.0, 2.0]), LinAlgError,
        r"solve of shape \(2, 2\) and \(2, 1\): singular matrix; use np.linalg.lstsq\(a",
    ),
    "inv, singular": (
        lambda: np.linalg.inv(t(SINGULAR)), LinAlgError,
        r"inv of shape \(2, 2\): singular matrix; use np.linalg.pinv\(a.data\), or",
    ),
    "cholesky, not definite": (
        lambda: np.linalg.cholesky(t(-np.eye(2))), LinAlgError,
        r"cholesky of shape \(2, 2\): matrix is not positive definite; .*eigenvalues",
    ),
    "inv, not square": (lambda: np.linalg.inv(t(M)), LinAlgError, r"inv of shape \(2, 3\).*square"),
    "det, not square": (lambda: np.linalg.det(t(M)), LinAlgError, r"det of shape \(2, 3\).*square"),
    "det, vector": (lambda: np.linalg.det(t(V)), LinAlgError, r"det of shape \(4,\).*dimensional"),
    "slogdet, derivative at a singular matrix": (
        lambda: np.linalg.slogdet(t(np.zeros((2, 2)))).logabsdet.backward(), LinAlgError,
        r"singular matrix; slogdet of shape \(2, 2\)",
    ),
    "det, second derivative at a singular matrix": (
        lambda: check_gradients(np.linalg.det, SINGULAR), LinAlgError,
        r"det of shape \(2, 2\).*second is not",
    ),
    # Values
    "in place %": (lambda: exec("x %= 2", {"x": t(M)}), TypeError, r"t = t \+ u"),
    "pad of a Tensor constant": (
        lambda: np.pad(t(V), 1, constant_values=t(1.0)), TypeError, r"t\.data"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_error_names_the_operation_and_what_was_given(name: str) -> None:
    call, kind, message = BAD[name]
    with pytest.raises(kind, match=message), np.errstate(divide="ignore"):
        call()


def test_a_reduction_of_nothing_to_nothing_is_no_error() -> None:
    for f in (np.max, np.mean, np.var, np.std, np.linalg.norm, primitives.logsumexp):
        assert f(t(NOTHING), axis=1).shape == (0,)


def test_what_is_not_differentiated_takes_integers_and_booleans() -> None:
    whole: Any = Tensor([[3, 1], [2, 5]])
    assert whole.max(axis=0).data.tolist() == [3, 5]
    assert whole.prod().item() == 30
    small = Tensor(np.full(20, 2, np.int8))
    assert small.prod().item() == 2**20
    assert small.cumprod().data[-1] == 2**20
    np.testing.assert_array_equal((whole % 2).data, [[1, 1], [0, 1]])
    assert np.cumsum(whole).dtype == np.cumsum(whole.data).dtype
    np.testing.assert_array_equal(np.sort(whole, axis=0).data, [[2, 1], [3, 5]])
    assert whole.mean().item() == 2.75
    assert whole.var().item() == np.var(whole.data)
    np.testing.assert_array_equal(np.where(Tensor([True, False]), whole, 0).data, [[3, 0], [2, 0]])
    assert np.einsum("ij->j", whole).data.tolist() == [5, 6]


def test_whole_numbers_that_say_where_may_be_tensors_too() -> None:
    x = t(M)
    two: Any = Tensor(2)
    places: Any = Tensor([0, 1, 1])
    column: Any = Tensor([[0], [1]])
    for z, expected in (
        (np.take(x, places, axis=1), M[:, [0, 1, 1]]),
        (np.take(M, places, axis=1), M[:, [0, 1, 1]]),
        (np.repeat(x, places, axis=1), np.repeat(M, [0, 1, 1], axis=1)),
        (np.repeat(M, two), np.repeat(M, 2)),
        (np.tile(x, places), np.tile(M, [0, 1, 1])),
        (np.tile(M, two), np.tile(M, 2)),
        (np.split(x, two)[0], M[:1]),
        (np.array_split(M, places[1:2])[1], M[1:]),
        (np.delete(x, two, axis=1), M[:, :2]),
        (np.delete(M, two, axis=1), M[:, :2]),
        (np.take_along_axis(M, column, 1), M[:, :1]),
        (x[:, places], M[:, [0, 1, 1]]),
    ):
        np.testing.assert_array_equal(bare(z), expected)


def test_float32_stays_float32_among_python_numbers_and_joins_float64_as_in_numpy() -> None:
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = np.ones(3)
    for f in (
        lambda a: a * 2.0, lambda a: 2 ** a, lambda a: np.hypot(a, 1), lambda a: np.clip(a, 0.0, 2),
        lambda a: np.where(a > 0, a, 0.0), lambda a: a % 0.3, lambda a: np.logaddexp(a, 0),
    ):  # fmt: skip
        x.grad = None
        z = f(x)
        z.sum().backward()
        assert z.dtype == x.grad.dtype == np.float32
    for f in (lambda a: a * y, lambda a: np.arctan2(y, a), lambda a: np.stack([a, y])):
        x.grad = None
        z = f(x)
        z.sum().backward()
        assert z.dtype == np.float64
        assert x.grad.dtype == np.float32
