"""Nested structures of arrays: dicts, lists and tuples, down to the leaves.

A model's parameters are seldom one array.  The transforms take them as they are kept, and give a
gradient of the same structure: flatten to leaves, differentiate, put the results back in place.

A dict, list, tuple or namedtuple is a tree of its entries; None is a tree without leaves; anything
else is a leaf.  Leaves come in the order in which the entries stand.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["leaves", "paired_leaves", "with_leaves"]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf with the path that leads to it, written as in Python.

    Parameters
    ----------
    tree : any
        The nested structure.
    path : str
        What the path of the tree itself is.

    Examples
    --------
    >>> list(leaves({"w": 1.0, "layers": [2.0, None, (3.0,)]}, "tree"))
    [("tree['w']", 1.0), ("tree['layers'][0]", 2.0), ("tree['layers'][2][0]", 3.0)]
    """
    entries = _entries(tree)
    if entries is None:
        yield path, tree
    else:
        for step, entry in entries:
            yield from leaves(entry, path + step)


def with_leaves(tree: Any, new: Iterable[Any]) -> Any:
    """Return the same structure with other leaves, given in the order of `leaves`.

    Examples
    --------
    >>> with_leaves({"w": 1.0, "layers": [2.0, None, (3.0,)]}, "abc")
    {'w': 'a', 'layers': ['b', None, ('c',)]}
    """
    return _filled(tree, iter(new))


def paired_leaves(
    tree: Any, other: Any, path: str, other_path: str
) -> Iterator[tuple[str, Any, str, Any]]:
    """Yield the leaves of two trees of one structure side by side.

    Parameters
    ----------
    tree, other : any
        The nested structures.  Dicts may have their keys in different orders; that of `tree`
        counts.
    path, other_path : str
        What the two are called in an error.

    Yields
    ------
    path, leaf, other_path, other_leaf

    Raises
    ------
    ValueError
        If the structures differ; the message names the place.

    Examples
    --------
    >>> for pair in paired_leaves({"a": 1, "b": [2]}, {"b": [20], "a": 10}, "x", "y"):
    ...     print(*pair)
    x['a'] 1 y['a'] 10
    x['b'][0] 2 y['b'][0] 20
    """
    entries, others = _entries(tree), _entries(other)
    if entries is None and others is None:
        yield path, tree, other_path, other
        return
    if entries is None or others is None or not _alike(tree, other):
        raise ValueError(
            f"{other_path} is {_description(other)}, but {path} is {_description(tree)}; the two "
            "must have the same structure"
        )
    by_step = dict(others)
    for step, entry in entries:
        yield from paired_leaves(entry, by_step[step], path + step, other_path + step)


def _entries(tree: Any) -> list[tuple[str, Any]] | None:
    """Every entry with the step that leads to it, or None for a leaf."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [(f"[{key!r}]", entry) for key, entry in tree.items()]
    if _is_namedtuple(tree):
        return [(f".{name}", getattr(tree, name)) for name in tree._fields]
    if isinstance(tree, (list, tuple)):
        return [(f"[{i}]", entry) for i, entry in enumerate(tree)]
    return None


def _filled(tree: Any, new: Iterator[Any]) -> Any:
    entries = _entries(tree)
    if entries is None:
        return next(new)
    if tree is None:
        return None
    filled = [_filled(entry, new) for _, entry in entries]
    if isinstance(tree, dict):
        result = copy.copy(tree)  # so that a subclass, say a defaultdict, stays one
        result.update(zip(tree, filled, strict=True))
        return result
    return tree._make(filled) if _is_namedtuple(tree) else type(tree)(filled)


def _alike(tree: Any, other: Any) -> bool:
    """Whether two containers have the same kind and the same entries."""
    if isinstance(tree, dict):
        return isinstance(other, dict) and tree.keys() == other.keys()
    return type(tree) is type(other) and (tree is None or len(tree) == len(other))


def _is_namedtuple(tree: Any) -> bool:
    return isinstance(tree, tuple) and hasattr(tree, "_fields")


def _description(tree: Any) -> str:
    if tree is None:
        return "None"
    kind = type(tree).__name__
    if isinstance(tree, dict):
        return f"a {kind} with keys {list(tree)}"
    if isinstance(tree, (list, tuple)):
        return f"a {kind} of length {len(tree)}"
    return f"a leaf ({kind})"
