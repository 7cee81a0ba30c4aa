"""Weight averaging: closed forms, PyTorch's recorded averages, swapping, state, bad input."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import Checkpoint, Tensor, detect_anomaly, nn
from optim import SGD, Adam
from optim.averaging import ExponentialMovingAverage, averaging_rule

REFERENCE = json.loads(
    (Path(__file__).parent / "reference" / "averaging.json").read_text(encoding="utf-8")
)
Rule = Callable[..., Any]


def averages_along(weights: Any, decay: float) -> Any:
    """The average after each of a sequence of weights; the first ones are there at the start."""
    x = Tensor(weights[0], requires_grad=True)
    ema = ExponentialMovingAverage([x], decay)
    path = []
    for values in weights[1:]:
        x.data[...] = values
        ema.update()
        path.append(ema.state_dict()["averages"][0])
    return np.array(path)


def parameters() -> tuple[list[Tensor], ExponentialMovingAverage]:
    """Parameters of several kinds, and an average that differs from them."""
    arrays = [np.ones((2, 3)), np.array(2.0), np.zeros((0, 3)), np.ones(4, np.float32)]
    params = [Tensor(array, requires_grad=True) for array in arrays]
    ema = ExponentialMovingAverage([("w", params[0]), *params[1:]], decay=0.75)
    for p in params:
        p.data[...] += 8
    ema.update()
    return params, ema


def snapshot(params: list[Tensor], ema: ExponentialMovingAverage) -> Any:
    averages = [average.tolist() for average in ema.state_dict()["averages"]]
    return [p.data.tolist() for p in params], ema.decay, averages


# Recorded averages and closed forms


def largest_error(number: int, rule: Rule | None = None) -> float:
    """How far from PyTorch's path, relative to the size of the weights."""
    run, weights = REFERENCE["runs"][number], np.array(REFERENCE["weights"])
    if rule is None:
        ours = averages_along(weights, run["decay"])
    else:
        average, ours = weights[0], []
        for x in weights[1:]:
            average = rule(average, x, 1 - run["decay"])
            ours.append(average)
    theirs = np.array(run["path"][1:])  # the first took the weights at the start
    assert run["path"][0] == weights[0].tolist()
    assert len(theirs) == 60
    return float(np.max(np.abs(np.array(ours) - theirs) / np.abs(weights).max(0)))


@pytest.mark.parametrize("number", range(3))
def test_the_average_is_pytorchs(number: int) -> None:
    assert largest_error(number) < 1e-15


@pytest.mark.parametrize("decay", [0.0, 0.1, 0.9, 0.999, 1 - 2.0**-53])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_weights_are_their_average_bit_for_bit(dtype: Any, decay: float) -> None:
    x = np.random.default_rng(0).standard_normal(50).astype(dtype)
    assert np.all(averages_along([x] * 101, decay) == x)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_after_a_jump_the_gap_closes_geometrically(decay: float) -> None:
    """x_0 = 0, then 1: x̄_t = 1 - dᵗ."""
    path = averages_along(np.array([0.0] + [1.0] * 500), decay)
    np.testing.assert_allclose(path, 1 - decay ** np.arange(1, 501), rtol=2e-14)


def test_a_weight_k_steps_back_counts_1_minus_d_times_d_to_the_k() -> None:
    decay, weights = 0.75, np.random.default_rng(1).standard_normal(41)
    counts = np.r_[decay**40, (1 - decay) * decay ** np.arange(39.0, -1, -1)]
    assert averages_along(weights, decay)[-1] == pytest.approx(counts @ weights, rel=1e-14)


def test_decay_0_keeps_the_last_weights() -> None:
    weights = np.random.default_rng(2).standard_normal(20)
    np.testing.assert_allclose(averages_along(weights, 0.0), weights[1:], rtol=1e-14)


def test_optaxs_average_is_this_one_without_its_start() -> None:
    """x̄_t = dᵗ x_0 + (1 - dᵗ) · (average that starts at 0) / (1 - dᵗ)."""
    decay, weights = 0.9, np.random.default_rng(3).standard_normal(31)
    from_zero = averages_along(np.r_[0.0, weights[1:]], decay)
    debiased = from_zero / (1 - decay ** np.arange(1, 31))
    start = decay ** np.arange(1, 31)
    np.testing.assert_allclose(
        averages_along(weights, decay), start * weights[0] + (1 - start) * debiased, rtol=1e-13
    )


def test_a_decay_of_t_over_t_plus_1_gives_polyaks_mean_of_all_weights() -> None:
    weights = np.random.default_rng(4).standard_normal((100, 3))
    x = Tensor(weights[0], requires_grad=True)
    ema = ExponentialMovingAverage([x])
    for t in range(1, 100):
        x.data[...] = weights[t]
        ema.decay = t / (t + 1)
        ema.update()
    (average,) = ema.state_dict()["averages"]
    np.testing.assert_allclose(average, weights.mean(0), rtol=1e-13)


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(-1e100, 1e100), min_size=2))
def test_property_the_average_lies_between_the_smallest_and_the_largest_weight(
    decay: float, weights: list[float]
) -> None:
    path = averages_along(np.array(weights), decay)
    rounding = 4 * len(weights) * np.spacing(np.max(np.abs(weights)))
    assert np.all(path >= min(weights) - rounding)
    assert np.all(path <= max(weights) + rounding)


def test_averaging_brings_noisy_sgd_nearer_to_the_minimum() -> None:
    rng = np.random.default_rng(5)
    x = Tensor(np.zeros(1000), requires_grad=True)
    optimizer, ema = SGD([x], lr=0.1), ExponentialMovingAverage([x], decay=0.99)
    for _ in range(1000):
        x.grad = x.data + rng.standard_normal(1000)
        optimizer.step()
        ema.update()
    with ema.swapped():
        averaged = float(np.mean(x.data**2))
    assert averaged < 0.15 * float(np.mean(x.data**2))


# float32


def test_a_float32_average_would_stall_and_this_one_does_not() -> None:
    """From 1 towards 2 with d = 0.9999: next to 1.9994 in float32, steps are half an ulp."""
    decay, in_float32 = 0.9999, np.float32(1)
    x = Tensor(np.ones(1, np.float32), requires_grad=True)
    ema = ExponentialMovingAverage([x], decay)
    x.data[...] = 2
    for _ in range(200_000):
        ema.update()
        in_float32 = averaging_rule(in_float32, np.float32(2), np.float32(1 - decay))
    assert 2 - in_float32 > 2.0**-25 * 2 / (1 - decay) * 0.9
    assert 2 - ema.state_dict()["averages"][0][0] < 1e-8
    with ema.swapped():
        assert x.data.dtype == np.float32
        assert x.data[0] == 2


@pytest.mark.parametrize("k", [30, 40, 50])
def test_one_minus_decay_may_be_far_below_float32s_resolution(k: int) -> None:
    """In float32 an average of weights of one size stands still once 1 - d is below 2⁻²⁵."""
    weights = np.array([1.0, 1.5], np.float32)
    assert averaging_rule(weights[0], weights[1], np.float32(2.0**-26)) == 1
    assert averages_along(weights, 1 - 2.0**-k)[0] == 1 + 2.0 ** -(k + 1)


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 33_005], ids=["serial", "parallel"])
def test_compiled_loop_equals_plain_numpy_bit_for_bit(size: int, dtype: Any) -> None:
    rng = np.random.default_rng(6)
    weights = (rng.standard_normal((20, size)) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
    average = weights[0].astype(np.float64)
    for x, ours in zip(weights[1:], averages_along(weights, 0.999), strict=True):
        average = averaging_rule(average, x, 1 - 0.999)
        assert average.dtype == np.float64
        assert np.array_equal(average, ours)


# Swapping


def test_within_the_block_the_parameters_hold_the_averages_and_after_it_their_own_arrays() -> None:
    params, ema = parameters()
    arrays, values = [p.data for p in params], [p.data.copy() for p in params]
    with ema.swapped():
        assert [p.data.tolist() for p in params] == [[[3.0] * 3] * 2, 4.0, [], [3.0] * 4]
        assert [p.data.dtype for p in params] == [a.dtype for a in arrays]
        assert [p.data.shape for p in params] == [a.shape for a in arrays]
    assert all(p.data is array for p, array in zip(params, arrays, strict=True))
    assert all(np.array_equal(p.data, v) for p, v in zip(params, values, strict=True))


def test_the_weights_come_back_after_an_exception() -> None:
    params, ema = parameters()
    arrays = [p.data for p in params]

    def evaluate() -> None:
        with ema.swapped():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert all(p.data is array for p, array in zip(params, arrays, strict=True))
    with ema.swapped():
        pass


def test_the_weights_come_back_if_a_parameter_refuses_the_average() -> None:
    class Stubborn:
        grad, array = None, np.ones(2)

        @property
        def data(self) -> Any:
            return self.array

        @data.setter
        def data(self, values: Any) -> None:
            if values is not self.array:
                raise MemoryError

    x, stubborn = Tensor([1.0], requires_grad=True), Stubborn()
    array = x.data
    ema = ExponentialMovingAverage([x, stubborn])
    with pytest.raises(MemoryError), ema.swapped():
        pass
    assert x.data is array
    ema.update()


@pytest.mark.parametrize("optimizer_class", [SGD, Adam])
def test_error_a_step_within_the_block_would_train_the_average(optimizer_class: Any) -> None:
    params, ema = parameters()
    optimizer = optimizer_class(params)
    for p in params:
        p.grad = np.ones_like(p.data)
    optimizer.step()
    before = snapshot(params, ema)
    with ema.swapped(), pytest.raises(ValueError, match=r"parameter 0.*read-only"):
        optimizer.step()
    assert snapshot(params, ema) == before
    optimizer.step()
    assert snapshot(params, ema) != before


def test_training_goes_on_as_if_there_had_been_no_block() -> None:
    def train(swap: bool) -> list[Any]:
        rng = np.random.default_rng(7)
        net = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng))
        optimizer = Adam(net.parameters(), lr=0.1)
        ema = ExponentialMovingAverage(net.parameters(), 0.9)
        for _ in range(10):
            X = rng.standard_normal((8, 3))
            optimizer.zero_grad()
            loss = (net(X) ** 2).sum()
            if swap:
                with ema.swapped():
                    net(X)
            loss.backward()  # through a graph that is older than the block
            optimizer.step()
            ema.update()
        return [p.data.tolist() for p in net.parameters()] + ema.state_dict()["averages"]

    for a, b in zip(train(False), train(True), strict=True):
        assert np.array_equal(a, b)


def test_a_graph_made_within_the_block_goes_backward_at_the_averages_also_later() -> None:
    x = Tensor(2.0, requires_grad=True)
    ema = ExponentialMovingAverage([x], decay=0.5)
    x.data[...] = 4.0
    ema.update()
    with detect_anomaly():
        with ema.swapped():
            loss = x * x
        x.data[...] = 100.0
        ema.update()
        loss.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda ema: ema.swapped().__enter__(), "swapped"),
        (lambda ema: ema.update(), "update"),
        (lambda ema: ema.load_state_dict({}), "load_state_dict"),
        (lambda ema: ema.state_dict(), "state_dict"),
    ],
)
def test_error_calls_that_make_no_sense_within_the_block(call: Any, name: str) -> None:
    params, ema = parameters()
    before = snapshot(params, ema)
    with ema.swapped():
        with pytest.raises(RuntimeError, match=rf"{name}\(\) within .*after the block"):
            call(ema)
        assert params[1].item() == 4.0
    assert snapshot(params, ema) == before


# Parameters of every kind


def test_the_average_is_a_copy_at_the_start_and_no_parameter_is_ever_written_to() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    ema = ExponentialMovingAverage([x], decay=0.5)
    x.data += 2
    ema.update()
    assert x.data.tolist() == [3.0, 4.0]
    assert ema.state_dict()["averages"][0].tolist() == [2.0, 3.0]


def test_arrays_of_any_order_are_averaged_also_where_they_changed() -> None:
    values = np.arange(6.0).reshape(2, 3)
    x = Tensor(values, requires_grad=True)
    ema = ExponentialMovingAverage([x], decay=0.5)
    for array in (np.asfortranarray(values), values.repeat(2, 1)[:, ::2], np.flip(values[::-1], 0)):
        x.data = array
        ema.update()
        assert np.array_equal(ema.state_dict()["averages"][0], values)
    x.data = read_only = np.array(values + 1)
    read_only.flags.writeable = False
    ema.update()
    assert np.array_equal(ema.state_dict()["averages"][0], values + 0.5)


@pytest.mark.parametrize("array", [np.ones(3), np.ones((1, 2)), np.ones(2, np.float32)])
def test_error_a_parameter_got_an_array_that_does_not_fit(array: Any) -> None:
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    ema = ExponentialMovingAverage([x, ("w", y)], decay=0.5)
    x.data += 1
    y.data = array
    with pytest.raises(ValueError, match=r"parameter 1 \('w'\) now holds .*make a new one"):
        ema.update()
    assert [a.tolist() for a in ema.state_dict()["averages"]] == [[1.0, 2.0]] * 2


def test_error_another_kind_of_parameter_holds_no_array() -> None:
    x = SimpleNamespace(data=np.ones(2), grad=None)
    ema = ExponentialMovingAverage([x])
    x.data = [1.0, 2.0]
    with pytest.raises(ValueError, match="parameter 0 now holds list"):
        ema.update()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: [], ValueError, "empty"),
        (lambda: Tensor([1.0], requires_grad=True), TypeError, r"one tensor.*\[w\]"),
        (lambda: [np.ones(2)], TypeError, "parameter 0 is of type ndarray"),
        (lambda: [Tensor(np.ones(2, np.float16), True)], TypeError, "float16"),
        (lambda: [Tensor(1.0, True)] * 2, ValueError, "parameter 1 is parameter 0 again"),
        (lambda: [Tensor([1.0])], ValueError, "requires_grad=False"),
    ],
)
def test_error_parameters(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        ExponentialMovingAverage(make())


BAD_DECAYS: list[tuple[Any, type[Exception]]] = [
    (1.0, ValueError), (-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError),
    ("0.9", TypeError), (None, TypeError), (True, TypeError),
]  # fmt: skip


@pytest.mark.parametrize(("decay", "error"), BAD_DECAYS)
def test_error_decay_also_when_set_later(decay: Any, error: type[Exception]) -> None:
    params, ema = parameters()
    with pytest.raises(error, match="decay="):
        ExponentialMovingAverage(params, decay)
    with pytest.raises(error, match="decay="):
        ema.decay = decay
    assert ema.decay == 0.75


# State


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    rng = np.random.default_rng(8)
    x = Tensor(rng.standard_normal(5), requires_grad=True)
    ema = ExponentialMovingAverage([x], decay=0.9)
    for _ in range(3):
        x.data += rng.standard_normal(5)
        ema.update()
    state, twin = ema.state_dict(), ExponentialMovingAverage([x])
    twin.load_state_dict(state)
    assert twin.decay == 0.9
    for average in (ema, twin):
        x.data += 1
        average.update()
        x.data -= 1
    assert np.array_equal(*(e.state_dict()["averages"][0] for e in (ema, twin)))


def test_a_state_is_a_copy_when_taken_and_when_loaded() -> None:
    params, ema = parameters()
    before, state = snapshot(params, ema), ema.state_dict()
    state["averages"][0][:] = 77
    assert snapshot(params, ema) == before
    ema.load_state_dict(state)
    state["averages"][0][:] = 88
    assert np.all(ema.state_dict()["averages"][0] == 77)


def test_a_state_may_have_another_byte_order_and_be_strided() -> None:
    params, ema = parameters()
    before, state = snapshot(params, ema), ema.state_dict()
    swapped = [np.array(a, ">f8", order="F") for a in state["averages"]]
    ema.load_state_dict({"decay": 0.75, "averages": tuple(swapped)})
    assert snapshot(params, ema) == before


def changed(**entries: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {**state, **entries}


def last_average(array: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {"decay": 0.5, "averages": [*state["averages"][:-1], array]}


BAD_STATES: list[tuple[Callable[[dict[str, Any]], Any], type[Exception], str]] = [
    (lambda state: list(state), TypeError, "takes a dict.*got a list"),
    (lambda state: {}, ValueError, "entries are none; needed are 'decay' and 'averages'"),
    (lambda state: {"decay": 0.5}, ValueError, "entries are 'decay'; needed"),
    (changed(steps=3), ValueError, "'steps'; needed are"),
    (changed(decay=1.5), ValueError, "decay=1.5"),
    (changed(decay="a"), TypeError, "decay='a'"),
    (changed(decay=0.5, averages=np.ones(4)), TypeError, "of type ndarray: accepted is a list"),
    (changed(decay=0.5, averages=[]), ValueError, "of 0 parameters, and there are 4"),
    (last_average(np.ones(3)), ValueError, r"parameter 3 has shape \(3,\), the parameter \(4,\)"),
    (last_average(np.ones((1, 4))), ValueError, r"shape \(1, 4\)"),
    (last_average(np.ones(4, np.float32)), TypeError, "parameter 3 is of type float32: accepted"),
    (last_average([1.0] * 4), TypeError, "parameter 3 is of type list"),
    (last_average(np.array([None] * 4)), TypeError, "parameter 3 is of type object"),
]


@pytest.mark.parametrize(("change", "error", "match"), BAD_STATES)
def test_error_state_that_does_not_fit_and_nothing_has_changed(
    change: Callable[[dict[str, Any]], Any], error: type[Exception], match: str
) -> None:
    params, ema = parameters()
    state = ema.state_dict()
    state["averages"][0][:] = 5  # what would be loaded first
    before = snapshot(params, ema)
    with pytest.raises(error, match=match):
        ema.load_state_dict(change(state))
    assert snapshot(params, ema) == before


def test_repr_shows_the_decay_and_how_much_is_averaged() -> None:
    _, ema = parameters()
    assert repr(ema) == "ExponentialMovingAverage(decay=0.75): 4 parameters, 11 elements"


# Planted mistakes: each has to leave the recorded averages


MISTAKES: list[tuple[str, Rule]] = [
    ("decay and 1 - decay exchanged", lambda a, x, c: averaging_rule(a, x, 1 - c)),
    ("the sign", lambda a, x, c: a + c * (a - x)),
    ("the new weights whole", lambda a, x, c: (1 - c) * a + x),
    ("no average", lambda a, x, c: x),
    ("in float32", lambda a, x, c: averaging_rule(*map(np.float32, (a, x, c)))),
]


@pytest.mark.parametrize("mistake", [m for _, m in MISTAKES], ids=[name for name, _ in MISTAKES])
def test_a_planted_mistake_leaves_the_recorded_averages(mistake: Rule) -> None:
    assert largest_error(1, averaging_rule) < 1e-15
    assert largest_error(1, mistake) > 1e-9


def test_a_planted_start_at_0_leaves_the_closed_form() -> None:
    weights = np.full(11, 3.0)
    started_at_0 = averages_along(np.r_[0.0, weights[1:]], 0.9)
    assert np.all(averages_along(weights, 0.9) == 3)
    assert np.all(started_at_0 < 2.1)


def test_error_a_checkpoint_while_the_parameters_hold_their_averages(tmp_path: Path) -> None:
    """It would keep the averages as the model's weights."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    ema, optimizer = ExponentialMovingAverage([x]), SGD([x], lr=0.1)
    checkpoint = Checkpoint(tmp_path / "run.npz", optimizer=optimizer, ema=ema)
    checkpoint.save(1)
    optimizer.lr = 0.9
    with ema.swapped():
        with pytest.raises(RuntimeError, match="state_dict"):
            checkpoint.save(2)
        with pytest.raises(RuntimeError):
            checkpoint.restore()
    assert optimizer.lr == 0.9
