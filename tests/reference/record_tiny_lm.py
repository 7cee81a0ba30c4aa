"""Record how PyTorch trains TinyLM from our weights on our batches, for the tests to compare with.

Needs PyTorch 2.13 (``pip install torch==2.13.0``), which the tests themselves do not:

    python tests/reference/record_tiny_lm.py

writes ``tiny_lm.json``, the losses of the first steps, on the real text and on the stand-in, and

    python tests/reference/record_tiny_lm.py --protocol

writes ``tiny_lm_protocol.json``: eight trainings of 2,000 steps on the real text, half an hour on
one core.  The file is written after each of them; those that it has are not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from datasets.minibatches import MinibatchStream
from datasets.time_machine import TIME_MACHINE, TRAINING_WINDOWS, time_machine, windows
from experiments.speed.torch_models import in_torch, mean_cross_entropy
from experiments.trainings.tiny_lm import TinyLM

HERE = Path(__file__).parent
SEED = 1
SGD, ADAM = "SGD, momentum 0.9", "Adam"

FIRST = [
    # optimizer, lr, dtype, batch size, steps
    (SGD, 0.1, "float32", 64, 50),
    (ADAM, 1e-3, "float32", 64, 50),
    (SGD, 0.1, "float64", 16, 10),
    (ADAM, 1e-3, "float64", 16, 10),
]
BATCH, STEPS, LAST, BLOCK = 64, 2000, 100, 20
PROTOCOL = {SGD: (0.03, 0.1, 0.3, 1.0), ADAM: (3e-4, 1e-3, 3e-3, 1e-2)}


def losses(
    data: str | None, optimizer: str, lr: float, dtype: str = "float32", batch: int = BATCH
) -> Iterator[float]:
    """Yield each batch's loss before the step on it, without end."""
    rng = np.random.default_rng(SEED)
    model = in_torch(TinyLM(rng=rng, dtype=np.dtype(dtype)))
    X, y = windows(time_machine(data).characters)
    batches = MinibatchStream(X[:TRAINING_WINDOWS], y[:TRAINING_WINDOWS], batch, rng)
    if optimizer == SGD:
        method = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    else:
        method = torch.optim.Adam(model.parameters(), lr=lr)
    for tokens, targets in batches:
        method.zero_grad()
        loss = mean_cross_entropy(model(torch.from_numpy(tokens)), torch.from_numpy(targets))
        loss.backward()
        yield loss.item()
        method.step()


def record_first_steps() -> None:
    """The first losses on both texts."""
    runs = []
    for data, name in ((None, TIME_MACHINE.sha256), ("stand-in", "stand-in")):
        for optimizer, lr, dtype, batch, steps in FIRST:
            found = list(islice(losses(data, optimizer, lr, dtype, batch), steps))
            runs.append({
                "data": name, "optimizer": optimizer, "lr": lr, "dtype": dtype, "batch": batch,
                "losses": found,
            })  # fmt: skip
            print(f"{name[:8]} {optimizer} {lr} {dtype}: {found[0]:.4f} to {found[-1]:.4f}")
    write("tiny_lm.json", {**conditions(), "runs": runs})


def record_protocol() -> None:
    """The eight trainings: final losses, and the mean of every 20 steps as a curve."""
    place = HERE / "tiny_lm_protocol.json"
    head = {**conditions(), "batch": BATCH, "data": TIME_MACHINE.sha256, "steps": STEPS}
    content: dict[str, Any] = {**head, "runs": []}
    if place.exists():
        content = json.loads(place.read_text(encoding="utf-8"))
        if {**content, "runs": []} != {**head, "runs": []}:
            raise SystemExit(f"{place} was recorded under other conditions; delete it first")
    done = {(run["optimizer"], run["lr"]) for run in content["runs"]}
    for optimizer, rates in PROTOCOL.items():
        for lr in rates:
            if (optimizer, lr) in done:
                continue
            content["runs"].append({"optimizer": optimizer, "lr": lr, **trained(optimizer, lr)})
            write(place.name, content)


def trained(optimizer: str, lr: float) -> dict[str, Any]:
    """One training; the final loss is None if it diverged."""
    found: list[float] = []
    started = time.perf_counter()
    for loss in islice(losses(None, optimizer, lr), STEPS):
        if not math.isfinite(loss):
            break
        found.append(loss)
        if len(found) % 100 == 0:
            seconds = time.perf_counter() - started
            mean = np.mean(found[-LAST:])
            print(f"{optimizer} {lr}: {len(found)} {mean:.4f} ({seconds:.0f} s)", flush=True)
    blocks = [found[i : i + BLOCK] for i in range(0, len(found), BLOCK)]
    return {
        "steps": len(found),
        "final": float(np.mean(found[-LAST:])) if len(found) == STEPS else None,
        "curve": [float(f"{np.mean(block):.6g}") for block in blocks],
    }


def conditions() -> dict[str, Any]:
    """What the numbers depend on."""
    made_with = f"torch {torch.__version__}, {torch.get_num_threads()} thread"
    return {"made_with": made_with, "seed": SEED}


def write(name: str, content: dict[str, Any]) -> None:
    """Write one JSON file, whole or not at all, with a run on each line."""
    head = [f"{json.dumps(key)}: {json.dumps(x)}" for key, x in content.items() if key != "runs"]
    runs = ",\n".join(json.dumps(run, allow_nan=False) for run in content["runs"])
    text = "{\n" + ",\n".join([*head, f'"runs": [\n{runs}\n]']) + "\n}\n"
    temporary = HERE / f"{name}.part"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(HERE / name)
    print(f"wrote {name}, {len(content['runs'])} runs", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--protocol", action="store_true", help="train the eight configurations")
    options = parser.parse_args()
    if TIME_MACHINE.find() is None:
        parser.error("needs the real text; 'python -m datasets fetch time_machine' gets it")
    torch.set_num_threads(1)
    if options.protocol:
        record_protocol()
    else:
        record_first_steps()
