"""The compiled loops against the NumPy way of the same functions, and their parts against math."""

import contextlib
import importlib
import math
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from typing import Any

import numba
import numpy as np
import pytest

from minigrad import Tensor, compiled, functional, grad, kernels, primitives
from minigrad.functional.softmax import softmax_vjp
from minigrad.kernels.arrays import exp as exp_of
from minigrad.kernels.arrays import normal_cdf

DTYPES = [np.float64, np.float32]
LOOPS = [
    "add_at", "add_rows_at", "columns_to_image", "cross_entropy", "cross_entropy_vjp", "gelu",
    "gelu_tanh", "gelu_tanh_vjp", "gelu_vjp", "image_to_columns", "index_of_maximum", "keep",
    "layer_norm", "layer_norm_vjp", "layer_norm_weight_vjp", "maximum_2x2", "put_at_maximum_2x2",
    "softmax", "softmax_vjp", "where_positive",
]  # fmt: skip
NEVER = sys.maxsize
gelu_file = importlib.import_module("minigrad.functional.gelu")  # the name is the function's


def gelu_tanh(x: Any) -> Any:
    return functional.gelu(x, "tanh")


def causal_attention(q: Any, k: Any, v: Any) -> Any:
    return functional.scaled_dot_product_attention(q, k, v, causal=True)


def convolution(x: Any, w: Any) -> Any:
    """With a window at each place: columns are shifted channels."""
    return functional.conv2d(x, w, padding=((w.shape[2] - 1) // 2, (w.shape[3] - 1) // 2))


def convolution_with_steps(x: Any, w: Any) -> Any:
    return functional.conv2d(x, w, stride=(2, 1), padding=(1, 3), dilation=(1, 2))


def chosen(x: Any) -> Any:
    return np.where(np.arange(math.prod(x.shape)).reshape(x.shape) % 3 > 0, x, 0.0)


def pooling(x: Any) -> Any:
    return functional.max_pool2d(x, 2)


def overlapping_pooling(x: Any) -> Any:
    return functional.max_pool2d(x, (3, 2), stride=(2, 1), padding=1)


def embedding(weight: Any) -> Any:
    return functional.embedding(weight, np.arange(35).reshape(5, 7) ** 2 % weight.shape[0])


def cross_entropy(logits: Any) -> Any:
    labels = np.arange(math.prod(logits.shape[:-1])).reshape(logits.shape[:-1]) % logits.shape[-1]
    return functional.cross_entropy(logits, labels, reduction="none")


def smoothed_cross_entropy(logits: Any) -> Any:
    labels = -np.arange(logits.shape[0]) % logits.shape[-1]
    return functional.cross_entropy(logits, labels, label_smoothing=0.3, reduction="none")


Shapes = tuple[tuple[int, ...], ...]
# What has a compiled loop, and shapes of its inputs: small and odd ones, then large ones.
SMALL: list[tuple[Callable[..., Any], Shapes]] = [
    *((f, (s,)) for f in (functional.gelu, gelu_tanh) for s in ((), (1,), (7,), (3, 37))),
    *((functional.softmax, (s,)) for s in ((3,), (5, 1), (7, 5), (2, 3, 33))),
    *((functional.layer_norm, (s, s[-1:], s[-1:])) for s in ((3,), (7, 5), (37, 4), (2, 3, 33))),
    *(
        (f, s)
        for f in (functional.scaled_dot_product_attention, causal_attention)
        for s in (
            ((5, 4), (5, 4), (5, 4)),
            ((2, 3, 4, 3), (2, 3, 7, 3), (2, 3, 7, 5)),
            ((2, 7, 3), (2, 4, 3), (2, 4, 2)),
        )
    ),
    *((convolution, ((1, 1, 3, 5), (4, 1, *k))) for k in ((3, 3), (1, 5), (9, 1), (3, 9))),
    *((convolution_with_steps, (s, (4, 2, 3, 2))) for s in ((1, 2, 5, 7), (1, 2, 6, 1))),
    *((f, (s,)) for f in (pooling, overlapping_pooling) for s in ((2, 3, 4, 6), (1, 2, 5, 7))),
    (pooling, ((1, 2, 5, 6),)),
    *((embedding, ((n, 3),)) for n in (1, 4)),
    *((cross_entropy, (s,)) for s in ((3, 5), (7, 1), (2, 3, 33))),
    *((smoothed_cross_entropy, (s,)) for s in ((3, 5), (7, 1))),
]
LARGE: list[tuple[Callable[..., Any], Shapes]] = [
    (functional.gelu, ((161, 103),)),
    (gelu_tanh, ((161, 103),)),
    (functional.softmax, ((161, 103),)),
    (functional.layer_norm, ((161, 103), (103,), (103,))),
    (cross_entropy, ((161, 103),)),
    (functional.scaled_dot_product_attention, ((131, 3), (127, 3), (127, 2))),
    (causal_attention, ((131, 3), (127, 3), (127, 2))),
]
LARGE_AND_LINEAR: list[tuple[Callable[..., Any], Shapes]] = [
    (convolution, ((8, 3, 17, 17), (4, 3, 3, 3))),
    (pooling, ((8, 3, 17, 18),)),
    (overlapping_pooling, ((8, 3, 17, 17),)),
    (embedding, ((9, 67),)),
    (primitives.relu, ((161, 103),)),
    (chosen, ((161, 103),)),
]


def label(case: Any) -> str:
    return getattr(case, "__name__", str(case).replace(" ", ""))


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    """Normal numbers that are the same in float32."""
    rng = np.random.default_rng((seed, *shape))
    return (scale * rng.normal(size=shape)).astype(np.float32).astype(np.float64)


def inputs_of(shapes: Shapes) -> list[Any]:
    return [numbers(*shape, seed=i, scale=1.5) for i, shape in enumerate(shapes)]


@contextlib.contextmanager
def compiled_from(size: int) -> Iterator[None]:
    """Take the compiled loops for arrays of this size or larger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "KERNEL_FROM", size)
        yield


def derive(f: Callable[..., Any], inputs: list[Any], dtype: Any = np.float64) -> list[Any]:
    """Return value and gradients, from a gradient of the value that is no constant."""
    leaves = [Tensor(np.asarray(x, dtype), requires_grad=True) for x in inputs]
    z = f(*leaves)
    z.backward(numbers(*z.shape, seed=9).astype(dtype))
    return [z.data, *(x.grad for x in leaves)]


def spy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will hold the name of every loop that runs."""
    called: list[str] = []

    def counted(name: str, loop: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            called.append(name)
            loop(*arguments)

        return call

    for name in LOOPS:
        monkeypatch.setattr(kernels, name, counted(name, getattr(kernels, name)))
    return called


# The same numbers as NumPy's


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "shapes"), SMALL, ids=label)
def test_loop_gives_the_values_and_gradients_of_the_numpy_way(
    f: Callable[..., Any], shapes: Shapes, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To units of rounding, relative to the largest; float32 is held against float64.

    Attention and convolution are allowed more, for their matrix products.
    """
    units = 32 if "attention" in f.__name__ or "convolution" in f.__name__ else 4
    called = spy(monkeypatch)
    inputs = inputs_of(shapes)
    with compiled_from(NEVER):
        expected = derive(f, inputs)
    assert not called
    with compiled_from(0):
        results = derive(f, inputs, dtype)
    assert called
    for z, exact in zip(results, expected, strict=True):
        assert (z.dtype, z.shape) == (dtype, exact.shape)
        error = np.abs(z - exact).max() / (np.abs(exact).max() or 1.0)
        assert error < units * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(4, 6), (5, 6), (5, 7)])
@pytest.mark.parametrize("f", [pooling, overlapping_pooling, primitives.relu])
def test_loops_choose_as_numpy_does_among_ties_nans_and_infinities(
    f: Callable[..., Any], size: tuple[int, int], dtype: Any
) -> None:
    rng = np.random.default_rng(size)
    x = rng.choice([0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf], (5, 3, *size))
    with compiled_from(NEVER):
        expected = derive(f, [x], dtype)
    with compiled_from(0):
        results = derive(f, [x], dtype)
    for z, exact in zip(results, expected, strict=True):
        np.testing.assert_array_equal(z, exact)


@pytest.mark.parametrize(("f", "shapes"), LARGE, ids=label)
def test_second_derivatives_pass_through_the_loops(
    f: Callable[..., Any], shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Hessian times a vector, of large arrays."""
    called = spy(monkeypatch)
    inputs = inputs_of(shapes)
    z = f(*inputs)
    weights, v = numbers(*z.shape, seed=7), numbers(*inputs[0].shape, seed=8)

    def slope(x: Any) -> Any:
        return (grad(lambda x: (f(x, *inputs[1:]) * weights).sum())(x) * v).sum()

    hessian_times_v = grad(slope)(inputs[0])
    assert len(called) >= 2
    called.clear()
    with compiled_from(NEVER):
        expected = grad(slope)(inputs[0])
    assert not called
    error = np.abs(hessian_times_v - expected).max() / np.abs(expected).max()
    assert error < 16 * np.finfo(float).eps


# Which way is taken


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_c_ordered_arrays_take_the_loops(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called = spy(monkeypatch)
    for f, shapes in LARGE + LARGE_AND_LINEAR:
        derive(f, inputs_of(shapes), dtype)
    assert set(called) == set(LOOPS)


def test_small_arrays_take_the_numpy_way(monkeypatch: pytest.MonkeyPatch) -> None:
    called = spy(monkeypatch)
    for f, shapes in SMALL:
        derive(f, inputs_of(shapes))
    assert not called


@pytest.mark.parametrize(("f", "shapes"), LARGE[:4], ids=label)
def test_strided_integer_and_mixed_arrays_take_the_numpy_way(
    f: Callable[..., Any], shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, *others = inputs_of(shapes)
    ordered = f(x, *others)
    called = spy(monkeypatch)
    padded = np.zeros((2 * len(x), x.shape[1]))
    padded[::2] = x
    for strided in (padded[::2], np.asfortranarray(x)):
        np.testing.assert_allclose(f(strided, *others), ordered, rtol=0, atol=1e-13)
    whole = np.rint(x).astype(int)
    results = [f(whole, *others)]
    single = x.astype(np.float32)
    leaf = Tensor(single, requires_grad=True)
    results.append(f(leaf, *others).data if others else f(single[:, ::-1])[:, ::-1])
    assert not called
    np.testing.assert_allclose(results[0], f(whole.astype(float), *others), rtol=0, atol=1e-13)
    np.testing.assert_allclose(results[1], ordered, rtol=0, atol=1e-6 * np.abs(ordered).max())
    assert called


@pytest.mark.parametrize("f", [functional.gelu, gelu_tanh])
def test_gelu_takes_the_loop_for_the_gradient_of_a_transposed_result(
    f: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = spy(monkeypatch)
    leaf = Tensor(numbers(161, 103), requires_grad=True)
    f(leaf).T.sum().backward()
    assert called in (["gelu", "gelu_vjp"], ["gelu_tanh", "gelu_tanh_vjp"])


@pytest.mark.parametrize("shape", [(103,), (161, 1), (3, 161, 103)])
def test_a_gradient_that_broadcasts_takes_the_numpy_way(shape: tuple[int, ...]) -> None:
    """A loop would read past the end of what is smaller."""
    x, g = numbers(161, 103), numbers(*shape, seed=1)
    gs, xs = (np.ascontiguousarray(each) for each in np.broadcast_arrays(g, x))
    with compiled_from(0):
        for row in (gelu_file.gelu_exact_vjp, gelu_file.gelu_tanh_vjp):
            np.testing.assert_allclose(row(g, x), row(gs, xs), rtol=0, atol=1e-14)
        result, expected = (softmax_vjp(*pair, axis=-1) for pair in ((g, x), (gs, xs)))
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


# NaN, infinity, and numbers far out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("f", "shapes"), LARGE, ids=label)
@pytest.mark.parametrize("column", [0, 2])
def test_nan_stays_in_its_row(
    f: Callable[..., Any], shapes: Shapes, column: int, dtype: Any
) -> None:
    """Of GELU, in its element."""
    inputs = inputs_of(shapes)
    inputs[0][5, column] = np.nan
    z, x_bar, *_ = derive(f, inputs, dtype)
    for result in (z, x_bar):
        found = np.isnan(result)
        expected = np.zeros(result.shape, bool)
        expected[(5, column) if "gelu" in f.__name__ else 5] = True
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [functional.gelu, gelu_tanh, functional.softmax])
def test_infinities_give_what_they_give_the_numpy_way(f: Callable[..., Any], dtype: Any) -> None:
    """But without NumPy's warning where that is NaN: Numba gives none."""
    i = np.inf
    x = [[-i, 0.0, 1.0], [i, 0.0, 1.0], [-i, -i, -i], [i, i, 0.0], [-i, 2.0, i]]
    with compiled_from(NEVER), np.errstate(invalid="ignore"):
        expected = derive(f, [x])
    with compiled_from(0):
        results = derive(f, [x], dtype)
    for z, exact in zip(results, expected, strict=True):
        np.testing.assert_allclose(z, exact, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [functional.gelu, gelu_tanh])
def test_gelu_loops_are_exact_far_out(f: Callable[..., Any], dtype: Any) -> None:
    huge = 1e12
    with compiled_from(0):
        z, slope = derive(f, [[-huge, -1e4, 1e4, huge]], dtype)
    g = numbers(4, seed=9).astype(dtype)
    np.testing.assert_array_equal(z, np.array([0, 0, 1e4, huge], dtype))
    np.testing.assert_array_equal(slope, [0, 0, g[2], g[3]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_loop_of_huge_logits(dtype: Any) -> None:
    """What lies far below the maximum gets a weight of 0, not one near it."""
    h = 1e4
    with compiled_from(0):
        p = functional.softmax(np.array([[h, 0, -h], [-h, -h, 0], [h, h, -h]], dtype))
    np.testing.assert_array_equal(p, [[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0]])


# The functions of one number


@numba.njit  # type: ignore[untyped-decorator]
def exponentials(x: Any, z: Any) -> None:
    for i in range(x.size):
        z[i] = exp_of(x[i])


@numba.njit  # type: ignore[untyped-decorator]
def normal_cdfs(x: Any, cdf: Any, density: Any) -> None:
    for i in range(x.size):
        cdf[i], density[i] = normal_cdf(x[i])


def exp(x: Any) -> Any:
    z = np.empty_like(x)
    exponentials(x, z)
    return z


# Below the first, exp is 0, and above the second infinite.
ENDS = {
    np.float64: (-1022.5 * math.log(2), 1023.5 * math.log(2)),
    np.float32: (-126.5 * math.log(2), 127.5 * math.log(2)),
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_within_two_units_of_rounding(dtype: Any) -> None:
    """Over its whole range: 1.4 units, or 1.7 where the result is denormal."""
    low, high = ENDS[dtype]
    rng = np.random.default_rng(0)
    x = np.concatenate([
        rng.uniform(low, high, 20_000), rng.uniform(-1, 1, 5_000), rng.uniform(low, low + 1, 2_000),
        np.arange(-80, 80) * (math.log(2) / 2), [0.0, -0.0, low * (1 - 1e-6), high * (1 - 1e-6)],
    ]).astype(dtype)  # fmt: skip
    exact = np.array([math.exp(a) for a in x.tolist()])
    assert exact.min() < np.finfo(dtype).tiny
    error = np.abs(exp(x) - exact) / exact
    assert error.max() < 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_beyond_its_range_is_zero_or_infinite(dtype: Any) -> None:
    low, high = ENDS[dtype]
    below = np.array([low * (1 + 1e-6), low * 1.01, low - 2, -1e4, -1e30, -np.inf], dtype)
    above = np.array([high * (1 + 1e-6), high * 1.01, high + 2, 1e4, 1e30, np.inf], dtype)
    np.testing.assert_array_equal(exp(below), 0)
    np.testing.assert_array_equal(exp(above), np.inf)
    assert np.isnan(exp(np.array([np.nan], dtype)))


PI = Decimal("3.14159265358979323846264338327950288419716939937511")


def exact_normal_cdf(x: float) -> tuple[Decimal, Decimal]:
    """Φ(x) and φ(x), to 40 digits.

    Near 0 by  Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/(3·5) + ...), to its left by the continued fraction
    Φ(-a) = φ(a) / (a + 1/(a + 2/(a + 3/...))), and 1 - Φ(-x) to its right.
    """
    with localcontext() as context:
        context.prec = 50
        a = abs(Decimal(x))
        density = (-a * a / 2).exp() / (2 * PI).sqrt()
        if a < 2:
            term = total = a
            for n in range(3, 121, 2):
                term *= a * a / n
                total += term
            tail = Decimal("0.5") - density * total
        else:
            fraction = a
            for n in range(400, 0, -1):
                fraction = a + n / fraction
            tail = density / fraction
        return tail if x < 0 else 1 - tail, density


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_cdf_and_density_keep_their_digits_far_to_the_left(dtype: Any) -> None:
    """To 6 + x² units of rounding: a relative error of δ in x is one of x²δ in exp(-x²/2)."""
    far = {np.float64: 37.5, np.float32: 13.0}[dtype]
    x = np.concatenate([np.linspace(-far, 9, 401), np.linspace(-2, 2, 201), [1e-30, -1e-30]])
    x = x.astype(dtype)
    cdf, density = np.empty_like(x), np.empty_like(x)
    normal_cdfs(x, cdf, density)
    for i, a in enumerate(x.tolist()):
        for ours, exact in zip((cdf[i], density[i]), exact_normal_cdf(a), strict=True):
            error = abs(Decimal(float(ours)) / exact - 1)
            assert error < Decimal(6 + a * a) * Decimal(float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_normal_cdf_and_density_far_out(dtype: Any) -> None:
    x = np.array([-np.inf, -1e30, -1e4, -40, 40, 1e4, 1e30, np.inf], dtype)
    cdf, density = np.empty_like(x), np.empty_like(x)
    normal_cdfs(x, cdf, density)
    np.testing.assert_array_equal(cdf, [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(density, 0)


def test_the_functions_are_the_same_without_numba() -> None:
    x = np.linspace(-6.0, 6.0, 25)
    cdf, density = np.empty_like(x), np.empty_like(x)
    normal_cdfs(x, cdf, density)
    np.testing.assert_allclose(exp_of(x), exp(x), rtol=1e-15)
    for plain, loop in zip(normal_cdf(x), (cdf, density), strict=True):
        np.testing.assert_allclose(plain, loop, rtol=1e-14)


@pytest.mark.parametrize("size", [0, NEVER], ids=["compiled", "NumPy"])
def test_exact_gelu_keeps_its_digits_far_to_the_left(size: int) -> None:
    """In the NumPy way too, where x / √2 is rounded before it is squared."""
    x = np.linspace(-37.5, -0.1, 300)
    with compiled_from(size):
        z = functional.gelu(x)
    for a, ours in zip(x.tolist(), z.tolist(), strict=True):
        exact = Decimal(a) * exact_normal_cdf(a)[0]
        error = abs(Decimal(ours) / exact - 1)
        assert error < Decimal(6 + 2 * a * a) * Decimal(2.0**-52)
