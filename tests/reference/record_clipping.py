"""Record what PyTorch's clipping and weight averaging do, for the tests to compare with.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record_clipping.py

writes ``clipping.json`` (`clip_grad_norm_` and `clip_grad_value_`) and ``averaging.json``
(`AveragedModel` with `get_ema_multi_avg_fn`) beside this file, all in float64.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

HERE = Path(__file__).parent
SHAPES: list[tuple[int, ...]] = [(3, 4), (), (7,)]


def gradients() -> list[np.ndarray]:
    """One gradient for each shape, with zeros, signs, and sizes from 1e-3 to 1e3."""
    rng = np.random.default_rng(1211)
    found = []
    for shape in SHAPES:
        g = np.asarray(rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 4, shape))
        g[rng.random(shape) < 0.2] = 0.0
        found.append(g)
    return found


def parameters() -> list[torch.Tensor]:
    """Return parameters that hold the gradients."""
    params = []
    for g in gradients():
        p = torch.zeros(g.shape, dtype=torch.float64).requires_grad_()
        p.grad = torch.from_numpy(g.copy())
        params.append(p)
    return params


def record_clipping() -> None:
    """Several limits, from far below the gradients' norm to above it."""
    runs: list[dict[str, Any]] = []
    for limit in (0.125, 1.0, 30.0, 1e6):
        by_norm, by_value = parameters(), parameters()
        norm = clip_grad_norm_(by_norm, limit).item()
        clip_grad_value_(by_value, limit)
        runs.append({
            "limit": limit, "norm": norm,
            "by_norm": [p.grad.tolist() for p in by_norm],
            "by_value": [p.grad.tolist() for p in by_value],
        })  # fmt: skip
    arrays = [g.tolist() for g in gradients()]
    made_with = f"torch {torch.__version__}, torch.nn.utils"
    write("clipping.json", {"made_with": made_with, "gradients": arrays, "runs": runs})


def record_averaging() -> None:
    """Three decays; the first update, before the first step, takes the weights as they are."""
    rng = np.random.default_rng(1992)
    weights = rng.standard_normal((61, 6)) * 10.0 ** np.arange(-3, 3)
    runs: list[dict[str, Any]] = []
    for decay in (0.5, 0.9, 0.999):
        model = torch.nn.Linear(6, 1, bias=False, dtype=torch.float64)
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
        path = []
        for x in weights:
            with torch.no_grad():
                model.weight.copy_(torch.from_numpy(x))
            average.update_parameters(model)
            path.append(average.module.weight.flatten().tolist())
        runs.append({"decay": decay, "path": path})
    made_with = f"torch {torch.__version__}, torch.optim.swa_utils"
    write("averaging.json", {"made_with": made_with, "weights": weights.tolist(), "runs": runs})


def write(name: str, content: dict[str, Any]) -> None:
    """Write one JSON file; Python's float repr is exact."""
    (HERE / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {name}")


if __name__ == "__main__":
    record_clipping()
    record_averaging()
