"""What products of arrays and linear algebra are checked on."""
# ruff: noqa: RUF005  cases are added up

from collections.abc import Callable
from typing import Any

import numpy as np
from samples import Case, Cases, binary, linear, signed, strided

from minigrad import primitives

MATMUL_PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)),
    ((5, 2, 3), (3,)), ((3,), (5, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
]  # fmt: skip


def regular(*shape: int) -> Any:
    """Square matrices with a condition number of a few."""
    return signed(*shape) / 2 + 3 * np.eye(shape[-1])


def square(f: Callable[..., Any]) -> list[Case]:
    """Check a function of square matrices, also of one element, of none, stacked and strided."""
    return [
        (f, (regular(*shape),)) for shape in ((1, 1), (2, 2), (3, 3), (2, 3, 3), (0, 0), (0, 2, 2))
    ] + [(f, (regular(4, 4).T[::2, ::2],))]


def positive_definite(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda m: f(m @ np.matrix_transpose(m) + np.eye(m.shape[-1]))


SUBSCRIPTS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 2)]), ("ij->ji", [(2, 3)]),
    ("ba", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->j", [(2, 3)]), ("i,i", [(3,), (3,)]),
    ("i,j->ij", [(2,), (3,)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("iij->ij", [(2, 2, 3)]),
    ("iii->i", [(2, 2, 2)]), ("iji->j", [(2, 3, 2)]), ("ii,i->i", [(3, 3), (3,)]),
    ("ij,ij->i", [(2, 3), (2, 3)]), ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 3)]),
    ("i,i,i->", [(3,), (3,), (3,)]), ("ij,k->i", [(2, 3), (2,)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (3, 2)]),
    ("...ij,jk", [(2, 2, 3), (3, 2)]), ("i...,i...->...", [(2, 1, 3), (2, 4, 1)]),
    ("...->...", [(2, 3)]), ("...i->...", [(2, 3)]), ("...,...", [(), (3,)]), (",i->i", [(), (3,)]),
    ("->", [()]), ("ij,ij->ij", [(1, 3), (2, 3)]), ("ij,ij->", [(1, 3), (2, 3)]),
    ("bij, bjk -> bik", [(2, 2, 3), (2, 3, 2)]), ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("ij,jk->ik", [(2, 0), (0, 2)]), ("aB,Bc", [(2, 3), (3, 2)]),
]  # fmt: skip
EINSUMS: list[Case] = [
    (
        lambda *xs, s=s: np.einsum(s, *xs) ** 2,
        tuple(signed(*shape, seed=3 * i) for i, shape in enumerate(shapes)),
    )
    for s, shapes in SUBSCRIPTS
]

LINEAR_ALGEBRA: Cases = {
    np.matmul: binary(np.matmul, pairs=MATMUL_PAIRS),
    np.linalg.matmul: binary(np.linalg.matmul, pairs=MATMUL_PAIRS[3:6]),
    np.dot: binary(np.dot, pairs=[*MATMUL_PAIRS[:5], ((), (3,)), ((2, 3), ()), ((2, 3), (4, 3, 2)),
                                  ((3,), (2, 3, 2)), ((5, 2, 3), (3,))])
    + [(lambda x: x.dot([1.0, 2.0, 3.0]) ** 2, (signed(2, 3),))],
    np.vdot: binary(np.vdot, pairs=[((3,), (3,)), ((2, 3), (2, 3)), ((), ()), ((0,), (0,))]),
    np.inner: binary(np.inner, pairs=[((3,), (3,)), ((2, 3), (4, 3)), ((2, 3), (3,)), ((), (2,)),
                                      ((2, 2, 3), (4, 3)), ((0, 3), (2, 3))]),
    np.outer: binary(np.outer, pairs=[((3,), (2,)), ((2, 3), (2, 2)), ((), (2,)), ((0,), (2,))]),
    np.linalg.outer: [(np.linalg.outer, (signed(3), signed(2))),
                      (np.linalg.outer, (signed(0), signed(2)))],
    np.cross: binary(np.cross, pairs=[((3,), (3,)), ((2, 3), (3,)), ((0, 3), (3,))])
    + linear(np.cross, (signed(3, 2), signed(3, 2)), options=[{"axis": 0}]),
    np.linalg.cross: binary(np.linalg.cross, pairs=[((2, 3), (2, 3))]),
    np.vecdot: binary(np.vecdot, pairs=[((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3)),
                                        ((0, 3), (3,))])
    + linear(np.vecdot, (signed(3, 2), signed(3, 2)), options=[{"axis": 0}]),
    np.linalg.vecdot: linear(np.linalg.vecdot, (signed(3, 2), signed(4, 3, 2)),
                             options=[{"axis": -2}])
    + binary(np.linalg.vecdot, pairs=[((3,), (3,))]),
    np.tensordot: [
        (lambda x, y, a=a: np.tensordot(x, y, axes=a), (signed(*s), signed(*t, seed=5)))
        for a, s, t in (
            (0, (2,), (3,)), (1, (2, 3), (3, 2)), (2, (2, 3), (2, 3)), (2, (2, 3, 2), (3, 2, 2)),
            ((0, 1), (2, 3), (3, 2)), (([0, 1], [1, 0]), (2, 3, 2), (3, 2)),
            ((-1, -2), (2, 3), (2, 3, 2)), (1, (2, 0), (0, 3)), (([], []), (2,), (3,)),
        )
    ] + [(lambda x, y: np.tensordot(x, y), (strided(signed, 2, 3), signed(2, 3)))],
    np.linalg.tensordot: [(lambda x, y: np.linalg.tensordot(x, y, axes=1),
                           (signed(2, 3), signed(3, 2)))],
    np.einsum: [*EINSUMS, (lambda x, y: np.einsum("ij,kj->ik", x, y, optimize=True),
                           (strided(signed, 3, 2), signed(2, 2)))],
    primitives.einsum: EINSUMS[:4],
    np.linalg.multi_dot: [(lambda x, y, z: np.linalg.multi_dot([x, y, z]),
                           (signed(3), signed(3, 2), signed(2, 3)))],
    np.linalg.matrix_power: [
        (lambda x, n=n: np.linalg.matrix_power(x, n), (regular(2, 2) / 3,))
        for n in (0, 1, 2, 3, 5, -1, -2)
    ],
    np.kron: binary(np.kron, pairs=[((2,), (3,)), ((2, 3), (2, 2)), ((2,), (2, 2)), ((), (2,))]),
    np.trace: linear(np.trace, signed(3, 3), signed(2, 3), signed(3, 3, 2), signed(0, 3),
                     options=[{}, {"offset": 1}, {"axis1": 1, "axis2": 0}])
    + linear(lambda x: x.trace(), strided(signed, 3, 2)),
    np.linalg.trace: linear(np.linalg.trace, signed(3, 3), signed(2, 3, 3),
                            options=[{}, {"offset": -1}]),
    np.linalg.solve: [
        (np.linalg.solve, (regular(*a), signed(*b)))
        for a, b in (
            ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 3, 3), (2, 3, 2)),
            ((2, 3, 3), (3, 1)), ((3, 3), (2, 3, 1)), ((1, 1), (1,)), ((0, 0), (0,)),
            ((2, 2), (2, 0)),
        )
    ] + [(np.linalg.solve, (regular(4, 4).T[::2, ::2], strided(signed, 2, 2)))],
    primitives.solve: [(primitives.solve, (regular(3, 3), signed(3, 2)))],
    np.linalg.inv: square(np.linalg.inv),
    np.linalg.det: square(np.linalg.det),
    primitives.cofactor: square(primitives.cofactor),
    np.linalg.slogdet: square(lambda a: np.linalg.slogdet(a).logabsdet)
    + square(lambda a: tuple(np.linalg.slogdet(-a))),
    primitives.logabsdet: square(primitives.logabsdet),
    np.linalg.cholesky: square(positive_definite(np.linalg.cholesky))
    + square(positive_definite(lambda a: np.linalg.cholesky(a, upper=True))),
    primitives.cholesky: square(positive_definite(primitives.cholesky)),
}  # fmt: skip
