"""Linear layers, embeddings, dropout, activations, and networks of them."""

import math
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients, mse_loss, nn


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_linear_is_x_w_plus_b() -> None:
    layer = nn.Linear(3, 2, rng=rng())
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(layer(x).data, x @ layer.weight.data + layer.bias.data)


def test_linear_without_bias_is_x_w() -> None:
    layer = nn.Linear(3, 2, bias=False, rng=rng())
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(layer(x).data, x @ layer.weight.data)
    assert list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(layer.weight.data, nn.Linear(3, 2, rng=rng()).weight.data)


def test_initial_weights_come_from_the_generator_and_lie_within_the_bound() -> None:
    a, b = nn.Linear(100, 50, rng=rng()), nn.Linear(100, 50, rng=rng())
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    assert 0.099 < abs(a.weight.data).max() <= 0.1
    assert abs(a.weight.data.mean()) < 0.003
    assert 0.09 < abs(a.bias.data).max() <= 0.1


def test_float32_stays_float32() -> None:
    layer = nn.Linear(3, 2, rng=rng(), dtype=np.float32)
    loss = mse_loss(layer(np.ones((4, 3), np.float32)), np.zeros((4, 2), np.float32))
    loss.backward()
    assert loss.dtype == layer.weight.grad.dtype == layer.bias.grad.dtype == np.float32


def test_an_embedding_looks_up_rows_and_a_repeated_row_gets_both_gradients() -> None:
    layer = nn.Embedding(5, 3, rng=rng())
    index = np.array([[4, 1], [1, 0]])
    z = layer(index)
    np.testing.assert_array_equal(z.data, layer.weight.data[index])
    z.backward(np.ones((2, 2, 3)))
    np.testing.assert_array_equal(layer.weight.grad, np.outer([1, 2, 0, 0, 1], np.ones(3)))


def test_embeddings_are_normal_with_variance_1() -> None:
    w = nn.Embedding(300, 200, rng=rng()).weight.data
    assert abs(w.mean()) < 4 / math.sqrt(w.size)
    assert abs(w.var() - 1) < 4 * math.sqrt(2 / w.size)
    assert nn.Embedding(3, 2, rng=rng(), dtype=np.float32).weight.dtype == np.float32


# Dropout


def test_dropout_zeroes_a_share_of_p_and_keeps_the_mean() -> None:
    dropout = nn.Dropout(0.3, rng=rng())
    x = np.ones((400, 500))
    z = dropout(x)
    zeros = np.mean(z == 0)
    assert abs(zeros - 0.3) < 4 * math.sqrt(0.3 * 0.7 / x.size)
    np.testing.assert_allclose(z[z != 0], 1 / 0.7, rtol=1e-15)


def test_dropout_draws_new_zeros_in_every_call_and_the_same_from_the_same_seed() -> None:
    a, b = nn.Dropout(0.5, rng=rng()), nn.Dropout(0.5, rng=rng())
    x = np.ones(1000)
    first, second = a(x), a(x)
    assert np.any(first != second)
    np.testing.assert_array_equal(b(x), first)
    np.testing.assert_array_equal(b(x), second)


def test_dropout_in_evaluation_and_with_p_0_is_its_input() -> None:
    x = Tensor(np.ones(5), requires_grad=True)
    assert nn.Dropout(0.9, rng=rng()).eval()(x) is x
    assert nn.Dropout(0.0, rng=rng())(x) is x


def test_dropout_sends_back_what_it_let_through() -> None:
    x = Tensor(np.ones((20, 30)), requires_grad=True)
    z = nn.Dropout(0.5, rng=rng())(x)
    z.backward(np.ones(z.shape))
    np.testing.assert_array_equal(x.grad, z.data)


# Activations

X = np.array([[-30.0, -1.5, -0.2], [0.3, 2.0, 30.0]])

ACTIVATIONS: list[tuple[nn.Module, Any, str]] = [
    (nn.ReLU(), lambda x: max(x, 0.0), "ReLU()"),
    (nn.LeakyReLU(), lambda x: x if x > 0 else 0.01 * x, "LeakyReLU(0.01)"),
    (nn.LeakyReLU(0.2), lambda x: x if x > 0 else 0.2 * x, "LeakyReLU(0.2)"),
    (nn.ELU(), lambda x: x if x > 0 else math.expm1(x), "ELU(1.0)"),
    (nn.ELU(1.5), lambda x: x if x > 0 else 1.5 * math.expm1(x), "ELU(1.5)"),
    (nn.SiLU(), lambda x: x / (1 + math.exp(-x)), "SiLU()"),
    (nn.Sigmoid(), lambda x: 1 / (1 + math.exp(-x)), "Sigmoid()"),
    (nn.Softplus(), lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), "Softplus()"),
    (nn.Tanh(), math.tanh, "Tanh()"),
]


@pytest.mark.parametrize(("layer", "formula", "text"), ACTIVATIONS)
def test_an_activation_is_its_formula(layer: nn.Module, formula: Any, text: str) -> None:
    np.testing.assert_allclose(layer(X), np.vectorize(formula)(X), rtol=1e-14, atol=1e-300)
    check_gradients(layer, X[:, 1:2])
    assert repr(layer) == text


GELUS: list[tuple[nn.GELU, Any, str]] = [
    (nn.GELU(), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2, "GELU()"),
    (
        nn.GELU("tanh"),
        lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
        "GELU('tanh')",
    ),
]


@pytest.mark.parametrize(("layer", "formula", "text"), GELUS)
def test_gelu_is_its_formula(layer: nn.Module, formula: Any, text: str) -> None:
    np.testing.assert_allclose(layer(X), np.vectorize(formula)(X), rtol=1e-14, atol=1e-15)
    check_gradients(layer, X[:, 1:2])
    assert repr(layer) == text


def test_softmax_sums_to_1_along_its_axis() -> None:
    x = rng().normal(size=(3, 4))
    for axis in (0, -1):
        e = np.exp(x)
        np.testing.assert_allclose(
            nn.Softmax(axis)(x), e / e.sum(axis=axis, keepdims=True), rtol=1e-14
        )
    assert repr(nn.Softmax()) == "Softmax(axis=-1)"


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh()])
def test_a_network_has_the_gradients_of_its_composition(activation: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(3, 4, rng=rng()), activation, nn.Linear(4, 1, rng=rng()))
    x = rng().normal(size=(5, 3))
    y = rng().normal(size=(5, 1))

    def loss(w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
        hidden = activation(x @ w1 + b1)
        return mse_loss(hidden @ w2 + b2, y)

    values = [parameter.data for parameter in net.parameters()]
    check_gradients(loss, *values)
    mse_loss(net(x), y).backward()
    leaves = [Tensor(value, requires_grad=True) for value in values]
    loss(*leaves).backward()
    for parameter, leaf in zip(net.parameters(), leaves, strict=True):
        np.testing.assert_allclose(parameter.grad, leaf.grad, rtol=1e-13)


# Bad input

BAD_LAYERS: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.Linear(0, 2, rng=rng()), ValueError, "Linear: in_features=0; .* at least 1"),
    (lambda: nn.Linear(2, -1, rng=rng()), ValueError, "Linear: out_features=-1"),
    (lambda: nn.Linear(2.0, 1, rng=rng()), TypeError, "in_features=2.0 is of type float"),  # type: ignore[arg-type]
    (lambda: nn.Linear(True, 1, rng=rng()), TypeError, "in_features=True is of type bool"),
    (lambda: nn.Embedding(0, 2, rng=rng()), ValueError, "Embedding: num_embeddings=0"),
    (lambda: nn.Embedding(2, 0, rng=rng()), ValueError, "Embedding: embedding_dim=0"),
    (lambda: nn.Dropout(1.0, rng=rng()), ValueError, r"Dropout: p=1.0; .* at least 0 and below 1"),
    (lambda: nn.Dropout(-0.1, rng=rng()), ValueError, "Dropout: p=-0.1"),
    (lambda: nn.Dropout(math.nan, rng=rng()), ValueError, "Dropout: p=nan"),
    (lambda: nn.Dropout("half", rng=rng()), TypeError, "p='half' is of type str"),  # type: ignore[arg-type]
    (lambda: nn.Dropout(0.5, rng=0), TypeError, "rng=0 is of type int"),  # type: ignore[arg-type]
    (lambda: nn.Linear(2, 1, rng=0), TypeError, "must be a numpy.random.Generator"),  # type: ignore[arg-type]
    (lambda: nn.Embedding(2, 1, rng=np.random), TypeError, "is of type module"),  # type: ignore[arg-type]
    (lambda: nn.GELU("erf"), ValueError, "GELU: approximate='erf'"),  # type: ignore[arg-type]
    (lambda: nn.LeakyReLU("a"), TypeError, "LeakyReLU: negative_slope='a' is of type str"),  # type: ignore[arg-type]
    (lambda: nn.LeakyReLU(None), TypeError, "negative_slope=None .* a finite number"),  # type: ignore[arg-type]
    (lambda: nn.LeakyReLU(math.nan), ValueError, "LeakyReLU: negative_slope=nan"),
    (lambda: nn.ELU("a"), TypeError, "ELU: alpha='a' is of type str"),  # type: ignore[arg-type]
    (lambda: nn.ELU(math.inf), ValueError, "ELU: alpha=inf; it must be a finite number"),
    (lambda: nn.Softmax(axis=1.5), TypeError, "Softmax: axis=1.5 is of type float"),  # type: ignore[arg-type]
    (lambda: nn.Softmax(axis=None), TypeError, "axis=None .* must be an integer"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "error", "match"), BAD_LAYERS)
def test_error_layer(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_error_linear_with_inputs_of_another_width() -> None:
    with pytest.raises(ValueError, match=r"affine of shape \(4, 5\) and \(3, 2\)"):
        nn.Linear(3, 2, rng=rng())(np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"matmul of shape \(4, 5\) and \(3, 2\)"):
        nn.Linear(3, 2, bias=False, rng=rng())(np.ones((4, 5)))


def test_error_embedding_of_no_token() -> None:
    layer = nn.Embedding(3, 2, rng=rng())
    with pytest.raises(IndexError, match="out of range for 3 rows"):
        layer([0, 3])
    with pytest.raises(IndexError, match="out of range for 3 rows"):
        layer([-1])
    with pytest.raises(TypeError, match="must be an integer"):
        layer([0.0])
