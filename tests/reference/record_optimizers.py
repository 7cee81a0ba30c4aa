"""Record float64 trajectories of every optimizer, as other libraries compute them.

Needs PyTorch 2.13 and Optax 0.2.8, which the tests themselves do not:

    pip install torch==2.13.0 optax==0.2.8
    python tests/reference/record_optimizers.py

writes ``optimizers.json`` beside this file: 200 steps under given gradients, of which the first ten
and then every tenth are kept, with the start.  The gradients do not depend on x, so rounding errors
are not amplified.  Names of classes and options are minigrad's; `by_torch` and `optax_rule` turn
them into the libraries'.

Three things are not the libraries' own.  PyTorch's Muon iterates in bfloat16, here in float64, by
the same code.  Optax has no `weight_decay` for AdaBelief and Yogi: λx is added to the gradient
before the rule, as PyTorch's Adam does.  And neither library has the textbook's momentum, or a Yogi
whose second moment alone starts above 0: these follow the equations in plain Python floats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
import torch

Array = npt.NDArray[np.float64]
Options = dict[str, Any]

HERE = Path(__file__).parent
STEPS = 200
KEPT = [*range(11), *range(20, STEPS + 1, 10)]

OPTAX = {"Lion", "Yogi", "AdaBelief"}
TORCH_NAMES = {"AdaGrad": "Adagrad", "RMSProp": "RMSprop", "AMSGrad": "Adam"}

# {} stands for the defaults, which are then compared as well.
VECTORS: dict[str, list[Options]] = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.01, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.9, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.5, "nesterov": True, "weight_decay": 0.01, "maximize": True},
    ],
    "Momentum": [
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.01, "momentum": 0.99, "maximize": True},
        {"lr": 0.05, "momentum": 0.5, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "maximize": True},
    ],
    "AdaGrad": [
        {},
        {"lr": 0.1, "lr_decay": 0.05, "eps": 1e-3},
        {"lr": 0.1, "initial_accumulator": 0.1, "weight_decay": 0.1},
        {"lr_decay": 0.01, "weight_decay": 0.01, "maximize": True},
    ],
    "RMSProp": [
        {},
        {"lr": 0.1, "alpha": 0.5, "eps": 1e-3, "weight_decay": 0.1},
        {"centered": True},
        {"alpha": 0.95, "eps": 1e-3, "centered": True, "maximize": True},
        {"momentum": 0.9},
        {"alpha": 0.9, "momentum": 0.5, "weight_decay": 0.01, "maximize": True},
        {"lr": 0.1, "eps": 1e-6, "momentum": 0.9, "centered": True},
        {"momentum": 0.9, "centered": True, "weight_decay": 0.1},
    ],
    "Adadelta": [
        {},
        {"lr": 0.1, "rho": 0.95, "eps": 1e-3},
        {"weight_decay": 0.1},
        {"lr": 0.5, "rho": 0.5, "weight_decay": 0.01, "maximize": True},
    ],
    "Adam": [
        {},
        {"lr": 0.01, "eps": 1e-6},
        {"lr": 0.1, "betas": [0.0, 0.5], "eps": 1e-3},
        {"lr": 0.01, "betas": [0.95, 0.9], "eps": 1e-12},
        {"weight_decay": 0.1},
        {"lr": 0.01, "betas": [0.5, 0.99], "weight_decay": 0.01, "maximize": True},
        {"lr": 0.01, "amsgrad": True},
        {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True},
    ],
    "AMSGrad": [
        {},
        {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-6},
        {"lr": 0.01, "betas": [0.9, 0.5], "weight_decay": 0.1, "maximize": True},
    ],
    "AdamW": [
        {},
        {"lr": 0.01, "betas": [0.5, 0.99], "eps": 1e-6, "weight_decay": 0.1},
        {"lr": 0.1, "betas": [0.0, 0.5], "eps": 1e-3, "weight_decay": 0.5, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.0},
        {"lr": 0.01, "betas": [0.9, 0.5], "weight_decay": 0.1, "amsgrad": True},
    ],
    "Adamax": [
        {},
        {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3},
        {"weight_decay": 0.1},
        {"lr": 0.01, "betas": [0.0, 0.5], "weight_decay": 0.01, "maximize": True},
    ],
    "NAdam": [
        {},
        {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3, "momentum_decay": 1.0},
        {"lr": 0.01, "betas": [0.95, 0.99], "momentum_decay": 0.1, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.1, "momentum_decay": 0.0, "weight_decay": 0.01, "decoupled_weight_decay": True,
         "maximize": True},
    ],
    "RAdam": [
        {},
        {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-3},
        {"lr": 0.01, "betas": [0.5, 0.7]},  # rectified at last
        {"lr": 0.01, "betas": [0.9, 0.6]},  # ρ∞ = 4: never
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.1, "betas": [0.0, 0.9], "weight_decay": 0.01, "decoupled_weight_decay": True,
         "maximize": True},
    ],
    "Lion": [
        {},
        {"lr": 0.01, "betas": [0.95, 0.98]},
        {"lr": 0.01, "betas": [0.0, 0.5], "maximize": True},
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.1, "betas": [0.5, 0.9], "weight_decay": 0.5, "maximize": True},
    ],
    "Yogi": [
        {},
        {"lr": 0.1, "betas": [0.0, 0.5], "eps": 1e-6},
        {"betas": [0.95, 0.9], "maximize": True},
        {"weight_decay": 0.1},
        {"lr": 0.1, "betas": [0.5, 0.99], "eps": 1e-8, "weight_decay": 0.01, "maximize": True},
        {"initial_accumulator": 1e-6},
        {"lr": 0.1, "betas": [0.5, 0.99], "eps": 1e-8, "initial_accumulator": 1.0},
        {"initial_accumulator": 1e-6, "weight_decay": 0.1, "maximize": True},
    ],
    "AdaBelief": [
        {},
        {"lr": 0.1, "betas": [0.5, 0.9], "eps": 1e-3},
        {"lr": 0.01, "eps": 1e-8, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.1},
        {"lr": 0.1, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.01, "maximize": True},
    ],
}  # fmt: skip

MATRICES: dict[str, list[Options]] = {
    "3x5": [
        {},
        {"lr": 0.1, "momentum": 0.5, "nesterov": False},
        {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
        {"lr": 0.01, "weight_decay": 0.5, "maximize": True},
    ],
    "5x3": [
        {},
        {"lr": 0.1, "adjust_lr_fn": "original", "nesterov": False, "weight_decay": 0.0},
        {"lr": 0.01, "adjust_lr_fn": "match_rms_adamw", "maximize": True},
    ],
    "4x4": [
        {},
        {"lr": 0.1, "momentum": 0.0, "ns_steps": 3},
        {"ns_coefficients": [2.0, -1.5, 0.5], "ns_steps": 8, "weight_decay": 0.0},
    ],
    "2x3": [  # gradients of 1e-12, below ε = 1e-7
        {},
        {"lr": 0.1, "eps": 1e-14, "weight_decay": 0.0},
    ],
}


def rounded(x: Array) -> Array:
    """Four significant digits, so that the file stays small."""
    return np.vectorize(lambda value: float(f"{value:.4g}"))(x)


def vector_gradients() -> tuple[list[str], Array]:
    """What each coordinate's gradients are like, and one row a step."""
    rng = np.random.default_rng(20180)
    t = np.arange(STEPS)
    z = rng.standard_normal((STEPS, 12))
    columns = {
        "both signs": z[:, 0],
        "always zero": 0 * t,
        "zero in one step of three": np.where(t % 3 == 0, 0, z[:, 2]),
        "about 1e-12": 1e-12 * z[:, 3],
        "about 1e12": 1e12 * z[:, 4],
        "alternating": np.where(t % 2, -1, 1),
        "a drop from 1 to .01": np.where(t < 50, 1, 0.01) * (1 + 0.2 * z[:, 6]),
        "heavy tails": rng.standard_t(1.5, STEPS),
        "zero for 15 steps": np.where(t < 15, 0, z[:, 8]),
        "from 1e-12 to 1e12": np.sign(z[:, 9]) * 10 ** rng.uniform(-12, 12, STEPS),
        "one sign": 0.5 + abs(z[:, 10]),
        "zero but for one": np.where(t == 29, 1e6, 0),
    }
    return list(columns), rounded(np.stack(list(columns.values()), axis=1))


def matrix_gradients(shape: str) -> Array:
    """One matrix a step; each shape has its own scale, and now and then a zero entry or matrix."""
    rows, columns = map(int, shape.split("x"))
    rng = np.random.default_rng([rows, columns])
    scale = {"3x5": 1.0, "5x3": 1e-3, "4x4": 1e12, "2x3": 1e-12}[shape]
    g = scale * rng.standard_normal((STEPS, rows, columns))
    g[::3, 0, 0] = 0
    g[10:13] = 0
    return rounded(g)


def vector_start() -> Array:
    """Both signs, and a 0, which stays until the one gradient of "zero but for one"."""
    return np.array([1.5, -0.75, 0.3, 0.6, -2.0, 0.9, -1.0, 2.0, 0.1, -0.5, -1.25, 0.0])


def by_torch(name: str, options: Options, gradients: Array, start: Array) -> Iterator[Array]:
    """Follow PyTorch's loop over single tensors."""
    options = {**options, "amsgrad": True} if name == "AMSGrad" else dict(options)
    if "initial_accumulator" in options:
        options["initial_accumulator_value"] = options.pop("initial_accumulator")
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    if name == "Muon":  # has no `maximize`, and no `foreach`
        gradients = -gradients if options.pop("maximize", False) else gradients
    else:
        options["foreach"] = False
    x = torch.tensor(start, requires_grad=True)
    optimizer = getattr(torch.optim, TORCH_NAMES.get(name, name))([x], **options)
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
        yield x.detach().numpy().copy()


def optax_rule(name: str, options: Options) -> optax.GradientTransformation:
    """Return Optax's rule under minigrad's names and defaults."""
    if name == "Lion":
        o = {"lr": 1e-4, "betas": [0.9, 0.99], "weight_decay": 0.0, **options}
        return optax.lion(o["lr"], *o["betas"], weight_decay=o["weight_decay"])
    if name == "Yogi":
        o = {"lr": 1e-2, "betas": [0.9, 0.999], "eps": 1e-3, "weight_decay": 0.0, **options}
        rule = optax.scale_by_yogi(*o["betas"], o["eps"], initial_accumulator_value=0.0)
    else:
        o = {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-16, "weight_decay": 0.0, **options}
        rule = optax.scale_by_belief(*o["betas"], eps=o["eps"], eps_root=o["eps"])
    return optax.chain(
        optax.add_decayed_weights(o["weight_decay"]), rule, optax.scale_by_learning_rate(o["lr"])
    )


def by_optax(name: str, options: Options, gradients: Array, start: Array) -> Iterator[Array]:
    """Follow Optax; it has no `maximize`, so the gradients are negated."""
    rule = optax_rule(name, options)
    sign = -1 if options.get("maximize") else 1
    x = jnp.array(start)
    state = rule.init(x)
    for g in sign * gradients:
        updates, state = rule.update(jnp.array(g), state, x)
        x = optax.apply_updates(x, updates)
        yield np.array(x)


def momentum(options: Options, gradients: Array, start: Array) -> Iterator[Array]:
    """The textbook's momentum, a running mean, one coordinate at a time."""
    lr, beta = options["lr"], options["momentum"]
    decay, sign = options.get("weight_decay", 0.0), -1 if options.get("maximize") else 1
    x, v = start.tolist(), [0.0] * len(start)
    for row in gradients.tolist():
        for i, g in enumerate(row):
            g = sign * g + decay * x[i]
            v[i] = beta * v[i] + (1 - beta) * g
            x[i] -= lr * v[i]
        yield np.array(x)


def yogi(options: Options, gradients: Array, start: Array) -> Iterator[Array]:
    """The textbook's Yogi from any s_0, one coordinate at a time."""
    lr, eps = options.get("lr", 0.01), options.get("eps", 1e-3)
    beta1, beta2 = options.get("betas", (0.9, 0.999))
    decay, sign = options.get("weight_decay", 0.0), -1 if options.get("maximize") else 1
    x, v = start.tolist(), [0.0] * len(start)
    s = [options["initial_accumulator"]] * len(start)
    for t, row in enumerate(gradients.tolist(), start=1):
        for i, g in enumerate(row):
            g = sign * g + decay * x[i]
            v[i] = beta1 * v[i] + (1 - beta1) * g
            difference = g**2 - s[i]
            s[i] = s[i] + (1 - beta2) * ((difference > 0) - (difference < 0)) * g**2
            v_bias_corr = v[i] / (1 - beta1**t)
            s_bias_corr = s[i] / (1 - beta2**t)
            x[i] -= lr * v_bias_corr / (math.sqrt(s_bias_corr) + eps)
        yield np.array(x)


def record(
    name: str, options: Options, problem: str, gradients: Array, start: Array
) -> dict[str, Any]:
    """One run.  Without weight decay it starts at 0, where x is no larger than it has moved."""
    decays = options.get("weight_decay", {"AdamW": 0.01, "Muon": 0.1}.get(name, 0.0)) != 0
    start = start if decays else np.zeros_like(start)
    follow: Callable[..., Iterator[Array]]
    arguments: tuple[Any, ...] = options, gradients, start
    if name == "Momentum":
        source, follow = "equations", momentum
    elif options.get("initial_accumulator") and name == "Yogi":
        source, follow = "equations", yogi
    elif name in OPTAX:
        source, follow, arguments = "optax", by_optax, (name, *arguments)
    else:
        source, follow, arguments = "torch", by_torch, (name, *arguments)
    path = np.array([start, *follow(*arguments)])
    assert path.dtype == np.float64
    assert np.all(np.isfinite(path))
    return {
        "optimizer": name,
        "options": options,
        "source": source,
        "gradients": problem,
        "path": path[KEPT].tolist(),
    }


def lines(rows: list[Any]) -> str:
    """JSON of a list, with one line for each element."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def main() -> None:
    """Record every run and write the file; Python's float repr is exact."""
    torch.set_default_dtype(torch.float64)  # the dtype of NAdam's product of momenta, too
    torch.Tensor.bfloat16 = lambda self: self.clone()
    jax.config.update("jax_enable_x64", True)
    coordinates, vectors = vector_gradients()
    gradients = {"vector": vectors, **{shape: matrix_gradients(shape) for shape in MATRICES}}
    runs = [
        record(name, options, "vector", vectors, vector_start())
        for name, settings in VECTORS.items()
        for options in settings
    ]
    for shape, settings in MATRICES.items():
        start = np.linspace(-1.0, 1.0, gradients[shape][0].size).reshape(gradients[shape][0].shape)
        runs += [record("Muon", options, shape, gradients[shape], start) for options in settings]
    made_with = f"torch {torch.__version__}, optax {optax.__version__}, jax {jax.__version__}"
    given = ",\n".join(f'"{name}": {lines(rows.tolist())}' for name, rows in gradients.items())
    (HERE / "optimizers.json").write_text(
        f'{{"made_with": {json.dumps(made_with)},\n"coordinates": {json.dumps(coordinates)},\n'
        f'"steps": {KEPT},\n"gradients": {{{given}}},\n"runs": {lines(runs)}}}\n',
        encoding="utf-8",
    )
    print(f"wrote optimizers.json: {len(runs)} runs")


if __name__ == "__main__":
    main()
