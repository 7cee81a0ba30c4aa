"""Bad input of the functions: what was given, what is accepted."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, functional

IMAGES, KERNELS = np.ones((2, 3, 5, 4)), np.ones((6, 3, 2, 2))
LOGITS = np.ones((2, 3))


def conv2d(x: Any = IMAGES, w: Any = KERNELS, *b: Any, **options: Any) -> Any:
    return functional.conv2d(x, w, *b, **options)


def attention(q: Any, k: Any, v: Any) -> Any:
    return functional.scaled_dot_product_attention(np.ones(q), np.ones(k), np.ones(v))


NO_NUMBER: Any = "0.5"

MISTAKES: list[tuple[Any, type[Exception], str]] = [
    # conv2d
    (lambda: conv2d(np.ones((2, 4, 5, 4))), ValueError,
     r"conv2d: images of shape \(2, 4, 5, 4\) have 4 channels, .* \(6, 3, 2, 2\) take 3"),
    (lambda: conv2d(np.ones((3, 5, 4))), ValueError, r"conv2d: .* \(3, 5, 4\); they need four"),
    (lambda: conv2d(w=np.ones((3, 2, 2))), ValueError, r"conv2d: the kernels have shape \(3, 2"),
    (lambda: conv2d(w=np.ones((6, 3, 6, 2))), ValueError,
     r"conv2d: a kernel of \(6, 2\) takes up \(6, 2\) .* padded images have: \(5, 4\)"),
    (lambda: conv2d(dilation=5), ValueError, r"takes up \(6, 6\) elements at dilation \(5, 5\)"),
    (lambda: conv2d(IMAGES, KERNELS, np.ones((1, 6))), ValueError,
     r"conv2d: the bias has shape \(1, 6\); .* need \(6,\)"),
    (lambda: conv2d(stride=0), ValueError, "conv2d: stride=0 must be at least 1"),
    (lambda: conv2d(padding=(0, -1)), ValueError, r"conv2d: padding=\(0, -1\) must be at least 0"),
    (lambda: conv2d(stride=1.5), TypeError, "conv2d: stride=1.5 must be a whole number, or a pair"),
    (lambda: conv2d(padding="same"), TypeError, "conv2d: padding='same' must be a whole number"),
    (lambda: conv2d(dilation=(1, 2, 3)), TypeError, r"dilation=\(1, 2, 3\) must be a whole"),
    (lambda: conv2d(np.ones((2, 3, 0, 4)), padding=1), ValueError, "no elements to look at"),
    # pooling
    (lambda: functional.max_pool2d(IMAGES, 6), ValueError, r"max_pool2d: a kernel of \(6, 6\)"),
    (lambda: functional.avg_pool2d(IMAGES[0], 2), ValueError, r"avg_pool2d: .* \(3, 5, 4\)"),
    (lambda: functional.max_pool2d(IMAGES, 2, padding=2), ValueError,
     "max_pool2d: padding=2 must be at most half of kernel_size=2"),
    (lambda: functional.avg_pool2d(IMAGES, (0, 2)), ValueError, r"kernel_size=\(0, 2\) must be"),
    (lambda: functional.max_pool2d(IMAGES, 2, stride=0), ValueError, "stride=0"),
    # softmax
    (lambda: functional.softmax(LOGITS, 2), ValueError, r"softmax of shape \(2, 3\).*axis 2 is"),
    (lambda: functional.log_softmax(np.ones((2, 0))), ValueError,
     r"log_softmax of shape \(2, 0\) along axis -1: there is no element"),
    (lambda: functional.softmax(np.ones((0, 2)), 0), ValueError,
     r"softmax of shape \(0, 2\) along axis 0: there is no element"),
    (lambda: functional.softmax(1.0), ValueError, "softmax of one number: it needs an axis"),
    (lambda: functional.softmax(Tensor(1.0)), ValueError, "softmax of one number"),
    (lambda: functional.log_softmax(np.array(1.0), 0), ValueError, "log_softmax of one number"),
    # cross-entropy
    (lambda: functional.cross_entropy(LOGITS, [0, 3]), IndexError,
     r"cross_entropy: label 3 at \(1,\) is out of range for 3 classes; accepted is 0 to 2"),
    (lambda: functional.cross_entropy(np.ones((2, 2, 3)), [[0, 1], [-1, 7]]), IndexError,
     r"label -1 at \(1, 0\) is out of range for 3 classes"),
    (lambda: functional.cross_entropy(LOGITS, [0, 1, 2]), ValueError,
     r"cross_entropy: labels of shape \(3,\) for logits of shape \(2, 3\)"),
    (lambda: functional.cross_entropy(LOGITS, np.ones((2, 4))), ValueError,
     r"cross_entropy: probabilities of shape \(2, 4\) for logits of shape \(2, 3\)"),
    (lambda: functional.cross_entropy(LOGITS, [0.0, 1.0]), ValueError, "labels must be integers"),
    (lambda: functional.cross_entropy(LOGITS, [True, False]), TypeError, "dtype bool"),
    (lambda: functional.cross_entropy(1.0, 0), ValueError, "need an axis of classes"),
    (lambda: functional.cross_entropy(LOGITS[:0], np.zeros(0, int)), ValueError,
     "cross_entropy: the mean of no elements is not defined"),
    (lambda: functional.cross_entropy(np.ones((2, 0)), np.ones((2, 0))), ValueError,
     r"cross_entropy: logits of shape \(2, 0\) have no classes"),
    (lambda: functional.cross_entropy(LOGITS, [0, 1], label_smoothing=NO_NUMBER), TypeError,
     "cross_entropy: label_smoothing='0.5' must be a number"),
    (lambda: functional.cross_entropy(LOGITS, np.array([0, 2**63 + 1], np.uint64)), IndexError,
     "label 9223372036854775809 at"),
    (lambda: functional.cross_entropy(LOGITS, [0, 1], label_smoothing=1.1), ValueError,
     "label_smoothing=1.1 must lie between 0 and 1"),
    (lambda: functional.cross_entropy(LOGITS, [0, 1], reduction="avg"), ValueError,
     'cross_entropy: reduction=\'avg\' is unknown; accepted are "mean", "sum" and "none"'),
    # the other losses
    (lambda: functional.binary_cross_entropy_with_logits(LOGITS, LOGITS[0]), ValueError,
     r"^binary_cross_entropy_with_logits: the prediction has shape \(2, 3\), the target \(3,\)"),
    (lambda: functional.mse_loss(LOGITS, LOGITS[0]), ValueError, "^mse_loss: the prediction has"),
    (lambda: functional.squared_loss(LOGITS, LOGITS[0]), ValueError, "^squared_loss: the predict"),
    (lambda: functional.mse_loss([], []), ValueError, r"^mse_loss of shape \(0,\) and \(0,\): "),
    (lambda: functional.binary_cross_entropy_with_logits([], []), ValueError, "mean of no elem"),
    (lambda: functional.huber_loss(LOGITS, LOGITS[0]), ValueError,
     r"^huber_loss: the prediction has shape \(2, 3\), the target \(3,\)"),
    (lambda: functional.huber_loss(1.0, 2.0, delta=NO_NUMBER), TypeError,
     "huber_loss: delta='0.5' must be a number"),
    (lambda: functional.huber_loss(1.0, 2.0, delta=0), ValueError, "huber_loss: delta=0 must be"),
    (lambda: functional.huber_loss(1.0, 2.0, delta=np.nan), ValueError, "delta=nan must be above"),
    (lambda: functional.huber_loss([], []), ValueError, "huber_loss: the mean of no elements"),
    # the rest
    (lambda: functional.layer_norm(np.ones((2, 0))), ValueError, r"layer_norm of shape \(2, 0\)"),
    (lambda: functional.layer_norm(LOGITS, eps=-1e-5), ValueError,
     "layer_norm: eps=-1e-05 must be at least 0"),
    (lambda: functional.layer_norm(LOGITS, eps=NO_NUMBER), TypeError, "eps=.* must be a number"),
    (lambda: functional.layer_norm(1.0), ValueError, r"layer_norm of shape \(\)"),
    (lambda: functional.layer_norm(LOGITS, np.ones(2)), ValueError,
     r"layer_norm of shape \(2, 3\): the weight has shape \(2,\), it must be \(3,\)"),
    (lambda: functional.layer_norm(LOGITS, None, np.ones((1, 3))), ValueError, "the bias has shap"),
    (lambda: functional.embedding(LOGITS, [[0, 2]]), IndexError,
     r"embedding: index 2 at \(0, 1\) is out of range for 2 rows; accepted is 0 to 1"),
    (lambda: functional.embedding(LOGITS, -1), IndexError, r"index -1 at \(\) is out of range"),
    (lambda: functional.embedding(LOGITS, [0.0]), TypeError, "must be an integer, got dtype float"),
    (lambda: functional.embedding(LOGITS[0], [0]), ValueError, r"embedding: .* shape \(3,\)"),
    (lambda: attention((5, 4), (6, 3), (6, 4)), ValueError,
     r"attention of shapes q \(5, 4\), k \(6, 3\) and v \(6, 4\)"),
    (lambda: attention((5, 4), (6, 4), (5, 4)), ValueError, r"v \(5, 4\)"),
    (lambda: attention((4,), (6, 4), (6, 4)), ValueError, r"q \(4,\)"),
    (lambda: attention((4, 0), (6, 0), (6, 4)), ValueError, "with d at least 1"),
    (lambda: attention((2, 5, 4), (3, 6, 4), (3, 6, 4)), ValueError,
     r"attention of shapes q \(2, 5, 4\), k \(3, 6, 4\) .*: the axes in front .* must broadcast"),
    (lambda: attention((3, 5, 4), (3, 6, 4), (2, 6, 4)), ValueError, r"v \(2, 6, 4\): the axes"),
    (lambda: attention((5, 4), (0, 4), (0, 2)), ValueError, r"k \(0, 4\) .*: there is no key"),
    (lambda: functional.dropout(LOGITS, NO_NUMBER, rng=np.random.default_rng()), TypeError,
     "dropout: p='0.5' must be a number"),
    (lambda: functional.dropout(LOGITS, 0.5, rng=0), TypeError,  # type: ignore[arg-type]
     "dropout: rng=0 must be a numpy.random.Generator"),
    (lambda: functional.dropout(LOGITS, 1.0, rng=np.random.default_rng()), ValueError,
     "dropout: p=1.0 is out of range; accepted is 0 <= p < 1"),
    (lambda: functional.dropout(LOGITS, -0.1, rng=np.random.default_rng()), ValueError, "p=-0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), MISTAKES, ids=[m for *_, m in MISTAKES])
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_tensors_are_checked_like_arrays() -> None:
    logits = Tensor(LOGITS, requires_grad=True)
    with pytest.raises(IndexError, match="label 3 at"):
        functional.cross_entropy(logits, Tensor([0, 3]))
    with pytest.raises(ValueError, match="have 2 channels"):
        functional.conv2d(Tensor(np.ones((1, 2, 3, 3))), Tensor(np.ones((1, 1, 2, 2))))
    with pytest.raises(IndexError, match="index 5 at"):
        functional.embedding(logits, Tensor([5]))
