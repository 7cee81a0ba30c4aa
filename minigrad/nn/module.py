"""What every layer and model is: a function with a state that has names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from minigrad.nn.printing import draw_tree
from minigrad.primitive import bare
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Module"]


class Module(ABC):
    """Base of all layers and models.

    A subclass sets what it is made of as attributes, also in lists, tuples and dicts, and defines
    `forward`; calling the module runs `forward`.  There is nothing to register, and no
    ``super().__init__()`` to call:

    - a Tensor with ``requires_grad=True`` is a *parameter*: trained, saved;
    - any other Tensor is a *buffer*: saved, not trained (BatchNorm's running statistics, a
      parameter that was frozen by ``requires_grad = False``);
    - a plain NumPy array is a constant: neither (a table of positions);
    - a Module is a *child*, with a state of its own.

    A Tensor with a graph is no state.  To keep an activation for a look, keep its `data`: what
    was computed under `no_grad` has no graph, and would count as a buffer.

    Attributes
    ----------
    training : bool
        True until `eval` is called.  Dropout and BatchNorm do different things in training.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(3.0).item()
    6.0
    >>> [name for name, parameter in Scale().named_parameters()]
    ['factor']
    >>> Scale()
    Scale(): 1 parameter
    """

    training: bool = True

    @abstractmethod
    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Compute the output from the input."""

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        """Run `forward`."""
        return self.forward(*inputs, **kwargs)

    # What it is made of

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter once, with its dotted name, in order of definition."""
        for name, tensor in self._named_state():
            if tensor.requires_grad:
                yield name, tensor

    def parameters(self) -> list[Tensor]:
        """Return every parameter once, in order of definition.

        Examples
        --------
        >>> from minigrad import nn
        >>> net = nn.Sequential(nn.Linear(5, 3, rng=np.random.default_rng(0)), nn.ReLU())
        >>> [parameter.shape for parameter in net.parameters()]
        [(5, 3), (3,)]
        """
        return [parameter for _, parameter in self.named_parameters()]

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules that stand in this one's attributes, as often as they stand there."""
        for name, entry in _entries(self._attributes()):
            if isinstance(entry, Module):
                yield name, entry

    def children(self) -> list[Module]:
        """Return the modules that stand in this one's attributes."""
        return [child for _, child in self.named_children()]

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module, under the name ``""``, and all modules within, each once.

        Examples
        --------
        >>> from minigrad import nn
        >>> [name for name, module in nn.Sequential(nn.Sequential(nn.ReLU())).named_modules()]
        ['', '0', '0.0']
        """
        for name, entry in self._walk("", {id(self)}):
            if isinstance(entry, Module):
                yield name, entry

    # What happens to all of it

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and in all modules within; returns the module itself."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set `training` to False here and in all modules within; returns the module itself."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Set every parameter's `grad` to None."""
        for _, parameter in self.named_parameters():
            parameter.grad = None

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return a copy of every parameter's and buffer's values, under its dotted name.

        Examples
        --------
        >>> from minigrad import nn
        >>> layer = nn.Linear(2, 1, rng=np.random.default_rng(0))
        >>> {name: array.shape for name, array in layer.state_dict().items()}
        {'weight': (2, 1), 'bias': (1,)}
        """
        return {name: np.array(tensor.data, order="C") for name, tensor in self._named_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set every parameter and buffer to a copy of the array of its name.

        Parameters
        ----------
        state : mapping of str to array_like
            What `state_dict` of such a module returned.

        Raises
        ------
        TypeError
            If `state` is no mapping.
        ValueError
            If an entry is missing, unknown, or of another shape or dtype (another order of the
            bytes is converted).  The message names all of them, and nothing has been changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                "load_state_dict takes a dict from name to array, as state_dict() returns it, got "
                f"a {type(state).__name__}"
            )
        tensors = dict(self._named_state())
        arrays = {name: np.asarray(bare(array)) for name, array in state.items()}
        faults = [
            f"missing: {name}, shape {tensor.shape}, {tensor.dtype}"
            for name, tensor in tensors.items()
            if name not in arrays
        ]
        for name, array in arrays.items():
            if name not in tensors:
                faults.append(f"unknown: {name}, shape {array.shape}, {array.dtype}")
            elif array.shape != tensors[name].shape:
                faults.append(f"{name}: shape {array.shape} where {tensors[name].shape} is needed")
            elif array.dtype.newbyteorder("=") != tensors[name].dtype.newbyteorder("="):
                faults.append(f"{name}: {array.dtype} where {tensors[name].dtype} is needed")
        if faults:
            raise ValueError(
                f"this state does not fit {self.describe()}; nothing was changed:\n  "
                + "\n  ".join(faults)
                + "\nBuild the module with the sizes and the dtype that the state has, or rename "
                "and convert the state's entries first."
            )
        for name, tensor in tensors.items():
            tensor.data = np.array(arrays[name], tensor.dtype, order="C")

    # What it looks like

    def describe(self) -> str:
        """Return the line that stands for this module in `repr`, e.g. ``Linear(5, 32)``."""
        return type(self).__name__ + ("" if self.children() else "()")

    def __repr__(self) -> str:
        return draw_tree(self)

    # The walk

    def _attributes(self) -> Iterable[tuple[Any, Any]]:
        """Return what to look through, with names."""
        return vars(self).items()

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every parameter and buffer once."""
        names = set()
        for name, entry in self._walk("", {id(self)}):
            if isinstance(entry, Tensor):
                if name in names:
                    raise ValueError(
                        f"two tensors of {self.describe()} have the name {name!r}; rename one of "
                        "the attributes or keys that lead to them"
                    )
                names.add(name)
                yield name, entry

    def _walk(self, path: str, seen: set[int]) -> Iterator[tuple[str, Tensor | Module]]:
        yield path, self
        for name, entry in _entries(self._attributes()):
            if id(entry) not in seen:
                seen.add(id(entry))
                place = f"{path}.{name}" if path else name
                if isinstance(entry, Module):
                    yield from entry._walk(place, seen)
                else:
                    yield place, entry


def _entries(
    attributes: Iterable[tuple[Any, Any]], above: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Tensor | Module]]:
    """Yield the tensors without a graph and the modules, also those in lists, tuples and dicts.

    `above` holds the containers that lead here, and ends the circle of one that holds itself.
    """
    for name, value in attributes:
        if isinstance(value, Module) or (isinstance(value, Tensor) and value.is_leaf):
            yield str(name), value
        elif isinstance(value, list | tuple | dict) and id(value) not in above:
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            named = ((f"{name}.{key}", entry) for key, entry in entries)
            yield from _entries(named, above | {id(value)})
