"""Layers for images: convolution, pooling, flattening."""

from typing import Any

import numpy as np
import pytest

from minigrad import check_gradients, nn


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_convolution_is_its_sum() -> None:
    layer = nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2), rng=rng())
    x = rng(1).normal(size=(2, 2, 6, 5))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0)))
    w, b = layer.weight.data, layer.bias.data
    expected = np.empty((2, 3, 3, 3))
    for n, o, i, j in np.ndindex(expected.shape):
        window = padded[n, :, 2 * i : 2 * i + 3, j : j + 3 : 2]
        expected[n, o, i, j] = b[o] + np.sum(w[o] * window)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(
        nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2), False, rng=rng())(x).data,
        expected - b[:, None, None],
        rtol=1e-13, atol=1e-13,
    )  # fmt: skip


def test_initial_filters_come_from_the_generator_and_lie_within_the_bound() -> None:
    a, b = nn.Conv2d(16, 50, (5, 5), rng=rng()), nn.Conv2d(16, 50, 5, rng=rng())
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    np.testing.assert_array_equal(a.bias.data, b.bias.data)
    assert 0.0499 < abs(a.weight.data).max() <= 0.05  # 1/√(16 · 5 · 5)
    assert 0.045 < abs(a.bias.data).max() <= 0.05


def test_a_small_network_for_images_has_the_gradients_of_its_parameters() -> None:
    conv = nn.Conv2d(1, 2, 3, padding=1, rng=rng())
    norm = nn.BatchNorm2d(2)
    net = nn.Sequential(
        conv, norm, nn.Tanh(), nn.MaxPool2d(2), nn.AvgPool2d(2, stride=1), nn.Flatten()
    )
    x = rng(1).normal(size=(3, 1, 6, 6))

    def loss(w: Any, b: Any, scale: Any, shift: Any) -> Any:
        conv.weight, conv.bias, norm.weight, norm.bias = w, b, scale, shift
        return net(x)

    assert net(x).shape == (3, 8)
    # The bias is taken off again by the normalisation; its gradient is 0 up to rounding.
    check_gradients(loss, *(parameter.data for parameter in net.parameters()))


def test_pooling_windows_touch_unless_told_otherwise() -> None:
    x = rng().normal(size=(2, 3, 6, 4))
    blocks = x.reshape(2, 3, 3, 2, 2, 2)
    np.testing.assert_array_equal(nn.MaxPool2d(2)(x), blocks.max(axis=(3, 5)))
    np.testing.assert_allclose(nn.AvgPool2d(2)(x), blocks.mean(axis=(3, 5)), rtol=1e-14)
    assert nn.MaxPool2d((3, 2), stride=1, padding=1)(x).shape == (2, 3, 6, 5)


def test_flatten_keeps_the_batch_axis_even_when_it_is_empty() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten()(x), x.reshape(2, 12))
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.ones(5)).shape == (5, 1)


def test_float32_stays_float32() -> None:
    layer = nn.Conv2d(1, 2, 3, rng=rng(), dtype=np.float32)
    z = nn.MaxPool2d(2)(layer(np.ones((1, 1, 6, 6), np.float32)))
    z.sum().backward()
    assert z.dtype == layer.weight.grad.dtype == layer.bias.grad.dtype == np.float32


def test_layers_for_images_print_what_is_not_the_default() -> None:
    assert repr(nn.Conv2d(1, 32, 3, rng=rng())) == "Conv2d(1, 32, 3): 320 parameters"
    assert repr(nn.Conv2d(2, 3, (3, 1), 2, (1, 0), 2, bias=False, rng=rng())) == (
        "Conv2d(2, 3, (3, 1), stride=2, padding=(1, 0), dilation=2, bias=False): 18 parameters"
    )
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(2)"
    assert repr(nn.AvgPool2d((3, 2), stride=1, padding=1)) == (
        "AvgPool2d((3, 2), stride=1, padding=1)"
    )
    assert repr(nn.Flatten()) == "Flatten()"


def test_error_images_with_another_number_of_channels() -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 8, 8\) have 1 channels.*\(4, 3, 3, 3\) take 3"):
        nn.Conv2d(3, 4, 3, rng=rng())(np.ones((2, 1, 8, 8)))


BAD_LAYERS: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.Conv2d(0, 1, 3, rng=rng()), ValueError, "Conv2d: in_channels=0"),
    (lambda: nn.Conv2d(1, 0, 3, rng=rng()), ValueError, "Conv2d: out_channels=0"),
    (lambda: nn.Conv2d(1, 1, 0, rng=rng()), ValueError, "Conv2d: kernel_size=0 .* at least 1"),
    (lambda: nn.Conv2d(1, 1, 3.0, rng=rng()), TypeError, "Conv2d: kernel_size=3.0"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, (1, 2, 3), rng=rng()), TypeError, "kernel_size"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, 3, stride=0, rng=rng()), ValueError, "Conv2d: stride=0"),
    (lambda: nn.Conv2d(1, 1, 3, padding=-1, rng=rng()), ValueError, "Conv2d: padding=-1"),
    (lambda: nn.Conv2d(1, 1, 3, dilation=(1, 0), rng=rng()), ValueError, "Conv2d: dilation"),
    (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size=0"),
    (lambda: nn.AvgPool2d(2, stride=0), ValueError, "AvgPool2d: stride=0"),
    (lambda: nn.MaxPool2d(2, padding=-1), ValueError, "MaxPool2d: padding=-1"),
    (lambda: nn.MaxPool2d(2, padding=2), ValueError, "MaxPool2d: padding=2 must be at most half"),
    (lambda: nn.AvgPool2d((4, 2), padding=(1, 2)), ValueError, "AvgPool2d: padding=.* kernel_size"),
]


@pytest.mark.parametrize(("make", "error", "match"), BAD_LAYERS)
def test_error_layer(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
