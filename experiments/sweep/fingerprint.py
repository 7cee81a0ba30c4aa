"""What results depend on, in a few characters: the source code, and the data."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import datasets
import experiments
import minigrad
import optim

__all__ = ["data_fingerprint", "source_fingerprint", "unbound"]

PACKAGES = (minigrad, optim, datasets)
HARNESS = ("question", "report", "sweep")  # of experiments; no training's numbers depend on them


def unbound(train: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function below `functools.partial`."""
    return unbound(train.func) if isinstance(train, functools.partial) else train


def source_fingerprint(train: Callable[..., Any]) -> str:
    """Return a fingerprint of the code that a training runs, and of NumPy's version.

    It covers `minigrad`, `optim` and `datasets`, the file of `train`, and the files of
    `experiments` that this one imports, directly or not.

    Examples
    --------
    >>> from experiments.trainings import train_linear
    >>> source_fingerprint(train_linear) == source_fingerprint(train_linear)
    True
    """
    files = [path for package in PACKAGES for path in _folder(package).rglob("*.py")]
    try:
        own = inspect.getsourcefile(unbound(train))
    except TypeError:  # a builtin
        own = None
    files += _with_imports(Path(own)) if own and Path(own).is_file() else []
    digest = hashlib.sha256(np.__version__.encode())
    for path in sorted(set(files)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def data_fingerprint(train: Callable[..., Any]) -> str:
    """Return a fingerprint of what `functools.partial` has bound to a training, to the last bit.

    Examples
    --------
    >>> a, b = functools.partial(print, np.zeros(3)), functools.partial(print, np.zeros(4))
    >>> data_fingerprint(a) == data_fingerprint(b)
    False
    """
    digest = hashlib.sha256()
    while isinstance(train, functools.partial):
        for piece in _pieces((train.args, train.keywords)):
            digest.update(piece)
        train = train.func
    return digest.hexdigest()[:12]


def _folder(package: Any) -> Path:
    return Path(inspect.getfile(package)).parent


def _with_imports(file: Path) -> set[Path]:
    """Return a file, and those of `experiments` that it needs."""
    found, todo = set(), [file]
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("experiments."):
                parts = str(node.module).split(".")[1:]
                place = _folder(experiments).joinpath(*parts)
                place = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
                if parts[0] not in HARNESS:
                    todo.append(place)
    return found


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value).__qualname__.encode()
        for entry in dataclasses.fields(value):
            yield from _pieces((entry.name, getattr(value, entry.name)))
    elif isinstance(value, dict):
        yield from _pieces(tuple(value.items()))
    elif isinstance(value, list | tuple):
        yield f"{len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    elif value is None or isinstance(value, bool | int | float | str):
        yield repr(value).encode()
    else:
        raise TypeError(
            f"a training is bound to {value!r:.80} ({type(value).__name__}), which has no "
            "fingerprint; accepted are arrays, numbers, strings, and dataclasses, lists, tuples "
            "and dicts of them"
        )
