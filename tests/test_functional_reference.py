"""minigrad.functional against values and gradients that PyTorch gave in float64."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, functional, primitives
from minigrad.primitive import Primitive
from minigrad.primitives import relu

RUNS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "reference" / "functional.json").read_text(encoding="utf-8")
)["runs"]


def convolutional_network(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, target: Any) -> Any:
    """Convolution, ReLU, maximum pooling, a linear layer, cross-entropy."""
    z = functional.max_pool2d(relu(functional.conv2d(x, w1, b1, padding=1)), 2)
    return functional.cross_entropy(functional.affine(z.reshape(len(x), -1), w2, b2), target)


def transformer_block(x: Any, *parameters: Any, heads: int) -> Any:
    """A pre-norm transformer block: attention, then two linear layers, each beside a shortcut."""
    n1, m1, wq, wk, wv, wo, n2, m2, w1, b1, w2, b2 = parameters
    batch, time, d = x.shape

    def split(z: Any) -> Any:
        return z.reshape(batch, time, heads, d // heads).transpose(0, 2, 1, 3)

    h = functional.layer_norm(x, n1, m1)
    z = functional.scaled_dot_product_attention(
        split(h @ wq), split(h @ wk), split(h @ wv), causal=True
    )
    x = x + z.transpose(0, 2, 1, 3).reshape(batch, time, d) @ wo
    h = functional.layer_norm(x, n2, m2)
    return x + functional.affine(functional.gelu(functional.affine(h, w1, b1), "tanh"), w2, b2)


OURS: dict[str, Any] = {
    **{name: getattr(functional, name) for name in functional.__all__},
    "convolutional_network": convolutional_network,
    "transformer_block": transformer_block,
}


PAIRS = {"stride", "padding", "dilation", "kernel_size"}


def largest_error(run: dict[str, Any], f: Any) -> float:
    """Of the value and all gradients, each relative to its largest element."""
    options = {
        key: tuple(option) if key in PAIRS and isinstance(option, list) else option
        for key, option in run["options"].items()
    }
    leaves = [Tensor(np.array(x, float), requires_grad=True) for x in run["inputs"]]
    z = f(*leaves, **options)
    z.backward(np.array(run["gradient"]))
    errors = []
    recorded = run["value"], *run["gradients"]
    for ours, theirs in zip((z.data, *(x.grad for x in leaves)), recorded, strict=True):
        expected = np.array(theirs)
        assert ours.shape == expected.shape
        scale = np.abs(expected).max()
        errors.append(float(np.abs(ours - expected).max() / (scale or 1.0)))
    return max(errors)


@pytest.mark.parametrize("i", range(len(RUNS)), ids=lambda i: f"{RUNS[i]['function']}-{i}")
def test_values_and_gradients_are_those_recorded_from_pytorch(i: int) -> None:
    assert largest_error(RUNS[i], OURS[RUNS[i]["function"]]) < 1e-12


def test_every_function_that_pytorch_has_too_is_recorded() -> None:
    not_comparable = {"affine", "dropout", "squared_loss"}  # in both networks; random; the book's
    of_the_table = {name for name in functional.__all__ if hasattr(primitives, name)}
    assert {run["function"] for run in RUNS} == OURS.keys() - not_comparable - of_the_table


# The same functions with one mistake each: a recorded run must notice.


def conv2d_with_axes_exchanged(x: Any, w: Any, *b: Any, **options: Any) -> Any:
    exchanged = {key: o[::-1] if isinstance(o, tuple) else o for key, o in options.items()}
    return functional.conv2d(x, w, *b, **exchanged)


def conv2d_with_flipped_kernels(x: Any, w: Any, *b: Any, **options: Any) -> Any:
    return functional.conv2d(x, w[:, :, ::-1, ::-1], *b, **options)


def max_pool2d_with_zeros_around(x: Any, kernel_size: Any, **options: Any) -> Any:
    return relu(functional.max_pool2d(x, kernel_size, **options))


def avg_pool2d_without_the_padding(x: Any, kernel_size: Any, **options: Any) -> Any:
    ones = functional.avg_pool2d(np.ones(x.shape), kernel_size, **options)
    return functional.avg_pool2d(x, kernel_size, **options) / ones


def cross_entropy_smoothed_over_the_other_classes(
    logits: Any, *target: Any, label_smoothing: float, **options: Any
) -> Any:
    n = logits.shape[-1]
    more = min(1.0, label_smoothing * n / (n - 1))
    return functional.cross_entropy(logits, *target, label_smoothing=more, **options)


def huber_loss_divided_by_delta(*pair: Any, delta: float, **options: Any) -> Any:
    return functional.huber_loss(*pair, delta=delta, **options) / delta


def layer_norm_with_eps_outside_the_root(
    x: Any, w: Any = 1.0, b: Any = 0.0, eps: float = 0.0
) -> Any:
    c = x - x.mean(axis=-1, keepdims=True)
    return c / (np.sqrt((c * c).mean(axis=-1, keepdims=True)) + eps) * w + b


def gelu_of_the_other_form(x: Any, approximate: str) -> Any:
    return functional.gelu(x, "tanh" if approximate == "none" else "none")


def gelu_without_the_root_of_two(x: Any, approximate: str) -> Any:
    return x * (1 + primitives.erf(x)) / 2


def attention_divided_by_d(q: Any, k: Any, v: Any, causal: bool) -> Any:
    return functional.scaled_dot_product_attention(q / math.sqrt(q.shape[-1]), k, v, causal=causal)


def attention_that_sees_the_future(q: Any, k: Any, v: Any, causal: bool) -> Any:
    return functional.scaled_dot_product_attention(q, k, v)


def embedding_that_keeps_one_gradient(weight: Any, index: Any) -> Any:
    def assign(g: Any, z: Any, w: Any) -> Any:
        w_bar = np.zeros(w.shape)
        w_bar[index] = g
        return w_bar

    return Primitive(lambda w: w[index], assign, name="embedding")(weight)


MISTAKES: list[tuple[str, Any]] = [
    ("conv2d", conv2d_with_axes_exchanged),
    ("conv2d", conv2d_with_flipped_kernels),
    ("max_pool2d", max_pool2d_with_zeros_around),
    ("avg_pool2d", avg_pool2d_without_the_padding),
    ("cross_entropy", cross_entropy_smoothed_over_the_other_classes),
    ("huber_loss", huber_loss_divided_by_delta),
    ("layer_norm", layer_norm_with_eps_outside_the_root),
    ("gelu", gelu_of_the_other_form),
    ("gelu", gelu_without_the_root_of_two),
    ("scaled_dot_product_attention", attention_divided_by_d),
    ("scaled_dot_product_attention", attention_that_sees_the_future),
    ("embedding", embedding_that_keeps_one_gradient),
]


@pytest.mark.parametrize(("name", "wrong"), MISTAKES, ids=lambda f: getattr(f, "__name__", ""))
def test_a_mistake_disagrees_with_the_recording(name: str, wrong: Any) -> None:
    def error(run: dict[str, Any]) -> float:
        try:
            return largest_error(run, wrong)
        except (AssertionError, ValueError):  # another shape
            return 1.0

    assert max(error(run) for run in RUNS if run["function"] == name) > 1e-6
