"""LayerNorm and BatchNorm against their formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, check_gradients, load, nn, no_grad, save


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


SHAPES: list[tuple[Any, tuple[int, ...]]] = [
    (nn.BatchNorm1d, (6, 3)),
    (nn.BatchNorm1d, (4, 3, 5)),
    (nn.BatchNorm2d, (2, 3, 4, 5)),
]


def axes_and_column(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (0, *range(2, len(shape))), (1, shape[1], *(1 for _ in shape[2:]))


def with_random_parameters(norm: Any) -> Any:
    norm.weight.data = rng(7).normal(size=norm.weight.shape)
    norm.bias.data = rng(8).normal(size=norm.bias.shape)
    return norm


def test_layer_norm_is_its_formula_over_the_last_axis() -> None:
    norm = with_random_parameters(nn.LayerNorm(5, eps=0.1))
    x = rng().normal(2.0, 3.0, size=(2, 4, 5))
    mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    expected = (x - mean) / np.sqrt(var + 0.1) * norm.weight.data + norm.bias.data
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("layer", "shape"), SHAPES)
def test_batch_norm_in_training_normalises_with_the_biased_variance(
    layer: Any, shape: tuple[int, ...]
) -> None:
    norm = with_random_parameters(layer(3, eps=0.1))
    x = rng().normal(2.0, 3.0, size=shape)
    axes, column = axes_and_column(shape)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    w, b = norm.weight.data.reshape(column), norm.bias.data.reshape(column)
    expected = (x - mean) / np.sqrt(var + 0.1) * w + b
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("layer", "shape"), SHAPES)
def test_batch_norm_remembers_mean_and_unbiased_variance(
    layer: Any, shape: tuple[int, ...]
) -> None:
    norm = layer(3, momentum=0.25)
    axes, _ = axes_and_column(shape)
    mean, var = np.zeros(3), np.ones(3)
    for step in range(3):
        x = rng(step).normal(2.0, 3.0, size=shape)
        norm(Tensor(x, requires_grad=True) if step else x)
        mean = 0.75 * mean + 0.25 * x.mean(axis=axes)
        var = 0.75 * var + 0.25 * x.var(axis=axes, ddof=1)
    np.testing.assert_allclose(norm.running_mean.data, mean, rtol=1e-13)
    np.testing.assert_allclose(norm.running_var.data, var, rtol=1e-13)


@pytest.mark.parametrize(("layer", "shape"), SHAPES)
def test_batch_norm_in_evaluation_uses_what_it_remembers_and_leaves_it(
    layer: Any, shape: tuple[int, ...]
) -> None:
    norm = with_random_parameters(layer(3, eps=0.1)).eval()
    norm.running_mean.data = rng(3).normal(size=3)
    norm.running_var.data = rng(4).uniform(0.5, 2.0, size=3)
    before = norm.state_dict()
    x = rng().normal(size=shape)
    _, column = axes_and_column(shape)
    mean, var, w, b = (
        a.reshape(column)
        for a in (before["running_mean"], before["running_var"], before["weight"], before["bias"])
    )
    expected = (x - mean) / np.sqrt(var + 0.1) * w + b
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-13, atol=1e-13)
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), [*SHAPES, (nn.LayerNorm, (4, 3))])
def test_the_gradients_of_input_scale_and_shift(
    layer: Any, shape: tuple[int, ...], training: bool
) -> None:
    norm = with_random_parameters(layer(3)).train(training)
    weight, bias = norm.weight.data, norm.bias.data

    def f(x: Any, w: Any, b: Any) -> Any:
        norm.weight, norm.bias = w, b
        return norm(x)

    check_gradients(f, rng().normal(size=shape), weight, bias)


def test_a_first_layer_of_batch_norm_takes_plain_arrays_lists_and_integers() -> None:
    x = [[1, 2], [3, 6]]
    for norm in (nn.BatchNorm1d(2), nn.BatchNorm1d(2).eval()):
        z = norm(x)
        np.testing.assert_array_equal(z.data, norm(np.array(x, float)).data)
        z.sum().backward()
        assert norm.weight.grad.shape == (2,)


def test_evaluating_before_backward_leaves_the_graph_as_it_was() -> None:
    norm = nn.BatchNorm1d(2).eval()
    x = Tensor(rng().normal(size=(4, 2)), requires_grad=True)
    z = norm(x)
    norm.train()(100 * rng(1).normal(size=(4, 2)))  # moves the statistics that z used
    z.backward(np.ones((4, 2)))
    np.testing.assert_allclose(x.grad, np.full((4, 2), 1 / np.sqrt(1 + 1e-5)), rtol=1e-14)


def test_the_statistics_are_no_parameters_and_move_under_no_grad_too() -> None:
    norm = nn.BatchNorm1d(2)
    assert [name for name, _ in norm.named_parameters()] == ["weight", "bias"]
    with no_grad():
        norm(rng().normal(size=(4, 2)))
    assert np.all(norm.running_mean.data != 0)


def test_the_statistics_are_saved_and_loaded(tmp_path: Path) -> None:
    norm, twin = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    x = rng().normal(size=(4, 2))
    norm(x)
    save(tmp_path / "norm.npz", norm)
    load(tmp_path / "norm.npz", twin)
    np.testing.assert_array_equal(twin.eval()(x).data, norm.eval()(x).data)


@pytest.mark.parametrize(("layer", "shape"), [*SHAPES, (nn.LayerNorm, (4, 3))])
def test_float32_stays_float32_also_with_float64_inputs_passing_by(
    layer: Any, shape: tuple[int, ...]
) -> None:
    norm = layer(3, dtype=np.float32)
    for training in (True, False):
        z = norm.train(training)(np.ones(shape, np.float32) * np.arange(3.0, dtype=np.float32)
                                 .reshape(axes_and_column(shape)[1]))  # fmt: skip
        z.sum().backward()
        assert z.dtype == norm.weight.grad.dtype == np.float32
    norm.train()(rng().normal(size=shape))
    assert {array.dtype for array in norm.state_dict().values()} == {np.dtype(np.float32)}


def test_norms_print_their_features() -> None:
    assert repr(nn.LayerNorm(128)) == "LayerNorm(128): 256 parameters"
    assert repr(nn.BatchNorm2d(3)) == "BatchNorm2d(3): 6 parameters"


BAD_CALLS: list[tuple[nn.Module, tuple[int, ...], str]] = [
    (nn.BatchNorm1d(3), (1, 3), r"BatchNorm1d\(3\) of shape \(1, 3\): .* more than one value"),
    (nn.BatchNorm2d(3), (1, 3, 1, 1), "more than one value per feature"),
    (nn.BatchNorm1d(3), (0, 3), "more than one value per feature"),
    (nn.BatchNorm1d(3), (4, 2), r"BatchNorm1d\(3\) of shape \(4, 2\): it takes .* 3 features"),
    (nn.BatchNorm1d(3), (3,), r"of shape \(3,\)"),
    (nn.BatchNorm1d(3), (2, 3, 4, 5), r"of shape \(2, 3, 4, 5\)"),
    (nn.BatchNorm2d(3), (4, 3), r"takes \(batch, features, rows, columns\) with 3 features"),
    (nn.LayerNorm(3), (4, 1), r"layer_norm of shape \(4, 1\): the weight has shape \(3,\)"),
]


@pytest.mark.parametrize(("norm", "shape", "match"), BAD_CALLS)
def test_error_call_changes_no_statistics(
    norm: nn.Module, shape: tuple[int, ...], match: str
) -> None:
    before = norm.state_dict()
    with pytest.raises(ValueError, match=match):
        norm(np.ones(shape))
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_one_value_per_feature_is_enough_in_evaluation() -> None:
    assert nn.BatchNorm1d(3).eval()(np.ones((1, 3))).shape == (1, 3)


BAD_LAYERS: list[tuple[Any, type[Exception], str]] = [
    (lambda: nn.LayerNorm(0), ValueError, "LayerNorm: features=0"),
    (lambda: nn.LayerNorm(3, eps=-1e-5), ValueError, "LayerNorm: eps=-1e-05; .* at least 0"),
    (lambda: nn.LayerNorm(3, np.float64), TypeError, "LayerNorm: eps=<class"),  # type: ignore[arg-type]
    (lambda: nn.BatchNorm1d(0), ValueError, "BatchNorm1d: features=0"),
    (lambda: nn.BatchNorm2d(3, eps=np.nan), ValueError, "BatchNorm2d: eps=nan"),
    (lambda: nn.BatchNorm2d(3, momentum=1.5), ValueError, "momentum=1.5; .* from 0 to 1"),
]


@pytest.mark.parametrize(("make", "error", "match"), BAD_LAYERS)
def test_error_layer(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
