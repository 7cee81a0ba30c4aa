"""Saving arrays, and the state of modules, in one file.

The file is what `numpy.savez` writes: a zip archive with one ``.npy`` file for each array.  There
is no pickle in it, and none is read, so loading a file from a stranger runs no code.
"""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from minigrad.nn.module import Module
from minigrad.primitive import bare

__all__ = ["load", "save"]

COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that numpy writes
LONGEST_NAME = 65_535 - len(".npy")  # in bytes: a zip archive counts them with 16 bits


def save(path: str | os.PathLike[str], state: Module | Mapping[str, npt.ArrayLike]) -> None:
    """Write a module's state, or a dict of arrays, to one file.

    The file appears under its name only when it is whole: it is written to a temporary file in
    the same folder, and renamed.  If anything fails before, what was there stays as it was.

    Parameters
    ----------
    path : path
        Where to, by custom with the suffix ``.npz``; a file that is there is replaced.
    state : Module or mapping of str to array_like
        A module stands for its `state_dict`, a Tensor for its values.

    Raises
    ------
    TypeError
        If `state` is neither, a name is no string, or an array holds objects, which only pickle
        could write.
    ValueError
        If a zip archive cannot hold a name: one with a NUL character, with half of a surrogate
        pair, or of more than 65,531 bytes in UTF-8.
    FileNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from minigrad import nn
    >>> net = nn.Linear(5, 1, rng=np.random.default_rng(0))
    >>> twin = nn.Linear(5, 1, rng=np.random.default_rng(1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(f"{folder}/net.npz", net)
    ...     arrays = load(f"{folder}/net.npz", twin)
    >>> bool(np.all(net.weight.data == twin.weight.data))
    True
    """
    target = Path(path)
    arrays = _checked(state.state_dict() if isinstance(state, Module) else state)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to save {target.name} in")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("wb") as file:
            _write(file, arrays)
            file.flush()
            os.fsync(file.fileno())  # else the name may reach the disk before the content
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], module: Module | None = None) -> dict[str, npt.NDArray[Any]]:
    """Read a file that `save` or `numpy.savez` wrote, and set a module's state from it.

    Parameters
    ----------
    path : path
        The file.
    module : Module, optional
        Gets a copy of the arrays, by `Module.load_state_dict`.

    Returns
    -------
    dict of str to ndarray
        The file's arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `module` is no module.
    ValueError
        If the file is cut short, damaged or no such file at all, or if it holds an array of
        objects.  If an array is missing, unknown to the module, or of another shape or dtype: the
        message names all of them, and nothing in the module has been changed.
    """
    if not isinstance(module, Module | None):
        raise TypeError(
            f"load sets the state of a Module, got a {type(module).__name__}; without a module it "
            "returns the arrays alone"
        )
    with Path(path).open("rb") as file:
        arrays = _read(file, path)
    if module is not None:
        try:
            module.load_state_dict(arrays)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None
    return arrays


def _checked(state: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
    if not isinstance(state, Mapping):
        raise TypeError(f"save takes a module or a dict of arrays, got a {type(state).__name__}")
    arrays = {}
    for name, values in state.items():
        if not isinstance(name, str):
            raise TypeError(f"the name {name!r} is of type {type(name).__name__}, no string")
        _check_name(name)
        array = np.asarray(bare(values))
        if array.dtype.hasobject:
            raise TypeError(
                f"{name} is an array of Python objects; only numbers and text can be saved"
            )
        arrays[name] = array
    return arrays


def _check_name(name: str) -> None:
    if "\0" in name:
        raise ValueError(f"the name {name!r} holds a NUL character, where a zip archive ends it")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {name!r} cannot be written in UTF-8: {error.reason}") from None
    if length > LONGEST_NAME:
        raise ValueError(
            f"the name {name[:20]!r}... has {length:,} bytes; a zip archive takes {LONGEST_NAME:,}"
        )


def _write(file: IO[bytes], arrays: dict[str, npt.NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def _read(file: IO[bytes], path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    arrays = {}
    place = os.fspath(path)
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                place = f"{os.fspath(path)}, {entry.filename}"
                if entry.compress_type not in COMPRESSIONS:
                    raise ValueError(f"compressed by method {entry.compress_type}")
                with archive.open(entry) as member:
                    array = npy.read_array(member, allow_pickle=False)
                    if member.read(1):  # else this was the end, where the checksum is compared
                        raise ValueError("it has more bytes than its header says")
                arrays[entry.filename.removesuffix(".npy")] = array
    # What zipfile and the parser of headers raise for a stranger's bytes has no end: besides their
    # own errors TypeError, IndexError, OverflowError, tokenize.TokenError, MemoryError and more.
    except Exception as error:
        raise ValueError(
            f"{place}: not a whole file of arrays, as minigrad.save and numpy.savez write it "
            f"({error or type(error).__name__})"
        ) from error
    return arrays
