"""A traced step computes what the engine computes, bit for bit, and refuses what it cannot hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from traced_models import MODELS, Model

import optim
from minigrad import Tensor, functional, grad, mse_loss, nn
from minigrad.tracing import Unsupported, ValueNeeded, source, trace
from optim.schedules import Cosine, Scheduler

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "Yogi": lambda p: optim.Yogi(p, lr=0.05, weight_decay=0.01),
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "Lion": lambda p: optim.Lion(p, lr=0.01, maximize=False),
}


def module(text: str) -> dict[str, Any]:
    """Run the text as a file of its own."""
    names: dict[str, Any] = {}
    exec(compile(text, "<step>", "exec"), names)
    return names


def batches(model: Model, size: int) -> list[tuple[Any, Any]]:
    X, y = model.examples
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]


# NumPy says so of a float32 product once in about a hundred processes, where all that goes in is
# finite: of memory that OpenBLAS then overwrites.  A NaN that stays is unequal to everything.
overwritten = pytest.mark.filterwarnings("ignore:invalid value encountered in dot:RuntimeWarning")


@overwritten
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_loss_and_every_gradient_have_the_bits_of_the_engine(name: str, dtype: Any) -> None:
    model = MODELS[name](np.random.default_rng(0), dtype, 30)
    first, *others = batches(model, 10)
    step = module(source(trace(model.loss, *first)))["step"]
    for batch in (first, *others):
        for p in model.parameters:
            p.grad = None
        eager = model.loss(*batch)
        eager.backward()
        loss, *gradients = step(*batch, *(p.data for p in model.parameters))
        assert loss == eager.data
        assert loss.dtype == dtype
        for p, g in zip(model.parameters, gradients, strict=True):
            assert (g.dtype, g.shape) == (dtype, p.shape)
            assert np.array_equal(g, p.grad)


@overwritten
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_parameters_after_100_steps_have_the_bits_of_the_engine(
    name: str, rule: str, dtype: Any
) -> None:
    model = MODELS[name](np.random.default_rng(1), dtype, 100)
    optimizer = OPTIMIZERS[rule](model.parameters)
    before = [p.data.copy() for p in model.parameters]

    def training_step(X: Any, y: Any) -> None:
        optimizer.zero_grad()
        model.loss(X, y).backward()
        optimizer.step()

    step = module(source(trace(training_step, *batches(model, 10)[0])))["step"]
    state = [p.data.copy() for p in model.parameters]
    assert all(np.array_equal(x, y) for x, y in zip(before, state, strict=True))
    for entry, p in zip(optimizer.state_dict()["state"], model.parameters, strict=True):
        state += [entry[key] for key in entry if getattr(entry[key], "shape", None) == p.shape]
    t = 0
    for _ in range(10):
        for batch in batches(model, 10):
            t += 1
            training_step(*batch)
            _, *state = step(*batch, *state, t)
    assert t == 100
    for p, x in zip(model.parameters, state, strict=False):
        assert x.dtype == dtype
        assert np.array_equal(x, p.data)
    assert not np.array_equal(before[0], model.parameters[0].data)


def test_a_text_that_is_off_by_one_bit_is_noticed() -> None:
    model = MODELS["linear regression"](np.random.default_rng(0), np.float64, 10)
    text = source(trace(model.loss, *model.examples))
    other = text.replace("error * 0.2", f"error * {np.nextafter(0.2, 1.0)!s}")
    assert other != text
    model.loss(*model.examples).backward()
    arrays = [*model.examples, *(p.data for p in model.parameters)]
    for written, same in ((text, True), (other, False)):
        _, *gradients = module(written)["step"](*arrays)
        pairs = zip(model.parameters, gradients, strict=True)
        assert all(np.array_equal(p.grad, g) for p, g in pairs) is same


def test_the_section_s_step_fits_on_a_screen_and_reads_as_the_section_does() -> None:
    w = Tensor(np.zeros((5, 1)), requires_grad=True)
    b = Tensor(np.zeros(1), requires_grad=True)
    adam = optim.Adam([w, b], lr=0.01)

    def step(X: Any, y: Any) -> None:
        adam.zero_grad()
        prediction = X @ w + b
        loss = mse_loss(prediction, y)
        loss.backward()
        adam.step()

    text = source(trace(step, np.ones((10, 5)), np.ones((10, 1))))
    assert len(text.splitlines()) <= 48
    assert max(map(len, text.splitlines())) <= 100
    body = text[text.index("    # forward") :]
    assert body == (
        "    # forward\n"
        "    product = np.dot(X, w)  # (10, 1)\n"
        "    prediction = product + b  # (10, 1)\n"
        "    error = prediction - y  # (10, 1)\n"
        "    loss = np.vdot(error, error) / 10  # ()\n"
        "    # backward\n"
        "    prediction_bar = error * 0.2  # (10, 1)\n"
        "    b_bar = prediction_bar.sum(axis=0)  # (1,)\n"
        "    w_bar = np.dot(X.T, prediction_bar)  # (5, 1)\n"
        "    # update\n"
        "    c = adam_coefficients(t, lr=0.01, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)\n"
        "    w, w_v, w_s = adam_rule(w, w_bar, w_v, w_s, *c)\n"
        "    b, b_v, b_s = adam_rule(b, b_bar, b_v, b_s, *c)\n"
        "    return loss, w, b, w_v, w_s, b_v, b_s\n"
    )


def test_a_trace_changes_no_parameter_gradient_or_optimizer() -> None:
    w = Tensor([1.0, 2.0], requires_grad=True)
    w.grad = kept = np.array([3.0, 4.0])
    optimizer = optim.SGD([w], lr=0.1)
    X = np.ones((3, 2))

    def step(X: Any) -> None:
        optimizer.zero_grad()
        (X @ w).sum().backward()
        optimizer.step()

    def broken(X: Any) -> None:
        (X @ w).sum().backward()
        optimizer.step()
        float(w.sum())

    traced = trace(step, X)
    with pytest.raises(ValueNeeded):
        trace(broken, X)
    assert traced.optimizer is optimizer
    assert w.grad is kept
    assert type(w.data) is np.ndarray
    assert np.array_equal(w.data, [1.0, 2.0])
    optimizer.step()
    assert np.array_equal(w.data, [1.0 - 0.1 * 3.0, 2.0 - 0.1 * 4.0])


def test_names_are_found_in_what_the_step_calls() -> None:
    slope = Tensor(2.0, requires_grad=True)
    sgd = optim.SGD([slope], lr=0.1)

    def loss(X: Any) -> Any:
        return (X * slope).sum()

    class Training:
        def step(self, X: Any) -> None:
            sgd.zero_grad()
            self.of(X).backward()
            sgd.step()

        def of(self, X: Any) -> Any:
            return loss(X)

    traced = trace(Training().step, np.ones(3))
    assert [p.name for p in traced.parameters] == ["slope"]
    assert traced.optimizer is sgd


# What cannot be traced is refused, by name and line.

w = Tensor(np.array([1.0, -2.0]), requires_grad=True)


def branches(X: Any) -> Any:
    z = (X @ w).sum()
    if z > 0:
        return z
    return -z


def loops(X: Any) -> Any:
    z = (X @ w).sum()
    while float(z) < 1:
        z = z * 2
    return z


def looks_at_the_batch(X: Any) -> Any:
    return (X @ w).sum() * (2.0 if X.max() > 3 else 1.0)


def looks_at_a_parameter(X: Any) -> Any:
    return (X @ w).sum() * w.data.tolist()[0]


def chooses_by_a_mask(X: Any) -> Any:
    return (X[X > 0] * w.sum()).sum()


@pytest.mark.parametrize(
    ("loss", "line"),
    [
        (chooses_by_a_mask, "return (X[X > 0] * w.sum()).sum()"),
        (branches, "if z > 0:"),
        (loops, "while float(z) < 1:"),
        (looks_at_the_batch, "return (X @ w).sum() * (2.0 if X.max() > 3 else 1.0)"),
        (looks_at_a_parameter, "return (X @ w).sum() * w.data.tolist()[0]"),
    ],
)
def test_control_flow_that_depends_on_values_is_named_with_its_line(loss: Any, line: str) -> None:
    with pytest.raises(ValueNeeded, match=re.escape(f"`{line}`")) as raised:
        trace(loss, np.ones((3, 2)))
    number = int(re.search(r"test_trace\.py:(\d+)", str(raised.value))[1])  # type: ignore[index]
    assert loss.__code__.co_firstlineno < number < loss.__code__.co_firstlineno + 5
    assert "np.where" in str(raised.value)
    assert "eagerly" in str(raised.value)


def test_control_flow_that_depends_on_shapes_is_followed() -> None:
    def loss(X: Any) -> Any:
        z = X @ w
        for _ in range(len(X)):
            z = z * 0.5
        return z.sum() if X.ndim == 2 else z

    X = np.ones((3, 2))
    result, _ = module(source(trace(loss, X)))["step"](X, w.data)
    assert result == loss(X).data


def test_an_operation_that_numpy_has_not_is_named_with_the_eager_fallback() -> None:
    net = nn.Sequential(nn.Linear(2, 3, rng=np.random.default_rng(0)), nn.GELU())
    with pytest.raises(Unsupported, match=r"(?s)gelu.*eager"):
        trace(lambda X: net(X).sum(), np.ones((3, 2)))


def test_clipping_within_a_step_is_refused_with_its_line() -> None:
    sgd = optim.SGD([w], lr=0.1)

    def step(X: Any) -> None:
        (X @ w).sum().backward()
        optim.clip_grad_norm([w], 1.0)
        sgd.step()

    with pytest.raises(Unsupported, match=r"clip_grad_norm.*`optim\.clip_grad_norm"):
        trace(step, np.ones((3, 2)))
    assert w.grad is None


def test_dropout_is_refused_and_draws_nothing() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Dropout(0.5, rng=rng))
    state = rng.bit_generator.state
    with pytest.raises(Unsupported, match=r"(?s)dropout.*eval\(\)"):
        trace(lambda X: net(X).sum(), np.ones((3, 2)))
    assert rng.bit_generator.state == state
    net.eval()
    trace(lambda X: net(X).sum(), np.ones((3, 2)))


def test_randomness_of_one_s_own_is_noticed() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Unsupported, match="draws random numbers"):
        trace(lambda X: ((X + rng.normal(size=X.shape)) @ w).sum(), np.ones((3, 2)))


def test_batch_norm_in_training_is_refused_and_in_evaluation_traced() -> None:
    norm = nn.BatchNorm1d(3)
    net = nn.Sequential(nn.Linear(2, 3, rng=np.random.default_rng(0)), norm)
    before = norm.running_mean.data.copy()
    with pytest.raises(Unsupported, match=r"(?s)running.*eval\(\)"):
        trace(lambda X: net(X).sum(), np.ones((4, 2)))
    assert np.array_equal(norm.running_mean.data, before)
    net.eval()
    X = np.random.default_rng(1).normal(size=(4, 2))
    traced = trace(lambda X: (net(X) ** 2).sum(), X)
    assert [node.name for node in traced.fixed] == ["running_mean", "running_var"]
    norm.running_mean.data = np.array([1.0, -2.0, 3.0])  # which is not part of the text
    arrays = [tensor.data for tensor in (*traced.tensors, *traced.fixed_tensors)]
    assert module(source(traced))["step"](X, *arrays)[0] == (net(X) ** 2).sum().data


def test_labels_out_of_range_are_refused_as_in_the_engine() -> None:
    V = Tensor(np.zeros((2, 3)), requires_grad=True)

    def loss(X: Any, labels: Any) -> Any:
        return functional.cross_entropy(X @ V, labels)

    X = np.ones((2, 2))
    (check,) = trace(loss, X, np.array([0, 2])).checks
    assert (check.count, check.node.name) == (3, "labels")


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (3, TypeError, "function of the batch"),
        (lambda X, y: X, TypeError, r"cannot be called with 1 input\(s\)"),
        (lambda X: X.sum(), TypeError, "returned Symbol"),
        (lambda X: X @ w, ValueError, r"the loss has shape \(3,\)"),
        (lambda X: (X @ w.detach()).sum() + 0 * w.sum().detach(), TypeError, "without a graph"),
    ],
)
def test_what_is_no_loss_is_refused(loss: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        trace(loss, np.ones((3, 2)))


# What looks simple, and is not: each of these once gave other numbers, or other bits.

V = Tensor(np.random.default_rng(5).normal(size=(2, 3)), requires_grad=True)


def a_negative_base(X: Any) -> Any:
    return ((-1.0) ** np.sign(X) * w).sum()


def a_gradient_within_the_loss(X: Any) -> Any:
    g = grad(lambda p: ((X @ p) ** 2).sum())(w)
    return (g * g).sum()


def sums_of_transposed_arrays(X: Any) -> Any:
    s = w.sum()
    return (s * X.T).sum() + (w[:, None] * X.T).sum() + (((X @ V).T + 1.0) ** 2).mean()


def powers_of_numbers(X: Any) -> Any:
    mean = ((X @ w) ** 2).mean()
    return mean**0.5 + mean**1.5 + mean**3 + mean**-1


def a_constant_in_fortran_s_order(X: Any) -> Any:
    return ((np.asfortranarray(np.arange(6.0).reshape(3, 2) / 7) * w).sum(axis=1) * X[:, 0]).sum()


def an_exponent_for_each(X: Any) -> Any:
    return (X * w ** np.full(2, 2.0)).sum()


def several_arrays_in_one(X: Any) -> Any:
    return (np.stack([X, X * 2]).sum(axis=0) @ w).sum()


@pytest.mark.parametrize(
    "loss",
    [
        a_negative_base, a_gradient_within_the_loss, sums_of_transposed_arrays, powers_of_numbers,
        a_constant_in_fortran_s_order, an_exponent_for_each, several_arrays_in_one,
    ],
)  # fmt: skip
def test_other_examples_than_those_of_the_trace_give_the_engine_s_bits(loss: Any) -> None:
    rng = np.random.default_rng(2)
    traced = trace(loss, rng.normal(size=(3, 2)))
    step = module(source(traced))["step"]
    for _ in range(20):
        X = rng.normal(size=(3, 2))
        for p in traced.tensors:
            p.grad = None
        eager = loss(X)
        eager.backward()
        value, *gradients = step(X, *(p.data for p in traced.tensors))
        assert value == eager.data
        for p, g in zip(traced.tensors, gradients, strict=True):
            assert np.array_equal(g, p.grad)
            p.grad = None


def test_a_batch_of_other_shapes_is_refused_with_both() -> None:
    step = module(source(trace(lambda X: (X @ w).sum(), np.ones((3, 2)))))["step"]
    with pytest.raises(ValueError, match=r"\(4, 2\); this is for \(3, 2\)"):
        step(np.ones((4, 2)), w.data)


def test_variables_may_have_the_names_that_the_text_itself_uses() -> None:
    rng = np.random.default_rng(0)
    w_v, adam_rule, c = (Tensor(rng.normal(size=2), requires_grad=True) for _ in range(3))
    returns_in_percent_of_the_year_before = Tensor(rng.normal(size=2), requires_grad=True)
    parameters = [w, w_v, adam_rule, c, returns_in_percent_of_the_year_before]
    adam = optim.Adam(parameters, lr=0.0)

    def step(t: Any) -> None:
        adam.zero_grad()
        ((t * w + w_v) * adam_rule - c * returns_in_percent_of_the_year_before).sum().backward()
        adam.step()

    text = source(trace(step, np.ones((3, 2))))
    states = [np.zeros(2)] * 10
    arrays = [p.data for p in parameters]
    _, *after = module(text)["step"](np.ones((3, 2)), *arrays, *states, 1)
    assert all(np.array_equal(x, y) for x, y in zip(after, arrays, strict=False))


# What a step may not do, as it would be another one each time.


def test_a_step_that_adds_up_gradients_draws_or_schedules_is_refused_and_put_back() -> None:
    p = Tensor(np.ones(2), requires_grad=True)
    p.grad = kept = np.array([100.0, 100.0])
    sgd = optim.SGD([p], lr=0.1)
    scheduler = Scheduler(sgd, Cosine(0.1, 10))
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state

    def adds_up(X: Any) -> None:
        (X @ p).sum().backward()
        sgd.step()

    def draws(X: Any) -> Any:
        return (X @ p).sum() * (1.0 if rng.random() < 0.9 else 2.0)

    def schedules(X: Any) -> None:
        sgd.zero_grad()
        (X @ p).sum().backward()
        sgd.step()
        scheduler.step()

    def sets_the_rate(X: Any) -> None:
        sgd.zero_grad()
        (X @ p).sum().backward()
        sgd.step()
        sgd.lr *= 0.9

    refusals = {
        adds_up: "zero_grad", draws: "random", schedules: "Scheduler", sets_the_rate: "hyperparam",
    }  # fmt: skip
    before = scheduler.state_dict()
    for step, message in refusals.items():
        with pytest.raises(Unsupported, match=message):
            trace(step, np.ones((3, 2)))
        assert p.grad is kept
        assert rng.bit_generator.state == state
        assert scheduler.state_dict() == before
        assert sgd.lr == 0.1


def test_gradients_may_be_forgotten_at_the_end_of_a_step_and_an_optimizer_have_two_names() -> None:
    p = Tensor(np.ones(2), requires_grad=True)
    p.grad = kept = np.array([100.0, 100.0])
    sgd = optim.SGD([p], lr=0.1)
    same, in_a_list = sgd, [sgd]

    def step(X: Any) -> None:
        (X @ p).sum().backward()
        same.step()
        in_a_list[0].zero_grad()

    text = source(trace(step, np.ones((3, 2))))
    assert np.array_equal(module(text)["step"](np.ones((3, 2)), p.data, 1)[1], [0.7, 0.7])
    assert p.grad is kept


def test_rows_that_are_looked_up_get_their_gradients() -> None:
    rng = np.random.default_rng(0)
    table = Tensor(rng.normal(size=(7, 4)), requires_grad=True)

    def loss(tokens: Any) -> Any:
        return (functional.embedding(table, tokens) ** 2).sum() + np.tanh(table[tokens]).sum()

    step = module(source(trace(loss, rng.integers(0, 7, (5, 3)))))["step"]
    tokens = rng.integers(0, 3, (5, 3))
    loss(tokens).backward()
    assert np.array_equal(step(tokens, table.data)[1], table.grad)


# Large arrays, where the engine has other ways.


def wide(rng: np.random.Generator, dtype: Any, *layers: nn.Module) -> Model:
    net = nn.Sequential(
        nn.Linear(20, 40, rng=rng, dtype=dtype), *layers, nn.Linear(40, 30, rng=rng, dtype=dtype)
    )
    X = rng.normal(size=(64, 20)).astype(dtype)
    return Model(
        lambda X, y: mse_loss(net(X), y), list(net.parameters()), (X, np.tanh(X @ X.T)[:, :30])
    )


def largest_difference(model: Model) -> float:
    """Of loss and gradients, relative to the largest of each."""
    step = module(source(trace(model.loss, *model.examples)))["step"]
    loss = model.loss(*model.examples)
    loss.backward()
    expected = [loss.data, *(p.grad for p in model.parameters)]
    found = step(*model.examples, *(p.data for p in model.parameters))
    pairs = zip(found, expected, strict=True)
    return max(float(np.max(np.abs(x - y)) / np.max(np.abs(y))) for x, y in pairs)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_large_products_sums_and_relu_have_the_bits_too(dtype: Any) -> None:
    model = wide(np.random.default_rng(0), dtype, nn.Tanh(), nn.ReLU())
    assert largest_difference(model) == 0


def test_where_the_engine_has_a_compiled_formula_the_text_differs_by_rounding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = wide(np.random.default_rng(0), np.float64, nn.LayerNorm(40))
    assert 0 < largest_difference(model) < 1e-14
    for p in model.parameters:
        p.grad = None
    monkeypatch.setattr("minigrad.compiled.KERNEL_FROM", 1 << 62)
    assert largest_difference(model) == 0
