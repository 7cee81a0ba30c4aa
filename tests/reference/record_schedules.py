"""Record what PyTorch's and Optax's schedules give in float64, step by step.

Needs PyTorch 2.13 and Optax 0.2.8 (``pip install torch==2.13.0 optax==0.2.8``), which the tests
themselves do not:

    python tests/reference/record_schedules.py

writes ``schedules.json`` beside this file: with each run the schedule that should give the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import optax
import torch
from torch.optim import lr_scheduler

HERE = Path(__file__).parent
Run = dict[str, Any]


def torch_run(ours: str, lr: float, make: Callable[[Any], Any], steps: int) -> Run:
    """Step a scheduler of PyTorch's, and write down the rate of each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    theirs = type(scheduler).__name__
    return {"source": f"torch {theirs}", "schedule": ours, "values": values}


def optax_run(name: str, ours: str, schedule: Callable[[Any], Any], steps: int) -> Run:
    """Ask a schedule of Optax's for each step."""
    values = [float(schedule(float(t))) for t in range(steps)]
    return {"source": f"optax {name}", "schedule": ours, "values": values}


def from_torch() -> list[Run]:
    """Every schedule of PyTorch's that is a function of the step, but the periodic CyclicLR."""
    s = lr_scheduler
    return [
        torch_run("Constant(lr=0.3)", 0.3, lambda o: s.ConstantLR(o, factor=1.0), 8),
        torch_run("Step(lr=0.1, step_size=30)", 0.1, lambda o: s.StepLR(o, 30), 95),
        torch_run("Step(lr=2.0, step_size=1, gamma=0.9)", 2.0, lambda o: s.StepLR(o, 1, 0.9), 40),
        torch_run("Step(lr=0.1, step_size=7, gamma=1.5)", 0.1, lambda o: s.StepLR(o, 7, 1.5), 40),
        torch_run("MultiStep(lr=0.1, milestones=(15, 30))", 0.1,
                  lambda o: s.MultiStepLR(o, [15, 30]), 40),
        torch_run("MultiStep(lr=0.5, milestones=(1, 2, 11), gamma=0.3)", 0.5,
                  lambda o: s.MultiStepLR(o, [1, 2, 11], 0.3), 20),
        torch_run("Exponential(lr=0.1, gamma=0.93)", 0.1, lambda o: s.ExponentialLR(o, 0.93), 60),
        torch_run("Exponential(lr=1e-4, gamma=1.2)", 1e-4, lambda o: s.ExponentialLR(o, 1.2), 60),
        torch_run("Polynomial(lr=0.1, steps=20)", 0.1, lambda o: s.PolynomialLR(o, 20), 25),
        torch_run("Polynomial(lr=0.7, steps=33, power=2.5)", 0.7,
                  lambda o: s.PolynomialLR(o, 33, 2.5), 40),
        torch_run("Cosine(lr=0.1, steps=50)", 0.1, lambda o: s.CosineAnnealingLR(o, 50), 51),
        torch_run("Cosine(lr=0.2, steps=37, end=0.003)", 0.2,
                  lambda o: s.CosineAnnealingLR(o, 37, 0.003), 38),
        torch_run("CosineRestarts(lr=0.1, period=13)", 0.1,
                  lambda o: s.CosineAnnealingWarmRestarts(o, 13), 50),
        torch_run("CosineRestarts(lr=0.4, period=5, multiplier=2, end=0.01)", 0.4,
                  lambda o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.01), 80),
        torch_run("CosineRestarts(lr=1.0, period=1, multiplier=3)", 1.0,
                  lambda o: s.CosineAnnealingWarmRestarts(o, 1, 3), 130),
        torch_run("LinearWarmup(lr=0.3, steps=5, start=0.1)", 0.3, s.LinearLR, 8),
        torch_run("LinearWarmup(lr=0.1, steps=30, start=0.001)", 0.1,
                  lambda o: s.LinearLR(o, 0.01, total_iters=30), 35),
        *(one_cycle(*options) for options in (
            (60, 0.3, "cos"), (47, 0.3, "cos"), (50, 0.45, "linear"), (10, 0.11, "linear"))),
        torch_run("OneCycle(lr=3.0, steps=40, pct_start=0.25, div_factor=10.0, "
                  "final_div_factor=50.0)", 0.1, lambda o: s.OneCycleLR(
                      o, 3.0, 40, pct_start=0.25, div_factor=10.0, final_div_factor=50.0,
                      cycle_momentum=False), 40),
        torch_run("LinearWarmup(lr=0.1, steps=10, start=0.02)"
                  ".then(Cosine(lr=0.1, steps=30), at=10)", 0.1, lambda o: s.SequentialLR(o, [
                      s.LinearLR(o, 0.2, total_iters=10), s.CosineAnnealingLR(o, 30)], [10]), 41),
        torch_run("Constant(lr=0.05).then(Exponential(lr=0.1, gamma=0.8), at=7)", 0.1,
                  lambda o: s.SequentialLR(o, [
                      s.ConstantLR(o, 0.5, total_iters=99), s.ExponentialLR(o, 0.8)], [7]), 20),
        torch_run("Function(inverse_time)", 0.1,
                  lambda o: s.LambdaLR(o, lambda t: 1 / (1 + t / 10)), 30),
        torch_run("InverseSquareRoot(lr=(512 * 20) ** -0.5, warmup=20)", 1.0,
                  lambda o: s.LambdaLR(o, attention_is_all_you_need), 80),
    ]  # fmt: skip


def one_cycle(steps: int, pct_start: float, how: str) -> Run:
    """PyTorch's OneCycleLR to its last step, but for the one beyond the end that it also takes."""

    def make(optimizer: Any) -> Any:
        return lr_scheduler.OneCycleLR(
            optimizer, 0.1, steps,
            pct_start=pct_start, anneal_strategy=how, cycle_momentum=False,
        )  # fmt: skip

    ours = f"OneCycle(lr=0.1, steps={steps}, pct_start={pct_start}, anneal_strategy={how!r})"
    return torch_run(ours, 0.1, make, steps)


def attention_is_all_you_need(t: int, d_model: int = 512, warmup_steps: int = 20) -> float:
    """Equation 3 of the paper, as it is written there."""
    step_num = t + 1
    return d_model**-0.5 * min(step_num**-0.5, step_num * warmup_steps**-1.5)


def from_optax() -> list[Run]:
    """Every schedule of Optax's of which we have the like."""
    o = optax
    joined = o.join_schedules([o.linear_schedule(0.01, 0.5, 8), o.constant_schedule(0.5),
                               o.linear_schedule(0.5, 0.02, 12)], [8, 20])  # fmt: skip
    with_cosine = o.join_schedules([o.linear_schedule(0.0, 0.5, 8), o.constant_schedule(0.5),
                                    o.cosine_decay_schedule(0.5, 12, 0.1)], [8, 20])  # fmt: skip
    # Optax's cycle has its peak at ⌊p T⌋ and its end at T, ours at p' T' - 1 and T' - 1.
    cycle = o.cosine_onecycle_schedule(40, 0.3, 0.25, 20.0, 100.0)
    restarts = [{"init_value": 0.3, "peak_value": 0.3, "warmup_steps": 0, "end_value": 0.03,
                 "decay_steps": 6 * 2**i} for i in range(3)]  # fmt: skip
    return [
        optax_run("constant_schedule", "Constant(lr=0.3)", o.constant_schedule(0.3), 5),
        optax_run("exponential_decay", "Step(lr=0.1, step_size=9, gamma=0.4)",
                  o.exponential_decay(0.1, 9, 0.4, staircase=True), 40),
        optax_run("exponential_decay", "Exponential(lr=0.1, gamma=0.9)",
                  o.exponential_decay(0.1, 1, 0.9), 40),
        optax_run("piecewise_constant_schedule", "MultiStep(lr=0.1, milestones=(5, 9), gamma=0.3)",
                  o.piecewise_constant_schedule(0.1, {5: 0.3, 9: 0.3}), 15),
        optax_run("piecewise_constant_schedule",
                  "Piecewise(boundaries=(5, 9, 11), values=(0.1, 0.2, 0.05, 0.0))",
                  o.piecewise_constant_schedule(0.1, {5: 2.0, 9: 0.25, 11: 0.0}), 15),
        optax_run("polynomial_schedule", "Polynomial(lr=0.8, steps=25, power=2.0, end=0.1)",
                  o.polynomial_schedule(0.8, 0.1, 2.0, 25), 30),
        optax_run("polynomial_schedule", "Polynomial(lr=0.1, steps=25, power=0.5, end=0.8)",
                  o.polynomial_schedule(0.1, 0.8, 0.5, 25), 30),
        optax_run("cosine_decay_schedule", "Cosine(lr=0.3, steps=25, end=0.06)",
                  o.cosine_decay_schedule(0.3, 25, 0.2), 35),
        optax_run("sgdr_schedule", "CosineRestarts(lr=0.3, period=6, multiplier=2, end=0.03)",
                  o.sgdr_schedule(restarts), 42),
        optax_run("warmup_constant_schedule", "LinearWarmup(lr=0.3, steps=11, start=0.02)",
                  o.warmup_constant_schedule(0.02, 0.3, 11), 15),
        optax_run("piecewise_interpolate_schedule", "CosineWarmup(lr=0.3, steps=11, start=0.02)",
                  o.piecewise_interpolate_schedule("cosine", 0.02, {11: 15.0}), 15),
        optax_run("cosine_onecycle_schedule", f"OneCycle(lr=0.3, steps=41, pct_start={11 / 41!r}, "
                  "div_factor=20.0, final_div_factor=100.0)", cycle, 45),
        optax_run("join_schedules", "WarmupStableDecay(lr=0.5, warmup=8, stable=12, decay=12, "
                  "start=0.01, end=0.02)", joined, 36),
        optax_run("join_schedules", "WarmupStableDecay(lr=0.5, warmup=8, stable=12, decay=12, "
                  "end=0.05, decay_shape='cosine')", with_cosine, 36),
        optax_run("join_schedules", "Cosine(lr=0.3, steps=9).then(Constant(lr=0.2), at=4)"
                  ".then(Exponential(lr=0.1, gamma=0.5), at=6)", o.join_schedules([
                      o.cosine_decay_schedule(0.3, 9), o.constant_schedule(0.2),
                      o.exponential_decay(0.1, 1, 0.5)], [4, 6]), 15),
        optax_run("warmup_cosine_decay_schedule", "LinearWarmup(lr=0.3, steps=10, start=0.03)"
                  ".then(Cosine(lr=0.3, steps=30, end=0.003), at=10)",
                  o.warmup_cosine_decay_schedule(0.03, 0.3, 10, 40, 0.003), 50),
        optax_run("warmup_exponential_decay_schedule", "LinearWarmup(lr=0.3, steps=10)"
                  ".then(Exponential(lr=0.3, gamma=0.9), at=10)",
                  o.warmup_exponential_decay_schedule(0.0, 0.3, 10, 1, 0.9), 40),
    ]  # fmt: skip


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    runs = from_torch() + from_optax()
    assert all(math.isfinite(value) for run in runs for value in run["values"])
    made_with = f"torch {torch.__version__}, optax {optax.__version__}, float64"
    lines = ",\n".join(json.dumps(run) for run in runs)
    content = f'{{\n"made_with": "{made_with}",\n"runs": [\n{lines}\n]\n}}\n'
    (HERE / "schedules.json").write_text(content, encoding="utf-8")
    print(f"wrote schedules.json, {len(runs)} runs")
