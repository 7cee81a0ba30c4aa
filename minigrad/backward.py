"""The walk back over the graph: the chain rule, one node at a time, output first."""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Any

import numpy as np

from minigrad.primitive import conform
from minigrad.recording import watchers
from minigrad.tensor import Tensor, last_write

__all__ = ["backpropagate"]


def backpropagate(
    output: Tensor,
    gradient: Any = None,
    *,
    targets: Collection[Tensor] | None = None,
    create_graph: bool = False,
    keep: dict[Tensor, Any] | None = None,
) -> dict[Tensor, Any]:
    """Return ∂output/∂target for every target: one walk over the graph, output first.

    Why an order is needed at all: in ``b = a + a; c = b + b`` both edges from c to b must have
    reported before b passes anything on to a.  Were b visited at the first report and again at
    the second, a would receive the first report twice.  A node is younger than its inputs, so
    the walk takes the youngest node that waits: all its consumers are younger still, and have
    reported.

    Parameters
    ----------
    output : Tensor
        What to differentiate.
    gradient : array_like or Tensor, optional
        Where the chain rule starts; 1 by default, for a scalar output.
    targets : collection of Tensor, optional
        With respect to what.  By default every leaf with `requires_grad`.  The walk does not go
        past a target, so no target should be computed from another.
    create_graph : bool
        Whether to run the VJPs on Tensors, which records them, instead of on bare arrays.
    keep : dict, optional
        Filled with the complete gradient of every node that the walk passes through, `output`
        included; they are dropped otherwise.

    Returns
    -------
    dict
        Target to gradient, of the target's shape and dtype: an array (a NumPy scalar where there
        are no axes), or a Tensor with `create_graph`.  A target that `output` does not depend on
        is missing.  Arrays may be shared: two targets can hold the same one.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As `Tensor.backward`.

    Examples
    --------
    >>> a = Tensor(1.0, requires_grad=True)
    >>> b = a + a
    >>> c = b + b
    >>> float(backpropagate(c)[a]), float(backpropagate(c, targets=[b])[b])
    (4.0, 2.0)
    """
    if not output.requires_grad:
        raise RuntimeError(
            "backward() on a tensor with no graph: nothing it was computed from has "
            "requires_grad=True, or it was computed under no_grad() or from detach()ed values"
        )
    g = _first_gradient(output, gradient, create_graph)
    if targets is None:
        oldest = -1
    elif output in targets:
        return {output: g}
    else:
        # A node that is older than every target cannot have been computed from one.
        oldest = min((target.serial for target in targets), default=output.serial)
    if output.op is None:
        return {output: g} if targets is None else {}
    watching = tuple(watchers)
    last_written = last_write.serial
    gradients = {output: g}
    youngest_first = [(-output.serial, output)]
    while youngest_first:
        z = heappop(youngest_first)[1]
        z_bar = gradients.pop(z)
        if keep is not None:
            keep[z] = z_bar
        if watching:
            for watcher in watching:
                watcher.before_backward(z)
        op: Any = z.op
        vjps, kwargs, age = op.vjps, z.kwargs, z.serial
        if create_graph or age < last_written:
            _check_values(z, create_graph)
        arguments = (z_bar, z, *z.parents) if create_graph else (z_bar, z._data, *z.values)
        i = -1
        for x in z.parents:  # not enumerate, nor zip with the VJPs: this loop is the overhead
            i += 1
            if type(x) is not Tensor or not x.requires_grad:
                continue
            goes_on = x.op is not None
            if targets is not None:
                if x.serial < oldest:
                    continue
                if x in targets:
                    goes_on = False
                elif not goes_on:
                    continue
            x_bar = vjps[i](*arguments, **kwargs) if kwargs else vjps[i](*arguments)
            data = x._data
            if x_bar.shape != data.shape or x_bar.dtype is not data.dtype:
                if data is not z.values[i]:
                    raise _values_changed(z, i)
                x_bar = conform(x_bar, x, op)
            if watching:
                for watcher in watching:
                    watcher.after_vjp(z, i, z_bar, x_bar)
            so_far = gradients.get(x)
            if so_far is not None:
                gradients[x] = so_far + x_bar
            else:
                gradients[x] = x_bar
                if goes_on:
                    heappush(youngest_first, (-x.serial, x))
    return gradients


def _check_values(z: Tensor, create_graph: bool) -> None:
    for i, x in enumerate(z.parents):
        if type(x) is Tensor and (
            x.written > z.serial or (create_graph and x._data is not z.values[i])
        ):
            raise _values_changed(z, i)


def _values_changed(z: Tensor, i: int) -> RuntimeError:
    x, value = z.parents[i], z.values[i]
    assert z.op is not None
    return RuntimeError(
        f"input {i} of {z.op.name}, of shape {value.shape}, "
        + ("was changed in place" if x._data is value else f"got a new array of shape {x.shape}")
        + " after the forward pass, and backward may need the old values; run backward before an "
        "optimizer's step or t.data -= ..., or compute the loss again"
    )


def _first_gradient(output: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The loss's own gradient: 1 for a scalar, or what the caller gave, checked."""
    if output.dtype.kind != "f":
        assert output.op is not None
        raise TypeError(
            f"backward() on values of dtype {output.dtype}, which {output.op.name} computed: only "
            "real floating-point numbers have a gradient"
        )
    if gradient is None:
        if output.size != 1:
            raise ValueError(
                f"backward() on a tensor of shape {output.shape} needs gradient=..., an array of "
                "that shape; or reduce it to a scalar first, e.g. with .sum() or .mean()"
            )
        one = np.array(1, output.dtype, ndmin=output.ndim)
        return Tensor(one) if create_graph else one
    if not isinstance(gradient, Tensor):
        gradient = Tensor(np.asarray(gradient, output.dtype))
    elif gradient.dtype != output.dtype:
        gradient = gradient.astype(output.dtype)
    if gradient.shape != output.shape:
        raise ValueError(
            f"backward() on a tensor of shape {output.shape} was given a gradient of shape "
            f"{gradient.shape}; the two must be equal"
        )
    return gradient if create_graph else gradient._data
