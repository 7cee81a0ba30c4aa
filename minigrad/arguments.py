"""What the transforms accept: which arguments, which leaves, which tangents."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minigrad import trees
from minigrad.nn import Module
from minigrad.tensor import Tensor

__all__ = ["arranged", "as_tuple", "check_floating", "conforming", "name_of", "positions"]

ARRAYS = (np.ndarray, np.generic, Tensor)
KINDS = {"i": "integer", "u": "integer", "b": "boolean", "c": "complex"}


def name_of(f: Callable[..., Any]) -> str:
    """What to call f in an error."""
    return getattr(f, "__name__", repr(f))


def positions(argnums: int | Sequence[int], args: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """Which arguments to differentiate, counted from the front."""
    given = tuple(argnums) if isinstance(argnums, Sequence) else (operator.index(argnums),)
    for n in given:
        if not -len(args) <= n < len(args):
            raise ValueError(
                f"argnums={argnums}: {name} was called with {len(args)} positional argument(s)"
            )
    wanted = tuple(n % len(args) for n in given)
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"argnums={argnums}: names an argument of {name} twice")
    return wanted


def as_tuple(primals: Any) -> tuple[Any, ...]:
    """Return the arguments of f: a tuple holds them, anything else is the only one."""
    return primals if type(primals) is tuple else (primals,)


def arranged(gradients: Iterable[Any], argnums: int | Sequence[int], args: tuple[Any, ...]) -> Any:
    """Leaf after leaf in, the structure of the arguments that `argnums` names out."""
    if isinstance(argnums, Sequence):
        return trees.with_leaves(tuple(args[n] for n in argnums), gradients)
    return trees.with_leaves(args[argnums], gradients)


def check_floating(path: str, x: Any) -> None:
    """Refuse what has no derivative."""
    if isinstance(x, float) or (isinstance(x, ARRAYS) and x.dtype.kind == "f"):
        return
    if isinstance(x, Module):
        raise TypeError(
            f"{path} is a {type(x).__name__}, a module: it is no nested structure; pass its "
            "parameters in one, e.g. {'W': layer.weight.data, 'b': layer.bias.data}, to a "
            "function that computes with them, or call loss.backward() for each parameter's .grad"
        )
    if isinstance(x, (*ARRAYS, int, complex)):
        dtype = np.result_type(x)
        kind = KINDS.get(dtype.kind, str(dtype))
        what = "array" if np.ndim(x) else "number"
        raise TypeError(
            f"{path} is {'an' if kind[0] in 'io' else 'a'} {kind} {what}: a derivative needs "
            "floating-point values; write 3.0 for 3, use .astype(float), or leave out what is "
            "not to be differentiated"
        )
    raise TypeError(
        f"{path} is a {type(x).__name__}; accepted are floating-point arrays, Tensors and "
        "numbers, and dicts, lists, tuples and namedtuples of them"
    )


def conforming(tree: Any, vectors: Any, path: str, vectors_path: str) -> list[Any]:
    """Return the leaves of a tangent or cotangent, which has to look like `tree`.

    A Python number has no dtype of its own and takes that of its place.
    """
    found = []
    for x_path, x, v_path, v in trees.paired_leaves(tree, vectors, path, vectors_path):
        check_floating(x_path, x)
        shape, dtype = np.shape(x), np.result_type(x)
        if type(v) in (int, float):
            v = np.asarray(v, dtype)
        check_floating(v_path, v)
        if v.shape != shape or v.dtype != dtype:
            raise (ValueError if v.shape != shape else TypeError)(
                f"{v_path} has shape {v.shape} and dtype {v.dtype}, but {x_path} has shape "
                f"{shape} and dtype {dtype}; they must be equal"
            )
        found.append(v)
    return found
