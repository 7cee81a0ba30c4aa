"""``python -m experiments speed``: the speed table, printed as ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import numpy as np
from tqdm import tqdm

from datasets import Regression
from experiments.speed import epoch, models, optimizer_step, whole_epochs
from experiments.speed.optimizer_family import family_tables
from experiments.speed.timing import (
    PAUSE_AFTER_BLAS,
    TURN_WITH_BLAS,
    Timings,
    interleaved,
    ratio,
)
from minigrad import keep_freed_memory

__all__ = ["speed_table"]

EPOCH_ROUNDS = 31
MODEL_ROUNDS = 9
DTYPES = ("float64", "float32")
STEP_ROUNDS = {10: 51, 10**3: 51, 10**5: 31, 10**7: 15}


def speed_table(data: Regression, seed: int) -> None:
    """Measure and print: the textbook's epoch, steps of models, optimizer steps.

    Parameters
    ----------
    data : Regression
        For the epoch.
    seed : int
        Of weights, batches and arrays.
    """
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. All in "
        "one process, in turns, medians.\nPyTorch and JAX with Optax take part where they are "
        "installed. A ratio says how many times\nas long as minigrad another takes: above 1, "
        "minigrad is faster.\n"
    )
    print(
        "A training epoch of the section: 150 batches of 10, Adam; float64 in minigrad and NumPy,\n"
        "float32 in PyTorch and JAX, their defaults\n"
    )
    runs = epoch.candidates(data, seed)
    _print_rows(_timed("epoch", runs, EPOCH_ROUNDS))
    print(
        "\nA training epoch in one call, and loops that call a step for each of its 150 batches; "
        "NumPy\nshuffles, in the time.  Here a column has one dtype, for data, parameters and state"
    )
    for name, task in whole_epochs.TASKS.items():
        print()
        _print_columns(name, _timed_in_both_dtypes(name, task, data, seed))
    if keep_freed_memory():
        print("\nFrom here on, freed memory is kept for the next array (keep_freed_memory).")
    for model in models.MODELS:
        steps = models.candidates(model, np.random.default_rng(seed))
        print(f"\n{model}\n")
        turn = {"seconds_per_turn": TURN_WITH_BLAS, "pause": PAUSE_AFTER_BLAS}
        _print_rows(_timed(model, steps, MODEL_ROUNDS, **turn))
    for dtype in optimizer_step.DTYPES:
        for size in optimizer_step.SIZES:
            steps = optimizer_step.candidates(size, dtype, seed)
            print(f"\nOne step of Adam, {size:,} elements, {dtype}\n")
            _print_rows(_timed(f"Adam, {size:,}, {dtype}", steps, STEP_ROUNDS[size]))
    family_tables(seed)


def _timed(
    what: str,
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    **turn: Any,
) -> Timings:
    turns = rounds * len(candidates)
    with tqdm(total=turns, desc=what, unit="turn", leave=False, disable=None) as bar:
        return interleaved(candidates, rounds=rounds, tick=bar.update, **turn)


def _timed_in_both_dtypes(
    name: str, task: whole_epochs.Task, data: Regression, seed: int
) -> dict[str, Timings]:
    """Return the timings for each dtype; the candidates of both take turns."""
    found = {
        f"{dtype} {who}": candidate
        for dtype in DTYPES
        for who, candidate in whole_epochs.candidates(task, data, seed, dtype).items()
    }
    turns = EPOCH_ROUNDS * len(found)
    with tqdm(total=turns, desc=name, unit="turn", leave=False, disable=None) as bar:
        timings = whole_epochs.timed(found, EPOCH_ROUNDS, bar.update)
    return {
        dtype: {
            who.removeprefix(f"{dtype} "): seconds
            for who, seconds in timings.items()
            if who.startswith(dtype)
        }
        for dtype in DTYPES
    }


def _print_columns(name: str, timings: dict[str, Timings]) -> None:
    print(f"{name:42}" + "".join(f"{dtype:>19}" for dtype in timings))
    for who in next(iter(timings.values())):
        columns = "".join(
            f"{_readable(median(own[who])):>10}{ratio(own, who, next(iter(own))):9.2f}"
            for own in timings.values()
        )
        print(f"  {who:40}{columns}")


def _print_rows(timings: Timings) -> None:
    base = next(iter(timings))
    for name, seconds in timings.items():
        print(f"  {name:40}{_readable(median(seconds)):>10}{ratio(timings, name, base):9.2f}")


def _readable(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} us"
