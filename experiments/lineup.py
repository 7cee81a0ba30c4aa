"""The optimizers that are compared: their names, and the line that each has in every figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import optim
from minigrad import Tensor
from optim import Optimizer
from optim.hyperparameters import did_you_mean

__all__ = ["LABELS", "OPTIMIZERS", "build", "chosen", "line"]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    name.lower(): member
    for name in optim.__all__
    if isinstance(member := getattr(optim, name), type)
    and issubclass(member, Optimizer)
    and member is not Optimizer
}
"""Every optimizer of `optim`, under its class's name in lower case."""

LABELS = {name: optimizer.__name__ for name, optimizer in OPTIMIZERS.items()}
"""The names that figures and tables show."""

# Colours of Okabe and Ito (2008), which colour-blind readers tell apart; dashes and markers tell
# the lines apart in grey.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7",
)  # fmt: skip
LINES: dict[str, tuple[str, Any, str]] = {
    "adam": (BLUE, "-", "o"),
    "yogi": (VERMILION, "--", "s"),
    "sgd": (BLACK, ":", "x"),
    "momentum": (BLACK, "-.", "+"),
    "amsgrad": (GREEN, "-.", "^"),
    "adamw": (SKY, "-", "D"),
    "rmsprop": (ORANGE, "-", "v"),
    "adagrad": (PURPLE, "--", "<"),
    "adadelta": (PURPLE, ":", ">"),
    "adamax": (SKY, "--", "p"),
    "nadam": (BLUE, ":", "h"),
    "radam": (GREEN, ":", "*"),
    "lion": (ORANGE, "-.", "P"),
    "adabelief": (VERMILION, ":", "d"),
    "muon": (GREEN, (0, (3, 1, 1, 1, 1, 1)), "8"),
}


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Check names of optimizers, in any case, and return them as they stand in `OPTIMIZERS`.

    Raises
    ------
    ValueError
        If there is no such optimizer; the message lists all there are.

    Examples
    --------
    >>> chosen(["Adam", "yogi"])
    ('adam', 'yogi')
    """
    lower = tuple(dict.fromkeys(name.strip().lower() for name in names))
    for name in lower:
        if name not in OPTIMIZERS:
            raise ValueError(f"there is no optimizer {name!r}" + did_you_mean(name, OPTIMIZERS))
    return lower


def build(name: str, params: Iterable[Tensor], **hyperparameters: Any) -> Optimizer:
    """Return the optimizer of this name over `params`; its other hyperparameters are its defaults.

    Examples
    --------
    >>> optimizer = build("yogi", [Tensor(1.0, requires_grad=True)], lr=0.1)
    >>> type(optimizer).__name__, optimizer.lr
    ('Yogi', 0.1)
    """
    return OPTIMIZERS[chosen([name])[0]](params, **hyperparameters)


def line(name: str, *, marker: bool = False) -> dict[str, Any]:
    """Return the colour, dashes and label of an optimizer, as keywords for ``Axes.plot``."""
    color, dashes, symbol = LINES[name]
    style = {"color": color, "linestyle": dashes, "label": LABELS[name]}
    return style | ({"marker": symbol} if marker else {})
