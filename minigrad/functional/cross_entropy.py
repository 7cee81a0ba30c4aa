"""Cross-entropy: the losses of classification, from logits.

    -Σⱼ tⱼ log softmax(x)ⱼ                               one of several classes
    -t log σ(x) - (1 - t) log (1 - σ(x))                 yes or no, σ(x) = 1 / (1 + exp -x)

The derivative by the logits is the probabilities less the targets, in both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.compiled import kernels_for
from minigrad.functional.checks import check_range, check_same_shape, number
from minigrad.functional.losses import reduced
from minigrad.functional.softmax import below_maximum, log_softmax, softmax, softmax_vjp
from minigrad.linear_maps import rows
from minigrad.primitive import Primitive, bare
from minigrad.primitives import logistic, sigmoid
from minigrad.recording import is_traced

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_vjp", "binary_cross_entropy_with_logits",
    "cross_entropy", "cross_entropy_of_labels", "cross_entropy_of_labels_vjp",
]  # fmt: skip


def cross_entropy(
    logits: Any, target: Any, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Any:
    """Cross-entropy of the softmax of `logits`, relative to labels or probabilities.

        -Σⱼ tⱼ log softmax(x)ⱼ       with t = (1 - α) (the label's unit vector) + α / classes

    Parameters
    ----------
    logits : array_like or Tensor
        x, shape (..., classes).  (PyTorch has the classes on the second axis.)
    target : array_like or Tensor
        Labels, integers of shape (...) from 0 to classes - 1; or probabilities, floating-point
        numbers of the logits' shape.  (Tensors of probabilities are differentiated too.)
    label_smoothing : float
        α, from 0 to 1: how much of a target goes to all classes alike.
    reduction : {"mean", "sum", "none"}
        Of the losses of all examples.

    Returns
    -------
    Tensor, ndarray or scalar
        One number, or with "none" an array of shape (...).

    Raises
    ------
    IndexError
        If a label is out of range.
    TypeError
        If `target` is neither of integers nor of floating-point numbers, or `label_smoothing` is
        no number.
    ValueError
        If shapes do not match, an option is out of its range, there are no classes, or it is the
        mean of no examples.

    Examples
    --------
    >>> logits = np.array([[2.0, 2.0, -1e4], [0.0, 1e4, 0.0]])
    >>> cross_entropy(logits, [0, 2], reduction="none")
    array([6.93147181e-01, 1.00000000e+04])
    >>> float(cross_entropy(logits[:1], np.array([[0.5, 0.5, 0.0]])))
    0.6931471805599453
    """
    if not 0 <= number("cross_entropy", "label_smoothing", label_smoothing) <= 1:
        raise ValueError(
            f"cross_entropy: label_smoothing={label_smoothing!r} must lie between 0 and 1"
        )
    label_smoothing = float(label_smoothing)
    shape = np.shape(logits)
    if not shape:
        raise ValueError("cross_entropy: the logits are one number; they need an axis of classes")
    classes = shape[-1]
    if not classes:
        raise ValueError(f"cross_entropy: logits of shape {shape} have no classes to choose from")
    if not hasattr(target, "dtype"):
        target = np.asarray(target)
    no_labels = not target.size and target.shape == shape[:-1]  # an empty list, of any type
    if target.dtype.kind == "f" and not no_labels:
        if target.shape != shape:
            raise ValueError(
                f"cross_entropy: probabilities of shape {target.shape} for logits of shape "
                f"{shape}; they must be equal (labels must be integers, of shape {shape[:-1]})"
            )
        if label_smoothing:
            target = target * (1 - label_smoothing) + label_smoothing / classes
        losses = -(target * log_softmax(logits)).sum(axis=-1)
    else:
        labels = bare(target)
        if labels.shape != shape[:-1]:
            raise ValueError(
                f"cross_entropy: labels of shape {labels.shape} for logits of shape {shape}; they "
                f"must have shape {shape[:-1]} (probabilities must be floating-point numbers, of "
                "the logits' shape)"
            )
        labels = check_range("cross_entropy", "label", labels, classes, "classes")
        losses = cross_entropy_of_labels(logits, labels=labels, label_smoothing=label_smoothing)
    return reduced("cross_entropy", losses, reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Cross-entropy of a yes-or-no question for each element, from its logit.

        -t log σ(x) - (1 - t) log (1 - σ(x))  =  max(x, 0) - x t + log(1 + exp -|x|)

    Parameters
    ----------
    logits : array_like or Tensor
        x, any shape.
    target : array_like or Tensor
        t, probabilities from 0 to 1, of the same shape; integers and booleans will do.
    reduction : {"mean", "sum", "none"}
        Of the losses of all elements.

    Returns
    -------
    Tensor, ndarray or scalar
        One number, or with "none" an array of the inputs' shape.

    Raises
    ------
    ValueError
        If the shapes differ, `reduction` is unknown, or it is the mean of no elements.

    Examples
    --------
    >>> binary_cross_entropy_with_logits([-1e4, 0.0, 1e4], [0, 0, 0], reduction="none")
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    check_same_shape("binary_cross_entropy_with_logits", logits, target)
    losses = binary_cross_entropy(logits, target)
    return reduced("binary_cross_entropy_with_logits", losses, reduction)


def smoothed(x: Any, *, labels: Any, label_smoothing: float) -> Any:
    """Return the targets t of labels as probabilities, for logits like x."""
    t = np.full(x.shape, label_smoothing / x.shape[-1], x.dtype)
    return _plus_at_labels(t, labels, 1 - label_smoothing)


def _plus_at_labels(x: Any, labels: Any, amount: float) -> Any:
    """Add to each example's element of its label, in place."""
    if is_traced(labels):
        is_label = np.equal(labels[..., None], np.arange(x.shape[-1]))
        return np.where(is_label, x + amount, x)
    examples = x.reshape(labels.size, x.shape[-1])
    examples[np.arange(labels.size), labels.reshape(-1)] += amount
    return x


def _of_labels(x: Any, *, labels: Any, label_smoothing: float) -> Any:
    kernels = kernels_for(x)
    if kernels is not None:
        z = np.empty(labels.shape, x.dtype)
        smoothing = x.dtype.type(label_smoothing)
        kernels.cross_entropy(rows(x), labels.reshape(-1), smoothing, z.reshape(-1))
        return z
    shifted = below_maximum(x, -1)
    z = np.log(np.exp(shifted).sum(axis=-1))
    z = z - (1 - label_smoothing) * np.take_along_axis(shifted, labels[..., None], -1)[..., 0]
    return z - label_smoothing * shifted.mean(axis=-1) if label_smoothing else z


def _of_labels_vjp(g: Any, x: Any, *, labels: Any, label_smoothing: float) -> Any:
    kernels = kernels_for(x)
    if kernels is not None and g.dtype == x.dtype:
        w = np.empty_like(x)
        smoothing, g = x.dtype.type(label_smoothing), np.ascontiguousarray(g)
        kernels.cross_entropy_vjp(g.reshape(-1), rows(x), labels.reshape(-1), smoothing, rows(w))
        return w
    probabilities = softmax(x)
    if label_smoothing:
        probabilities -= label_smoothing / x.shape[-1]
    error = _plus_at_labels(probabilities, labels, label_smoothing - 1)
    error *= g[..., None]
    return error


def _binary_cross_entropy(x: Any, t: Any) -> Any:
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


# Rows.  Labels are a row of their own, so that no array of unit vectors is made for them.  Their
# options are the labels and the smoothing.
# fmt: off
cross_entropy_of_labels: Primitive = Primitive(_of_labels,
    lambda g, z, x, **options: cross_entropy_of_labels_vjp(g, x, **options),
    name="cross_entropy")
cross_entropy_of_labels_vjp: Primitive = Primitive(_of_labels_vjp,
    lambda h, w, g, x, **options: (h * (softmax(x) - smoothed(x, **options))).sum(axis=-1),
    lambda h, w, g, x, **options: softmax_vjp(h * g[..., None], softmax(x), axis=-1),
    name="cross_entropy_vjp")

binary_cross_entropy = Primitive(_binary_cross_entropy,
    lambda g, z, x, t: binary_cross_entropy_vjp(g, x, t),
    lambda g, z, x, t: -g * x,
    name="binary_cross_entropy")
binary_cross_entropy_vjp: Primitive = Primitive(lambda g, x, t: g * (logistic(x) - t),
    lambda h, w, g, x, t: h * (sigmoid(x) - t),
    lambda h, w, g, x, t: h * g * sigmoid(x) * sigmoid(-x),
    lambda h, w, g, x, t: -h * g,
    name="binary_cross_entropy_vjp")
# fmt: on
