"""What holds for any input of the functions, searched by Hypothesis; and where ties go."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minigrad import Tensor, functional
from minigrad.functional.convolution import conv2d_input_gradient, conv2d_weight_gradient
from minigrad.functional.pooling import mean_of_windows_transpose
from minigrad.functional.windows import Windows

LOGITS = hnp.arrays(
    float, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e4, 1e4, width=32)
)


@given(LOGITS, st.data())
def test_softmax_sums_to_1_and_does_not_see_a_shift(x: Any, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    shift = data.draw(st.integers(-1000, 1000))
    p = functional.softmax(x, axis)
    np.testing.assert_allclose(p.sum(axis), 1, rtol=1e-14)
    assert (p >= 0).all()
    np.testing.assert_allclose(functional.softmax(x + shift, axis), p, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(np.exp(functional.log_softmax(x, axis)), p, rtol=1e-11, atol=1e-300)


@given(LOGITS, st.sampled_from(["mean", "sum", "none"]), st.floats(0, 1), st.data())
def test_cross_entropy_of_labels_is_that_of_their_unit_vectors(
    x: Any, reduction: str, smoothing: float, data: st.DataObject
) -> None:
    classes = x.shape[-1]
    labels = data.draw(hnp.arrays(np.int64, x.shape[:-1], elements=st.integers(0, classes - 1)))
    results = []
    for target in (labels, np.eye(classes)[labels]):
        leaf = Tensor(x, requires_grad=True)
        loss = functional.cross_entropy(
            leaf, target, label_smoothing=smoothing, reduction=reduction
        )
        loss.sum().backward()
        results.append((loss.data, leaf.grad))
    (a, a_gradient), (b, b_gradient) = results
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(a_gradient, b_gradient, rtol=0, atol=1e-14)


@given(hnp.arrays(float, (2, 3), elements=st.floats(-30, 30)))
def test_binary_cross_entropy_is_that_of_two_classes(x: Any) -> None:
    """σ(x) is the softmax of (x, 0)."""
    target = np.array([[0.0, 0.25, 1.0], [0.5, 0.0, 1.0]])
    binary = functional.binary_cross_entropy_with_logits(x, target)
    two = np.stack([x, np.zeros_like(x)], axis=-1)
    both = functional.cross_entropy(two, np.stack([target, 1 - target], axis=-1))
    assert float(binary) == pytest.approx(float(both), rel=1e-13, abs=1e-15)


@st.composite
def convolutions(draw: Any) -> tuple[Any, Any, Any, Windows]:
    """Images, kernels, a gradient of the result, and windows that fit into the images.

    All are small integers, whose sums and products have no rounding.
    """
    n, channels, out = draw(st.integers(0, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    sides = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    kernel = draw(st.tuples(*(st.integers(1, side) for side in sides)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(*(st.integers(0, k // 2) for k in kernel)))
    largest = [max(1, (n - 1) // max(1, k - 1)) for n, k in zip(sides, kernel, strict=True)]
    dilation = draw(st.tuples(*(st.integers(1, d) for d in largest)))
    windows = Windows(kernel, stride, padding, dilation)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shapes = (n, channels, *sides), (out, channels, *kernel), (n, out, *windows.along(sides))
    x, w, g = (rng.integers(-8, 9, shape).astype(float) for shape in shapes)
    return x, w, g, windows


def convolved_in_loops(x: Any, w: Any, windows: Windows) -> Any:
    """The equation, one number at a time."""
    _, (sh, sw), (above, left), (dh, dw) = windows
    padded = np.pad(x, ((0, 0), (0, 0), (above, above), (left, left)))
    z = np.zeros((len(x), len(w), *windows.along(x.shape[2:])))
    for n, o, r, q in np.ndindex(z.shape):
        for c, i, j in np.ndindex(w.shape[1:]):
            z[n, o, r, q] += w[o, c, i, j] * padded[n, c, sh * r + dh * i, sw * q + dw * j]
    return z


@given(convolutions())
def test_conv2d_is_its_equation(case: Any) -> None:
    x, w, _, windows = case
    _, stride, padding, dilation = windows
    bias = np.arange(len(w)) + 0.5
    z = functional.conv2d(x, w, bias, stride=stride, padding=padding, dilation=dilation)
    expected = convolved_in_loops(x, w, windows) + bias[:, None, None]
    np.testing.assert_array_equal(z, expected)


@given(convolutions())
def test_the_gradients_of_conv2d_are_its_transposes(case: Any) -> None:
    """⟨conv(x, w), g⟩ = ⟨x, input gradient(g, w)⟩ = ⟨w, weight gradient(x, g)⟩, exactly."""
    x, w, g, windows = case
    product = np.sum(convolved_in_loops(x, w, windows) * g)
    x_bar = conv2d_input_gradient(g, w, windows=windows, size=x.shape[2:])
    w_bar = conv2d_weight_gradient(x, g, windows=windows)
    assert np.sum(x * x_bar) == product == np.sum(w * w_bar)


@given(convolutions())
def test_pooling_is_its_definition(case: Any) -> None:
    x, _, _, windows = case
    kernel, stride, padding, _ = windows
    windows = Windows(kernel, stride, padding)
    options: dict[str, Any] = {"stride": stride, "padding": padding}
    around = ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2)
    with_zeros = np.pad(x, around)
    with_infinities = np.pad(x, around, constant_values=-np.inf)
    largest = functional.max_pool2d(x, kernel, **options)
    mean = functional.avg_pool2d(x, kernel, **options)
    assert largest.shape == mean.shape
    for n, c, r, q in np.ndindex(largest.shape):
        down, right = r * stride[0], q * stride[1]
        place = (n, c, slice(down, down + kernel[0]), slice(right, right + kernel[1]))
        assert largest[n, c, r, q] == with_infinities[place].max()
        assert mean[n, c, r, q] == pytest.approx(with_zeros[place].mean(), rel=1e-15, abs=1e-15)
    back = mean_of_windows_transpose(mean, windows=windows, size=x.shape[2:])
    assert np.sum(x * back) == pytest.approx(np.sum(mean * mean), rel=1e-12)


def test_blocks_of_images_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(7, 2, 6, 5)), rng.normal(size=(3, 2, 3, 2))

    def results() -> list[Any]:
        leaves = [Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)]
        z = functional.conv2d(*leaves, padding=1, stride=2)
        (z * z).sum().backward()
        return [z.data, *(leaf.grad for leaf in leaves), functional.max_pool2d(x, 2, stride=1)]

    whole = results()
    per_image = 2 * 3 * 2 * 12 * 8
    for size in (0, per_image, 3 * per_image):
        monkeypatch.setattr("minigrad.functional.windows.BLOCK", size)
        for a, b in zip(results(), whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_conv2d_reads_images_that_are_not_contiguous() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(5, 6, 2, 3)), rng.normal(size=(2, 3, 4, 2))
    a = functional.conv2d(x.transpose(2, 3, 0, 1), w.transpose(2, 1, 0, 3)[..., ::-1])
    b = functional.conv2d(x.transpose(2, 3, 0, 1).copy(), w.transpose(2, 1, 0, 3)[..., ::-1].copy())
    np.testing.assert_allclose(a, b, rtol=1e-13)


def gradient_of_max_pool(image: Any, *args: Any, **options: Any) -> Any:
    x = Tensor(np.array(image, float)[None, None], requires_grad=True)
    functional.max_pool2d(x, *args, **options).sum().backward()
    return x.grad[0, 0]


def test_the_first_of_equal_maxima_receives_the_gradient() -> None:
    tied = [[1, 2, 2, 2], [2, 1, 2, 2]]
    np.testing.assert_array_equal(gradient_of_max_pool(tied, 2), [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_overlapping_windows_add_up_at_a_shared_maximum() -> None:
    image = [[0, 0, 0], [0, 9, 0], [0, 0, 0]]
    expected = [[0, 0, 0], [0, 4, 0], [0, 0, 0]]
    np.testing.assert_array_equal(gradient_of_max_pool(image, 2, stride=1), expected)


def test_padding_never_receives_a_gradient_even_from_minus_infinity() -> None:
    image = np.full((3, 3), -np.inf)
    received = gradient_of_max_pool(image, 2, padding=1)
    np.testing.assert_array_equal(received, [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_a_nan_in_a_window_is_its_maximum() -> None:
    image = np.array([[[[1.0, np.nan, 3.0, 4.0]]]])
    np.testing.assert_array_equal(functional.max_pool2d(image, (1, 2)), [[[[np.nan, 4.0]]]])


def test_whole_numbers_are_pooled_too() -> None:
    image = np.array([[[[-5, -7]]]])
    assert functional.max_pool2d(image, (1, 2), padding=(0, 1)).tolist() == [[[[-5, -7]]]]
    assert functional.avg_pool2d(image, (1, 2)).tolist() == [[[[-6.0]]]]


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_sends_back_what_it_let_through(p: float) -> None:
    x = Tensor(np.ones(100_000), requires_grad=True)
    z = functional.dropout(x, p, rng=np.random.default_rng(0))
    z.sum().backward()
    np.testing.assert_array_equal(z.data, x.grad)
    assert set(np.unique(z.data)) == {0.0, 1 / (1 - p)}
    deviation = math.sqrt(p / (1 - p) / x.size)
    assert abs(z.data.mean() - 1) < 4 * deviation


def test_dropout_is_given_by_the_generator_alone_and_draws_nothing_at_0() -> None:
    x = np.ones((4, 5))
    rng = np.random.default_rng(1)
    assert functional.dropout(x, 0.0, rng=rng) is x
    a = functional.dropout(x, 0.3, rng=rng)
    b = functional.dropout(x.astype(np.float32), 0.3, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(a > 0, b > 0)


def test_causal_attention_of_a_query_does_not_depend_on_later_keys() -> None:
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 5, 4))
    whole = functional.scaled_dot_product_attention(q, k, v, causal=True)
    for t in range(1, 6):
        part = functional.scaled_dot_product_attention(q[:t], k[:t], v[:t], causal=True)
        np.testing.assert_allclose(whole[:t], part, rtol=1e-13)


def test_empty_batches_give_empty_results_with_gradients() -> None:
    kernels, bias = np.ones((4, 2, 3, 3)), np.zeros(4)
    v = np.ones((3, 2))
    for f, shape, result in (
        (lambda x: functional.conv2d(x, kernels, bias), (0, 2, 5, 5), (0, 4, 3, 3)),
        (lambda x: functional.max_pool2d(x, 2), (0, 2, 4, 4), (0, 2, 2, 2)),
        (lambda x: functional.avg_pool2d(x, 2, padding=1), (0, 2, 4, 4), (0, 2, 3, 3)),
        (functional.softmax, (0, 3), (0, 3)),
        (functional.log_softmax, (2, 0, 3), (2, 0, 3)),
        (functional.layer_norm, (0, 3), (0, 3)),
        (lambda x: functional.scaled_dot_product_attention(x, v, v), (0, 2), (0, 2)),
        (lambda w: functional.embedding(w, np.zeros(0, int)), (3, 2), (0, 2)),
        (lambda x: functional.cross_entropy(x, np.zeros(0, int), reduction="none"), (0, 3), (0,)),
        (lambda x: functional.cross_entropy(x, np.zeros((0, 3)), reduction="sum"), (0, 3), ()),
        (lambda x: functional.cross_entropy(x, np.zeros(0, int), reduction="sum"), (0, 3), ()),
    ):
        x = Tensor(np.ones(shape), requires_grad=True)
        z = f(x)  # type: ignore[no-untyped-call]
        assert z.shape == result
        z.sum().backward()
        np.testing.assert_array_equal(x.grad, np.zeros(shape))
