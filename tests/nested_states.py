"""Nested states: what it means that two are the same, and Hypothesis's search among all."""

import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = st.one_of(
    hnp.boolean_dtypes(), hnp.integer_dtypes(endianness="?"), hnp.floating_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(), hnp.complex_number_dtypes(), hnp.unicode_string_dtypes(),
    hnp.byte_string_dtypes(), hnp.datetime64_dtypes(),
    st.just(np.dtype([("a", "f4"), ("b", "i2", (2,))])),
)  # fmt: skip
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
NUMBERS = hnp.from_dtype(np.dtype(np.float32)) | st.integers(-9, 9).map(np.int8)
# Any bits, so also NaN with a payload or a sign.
FLOATS = st.floats() | st.integers(0, 2**64 - 1).map(
    lambda bits: float(struct.unpack(">d", bits.to_bytes(8, "big"))[0])
)
INTS = st.integers() | st.integers(-(2**70), 2**70) | st.just(-(2**9001))
LEAVES = st.none() | st.booleans() | st.text() | INTS | FLOATS | ARRAYS | NUMBERS
# A zip archive can hold neither NUL nor half of a surrogate pair in an array's name.
KEYS = (
    st.integers(-3, 3)
    | st.sampled_from(["v", "0", "a/b", "$array", "$", "β", "v (2)", ""])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
)
STATES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda states: (
            st.lists(states, max_size=4)
            | st.lists(states, max_size=3).map(tuple)
            | st.dictionaries(KEYS, states, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=4,
)


def same(a: Any, b: Any) -> bool:
    """Whether two states have the same structure and types, and the same bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(
            type(i) is type(j) and same(a[i], b[j]) for i, j in zip(a, b, strict=True)
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    return bool(a == b)
