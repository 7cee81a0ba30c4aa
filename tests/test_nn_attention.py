"""Multi-head attention against loops over heads and positions, and one head at a time."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from minigrad import Tensor, check_gradients, functional, nn
from minigrad.functional.attention import multi_head_attention


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def by_loops(layer: nn.MultiHeadAttention, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """One example, (positions, d_model): each head, each position, one dot product at a time."""

    def affine(part: nn.Linear, row: npt.NDArray[Any]) -> npt.NDArray[Any]:
        z = row @ part.weight.data
        return z if part.bias is None else z + part.bias.data

    positions, d_model = x.shape
    d = d_model // layer.num_heads
    mixed = np.zeros_like(x)
    for h in range(layer.num_heads):
        piece = slice(h * d, (h + 1) * d)
        for t in range(positions):
            seen = range(t + 1) if layer.causal else range(positions)
            q = affine(layer.query, x[t])[piece]
            scores = [q @ affine(layer.key, x[s])[piece] / math.sqrt(d) for s in seen]
            total = sum(math.exp(score) for score in scores)
            for s, score in zip(seen, scores, strict=True):
                weight = math.exp(score) / total
                mixed[t, piece] += weight * affine(layer.value, x[s])[piece]
    return np.array([affine(layer.output, row) for row in mixed])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("num_heads", [1, 2, 6])
def test_attention_is_what_the_loops_say(num_heads: int, bias: bool, causal: bool) -> None:
    layer = nn.MultiHeadAttention(6, num_heads, causal=causal, bias=bias, rng=rng())
    x = 3 * rng(1).normal(size=(2, 5, 6))
    expected = [by_loops(layer, example) for example in x]
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12, atol=1e-14)


def test_any_axes_in_front_are_a_batch() -> None:
    layer = nn.MultiHeadAttention(4, 2, causal=True, rng=rng())
    x = rng(1).normal(size=(2, 3, 5, 4))
    z = layer(x).data
    assert z.shape == x.shape
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(layer(x[i, j]).data, z[i, j], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("causal", [False, True])
def test_a_causal_position_does_not_depend_on_later_ones(causal: bool) -> None:
    layer = nn.MultiHeadAttention(4, 2, causal=causal, rng=rng())
    for i in range(5):
        x = Tensor(rng(1).normal(size=(5, 4)), requires_grad=True)
        layer(x)[i].sum().backward()
        depends = np.any(x.grad != 0, axis=1)
        assert depends.tolist() == [not causal or j <= i for j in range(5)]


@pytest.mark.parametrize("causal", [False, True])
def test_the_gradients_of_the_input_and_of_every_parameter(causal: bool) -> None:
    layer = nn.MultiHeadAttention(4, 2, causal=causal, rng=rng())
    linears = [layer.query, layer.key, layer.value, layer.output]
    values = [parameter.data for parameter in layer.parameters()]

    def f(x: Any, *parameters: Any) -> Any:
        for i, linear in enumerate(linears):
            linear.weight, linear.bias = parameters[2 * i], parameters[2 * i + 1]
        return layer(x)

    check_gradients(f, rng(1).normal(size=(2, 3, 4)), *values)


def test_float32_stays_float32() -> None:
    layer = nn.MultiHeadAttention(4, 2, rng=rng(), dtype=np.float32)
    z = layer(np.ones((2, 3, 4), np.float32))
    z.sum().backward()
    assert z.dtype == np.float32
    assert {parameter.grad.dtype for parameter in layer.parameters()} == {np.dtype(np.float32)}


def test_a_list_is_a_sequence_too() -> None:
    layer = nn.MultiHeadAttention(2, 1, rng=rng())
    x = [[1.0, 2.0], [3.0, 4.0]]
    np.testing.assert_array_equal(layer(x).data, layer(np.array(x)).data)


def test_error_heads_that_do_not_divide_the_model() -> None:
    with pytest.raises(ValueError, match="d_model=6 cannot be cut into num_heads=4 equal"):
        nn.MultiHeadAttention(6, 4, rng=rng())
    with pytest.raises(ValueError, match="num_heads=0"):
        nn.MultiHeadAttention(6, 0, rng=rng())


@pytest.mark.parametrize("shape", [(2, 5, 8), (6,)])
def test_error_attention_over_another_width(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"of shape .*: it takes \(\.\.\., positions, 6\)"):
        nn.MultiHeadAttention(6, 2, rng=rng())(np.ones(shape))


class Block(nn.Module):
    def __init__(self, d: int, num_heads: int, g: np.random.Generator) -> None:
        self.attention_norm = nn.LayerNorm(d)
        self.attention = nn.MultiHeadAttention(d, num_heads, causal=True, rng=g)
        self.mlp = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, 4 * d, rng=g), nn.ReLU(), nn.Linear(4 * d, d, rng=g)
        )

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(x)


class Transformer(nn.Module):
    def __init__(self, tokens: int, positions: int, d: int, num_heads: int) -> None:
        g = rng()
        self.token = nn.Embedding(tokens, d, rng=g)
        self.position = nn.Embedding(positions, d, rng=g)
        self.blocks = [Block(d, num_heads, g) for _ in range(2)]
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, tokens, rng=g)

    def forward(self, text: Any) -> Any:
        x = self.token(text) + self.position(np.arange(text.shape[-1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def test_a_transformer_is_made_of_these_layers() -> None:
    model = Transformer(28, 64, 128, 2)
    assert repr(model).splitlines()[:6] == [
        "Transformer                                                412,188 parameters",
        "├─ token: Embedding(28, 128)                                 3,584",
        "├─ position: Embedding(64, 128)                              8,192",
        "├─ blocks.0: Block                                         198,272",
        "│  ├─ attention_norm: LayerNorm(128)                           256",
        "│  ├─ attention: MultiHeadAttention(128, 2, causal=True)    66,048",
    ]


def test_a_transformer_predicts_from_what_came_before() -> None:
    model = Transformer(5, 7, 8, 2)
    text = rng(1).integers(5, size=(3, 7))
    functional.cross_entropy(model(text)[:, 2], text[:, 3]).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    np.testing.assert_array_equal(
        np.any(model.position.weight.grad != 0, axis=1), np.arange(7) <= 2
    )


# Attention of all heads


def one_head_at_a_time(x: Any, num_heads: int, causal: bool) -> Any:
    pieces = np.split(x, 3 * num_heads, axis=-1)
    heads = [
        functional.scaled_dot_product_attention(*pieces[h::num_heads], causal=causal)
        for h in range(num_heads)
    ]
    return np.concatenate(heads, axis=-1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("num_heads", "shape"), [(1, (5, 6)), (2, (2, 7, 12)), (3, (2, 2, 3, 9)), (2, (3, 64, 96))]
)
def test_heads_together_are_one_head_at_a_time(
    num_heads: int, shape: tuple[int, ...], causal: bool
) -> None:
    leaves = [Tensor(rng().normal(size=shape), requires_grad=True) for _ in range(2)]
    together = multi_head_attention(leaves[0], num_heads=num_heads, causal=causal)
    apart = one_head_at_a_time(leaves[1], num_heads, causal)
    np.testing.assert_allclose(together.data, apart.data, rtol=0, atol=1e-14)
    g = rng(1).normal(size=together.shape)
    together.backward(g)
    apart.backward(g)
    np.testing.assert_allclose(leaves[0].grad, leaves[1].grad, rtol=0, atol=1e-13)


@pytest.mark.parametrize("scores", [1, 300])
@pytest.mark.parametrize("shape", [(5, 12), (7, 5, 12), (3, 2, 5, 12), (0, 5, 12), (3, 0, 12)])
def test_attention_on_parts_of_a_batch_is_that_on_all(
    shape: tuple[int, ...], scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = [Tensor(rng().normal(size=shape), requires_grad=True) for _ in range(2)]
    outputs = []
    for x in leaves:
        outputs.append(multi_head_attention(x, num_heads=2, causal=True))
        outputs[-1].backward(rng(1).normal(size=(*shape[:-1], 4)))
        monkeypatch.setattr("minigrad.functional.attention.SCORES", scores)
    np.testing.assert_allclose(outputs[1].data, outputs[0].data, rtol=0, atol=1e-14)
    np.testing.assert_allclose(leaves[1].grad, leaves[0].grad, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("num_heads", "shape"), [(2, (5, 9)), (1, (6,)), (0, (5, 6)), (1, (5, 0))])
def test_error_projections_that_cannot_be_cut(num_heads: int, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"num_heads={num_heads}: it takes"):
        multi_head_attention(np.ones(shape), num_heads=num_heads)
