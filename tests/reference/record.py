"""Record the losses of the textbook's training, for the tests to compare with.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record.py

writes ``textbook.json`` (the textbook's protocol on the stand-in data, trained with PyTorch in
float64) beside this file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from datasets import airfoil_stand_in, minibatches
from experiments.protocol import BATCH_SIZE, LEARNING_RATE, start

HERE = Path(__file__).parent


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
    record_textbook()
