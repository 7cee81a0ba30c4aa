"""A function recorded at a point, and the way back from its results to its variables.

The transforms are made of three steps: `record` runs f on variables in the place of its arguments;
`results` takes what f returned apart; `pull_back`, or one of the two that build a Jacobian row by
row, walks back from there to the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import primitives, trees
from minigrad.arguments import check_floating
from minigrad.backward import backpropagate
from minigrad.primitive import Primitive, Variadic, bare
from minigrad.recording import enable_grad, mode
from minigrad.tensor import Tensor

__all__ = [
    "gradient_of", "in_a_graph", "jacobian_arrays", "jacobian_tensors", "plain", "pull_back",
    "record", "results", "zero_cotangent",
]  # fmt: skip


def in_a_graph(xs: Iterable[Any]) -> bool:
    """Whether results belong to a graph that is there already."""
    return mode.transforms > 0 or any(isinstance(x, Tensor) and x.requires_grad for x in xs)


def record(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wanted: Sequence[int]
) -> tuple[Any, list[Tensor], bool]:
    """Run f with variables for the leaves of the wanted arguments.

    Parameters
    ----------
    f : callable
        The function.
    args, kwargs : tuple and dict
        All its arguments.
    wanted : sequence of int
        Positions in `args` of those to differentiate.

    Returns
    -------
    output, variables, nested
        Whatever f returned, the variables in order, and whether the derivatives are to be
        Tensors of a graph around this one.

    Raises
    ------
    TypeError
        If a leaf has no derivative; before f runs.
    """
    found = [pair for n in wanted for pair in trees.leaves(args[n], f"argument {n}")]
    for path, x in found:
        check_floating(path, x)
    recording = mode.recording
    nested = recording and in_a_graph(x for _, x in found)
    arguments = list(args)
    with enable_grad():
        variables = [_variable(x, recording) for _, x in found]
        leaf = iter(variables)
        for n in wanted:
            arguments[n] = trees.with_leaves(args[n], leaf)
        mode.transforms += 1
        try:
            output = f(*arguments, **kwargs)
        finally:
            mode.transforms -= 1
    return output, variables, nested


def _variable(x: Any, connected: bool) -> Tensor:
    """A variable of its own, so that f's use of this argument is told from any other use of it.

    If `connected`, the variable for a Tensor in a graph is part of that graph.
    """
    if isinstance(x, Tensor) and x.requires_grad and connected:
        return primitives.positive(x)
    return Tensor(bare(x), requires_grad=True)


def results(output: Any, place: str) -> list[Tensor]:
    """Return the leaves of what f returned, constants as Tensors too."""
    found = []
    for path, z in trees.leaves(output, place):
        check_floating(path, z)
        found.append(z if isinstance(z, Tensor) else Tensor(z))
    return found


def plain(tree: Any) -> Any:
    """Replace every Tensor in a nested structure by an array of its own."""
    return trees.with_leaves(
        tree, [x.data.copy() if isinstance(x, Tensor) else x for _, x in trees.leaves(tree)]
    )


# All outputs as one, that sends each of them its cotangent: so one walk serves them all.
join = Primitive(
    lambda *zs, cotangents: np.zeros(()),
    Variadic(lambda i, g, z, *zs, cotangents: cotangents[i]),
    name="join",
)


def pull_back(
    outputs: list[Tensor], cotangents: list[Any], variables: list[Tensor], create_graph: bool
) -> list[Any]:
    """Jᵀ u for every variable, where u is a cotangent for every output."""
    found: dict[Tensor, Any] = {}
    if any(z.requires_grad for z in outputs):
        us = [bare(u) for u in cotangents]
        if create_graph:
            us = [u if isinstance(u, Tensor) else Tensor(u) for u in cotangents]
        with enable_grad():
            joined = join(*outputs, cotangents=us)
            found = backpropagate(joined, targets=set(variables), create_graph=create_graph)
    return [gradient_of(found, x, create_graph) for x in variables]


def gradient_of(found: dict[Tensor, Any], x: Tensor, nested: bool) -> Any:
    """What the walk back found for x, as an array of its own or a Tensor; 0 if nothing."""
    if x not in found:
        zero = np.zeros(x.shape, x.dtype)
        return Tensor(zero) if nested else zero
    return found[x] if nested else np.array(found[x], order="C")


def zero_cotangent(z: Any) -> Any:
    """0, and for a Tensor in a graph one that keeps what is computed with it in the graph."""
    zero = np.zeros(z.shape, z.dtype)
    return Tensor(zero, requires_grad=True) if isinstance(z, Tensor) else zero


def _unit_cotangents(z: Tensor) -> Iterator[npt.NDArray[Any]]:
    """e₀, e₁, ...: arrays of z's shape with a 1 in one place."""
    for i in range(z.size):
        unit = np.zeros(z.shape, z.dtype)
        unit.flat[i] = 1
        yield unit


def jacobian_arrays(z: Tensor, variables: list[Tensor]) -> list[npt.NDArray[Any]]:
    """∂z/∂x for every variable, row by row into arrays that are there from the start."""
    jacobians = [np.zeros((z.size, *x.shape), x.dtype) for x in variables]
    if z.requires_grad:
        targets = set(variables)
        for i, unit in enumerate(_unit_cotangents(z)):
            found = backpropagate(z, unit, targets=targets)
            for rows, x in zip(jacobians, variables, strict=True):
                if x in found:
                    rows[i] = found[x]
    return [rows.reshape(z.shape + x.shape) for rows, x in zip(jacobians, variables, strict=True)]


def jacobian_tensors(z: Tensor, variables: list[Tensor]) -> list[Tensor]:
    """∂z/∂x for every variable, as Tensors of the graph around them."""
    if not z.size:
        return [Tensor(np.zeros(z.shape + x.shape, x.dtype)) for x in variables]
    rows = [pull_back([z], [unit], variables, True) for unit in _unit_cotangents(z)]
    return [
        primitives.concatenate(*(row.reshape(1, *x.shape) for row in column)).reshape(
            z.shape + x.shape
        )
        for x, column in zip(variables, zip(*rows, strict=True), strict=True)
    ]
