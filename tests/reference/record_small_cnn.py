"""Record how PyTorch trains SmallCNN from our weights, for the tests to compare with.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record_small_cnn.py

writes ``small_cnn.json``: losses of 20 steps on the same 64 images of noise, with random labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from experiments.speed.torch_models import in_torch, mean_cross_entropy
from experiments.trainings.small_cnn import SmallCNN

HERE = Path(__file__).parent
SEED, IMAGES, SIZE, STEPS = 1, 64, 16, 20
SGD, ADAM = "SGD, momentum 0.9", "Adam"


def losses(optimizer: str, lr: float, dtype: str) -> list[float]:
    """Each step's loss, before it."""
    rng = np.random.default_rng(SEED)
    model = in_torch(SmallCNN(SIZE, rng=rng, dtype=np.dtype(dtype)))
    images = torch.from_numpy(rng.normal(size=(IMAGES, 1, SIZE, SIZE)).astype(dtype))
    labels = torch.from_numpy(rng.integers(0, 10, IMAGES))
    if optimizer == SGD:
        method = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    else:
        method = torch.optim.Adam(model.parameters(), lr=lr)
    found = []
    for _ in range(STEPS):
        method.zero_grad()
        loss = mean_cross_entropy(model(images), labels)
        loss.backward()
        found.append(loss.item())
        method.step()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    runs = [
        {"optimizer": name, "lr": lr, "dtype": dtype, "losses": losses(name, lr, dtype)}
        for name, lr in ((SGD, 0.1), (ADAM, 1e-3))
        for dtype in ("float32", "float64")
    ]
    head = {"made_with": f"torch {torch.__version__}", "seed": SEED, "images": IMAGES, "size": SIZE}
    lines = [f"{json.dumps(key)}: {json.dumps(x)}" for key, x in head.items()]
    lines.append('"runs": [\n' + ",\n".join(json.dumps(run) for run in runs) + "\n]")
    (HERE / "small_cnn.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"wrote small_cnn.json, {len(runs)} runs")
