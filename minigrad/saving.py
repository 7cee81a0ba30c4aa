"""Saving arrays, and the state of modules, in one file.

The file is what `numpy.savez` writes: a zip archive with one ``.npy`` file for each array.  There
is no pickle in it, and none is read, so loading a file from a stranger runs no code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.archive import check_name, read_archive, write_archive
from minigrad.nn.module import Module
from minigrad.primitive import bare

__all__ = ["load", "save"]


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
    arrays = _checked(state.state_dict() if isinstance(state, Module) else state)
    write_archive(path, arrays)


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
    arrays, texts = read_archive(path)
    if texts:
        raise ValueError(
            f"{os.fspath(path)} holds {', '.join(texts)} beside its arrays; what a Checkpoint "
            "saved is read by its restore()"
        )
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
        check_name(name)
        array = np.asarray(bare(values))
        if array.dtype.hasobject:
            raise TypeError(
                f"{name} is an array of Python objects; only numbers and text can be saved"
            )
        arrays[name] = array
    return arrays
