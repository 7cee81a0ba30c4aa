"""Mistakes planted in the optimizers' own source, and which oracle notices each.

A mistake is a line of ``optim/*.py`` replaced by another.  The changed file runs with its loops in
plain Python, and is held against three oracles: the recorded trajectories, the closed form of the
steps under a constant gradient, and that a gradient 2²⁰ times as large changes no bit.  The table
says which of them turn red; every mistake turns one red, and the files as they are turn none.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from optimizers import OPTIMIZERS
from trajectories import trajectories

import optim
import optim.loop
from minigrad import Tensor

BETA1, BETA2 = 0.9, 0.999


class InPlainPython:
    """Stands in for `coordinatewise`: the loop itself, which Numba would compile."""

    def __init__(self, loop: Callable[..., None]) -> None:
        self.loop = loop

    def __call__(self, *arguments: Any) -> None:
        with np.errstate(all="ignore"):
            self.loop(*arguments)


def class_in(file: str, name: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class `name` of a file of `optim` in which `old` has been replaced by `new`."""
    path = Path(optim.__path__[0]) / file
    source = path.read_text(encoding="utf-8")
    assert old in source, f"{file} has no {old!r} any more: bring the table up to date"
    monkeypatch.setattr(optim.loop, "coordinatewise", InPlainPython)
    module = types.ModuleType(f"optim.{path.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source.replace(old, new), str(path), "exec"), vars(module))
    return getattr(module, name)


def path_of(optimizer_class: Any, start: Any, gradients: Any, **options: Any) -> list[Any]:
    x = Tensor(start, requires_grad=True)
    optimizer = optimizer_class([x], nonfinite="ignore", **options)
    path = []
    for g in gradients:
        x.grad = g.copy()
        optimizer.step()
        path.append(x.data.copy())
    return path


# The oracles: each says whether the class passes


def follows_the_recorded_trajectories(optimizer_class: Any) -> bool:
    return all(
        run.error(path_of(optimizer_class, run.start, run.gradients, **run.options)) < 1e-12
        for run in trajectories(optimizer_class.__name__)
    )


def nadams_first_step() -> float:
    mu1, mu2 = (BETA1 * (1 - 0.5 * 0.96 ** (t * 4e-3)) for t in (1, 2))
    return mu2 * (1 - BETA1) / (1 - mu1 * mu2) + 1


def radams_rectification(t: float) -> float:
    rho_inf = 2 / (1 - BETA2) - 1
    rho = rho_inf - 2 * t * BETA2**t / (1 - BETA2**t)
    return np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))


def adabeliefs_s(t: float) -> float:
    """Corrected: the mean of (g - v)², which is β₁²ᵗ for g = 1."""
    k = np.arange(1, t + 1)
    return float(np.sum(BETA2 ** (t - k) * BETA1 ** (2 * k)) * (1 - BETA2) / (1 - BETA2**t))


T = np.arange(1, 21.0)
CONSTANT: dict[str, Any] = {  # step / η for g = 1, ε = 0, defaults otherwise
    "SGD": 1.0,
    "Momentum": 1 - 0.9**T,
    "AdaGrad": 1 / np.sqrt(T),
    "RMSProp": 1 / np.sqrt(1 - 0.99**T),
    "Adam": 1.0,
    "AMSGrad": 1.0,
    "AdamW": 1.0,
    "Adamax": 1.0,
    "RAdam": np.array([1.0 if t < 6 else radams_rectification(t) for t in T]),
    "NAdam": np.array([nadams_first_step()]),
    "Lion": 1.0,
    "Yogi": np.sqrt((1 - BETA2**T) / (T * (1 - BETA2))),
    "AdaBelief": np.array([1 / np.sqrt(adabeliefs_s(t)) for t in T]),
}


def takes_the_steps_of_its_closed_form(optimizer_class: Any) -> bool:
    name = optimizer_class.__name__
    options = {"lr": 1.0, "weight_decay": 0.0}
    if "eps" in optimizer_class.hyperparameters:
        options["eps"] = 0.0
    expected = np.broadcast_to(CONSTANT[name], np.size(CONSTANT[name]) if name == "NAdam" else 20)
    path = path_of(optimizer_class, np.zeros(1), np.ones((expected.size, 1)), **options)
    steps = -np.diff(np.array(path)[:, 0], prepend=0.0)
    return bool(np.max(np.abs(steps - expected)) < 1e-12)


def is_indifferent_to_the_gradients_scale(optimizer_class: Any) -> bool:
    g = np.random.default_rng(0).standard_normal((10, 4))
    options = {"eps": 0.0} if "eps" in optimizer_class.hyperparameters else {}
    paths = [path_of(optimizer_class, np.zeros(4), factor * g, **options) for factor in (1, 2**20)]
    return bool(np.array_equal(paths[0], paths[1]))


PATH, STEPS, SCALE = "recorded trajectories", "constant gradient", "scale of the gradient"
ORACLES = {
    PATH: follows_the_recorded_trajectories,
    STEPS: takes_the_steps_of_its_closed_form,
    SCALE: is_indifferent_to_the_gradients_scale,
}
APPLIES = {
    STEPS: set(CONSTANT),
    SCALE: {"AdaGrad", "Adam", "AMSGrad", "AdamW", "Adamax", "NAdam", "RMSProp", "Lion", "Yogi",
            "AdaBelief"},
}  # fmt: skip


def red(optimizer_class: Any) -> set[str]:
    name = optimizer_class.__name__
    return {
        oracle
        for oracle, passes in ORACLES.items()
        if name in APPLIES.get(oracle, {name}) and not passes(optimizer_class)
    }


class Mistake(NamedTuple):
    what: str
    file: str
    name: str
    old: str
    new: str
    red: set[str]

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


MISTAKES = [
    # sign
    Mistake("uphill", "sgd.py", "SGD", "x - lr * g", "x + lr * g", {PATH, STEPS}),
    Mistake("decay grows x", "sgd.py", "SGD", "g + weight_decay", "g - weight_decay", {PATH}),
    Mistake("sign flipped", "yogi.py", "Yogi", "np.sign(g * g - s)", "np.sign(s - g * g)",
            {PATH, STEPS, SCALE}),
    Mistake("sign of g, not of the mean", "lion.py", "Lion", "np.sign(c)", "np.sign(g)", {PATH}),
    # the place of ε
    Mistake("ε in the root", "adam.py", "Adam",
            "np.sqrt(s_hat) + eps", "np.sqrt(s_hat + eps)", {PATH}),
    Mistake("ε before the bias correction", "adam.py", "Adam",
            "(np.sqrt(s_hat) + eps)", "((np.sqrt(s) + eps) * np.sqrt(debias2))", {PATH}),
    Mistake("ε in the root", "yogi.py", "Yogi",
            "np.sqrt(s_hat) + eps", "np.sqrt(s_hat + eps)", {PATH}),
    Mistake("ε in the root", "rmsprop.py", "RMSProp",
            "np.sqrt(s) + eps", "np.sqrt(s + eps)", {PATH}),
    Mistake("ε in the root", "adagrad.py", "AdaGrad",
            "np.sqrt(s) + eps", "np.sqrt(s + eps)", {PATH}),
    Mistake("ε outside the roots", "adadelta.py", "Adadelta", "np.sqrt((u + eps) / (s + eps))",
            "(np.sqrt(u) + eps) / (np.sqrt(s) + eps)", {PATH}),
    Mistake("ε outside the maximum", "adamax.py", "Adamax", "x - lr * v_hat / u",
            "x - lr * v_hat / (u + eps)", {PATH}),
    Mistake("ε after the bias correction", "radam.py", "RAdam", "            eps,\n",
            "            eps * math.sqrt(1 - beta2**t),\n", {PATH}),
    Mistake("ε in every step", "radam.py", "RAdam", "(np.sqrt(s) + eps) + unrectified",
            "np.sqrt(s) + unrectified + eps", {PATH}),
    Mistake("ε not in s", "adabelief.py", "AdaBelief", "(g - v)) + eps", "(g - v))", {PATH}),
    Mistake("ε in s only", "adabelief.py", "AdaBelief", "np.sqrt(s_hat) + eps", "np.sqrt(s_hat)",
            {PATH}),
    # bias correction
    Mistake("v not corrected", "adam.py", "Adam",
            "v_hat = v * debias1", "v_hat = v", {PATH, STEPS}),
    Mistake("s not corrected", "adam.py", "Adam",
            "s_hat = s * debias2", "s_hat = s", {PATH, STEPS}),
    Mistake("s not corrected", "yogi.py", "Yogi",
            "s_hat = s * debias2", "s_hat = s", {PATH, STEPS}),
    Mistake("v not corrected", "adamw.py", "AdamW",
            "v_hat = v * debias1", "v_hat = v", {PATH, STEPS}),
    Mistake("v not corrected", "adamax.py", "Adamax",
            "v_hat = v * debias1", "v_hat = v", {PATH, STEPS}),
    Mistake("v not corrected", "radam.py", "RAdam",
            "v_hat = v * debias1", "v_hat = v", {PATH, STEPS}),
    Mistake("s not corrected", "nadam.py", "NAdam",
            "s_hat = s * debias2", "s_hat = s", {PATH, STEPS}),
    # t off by one
    Mistake("t from 2", "adam.py", "Adam", "beta1**t", "beta1**(t + 1)", {PATH, STEPS}),
    Mistake("t from 2", "yogi.py", "Yogi", "beta2**t", "beta2**(t + 1)", {PATH, STEPS}),
    Mistake("decays at the first step", "adagrad.py", "AdaGrad", "(t - 1) * lr_decay",
            "t * lr_decay", {PATH}),
    Mistake("t from 2", "adamw.py", "AdamW", "beta1**t", "beta1**(t + 1)", {PATH, STEPS}),
    Mistake("t from 2", "adamax.py", "Adamax", "beta1**t", "beta1**(t + 1)", {PATH, STEPS}),
    Mistake("t from 2", "radam.py", "RAdam", "beta1**t", "beta1**(t + 1)", {PATH, STEPS}),
    Mistake("t from 2", "adabelief.py", "AdaBelief", "beta1**t", "beta1**(t + 1)", {PATH, STEPS}),
    Mistake("t from 2", "nadam.py", "NAdam", "1 / (1 - beta2**t)", "1 / (1 - beta2**(t + 1))",
            {PATH, STEPS}),
    Mistake("μ late", "nadam.py", "NAdam", "momentum_at(t + 1,", "momentum_at(t,", {PATH, STEPS}),
    Mistake("dampens the first gradient", "sgd.py", "SGD", "1.0 if t == 1 else 1 - dampening",
            "1 - dampening", {PATH}),
    Mistake("rectifies from 4", "radam.py", "RAdam", "rho > 5", "rho > 4", {PATH, STEPS}),
    # AMSGrad's maximum
    Mistake("maximum after the correction", "amsgrad.py", "AMSGrad",
            "s_max = np.maximum(s_max, s)\n    v_hat = v * debias1\n    m_hat = s_max * debias2",
            "s_max = np.maximum(s_max, s * debias2)\n    v_hat = v * debias1\n    m_hat = s_max",
            {PATH}),
    Mistake("no maximum", "amsgrad.py", "AMSGrad", "np.maximum(s_max, s)", "s", {PATH}),
    # weight decay
    Mistake("decay coupled", "adamw.py", "AdamW", "x = decay * x - lr * v_hat / (np.sqrt(s_hat)",
            "x = x - lr * (v_hat + (1 - decay) / lr * x) / (np.sqrt(s_hat)", {PATH, SCALE}),
    Mistake("decays after the step", "adamw.py", "AdamW",
            "decay * x - lr * v_hat / (np.sqrt(s_hat) + eps)",
            "decay * (x - lr * v_hat / (np.sqrt(s_hat) + eps))", {PATH}),
    Mistake("λ without η", "adamw.py", "AdamW", "1 - lr * weight_decay", "1 - weight_decay",
            {PATH}),
    Mistake("decay coupled", "lion.py", "Lion", "x = decay * x - lr * np.sign(c)",
            "x = x - lr * np.sign(c + (1 - decay) / lr * x)", {PATH}),
    Mistake("decay decoupled", "adam.py", "Adam", "g = g + weight_decay * x",
            "x = (1 - lr * weight_decay) * x", {PATH}),
    Mistake("the forms of decay swapped", "nadam.py", "NAdam", "if decoupled_weight_decay",
            "if not decoupled_weight_decay", {PATH}),
    # moments
    Mistake("is Adam", "nadam.py", "NAdam", "v_bar = weight_of_v * v + weight_of_g * g",
            "v_bar = v * (weight_of_g / (1 - beta1))", {PATH, STEPS}),
    Mistake("u corrected", "adamax.py", "Adamax", "lr * v_hat / u", "lr * v_hat * debias1 / u",
            {PATH, STEPS}),
    Mistake("is Adam", "yogi.py", "Yogi", "s = s + one_minus_beta2 * np.sign(g * g - s) * (g * g)",
            "s = s + one_minus_beta2 * (g * g - s)", {PATH, STEPS}),
    Mistake("g not squared", "adam.py", "Adam", "(g * g)", "np.abs(g)", {PATH, SCALE}),
    Mistake("betas swapped", "lion.py", "Lion", "beta1, beta2 = betas", "beta2, beta1 = betas",
            {PATH}),
    Mistake("moves after the mean", "lion.py", "Lion",
            "c = beta1 * v + one_minus_beta1 * g\n",
            "v = beta2 * v + one_minus_beta2 * g\n    c = beta1 * v + one_minus_beta1 * g\n",
            {PATH}),
    Mistake("g - v before v moves", "adabelief.py", "AdaBelief",
            "(g - v) * (g - v)", "(g - (v - one_minus_beta1 * g) / beta1) ** 2", {PATH, STEPS}),
    Mistake("a sum, not a mean", "momentum.py", "Momentum", "one_minus_momentum * g", "g",
            {PATH, STEPS}),
    Mistake("decays after the mean", "momentum.py", "Momentum",
            "    g = g + weight_decay * x\n    v = momentum * v + one_minus_momentum * g\n"
            "    x = x - lr * v\n",
            "    v = momentum * v + one_minus_momentum * g\n"
            "    x = x - lr * (v + weight_decay * x)\n", {PATH}),
    Mistake("v made with μ", "nadam.py", "NAdam", "beta1, 1 - beta1, ahead",
            "now, 1 - now, ahead", {PATH, STEPS}),
    Mistake("momentum as a mean", "rmsprop.py", "RMSProp", "b = momentum * b + g / ",
            "b = momentum * b + (1 - momentum) * g / ", {PATH}),
    Mistake("a mean, not a sum", "adagrad.py", "AdaGrad", "s = s + g * g",
            "s = 0.9 * s + 0.1 * (g * g)", {PATH, STEPS}),
    Mistake("looks not ahead", "sgd.py", "SGD", "lr * (g + momentum * b)", "lr * b", {PATH}),
    Mistake("not centered", "rmsprop.py", "RMSProp", "np.maximum(s, v * v) - v * v", "s", {PATH}),
    Mistake("η in the step's mean", "adadelta.py", "Adadelta", "(delta * delta)",
            "(lr * delta * lr * delta)", {PATH}),
    # Muon
    Mistake("ε added to the norm", "muon.py", "Muon", "np.maximum(np.linalg.norm(Y), eps)",
            "(np.linalg.norm(Y) + eps)", {PATH}),
    Mistake("decay by the adjusted rate", "muon.py", "Muon", "x = decay * x - lr * o",
            "x = x - shape_factor(x.shape, adjust_lr_fn) * (1 - decay) * x - lr * o", {PATH}),
    Mistake("not normalised", "muon.py", "Muon", "Y / np.maximum(np.linalg.norm(Y), eps)",
            "Y / 1e300", {PATH}),
    Mistake("no fifth power", "muon.py", "Muon", "b * A + c * (A @ A.T)", "b * A", {PATH}),
    Mistake("one round more", "muon.py", "Muon", "range(rounds)", "range(rounds + 1)", {PATH}),
    Mistake("decays after the step", "muon.py", "Muon", "x = decay * x - lr * o",
            "x = decay * (x - lr * o)", {PATH}),
    Mistake("looks not ahead", "muon.py", "Muon", "one_minus_momentum * g if nesterov else v",
            "one_minus_momentum * g if False else v", {PATH}),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_planted_mistake_turns_these_oracles_red(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mistake.red
    _, file, name, old, new, expected = mistake
    assert red(class_in(file, name, old, new, monkeypatch)) == expected


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_without_a_mistake_nothing_is_red(
    optimizer_class: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = f"{optimizer_class.__module__.removeprefix('optim.')}.py"
    assert red(class_in(file, optimizer_class.__name__, "\n", "\n", monkeypatch)) == set()


def test_every_optimizer_has_a_mistake_in_the_table() -> None:
    assert {c.__name__ for c in OPTIMIZERS} == {mistake.name for mistake in MISTAKES}
