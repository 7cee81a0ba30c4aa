"""Record values and gradients of minigrad.functional's counterparts in PyTorch, in float64.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record_functional.py

writes ``functional.json`` beside this file.  Inputs are random numbers of three decimals and stand
in the file, as does the gradient of the result that the backward pass starts from.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
RNG = np.random.default_rng(20260)


def numbers(*shape: int, scale: float = 1.0) -> Any:
    """Three decimals, so that the file stays small."""
    return np.round(RNG.normal(size=shape) * scale, 3)


def probabilities(*shape: int) -> Any:
    """Rows that sum to 1, up to their three decimals."""
    return np.round(RNG.dirichlet(np.ones(shape[-1]), shape[:-1]), 3)


def run(
    name: str, f: Callable[..., Any], *inputs: Any, options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Differentiate f at the inputs, from a random gradient of its result."""
    options = options or {}
    variables = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    z = f(*variables, **options)
    g = numbers(*z.shape)
    z.backward(torch.tensor(g, dtype=torch.float64))
    return {
        "function": name,
        "options": options,
        "inputs": [x.tolist() for x in inputs],
        "gradient": g.tolist(),
        "value": z.tolist(),
        "gradients": [x.grad.tolist() for x in variables],
    }


def windows() -> list[dict[str, Any]]:
    """Convolution and pooling: odd sizes, steps that leave a remainder, overlaps."""
    runs = []
    for x, w, options in (
        ((2, 3, 7, 8), (4, 3, 3, 3), {}),
        ((2, 2, 7, 5), (3, 2, 3, 2), {"stride": [2, 1], "padding": [1, 0]}),
        ((1, 3, 9, 8), (2, 3, 3, 3), {"stride": 2, "padding": 2, "dilation": 2}),
        ((3, 1, 5, 11), (2, 1, 2, 5), {"stride": 3, "padding": [0, 3], "dilation": [3, 1]}),
        ((2, 4, 3, 3), (5, 4, 1, 1), {}),
        ((2, 2, 3, 4), (3, 2, 3, 4), {}),
    ):
        arrays = numbers(*x), numbers(*w)
        runs.append(run("conv2d", F.conv2d, *arrays, options=options))
        runs.append(run("conv2d", F.conv2d, *arrays, numbers(w[0]), options=options))
    pools: list[tuple[tuple[int, ...], dict[str, Any]]] = [
        ((2, 3, 6, 8), {"kernel_size": 2}),
        ((2, 2, 7, 5), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((1, 2, 8, 7), {"kernel_size": [3, 2], "stride": [1, 3], "padding": [1, 0]}),
        ((2, 1, 5, 5), {"kernel_size": [2, 4], "stride": 1, "padding": [1, 2]}),
    ]
    for shape, options in pools:
        runs.append(run("max_pool2d", F.max_pool2d, numbers(*shape), options=options))
        runs.append(run("avg_pool2d", F.avg_pool2d, numbers(*shape), options=options))
    return runs


def losses() -> list[dict[str, Any]]:
    """Every loss with every reduction; logits small and large."""
    runs = []
    for reduction, scale in itertools.product(("mean", "sum", "none"), (1.0, 1e4)):
        r = {"reduction": reduction}
        pair = numbers(3, 4, scale=scale), np.round(RNG.random((3, 4)), 3)
        binary = F.binary_cross_entropy_with_logits
        runs.append(run("binary_cross_entropy_with_logits", binary, *pair, options=r))
        for delta in (0.3, 1.0):
            pair = numbers(3, 4), numbers(3, 4, scale=scale)
            runs.append(run("huber_loss", F.huber_loss, *pair, options={**r, "delta": delta}))
        for smoothing in (0.0, 0.1, 1.0):
            options = {**r, "label_smoothing": smoothing}
            labels = RNG.integers(0, 5, 6).tolist()
            runs.append(run("cross_entropy", labelled, numbers(6, 5, scale=scale),
                            options={**options, "target": labels}))  # fmt: skip
            runs.append(run("cross_entropy", F.cross_entropy, numbers(3, 4, scale=scale),
                            probabilities(3, 4), options=options))  # fmt: skip
    runs.append(run("mse_loss", F.mse_loss, numbers(3, 4), numbers(3, 4)))
    return runs


def labelled(logits: Any, target: Any, **options: Any) -> Any:
    """Cross-entropy of labels that come as a list."""
    return F.cross_entropy(logits, torch.tensor(target), **options)


def vectors() -> list[dict[str, Any]]:
    """Softmax, layer normalisation, embedding, attention."""
    runs = []
    for scale, axis in itertools.product((1.0, 1e4), (-1, 0, 1)):
        x = numbers(3, 4, 2, scale=scale)
        for name, f in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
            runs.append(run(name, lambda x, axis, f=f: f(x, axis), x, options={"axis": axis}))
    for shape, eps in (((4, 5), 1e-5), ((2, 3, 7), 0.1)):
        x, w, b = numbers(*shape, scale=3.0) + 2, numbers(shape[-1]), numbers(shape[-1])
        for arrays in ((x,), (x, w), (x, w, b)):
            runs.append(run("layer_norm", layer_norm, *arrays, options={"eps": eps}))
    for index in ([2, 0, 2, 2], [[1, 4], [1, 1], [3, 4]]):
        runs.append(run("embedding", lambda w, index: F.embedding(torch.tensor(index), w),
                        numbers(5, 3), options={"index": index}))  # fmt: skip
    for q, k, v in (((5, 4), (5, 4), (5, 4)), ((2, 3, 4, 3), (2, 3, 6, 3), (2, 3, 6, 5)),
                    ((2, 6, 3), (2, 4, 3), (2, 4, 2))):  # fmt: skip
        for causal, scale in itertools.product((False, True), (1.0, 1e2)):
            arrays = numbers(*q, scale=scale), numbers(*k, scale=scale), numbers(*v)
            runs.append(run("scaled_dot_product_attention", attention, *arrays,
                            options={"causal": causal}))  # fmt: skip
    return runs


def layer_norm(x: Any, *args: Any, eps: float) -> Any:
    """PyTorch's, over the last axis."""
    return F.layer_norm(x, x.shape[-1:], *args, eps=eps)


def attention(q: Any, k: Any, v: Any, causal: bool) -> Any:
    """PyTorch's, by its name for the option."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def convolutional_network(x: Any, w1: Any, b1: Any, w2: Any, b2: Any, target: Any) -> Any:
    """Convolution, ReLU, maximum pooling, a linear layer, cross-entropy."""
    z = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=1)), 2)
    return labelled(z.reshape(len(z), -1) @ w2 + b2, target)


def transformer_block(x: Any, *parameters: Any, heads: int) -> Any:
    """A pre-norm transformer block: attention, then two linear layers, each beside a shortcut."""
    n1, m1, wq, wk, wv, wo, n2, m2, w1, b1, w2, b2 = parameters
    batch, time, d = x.shape

    def split(z: Any) -> Any:
        return z.reshape(batch, time, heads, d // heads).permute(0, 2, 1, 3)

    h = F.layer_norm(x, (d,), n1, m1)
    z = attention(split(h @ wq), split(h @ wk), split(h @ wv), causal=True)
    x = x + z.permute(0, 2, 1, 3).reshape(batch, time, d) @ wo
    h = F.layer_norm(x, (d,), n2, m2)
    return x + F.gelu(h @ w1 + b1, approximate="tanh") @ w2 + b2


def networks() -> list[dict[str, Any]]:
    """Two small networks, whole."""
    d = 6
    return [
        run("convolutional_network", convolutional_network,
            numbers(3, 2, 7, 6), numbers(3, 2, 3, 3), numbers(3), numbers(27, 4), numbers(4),
            options={"target": [3, 0, 1]}),
        run("transformer_block", transformer_block, numbers(2, 5, d), numbers(d), numbers(d),
            *(numbers(d, d) for _ in range(4)), numbers(d), numbers(d),
            numbers(d, 2 * d), numbers(2 * d), numbers(2 * d, d), numbers(d),
            options={"heads": 2}),
    ]  # fmt: skip


def gelus() -> list[dict[str, Any]]:
    """Both forms, close to 0 and far from it."""
    return [
        run("gelu", F.gelu, numbers(3, 7, scale=scale), options={"approximate": form})
        for form, scale in itertools.product(("none", "tanh"), (1.0, 5.0, 1e4))
    ]


if __name__ == "__main__":
    content = [f'"made_with": "torch {torch.__version__}, float64"']
    runs = *windows(), *losses(), *vectors(), *networks(), *gelus()
    lines = [json.dumps(entry) for entry in runs]
    content.append('"runs": [\n' + ",\n".join(lines) + "\n]")
    (HERE / "functional.json").write_text("{\n" + ",\n".join(content) + "\n}\n", encoding="utf-8")
    print(f"wrote functional.json, {len(lines)} runs")
