"""The update rules: NumPy and compiled, closed forms, identities, and planted mistakes."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from trajectories import trajectories

import optim
from minigrad import Tensor
from optim import SGD, Adam, Optimizer, Yogi
from optim.adam import adam_rule
from optim.sgd import sgd_rule
from optim.yogi import yogi_rule

Rule = Callable[..., Any]


def run(optimizer_class: Any, gradients: Any, start: Any = 0.0, **options: Any) -> Any:
    """The path of x under a sequence of gradients, one row a step."""
    gradients = np.asarray(gradients)
    x = Tensor(np.broadcast_to(np.asarray(start, gradients.dtype), gradients.shape[1:]), True)
    optimizer: Optimizer = optimizer_class([x], **options)
    path = []
    for g in gradients:
        x.grad = np.array(g)
        optimizer.step()
        path.append(x.data.copy())
    return np.array(path)


def run_rule(rule: Rule, optimizer: Optimizer, gradients: Any, start: Any) -> Any:
    """The same, by the rule on whole arrays in plain NumPy."""
    x = start.copy()
    state = [np.full_like(x, value) for value in initial_state(optimizer)]
    path = []
    for t, g in enumerate(gradients, start=1):
        coefficients = map(x.dtype.type, optimizer.param_groups[0].coefficients(t))
        x, *state = rule(x, g, *state, *coefficients)
        path.append(x)
    return np.array(path)


def initial_state(optimizer: Optimizer) -> list[float]:
    return list(optimizer.initial_state(**dict(optimizer.param_groups[0])).values())


# Plain NumPy and the compiled loop


@pytest.mark.usefixtures("parallel_from_1000")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [7, 33_005], ids=["serial", "parallel"])
@pytest.mark.parametrize(
    ("optimizer_class", "rule", "options"),
    [
        (SGD, sgd_rule, {}),
        (Adam, adam_rule, {}),
        (Yogi, yogi_rule, {}),
        (Yogi, yogi_rule, {"initial_accumulator": 1e-6}),
    ],
    ids=["SGD", "Adam", "Yogi", "Yogi with s_0"],
)
def test_compiled_loop_equals_plain_numpy_bit_for_bit_over_300_steps(
    optimizer_class: Any, rule: Rule, options: dict[str, Any], size: int, dtype: Any
) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal(size).astype(dtype)
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], **options)
    plain = start.copy()
    state = [np.full_like(plain, value) for value in initial_state(optimizer)]
    for t in range(1, 301):
        g = (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size)).astype(dtype)
        g[::5] = 0
        x.grad = g
        optimizer.step()
        result = rule(plain, g, *state, *map(dtype, optimizer.param_groups[0].coefficients(t)))
        plain, *state = result if state else (result,)
        assert plain.dtype == dtype
        assert np.array_equal(plain, x.data)
    assert np.all(np.isfinite(plain))


# Closed forms


@pytest.mark.parametrize("g", [1e-3, 1.0, -1e3])
def test_adam_under_a_constant_gradient_moves_by_lr_each_step(g: float) -> None:
    path = run(Adam, np.full((5000, 1), g), lr=1.0, eps=0.0)
    steps = -np.diff(path[:, 0], prepend=0.0) * np.sign(g)
    np.testing.assert_allclose(steps, 1.0, rtol=1e-12)


def test_yogi_under_a_constant_gradient_follows_its_closed_form() -> None:
    beta2 = 0.999
    t = np.arange(1, 3001)
    path = run(Yogi, np.ones((3000, 1)), lr=1.0, eps=0.0)
    expected = np.sqrt((1 - beta2**t) / np.minimum(t * (1 - beta2), 1))
    np.testing.assert_allclose(-np.diff(path[:, 0], prepend=0.0), expected, rtol=6e-4)


def test_yogis_second_moment_counts_up_to_g_squared_and_stops() -> None:
    """β₁ = 0, β₂ = .75, g = 1, and the bias correction taken out: 2, √2, 2/√3, 1, 1."""
    path = run(Yogi, np.ones((6, 1)), lr=1.0, betas=(0.0, 0.75), eps=0.0)
    steps = -np.diff(path[:, 0], prepend=0.0)
    without_correction = steps / np.sqrt(1 - 0.75 ** np.arange(1, 7))
    expected = [2, np.sqrt(2), 2 / np.sqrt(3), 1, 1, 1]
    np.testing.assert_allclose(without_correction, expected, rtol=1e-15)


@pytest.mark.parametrize(("g", "first"), [(1.0, 0.999), (0.01, 0.909), (0.001, 0.5)])
def test_yogis_first_step_is_the_textbooks(g: float, first: float) -> None:
    step = -run(Yogi, [[g]], lr=1.0)[0, 0]
    assert step == pytest.approx(g / (g + 1e-3), rel=1e-12)
    assert step == pytest.approx(first, abs=5e-4)


def test_yogi_with_an_initial_accumulator_of_1e_6_comes_near_optaxs_first_step() -> None:
    assert -run(Yogi, [[0.01]], lr=1.0, initial_accumulator=1e-6)[0, 0] == pytest.approx(
        0.293, abs=1e-3
    )


def test_yogi_invariants_of_the_second_moment() -> None:
    rng = np.random.default_rng(1)
    c = Yogi([Tensor(0.0, True)]).param_groups[0].coefficients(1)
    s = np.zeros(1000)
    for _ in range(200):
        g = rng.standard_t(2, 1000) * rng.integers(0, 2, 1000)
        new = yogi_rule(0.0, g, 0.0, s, *c)[2]
        move, rounding = np.abs(new - s), 4 * np.spacing(np.maximum(s, new))
        assert np.all((np.abs(move - (1 - 0.999) * g**2) <= rounding) | (move == 0))
        assert np.all(new >= 0)
        assert np.all(new >= 0.999 * s - rounding)
        assert np.all(new[g == 0] == s[g == 0])
        s = new


def test_yogis_stationary_second_moment_is_the_chi_squared_3_median() -> None:
    """For N(0, 1) gradients: the g²-weighted median of g², 2.366, where Adam has the mean, 1."""
    rng = np.random.default_rng(2)
    c = Yogi([Tensor(0.0, True)]).param_groups[0].coefficients(1)
    s, tail = np.full(2000, 2.0), []
    for t in range(12_000):
        s = yogi_rule(0.0, rng.standard_normal(2000), 0.0, s, *c)[2]
        if t > 8_000:
            tail.append(s.mean())
    assert np.mean(tail) == pytest.approx(2.366, abs=0.01)


@pytest.mark.parametrize("optimizer_class", [Adam, Yogi])
def test_scaling_every_gradient_by_a_power_of_two_changes_no_bit(optimizer_class: Any) -> None:
    g = np.random.default_rng(3).standard_normal((100, 5))
    options = {"lr": 0.01, "eps": 0.0}
    plain, scaled = (run(optimizer_class, g * factor, **options) for factor in (1.0, 2.0**20))
    assert np.array_equal(plain, scaled)


@pytest.mark.parametrize("optimizer_class", [SGD, Adam, Yogi])
def test_flipping_every_sign_flips_every_step_exactly(optimizer_class: Any) -> None:
    g = np.random.default_rng(4).standard_normal((100, 5))
    assert np.array_equal(run(optimizer_class, g), -run(optimizer_class, -g))


@pytest.mark.parametrize(("k", "converges"), [(37, True), (39, False)])
def test_adam_near_a_minimum_is_stable_up_to_curvature_38_eps_over_lr(
    k: float, converges: bool
) -> None:
    """On k x²/2 with β₁ = .9: stable iff lr·k/ε < 2 (1 + β₁)/(1 - β₁) = 38."""
    x = Tensor(1e-150, requires_grad=True)  # so small that √ŝ is nothing beside ε
    optimizer = Adam([x], lr=1e-2, eps=1e-2)
    sizes = []
    for _ in range(400):
        x.grad = k * x.data
        optimizer.step()
        sizes.append(abs(x.item()))
    early, late = max(sizes[100:200]), max(sizes[300:])  # after the bias corrections
    assert 0 < max(sizes) < 1e-6
    assert (late < early) == converges


def test_sgd_on_a_quadratic_shrinks_geometrically() -> None:
    x = Tensor(1.0, requires_grad=True)
    optimizer = SGD([x], lr=0.25)
    for _ in range(10):
        x.grad = x.data.copy()
        optimizer.step()
    assert x.item() == 0.75**10


def test_a_parameter_that_got_no_gradient_keeps_its_own_step_count() -> None:
    """Skipped steps must not count: bias correction would be off."""
    x, y = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
    optimizer = Adam([x, y], lr=1.0, eps=0.0)
    for _ in range(3):
        x.grad = np.array(1.0)
        optimizer.step()
        optimizer.zero_grad()
    y.grad = np.array(1.0)
    optimizer.step()
    assert x.item() == pytest.approx(-3.0, rel=1e-12)
    assert y.item() == pytest.approx(-1.0, rel=1e-12)


# Planted mistakes: each has to turn the recorded trajectory red


def adam_with_eps_inside_the_root(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    v, s = b1 * v + o1 * g, b2 * s + o2 * g * g
    return x - lr * (v * d1) / np.sqrt(s * d2 + eps), v, s


def adam_without_bias_correction(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, _, b2, o2, _, eps, _ = c
    return adam_rule(x, g, v, s, lr, b1, o1, 1.0, b2, o2, 1.0, eps, 0.0)


def adam_with_eps_before_bias_correction(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    v, s = b1 * v + o1 * g, b2 * s + o2 * g * g
    return x - lr * (v * d1) / (np.sqrt(s) + eps) / np.sqrt(d2), v, s


def adam_with_t_off_by_one(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    later = [1 / (1 - (1 - 1 / d) * b) for d, b in ((d1, b1), (d2, b2))]
    return adam_rule(x, g, v, s, lr, b1, o1, later[0], b2, o2, later[1], eps, 0.0)


def yogi_with_its_sign_flipped(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, o2, d2, eps, _ = c
    v = b1 * v + o1 * g
    s = np.abs(s + o2 * np.sign(s - g * g) * (g * g))
    return x - lr * (v * d1) / (np.sqrt(s * d2) + eps), v, s


def yogi_that_is_adam(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, o2, d2, eps, _ = c
    return adam_rule(x, g, v, s, lr, b1, o1, d1, 1 - o2, o2, d2, eps, 0.0)


def yogi_with_eps_inside_the_root(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, _, _, d1, _, d2, eps, _ = c
    _, v, s = yogi_rule(x, g, v, s, *c)
    return x - lr * (v * d1) / np.sqrt(s * d2 + eps), v, s


MISTAKES: list[tuple[Any, Any]] = [
    (Adam, adam_with_eps_inside_the_root),
    (Adam, adam_without_bias_correction),
    (Adam, adam_with_eps_before_bias_correction),
    (Adam, adam_with_t_off_by_one),
    (Yogi, yogi_with_its_sign_flipped),
    (Yogi, yogi_that_is_adam),
    (Yogi, yogi_with_eps_inside_the_root),
]


def error_of_rule(optimizer_class: Any, rule: Rule) -> float:
    run = trajectories(optimizer_class.__name__)[0]
    optimizer = optimizer_class([Tensor(run.start, requires_grad=True)], **run.options)
    return run.error(run_rule(rule, optimizer, run.gradients, run.start))


@pytest.mark.parametrize(
    ("optimizer_class", "mistake"), MISTAKES, ids=[mistake.__name__ for _, mistake in MISTAKES]
)
def test_a_planted_mistake_leaves_the_recorded_trajectory(
    optimizer_class: Any, mistake: Rule
) -> None:
    right: Any = {"Adam": adam_rule, "Yogi": yogi_rule}[optimizer_class.__name__]
    assert error_of_rule(optimizer_class, right) < 1e-13
    assert error_of_rule(optimizer_class, mistake) > 1e-9


def test_every_optimizer_is_exported() -> None:
    for found in pkgutil.iter_modules(optim.__path__):
        module = importlib.import_module(f"optim.{found.name}")
        for name, member in vars(module).items():
            if isinstance(member, type) and issubclass(member, Optimizer):
                assert getattr(optim, name) is member
                assert name in optim.__all__
