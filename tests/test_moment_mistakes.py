"""Planted mistakes: each turns the closed form red that stands beside it in the table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import test_moment_closed_forms as forms
from optimizer_paths import plain_loop, rule_of

from optim import AdaBelief, Adamax, AdamW, Lion, NAdam, RAdam
from optim.adam import adam_rule
from optim.adamax import adamax_rule
from optim.lion import lion_rule
from optim.nadam import nadam_rule
from optim.radam import radam_rule


def adamw_with_coupled_decay(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, decay = c
    return adam_rule(x, g, v, s, lr, b1, o1, d1, b2, o2, d2, eps, (1 - decay) / lr)


def adamw_that_decays_after_the_step(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, decay = c
    x, v, s = adam_rule(x, g, v, s, lr, b1, o1, d1, b2, o2, d2, eps, 0.0)
    return decay * x, v, s


def adamax_with_eps_outside_the_maximum(x: Any, g: Any, v: Any, u: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, eps, _ = c
    v, u = b1 * v + o1 * g, np.maximum(b2 * u, np.abs(g))
    return x - lr * (v * d1) / (u + eps), v, u


def adamax_without_bias_correction(x: Any, g: Any, v: Any, u: Any, *c: Any) -> Any:
    lr, b1, o1, _, *rest = c
    return adamax_rule(x, g, v, u, lr, b1, o1, 1.0, *rest)


def adamax_with_a_correction_of_the_norm(x: Any, g: Any, v: Any, u: Any, *c: Any) -> Any:
    lr, b1, o1, d1, *rest = c
    return adamax_rule(x, g, v, u, lr, b1, o1, d1 * d1, *rest)


def nadam_that_is_adam(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, _, _, b2, o2, d2, eps, _, _ = c
    return adam_rule(x, g, v, s, lr, b1, o1, 1 / (1 - 0.9), b2, o2, d2, eps, 0.0)


def nadam_whose_mean_is_made_with_the_schedule(
    x: Any, g: Any, v: Any, s: Any, *c: Any
) -> Any:
    lr, b1, _, *rest = c
    return nadam_rule(x, g, v, s, lr, b1 / 2, 1 - b1 / 2, *rest)


def radam_with_eps_after_the_correction(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    step, b1, o1, d1, b2, o2, eps, rectified, _, _, _ = c
    v, s = b1 * v + o1 * g, b2 * s + o2 * (g * g)
    c2 = s / np.square(g)  # 1 - β₂ᵗ under a constant gradient
    if rectified:
        return x - step / np.sqrt(c2) * (v * d1) / (np.sqrt(s / c2) + eps), v, s
    return x - step * (v * d1), v, s


def radam_without_bias_correction(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    step, b1, o1, _, *rest = c
    return radam_rule(x, g, v, s, step, b1, o1, 1.0, *rest)


def radam_with_eps_in_every_step(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    step, b1, o1, d1, b2, o2, eps, rectified, unrectified, _, _ = c
    return radam_rule(
        x, g, v, s, step, b1, o1, d1, b2, o2, eps, rectified, unrectified + eps, 0.0, 1.0
    )


def lion_that_remembers_before_it_steps(x: Any, g: Any, v: Any, *c: Any) -> Any:
    lr, b1, o1, b2, o2, decay = c
    v = b2 * v + o2 * g
    return decay * x - lr * np.sign(b1 * v + o1 * g), v


def lion_with_its_betas_swapped(x: Any, g: Any, v: Any, *c: Any) -> Any:
    lr, b1, o1, b2, o2, decay = c
    return lion_rule(x, g, v, lr, b2, o2, b1, o1, decay)


def adabelief_with_the_old_mean(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    s = b2 * s + o2 * (g - v) ** 2 + eps
    v = b1 * v + o1 * g
    return x - lr * (v * d1) / (np.sqrt(s * d2) + eps), v, s


def adabelief_with_eps_outside_only(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    v = b1 * v + o1 * g
    s = b2 * s + o2 * (g - v) ** 2
    return x - lr * (v * d1) / (np.sqrt(s * d2) + eps), v, s


def adabelief_with_eps_inside_only(x: Any, g: Any, v: Any, s: Any, *c: Any) -> Any:
    lr, b1, o1, d1, b2, o2, d2, eps, _ = c
    v = b1 * v + o1 * g
    s = b2 * s + o2 * (g - v) ** 2 + eps
    return x - lr * (v * d1) / np.sqrt(s * d2), v, s


MISTAKES: list[tuple[Any, Any, Callable[[], None]]] = [
    (AdamW, adamw_with_coupled_decay, forms.test_adamw_keeps_the_decay_out_of_both_moments),
    (AdamW, adamw_that_decays_after_the_step, forms.test_adamw_decays_x_and_then_moves_it),
    (Adamax, adamax_with_eps_outside_the_maximum, forms.test_adamaxs_eps_is_inside_the_maximum),
    (Adamax, adamax_without_bias_correction, forms.test_adamax_moves_by_lr_under_gradient_1),
    (Adamax, adamax_with_a_correction_of_the_norm, forms.test_adamax_moves_by_lr_under_gradient_1),
    (NAdam, nadam_that_is_adam, forms.test_nadams_first_step_is_1_05645),
    (NAdam, nadam_whose_mean_is_made_with_the_schedule, forms.test_nadams_first_step_is_1_05645),
    (RAdam, radam_with_eps_after_the_correction, forms.test_radams_eps_is_beside_the_raw_root),
    (RAdam, radam_without_bias_correction, forms.test_radam_rectifies_from_the_sixth_step_on),
    (RAdam, radam_with_eps_in_every_step, forms.test_radams_unrectified_steps_are_plain_means),
    (Lion, lion_that_remembers_before_it_steps, forms.test_lion_by_hand),
    (Lion, lion_with_its_betas_swapped, forms.test_lion_by_hand),
    (AdaBelief, adabelief_with_the_old_mean, forms.test_adabelief_measures_from_the_new_mean),
    (AdaBelief, adabelief_with_eps_outside_only, forms.test_adabeliefs_eps_stands_in_both_places),
    (AdaBelief, adabelief_with_eps_inside_only, forms.test_adabeliefs_eps_stands_in_both_places),
]


@pytest.mark.parametrize(
    ("optimizer_class", "mistake", "test"), MISTAKES, ids=[m[1].__name__ for m in MISTAKES]
)
def test_a_planted_mistake_turns_its_test_red(
    optimizer_class: Any, mistake: Any, test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for rule, outcome in (
        (rule_of(optimizer_class), nullcontext()),
        (mistake, pytest.raises(AssertionError)),
    ):
        loop = plain_loop(rule)
        monkeypatch.setattr(optimizer_class, "loop_for", lambda loop=loop, **_: loop)
        with outcome:
            test()


@pytest.mark.parametrize(
    ("optimizer_class", "test"),
    [
        (AdamW, forms.test_adamw_decays_x_and_then_moves_it),
        (Adamax, forms.test_adamax_moves_by_lr_under_gradient_1),
        (NAdam, forms.test_nadams_first_step_is_1_05645),
        (RAdam, forms.test_radam_rectifies_from_the_sixth_step_on),
        (AdaBelief, forms.test_adabeliefs_first_steps_under_a_constant_gradient),
    ],
)
def test_a_step_count_that_is_one_too_high_turns_a_test_red(
    optimizer_class: Any, test: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = optimizer_class.coefficients
    late = staticmethod(lambda t, **values: right(t + 1, **values))
    monkeypatch.setattr(optimizer_class, "coefficients", late)
    with pytest.raises(AssertionError):
        test()
