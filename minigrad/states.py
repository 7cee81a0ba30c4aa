"""Nested states as JSON and arrays, exactly: what comes back is what was given.

JSON has dicts with str keys, lists, str, bool, int, float and None.  What it has not stands as a
dict with one key that starts with ``$``:

    {"$array": name}            an array, kept elsewhere under that name
    {"$number": name}           the same for a NumPy number, kept as an array without axes
    {"$tuple": [...]}           a tuple
    {"$dict": [[key, value]]}   a dict with a key that is an int or starts with $
    {"$int": "0x..."}           an int too long to be written in decimal
    {"$float": "-inf"}          infinity
    {"$nan": "7ff8..."}         NaN, with its 64 bits
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.archive import check_name

__all__ = ["flatten", "rebuild"]

LONGEST_INT = 2048  # in bits: Python refuses to write many more as a decimal number


def flatten(state: Any, place: str, arrays: dict[str, npt.NDArray[Any]]) -> Any:
    """Return what stands for a state in JSON, and add its arrays to `arrays`.

    Parameters
    ----------
    state : dict, list, tuple, str, bool, int, float, None, ndarray or NumPy number
        Nested to any depth; the keys of a dict are str or int.
    place : str
        The state's name.  An array is named by the keys that lead to it, as in
        ``optimizer/state/0/v``, and numbered where that name is taken.
    arrays : dict of str to ndarray
        Gets the arrays themselves, no copies.

    Raises
    ------
    TypeError
        If something is of another type, or is an array of objects.
    ValueError
        If an array's name cannot stand in a zip archive; see `check_name`.

    Examples
    --------
    >>> arrays = {}
    >>> flatten({"lr": 0.1, "v": np.zeros(2), "best": math.inf}, "optimizer", arrays)
    {'lr': 0.1, 'v': {'$array': 'optimizer/v'}, 'best': {'$float': 'inf'}}
    >>> arrays
    {'optimizer/v': array([0., 0.])}
    """
    kind = type(state)
    if state is None or kind in (str, bool):
        return state
    if kind is int:
        return state if state.bit_length() <= LONGEST_INT else {"$int": hex(state)}
    if kind is float:
        if math.isnan(state):
            return {"$nan": struct.pack(">d", state).hex()}
        return state if math.isfinite(state) else {"$float": str(state)}
    if isinstance(state, dict):
        for key in state:
            if type(key) not in (str, int):
                raise TypeError(
                    f"{place} has the key {key!r} of type {type(key).__name__}: accepted are str "
                    "and int"
                )
        entries = [
            (key, flatten(value, f"{place}/{key}", arrays)) for key, value in state.items()
        ]
        if any(type(key) is int or key.startswith("$") for key in state):
            return {"$dict": [list(entry) for entry in entries]}
        return dict(entries)
    if kind in (list, tuple):
        nodes = [flatten(value, f"{place}/{i}", arrays) for i, value in enumerate(state)]
        return nodes if kind is list else {"$tuple": nodes}
    if isinstance(state, np.number | np.bool_):
        return {"$number": _added(np.asarray(state), place, arrays)}
    if kind is np.ndarray and not state.dtype.hasobject:
        return {"$array": _added(state, place, arrays)}
    described = "an array of Python objects" if kind is np.ndarray else f"of type {kind.__name__}"
    raise TypeError(
        f"{place} is {described}: accepted are dicts, lists, tuples, str, bool, int, float, None, "
        "NumPy's numbers, and its arrays of numbers or text"
    )


def _added(array: npt.NDArray[Any], place: str, arrays: dict[str, npt.NDArray[Any]]) -> str:
    name, i = place, 1
    while name in arrays:  # {"a": {"b": x}, "a/b": y}
        name, i = f"{place} ({i + 1})", i + 1
    check_name(name)
    arrays[name] = array
    return name


def rebuild(node: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """Return the state for which `flatten` gave this node and these arrays.

    Raises
    ------
    ValueError
        If `flatten` gives no such node, or an array is not there.
    """
    if isinstance(node, list):
        return [rebuild(entry, arrays) for entry in node]
    if not isinstance(node, dict):
        return node
    if not any(key.startswith("$") for key in node):
        return {key: rebuild(value, arrays) for key, value in node.items()}
    try:
        ((kind, value),) = node.items()
        match kind:
            case "$array":
                return arrays[value]
            case "$number":
                return arrays[value][()]
            case "$tuple":
                return tuple(rebuild(entry, arrays) for entry in value)
            case "$dict":
                return {key: rebuild(entry, arrays) for key, entry in value}
            case "$int":
                return int(value, 16)
            case "$float":
                return float(value)
            case "$nan":
                return struct.unpack(">d", bytes.fromhex(value))[0]
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise ValueError(f"{node} stands for nothing ({error})") from error
    raise ValueError(f"{node} stands for nothing")
