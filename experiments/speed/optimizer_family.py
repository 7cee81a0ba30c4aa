"""One step of every optimizer: on ten million elements, on a thousand small arrays, on a matrix.

``python -m experiments.speed.optimizer_family`` prints these three tables alone; they are also part
of ``python -m experiments speed``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange
from tqdm import tqdm

import optim
from experiments.speed.timing import (
    PAUSE_AFTER_BLAS,
    TURN_WITH_BLAS,
    Timings,
    interleaved,
    ratio,
)
from minigrad import Tensor
from optim.loop import coordinatewise, staggered

__all__ = ["VARIANTS", "Variant", "candidates", "family_tables"]

LARGE, MANY, SMALL, MATRIX = 10**7, 1000, 100, 1024
ROUNDS = {LARGE: 9, SMALL: 15, MATRIX: 5}
DTYPES = ("float64", "float32")

Step = Callable[[], object]
Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class Variant:
    """An optimizer with options, and where other libraries have it.

    Attributes
    ----------
    rule : str
        Class in `optim`.
    options : dict
        Its options; PyTorch calls them the same.
    torch, optax : str
        Class in ``torch.optim``, function in ``optax``; empty where there is none.
    fused : bool
        Whether PyTorch has a fused version for the CPU.
    """

    rule: str
    options: dict[str, Any] = field(default_factory=dict)
    torch: str = ""
    fused: bool = False
    optax: str = ""

    def __str__(self) -> str:
        flags = (k if v is True else f"{k} {v}" for k, v in self.options.items())
        return ", ".join([self.rule, *flags])


VARIANTS = (
    Variant("SGD", torch="SGD", fused=True),
    Variant("SGD", {"momentum": 0.9}, torch="SGD", fused=True),
    Variant("SGD", {"momentum": 0.9, "nesterov": True}, torch="SGD", fused=True),
    Variant("Momentum"),
    Variant("AdaGrad", torch="Adagrad", fused=True),
    Variant("RMSProp", torch="RMSprop"),
    Variant("RMSProp", {"momentum": 0.9}, torch="RMSprop"),
    Variant("RMSProp", {"centered": True}, torch="RMSprop"),
    Variant("RMSProp", {"momentum": 0.9, "centered": True}, torch="RMSprop"),
    Variant("Adadelta", torch="Adadelta"),
    Variant("Adam", torch="Adam", fused=True),
    Variant("Adam", {"amsgrad": True}, torch="Adam", fused=True),
    Variant("AdamW", torch="AdamW", fused=True),
    Variant("Adamax", torch="Adamax"),
    Variant("NAdam", torch="NAdam"),
    Variant("RAdam", torch="RAdam"),
    Variant("Lion", optax="lion"),
    Variant("Yogi", optax="yogi"),
    Variant("AdaBelief", optax="adabelief"),
)
MUON = Variant("Muon", torch="Muon")


def candidates(
    variant: Variant, shape: tuple[int, ...], count: int, dtype: str, seed: int
) -> dict[str, Step]:
    """Return one step of each implementation that can be run here, each on arrays of its own.

    Parameters
    ----------
    variant : Variant
        Which optimizer.
    shape : tuple of int
        Of each parameter.
    count : int
        Number of parameters.
    dtype : str
        Of all arrays.
    seed : int
        Of their values.
    """
    rng = np.random.default_rng(seed)

    def arrays() -> Arrays:
        return [rng.standard_normal(shape, dtype=np.dtype(dtype)) for _ in range(count)]

    found = {"minigrad": _minigrad(variant, "ignore", arrays(), arrays())}
    if count > 1:
        found["raise"] = _minigrad(variant, "raise", arrays(), arrays())
    elif len(shape) == 1:
        found["stream limit"] = _stream(variant, *arrays(), *arrays())
    if variant.torch and _is_installed("torch"):
        if variant.fused:
            found["fused"] = _torch(variant, arrays(), arrays(), fused=True)
        if variant is MUON:
            found["PyTorch"] = _torch(variant, arrays(), arrays())
            found["in float32"] = _without_bfloat16(_torch(variant, arrays(), arrays()))
        else:
            found["foreach"] = _torch(variant, arrays(), arrays(), foreach=True)
    if variant.optax and count == 1 and _is_installed("optax"):
        found["Optax"] = _optax(variant, *arrays(), *arrays())
    return found


def _is_installed(library: str) -> bool:
    try:
        __import__(library)
    except ImportError:
        return False
    return True


def _minigrad(variant: Variant, nonfinite: str, xs: Arrays, gs: Arrays) -> Step:
    parameters = [Tensor(x, requires_grad=True) for x in xs]
    for p, g in zip(parameters, gs, strict=True):
        p.grad = g
    optimizer = getattr(optim, variant.rule)(parameters, nonfinite=nonfinite, **variant.options)
    return optimizer.step


@coordinatewise
def _stream_0(x: Any, g: Any) -> None:
    for i in prange(x.size):
        x[i] = x[i] + g[i]


@coordinatewise
def _stream_1(x: Any, g: Any, a: Any) -> None:
    for i in prange(x.size):
        x[i], a[i] = x[i] + g[i], a[i] + g[i]


@coordinatewise
def _stream_2(x: Any, g: Any, a: Any, b: Any) -> None:
    for i in prange(x.size):
        x[i], a[i], b[i] = x[i] + g[i], a[i] + g[i], b[i] + g[i]


@coordinatewise
def _stream_3(x: Any, g: Any, a: Any, b: Any, c: Any) -> None:
    for i in prange(x.size):
        x[i], a[i], b[i], c[i] = x[i] + g[i], a[i] + g[i], b[i] + g[i], c[i] + g[i]


def _stream(variant: Variant, x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    """The traffic of the rule's step: all arrays are read, and all but g written."""
    optimizer = getattr(optim, variant.rule)([Tensor(x[:1], True)], **variant.options)
    states = len(optimizer.initial_state(**dict(optimizer.param_groups[0])))
    loop = (_stream_0, _stream_1, _stream_2, _stream_3)[states]
    state = staggered(x.size, [0.0] * states, x.dtype)
    return lambda: loop(x, g, *state)


def _torch(variant: Variant, xs: Arrays, gs: Arrays, **kind: bool) -> Step:
    import torch

    parameters = [torch.nn.Parameter(torch.from_numpy(x)) for x in xs]
    for p, g in zip(parameters, gs, strict=True):
        p.grad = torch.from_numpy(g)
    optimizer = getattr(torch.optim, variant.torch)(parameters, **variant.options, **kind)
    return optimizer.step


def _without_bfloat16(step: Step) -> Step:
    """PyTorch's Muon iterates in bfloat16; here in the parameter's own dtype, by the same code."""
    import torch

    def own_dtype() -> None:
        bfloat16 = torch.Tensor.bfloat16
        torch.Tensor.bfloat16 = torch.Tensor.clone
        try:
            step()
        finally:
            torch.Tensor.bfloat16 = bfloat16

    return own_dtype


def _optax(variant: Variant, x: npt.NDArray[Any], g: npt.NDArray[Any]) -> Step:
    import functools

    import jax
    import optax

    jax.config.update("jax_enable_x64", True)  # once: switching at every step would be timed
    optimizer = getattr(optax, variant.optax)(1e-3)
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


def family_tables(seed: int) -> None:
    """Measure and print the three tables.

    Parameters
    ----------
    seed : int
        Of the arrays' values.
    """
    for dtype in DTYPES:
        print(
            f"\nOne step on {LARGE:,} elements, {dtype}. Of limit: how long it takes to read and\n"
            "write the same arrays, with one addition for each, as a part of minigrad's time\n"
        )
        columns = {"minigrad": "time", "stream limit": "of limit", "fused": "PyTorch fused",
                   "foreach": "foreach", "Optax": "Optax, jitted"}  # fmt: skip
        _print_header(columns)
        for variant in VARIANTS:
            _print_row(variant, columns, _timed(variant, (LARGE,), 1, dtype, seed))
    print(f"\nOne step on {MANY:,} arrays of {SMALL} elements, float64\n")
    columns = {"minigrad": "time", "raise": 'with "raise"', "fused": "PyTorch fused",
               "foreach": "foreach"}  # fmt: skip
    _print_header(columns)
    for variant in VARIANTS:
        _print_row(variant, columns, _timed(variant, (SMALL,), MANY, "float64", seed))
    print(
        f"\nOne step on a matrix of {MATRIX}x{MATRIX}, float32. PyTorch's iterates in bfloat16,\n"
        "which some processors multiply much faster, and here also in float32 by the same code.\n"
    )
    columns = {"minigrad": "time", "PyTorch": "PyTorch", "in float32": "in float32"}
    _print_header(columns)
    _print_row(MUON, columns, _timed(MUON, (MATRIX, MATRIX), 1, "float32", seed))


def _timed(
    variant: Variant, shape: tuple[int, ...], count: int, dtype: str, seed: int
) -> Timings:
    steps = candidates(variant, shape, count, dtype, seed)
    rounds = ROUNDS[shape[0]]
    turn: dict[str, Any] = {}
    if variant is MUON:
        turn = {"seconds_per_turn": TURN_WITH_BLAS, "pause": PAUSE_AFTER_BLAS}
    with tqdm(total=rounds * len(steps), desc=str(variant), leave=False, disable=None) as bar:
        return interleaved(steps, rounds=rounds, tick=bar.update, **turn)


def _print_header(columns: dict[str, str]) -> None:
    print(f"  {'':34}" + "".join(f"{title:>15}" for title in columns.values()))


def _print_row(variant: Variant, columns: dict[str, str], timings: Timings) -> None:
    cells = []
    for name in columns:
        if name not in timings:
            cells.append("")
        elif name == "minigrad":
            cells.append(f"{median(timings[name]) * 1e3:.2f} ms")
        elif name == "stream limit":
            cells.append(f"{ratio(timings, name, 'minigrad'):.0%}")
        else:
            cells.append(f"{ratio(timings, name, 'minigrad'):.2f}")
    print(f"  {variant!s:34}" + "".join(f"{cell:>15}" for cell in cells), flush=True)


def main() -> None:
    """Parse the command line; print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.speed.optimizer_family",
        description="Time one step of every optimizer, in minigrad and where they are installed in "
        "PyTorch and Optax. Ratios say how many times as long as minigrad another takes.",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the arrays (default: 1)")
    family_tables(parser.parse_args().seed)


if __name__ == "__main__":
    main()
