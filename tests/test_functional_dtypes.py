"""Labels of any integer type, small integers, half precision, NumPy numbers as options."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, compiled, functional, primitives

LOGITS = np.random.default_rng(0).normal(size=(300, 5))
LABELS = np.arange(300) % 5


# Labels and indices


@pytest.mark.parametrize("dtype", [">i4", ">i8", "<i2", "u1", "u8"])
@pytest.mark.parametrize("compiled_from", [0, 10**9], ids=["compiled", "NumPy"])
def test_labels_and_indices_of_any_integer_type(
    dtype: str, compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "KERNEL_FROM", compiled_from)
    for f in (functional.cross_entropy, functional.embedding):
        results = []
        for labels in (LABELS, LABELS.astype(dtype)):
            leaf = Tensor(LOGITS, requires_grad=True)
            z = f(leaf, labels)
            z.sum().backward()
            results.append((z.data, leaf.grad))
        for of_intp, of_dtype in zip(*results, strict=True):
            np.testing.assert_array_equal(of_intp, of_dtype)


@pytest.mark.parametrize("f", [functional.cross_entropy, functional.embedding])
def test_labels_that_change_before_the_way_back_are_not_read_again(f: Callable[..., Any]) -> None:
    """The compiled loops do not look whether a label is in range: they would write anywhere."""
    labels, gradients = LABELS.copy(), []
    for changed in (LABELS, 4):
        leaf = Tensor(LOGITS, requires_grad=True)
        z = f(leaf, labels)
        labels[:] = changed
        z.sum().backward()
        gradients.append(leaf.grad)
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("empty", [[], np.zeros(0), np.zeros(0, int)], ids=["list", "float", "int"])
def test_no_labels_and_no_indices(empty: Any) -> None:
    leaf = Tensor(LOGITS, requires_grad=True)
    z = functional.embedding(leaf, empty)
    assert z.shape == (0, 5)
    z.sum().backward()
    np.testing.assert_array_equal(leaf.grad, np.zeros_like(LOGITS))
    assert functional.cross_entropy(LOGITS[:0], empty, reduction="none").shape == (0,)
    assert functional.cross_entropy(LOGITS[:0], empty, reduction="sum") == 0


# Small integers


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_small_integers_do_not_wrap_around(dtype: Any) -> None:
    x, y = np.array([[0, 3, 127]], dtype), np.array([[127, 0, 100]], dtype)
    if dtype == np.int8:
        x = x - 100  # from -100 to 27
    a, b = x.astype(float), y.astype(float)
    for f in (functional.softmax, functional.log_softmax):
        np.testing.assert_array_equal(f(x), f(a))
        np.testing.assert_array_equal(f(Tensor(x)).data, f(a))
    assert functional.cross_entropy(x, [0]) == functional.cross_entropy(a, [0])
    for loss in (functional.mse_loss, functional.squared_loss, functional.huber_loss):
        for given in (loss(x, y), loss(Tensor(x), y).data, loss(x.tolist(), y.tolist())):
            np.testing.assert_array_equal(given, loss(a, b))
            assert given.dtype == np.float64


def test_integer_targets_leave_float32_predictions_float32() -> None:
    x, y = np.array([1.0, 200.0], np.float32), np.array([255, 0], np.uint8)
    for loss in (functional.mse_loss, functional.squared_loss, functional.huber_loss):
        z = loss(x, y)
        assert z.dtype == np.float32
        np.testing.assert_array_equal(z, loss(x, y.astype(np.float32)))


def test_mse_loss_of_two_numbers() -> None:
    assert functional.mse_loss(1.0, 3.0) == functional.mse_loss(1, 3) == 4.0


# Half precision


def test_means_of_float16_do_not_overflow_where_numpys_do_not() -> None:
    error = np.full(1000, 100.0, np.float16)  # the sum of the squares is 1e7
    leaf = Tensor(error, requires_grad=True)
    loss = functional.mse_loss(leaf, np.zeros_like(error))
    loss.backward()
    assert loss.dtype == np.float16
    assert float(loss.data) == 10_000
    np.testing.assert_allclose(leaf.grad, 0.2, rtol=1e-3)
    mean = Tensor(np.full((1000, 2), 100.0, np.float16), requires_grad=True).mean(axis=0)
    assert mean.dtype == np.float16
    np.testing.assert_array_equal(mean.data, [100, 100])


WITHOUT_LOOPS: list[Callable[..., Any]] = [
    functional.gelu,
    lambda x: functional.gelu(x, "tanh"),
    lambda x: functional.avg_pool2d(x, 2),
    primitives.erf,
]


@pytest.mark.parametrize("f", WITHOUT_LOOPS)
@pytest.mark.parametrize(
    ("dtype", "result"),
    [(np.float16, np.float16), (np.float32, np.float32), (np.int8, np.float64),
     (np.uint8, np.float64), (np.int64, np.float64)],
)  # fmt: skip
def test_floating_types_stay_and_integers_become_float64(
    f: Callable[..., Any], dtype: Any, result: Any
) -> None:
    assert f(np.ones((1, 1, 2, 2), dtype)).dtype == result


@pytest.mark.parametrize("number", [np.float64, np.float32, np.int64])
def test_numpy_numbers_as_options_do_not_widen_float32(number: Any) -> None:
    x = LOGITS.astype(np.float32)
    one = number(1)
    calls: list[Callable[..., Any]] = [
        lambda x: functional.cross_entropy(x, LABELS, label_smoothing=one),
        lambda x: functional.cross_entropy(x[:9], LABELS[:9], label_smoothing=one),
        lambda x: functional.cross_entropy(x, np.abs(x.data), label_smoothing=one),
        lambda x: primitives.leaky_relu(x, negative_slope=one),
        lambda x: primitives.elu(x, alpha=one),
        lambda x: functional.huber_loss(x, np.zeros_like(x.data), delta=one),
        lambda x: functional.layer_norm(x, eps=one),
        lambda x: functional.layer_norm(x, x[0], x[1], eps=one),
        lambda x: functional.dropout(x, number(0), rng=np.random.default_rng(0)),
    ]
    for call in calls:
        leaf = Tensor(x, requires_grad=True)
        z = call(leaf)
        assert z.dtype == np.float32
        z.sum().backward()
        assert leaf.grad.dtype == np.float32


# Nothing to look at


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("compiled_from", [0, 10**9], ids=["compiled", "NumPy"])
def test_attention_without_positions_is_empty(
    causal: bool, compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "KERNEL_FROM", compiled_from)
    for s in (0, 3):
        shapes = (2, 0, 4), (2, s, 4), (2, s, 5)
        leaves = [Tensor(np.ones(shape), requires_grad=True) for shape in shapes]
        z = functional.scaled_dot_product_attention(*leaves, causal=causal)
        assert z.shape == (2, 0, 5)
        z.sum().backward()
        for leaf in leaves:
            np.testing.assert_array_equal(leaf.grad, np.zeros(leaf.shape))


@pytest.mark.parametrize("compiled_from", [0, 10**9], ids=["compiled", "NumPy"])
def test_convolution_of_images_without_channels_is_the_bias(
    compiled_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "KERNEL_FROM", compiled_from)
    x, w = (Tensor(np.ones(s), requires_grad=True) for s in ((2, 0, 4, 4), (3, 0, 2, 2)))
    b = Tensor(np.arange(3.0), requires_grad=True)
    z = functional.conv2d(x, w, b)
    np.testing.assert_array_equal(z.data, np.broadcast_to(b.data[:, None, None], (2, 3, 3, 3)))
    z.sum().backward()
    assert (x.grad.shape, w.grad.shape) == (x.shape, w.shape)
    np.testing.assert_array_equal(b.grad, [18, 18, 18])


def test_dropout_of_a_list_is_an_array_with_probability_0_too() -> None:
    for p in (0, 0.5):
        z = functional.dropout([1.0, 2.0], p, rng=np.random.default_rng(0))
        assert isinstance(z, np.ndarray)


# One namespace


def test_all_activations_stand_in_functional() -> None:
    for name in ["relu", "leaky_relu", "elu", "sigmoid", "silu", "softplus", "erf", "logsumexp"]:
        assert name in functional.__all__
        assert getattr(functional, name) is getattr(primitives, name)
