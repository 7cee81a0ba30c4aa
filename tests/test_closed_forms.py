"""The closed forms that the update rules have on simple gradients: steps, states, stability.

Steps are divided by η, gradients are constant, and ε is 0, where nothing else is said:

===================================== ============================================================
closed form or identity               test
===================================== ============================================================
Adam, AMSGrad, Adamax: 1 (to 6e-14)   test_adam_amsgrad_and_adamax_step_by_1
RMSProp: 1/√(1-αᵗ)                    test_rmsprop_steps_by_1_over_root_of_1_minus_alpha_to_the_t
AdaGrad: 1/√t                         test_adagrad_steps_by_1_over_root_of_t
NAdam: first 1.05645                  test_nadams_first_step_is_1_05645
AdaBelief: 1.1111, 1.1680, ...        test_adabeliefs_first_steps_are_1_1111_and_1_1680
RAdam: steps 1 to 5 are g             test_radams_first_five_steps_are_the_gradient
Yogi: √((1-β₂ᵗ)/min(t(1-β₂), 1))      test_yogi_steps_by_its_closed_form
Yogi, β₂ = ¾: 2, √2, 2/√3, 1, 1       test_uncorrected_yogi_steps_by_2_root_2_2_over_root_3_1_1
Yogi: s moves by 0 or (1-β₂)g²        test_yogi_moves_s_by_0_or_1_minus_beta2_times_g_squared
Yogi: s ≥ 0                           test_yogis_s_is_never_negative
Yogi: s_t ≥ β₂ s_{t-1}                test_yogis_s_shrinks_by_beta2_at_most
Yogi: g = 0 leaves s                  test_yogis_s_stays_where_the_gradient_is_0
Yogi's s for N(0, 1): 2.366           test_yogis_s_tends_to_the_chi_squared_3_median_2_366
Yogi's steps there: .650 of Adam's    test_yogis_steps_under_noise_are_0_650_of_adams
2²⁰ times g: not a bit changes        test_scaling_every_gradient_by_a_power_of_two_changes_no_bit
every sign flipped: every step flips  test_flipping_every_sign_flips_the_path_exactly
RMSProp on x²/2: ends at |x| = η/2    test_rmsprop_on_a_quadratic_ends_in_a_cycle_of_half_eta
Adam on kx²/2: stable iff ηk/ε < 38   test_adam_near_a_minimum_is_stable_at_37_and_not_at_39
Muon: U p⁵(S/‖G‖) Vᵀ, to 3e-15        test_orthogonalized_is_a_polynomial_of_each_singular_value
AdamW, g = 0: x₀(1-ηλ)ᵗ               test_decoupled_decay_without_gradients_is_geometric
Adam, g = 0, coupled λ: sign(x)       test_coupled_decay_alone_steps_by_1_for_any_lambda
AdamW(λ = 0) = Adam                   test_adamw_without_decay_is_adam
Momentum(μ = 0) = SGD                 test_momentum_without_momentum_is_sgd
AMSGrad = Adam while s grows          test_amsgrad_is_adam_while_s_grows_and_no_longer
RMSProp = Adam(β₁ = 0), uncorrected   test_rmsprop_is_adam_without_momentum_and_bias_correction
===================================== ============================================================

The tests are here, in test_identities.py, and Muon's in test_muon.py.  Recorded trajectories
(test_trajectories.py) say that a rule is its library's; these say why its steps are what they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import test_identities
import test_muon
from optimizer_paths import normal, run, steps

from minigrad import Tensor
from optim import (
    SGD,
    AdaBelief,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Lion,
    Momentum,
    Muon,
    NAdam,
    RAdam,
    RMSProp,
    Yogi,
)
from optim.adabelief import adabelief_rule
from optim.adam import adam_rule
from optim.yogi import yogi_rule

T = np.arange(1, 5001)
every_size = pytest.mark.parametrize("g", [1e-3, 1.0, -1e3])


def test_every_test_in_the_table_exists() -> None:
    named = re.findall(r"(test_\w+)\n", (__doc__ or "").split("The tests are here")[0])
    assert len(named) == len(set(named)) == 25
    rooms = globals(), vars(test_identities), vars(test_muon)
    assert [name for name in named if not any(name in room for room in rooms)] == []


# Constant gradients


@every_size
@pytest.mark.parametrize("optimizer_class", [Adam, AMSGrad, Adamax])
def test_adam_amsgrad_and_adamax_step_by_1(optimizer_class: Any, g: float) -> None:
    taken = steps(optimizer_class, np.full(5000, g), eps=0.0)
    np.testing.assert_allclose(taken * np.sign(g), 1, rtol=6e-14)


@pytest.mark.parametrize("g", [1e-200, -1e200])
def test_adamax_steps_by_1_also_where_g_squared_would_be_0_or_infinite(g: float) -> None:
    taken = steps(Adamax, np.full(1000, g), eps=0.0)
    np.testing.assert_allclose(taken * np.sign(g), 1, rtol=2e-15)


def test_adamaxs_eps_is_part_of_its_norm_at_every_step() -> None:
    taken = steps(Adamax, np.ones(50), eps=0.25)
    np.testing.assert_allclose(taken, 1 / 1.25, rtol=1e-14)


@every_size
def test_rmsprop_steps_by_1_over_root_of_1_minus_alpha_to_the_t(g: float) -> None:
    """What Adam's bias correction takes out: the first steps are too long."""
    taken = steps(RMSProp, np.full(5000, g), eps=0.0)
    np.testing.assert_allclose(taken * np.sign(g), 1 / np.sqrt(1 - 0.99**T), rtol=2e-14)


def test_centered_rmsprop_divides_by_what_is_left_of_the_variance() -> None:
    """s - v² is (1-αᵗ) αᵗ g²."""
    left = 0.99 ** T[:100]
    taken = steps(RMSProp, np.full(100, -3.0), eps=0.0, centered=True)
    np.testing.assert_allclose(-taken, 1 / np.sqrt((1 - left) * left), rtol=1e-13)


@every_size
def test_adagrad_steps_by_1_over_root_of_t(g: float) -> None:
    taken = steps(AdaGrad, np.full(5000, g), eps=0.0)
    np.testing.assert_allclose(taken * np.sign(g), 1 / np.sqrt(T), rtol=5e-14)


def test_adagrad_counts_on_from_its_initial_accumulator_and_lets_eta_decay() -> None:
    options = {"eps": 0.5, "initial_accumulator": 9.0, "lr_decay": 0.25}
    taken = steps(AdaGrad, np.full(5000, 2.0), **options)
    expected = 2 / (1 + (T - 1) * 0.25) / (np.sqrt(9 + 4 * T) + 0.5)
    np.testing.assert_allclose(taken, expected, rtol=1e-15)


def test_momentum_steps_by_1_minus_beta_to_the_t() -> None:
    taken = steps(Momentum, np.ones(1000))
    np.testing.assert_allclose(taken, 1 - 0.9 ** T[:1000], rtol=2e-15)


def test_adadeltas_first_step_lives_on_eps() -> None:
    g = np.array([-1e3, -1.0, -1e-3, 1e-6, 1e-3, 1.0, 1e6])
    step = -run(Adadelta, g[None])[0]
    np.testing.assert_allclose(step, 1e-3 * g / np.sqrt(0.1 * g * g + 1e-6), rtol=1e-14)


def test_nadams_first_step_is_1_05645() -> None:
    mu1, mu2 = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
    (first,) = steps(NAdam, [3.0], eps=0.0)
    assert first == pytest.approx(mu2 * 0.1 / (1 - mu1 * mu2) + 1, rel=1e-15)
    assert first == pytest.approx(1.05645, abs=5e-6)


def test_nadams_steps_are_those_of_its_docstring() -> None:
    mu = 0.9 * (1 - 0.5 * 0.96 ** (0.004 * np.arange(1, 5002)))
    p = np.cumprod(mu)
    expected = mu[1:] * (1 - 0.9**T) / (1 - p[1:]) + (1 - mu[:-1]) / (1 - p[:-1])
    taken = steps(NAdam, np.full(5000, -7.0), eps=0.0)
    np.testing.assert_allclose(-taken, expected, rtol=6e-14)
    np.testing.assert_allclose(taken[:5], [-1.056, -0.784, -0.732, -0.731, -0.746], atol=5e-4)
    assert taken[-1] == pytest.approx(-1, abs=1e-4)


def test_adabeliefs_first_steps_are_1_1111_and_1_1680() -> None:
    """The first is 1/β₁: v = (1-β₁)g, and the surprise g - v = β₁g; the t-th surprise is β₁ᵗg."""
    taken = steps(AdaBelief, [5.0] * 50, eps=0.0)
    assert taken[0] == pytest.approx(1 / 0.9, rel=1e-14)
    np.testing.assert_allclose(taken[:2], [1.1111, 1.1680], atol=5e-5)
    t = T[:50]
    s = np.array([0.001 * np.sum(0.999 ** (k - t[:k]) * 0.81 ** t[:k]) for k in t])
    np.testing.assert_allclose(taken, np.sqrt((1 - 0.999**t) / s), rtol=1e-13)
    assert np.all(np.diff(taken) > 0)


def rectifications(t: Any, beta2: float = 0.999) -> Any:
    """RAdam's r of the steps t."""
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
    return np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))


def test_radams_first_five_steps_are_the_gradient() -> None:
    """And the sixth is the first that is rectified."""
    taken = steps(RAdam, np.full(8, 300.0), eps=0.0)
    np.testing.assert_allclose(taken[:5], 300, rtol=1e-15)
    np.testing.assert_allclose(taken[5:], rectifications(T[5:8]), rtol=1e-11)
    assert np.all((taken[5:] > 0.02) & (taken[5:] < 0.05))


def test_radams_eps_is_beside_the_raw_root() -> None:
    """r √(1-β₂ᵗ) / (√s + ε) with √s = √(1-β₂ᵗ) under the gradient 1."""
    t, eps = T[5:49], 0.01
    root = np.sqrt(1 - 0.999**t)
    taken = steps(RAdam, np.ones(49), eps=eps)[5:]
    np.testing.assert_allclose(taken, rectifications(t) * root / (root + eps), rtol=1e-11)


def test_lion_steps_by_1_however_large_the_gradient() -> None:
    g = normal(200) * 10.0 ** np.random.default_rng(1).integers(-12, 12, 200)
    assert np.all(np.abs(steps(Lion, g)) == 1)


# Yogi


def test_yogi_steps_by_its_closed_form() -> None:
    """s counts up to g² by (1-β₂)g²; around g² it goes to and fro by as much."""
    taken = steps(Yogi, np.ones(5000), eps=0.0)
    expected = np.sqrt((1 - 0.999**T) / np.minimum(T * (1 - 0.999), 1))
    np.testing.assert_allclose(taken, expected, rtol=0, atol=5e-4)
    np.testing.assert_allclose(taken[:999], expected[:999], rtol=2e-14)


def test_uncorrected_yogi_steps_by_2_root_2_2_over_root_3_1_1() -> None:
    """With β₁ = 0 and β₂ = ¾, s goes up to g² in four steps and stops there."""
    taken = steps(Yogi, np.ones(8), betas=(0.0, 0.75), eps=0.0)
    uncorrected = taken / np.sqrt(1 - 0.75 ** T[:8])
    expected = [2, np.sqrt(2), 2 / np.sqrt(3), 1, 1, 1, 1, 1]
    np.testing.assert_allclose(uncorrected, expected, rtol=1e-15)


@pytest.mark.parametrize(("g", "first"), [(1.0, 0.999), (0.01, 0.909), (0.001, 0.5)])
def test_yogis_first_step_is_the_textbooks(g: float, first: float) -> None:
    (step,) = steps(Yogi, [g])
    assert step == pytest.approx(g / (g + 1e-3), rel=1e-14)
    assert step == pytest.approx(first, abs=5e-4)


@pytest.mark.parametrize(("g", "first"), [(1.0, 0.999), (0.01, 0.293), (0.001, 0.031)])
def test_yogi_with_an_initial_accumulator_of_1e_6_is_near_optaxs_first_step(
    g: float, first: float
) -> None:
    """Which also starts v at 1e-6, and so steps a little further where g is tiny."""
    (step,) = steps(Yogi, [g], initial_accumulator=1e-6)
    assert step == pytest.approx(first, abs=1e-3)


def moves_of_yogi() -> Iterator[tuple[Any, Any, Any, Any]]:
    """Gradient, s before, s after, and how far it may be rounded, under spikes and zeros."""
    rng = np.random.default_rng(1)
    c = Yogi([Tensor(0.0, True)]).param_groups[0].coefficients(1)
    s = np.zeros(1000)
    for _ in range(200):
        g = rng.standard_t(2, 1000) * rng.integers(0, 2, 1000)
        new = yogi_rule(0.0, g, 0.0, s, *c)[2]
        yield g, s, new, 4 * np.spacing(np.maximum(s, new))
        s = new


def test_yogi_moves_s_by_0_or_1_minus_beta2_times_g_squared() -> None:
    for g, s, new, rounding in moves_of_yogi():
        move = np.abs(new - s)
        assert np.all((np.abs(move - (1 - 0.999) * g**2) <= rounding) | (move == 0))


def test_yogis_s_is_never_negative() -> None:
    assert all(np.all(new >= 0) for _, _, new, _ in moves_of_yogi())


def test_yogis_s_shrinks_by_beta2_at_most() -> None:
    shrinks = False
    for _, s, new, rounding in moves_of_yogi():
        assert np.all(new >= 0.999 * s - rounding)
        shrinks |= bool(np.any(new < s))
    assert shrinks


def test_yogis_s_stays_where_the_gradient_is_0() -> None:
    for g, s, new, _ in moves_of_yogi():
        assert np.any(g == 0)
        assert np.all(new[g == 0] == s[g == 0])


@pytest.fixture(scope="module")
def stationary() -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Yogi's s and Adam's, late under N(0, 1) gradients: one row a step."""
    rng = np.random.default_rng(2)
    yogis, adams = (c([Tensor(0.0, True)]).param_groups[0].coefficients(1) for c in (Yogi, Adam))
    s, adams_s, tail = np.full(2000, 2.0), np.ones(2000), []
    for t in range(12_000):
        g = rng.standard_normal(2000)
        s = yogi_rule(0.0, g, 0.0, s, *yogis)[2]
        adams_s = adam_rule(0.0, g, 0.0, adams_s, *adams)[2]
        if t > 8_000 and t % 100 == 0:
            tail.append((s, adams_s))
    mine, theirs = np.swapaxes(tail, 0, 1)
    return mine, theirs


def test_yogis_s_tends_to_the_chi_squared_3_median_2_366(stationary: Any) -> None:
    """The g²-weighted median of g², where Adam has the mean, 1."""
    median = 2.366
    below = math.erf(math.sqrt(median / 2)) - math.sqrt(2 * median / math.pi) * math.exp(
        -median / 2
    )  # the distribution function of χ²₃
    assert below == pytest.approx(0.5, abs=1e-4)
    yogis, adams = stationary
    assert np.mean(yogis) == pytest.approx(median, abs=0.01)
    assert np.mean(adams) == pytest.approx(1, abs=0.01)


def test_yogis_steps_under_noise_are_0_650_of_adams(stationary: Any) -> None:
    """v̂ is the same for both, so that the steps are as 1/√s to 1/√s."""
    yogis, adams = stationary
    assert np.mean(np.sqrt(adams / yogis)) == pytest.approx(0.650, abs=2e-3)


# AdaBelief under noise


def test_adabeliefs_s_under_noise_is_0_85_of_adams() -> None:
    """g - v = β₁ (g - v_{t-1}), and v has the variance (1-β₁)/(1+β₁) of g's."""
    rng = np.random.default_rng(0)
    optimizer = AdaBelief([Tensor(0.0, requires_grad=True)], betas=(0.9, 0.99), eps=0.0)
    coefficients = optimizer.param_groups[0].coefficients(1)
    v, s = np.zeros(2000), np.full(2000, 0.85)
    means = []
    for t in range(3000):
        _, v, s = adabelief_rule(0.0, rng.standard_normal(2000), v, s, *coefficients)
        if t >= 1000:
            means.append(s.mean())
    assert np.mean(means) == pytest.approx(2 * 0.9**2 / 1.9, abs=3e-3)


# Quadratics


def on_a_quadratic(optimizer: Any, x: Tensor, k: float, count: int) -> list[float]:
    """The path on k x²/2."""
    path = []
    for _ in range(count):
        x.grad = k * x.data
        optimizer.step()
        path.append(x.item())
    return path


def test_sgd_on_a_quadratic_shrinks_geometrically() -> None:
    x = Tensor(1.0, requires_grad=True)
    assert on_a_quadratic(SGD([x], lr=0.25), x, 1.0, 10) == [0.75**t for t in range(1, 11)]


@pytest.mark.parametrize("lr", [0.1, 0.01])
def test_rmsprop_on_a_quadratic_ends_in_a_cycle_of_half_eta(lr: float) -> None:
    x = Tensor(1.0, requires_grad=True)
    tail = on_a_quadratic(RMSProp([x], lr=lr, alpha=0.99, eps=0.0), x, 1.0, 10_000)[-10:]
    np.testing.assert_allclose(np.abs(tail), lr / 2, rtol=0, atol=2e-15)
    assert np.all(np.sign(tail[1:]) == -np.sign(tail[:-1]))


@pytest.mark.parametrize(("k", "converges"), [(37, True), (39, False)])
def test_adam_near_a_minimum_is_stable_at_37_and_not_at_39(k: float, converges: bool) -> None:
    """On k x²/2 with β₁ = .9: stable iff ηk/ε < 2 (1 + β₁)/(1 - β₁) = 38."""
    x = Tensor(1e-150, requires_grad=True)  # so small that √ŝ is nothing beside ε
    sizes = np.abs(on_a_quadratic(Adam([x], lr=1e-2, eps=1e-2), x, k, 400))
    early, late = max(sizes[100:200]), max(sizes[300:])  # after the bias corrections
    assert 0 < max(sizes) < 1e-6
    assert (late < early) == converges


# Decay without gradients


@pytest.mark.parametrize(
    ("optimizer_class", "options"),
    [
        (AdamW, {}),
        (Lion, {}),
        (Muon, {}),
        (NAdam, {"decoupled_weight_decay": True}),
        (RAdam, {"decoupled_weight_decay": True}),
    ],
)
def test_decoupled_decay_without_gradients_is_geometric(
    optimizer_class: Any, options: dict[str, bool]
) -> None:
    """x₀ (1-ηλ)ᵗ, exactly: the powers of 15/16 have few enough digits."""
    start = np.array([[1.0, -3.0]])
    path = run(optimizer_class, np.zeros((10, 1, 2)), start, lr=0.125, weight_decay=0.5, **options)
    expected = (1 - 0.125 * 0.5) ** T[:10, None, None] * start
    assert np.array_equal(path, expected)


@pytest.mark.parametrize("optimizer_class", [Adam, AMSGrad, Adamax])
@pytest.mark.parametrize("weight_decay", [1e-4, 0.1, 10.0])
def test_coupled_decay_alone_steps_by_1_for_any_lambda(
    optimizer_class: Any, weight_decay: float
) -> None:
    """The first step is -η sign(x): divided by √ŝ, λ is gone."""
    options = {"lr": 0.125, "eps": 0.0, "weight_decay": weight_decay}
    path = run(optimizer_class, np.zeros((1, 2)), start=[1.0, -3.0], **options)
    np.testing.assert_allclose(path[0], [0.875, -2.875], rtol=1e-15)
