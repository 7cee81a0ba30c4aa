"""Checkpoints: all that training needs in one file, so that it can be stopped at any moment.

The file is an archive of arrays (see `archive`) whose names say where they belong, as in
``optimizer/state/0/v``; everything else stands in ``checkpoint.json``, a text to be read:

    unzip -p run.npz checkpoint.json
"""

from __future__ import annotations

import json
import operator
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from minigrad.archive import read_archive, write_archive
from minigrad.states import flatten, rebuild

__all__ = ["Checkpoint"]

FORMAT = 1
TEXT = "checkpoint.json"


class Stateful(Protocol):
    """What can be a part of a checkpoint, beside a generator of random numbers."""

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state."""

    def load_state_dict(self, state: Any, /) -> None:
        """Set the state, or raise and change nothing."""


class Checkpoint:
    """One file with the state of everything that takes part in training.

    A run that is killed, by ``kill -9`` or a loss of power, and started again goes on from the last
    `save`, and computes what it would have computed: to the bit, if all that changes from step to
    step is a part.  Beside the model and the optimizer these are every schedule, average and
    stream of batches, and every generator of random numbers, also the one that was given to
    Dropout: a module's state does not hold it.

    Parameters
    ----------
    path : path
        The file, by custom with the suffix ``.npz``.
    **parts : object with ``state_dict`` and ``load_state_dict``, or numpy.random.Generator
        What belongs to the run, under names of your choice, which the file keeps.  They are
        restored in this order; give a schedule after the optimizer whose rate it sets.

    Attributes
    ----------
    extra : dict of str to anything
        What `save` was given beside the step, as `restore` found it; empty before.

    Raises
    ------
    TypeError
        If a part is neither.
    ValueError
        If there is no part.
    FileNotFoundError
        If the file's folder is not there.

    Notes
    -----
    A generator's state is that of its bit generator.  What ``rng.spawn`` would return next is no
    part of it, so spawn before `restore`, not in the loop.

    `save` writes to a temporary file in the same folder and renames it.  A process that is killed
    in between leaves it behind; the next `save` of the same file removes it.

    Examples
    --------
    >>> import tempfile
    >>> from minigrad import nn
    >>> def start(folder):
    ...     rng = np.random.default_rng(0)
    ...     net = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Dropout(0.5, rng=rng))
    ...     return net, Checkpoint(f"{folder}/run.npz", model=net, rng=rng)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net, checkpoint = start(folder)
    ...     first_step = checkpoint.restore()  # no file yet
    ...     net[0].bias.data[:] = 7.0
    ...     checkpoint.save(100, best=0.25)
    ...     net, checkpoint = start(folder)  # in another process, on another day
    ...     first_step, checkpoint.restore(), checkpoint.extra, net[0].bias.data
    (0, 100, {'best': 0.25}, array([7., 7., 7.]))
    """

    def __init__(
        self, path: str | os.PathLike[str], /, **parts: Stateful | np.random.Generator
    ) -> None:
        self.path = Path(path)
        for name, part in parts.items():
            if not isinstance(part, np.random.Generator) and (
                isinstance(part, type)  # its methods have no object
                or not callable(getattr(part, "state_dict", None))
                or not callable(getattr(part, "load_state_dict", None))
            ):
                raise TypeError(
                    f"{name} is of type {type(part).__name__}: a part is an object with the "
                    "methods state_dict and load_state_dict, or a numpy.random.Generator; give "
                    "plain values to save(step, name=value)"
                )
        if not parts:
            raise ValueError(
                "a checkpoint needs parts: Checkpoint(path, model=net, optimizer=optimizer)"
            )
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {self.path.parent} for the checkpoint {self.path.name}"
            )
        self.parts = parts
        self.extra: dict[str, Any] = {}

    def save(self, step: int, /, **extra: Any) -> None:
        """Write the state of every part; the file appears when it is whole.

        Parameters
        ----------
        step : int
            The number of steps that are done; `restore` returns it.
        **extra
            Values to keep beside it, e.g. the best loss so far: dicts with str or int keys, lists,
            tuples, str, bool, int, float, None and NumPy arrays, nested to any depth.

        Raises
        ------
        TypeError
            If `step` is no int, or a value, or one in the state of a part, is of another type.
        ValueError
            If `step` is below 0, or an array's name cannot stand in a zip archive.

        After an error the file is what it was.
        """
        import minigrad

        if isinstance(step, bool) or not isinstance(step, int | np.integer):
            raise TypeError(f"step={step!r} is of type {type(step).__name__}; it must be an int")
        if step < 0:
            raise ValueError(f"step={step!r}: accepted is a whole number from 0")
        arrays: dict[str, npt.NDArray[Any]] = {}
        content = {
            "format": FORMAT,
            "minigrad": minigrad.__version__,
            "step": int(step),
            "extra": flatten(extra, "extra", arrays),
            "parts": {
                name: flatten(_state(part), name, arrays) for name, part in self.parts.items()
            },
        }
        write_archive(self.path, arrays, {TEXT: json.dumps(content, indent=1, allow_nan=False)})

    def restore(self) -> int:
        """Set the state of every part to what the file holds.

        Returns
        -------
        int
            The step that was saved, or 0 if there is no file yet.

        Raises
        ------
        ValueError
            If the file is damaged, was not written by a Checkpoint, or by one with other parts, or
            if a part refuses its state, say because it is that of another architecture.  The
            message names the file and the part, and no part has been changed.
        """
        try:
            arrays, texts = read_archive(self.path)
        except FileNotFoundError:
            return 0
        step, extra, states = self._parsed(arrays, texts)
        before = {name: _state(part) for name, part in self.parts.items()}
        loaded = []
        try:
            for name, part in self.parts.items():
                loaded.append(name)
                _set_state(part, states[name])
        except BaseException as error:
            for name in reversed(loaded):  # a schedule, which sets a rate, before its optimizer
                with suppress(Exception):  # a part that refuses any state has not changed
                    _set_state(self.parts[name], before[name])
            if not isinstance(error, Exception):
                raise  # Ctrl-C
            raise ValueError(
                f"{self.path}: the state of {loaded[-1]!r} does not fit; nothing was changed in "
                f"any part\n{error or type(error).__name__}"
            ) from error
        self.extra = extra
        return step

    def _parsed(
        self, arrays: dict[str, npt.NDArray[Any]], texts: dict[str, str]
    ) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Return the step, the extra values and the parts' states that a file holds."""
        if texts.keys() != {TEXT}:
            raise ValueError(
                f"{self.path} is no checkpoint: it holds "
                + (f"the texts {', '.join(texts)}" if texts else "arrays alone")
                + f" and no {TEXT}; what minigrad.save wrote is read by minigrad.load"
            )
        try:
            content = json.loads(texts[TEXT])
            version, writer = content["format"], content["minigrad"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._no_checkpoint(error) from error
        if version != FORMAT:
            raise ValueError(
                f"{self.path} has format {version!r}, written by minigrad {writer}; this minigrad "
                f"reads format {FORMAT}"
            )
        try:
            step = operator.index(content["step"])
            extra = rebuild(content["extra"], arrays)
            states = {name: rebuild(node, arrays) for name, node in content["parts"].items()}
            _check_positions(states)
            if step < 0 or not isinstance(extra, dict):
                raise ValueError(f"the step is {step!r}, the extra values {extra!r}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._no_checkpoint(error) from error
        faults = [f"missing in the file: {name}" for name in self.parts if name not in states]
        faults += [f"unknown to this run: {name}" for name in states if name not in self.parts]
        if faults:
            raise ValueError(
                f"{self.path} is the checkpoint of other parts; nothing was changed:\n  "
                + "\n  ".join(faults)
            )
        return step, extra, states

    def _no_checkpoint(self, error: Exception) -> ValueError:
        return ValueError(
            f"{self.path}, {TEXT}: not the text of a checkpoint ({type(error).__name__}: {error})"
        )


def _state(part: Stateful | np.random.Generator) -> Any:
    return (
        part.bit_generator.state if isinstance(part, np.random.Generator) else part.state_dict()
    )


def _set_state(part: Stateful | np.random.Generator, state: Any) -> None:
    if not isinstance(part, np.random.Generator):
        part.load_state_dict(state)
        return
    kind = part.bit_generator.state["bit_generator"]
    if state["bit_generator"] != kind:
        raise ValueError(
            f"it is the state of a {state['bit_generator']}, and the generator is a {kind}: make "
            f"it by numpy.random.Generator(numpy.random.{state['bit_generator']}(seed))"
        )
    part.bit_generator.state = state


def _check_positions(state: Any) -> None:
    """Raise if a bit generator, wherever it stands, would read beyond what it has drawn ahead.

    NumPy takes any position, and then reads other memory, or some that is not there.
    """
    if isinstance(state, dict | list | tuple):
        for entry in state.values() if isinstance(state, dict) else state:
            _check_positions(entry)
    match state:
        case {"bit_generator": "MT19937" as kind, "state": {"pos": position}}:
            ahead = 624
        case {"bit_generator": "Philox" as kind, "buffer_pos": position}:
            ahead = 4
        case _:
            return
    if type(position) is not int or not 0 <= position <= ahead:
        raise ValueError(f"a {kind} at position {position!r}: it has {ahead} numbers")
