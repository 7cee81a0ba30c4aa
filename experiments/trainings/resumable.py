"""One long training that can be stopped at any moment, also by ``kill -9``, and goes on exactly.

`train` is the loop: losses of every step, a checkpoint every minute, at the end, and on Ctrl-C.
`one_by_one` runs several trainings and keeps their results as JSON lines, as a sweep does; but one
after the other, since each may use several cores.

A checkpoint is continued only by the training that wrote it: the same run, on the same data, by
the same source code.  Only the number of steps may be another one.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from tqdm import tqdm

from datasets import MinibatchStream
from experiments.sweep import Result, SweepError
from experiments.sweep.executors import one_blas_thread
from experiments.sweep.fingerprint import data_fingerprint, source_fingerprint
from experiments.sweep.results_file import ResultsFile, decode, encode, key_of
from minigrad import Checkpoint, DataParallel, keep_freed_memory
from optim import Optimizer

__all__ = ["CheckpointError", "Checkpoints", "History", "checkpoints_of", "one_by_one", "train"]

PARTS = 2  # of a batch; not the number of cores, on which the gradients' last bits would depend
SECONDS_BETWEEN_CHECKPOINTS = 60.0
SHOWN = 100  # steps whose mean loss the bar shows


class CheckpointError(SweepError):
    """A checkpoint is damaged, or that of another training; nothing has been changed."""


@dataclass
class History:
    """What a training has seen so far; a part of its checkpoint.

    Attributes
    ----------
    losses : list of float
        Each step's mean loss over its batch, before the update; inf from a divergence on.
    evaluations : list of dict
        What `evaluate` returned after 0, `every`, 2 `every`, ... steps, and after the last one;
        each has ``step`` beside it.
    seconds : list of float
        How long each step took, without evaluations and checkpoints.
    diverged : int or None
        The step, counted from 1, whose loss or gradients were not finite; the last one.
    """

    losses: list[float] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    diverged: int | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all of it."""
        return {name: list(x) if isinstance(x, list) else x for name, x in vars(self).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all of it."""
        if state.keys() != vars(self).keys():
            raise ValueError(f"a history has {', '.join(vars(self))}, this one {', '.join(state)}")
        vars(self).update(state)

    def summary(self) -> dict[str, Any]:
        """Return the training's outcome as JSON values by name.

        ``losses``; the step at which it ``diverged``, or 0; the median step's ``milliseconds``;
        after which steps it was ``evaluated``; and for each name that `evaluate` returned the
        list of what it returned.
        """
        names = [name for entry in self.evaluations[:1] for name in entry if name != "step"]
        return {
            "losses": self.losses,
            "diverged": self.diverged or 0,
            "milliseconds": 1000 * float(np.median(self.seconds)) if self.seconds else 0.0,
            "evaluated": [entry["step"] for entry in self.evaluations],
            **{name: [entry[name] for entry in self.evaluations] for name in names},
        }


# The loop


def train(
    model: Any,
    optimizer: Optimizer,
    batches: MinibatchStream,
    *,
    steps: int,
    checkpoints: Checkpoints,
    evaluate: Callable[[], Mapping[str, Any]] | None = None,
    every: int = 50,
    parts: int = PARTS,
    description: str = "training",
) -> History:
    """Train a model on minibatches, from its checkpoint on if there is one.

    Killed at any moment and called again, it returns the same losses, and leaves the same
    parameters, to the last bit on the same machine.

    Parameters
    ----------
    model : nn.Module
        With a method ``loss(*batch)``, a mean over the batch.  It draws no random numbers and has
        no state but its parameters: see `DataParallel`, which cuts each batch into parts.
    optimizer : Optimizer
        Over the model's parameters, at a constant learning rate.
    batches : MinibatchStream
        Its state is kept too, with that of its generator.
    steps : int
        To be made altogether.
    checkpoints : Checkpoints
        Where they are kept, and whose they are.
    evaluate : callable, optional
        Called without arguments after 0, `every`, 2 `every`, ... steps, and after the last one;
        returns numbers and lists of numbers by name.  It must draw nothing from the generator of
        the batches.
    every : int
        See `evaluate`.
    parts : int
        Into how many each batch is cut, to be computed side by side; 1 for a model whose step is
        so short that threads cost more than they bring.
    description : str
        For the progress bar and for the message after Ctrl-C.

    Returns
    -------
    History
        Of `steps` losses.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or that of another training.
    KeyboardInterrupt
        After Ctrl-C, when the step is done and a checkpoint written.
    """
    keep_freed_memory()
    history = History()
    kept = {"model": model, "optimizer": optimizer, "batches": batches, "history": history}
    checkpoint = checkpoints.restore(steps, **kept)
    gradients = DataParallel(model.loss, parts=parts)
    saved = time.monotonic()
    bar = tqdm(total=steps, initial=len(history.losses), desc=description, unit="step",
               leave=False, disable=None)  # fmt: skip
    # One thread for BLAS: in two, a product may round otherwise.  A number that is not finite is an
    # outcome here, and no reason for warnings.
    with bar, one_blas_thread(), np.errstate(all="ignore"), interrupt_noted() as interrupted:
        while history.diverged is None:
            step = len(history.losses)
            if evaluate is not None and len(history.evaluations) * every == step:
                history.evaluations.append({"step": step, **evaluate()})
            if step == steps or interrupted.is_set():
                break
            started = time.perf_counter()
            optimizer.zero_grad()
            loss = gradients(*next(batches))
            if not (math.isfinite(loss) and _updated(optimizer)):
                history.diverged = step + 1
                break
            history.losses.append(loss)
            history.seconds.append(time.perf_counter() - started)
            bar.set_postfix_str(f"loss {np.mean(history.losses[-SHOWN:]):.3f}", refresh=False)
            bar.update()
            if time.monotonic() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                checkpoint.save(step + 1)
                saved = time.monotonic()
        done = len(history.losses)
        checkpoint.save(done)
        if evaluate is not None and done == steps and steps % every:
            # Not in the checkpoint: a longer training has none there.
            history.evaluations.append({"step": steps, **evaluate()})
        if interrupted.is_set():
            raise KeyboardInterrupt(
                f"interrupted: {description} is at step {done:,} of {steps:,}, kept in "
                f"{checkpoint.path}; the same command, without --fresh, goes on from there"
            )
    history.losses += [math.inf] * (steps - done)  # none unless it has diverged
    return history


def _updated(optimizer: Optimizer) -> bool:
    """Make the optimizer's step; whether the gradients were finite, without which nothing is."""
    try:
        optimizer.step()
    except FloatingPointError:
        return False
    return True


@contextmanager
def interrupt_noted() -> Iterator[threading.Event]:
    """Let Ctrl-C set an event in the block, instead of raising KeyboardInterrupt anywhere.

    In a thread other than the main one, and where Ctrl-C does something else already, nothing is
    changed.
    """
    event = threading.Event()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(number: int, frame: FrameType | None) -> None:
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Whose checkpoint it is


class Identity:
    """What a training is known by: its arguments, its data, its source code.

    It is kept in the checkpoint beside what the training has learned, and changes never: restoring
    it raises an error where the checkpoint is another training's.
    """

    def __init__(self, known_by: Mapping[str, Any]) -> None:
        self.known_by = dict(known_by)

    def state_dict(self) -> dict[str, Any]:
        """Return it."""
        return dict(self.known_by)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError if the state is not the same; nothing else."""
        faults = [
            f"{name}: found {state.get(name)!r}, expected {self.known_by.get(name)!r}"
            for name in dict.fromkeys([*self.known_by, *state])
            if state.get(name) != self.known_by.get(name)
        ]
        if faults:
            raise ValueError("it was written by another training:\n  " + "\n  ".join(faults))


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training: a file for each number of steps that it was asked for.

    With a constant learning rate, a training of 4,000 steps begins with that of 2,000; so it
    begins from that one's checkpoint if it has none of its own, and leaves it as it is.

    Attributes
    ----------
    folder : Path
        For the files, ``2000.npz`` for 2,000 steps; made if it does not exist.
    run : mapping of str to JSON values
        What the training is known by, its number of steps apart.
    """

    folder: Path
    run: Mapping[str, Any]

    def restore(self, steps: int, **parts: Any) -> Checkpoint:
        """Set the parts to a checkpoint, if there is one, and return the one to save to.

        It is the training's own, else that of the largest smaller number of steps.

        Raises
        ------
        CheckpointError
            If it is damaged, or does not fit; no part has been changed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        own = self.folder / f"{steps}.npz"
        others = [path for path in self.folder.glob("*.npz") if path.stem.isdecimal()]
        shorter = [path for path in others if int(path.stem) < steps]
        nearest = max(shorter, key=lambda path: int(path.stem), default=own)
        known = {"run": Identity(self.run), **parts}  # first: it says best why another does not fit
        try:
            Checkpoint(own if own.exists() else nearest, **known).restore()
        except ValueError as error:
            raise CheckpointError(
                f"{error}\nThis training cannot go on from there; --fresh begins again and "
                "replaces what is kept, another --out leaves it"
            ) from error
        return Checkpoint(own, **known)

    def remove(self) -> None:
        """Remove the files."""
        for path in self.folder.glob("*.npz"):
            path.unlink()


# Several trainings


def one_by_one(
    train: Callable[..., Result],
    runs: Sequence[Mapping[str, Any]],
    *,
    folder: Path,
    name: str,
    fresh: bool = False,
    extend: bool = True,
) -> list[dict[str, Any]]:
    """Call ``train(**run, checkpoints=..., description=...)`` for each run and return the results.

    Results are kept as they arrive, in ``FOLDER/runs/NAME.jsonl``, and checkpoints in
    ``FOLDER/checkpoints/NAME``.

    Parameters
    ----------
    train : callable
        One training; a function of a module, perhaps with its data bound by `functools.partial`.
    runs : sequence of dict
        The keyword arguments of each, JSON values; ``steps`` among them.
    folder, name : Path, str
        Say where results are kept.
    fresh : bool
        Whether to throw away all results and checkpoints of this name first.
    extend : bool
        Whether to keep the last checkpoint of a finished run, for a longer one to begin from.

    Raises
    ------
    CheckpointError
        If a run has a checkpoint, and cannot go on from it.
    ResultsFileError
        If the file of results is something else, or in use.
    KeyboardInterrupt
        After Ctrl-C; what is done is kept.
    """
    # Once: files that are edited meanwhile are not what runs here.
    source, data = source_fingerprint(train), data_fingerprint(train)
    checkpoints = folder / "checkpoints" / name
    results = []
    with ResultsFile(folder / "runs" / f"{name}.jsonl", fresh=fresh) as file:
        if fresh:
            for path in checkpoints.glob("*/*.npz"):
                path.unlink()
        for i, run in enumerate(runs, 1):
            key = key_of(name, source, data, run)
            title = {k: v for k, v in run.items() if any(other.get(k) != v for other in runs)}
            description = f"{', '.join(_titled(title or run))} ({i} of {len(runs)})"
            if key in file.lines:
                print(f"{description}: kept from earlier in {file.path} (--fresh runs it again)")
            else:
                kept = _checkpoints(source, data, run, checkpoints)
                started = time.perf_counter()
                result = train(**run, checkpoints=kept, description=description)
                file.add(key, encode(result))
                print(f"{description}: {time.perf_counter() - started:.1f} s", flush=True)
                if not extend:
                    kept.remove()
            results.append(decode(json.loads(file.lines[key])))
    return results


def checkpoints_of(
    train: Callable[..., Any], run: Mapping[str, Any], *, folder: Path, name: str
) -> Checkpoints:
    """Return where `one_by_one`, called with the same arguments, keeps the checkpoints of a run."""
    source, data = source_fingerprint(train), data_fingerprint(train)
    return _checkpoints(source, data, run, folder / "checkpoints" / name)


def _checkpoints(source: str, data: str, run: Mapping[str, Any], folder: Path) -> Checkpoints:
    others = {k: v for k, v in run.items() if k != "steps"}
    known_by = {"fingerprint of the source code": source, "fingerprint of the data": data}
    return Checkpoints(folder / ",".join(_titled(others)), {**known_by, **others})


def _titled(run: Mapping[str, Any]) -> list[str]:
    return [v if isinstance(v, str) else f"{k}={v}" for k, v in run.items()]
