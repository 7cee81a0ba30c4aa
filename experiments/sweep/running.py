"""A list of independent trainings, run through any executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from tqdm import tqdm

__all__ = ["Result", "Run", "RunsFailed", "sweep"]

Run = Mapping[str, Any]
"""One training's keyword arguments: JSON values, so that they can name it in a file."""

Result = Mapping[str, Any]
"""What a training returns: names to floats or lists of floats; inf where it diverged."""


class RunsFailed(RuntimeError):
    """Some runs raised an exception; the message names them, and the others' results are kept."""


def sweep(
    train: Callable[..., Result],
    runs: Sequence[Run],
    *,
    results: Path | None = None,
    about: Mapping[str, Any] | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    fresh: bool = False,
    description: str = "sweep",
) -> list[Result]:
    """Call ``train(**run)`` for every run; serial for now."""
    return [train(**run) for run in tqdm(runs, desc=description, leave=False, disable=None)]
