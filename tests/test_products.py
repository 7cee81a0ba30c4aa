"""The compiled matrix product, and when it takes over from BLAS."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minigrad import DataParallel, Tensor, compiled, functional, linear_maps
from minigrad.kernels import products

needs_tiles = pytest.mark.skipif(not products.AVAILABLE, reason="the processor has no AVX-512")
DTYPES = [np.float32, np.float64]
# Of z; one block and less, several, and depths at which the sums go on from what lies in z.
SIZES = [(8, 32, 1), (64, 96, 37), (200, 32, 512), (72, 64, 513), (136, 128, 1100)]


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Make this thread one of `DataParallel`'s; the list tells for which z the loop ran."""
    written: list[Any] = []
    loop = products.product

    def spied(*arguments: Any) -> None:
        loop(*arguments)
        written.append(arguments[-1])

    monkeypatch.setattr(compiled, "PRODUCT_FROM", 0)
    monkeypatch.setattr(products, "product", spied)
    compiled.this_thread.has_one_core = True
    yield written
    compiled.this_thread.has_one_core = False


def numbers(*shape: int, dtype: Any, seed: int = 0) -> Any:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(dtype)


@needs_tiles
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns", "depth"), SIZES)
def test_product_is_that_of_float64(
    rows: int, columns: int, depth: int, dtype: Any, one_core: list[Any]
) -> None:
    """To the rounding of a sum: (depth + 2) ε Σ |x y|, of y as it is and transposed."""
    x, bias = numbers(rows, depth, dtype=dtype), numbers(columns, dtype=dtype, seed=1)
    y = numbers(depth, columns, dtype=dtype, seed=2)
    exact = x.astype(np.longdouble) @ y.astype(np.longdouble)
    bound = (depth + 2) * np.finfo(dtype).eps * (np.abs(x) @ np.abs(y) + np.abs(bias))
    for each in (y, np.asfortranarray(y)):
        z, with_bias = linear_maps.product(x, each), linear_maps.product(x, each, bias)
        assert np.all(np.abs(z - exact) <= bound)
        assert np.all(np.abs(with_bias - (exact + bias)) <= bound)
        assert (z.dtype, with_bias.dtype) == (dtype, dtype)
    assert len(one_core) == 4


@needs_tiles
def test_product_of_what_tiles_do_not_cover_is_left_to_blas(one_core: list[Any]) -> None:
    x, y = numbers(16, 8, dtype=np.float32), numbers(8, 64, dtype=np.float32)
    padded = np.zeros((16, 16), np.float32)
    padded[:, ::2] = x
    for left, right in ((x[:12], y), (x, y[:, :40]), (padded[:, ::2], y), (x.astype(float), y)):
        exact = left.astype(float) @ right.astype(float)
        bound = (8 + 2) * np.finfo(np.float32).eps * (np.abs(left) @ np.abs(right))
        assert np.all(np.abs(linear_maps.product(left, right) - exact) <= bound)
    assert not one_core
    linear_maps.product(x, y)
    assert len(one_core) == 1
    z = linear_maps.product(x, y, np.ones(64))  # a bias of another dtype decides the result's
    assert (z.dtype, len(one_core)) == (np.float64, 1)
    with pytest.raises(ValueError, match="shapes"):
        linear_maps.product(x, y[:4])


@needs_tiles
def test_nan_and_infinity_stay_in_their_row(one_core: list[Any]) -> None:
    x, y = numbers(16, 8, dtype=np.float64), np.abs(numbers(8, 16, dtype=np.float64))
    x[3, 2], x[10, 7] = np.nan, np.inf
    z = linear_maps.product(x, y)
    assert len(one_core) == 1
    assert np.isnan(z).all(axis=1).nonzero()[0].tolist() == [3]
    assert (z == np.inf).all(axis=1).nonzero()[0].tolist() == [10]
    assert np.isfinite(z).all(axis=1).sum() == 14


@needs_tiles
def test_threads_of_data_parallel_multiply_by_tiles_and_others_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    loop = products.product

    def spied(*arguments: Any) -> None:
        loop(*arguments)
        called.append("product")

    monkeypatch.setattr(products, "product", spied)
    x = numbers(256, 128, dtype=np.float32)
    w = Tensor(numbers(128, 128, dtype=np.float32, seed=1), requires_grad=True)
    b = Tensor(numbers(128, dtype=np.float32, seed=2), requires_grad=True)

    def loss(x: Any) -> Any:
        return functional.affine(functional.affine(x, w, b), w, b).mean()

    whole = loss(x)
    whole.backward()
    assert not called
    expected = w.grad, b.grad
    w.grad = b.grad = None
    assert DataParallel(loss, parts=2)(x) == pytest.approx(whole.item(), rel=1e-5)
    assert called == ["product"] * 6  # in each part two affine maps, and the gradient of one's x
    for parameter, g in zip((w, b), expected, strict=True):
        np.testing.assert_allclose(parameter.grad, g, rtol=0, atol=1e-5 * np.abs(g).max())
