"""Properties of the derivatives of an expression: each is a function that raises AssertionError.

`slope` is the numerical side; everything else is minigrad's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from expressions import Expression
from hypothesis import assume

from minigrad import Tensor, backpropagate, grad, hvp, jvp, no_grad, vjp
from minigrad.primitive import bare

EPS = float(np.finfo(np.float64).eps)
STEP = 2.0**-10  # near the fifth root of EPS, where truncation and rounding balance
ROUNDING = 100 * EPS  # of the largest number that is added up: a few dozen steps of a few roundings

Arrays = tuple[Any, ...]


def dot(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    return float(sum(np.sum(x * y) for x, y in zip(xs, ys, strict=True)))


def size(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    """The sum of the absolute values that make the dot product."""
    return dot([np.abs(x) for x in xs], [np.abs(y) for y in ys])


def flat(xs: Sequence[Any]) -> Any:
    return np.concatenate([np.ravel(bare(x)) for x in xs])


def like(xs: Sequence[Any], seed: int, whole: bool = False) -> Arrays:
    """A direction, or cotangents: arrays of these shapes, of numbers between -1 and 1."""
    rng = np.random.default_rng(seed)
    return tuple(
        np.asarray(rng.integers(-2, 3, x.shape) * 1.0 if whole else rng.uniform(-1, 1, x.shape))
        for x in map(np.asarray, map(bare, xs))
    )


def contracted(f: Callable[..., Any], weights: Arrays) -> Callable[..., Any]:
    """Σ ⟨weight, result⟩: one number that depends on every element of every result."""
    return lambda *xs: sum(np.sum(w * z) for w, z in zip(weights, f(*xs), strict=True))


def scalar(expression: Expression, whole: bool = False) -> Callable[..., Any]:
    return contracted(expression, like(expression(*expression.leaves), 1, whole))


def moved(expression: Expression, v: Arrays, t: float) -> list[Any]:
    return [x + t * d for x, d in zip(expression.leaves, v, strict=True)]


def slope(
    f: Callable[..., Any], expression: Expression, v: Arrays, step: float = STEP
) -> tuple[Any, Any]:
    """d/dt f(x + t v), by the five-point stencil, and how far it may be off.

    Truncation: the error is c h⁴ and with twice the step 16 times that, so the two differ by 15 of
    the smaller error.  (Two of it are allowed, for the next term, of order h⁶.)  Rounding: three
    halves of that of f, over h; f is allowed some 10 roundings of its largest value.
    """
    at = {
        t: flat(f(*map(Tensor, moved(expression, v, t * step)))) for t in (-4, -2, -1, 1, 2, 4)
    }
    fine = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
    coarse = (8 * (at[2] - at[-2]) - (at[4] - at[-4])) / (24 * step)
    truncation = np.abs(fine - coarse) / 15
    largest = max(1.0, np.max(np.abs(at[1]), initial=0))
    return fine, 2 * truncation + 16 * EPS * largest / step


def away_from_kinks(expression: Expression, v: Arrays) -> None:
    """Discard an expression with a kink between the points of the stencil."""
    here = expression.sides(expression.leaves)
    for t in (-4, 4):
        there = expression.sides(moved(expression, v, t * STEP))
        assume(all(np.array_equal(a, b) for a, b in zip(here, there, strict=True)))


def backward_of(
    expression: Expression,
    weights: dict[int, Any],
    order: Sequence[int] | None = None,
    create_graph: bool = False,
) -> tuple[list[Any], float]:
    """The gradients of Σ ⟨weight, node⟩, and the largest one in the graph."""
    leaves = [Tensor(x, requires_grad=True) for x in expression.leaves]
    nodes = expression.nodes(leaves, order)
    total = sum(np.sum(w * nodes[i]) for i, w in weights.items())
    kept: dict[Tensor, Any] = {}
    found = backpropagate(total, keep=kept, create_graph=create_graph)
    gradients = [bare(found.get(x, np.zeros(x.shape))) for x in leaves]
    largest = np.max(np.abs(flat([*kept.values(), *gradients])))
    return gradients, max(1.0, float(largest))


def weights_of(expression: Expression, nodes: Sequence[int], seed: int, whole: bool = False) -> Any:
    values = expression.nodes(expression.leaves)
    return dict(zip(nodes, like([values[i] for i in nodes], seed, whole), strict=True))


def check_reverse(expression: Expression) -> None:
    """⟨∇F, v⟩ is the slope of F along v."""
    x, v = expression.leaves, like(expression.leaves, 0)
    away_from_kinks(expression, v)
    u = like(expression(*x), 1)
    numeric, error = slope(expression, expression, v)
    assume(np.max(error) < 1e-7)
    gradient = grad(contracted(expression, u), range(len(x)))(*x)
    assert abs(dot(gradient, v) - flat(u) @ numeric) <= np.abs(flat(u)) @ error


def check_forward(expression: Expression) -> None:
    """J v is the slope of every result along v."""
    v = like(expression.leaves, 0)
    away_from_kinks(expression, v)
    numeric, error = slope(expression, expression, v)
    assume(np.max(error) < 1e-7)
    tangent = flat(jvp(expression, expression.leaves, v)[1])
    assert np.all(np.abs(tangent - numeric) <= error)


def check_transposition(expression: Expression) -> None:
    """⟨u, J v⟩ = ⟨Jᵀ u, v⟩."""
    x, v = expression.leaves, like(expression.leaves, 0)
    value, pullback = vjp(expression, *x)
    u = like(value, 1)
    gradient, tangent = pullback(u), jvp(expression, x, v)[1]
    scale = 1 + size(gradient, v) + size(u, tangent)
    assert abs(dot(gradient, v) - dot(u, tangent)) <= ROUNDING * scale


def check_second(expression: Expression) -> None:
    """H v is the slope of the gradient along v, and ⟨u, H v⟩ = ⟨H u, v⟩."""
    x, v, u = expression.leaves, like(expression.leaves, 0), like(expression.leaves, 2)
    away_from_kinks(expression, v)
    F = scalar(expression)
    numeric, error = slope(grad(F, range(len(x))), expression, v)
    assume(np.max(error) < 1e-6)
    hv, hu = hvp(F, x, v), hvp(F, x, u)
    assert np.all(np.abs(flat(hv) - numeric) <= error)
    scale = 1 + size(u, hv) + size(hu, v)
    assert abs(dot(u, hv) - dot(hu, v)) <= ROUNDING * scale


def check_sum(expression: Expression) -> None:
    """∇(f + g) = ∇f + ∇g, where f depends on the last node and g on every second one."""
    last = len(expression.leaves) + len(expression.steps) - 1
    f = weights_of(expression, [last], 0)
    g = weights_of(expression, range(0, last, 2), 1)
    separate = [backward_of(expression, part) for part in (f, g)]
    together, scale = backward_of(expression, f | g)
    scale = max(scale, *(size for _, size in separate))
    for a, b, c in zip(together, *(gradients for gradients, _ in separate), strict=True):
        assert np.all(np.abs(a - (b + c)) <= ROUNDING * scale)


def check_order(expression: Expression) -> None:
    """Made in another order, the same graph has the same gradients, but for rounding."""
    weights = weights_of(expression, expression.results, 1)
    expected, scale = backward_of(expression, weights)
    rng = np.random.default_rng(0)
    for _ in range(3):
        gradients, _ = backward_of(expression, weights, expression.order(rng))
        for a, b in zip(gradients, expected, strict=True):
            assert np.all(np.abs(a - b) <= ROUNDING * scale)


def check_exactly(expression: Expression) -> None:
    """Without rounding: any order, gradients and slopes, and both halves of H, are equal.

    The five-point stencil is exact for polynomials of degree 4, also with a step of 1.
    """
    x = expression.leaves
    weights = weights_of(expression, expression.results, 1, whole=True)
    expected, largest = backward_of(expression, weights)
    assume(largest < 2**45)
    rng = np.random.default_rng(0)
    for _ in range(3):
        gradients, _ = backward_of(expression, weights, expression.order(rng))
        assert all(map(np.array_equal, gradients, expected))
    v, u = like(x, 0, whole=True), like(x, 2, whole=True)
    F = scalar(expression, whole=True)
    numeric, _ = slope(lambda *xs: (F(*xs),), expression, v, step=1.0)
    assert dot(expected, v) == numeric.item()
    assert float(jvp(F, x, v)[1]) == numeric.item()
    assert dot(u, hvp(F, x, v)) == dot(hvp(F, x, u), v)


def check_create_graph(expression: Expression) -> None:
    """VJPs on Tensors give the bits of those on arrays."""
    weights = weights_of(expression, expression.results, 1)
    on_arrays, _ = backward_of(expression, weights)
    on_tensors, _ = backward_of(expression, weights, create_graph=True)
    assert all(map(np.array_equal, on_tensors, on_arrays))


def check_twice(expression: Expression) -> None:
    """A second walk over a graph doubles every gradient; without a graph, values are the same."""
    leaves = [Tensor(x, requires_grad=True) for x in expression.leaves]
    F = scalar(expression)
    loss = F(*leaves)
    loss.backward()
    once = [leaf.grad for leaf in leaves]
    loss.backward()
    for leaf, g in zip(leaves, once, strict=True):
        assert (leaf.grad is None) == (g is None)
        assert g is None or np.array_equal(leaf.grad, 2 * g)
    with no_grad():
        again = F(*leaves)
    assert not again.requires_grad
    assert again.data == loss.data
