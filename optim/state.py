"""An optimizer's state as nested dicts and lists, and back, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optim.hyperparameters import did_you_mean
from optim.parameters import Slot

if TYPE_CHECKING:
    from optim.optimizer import Optimizer

__all__ = ["CheckedState", "checked_state", "state_of"]


class CheckedState(NamedTuple):
    """A state that fits an optimizer."""

    groups: list[dict[str, Any]]
    slots: list[tuple[Slot, int, dict[str, npt.NDArray[Any]]]]
    skipped: int


def state_of(optimizer: Optimizer) -> dict[str, Any]:
    """Return the state of an optimizer; see `Optimizer.state_dict`."""
    return {
        "optimizer": type(optimizer).__name__,
        "skipped": optimizer.skipped,
        "param_groups": [
            {
                **{k: list(v) if isinstance(v, tuple) else v for k, v in dict(group).items()},
                "params": places,
            }
            for group, places in zip(optimizer.param_groups, _places(optimizer), strict=True)
        ],
        "state": [
            {
                "name": slot.name,
                "shape": list(slot.shape),
                "dtype": slot.dtype.name,
                "steps": slot.t,
                **{k: array.reshape(slot.shape).copy() for k, array in slot.state.items()},
            }
            for slot in optimizer._slots
        ],
    }


def checked_state(optimizer: Optimizer, state: Any, keep: list[str]) -> CheckedState:
    """Return what `state` says, if all of it fits the optimizer; else raise."""
    kind = type(optimizer).__name__
    for name in keep:
        if name not in optimizer.hyperparameters:
            raise ValueError(
                f"keep={keep}: {kind} has no hyperparameter {name!r}"
                + did_you_mean(str(name), optimizer.hyperparameters)
            )
    _check_keys("the state", state, ["optimizer", "skipped", "param_groups", "state"])
    if not isinstance(state["optimizer"], str) or state["optimizer"] != kind:
        raise ValueError(f"this is the state of {state['optimizer']!r}, not of {kind}")
    _check_count("skipped", state["skipped"])
    groups = _checked_list("parameter group", state["param_groups"], len(optimizer.param_groups))
    slots = _checked_list("parameter", state["state"], len(optimizer._slots))
    return CheckedState(
        groups=[
            _checked_group(optimizer, i, places, saved, keep)
            for i, (places, saved) in enumerate(zip(_places(optimizer), groups, strict=True))
        ],
        slots=[
            (slot, *_checked_slot(slot, saved))
            for slot, saved in zip(optimizer._slots, slots, strict=True)
        ],
        skipped=state["skipped"],
    )


def _places(optimizer: Optimizer) -> list[list[int]]:
    """For each group, the places of its parameters among all."""
    ends = [0, *accumulate(len(group._slots) for group in optimizer.param_groups)]
    return [list(range(*pair)) for pair in pairwise(ends)]


def _checked_group(
    optimizer: Optimizer, i: int, places: list[int], saved: Any, keep: list[str]
) -> dict[str, Any]:
    """The group's hyperparameters."""
    group, place = optimizer.param_groups[i], f"parameter group {i}"
    _check_keys(place, saved, [*optimizer.hyperparameters, "params"])
    if not isinstance(saved["params"], list | tuple) or list(saved["params"]) != places:
        raise ValueError(
            f"{place} had the parameters {saved['params']}, and has {places}; make the optimizer "
            "with the same groups"
        )
    try:
        changes = {k: saved[k] for k in optimizer.hyperparameters if k not in keep}
        return group.checked(changes, loading=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{place}: {error}") from None


def _checked_slot(slot: Slot, saved: Any) -> tuple[int, dict[str, npt.NDArray[Any]]]:
    """The parameter's number of steps, and its state arrays."""
    _check_keys(slot.label, saved, ["name", "shape", "dtype", "steps", *slot.state])
    for key, kinds in {"name": str | None, "shape": list | tuple, "dtype": str}.items():
        if not isinstance(saved[key], kinds):
            raise TypeError(f"{slot.label}: {key} is of type {type(saved[key]).__name__}")
    if None not in (slot.name, saved["name"]) and slot.name != saved["name"]:
        raise ValueError(f"{slot.label} was {saved['name']!r} where the state was saved")
    _check_count(f"{slot.label}: steps", saved["steps"])
    if (tuple(saved["shape"]), saved["dtype"]) != (slot.shape, slot.dtype.name):
        raise ValueError(
            f"{slot.label} has {slot.dtype} values of shape {slot.shape}; where the state was "
            f"saved they were {saved['dtype']} of shape {tuple(saved['shape'])}"
        )
    for name in slot.state:
        array = saved[name]
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{slot.label}: {name} is of type {type(array).__name__}, not an array")
        if (array.shape, array.dtype) != (slot.shape, slot.dtype):
            raise ValueError(
                f"{slot.label}: {name} is of {array.dtype} and shape {array.shape}; it has to be "
                f"of {slot.dtype} and {slot.shape}, as the parameter"
            )
    return saved["steps"], {name: saved[name] for name in slot.state}


def _check_keys(what: str, saved: Any, expected: Iterable[str]) -> None:
    if not isinstance(saved, Mapping):
        raise TypeError(f"{what} is of type {type(saved).__name__}, not a dict as state_dict gives")
    expected = list(expected)
    missing = [key for key in expected if key not in saved]
    unknown = [key for key in saved if key not in expected]
    if missing or unknown:
        parts = [f"lacks {', '.join(map(repr, missing))}"] * bool(missing)
        parts += [f"has {', '.join(map(repr, unknown))}, which is unknown"] * bool(unknown)
        raise ValueError(f"{what} {' and '.join(parts)}; its keys have to be {', '.join(expected)}")


def _checked_list(what: str, saved: Any, expected: int) -> list[Any]:
    if not isinstance(saved, list | tuple):
        raise TypeError(f"the list of {what}s is of type {type(saved).__name__}")
    if len(saved) != expected:
        raise ValueError(
            f"the state is of {len(saved)} {what}(s), the optimizer has {expected}; make it with "
            f"the same {what}s"
        )
    return list(saved)


def _check_count(what: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 2**53:
        raise ValueError(f"{what}={value!r}: accepted is a whole number from 0 to 2**53")
