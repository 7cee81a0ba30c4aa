"""Record the reference numbers that the tests compare with.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record.py

writes ``adam.json`` (PyTorch's Adam in float64), ``yogi.json`` (the textbook's Yogi equations,
transcribed literally in plain Python floats) and ``textbook.json`` (the textbook's protocol on the
stand-in data, trained with PyTorch in float64) beside this file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from datasets import airfoil_stand_in, minibatches
from experiments.protocol import BATCH_SIZE, LEARNING_RATE, start

HERE = Path(__file__).parent
STEPS = 60


def gradients() -> list[list[float]]:
    """Gradients with sign changes, exact zeros, tiny and huge entries: one row a step."""
    rng = np.random.default_rng(20180)
    g = rng.standard_normal((STEPS, 8))
    g[:, 1] = 0.0  # always zero
    g[::3, 2] = 0.0  # now and then
    g[:, 3] *= 1e-12
    g[:, 4] *= 1e6
    g[:, 5] = np.where(np.arange(STEPS) % 2, -1.0, 1.0)  # alternating
    g[:, 6] = np.where(np.arange(STEPS) < 20, 1.0, 0.01)  # a drop, where Yogi and Adam part
    return g.tolist()


def record_adam() -> None:
    """PyTorch's Adam, several hyperparameters."""
    import torch

    settings: list[dict[str, Any]] = [
        {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
        {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-6},
        {"lr": 0.1, "betas": [0.0, 0.5], "eps": 1e-3},
    ]
    runs = []
    for setting in settings:
        x = torch.linspace(-2.0, 2.0, 8, dtype=torch.float64).requires_grad_()
        options = {**setting, "betas": tuple(setting["betas"])}
        optimizer = torch.optim.Adam([x], **options)
        path = []
        for g in gradients():
            x.grad = torch.tensor(g, dtype=torch.float64)
            optimizer.step()
            path.append(x.tolist())
        runs.append({"setting": setting, "path": path})
    start_at = torch.linspace(-2.0, 2.0, 8, dtype=torch.float64).tolist()
    made_with = f"torch {torch.__version__}, torch.optim.Adam"
    write("adam.json", {"made_with": made_with, "start": start_at, "gradients": gradients(),
                        "runs": runs})  # fmt: skip


def record_yogi() -> None:
    """The section's Yogi, one coordinate at a time, in plain Python floats."""
    start_at = np.linspace(-2.0, 2.0, 8).tolist()
    runs = []
    for s_0 in (0.0, 1e-6, 1.0):
        setting = {"lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-3, "initial_accumulator": s_0}
        lr, (beta1, beta2), eps = 0.01, (0.9, 0.999), 1e-3
        x, v, s = list(start_at), [0.0] * 8, [s_0] * 8
        path = []
        for t, g in enumerate(gradients(), start=1):
            for i in range(8):
                v[i] = beta1 * v[i] + (1 - beta1) * g[i]
                difference = g[i] ** 2 - s[i]
                sign = (difference > 0) - (difference < 0)
                s[i] = s[i] + (1 - beta2) * sign * g[i] ** 2
                v_bias_corr = v[i] / (1 - beta1**t)
                s_bias_corr = s[i] / (1 - beta2**t)
                x[i] -= lr * v_bias_corr / (math.sqrt(s_bias_corr) + eps)
            path.append(list(x))
        runs.append({"setting": setting, "path": path})
    write("yogi.json", {"made_with": "the section's equations in Python floats",
                        "start": start_at, "gradients": gradients(), "runs": runs})  # fmt: skip


def record_textbook() -> None:
    """The textbook's concise and from-scratch losses on the stand-in, trained with PyTorch."""
    import torch

    data = airfoil_stand_in()
    X_all, y_all = torch.from_numpy(data.X), torch.from_numpy(data.y)
    runs = []
    for method, epochs, half, eps in (
        ("Adam, from scratch", 2, 0.5, 1e-6),
        ("Adam, concise", 4, 1.0, 1e-8),
    ):
        for seed in (0, 1):
            w0, b0, batches = start(data, seed)
            w = torch.from_numpy(w0.data.copy()).requires_grad_()
            b = torch.from_numpy(b0.data.copy()).requires_grad_()
            optimizer = torch.optim.Adam([w, b], lr=LEARNING_RATE, eps=eps)
            losses = []
            n = 0
            for _ in range(epochs):
                for X, y in minibatches(data.X, data.y, BATCH_SIZE, batches):
                    optimizer.zero_grad()
                    error = torch.from_numpy(X) @ w + b - torch.from_numpy(y)
                    (half * (error**2).mean()).backward()
                    optimizer.step()
                    n += len(X)
                    if n % 200 == 0:
                        with torch.no_grad():
                            losses.append(float(((X_all @ w + b - y_all) ** 2).mean() / 2))
            runs.append({"method": method, "seed": seed, "losses": losses})
    made_with = f"torch {torch.__version__}, torch.optim.Adam, float64"
    write("textbook.json", {"made_with": made_with, "data": data.source, "runs": runs})


def write(name: str, content: dict[str, Any]) -> None:
    """Write one JSON file; Python's float repr is exact."""
    (HERE / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {name}")


if __name__ == "__main__":
    record_adam()
    record_yogi()
    record_textbook()
