"""One step of Adam on one parameter, from ten elements to ten million."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

import optim
from minigrad import Tensor
from optim.adam import adam_rule
from optim.loop import coordinatewise, staggered

__all__ = ["DTYPES", "SIZES", "candidates"]

SIZES = (10, 10**3, 10**5, 10**7)
DTYPES = ("float32", "float64")

Step = Callable[[], object]


def candidates(size: int, dtype: str, seed: int) -> dict[str, Step]:
    """Return one step of each implementation that can be run here, each on arrays of its own."""
    rng = np.random.default_rng(seed)

    def arrays(n: int) -> list[npt.NDArray[Any]]:
        return [rng.standard_normal(size, dtype=np.dtype(dtype)) for _ in range(n)]

    found: dict[str, Step] = {
        "minigrad": _minigrad("ignore", *arrays(2)),
        'with nonfinite="raise"': _minigrad("raise", *arrays(2)),
        "NumPy": _numpy(*arrays(2)),
        "stream limit": _stream(*arrays(2)),
    }
    try:
        import torch  # noqa: F401
    except ImportError:
        pass
    else:
        found["PyTorch foreach"] = _torch(*arrays(2), foreach=True)
        found["PyTorch fused"] = _torch(*arrays(2), fused=True)
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError:
        pass
    else:
        found["Optax, jitted"] = _optax(*arrays(2))
    return found


def _minigrad(nonfinite: Any, x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    parameter = Tensor(x, requires_grad=True)
    parameter.grad = g
    return optim.Adam([parameter], nonfinite=nonfinite).step


def _numpy(x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    optimizer = optim.Adam([Tensor(x, requires_grad=True)])
    v, s = np.zeros_like(x), np.zeros_like(x)
    t = 0

    def step() -> None:
        nonlocal x, v, s, t
        t += 1
        coefficients = optimizer.param_groups[0].coefficients(t)
        x, v, s = adam_rule(x, g, v, s, *map(x.dtype.type, coefficients))

    return step


@coordinatewise
def _stream_loop(x: Any, g: Any, v: Any, s: Any) -> None:
    for i in prange(x.size):
        x[i], v[i], s[i] = x[i] + g[i], v[i] + g[i], s[i] + g[i]


def _stream(x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    """The traffic of a step (4 reads and 3 writes an element) with next to no arithmetic."""
    v, s = staggered(x.size, [0.0, 0.0], x.dtype)
    return lambda: _stream_loop(x, g, v, s)


def _torch(x: npt.NDArray[Any], g: npt.NDArray[Any], **options: bool) -> Step:
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(x))
    parameter.grad = torch.from_numpy(g)
    return torch.optim.Adam([parameter], **options).step


def _optax(x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    import functools

    import jax
    import optax

    jax.config.update("jax_enable_x64", True)  # once: switching at every step would be timed
    optimizer = optax.adam(1e-3)
    parameter, gradient = jax.numpy.asarray(x), jax.numpy.asarray(g)
    state = optimizer.init(parameter)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(parameter: Any, state: Any, gradient: Any) -> Any:
        updates, state = optimizer.update(gradient, state, parameter)
        return optax.apply_updates(parameter, updates), state

    def step() -> None:
        nonlocal parameter, state
        parameter, state = update(parameter, state, gradient)
        jax.block_until_ready(parameter)

    return step
