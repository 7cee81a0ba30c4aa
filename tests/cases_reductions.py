"""What reductions and cumulative sums and products are checked on."""
# ruff: noqa: RUF005  cases are added up

from collections.abc import Callable
from typing import Any

import numpy as np
from samples import Case, Cases, sample, signed, spaced, strided

from minigrad import primitives

AXES: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": 1, "keepdims": True},
    {"axis": None, "keepdims": True}, {"axis": (-1, -2)}, {"axis": (2, 0), "keepdims": True},
]  # fmt: skip


def reductions(
    f: Callable[..., Any],
    make: Callable[..., Any] = signed,
    options: Any = AXES,
    of_nothing: bool = False,
) -> list[Case]:
    """Check f over axes of a stack, a vector, a number, and of arrays that are empty or strided."""
    return [
        *((lambda x, o=o: f(x, **o), (make(2, 3, 4),)) for o in options),
        (f, (make(),)),
        (f, (make(3),)),
        (lambda x: f(x, axis=1), (strided(make, 3, 4),)),
        (lambda x: f(x, axis=1), (make(0, 3),)),
        *([(lambda x: f(x, axis=0), (make(0, 3),))] if of_nothing else []),
    ]


def along(f: Callable[..., Any]) -> list[Case]:
    """Check f, which keeps the shape, along each axis."""
    return [
        (f, (signed(4),)),
        (lambda x: f(x, axis=0), (signed(1, 2),)),
        (lambda x: f(x, axis=1), (strided(signed, 3, 5),)),
        (lambda x: f(x, axis=-1), (signed(2, 2, 3),)),
        (lambda x: f(x, axis=0), (signed(0, 3),)),
        (lambda x: f(x, axis=1), (signed(0, 3),)),
    ]


def with_zeros(*shape: int) -> Any:
    x = signed(*shape)
    x.flat[::3] = 0.0
    return x


NO_AXIS: list[dict[str, Any]] = [{"axis": ()}]

REDUCTIONS: Cases = {
    np.sum: reductions(np.sum, options=AXES + NO_AXIS, of_nothing=True)
    + [(lambda x: x.sum((0, 1)) ** 2, (signed(2, 3, 2),))],
    np.mean: reductions(np.mean, options=AXES + NO_AXIS)
    + [(lambda x: x.mean(1, keepdims=True) ** 2, (signed(2, 3),))],
    np.max: reductions(np.max, make=spaced)
    + [(lambda x: x.max(1, keepdims=True) ** 2, (spaced(2, 3),))],
    np.min: reductions(np.min, make=spaced)
    + [(lambda x: x.min((0, 1)) ** 2, (spaced(2, 3),))],
    np.amax: [(lambda x: np.amax(x, axis=0) ** 2, (spaced(2, 3),))],
    np.amin: [(lambda x: np.amin(x, axis=0) ** 2, (spaced(2, 3),))],
    np.ptp: reductions(np.ptp, make=spaced),
    primitives.logsumexp: reductions(primitives.logsumexp),
    primitives.norm: reductions(primitives.norm, options=AXES),
    np.prod: reductions(np.prod, options=AXES + NO_AXIS, of_nothing=True)
    + reductions(np.prod, make=with_zeros)
    + [
        (np.prod, (np.array([2.0, 0.0, 3.0, 0.0, 5.0]),)),
        (lambda x: x.prod(axis=0) ** 2, (signed(7, 2),)),
    ],
    np.var: reductions(np.var)
    + [
        (lambda x: np.var(x, axis=0, ddof=1), (signed(4, 2),)),
        (lambda x: np.var(x, correction=1.5), (signed(2, 3),)),
        (lambda x: x.var(axis=(0, 1), ddof=1, keepdims=True), (signed(2, 3),)),
    ],
    # Of one element the deviation is 0, where the root has no second derivative.
    np.std: reductions(np.std)[:-4]
    + [
        (np.std, (signed(3),)),
        (lambda x: np.std(x, axis=1), (signed(0, 3),)),
        (lambda x: np.std(x, axis=0, ddof=1), (signed(4, 2),)),
        (lambda x: np.std(x, axis=1, dtype=None, correction=0.5), (strided(signed, 3, 4),)),
        (lambda x: x.std(axis=(0, 1), ddof=1, keepdims=True), (signed(2, 3),)),
    ],
    np.average: [
        (np.average, (signed(2, 3),)),
        (lambda x: np.average(x, 1) ** 2, (signed(2, 3),)),
        (lambda x, w: np.average(x, weights=w), (signed(2, 3), sample(2, 3))),
        (lambda x, w: np.average(x, axis=0, weights=w), (signed(3, 2), sample(3))),
        (lambda x, w: np.average(x, axis=-1, weights=w, keepdims=True), (signed(3, 2), sample(2))),
    ],
    np.cumsum: along(lambda x, **o: np.cumsum(x, **o) ** 2)
    + [(lambda x: x.cumsum() ** 2, (signed(2, 3),)), (np.cumsum, (signed(),))],
    np.cumprod: along(np.cumprod)
    + [
        (np.cumprod, (with_zeros(7),)),
        (lambda x: x.cumprod(), (with_zeros(2, 3),)),
        (lambda x: np.cumprod(x, axis=0), (with_zeros(4, 2),)),
        (np.cumprod, (signed(),)),
    ],
    np.cumulative_sum: [
        (lambda x: np.cumulative_sum(x) ** 2, (signed(4),)),
        (lambda x: np.cumulative_sum(x, axis=1) ** 2, (signed(2, 3),)),
    ],
    np.cumulative_prod: [
        (np.cumulative_prod, (signed(4),)),
        (lambda x: np.cumulative_prod(x, axis=0), (signed(2, 3),)),
    ],
    np.linalg.norm: [
        *reductions(np.linalg.norm, options=[{}, *AXES[1:4]])[:-4],
        (np.linalg.norm, (signed(3),)),
        *((lambda x, o=o: np.linalg.norm(x, **o), (spaced(4, 3) + 0.02,)) for o in (
            {}, {"ord": "fro"}, {"ord": 1}, {"ord": -1}, {"ord": np.inf}, {"ord": -np.inf},
            {"ord": 1, "axis": 0}, {"ord": np.inf, "axis": 1}, {"ord": -np.inf, "axis": 1},
            {"ord": 3, "axis": 1}, {"ord": 2.5, "axis": -1}, {"ord": 2, "axis": 0},
            {"ord": 0, "axis": 0}, {"ord": 1, "axis": (1, 0)}, {"ord": 1, "keepdims": True},
            {"ord": 1, "axis": 0, "keepdims": True}, {"axis": 0, "keepdims": True},
        )),
        (lambda x: np.linalg.norm(x, 1, (2, 0)), (spaced(2, 3, 2) + 0.02,)),
        (lambda x: np.linalg.norm(x, np.inf, (0, 1), keepdims=True), (spaced(2, 3, 2) + 0.02,)),
        (lambda x: np.linalg.norm(x, axis=1), (signed(0, 3),)),
    ],
    np.linalg.vector_norm: [
        (lambda x, o=o: np.linalg.vector_norm(x, **o), (spaced(4, 3) + 0.02,))
        for o in ({}, {"ord": 1}, {"axis": 0, "ord": np.inf}, {"axis": (0, 1), "keepdims": True})
    ],
    np.linalg.matrix_norm: [
        (lambda x, o=o: np.linalg.matrix_norm(x, **o), (spaced(2, 3, 2) + 0.02,))
        for o in ({}, {"ord": 1}, {"ord": np.inf, "keepdims": True}, {"keepdims": True})
    ],
    np.add.reduce: [
        (lambda x: np.add.reduce(x) ** 2, (signed(3, 2),)),
        (lambda x: np.add.reduce(x, axis=(0, 1), keepdims=True) ** 2, (signed(3, 2),)),
        (lambda x: np.add.reduce(x, 1, None, None, keepdims=True) ** 2, (signed(3, 2),)),
    ],
    np.multiply.reduce: [(lambda x: np.multiply.reduce(x, axis=1), (signed(2, 3),))],
    np.maximum.reduce: [(lambda x: np.maximum.reduce(x) ** 2, (spaced(2, 3),))],
    np.minimum.reduce: [(lambda x: np.minimum.reduce(x, axis=None) ** 2, (spaced(2, 3),))],
    np.logaddexp.reduce: [(lambda x: np.logaddexp.reduce(x), (signed(2, 3),))],
    np.add.accumulate: [(lambda x: np.add.accumulate(x) ** 2, (signed(2, 3),))],
    np.multiply.accumulate: [(lambda x: np.multiply.accumulate(x, axis=1), (signed(2, 3),))],
}  # fmt: skip
