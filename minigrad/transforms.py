"""Functions in, derivatives out.

With J = ∂f/∂x the Jacobian of f at x, everything here is made of one thing, the walk back:

    vjp        u ↦ Jᵀ u                one walk
    grad       ∇f = Jᵀ 1               one walk, f has one number as its result
    jacobian   row i of J is Jᵀ eᵢ     one walk for each element of the result
    jvp        v ↦ J v                 u ↦ Jᵀ u is linear, and its transpose is J: two walks
    hvp        v ↦ H v                 the vjp of the gradient, since H = Hᵀ: two walks
    hessian    H = ∂(∇f)/∂x            the Jacobian of the gradient

Arguments, results of f, and with them tangents u and v, may be nested: dicts, lists, tuples and
namedtuples of arrays, Tensors and floats (`trees`).  None is a structure without entries.

Arrays in, arrays out.  But inside another transform, and for an argument that is a Tensor in a
graph, results are Tensors of that graph, so that transforms nest to any order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import trees
from minigrad.arguments import arranged, as_tuple, conforming, name_of, positions
from minigrad.backward import backpropagate
from minigrad.pullback import (
    gradient_of,
    in_a_graph,
    jacobian_arrays,
    jacobian_tensors,
    plain,
    pull_back,
    record,
    results,
    zero_cotangent,
)
from minigrad.recording import mode
from minigrad.tensor import Tensor

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Return a function that computes f and its gradient in one go.

    Parameters
    ----------
    f : callable
        Returns a scalar.  It may use other Tensors; they count as constants, and their `grad`
        is left alone.
    argnums : int or sequence of int
        Which positional arguments to differentiate: arrays, numbers or Tensors of a
        floating-point type, or nested dicts, lists and tuples of them.
    has_aux : bool
        Whether f returns ``(scalar, auxiliary)``; the second is handed through, whatever it is.

    Returns
    -------
    callable
        Takes the arguments of f and returns ``(value, gradient)``, or
        ``((value, auxiliary), gradient)``.  The gradient has the structure of the argument, and
        each leaf its shape and dtype; it is a tuple of such gradients if `argnums` is a
        sequence.  All are NumPy arrays (the value a scalar).  Inside another transform, and for
        an argument that is a Tensor in a graph, they are Tensors of that graph: transforms nest
        to any order.

    Raises
    ------
    TypeError
        If a leaf of an argument to differentiate is no floating-point array or number (the
        message has the path to it), or f returns no number, or with `has_aux` no pair.
    ValueError
        If f returns anything but one element, or an argument is missing or named twice.

    Examples
    --------
    >>> value, gradient = value_and_grad(lambda x: (x**2).sum())(np.array([1.0, 2.0]))
    >>> float(value), gradient
    (5.0, array([2., 4.]))
    >>> parameters = {"w": np.array([1.0, 2.0]), "b": 0.5}
    >>> grad(lambda p: 3.0 * p["w"].sum() + p["b"] ** 2)(parameters)
    {'w': array([3., 3.]), 'b': array(1.)}
    """
    name = name_of(f)

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        wanted = positions(argnums, args, name)
        output, variables, nested = record(f, args, kwargs, wanted)
        auxiliary = None
        if has_aux:
            if not isinstance(output, tuple) or len(output) != 2:
                raise TypeError(
                    f"{name} returned a {type(output).__name__}; with has_aux=True it returns a "
                    "pair (scalar, auxiliary)"
                )
            output, auxiliary = output
        if isinstance(output, int | float | np.ndarray | np.generic):
            output = Tensor(output)
        elif not isinstance(output, Tensor):
            pair = isinstance(output, tuple) and len(output) == 2
            hint = "; for a pair (scalar, auxiliary) use has_aux=True" if pair else ""
            raise TypeError(
                f"{name} returned a {type(output).__name__}; a gradient is that of one number{hint}"
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
        gradients = arranged((gradient_of(found, x, nested) for x in variables), argnums, args)
        value = output if nested else output.data.reshape(())[()]
        if has_aux:
            return (value, auxiliary if nested else plain(auxiliary)), gradients
        return value, gradients

    return evaluate


def grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the gradient of f as a function; see `value_and_grad`.

    With `has_aux`, the function returns ``(gradient, auxiliary)``.

    Examples
    --------
    >>> cube = lambda x: x**3
    >>> grad(cube)(2.0), grad(grad(cube))(2.0)
    (array(12.), array(12.))
    """
    evaluate = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = evaluate(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Return f's value and its pullback, u ↦ Jᵀ u: the vector-Jacobian product.

    Parameters
    ----------
    f : callable
        Returns floating-point arrays or numbers of any shape, also nested.
    *primals : arrays, nested
        f's arguments, all of them differentiated.

    Returns
    -------
    value : arrays, nested
        ``f(*primals)``.
    pullback : callable
        Takes a cotangent u, of the structure, shapes and dtypes of `value`, and returns a tuple
        with Jᵀ u for each argument, of the argument's structure.  It may be called any number of
        times: f has run once, and its graph lives as long as the pullback.  What it needs is its
        own: the caller may change the primals and the value, but not arrays that f closes over.

    Raises
    ------
    TypeError
        If a leaf of an argument or of f's result is no floating-point array or number, or a
        cotangent has another dtype.
    ValueError
        If there is no argument, or a cotangent has another structure or shape.

    Examples
    --------
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> value, pullback = vjp(lambda x: A @ x, np.array([1.0, 1.0]))
    >>> value, pullback(np.array([1.0, 0.0]))  # a row of A
    (array([3., 7.]), (array([1., 2.]),))
    """
    if not primals:
        raise ValueError("vjp() needs at least one argument of f to differentiate")
    output, variables, nested = record(f, primals, {}, range(len(primals)))
    place = f"the result of {name_of(f)}"
    outputs = results(output, place)
    # What the pullback needs is its own: the caller may change the primals and the value.
    arguments = trees.with_leaves(primals, variables)
    value = trees.with_leaves(output, outputs if nested else [z.data.copy() for z in outputs])

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        us = conforming(output, cotangent, place, "the cotangent")
        create_graph = mode.recording and (nested or in_a_graph(us))
        gradients = pull_back(outputs, us, variables, create_graph)
        return tuple(trees.with_leaves(arguments, gradients))

    return value, pullback


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Return f's value and its derivative in a direction, J v: the Jacobian-vector product.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    primals : tuple or arrays, nested
        f's arguments, in a tuple.  What is no tuple is the only argument.
    tangents : tuple or arrays, nested
        v: of the structure, shapes and dtypes of `primals`.

    Returns
    -------
    value, tangent : arrays, nested
        ``f(*primals)`` and J v, of the structure, shapes and dtypes of f's result.

    Raises
    ------
    TypeError, ValueError
        As `vjp`; before f has run, if a tangent does not fit its argument.

    Notes
    -----
    There is no second set of rules for going forward.  The pullback u ↦ Jᵀ u is a function made
    of the same operations as any other, and linear, so its Jacobian is Jᵀ whatever u is.  The
    pullback of the pullback is then v ↦ (Jᵀ)ᵀ v = J v.  That is one walk back to record the
    pullback, at u = 0, and a second one through what it recorded.  So every operation in f has
    to be one whose VJP can itself be differentiated, as for second derivatives.

    Examples
    --------
    >>> jvp(np.square, np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    >>> value, tangent = jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    >>> float(value), float(tangent)
    (12.0, 4.0)
    """
    conforming(primals, tangents, "primals", "tangents")
    value, pullback = vjp(f, *as_tuple(primals))
    u = trees.with_leaves(value, [zero_cotangent(z) for _, z in trees.leaves(value)])
    _, transposed = vjp(pullback, u)
    (tangent,) = transposed(as_tuple(tangents))
    return value, tangent


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the Jacobian of f as a function.

    f runs once, then the walk back runs once for each element of its result.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    argnums : int or sequence of int
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes the arguments of f and returns ∂f/∂x, of f's result's shape followed by the
        argument's shape, and of the argument's dtype; a tuple of such if `argnums` is a
        sequence.  Nested: the structure of the result, and in the place of each leaf of it the
        structure of the argument.

    Raises
    ------
    TypeError, ValueError
        As `value_and_grad` for the arguments, and as `vjp` for what f returns.

    Examples
    --------
    >>> jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """
    name = name_of(f)

    @functools.wraps(f)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        wanted = positions(argnums, args, name)
        output, variables, nested = record(f, args, kwargs, wanted)
        rows = jacobian_tensors if nested else jacobian_arrays
        return trees.with_leaves(
            output,
            [
                arranged(rows(z, variables), argnums, args)
                for z in results(output, f"the result of {name}")
            ],
        )

    return evaluate


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Return the matrix of second derivatives of f as a function: the Jacobian of the gradient.

    For a product H v with a vector, `hvp` is far cheaper.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    argnums : int or sequence of int
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes the arguments of f and returns ∂²f/∂x∂x, of the argument's shape twice over; a
        tuple of tuples of such if `argnums` is a sequence.  Nested: the structure of the
        argument, and in the place of each leaf of it the structure of the argument again.

    Raises
    ------
    TypeError, ValueError
        As `value_and_grad`.

    Examples
    --------
    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """Return the Hessian of f times a vector, H v, without ever forming H.

    Parameters
    ----------
    f : callable
        Returns a scalar.
    primals : tuple or arrays, nested
        f's arguments, in a tuple.  What is no tuple is the only argument.
    tangents : tuple or arrays, nested
        v: of the structure, shapes and dtypes of `primals`.

    Returns
    -------
    tuple or arrays, nested
        H v, of the structure, shapes and dtypes of `primals`.

    Raises
    ------
    TypeError, ValueError
        As `value_and_grad`; before f has run, if a tangent does not fit its argument.

    Notes
    -----
    H is the Jacobian of the gradient and equals its transpose, so H v = Hᵀ v is a
    vector-Jacobian product: one walk back for the gradient, recorded, and one through both.

    Examples
    --------
    >>> hvp(lambda x: (x**3).sum(), np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """
    conforming(primals, tangents, "primals", "tangents")
    arguments = as_tuple(primals)
    _, pullback = vjp(grad(f, range(len(arguments))), *arguments)
    products = pullback(as_tuple(tangents))
    return products if type(primals) is tuple else products[0]
