"""Losses of predictions."""

from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, functional, mse_loss, nn, squared_loss


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_affine_promotes_like_the_expression_it_stands_for() -> None:
    x, w = np.ones((2, 3), np.float32), np.ones((3, 1), np.float32)
    for b in (np.ones(1, np.float32), np.ones(1), 1.0):
        assert functional.affine(x, w, b).dtype == (x @ w + b).dtype


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


def test_error_mse_loss_of_nothing() -> None:
    with pytest.raises(ValueError, match="no elements"):
        mse_loss(np.ones((0, 1)), np.ones((0, 1)))


@pytest.mark.parametrize("loss", [mse_loss, squared_loss])
def test_error_loss_of_a_column_and_a_vector(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"prediction has shape \(10, 1\), the target \(10,\)"):
        loss(Tensor(np.ones((10, 1)), requires_grad=True), np.ones(10))
