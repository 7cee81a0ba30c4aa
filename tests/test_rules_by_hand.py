"""A few steps of the relatives of Adam by hand: where ε stands, what is remembered, what decays."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_paths import normal, run, steps

from minigrad import Tensor
from optim import AdaBelief, Adam, Adamax, AdamW, Lion, RAdam

# AdamW


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


# RAdam


def test_radams_unrectified_steps_are_plain_means() -> None:
    """Means of the gradients so far, weighted by powers of β₁; ε has no part in them."""
    g = np.array([1.0, -2.0, 3.0, 0.5, 8.0])
    weights = [0.5 ** np.arange(t)[::-1] for t in range(1, 6)]
    expected = [np.average(g[: len(w)], weights=w) for w in weights]
    np.testing.assert_allclose(
        steps(RAdam, g, betas=(0.5, 0.999), eps=1e6), expected, rtol=1e-13
    )


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


# AdaBelief


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
