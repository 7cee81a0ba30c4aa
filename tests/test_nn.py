"""Layers and losses."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients, functional, mse_loss, nn, squared_loss


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_linear_is_x_w_plus_b() -> None:
    layer = nn.Linear(3, 2, rng=rng())
    x = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(layer(x).data, x @ layer.weight.data + layer.bias.data)


def test_affine_promotes_like_the_expression_it_stands_for() -> None:
    x, w = np.ones((2, 3), np.float32), np.ones((3, 1), np.float32)
    for b in (np.ones(1, np.float32), np.ones(1), 1.0):
        assert functional.affine(x, w, b).dtype == (x @ w + b).dtype


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


def test_parameters_are_found_once_in_order_of_definition_wherever_they_are() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            self.scale = Tensor(1.0, requires_grad=True)
            self.constant = Tensor(1.0)
            self.blocks = [nn.Linear(2, 2, rng=rng()), {"inner": nn.Linear(2, 1, rng=rng())}]
            self.again = self.scale

        def forward(self, x: Any) -> Any:
            return x

    model = Model()
    names = [name for name, _ in model.named_parameters()]
    assert names == [
        "scale", "blocks.0.weight", "blocks.0.bias",
        "blocks.1.inner.weight", "blocks.1.inner.bias",
    ]  # fmt: skip
    assert model.parameters() == [parameter for _, parameter in model.named_parameters()]


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


def test_sequential_indexes_counts_and_prints_its_layers() -> None:
    net = nn.Sequential(nn.Linear(2, 3, rng=rng()), nn.Sequential(nn.Tanh()))
    assert len(net) == 2
    assert isinstance(net[1], nn.Sequential)
    assert repr(net) == (
        "Sequential(\n  0: Linear(2, 3)\n  1: Sequential(\n    0: Tanh()\n  )\n)"
    )


def test_squared_loss_is_half_the_squared_error_of_each_example() -> None:
    prediction = Tensor([[1.0], [2.0]], requires_grad=True)
    loss = squared_loss(prediction, np.array([[0.0], [5.0]]))
    np.testing.assert_array_equal(loss.data, [[0.5], [4.5]])
    loss.mean().backward()
    np.testing.assert_array_equal(prediction.grad, [[0.5], [-1.5]])


def test_mse_loss_is_twice_the_mean_squared_loss() -> None:
    x, y = rng().normal(size=(2, 6, 2))
    assert float(mse_loss(x, y)) == pytest.approx(float(np.mean((x - y) ** 2)), rel=1e-15)
    assert float(mse_loss(x, y)) == pytest.approx(2 * float(squared_loss(x, y).mean()), rel=1e-15)


def test_losses_and_layers_take_lists_and_numbers() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    mse_loss(x, [1.0, 4.0]).backward()
    np.testing.assert_array_equal(x.grad, [0.0, -2.0])
    assert float(mse_loss(1.0, Tensor(3.0)).data) == 4.0
    np.testing.assert_array_equal(squared_loss([1.0, 2.0], [1.0, 4.0]), [0.0, 2.0])
    layer = nn.Linear(2, 1, rng=rng())
    layer([[1.0, 2.0]]).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, [[1.0], [2.0]])


def test_an_activation_kept_as_attribute_is_no_parameter() -> None:
    layer = nn.Linear(2, 1, rng=rng())
    layer.last = layer(np.ones((1, 2)))  # type: ignore[attr-defined]
    assert len(layer.parameters()) == 2


def test_error_mse_loss_of_nothing() -> None:
    with pytest.raises(ValueError, match="no elements"):
        mse_loss(np.ones((0, 1)), np.ones((0, 1)))


@pytest.mark.parametrize("loss", [mse_loss, squared_loss])
def test_error_loss_of_a_column_and_a_vector(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"prediction has shape \(10, 1\), the target \(10,\)"):
        loss(Tensor(np.ones((10, 1)), requires_grad=True), np.ones(10))


def test_error_linear_with_inputs_of_another_width() -> None:
    with pytest.raises(ValueError, match=r"affine of shape \(4, 5\) and \(3, 2\)"):
        nn.Linear(3, 2, rng=rng())(np.ones((4, 5)))


def test_error_linear_without_features() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        nn.Linear(0, 2, rng=rng())
