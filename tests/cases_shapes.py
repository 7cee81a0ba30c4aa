"""What is checked of functions that move, join, cut, repeat and pick elements."""
# ruff: noqa: RUF005  cases are added up

from typing import Any

import numpy as np
from numpy.lib import NumpyVersion
from samples import Cases, linear, signed, spaced, strided, unary

from minigrad import primitives

HAS_PAD_BY_AXIS = NumpyVersion(np.__version__) >= "2.3.0"

INDICES: list[Any] = [
    0, -1, slice(None, None, 2), (slice(None), 1), ..., (None, 1), (..., None, 0), np.int64(1),
    [0, 0, 1], ([0, 1, 1], [2, 2, 0]), (slice(1), [0, 0]), np.array([True, False]),
    np.arange(8).reshape(2, 4) % 3 > 0,
]  # fmt: skip

M = signed(2, 3)
STACK = signed(2, 3, 4)
EMPTY = signed(0, 3)
STRIDED = strided(signed, 3, 2)
V = signed(3)

SHAPES: Cases = {
    np.reshape: [
        (lambda x, s=s: np.reshape(x, s) ** 2, (signed(2, 6),))
        for s in ((3, 4), (-1,), (12, 1), 12)
    ]
    + linear(lambda x: x.reshape(-1, 2), STRIDED, signed(0, 4)),
    np.transpose: linear(
        np.transpose,
        STACK,
        options=[{"axes": a} for a in (None, (1, 0, 2), (2, 0, 1), (-1, 0, -2))],
    )
    + linear(lambda x: x.T, V, EMPTY, STRIDED, np.array(0.5)),
    np.broadcast_to: [
        (lambda x, s=s: np.broadcast_to(x, s) ** 2, (signed(*start),))
        for start, s in (((), (2, 3)), ((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((1,), (0,)))
    ],
    primitives.getitem: [(lambda x, i=i: x[i] ** 2, (signed(2, 4),)) for i in INDICES]
    + linear(lambda x: x[:, [2, 0, 2]], EMPTY, STRIDED[:, [0, 1, 1]]),
    primitives.scatter: [
        (lambda x, i=i: primitives.scatter(x, index=i, shape=(4, 3)) ** 2, (M,))
        for i in (slice(0, 2), [1, 1], [3, 0])
    ],
    primitives.concatenate: [
        (lambda *xs, a=a: primitives.concatenate(*xs, axis=a) ** 2, tuple(parts))
        for a, parts in (
            (0, (signed(3), signed(2))),
            (0, (signed(1, 3), signed(2, 3), signed(0, 3))),
            (-1, (signed(2, 3), signed(2, 1))),
            (-2, (signed(2, 3), signed(1, 3))),
            (-1, (signed(1, 2, 3), signed(1, 2, 1))),
        )
    ],
    np.concatenate: [
        (lambda x, y: np.concatenate([x, y], axis=None) ** 2, (M, signed(2))),
        (lambda x, y: np.concatenate((x, y), 1) ** 2, (M, signed(2, 1))),
        (lambda x: np.concat([x, np.ones((1, 3)), x]) ** 2, (STRIDED.T,)),
    ],
    np.astype: unary(lambda x: primitives.astype(x, dtype=np.float64) ** 2)
    + [(lambda x: np.astype(x, np.float64) ** 2, (M,))],
    np.ravel: linear(np.ravel, np.array(0.5), V, STACK, EMPTY, STRIDED)
    + linear(lambda x: x.ravel(), STRIDED)
    + linear(lambda x: x.flatten(), M),
    np.copy: linear(np.copy, np.array(0.5), M, EMPTY) + linear(lambda x: x.copy(), M),
    np.moveaxis: [
        *linear(lambda x: np.moveaxis(x, 0, -1), V, STACK, EMPTY, STRIDED),
        *linear(lambda x: np.moveaxis(x, (0, -1), (1, 0)), STACK),
    ],
    np.swapaxes: linear(lambda x: np.swapaxes(x, 0, -1), V, STACK, EMPTY, STRIDED)
    + linear(lambda x: x.swapaxes(2, 1), STACK),
    np.matrix_transpose: linear(np.matrix_transpose, STACK, EMPTY),
    np.linalg.matrix_transpose: linear(np.linalg.matrix_transpose, STACK),
    np.squeeze: linear(np.squeeze, np.array([[0.5]]), V, signed(1, 3, 1), signed(1, 0))
    + linear(lambda x: np.squeeze(x, axis=(0, -1)), signed(1, 3, 1))
    + linear(lambda x: x.squeeze(0), signed(1, 3, 1)),
    np.expand_dims: linear(lambda x: np.expand_dims(x, 0), np.array(0.5), V, EMPTY, STRIDED)
    + linear(lambda x: np.expand_dims(x, (-1, 1)), M),
    np.atleast_1d: linear(np.atleast_1d, np.array(0.5), V, EMPTY, (np.array(0.5), M)),
    np.atleast_2d: linear(np.atleast_2d, np.array(0.5), V, STACK, (np.array(0.5), V)),
    np.broadcast_arrays: linear(np.broadcast_arrays, (V, M), (signed(2, 1), V, np.array(0.5))),
    np.stack: [
        *linear(lambda *xs: np.stack(xs), (V,), (V, V + 1), (np.array(0.5), np.array(1.5))),
        *linear(lambda *xs: np.stack(xs, axis=1), (M, M + 1, STRIDED.T), (EMPTY, EMPTY)),
        *linear(lambda x: np.stack([x, [1.0, 2.0, 3.0]], -1), V),
    ],
    np.vstack: linear(lambda *xs: np.vstack(xs), (V, M), (EMPTY, V), (np.array(1.0), V[:1])),
    np.hstack: linear(
        lambda *xs: np.hstack(xs), (V, signed(2)), (M, M), (np.array(1.0), V), (EMPTY, EMPTY)
    ),
    np.column_stack: linear(lambda *xs: np.column_stack(xs), (V, signed(3, 2)), (V, V)),
    np.dstack: linear(lambda *xs: np.dstack(xs), (V, V), (M, M + 1), (STACK, STACK)),
    np.append: [
        *linear(lambda x, y: np.append(x, y), (M, V), (np.array(0.5), M)),
        *linear(lambda x, y: np.append(x, y, axis=0), (M, EMPTY)),
    ],
    np.delete: [
        *linear(lambda x: np.delete(x, 1), V, M),
        *linear(lambda x: np.delete(x, [0, -1], axis=1), M, EMPTY, STRIDED[:, [0, 1, 1]]),
        *linear(lambda x: np.delete(x, slice(1), axis=0), V),
    ],
    np.hsplit: linear(lambda x: np.hsplit(x, 3), V, M),
    np.vsplit: linear(lambda x: np.vsplit(x, [1]), M, STACK),
    np.median: [
        (lambda x, o=o: np.median(x, **o) ** 2, (x,))
        for x in (spaced(2, 3), spaced(3, 4), strided(spaced, 3, 3))
        for o in ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (1, 0)})
    ]
    + [(np.median, (spaced(5),)), (lambda x: np.median(x, axis=1), (signed(0, 3),))],
    np.split: [
        *linear(lambda x: np.split(x, 2), signed(4), signed(2, 3), signed(0, 3)),
        *linear(lambda x: np.split(x, [1, 2], axis=-1), M, STRIDED[:, [0, 1, 1]]),
        *linear(lambda x: np.split(x, [2, 1, 7]), signed(4)),
    ],
    np.array_split: linear(lambda x: np.array_split(x, 3), signed(5), signed(2, 3))
    + linear(lambda x: np.array_split(x, [-1], axis=1), M),
    np.unstack: linear(np.unstack, M, options=[{}, {"axis": -1}]),
    np.tile: [
        *linear(lambda x: np.tile(x, 2), np.array(0.5), V, M, EMPTY),
        *linear(lambda x: np.tile(x, (2, 1, 3)), V, M, STRIDED),
        *linear(lambda x: np.tile(x, (2,)), STACK),
        *linear(lambda x: np.tile(x, (0, 2)), V),
    ],
    np.repeat: [
        *linear(lambda x: np.repeat(x, 2), np.array(0.5), V, M, EMPTY),
        *linear(lambda x: np.repeat(x, [2, 0, 1], axis=1), M, EMPTY),
        *linear(lambda x: x.repeat(3, axis=-1), STRIDED),
    ],
    np.pad: [
        *linear(lambda x: np.pad(x, 1), V, M, EMPTY, STRIDED),
        *linear(lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=0.5), M),
        *linear(lambda x: np.pad(x, (2, 1), "constant", constant_values=(1, 2)), V, M),
        *linear(lambda x: np.pad(x, {-1: (1, 2)}) if HAS_PAD_BY_AXIS else x, M),
    ],
    np.flip: linear(np.flip, np.array(0.5), V, STACK, EMPTY)
    + linear(lambda x: np.flip(x, (0, -1)), STACK)
    + linear(lambda x: np.flip(x, 1), STRIDED),
    np.flipud: linear(np.flipud, V, M),
    np.fliplr: linear(np.fliplr, M, EMPTY),
    np.roll: [
        *linear(lambda x: np.roll(x, 1), V, M, EMPTY),
        *linear(lambda x: np.roll(x, -4, axis=0), V, STRIDED, EMPTY),
        *linear(lambda x: np.roll(x, (1, 2), axis=(0, 1)), M),
        *linear(lambda x: np.roll(x, 1, axis=(0, -1)), M),
    ],
    np.take: [
        *linear(lambda x: np.take(x, [0, -1, 0]), V, M),
        *linear(lambda x: np.take(x, [[0, 1], [1, 1]], axis=1), M, EMPTY, STRIDED),
        *linear(lambda x: x.take(1, axis=0), V, STACK),
    ],
    np.take_along_axis: [
        *linear(lambda x: np.take_along_axis(x, np.array([[0, 2], [1, 1]]), axis=1), M),
        *linear(lambda x: np.take_along_axis(x, np.array([[1, 0, 1]]), axis=0), M),
        *linear(lambda x: np.take_along_axis(x, np.array([3, 3]), axis=None), M),
        *linear(lambda x: np.take_along_axis(x, np.zeros((0, 2), int), axis=1), EMPTY),
    ],
    np.sort: [
        (lambda x, o=o: np.sort(x, **o) ** 2, (x,))
        for x in (spaced(5), spaced(2, 3, 2), spaced(0, 3), strided(spaced, 3, 2))
        for o in ({}, {"axis": 0}, {"axis": None, "kind": "stable"})
    ],
    np.diff: [
        *linear(np.diff, V, M, EMPTY, STRIDED),
        *linear(lambda x: np.diff(x, 2, axis=0), V, signed(3, 2)),
    ],
    np.diagonal: linear(
        np.diagonal, M, STACK, EMPTY, STRIDED,
        options=[{}, {"offset": 1}, {"offset": -1, "axis1": 1, "axis2": 0}, {"offset": 5}],
    )
    + linear(lambda x: x.diagonal(1), M),
    np.linalg.diagonal: linear(np.linalg.diagonal, M, STACK, options=[{}, {"offset": -1}]),
    np.diag: linear(np.diag, V, M, STRIDED, signed(0), options=[{}, {"k": 1}, {"k": -2}]),
    np.tril: linear(np.tril, V, M, STACK, EMPTY, STRIDED, options=[{}, {"k": 1}, {"k": -1}]),
    np.triu: linear(np.triu, V, M, STACK, EMPTY, STRIDED, options=[{}, {"k": 1}, {"k": -1}]),
}  # fmt: skip
