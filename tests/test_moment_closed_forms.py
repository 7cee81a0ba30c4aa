"""Closed forms of the relatives of Adam, rule by rule."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_paths import normal, run, steps

from minigrad import Tensor
from optim import AdaBelief, Adam, Adamax, AdamW, Lion, NAdam, RAdam
from optim.adabelief import adabelief_rule
from optim.nadam import _products, momentum_at, momentum_product
from optim.radam import rectification

# AdamW


def test_adamw_with_lambda_0_is_adam_bit_for_bit() -> None:
    g = normal(200, 5) * 10.0 ** np.random.default_rng(1).integers(-12, 12, (200, 5))
    assert np.array_equal(run(AdamW, g, 1.0, weight_decay=0.0), run(Adam, g, 1.0))


def test_adamw_keeps_the_decay_out_of_both_moments() -> None:
    x, y = Tensor([1.0, -2.0], requires_grad=True), Tensor([5.0, 7.0], requires_grad=True)
    decayed, plain = AdamW([x], weight_decay=0.5), Adam([y])
    for g in normal(20, 2):
        x.grad = y.grad = g
        decayed.step()
        plain.step()
    for name in "v", "s":
        mine, adams = (o.state_dict()["state"][0][name] for o in (decayed, plain))
        assert np.array_equal(mine, adams)


def test_adamw_decays_x_and_then_moves_it() -> None:
    path = run(AdamW, [[3.0], [3.0]], start=1.0, lr=0.125, weight_decay=2.0, eps=0.0)
    np.testing.assert_allclose(path[:, 0], [0.625, 0.34375], rtol=1e-13)


def test_adamw_in_float32_decays_nothing_where_lr_times_lambda_is_below_3e_8() -> None:
    for product, decays in (2.9e-8, False), (3.1e-8, True):
        options = {"lr": 1e-4, "weight_decay": product / 1e-4}
        path = run(AdamW, np.zeros((100, 1), np.float32), start=1.0, **options)
        assert bool(path[-1, 0] < 1) == decays


# Adamax


@pytest.mark.parametrize("g", [1e-200, 1e-3, 1.0, -1e200])
def test_adamax_under_a_constant_gradient_moves_by_lr_each_step(g: float) -> None:
    """Even where g² would be 0 or infinite: nothing is squared."""
    np.testing.assert_allclose(steps(Adamax, [g] * 1000, eps=0.0) * np.sign(g), 1, rtol=1e-12)


def test_adamax_moves_by_lr_under_gradient_1() -> None:
    np.testing.assert_allclose(steps(Adamax, np.ones(50)), 1 / (1 + 1e-8), rtol=1e-13)


def test_adamaxs_norm_jumps_to_a_spike_and_fades_by_beta2() -> None:
    x = Tensor(0.0, requires_grad=True)
    optimizer = Adamax([x], betas=(0.9, 0.5), eps=0.0)
    norms = []
    for g in [1.0, -16.0, 1.0, 1.0, 1.0, 1.0, 1.0]:
        x.grad = np.array(g)
        optimizer.step()
        norms.append(optimizer.state_dict()["state"][0]["u"].item())
    assert norms == [1, 16, 8, 4, 2, 1, 1]


def test_adamaxs_eps_is_inside_the_maximum() -> None:
    """u = |1| + 1, then max(.75 · 2, |0| + 1), and not .75 + 1 as with ε in the denominator."""
    x = Tensor(0.0, requires_grad=True)
    optimizer = Adamax([x], lr=1.0, betas=(0.0, 0.75), eps=1.0)
    for g, u in (1.0, 2.0), (0.0, 1.5), (0.0, 1.125), (0.0, 1.0), (0.0, 1.0):
        x.grad = np.array(g)
        optimizer.step()
        assert optimizer.state_dict()["state"][0]["u"].item() == u
    assert x.item() == -0.5


# NAdam


def test_nadams_first_step_is_1_05645() -> None:
    mu1, mu2 = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
    first, *_ = steps(NAdam, [3.0], eps=0.0)
    assert first == pytest.approx(mu2 * 0.1 / (1 - mu1 * mu2) + 1, rel=1e-14)
    assert first == pytest.approx(1.05645, abs=5e-6)


def test_nadams_steps_under_a_constant_gradient_are_those_of_its_docstring() -> None:
    t = np.arange(1, 5001)
    mu = 0.9 * (1 - 0.5 * 0.96 ** (0.004 * np.arange(1, 5002)))
    p = np.cumprod(mu)
    expected = mu[1:] * (1 - 0.9**t) / (1 - p[1:]) + (1 - mu[:-1]) / (1 - p[:-1])
    taken = steps(NAdam, np.full(5000, -7.0), eps=0.0)
    np.testing.assert_allclose(-taken, expected, rtol=1e-11)
    np.testing.assert_allclose(taken[:5], [-1.056, -0.784, -0.732, -0.731, -0.746], atol=5e-4)
    assert taken[-1] == pytest.approx(-1, abs=1e-4)


def test_nadam_without_momentum_is_adam_without_momentum() -> None:
    g, options = normal(50, 5), {"lr": 0.01, "betas": (0.0, 0.999)}
    assert np.array_equal(run(NAdam, g, **options), run(Adam, g, **options))


def test_nadams_momentum_goes_from_half_beta1_to_beta1() -> None:
    assert momentum_at(0, 0.9, 0.004) == 0.45
    assert momentum_at(10**6, 0.9, 0.004) == 0.9
    assert momentum_at(1, 0.9, 1e308) == 0.9
    assert momentum_at(10**9, 0.9, 0.0) == 0.45


@pytest.mark.parametrize(
    ("beta1", "momentum_decay"), [(0.9, 0.004), (0.99, 1.0), (0.0, 0.004), (0.9, 0.0)]
)
def test_nadams_product_is_the_same_number_run_through_and_resumed(
    beta1: float, momentum_decay: float
) -> None:
    _products.clear()
    through = [momentum_product(t, beta1, momentum_decay) for t in range(1, 501)]
    exact = np.cumprod([momentum_at(t, beta1, momentum_decay) for t in range(1, 501)])
    assert [1 - p for p in through] == [1 - p for p in exact]
    for t in 1, 2, 17, 255, 500:
        _products.clear()
        assert momentum_product(t, beta1, momentum_decay) == through[t - 1]
    for t in 400, 3, 401, 4, 402:  # two parameters whose steps are far apart
        assert momentum_product(t, beta1, momentum_decay) == through[t - 1]


def test_nadams_product_is_quick_late_in_a_run_and_remembers_little() -> None:
    _products.clear()
    assert momentum_product(10**15, 0.9, 0.004) == 0  # would take a year one by one
    for t in range(1, 10_000):
        momentum_product(t, 0.9, 0.004)
    assert len(_products) <= 64


# RAdam


def test_radam_rectifies_from_the_sixth_step_on() -> None:
    """The first five steps are the gradient."""
    taken = steps(RAdam, np.full(8, 300.0), eps=0.0)
    np.testing.assert_allclose(taken[:5], 300, rtol=1e-13)
    r = np.array([rectification(t, 0.999) for t in (6, 7, 8)], np.float64)
    np.testing.assert_allclose(taken[5:], r, rtol=1e-10)
    assert np.all((r > 0.02) & (r < 0.05))


def test_radams_unrectified_steps_are_plain_means() -> None:
    """Means of the gradients so far, weighted by powers of β₁; ε has no part in them."""
    g = np.array([1.0, -2.0, 3.0, 0.5, 8.0])
    weights = [0.5 ** np.arange(t)[::-1] for t in range(1, 6)]
    expected = [np.average(g[: len(w)], weights=w) for w in weights]
    np.testing.assert_allclose(
        steps(RAdam, g, betas=(0.5, 0.999), eps=1e6), expected, rtol=1e-13
    )


def test_radams_eps_is_beside_the_raw_root() -> None:
    """r √(1-β₂ᵗ) / (√s + ε) with √s = √(1-β₂ᵗ) under the gradient 1."""
    t, eps = np.arange(6, 50), 0.01
    root = np.sqrt(1 - 0.999**t)
    r = np.array([rectification(int(i), 0.999) for i in t], np.float64)
    taken = steps(RAdam, np.ones(49), eps=eps)[5:]
    np.testing.assert_allclose(taken, r * root / (root + eps), rtol=1e-10)


@pytest.mark.parametrize(
    ("beta2", "first"), [(0.0, None), (0.6, None), (2 / 3, None), (0.68, 12), (0.9, 6), (0.999, 6)]
)
def test_radam_rectifies_from_rho_above_5_on_or_never(beta2: float, first: int | None) -> None:
    """ρ_∞ ≤ 5 means never, also where (ρ_∞ - 4)(ρ_∞ - 2) is 0 or negative."""
    rectified = [t for t in range(1, 200) if rectification(t, beta2) is not None]
    assert rectified == ([] if first is None else list(range(first, 200)))
    taken = steps(RAdam, np.full(30, 3.0), betas=(0.9, beta2), eps=0.0)
    for t, step in enumerate(taken, start=1):
        if first is None or t < first:
            assert step == pytest.approx(3.0, rel=1e-13)
        else:
            assert 0 < step < 1


def test_radams_rectification_rises_to_1_and_is_that_of_its_docstring() -> None:
    r = np.array([rectification(t, 0.999) for t in range(6, 30_000)], np.float64)
    assert np.all(np.diff(r[:15_000]) > 0)
    assert r[-1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(r[[0, 94, 1994]], [0.026, 0.215, 0.828], atol=5e-4)


# Lion


def test_lion_by_hand() -> None:
    """β₁ = ½, β₂ = ¾, η = ⅛, λ = 2, so that the decay is ¾."""
    x = Tensor([2.0, -1.0, 1.0], requires_grad=True)
    optimizer = Lion([x], lr=0.125, betas=(0.5, 0.75), weight_decay=2.0)
    by_hand = [
        ([4.0, -8.0, 0.0], [1.375, -0.625, 0.75], [1.0, -2.0, 0.0]),
        ([-0.5, 2.0, 1.0], [0.90625, -0.46875, 0.4375], [0.625, -1.0, 0.25]),
    ]  # the second step's c: .25, 0, .5
    for g, expected, v in by_hand:
        x.grad = np.array(g)
        optimizer.step()
        assert x.data.tolist() == expected
        assert optimizer.state_dict()["state"][0]["v"].tolist() == v


def test_lion_moves_every_coordinate_by_lr_however_large_the_gradient() -> None:
    g = normal(200, 5) * 10.0 ** np.random.default_rng(1).integers(-12, 12, (200, 5))
    path = run(Lion, g, lr=0.125)
    assert np.all(np.abs(np.diff(path, axis=0, prepend=0.0)) == 0.125)


# AdaBelief


def test_adabeliefs_first_steps_under_a_constant_gradient() -> None:
    """The first is 1/β₁: v = (1-β₁)g, and the surprise g - v = β₁g."""
    taken = steps(AdaBelief, [5.0] * 50, eps=0.0)
    assert taken[0] == pytest.approx(1 / 0.9, rel=1e-12)
    np.testing.assert_allclose(taken[:2], [1.1111, 1.1680], atol=5e-5)
    t = np.arange(1, 51)
    s = np.array([0.001 * np.sum(0.999 ** (k - t[:k]) * 0.81 ** t[:k]) for k in t])
    np.testing.assert_allclose(taken, np.sqrt((1 - 0.999**t) / s), rtol=1e-12)
    assert np.all(np.diff(taken) > 0)


def test_adabeliefs_eps_stands_in_both_places() -> None:
    """It accumulates in s: without gradients, here, by ¼ + ¾s."""
    x = Tensor(0.0, requires_grad=True)
    optimizer = AdaBelief([x], lr=1.0, betas=(0.5, 0.75), eps=0.25)
    for expected in 0.25, 0.4375, 0.578125:
        x.grad = np.array(0.0)
        optimizer.step()
        assert optimizer.state_dict()["state"][0]["s"].item() == expected
    assert x.item() == 0
    (first,) = steps(AdaBelief, [4.0], betas=(0.5, 0.75), eps=0.25)
    assert first == pytest.approx(4.0 / (np.sqrt((0.25 * 4.0 + 0.25) / 0.25) + 0.25), rel=1e-15)


def test_adabelief_measures_from_the_new_mean() -> None:
    """From the old one, which is 0 at first, the first step would be Adam's."""
    (first,) = steps(AdaBelief, [4.0], betas=(0.5, 0.75), eps=0.0)
    assert first == 2.0


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
