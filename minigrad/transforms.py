"""Functions in, functions out: a function's gradient as another function."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import primitives
from minigrad.backward import backpropagate
from minigrad.recording import enable_grad, mode
from minigrad.tensor import Tensor

__all__ = ["grad", "value_and_grad"]


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes f and its gradient in one go.

    Parameters
    ----------
    f : callable
        Returns a scalar.  It may use other Tensors; they count as constants, and their `grad`
        is left alone.
    argnums : int or sequence of int
        Which positional arguments to differentiate: arrays, numbers or Tensors of a
        floating-point type.

    Returns
    -------
    callable
        Takes the arguments of f and returns ``(value, gradient)``, the gradient of the shape and
        dtype of the argument, or a tuple of them if `argnums` is a sequence.  Both are NumPy
        arrays (the value a scalar).  Inside another transform, and for an argument that is a
        Tensor in a graph, they are Tensors of that graph: transforms nest to any order.

    Raises
    ------
    TypeError
        If an argument to differentiate is an integer, or f returns no number.
    ValueError
        If f returns anything but one element, or an argument is missing or named twice.

    Examples
    --------
    >>> value, gradient = value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    """
    wanted = tuple(argnums) if isinstance(argnums, Sequence) else (operator.index(argnums),)
    name = getattr(f, "__name__", repr(f))

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        for n in wanted:
            if not -len(args) <= n < len(args):
                raise ValueError(
                    f"argnums={argnums}: {name} was called with {len(args)} positional argument(s)"
                )
        if len({n % len(args) for n in wanted}) < len(wanted):
            raise ValueError(f"argnums={argnums}: names an argument of {name} twice")
        nested = mode.recording and (
            mode.transforms > 0
            or any(isinstance(args[n], Tensor) and args[n].requires_grad for n in wanted)
        )
        arguments = list(args)
        variables = []
        with enable_grad():
            for n in wanted:
                # A variable of its own, so that f's use of this argument is told from any other
                # use of the same tensor; a Tensor's variable stays connected to the outer graph.
                x = args[n]
                arguments[n] = (
                    primitives.positive(x)
                    if isinstance(x, Tensor) and x.requires_grad
                    else Tensor(x.data if isinstance(x, Tensor) else x, requires_grad=True)
                )
                variables.append(arguments[n])
            mode.transforms += 1
            try:
                output = f(*arguments, **kwargs)
            finally:
                mode.transforms -= 1
            if isinstance(output, int | float | np.ndarray | np.generic):
                output = Tensor(output)
            elif not isinstance(output, Tensor):
                raise TypeError(
                    f"{name} returned a {type(output).__name__}; a gradient is that of one number"
                )
            if output.size != 1:
                raise ValueError(
                    f"{name} returned shape {output.shape}; a gradient is that of one number, "
                    "reduce it first, e.g. with .sum() or .mean()"
                )
            found = (
                backpropagate(output, targets=set(variables), create_graph=nested)
                if output.requires_grad
                else {}
            )
        gradients = tuple(_gradient(found, x, nested) for x in variables)
        value = output if nested else output.data.reshape(())[()]
        return value, gradients if isinstance(argnums, Sequence) else gradients[0]

    return evaluate


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the gradient of f as a function; see `value_and_grad`.

    Examples
    --------
    >>> cube = lambda x: x**3
    >>> grad(cube)(2.0), grad(grad(cube))(2.0)
    (array(12.), array(12.))
    """
    evaluate = value_and_grad(f, argnums)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return evaluate(*args, **kwargs)[1]

    return gradient


def _gradient(found: dict[Tensor, Any], x: Tensor, nested: bool) -> Any:
    if x not in found:
        zero = np.zeros(x.shape, x.dtype)
        return Tensor(zero) if nested else zero
    return found[x] if nested else np.array(found[x], order="C")
