"""A file of results: one JSON line for each run, appended as the run is done.

The first line says what the file is.  Every other line has a run, its result, and of what they are:
the training function, a fingerprint of the source code, and one of the data::

    {"file": "minigrad results", "format": 1}
    {"train": "...train_linear", "source": "6f1e...", "data": "09bc...", "run": {"lr": 0.1, "seed": 3}, "result": {"loss": 0.2432}}

A result counts only for the same function, source and data: after an edit of a rule, its runs are
made again, and the lines of the old rule stay beside them.  JSON has no infinity; it is written as
the string "inf".
"""  # noqa: E501

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

try:
    import fcntl
except ImportError:  # not a Unix: two sweeps at once are not noticed there
    fcntl = None  # type: ignore[assignment]

__all__ = ["ResultsFile", "ResultsFileError", "SweepError", "decode", "encode", "key_of"]

HEADER = '{"file": "minigrad results", "format": 1}'
PARTS = ("train", "source", "data", "run", "result")


class SweepError(RuntimeError):
    """A sweep could not be begun or finished; the message says what is kept and what to do."""


class ResultsFileError(SweepError):
    """A file of results is something else, damaged, or in use; it is left as it is."""


class ResultsFile:
    """The results that a file has, and a way to add one.

    It is a context manager; while it is open no other process can open it.

    Parameters
    ----------
    path : Path
        Made if it does not exist, with its folder.
    fresh : bool
        Whether to throw away what is there.

    Attributes
    ----------
    lines : dict
        From the text of a run, with its function, source and data (`key_of`), to its result.
    sources : set of str
        Fingerprints of the source code that made its lines.
    cut : bool
        Whether the last line was cut off, as when a computer is switched off; it was removed.

    Raises
    ------
    ResultsFileError
        If the file is something else, damaged, of another format, or open in another process;
        it is left as it is.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self.lines: dict[str, str] = {}
        self.sources: set[str] = set()
        self.cut = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise ResultsFileError(
                f"{path} cannot be opened to keep results in ({error.strerror or error}); choose "
                "another folder with --out"
            ) from error
        try:
            self._lock()
            self._read()
            if fresh:
                self.lines.clear()
                self._file.truncate(0)
            if not self._file.seek(0, os.SEEK_END):
                self._append(HEADER)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ResultsFile:
        """Return itself; it is open from the start."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def add(self, key: str, result: str) -> None:
        """Append a line for a run and its encoded result; one write, so that it is whole."""
        self._append(f'{key[:-1]}, "result": {result}}}')
        self.lines[key] = result

    def _append(self, line: str) -> None:
        content = line.encode() + b"\n"
        if self._file.write(content) != len(content):
            raise OSError(f"{self.path}: a line could not be written whole; is the disk full?")

    def _lock(self) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ResultsFileError(
                    f"{self.path} is open in another process, which runs the same sweep; wait for "
                    "it, or choose another folder with --out"
                ) from None

    def _read(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        end = content.rfind(b"\n") + 1
        whole, rest = content[:end].splitlines(), content[end:]
        if whole and whole[0] != HEADER.encode():
            raise self._refusal(1, "it is not " + HEADER)
        if not whole and not HEADER.encode().startswith(rest):
            raise self._refusal(1, "it is not " + HEADER)
        for number, line in enumerate(whole[1:], 2):
            try:
                entry = json.loads(line)
                train, source, data, run, result = (entry[part] for part in PARTS)
                self.lines[key_of(train, source, data, run)] = encode(decode(result))
                self.sources.add(source)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise self._refusal(number, f"{type(error).__name__}: {error}") from None
        if rest:
            self.cut = True
            self._file.truncate(end)

    def _refusal(self, number: int, reason: str) -> ResultsFileError:
        return ResultsFileError(
            f"{self.path}, line {number}, is none that a sweep of this version of minigrad has "
            f"written ({reason}); nothing was changed.  Move the file away, or choose another "
            "folder with --out"
        )


def key_of(train: str, source: str, data: str, run: Mapping[str, Any]) -> str:
    """Return the text that a run is known by: a JSON object, the same for the same run.

    Raises
    ------
    TypeError, ValueError
        If the run holds something that JSON does not have.

    Examples
    --------
    >>> key_of("train", "6f1e", "09bc", {"seed": 3, "lr": 0.1})
    '{"train": "train", "source": "6f1e", "data": "09bc", "run": {"lr": 0.1, "seed": 3}}'
    """
    if not isinstance(run, Mapping):
        raise TypeError(f"a run is {run!r:.80}; accepted is a dict of keyword arguments")
    ordered = {name: run[name] for name in sorted(run)}
    entry = {"train": train, "source": source, "data": data, "run": ordered}
    try:
        return json.dumps(entry, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"the run {dict(run)!r:.200} cannot be a line of JSON: {error}; accepted are finite "
            "numbers, strings, bools, None, and lists and dicts of them"
        ) from None


def encode(result: Mapping[str, Any]) -> str:
    """Return a result as JSON text; floats keep every bit.

    Raises
    ------
    TypeError
        If it is not made of names, numbers and lists of numbers.

    Examples
    --------
    >>> encode({"loss": float("inf"), "weights": [0.25, 1]})
    '{"loss": "inf", "weights": [0.25, 1]}'
    """
    if not isinstance(result, Mapping):
        raise TypeError(f"a training returned {result!r:.80}; accepted is a dict of numbers")
    return json.dumps({str(name): _to_json(name, value) for name, value in result.items()})


def decode(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result that `encode` has written, from the object that ``json.loads`` gives.

    Examples
    --------
    >>> decode({"loss": "inf", "weights": [0.25, 1]})
    {'loss': inf, 'weights': [0.25, 1]}
    """
    return {name: _from_json(value) for name, value in entries.items()}


def _to_json(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_to_json(name, item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, int):
        return value
    raise TypeError(
        f"a training returned {name}={value!r:.80} ({type(value).__name__}); accepted are floats, "
        "ints, bools and lists of them"
    )


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return float(value) if isinstance(value, str) else value
