"""Products of large matrices on one core, with instructions on 64 bytes at once (AVX-512).

A tile of the result, 8 rows of 32 numbers in float32, stays in 16 registers while k runs over a
row of x and a column of y:

    zᵢⱼ += xᵢₖ yₖⱼ        one number of x, repeated, times 16 neighbors of y: 16 sums at once

which takes 16 fused products and sums for every 10 loads, and so runs at the pace of arithmetic,
not of memory.  The numbers of y that one tile needs are first copied side by side, and serve the
tiles of all rows; the rows of z are taken in blocks that stay in the nearest caches.  While one
tile's rows of x are used, the next tile's are fetched.

Numba has no type for such a register.  So the innermost loop is given to the compiler in LLVM's own
language, one instruction after the other, as Numba does itself with all other loops.

References
----------
K. Goto and R. van de Geijn, Anatomy of high-performance matrix multiplication, ACM Transactions on
Mathematical Software, 2008.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minigrad.kernels.compilation import FUSE, kernel

__all__ = ["AVAILABLE", "ROWS", "WIDTH", "product"]

AVAILABLE = llvmlite.binding.get_host_cpu_features().get("avx512f", False)

# Of a tile: how many rows, how many registers to a row, and a row's bytes.
ROWS, REGISTERS, REGISTER = 8, 2, 64
WIDTH = REGISTERS * REGISTER
# Of a block: how far k runs, and how many rows of z are taken.
DEPTH, BLOCK = 512, 64


@intrinsic  # type: ignore[untyped-decorator]
def _add_product(
    typing: Any, start: Any, start_at: Any, start_row: Any, x: Any, x_at: Any, x_row: Any,
    y: Any, y_at: Any, depth: Any, z: Any, z_at: Any, z_row: Any,
) -> Any:  # fmt: skip
    """Write startᵢⱼ + Σₖ xᵢₖ yₖⱼ, k below `depth`, to each zᵢⱼ of a tile; all are flat arrays.

    xᵢₖ is x[x_at + i x_row + k], and so with the others; the rows of y are as long as the tile's.
    """
    whole = types.intp
    place_of = (whole, whole)
    signature = types.void(start, *place_of, x, *place_of, y, whole, whole, z, *place_of)

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        start, start_at, start_row, x, x_at, x_row, y, y_at, depth, z, z_at, z_row = arguments
        kind = signature.args[0].dtype
        number, index = context.get_value_type(kind), context.get_value_type(whole)
        lanes = REGISTER * 8 // kind.bitwidth
        register = ir.VectorType(number, lanes)
        to_all_lanes = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        tile = [(i, j) for i in range(ROWS) for j in range(REGISTERS)]

        def place(start: Any, row: Any, i: Any, column: int = 0) -> Any:
            return build.gep(start, [build.add(build.mul(row, i), index(column))])

        def neighbors(start: Any) -> Any:
            return build.bitcast(start, register.as_pointer())

        def repeated(one: Any) -> Any:
            first = build.insert_element(ir.Constant(register, None), one, ir.IntType(32)(0))
            return build.shuffle_vector(first, first, to_all_lanes)

        def element(array: Any, at: Any) -> Any:
            flat = cgutils.create_struct_proxy(signature.args[0])(context, build, array)
            return build.gep(flat.data, [at])

        start, x = element(start, start_at), element(x, x_at)
        y, z = element(y, y_at), element(z, z_at)
        x_rows = [place(x, x_row, index(i)) for i in range(ROWS)]
        sums = {(i, j): cgutils.alloca_once(build, register) for i, j in tile}
        for i, j in tile:
            row = neighbors(place(start, start_row, index(i), j * lanes))
            build.store(build.load(row, align=1), sums[i, j])
        prefetch = cgutils.get_or_insert_function(
            build.module,
            ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *[ir.IntType(32)] * 3]),
            "llvm.prefetch.p0",
        )
        # The next tile's rows of x lie one behind the other: 8 numbers for each k.
        following = place(x, x_row, index(ROWS))
        with cgutils.for_range(build, depth) as loop:
            k = loop.index
            there = build.bitcast(place(following, k, index(ROWS)), cgutils.voidptr_t)
            build.call(prefetch, [there, *(ir.IntType(32)(n) for n in (0, 3, 1))])
            row_of_y = [
                build.load(neighbors(place(y, k, index(REGISTERS * lanes), j * lanes)), align=1)
                for j in range(REGISTERS)
            ]
            for i in range(ROWS):
                number_of_x = repeated(build.load(build.gep(x_rows[i], [k])))
                for j in range(REGISTERS):
                    term = build.fmul(number_of_x, row_of_y[j], flags=["contract"])
                    total = build.fadd(build.load(sums[i, j]), term, flags=["contract"])
                    build.store(total, sums[i, j])
        for i, j in tile:
            row = neighbors(place(z, z_row, index(i), j * lanes))
            build.store(build.load(sums[i, j]), row, align=1)
        return context.get_dummy_value()

    return signature, generate


@kernel(FUSE)
def product(x: Any, y: Any, y_row: int, y_step: int, bias: Any, z: Any) -> None:
    """Write x y + bias to z, which full tiles cover; yₖⱼ is y[k y_row + j y_step]."""
    rows, columns = z.shape
    depth, width = x.shape[1], WIDTH // z.itemsize
    x_flat, z_flat = x.reshape(-1), z.reshape(-1)
    panels = np.empty(min(depth, DEPTH) * columns, z.dtype)
    for k in range(0, depth, DEPTH):
        deep = min(DEPTH, depth - k)
        for q in range(deep):
            for j in range(0, columns, width):
                for r in range(width):
                    panels[j * deep + q * width + r] = y[(k + q) * y_row + (j + r) * y_step]
        for start in range(0, rows, BLOCK):
            for j in range(0, columns, width):
                for i in range(start, min(start + BLOCK, rows), ROWS):
                    # The sum starts with the bias, and goes on from what lies in z.
                    at = i * columns + j
                    _add_product(
                        z_flat if k else bias, at if k else j, columns if k else 0,
                        x_flat, i * depth + k, depth, panels, j * deep, deep, z_flat, at, columns,
                    )  # fmt: skip
