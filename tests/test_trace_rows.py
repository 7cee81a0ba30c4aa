"""Every function of the table: its text gives the engine's bits, or it is refused by name."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from samples import Case
from test_primitives import CASES, name_of

from minigrad import Tensor
from minigrad.tracing import Unsupported, source, trace

REFUSED = {"linalg.det", "linalg.slogdet", "row cofactor", "row erf", "row logabsdet"}

BY_NAME: dict[str, list[Case]] = defaultdict(list)
for function, cases in CASES.items():
    BY_NAME[name_of(function)] += cases


@pytest.mark.parametrize(
    "dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)]
)  # fmt: skip
@pytest.mark.parametrize("name", BY_NAME)
def test_text_has_the_bits_of_the_engine_or_is_refused(name: str, dtype: Any) -> None:
    for f, inputs in BY_NAME[name]:
        leaves = [Tensor(np.asarray(x, dtype), requires_grad=True) for x in inputs]

        def loss(f: Any = f, leaves: list[Tensor] = leaves) -> Any:
            results = f(*leaves)
            results = results if isinstance(results, tuple | list) else [results]
            return sum((z.T * (z.T + 1)).sum() for z in results)  # sums follow the memory

        with np.errstate(all="ignore"):
            if name in REFUSED:
                with pytest.raises(Unsupported, match=r"linalg|erf"):
                    source(trace(loss))
                continue
            traced = trace(loss)
            names: dict[str, Any] = {}
            exec(compile(source(traced), f"<{name}>", "exec"), names)
            value, *gradients = names["step"](*(x.data for x in traced.tensors))
            eager = loss()
            eager.backward()
        assert np.array_equal(value, eager.data, equal_nan=True)
        for x, g in zip(traced.tensors, gradients, strict=True):
            assert np.asarray(g).dtype == dtype
            assert np.array_equal(g, x.grad, equal_nan=True)
