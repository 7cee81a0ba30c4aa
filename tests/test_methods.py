"""A Tensor's methods give what an ndarray's methods of the same name give."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.methods import ArrayMethods

M = np.array([[0.25, 1.5, -0.75], [2.0, -1.25, 0.5]])

CALLS: dict[str, list[Callable[[Any], Any]]] = {
    "max": [lambda x: x.max(), lambda x: x.max(0), lambda x: x.max(axis=(0, 1), keepdims=True)],
    "min": [lambda x: x.min(), lambda x: x.min(1), lambda x: x.min(axis=-1, keepdims=True)],
    "prod": [lambda x: x.prod(), lambda x: x.prod(1), lambda x: x.prod(axis=0, keepdims=True)],
    "var": [lambda x: x.var(), lambda x: x.var(0), lambda x: x.var(axis=1, ddof=1, keepdims=True)],
    "std": [lambda x: x.std(), lambda x: x.std(0), lambda x: x.std(axis=1, ddof=1, keepdims=True)],
    "cumsum": [lambda x: x.cumsum(), lambda x: x.cumsum(1), lambda x: x.cumsum(axis=0)],
    "cumprod": [lambda x: x.cumprod(), lambda x: x.cumprod(1), lambda x: x.cumprod(axis=0)],
    "ravel": [lambda x: x.ravel(), lambda x: x.T.ravel()],
    "flatten": [lambda x: x.flatten(), lambda x: x.T.flatten()],
    "swapaxes": [lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(-1, 0)],
    "squeeze": [lambda x: x[:1].squeeze(), lambda x: x[:1].squeeze(0), lambda x: x.squeeze(())],
    "diagonal": [lambda x: x.diagonal(), lambda x: x.diagonal(1), lambda x: x.diagonal(0, 1, 0)],
    "trace": [lambda x: x.trace(), lambda x: x.trace(1), lambda x: x.trace(axis1=1, axis2=0)],
    "take": [lambda x: x.take(4), lambda x: x.take([[0, -1]]), lambda x: x.take([2, 2], axis=1)],
    "repeat": [lambda x: x.repeat(2), lambda x: x.repeat([1, 0, 2], axis=1)],
    "dot": [lambda x: x.dot(M.T), lambda x: x.dot([1.0, 2.0, 3.0]), lambda x: x.dot(2.0)],
    "clip": [lambda x: x.clip(0.0), lambda x: x.clip(-1, 1), lambda x: x.clip(max=M[0])],
    "round": [lambda x: x.round(), lambda x: x.round(1), lambda x: x.round(decimals=-1)],
    "copy": [lambda x: x.copy()],
    "argmax": [lambda x: x.argmax(), lambda x: x.argmax(0), lambda x: x.argmax(1, keepdims=True)],
    "argmin": [lambda x: x.argmin(), lambda x: x.argmin(0), lambda x: x.argmin(1, keepdims=True)],
    "argsort": [lambda x: x.argsort(), lambda x: x.argsort(0), lambda x: x.argsort(axis=None)],
    "all": [lambda x: x.all(), lambda x: x.all(axis=0), lambda x: x.all(axis=1, keepdims=True)],
    "any": [lambda x: x.any(), lambda x: x.any(axis=0), lambda x: x.any(axis=1, keepdims=True)],
}
PLAIN = {"argmax", "argmin", "argsort", "all", "any"}


def test_every_method_has_a_check() -> None:
    assert set(CALLS) == {name for name in vars(ArrayMethods) if not name.startswith("_")}


@pytest.mark.parametrize("name", CALLS)
def test_a_method_gives_what_ndarrays_gives(name: str) -> None:
    for call in CALLS[name]:
        x = Tensor(M, requires_grad=True)
        z, expected = call(x), call(M)
        if name in PLAIN:
            assert not isinstance(z, Tensor)
            np.testing.assert_array_equal(z, expected)
        else:
            assert isinstance(z, Tensor)
            assert (z.shape, z.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_allclose(z.data, expected, rtol=1e-14)
            z.sum().backward()
            assert x.grad.shape == M.shape


def test_copy_is_a_new_node_with_values_of_its_own() -> None:
    x = Tensor(M, requires_grad=True)
    z = x.copy()
    assert not np.shares_memory(z.data, x.data)
    z.sum().backward()
    assert x.grad.tolist() == np.ones((2, 3)).tolist()


def test_there_is_no_sort_in_place() -> None:
    with pytest.raises(AttributeError):
        Tensor(M).sort()  # type: ignore[attr-defined]
