"""Inputs of every kind of shape, for the checks of the table."""

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

# A function of Tensors or arrays, and the arrays to check it on.
Case = tuple[Callable[..., Any], tuple[Any, ...]]
# NumPy function, or a row that NumPy has no function for -> its cases.
Cases = dict[Hashable, list[Case]]

SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3), (0, 3)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()), ((3,), (3,)), ((2, 3), (2, 3)),
    ((), (2, 3)), ((3,), (2, 1)), ((2, 1, 3), (4, 1)), ((1, 3), (2, 3)), ((0, 3), (3,)),
]  # fmt: skip


def sample(*shape: int, low: float = 0.4, high: float = 1.9, seed: int = 0) -> Any:
    """Positive, away from 0, 1 and from each other's values: no kink is near."""
    rng = np.random.default_rng((seed, *shape))
    return rng.uniform(low, high, shape)


def signed(*shape: int, seed: int = 0) -> Any:
    return sample(*shape, seed=seed) * np.where(sample(*shape, seed=seed + 1) > 1.1, 1.0, -1.0)


def inside(*shape: int, seed: int = 0) -> Any:
    """Between -1 and 1, not near either."""
    return signed(*shape, seed=seed) / 2.2


def beyond(*shape: int, seed: int = 0) -> Any:
    """Above 1, not near it."""
    return sample(*shape, seed=seed) + 1


def spaced(*shape: int) -> Any:
    """In no order, and 0.1 or more apart: moving one by a little changes no order."""
    n = int(np.prod(shape))
    return (
        np.random.default_rng(n).permutation(np.linspace(-0.95, 0.1 * n - 0.95, n)).reshape(shape)
    )


def strided(make: Callable[..., Any], *shape: int) -> Any:
    """The transpose of every second row: in no order that memory knows."""
    *others, n, m = shape
    return make(*others, 2 * m, n)[..., ::2, :].swapaxes(-1, -2)


def unary(f: Callable[..., Any], make: Callable[..., Any] = signed) -> list[Case]:
    return [(f, (make(*shape),)) for shape in SHAPES] + [(f, (strided(make, 3, 2),))]


def binary(
    f: Callable[..., Any], make: Callable[..., Any] = signed, pairs: Any = PAIRS
) -> list[Case]:
    return [(f, (make(*a), make(*b, seed=5))) for a, b in pairs] + [
        (f, (strided(make, 3, 3), make(3, 3, seed=5)))
    ]


def squared(f: Callable[..., Any]) -> Callable[..., Any]:
    """Of a linear f, so that its second derivative is not 0; a tuple of all that f returns."""

    def result(*xs: Any) -> Any:
        z = f(*xs)
        return tuple(part**2 for part in z) if isinstance(z, tuple | list) else z**2

    return result


def linear(f: Callable[..., Any], *inputs: Any, options: Any = ({},)) -> list[Case]:
    """Check f with each of the options, on each of the inputs or tuples of inputs."""
    return [
        (squared(lambda *xs, o=o: f(*xs, **o)), x if isinstance(x, tuple) else (x,))
        for x in inputs
        for o in options
    ]
