"""Modules made of a list of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from minigrad.nn.module import Module

__all__ = ["ModuleList", "Sequential"]


class ModuleList(Module):
    """A list of modules, for a model that decides itself how to run them.

    A plain list as an attribute does the same; this one can also be trained, saved and printed
    on its own.

    Examples
    --------
    >>> from minigrad import nn
    >>> heads = ModuleList(nn.ReLU() for _ in range(2))
    >>> heads.append(nn.Tanh())
    >>> [layer(-1.0).item() for layer in heads][:2], len(heads)
    ([0.0, 0.0], 3)
    """

    def __init__(self, layers: Iterable[Module] = ()) -> None:
        self.layers: list[Module] = []
        for layer in layers:
            self.append(layer)

    def append(self, layer: Module) -> None:
        """Add a module at the end."""
        if not isinstance(layer, Module):
            given = layer.__name__ if isinstance(layer, type) else f"a {type(layer).__name__}"
            raise TypeError(
                f"{type(self).__name__} was given {given} where a module is needed: an instance "
                "of a subclass of nn.Module, such as nn.ReLU()"
            )
        self.layers.append(layer)

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Raise: a list does not say in which order its modules are to run."""
        raise TypeError(
            f"a {type(self).__name__} cannot be called: call its modules, or use nn.Sequential "
            "to run them one after the other"
        )

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Module:
        return self.layers[i]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def _attributes(self) -> Iterable[tuple[Any, Any]]:
        # "0.weight" rather than "layers.0.weight", because net[0].weight leads there.
        yield from enumerate(self.layers)
        for name, value in vars(self).items():
            if name != "layers":
                yield name, value


class Sequential(ModuleList):
    """Modules one after the other, each fed with the output of the one before.

    Examples
    --------
    >>> import numpy as np
    >>> from minigrad import nn
    >>> rng = np.random.default_rng(0)
    >>> nn.Sequential(nn.Linear(5, 32, rng=rng), nn.Tanh(), nn.Linear(32, 1, rng=rng))
    Sequential            225 parameters
    ├─ 0: Linear(5, 32)   192
    ├─ 1: Tanh()
    └─ 2: Linear(32, 1)    33
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__(layers)

    def forward(self, x: Any) -> Any:
        """Run the layers in turn."""
        for layer in self.layers:
            x = layer(x)
        return x
