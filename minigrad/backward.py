"""The walk back over the graph: the chain rule, one node at a time, output first."""

from __future__ import annotations

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Any

import numpy as np

from minigrad.primitive import conform
from minigrad.tensor import Tensor

__all__ = ["backpropagate"]


def backpropagate(
    output: Tensor,
    gradient: Any = None,
    *,
    targets: Collection[Tensor] | None = None,
    create_graph: bool = False,
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

    Returns
    -------
    dict
        Target to gradient, of the target's shape and dtype: an array (a NumPy scalar where there
        are no axes), or a Tensor with `create_graph`.  A target that `output` does not depend on
        is missing.  Arrays may be shared: two targets can hold the same one.

    Raises
    ------
    RuntimeError, ValueError
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
    found: dict[Tensor, Any] = {}
    waiting = {output: g}
    youngest_first = [(-output.serial, output)]
    while youngest_first:
        z = heappop(youngest_first)[1]
        z_bar = waiting.pop(z)
        op: Any = z.op
        parents = z.parents
        if create_graph:
            _check_values(z)
            arguments = (z_bar, z, *parents)
        else:
            arguments = (z_bar, z.data, *z.values)
        for x, vjp in zip(parents, op.vjps, strict=False):  # a Variadic has no end
            if type(x) is not Tensor or not x.requires_grad or x.serial < oldest:
                continue
            is_leaf = x.op is None
            is_target = is_leaf if targets is None else x in targets
            if is_leaf and not is_target:
                continue
            x_bar = vjp(*arguments, **z.kwargs)
            if x_bar.shape != x.data.shape or x_bar.dtype != x.data.dtype:
                x_bar = conform(x_bar, x, op)
            so_far = found if is_target else waiting
            if x in so_far:
                so_far[x] = so_far[x] + x_bar
            else:
                so_far[x] = x_bar
                if not is_target:
                    heappush(youngest_first, (-x.serial, x))
    return found


def _check_values(z: Tensor) -> None:
    for x, value in zip(z.parents, z.values, strict=True):
        if isinstance(x, Tensor) and x.data is not value:
            raise RuntimeError(
                f"an input of {z.op!r} got a new array between forward and backward; with "
                "create_graph=True, run backward before setting t.data"
            )


def _first_gradient(output: Tensor, gradient: Any, create_graph: bool) -> Any:
    """The loss's own gradient: 1 for a scalar, or what the caller gave, checked."""
    if gradient is None:
        if output.data.size != 1:
            raise ValueError(
                f"backward() on a tensor of shape {output.shape} needs gradient=..., an array of "
                "that shape; or reduce it to a scalar first, e.g. with .sum() or .mean()"
            )
        one = np.array(1, output.data.dtype, ndmin=output.data.ndim)
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
    return gradient if create_graph else gradient.data
