"""Comparing run times on a noisy machine: interleaved, in one process, medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

__all__ = ["Timings", "interleaved"]

PAUSE = 0.005
"""Seconds of rest before each candidate, in which the last one's threads stop spinning."""

Timings = dict[str, list[float]]
"""Seconds per call, one entry per round, for each candidate."""


def interleaved(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    seconds_per_turn: float = 0.002,
    tick: Callable[[], object] = lambda: None,
) -> Timings:
    """Time the candidates in turn, round after round.

    A slow moment of the machine thus hits all of them, and the ratio within a round is fair.  In
    its turn, a candidate rests, runs once untimed, then often enough to fill `seconds_per_turn`.

    Parameters
    ----------
    candidates : mapping
        Name to function; each is run twice first, and so compiled.
    rounds : int
        Turns for each.
    seconds_per_turn : float
        Least time that a turn measures.
    tick : callable
        Called after each turn, for a progress bar.

    Examples
    --------
    >>> timings = interleaved({"a": lambda: sum(range(99)), "b": lambda: None}, rounds=3)
    >>> {name: len(seconds) for name, seconds in timings.items()}
    {'a': 3, 'b': 3}
    """
    repeats = {}
    for name, run in candidates.items():
        run()
        started = time.perf_counter()
        run()
        took = time.perf_counter() - started
        repeats[name] = max(1, round(seconds_per_turn / max(took, 1e-9)))
    timings: Timings = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            time.sleep(PAUSE)
            run()
            started = time.perf_counter()
            for _ in range(repeats[name]):
                run()
            timings[name].append((time.perf_counter() - started) / repeats[name])
            tick()
    return timings


def ratio(timings: Timings, name: str, base: str) -> float:
    """Return how many times as long as `base` the candidate takes: median over the rounds."""
    return median(a / b for a, b in zip(timings[name], timings[base], strict=True))
