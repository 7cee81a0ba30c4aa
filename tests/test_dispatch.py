"""NumPy's own functions and operators find the table."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor

M = np.arange(6.0).reshape(2, 3) / 4 + 0.25


@pytest.fixture
def t() -> Tensor:
    return Tensor(M, requires_grad=True)


SAME: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: np.exp(x),
    "ufunc of two": lambda x: np.add(x, M),
    "array on the left": lambda x: M * x,
    "array divided by": lambda x: M / x,
    "matrix on the left": lambda x: M.T @ x,
    "NumPy scalar on the left": lambda x: np.float64(2) * x,
    "list on the left": lambda x: [1.0, 2.0, 3.0] * x,
    "power with a number on the left": lambda x: 2.0**x,
    "sum": lambda x: np.sum(x),
    "sum, positional axis": lambda x: np.sum(x, 0),
    "sum, keywords": lambda x: np.sum(x, axis=(0, 1), keepdims=True),
    "sum, the argument by name": lambda x: np.sum(a=x, axis=1),
    "add.reduce, its own default axis": lambda x: np.add.reduce(x),
    "sum, defaults given": lambda x: np.sum(x, axis=0, dtype=None, out=None),
    "where": lambda x: np.where(M > 1, x, 0.0),
    "list times matrix": lambda x: [1.0, 2.0] @ x,
    "transpose of a vector": lambda x: x.reshape(-1).transpose(0),
    "indexing by a tensor": lambda x: x[Tensor([1, 0])] if isinstance(x, Tensor) else x[[1, 0]],
    "concatenate with lists": lambda x: np.concatenate([[[1.0, 2.0, 3.0]], x]),
    "add.reduce": lambda x: np.add.reduce(x, axis=1),
    "mean": lambda x: np.mean(x, axis=-1),
    "mean over two axes of three": lambda x: np.mean(x.reshape(1, 2, 3), axis=(0, 2)),
    "mean over axes by negative number": lambda x: np.mean(x, axis=(-1, 0), keepdims=True),
    "mean over no axes": lambda x: np.mean(x, axis=()),
    "transpose by a NumPy integer": lambda x: x.reshape(-1).transpose(np.int64(0)),
    "concatenate over the last axis": lambda x: np.concatenate([x, x[:, :1]], -1),
    "tuple as an operand": lambda x: x * (1.0, 2.0, 3.0),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "reshape to one axis": lambda x: np.reshape(x, -1),
    "transpose": lambda x: np.transpose(x),
    "transpose, axes": lambda x: np.transpose(x, (1, 0)),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "concatenate": lambda x: np.concatenate([x, M, x], axis=-1),
    "stack of rows": lambda x: np.stack([x[0], M[1], [1.0, 2.0, 3.0]]),
    "outer of a ufunc": lambda x: np.subtract.outer(x, M[0]),
    "outer of a ufunc, array first": lambda x: np.add.outer(M, x[0]),
    "ptp by keyword": lambda x: np.ptp(a=x, axis=1, out=None),
    "max, the argument by name": lambda x: np.max(a=x, axis=(0,), out=None),
    "clip with NumPy's keywords": lambda x: np.clip(x, a_min=0.5, a_max=None),
    "bounds that are Tensors": lambda x: np.clip(M, x - 0.1, x + 0.1),
    "modulo, number on the left": lambda x: 7.3 % x,
    "array modulo": lambda x: (M + 7.3) % x,
    "floor divided": lambda x: x // 0.3,
    "floor divided, number on the left": lambda x: 7.3 // x,
    "abs": lambda x: abs(x),
    "built-in round": lambda x: x.round(1) if isinstance(x, np.ndarray) else round(x, 1),
    "max of a list of arrays": lambda x: np.max(np.stack([x, M]), axis=0),
    "sum of Python's": lambda x: sum(x),
    "inner with a list": lambda x: np.inner(x, [1.0, 2.0, 3.0]),
    "outer with a list": lambda x: np.outer([1.0, 2.0], x),
    "tensordot, array first": lambda x: np.tensordot(M, x, ([0], [0])),
    "einsum, array first": lambda x: np.einsum("ij,ij->i", M, x),
    "einsum with a list": lambda x: np.einsum("ij,j", x, [1.0, 2.0, 3.0]),
    "solve, array first": lambda x: np.linalg.solve(np.eye(2) + 1, x),
    "solve, Tensor first": lambda x: np.linalg.solve(x[:, :2] + np.eye(2), [1.0, 2.0]),
    "vstack with a list": lambda x: np.vstack([x, [1.0, 2.0, 3.0]]),
    "where with a Tensor condition": lambda x: np.where(x > 1, 0.0, x),
    "average with weights": lambda x: np.average(M, weights=x),
    "kron, array first": lambda x: np.kron(M, x),
    "hypot with a number": lambda x: np.hypot(x, 1),
    "permute_dims": lambda x: np.permute_dims(x, (1, 0)),
    "concat": lambda x: np.concat([x, M]),
    "pow": lambda x: np.pow(x, 2),
    "acos": lambda x: np.acos(x / 10),
    "concatenate, flat": lambda x: np.concatenate((x, M), None),
    "astype": lambda x: np.astype(x, np.float32),
    "maximum": lambda x: np.maximum(1.0, x),
    "dot": lambda x: np.dot(x, M.T),
    "dot with a number": lambda x: np.dot(2.0, x),
    "dot of a stack and a vector": lambda x: np.dot(x.reshape(2, 1, 3), M[0]),
    "matmul": lambda x: np.matmul(x, M.T),
    "indexing": lambda x: x[:, ::-2],
    "method sum": lambda x: x.sum(axis=0, keepdims=True),
    "method mean": lambda x: x.mean(),
    "method reshape": lambda x: x.reshape(3, -1),
    "method transpose": lambda x: x.transpose(1, 0),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
}


@pytest.mark.parametrize("name", SAME)
def test_numpy_notation_gives_a_recorded_tensor_with_numpys_values(name: str, t: Tensor) -> None:
    result, expected = SAME[name](t), SAME[name](M)
    assert isinstance(result, Tensor)
    assert result.requires_grad
    np.testing.assert_array_equal(result.data, expected)
    assert result.dtype == expected.dtype
    result.sum().backward()
    assert t.grad.shape == t.shape


PLAIN: dict[str, Callable[[Any], Any]] = {
    "equal": lambda x: np.equal(x, 0.5),
    "greater": lambda x: np.greater(x, M.mean()),
    "isfinite": lambda x: np.isfinite(x),
    "shape": lambda x: np.shape(x),
    "argmax": lambda x: np.argmax(x, axis=1),
    "method argmax": lambda x: x.argmax(axis=1),
    "method argmin": lambda x: x.argmin(),
    "method argsort": lambda x: x.argsort(axis=0),
    "method any": lambda x: x.any(axis=1),
    "method all": lambda x: x.all(),
    "argsort": lambda x: np.argsort(x),
    "nonzero": lambda x: np.nonzero(x),
    "count_nonzero": lambda x: np.count_nonzero(x, axis=0),
    "any": lambda x: np.any(x),
    "isclose": lambda x: np.isclose(x, M),
    "full_like": lambda x: np.full_like(x, 2.0),
    "zeros_like": lambda x: np.zeros_like(x),
    "argument by name": lambda x: np.argmax(a=x, axis=1),
    "second argument by name": lambda x: np.allclose(M, b=x),
}


@pytest.mark.parametrize("name", PLAIN)
def test_functions_without_a_derivative_give_plain_arrays(name: str, t: Tensor) -> None:
    result = PLAIN[name](t)
    assert not isinstance(result, Tensor)
    np.testing.assert_array_equal(result, PLAIN[name](M))


UNKNOWN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "ufunc": (lambda x: np.nextafter(x, 1.0), r"numpy\.nextafter"),
    "function": (lambda x: np.percentile(x, 50), r"numpy\.percentile"),
    "function of a sub-package": (lambda x: np.fft.fft(x), r"numpy\.fft\.fft"),
    "ufunc method": (lambda x: np.divide.reduce(x), r"numpy\.divide\.reduce"),
    "ufunc method at": (lambda x: np.add.at(x, 0, 1.0), r"numpy\.add\.at changes .* in place"),
    "change in place": (lambda x: np.put(x, [0], 1.0), r"numpy\.put changes .*np\.where"),
    "change of an array in place": (lambda x: np.copyto(np.zeros((2, 3)), x), r"numpy\.copyto"),
    "option of a ufunc method": (lambda x: np.multiply.reduce(x, where=M > 1), "with where="),
    "option of a reduction": (lambda x: np.max(x, initial=0.0), "with initial="),
    "option of a composition": (lambda x: np.var(x, dtype=np.float32), "with dtype="),
    "option of a composition by place": (
        lambda x: np.std(x, 0, np.float32),
        r"numpy\.std of a Tensor: minigrad knows the arguments a, axis, ddof.*compositions",
    ),
    "mode of take": (lambda x: np.take(x, [7], mode="clip"), "with mode="),
    "mode of pad": (lambda x: np.pad(x, 1, mode="edge"), "mode='edge'.*'constant'"),
    "norm by singular values": (lambda x: np.linalg.norm(x, 2), "singular value"),
    "decomposition": (lambda x: np.linalg.svd(x), r"numpy\.linalg\.svd"),
    "einsum by lists": (lambda x: np.einsum(x, [0, 1], [1]), "'ij,jk->ik'"),
    "option of a joining function": (lambda x: np.concatenate([x], dtype=float), "with dtype="),
    "where with one argument": (lambda x: np.where(x), r"numpy\.where"),
    "option": (lambda x: np.sum(x, dtype=np.float32), "with dtype=.*has no such row"),
    "ufunc option": (lambda x: np.add(x, 1, where=M > 1), "with where="),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_the_table_lacks_is_named(name: str, t: Tensor) -> None:
    call, named = UNKNOWN[name]
    with pytest.raises(TypeError, match=named):
        call(t)


def test_error_broadcast_to_fewer_axes(t: Tensor) -> None:
    with pytest.raises(ValueError, match="more axes than the shape"):
        np.broadcast_to(t[None], (2, 3))


def test_error_result_into_an_existing_array(t: Tensor) -> None:
    total = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"a = a \+ t"):
        total += t
    np.testing.assert_array_equal(total, 0.0)
    with pytest.raises(TypeError, match="array that exists"):
        np.exp(t, out=total)
