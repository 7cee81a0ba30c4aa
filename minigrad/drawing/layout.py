"""Where to put the nodes of a directed graph: in layers, from the inputs down to the output.

Three steps, after Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical
system structures" (IEEE Transactions on Systems, Man, and Cybernetics 11, 1981):

1. a layer for every node, below all of its inputs;
2. an order within every layer, so that few edges cross;
3. a position for every node, so that edges are short and nothing overlaps.

An edge that passes a layer needs room there.  It gets a slot of its own in the order, as if it
were a narrow node; the edges of one source share their slots, and part where they have to.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Layout", "layered_layout"]

# How strongly an edge pulls its ends to one position.  A long edge should be straight, and so
# should the line of results; a leaf can move aside.
PULL_PASSING, PULL_RESULT, PULL_LEAF = 64.0, 4.0, 0.05

PASSING_WIDTH = 0.1
PORT_DISTANCE = 0.45
SWEEPS = 8  # through all layers, for the order
SETTLED = 1e-4  # when no slot moves further, in an improvement of the positions
WORK = 300_000  # visits to a slot, which bound the time for large graphs


@dataclass(frozen=True)
class Layout:
    """Positions of slots: node i is slot i; slots of passing edges follow.

    Attributes
    ----------
    layer : list of int
        Of every slot; 0 is at the top.
    x : list of float
        Position of the middle of every slot; the leftmost edge of a node is at 0.
    order : list of list of int
        The slots of every layer from left to right.
    path : list of list of list of int
        For every node and every one of its inputs: the slots on the way from input to node, both
        included.
    port : list of list of float
        For every node and every one of its inputs: where the edge arrives.  Ports are in the
        order in which their edges come, so that these do not cross.
    """

    layer: list[int]
    x: list[float]
    order: list[list[int]]
    path: list[list[list[int]]]
    port: list[list[float]]


def layered_layout(
    inputs: Sequence[Sequence[int]], widths: Sequence[float], gap: float = 0.3
) -> Layout:
    """Lay out a graph whose nodes are numbered so that inputs come first and the output last.

    Parameters
    ----------
    inputs : sequence of sequences of int
        For every node the nodes that it was made from; none for a leaf.
    widths : sequence of float
        Of every node.
    gap : float
        Least distance between two nodes side by side.

    Examples
    --------
    >>> layout = layered_layout([(), (), (0, 1), (2,)], widths=[1, 1, 1, 1], gap=1)
    >>> layout.layer
    [0, 0, 1, 2]
    >>> [round(at, 6) for at in layout.x]
    [0.5, 2.5, 1.5, 1.5]
    """
    layer = _layers(inputs)
    path = _paths(inputs, layer)
    above, below = _neighbors(path, len(layer))
    order = _order(len(inputs) - 1, layer, above, below)
    offsets = _offsets(path, order, widths)
    springs = _springs(inputs, path, offsets, len(layer))
    widths = [*widths, *[PASSING_WIDTH] * (len(layer) - len(widths))]
    distances = [
        [
            (widths[a] + widths[b]) / 2 + (gap if min(a, b) < len(inputs) else gap / 2)
            for a, b in pairwise(slots)
        ]
        for slots in order
    ]
    x = _positions(order, springs, distances)
    left = min(at - width / 2 for at, width in zip(x, widths, strict=True))
    x = [at - left for at in x]
    port = [[x[i] + offset for offset in of_node] for i, of_node in enumerate(offsets)]
    return Layout(layer, x, order, path, port)


def _layers(inputs: Sequence[Sequence[int]]) -> list[int]:
    """One below the lowest input; a leaf just above its first consumer."""
    layer = [0] * len(inputs)
    for i, of_node in enumerate(inputs):
        if of_node:
            layer[i] = 1 + max(layer[j] for j in of_node)
    first_use: dict[int, int] = {}
    for i, of_node in enumerate(inputs):
        for j in of_node:
            first_use[j] = min(layer[i], first_use.get(j, layer[i]))
    for i, of_node in enumerate(inputs):
        if not of_node and i in first_use:
            layer[i] = first_use[i] - 1
    return layer


def _paths(inputs: Sequence[Sequence[int]], layer: list[int]) -> list[list[list[int]]]:
    """Lead every edge through slots in the layers between its ends; `layer` is extended by them."""
    passing: dict[tuple[int, int], int] = {}  # source and layer to slot
    path: list[list[list[int]]] = []
    for i, of_node in enumerate(inputs):
        path.append([])
        for j in of_node:
            slots = [j]
            for k in range(layer[j] + 1, layer[i]):
                if (j, k) not in passing:
                    passing[j, k] = len(layer)
                    layer.append(k)
                slots.append(passing[j, k])
            path[-1].append([*slots, i])
    return path


def _neighbors(path: list[list[list[int]]], count: int) -> tuple[list[list[int]], list[list[int]]]:
    """For every slot the connected slots one layer above, and one below."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for of_node in path:
        for slots in of_node:
            for a, b in pairwise(slots):
                if a not in above[b]:
                    above[b].append(a)
                    below[a].append(b)
    return above, below


# Order within the layers


def _order(
    output: int, layer: list[int], above: list[list[int]], below: list[list[int]]
) -> list[list[int]]:
    """Try the order of the arguments, then mirror one node's inputs after the other's.

    Each try is followed by sorting by the mean place of the neighbors, downward and upward in
    turn.  The order with the fewest crossings wins, and the first of these.
    """
    mirrored: set[int] = set()
    best, fewest = _swept(_order_of_inputs(output, layer, above, mirrored), above, below)
    tries = WORK // (len(layer) * SWEEPS)
    for slot in [i for i in reversed(range(len(above))) if len(above[i]) > 1][:tries]:
        if fewest == 0:
            break
        order, crossings = _swept(
            _order_of_inputs(output, layer, above, mirrored | {slot}), above, below
        )
        if crossings < fewest:
            mirrored.add(slot)
            best, fewest = order, crossings
    return best


def _order_of_inputs(
    output: int, layer: list[int], above: list[list[int]], mirrored: set[int]
) -> list[list[int]]:
    """From the output to its inputs, left to right, and to theirs: no crossings in a tree."""
    order: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    seen = [False] * len(layer)
    waiting = [output]
    while waiting:
        slot = waiting.pop()
        if not seen[slot]:
            seen[slot] = True
            order[layer[slot]].append(slot)
            waiting.extend(above[slot] if slot in mirrored else reversed(above[slot]))
    return order


def _swept(
    order: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> tuple[list[list[int]], int]:
    best, fewest = order, _crossings(order, below)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        order = _sorted_by_neighbors(order, above, below, downward=sweep % 2 == 0)
        _swap_neighbors(order, above, below)
        crossings = _crossings(order, below)
        if crossings < fewest:
            best, fewest = order, crossings
    return best, fewest


def _sorted_by_neighbors(
    order: list[list[int]], above: list[list[int]], below: list[list[int]], *, downward: bool
) -> list[list[int]]:
    order = [list(slots) for slots in order]
    layers = range(1, len(order)) if downward else range(len(order) - 2, -1, -1)
    neighbors = above if downward else below
    for k in layers:
        fixed = order[k - 1 if downward else k + 1]
        place = {slot: p / len(fixed) for p, slot in enumerate(fixed)}
        middle = {}
        for p, slot in enumerate(order[k]):
            ends = [place[end] for end in neighbors[slot]]
            middle[slot] = sum(ends) / len(ends) if ends else p / len(order[k])
        order[k].sort(key=middle.__getitem__)
    return order


def _swap_neighbors(
    order: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> None:
    """Swap two neighbors wherever that alone removes crossings."""
    place = [0] * len(above)
    for slots in order:
        for p, slot in enumerate(slots):
            place[slot] = p
    for slots in order:
        for p in range(len(slots) - 1):
            a, b = slots[p], slots[p + 1]
            gain = 0
            for side in (above, below):
                for m in side[a]:
                    for n in side[b]:
                        gain += (place[m] > place[n]) - (place[m] < place[n])
            if gain > 0:
                slots[p], slots[p + 1] = b, a
                place[a], place[b] = p + 1, p


def _crossings(order: list[list[int]], below: list[list[int]]) -> int:
    """Count the pairs of edges that cross: inversions between neighboring layers."""
    total = 0
    for upper, lower in pairwise(order):
        place = {slot: p for p, slot in enumerate(lower)}
        ends: list[int] = []
        for slot in upper:
            mine = sorted(place[end] for end in below[slot])
            total += sum(len(ends) - bisect_right(ends, end) for end in mine)
            for end in mine:
                insort(ends, end)
    return total


# Positions


def _offsets(
    path: list[list[list[int]]], order: list[list[int]], widths: Sequence[float]
) -> list[list[float]]:
    """Where a node's edges arrive, from its middle: side by side, in the order they come in."""
    place = {slot: p for slots in order for p, slot in enumerate(slots)}
    offsets = []
    for i, of_node in enumerate(path):
        count = len(of_node)
        apart = min(PORT_DISTANCE, 0.7 * widths[i] / max(count, 1))
        offsets.append([0.0] * count)
        for p, n in enumerate(sorted(range(count), key=lambda n: place[of_node[n][-2]])):
            offsets[-1][n] = (p - (count - 1) / 2) * apart
    return offsets


def _springs(
    inputs: Sequence[Sequence[int]],
    path: list[list[list[int]]],
    offsets: list[list[float]],
    count: int,
) -> list[list[tuple[int, float, float]]]:
    """For every slot the slots that it is tied to: which, how far to the left, how strongly."""
    arrivals: dict[tuple[int, int], list[float]] = {}
    for i, of_node in enumerate(path):
        for slots, offset in zip(of_node, offsets[i], strict=True):
            for a, b in pairwise(slots):
                arrivals.setdefault((a, b), []).append(offset if b == i else 0.0)
    tied: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    for (a, b), arriving in arrivals.items():
        offset = sum(arriving) / len(arriving)
        if min(a, b) >= len(inputs):
            pull = PULL_PASSING
        else:
            pull = PULL_RESULT if a >= len(inputs) or inputs[a] else PULL_LEAF
        tied[a].append((b, offset, pull))
        tied[b].append((a, -offset, pull))
    return tied


def _positions(
    order: list[list[int]],
    springs: list[list[tuple[int, float, float]]],
    distances: list[list[float]],
) -> list[float]:
    """Minimise Σ pull · (xᵢ - xⱼ - offset)² over the edges, layer by layer, without overlap."""
    x = [0.0] * len(springs)
    for slots, between in zip(order, distances, strict=True):
        place = -sum(between) / 2
        for slot, distance in zip(slots, [*between, 0.0], strict=True):
            x[slot] = place
            place += distance
    last = len(order) - 1
    for _ in range(min(200, 1 + WORK // len(springs))):
        before = list(x)
        for k in (*range(last + 1), *range(last - 1, -1, -1)):
            weights = [sum(pull for _, _, pull in springs[slot]) for slot in order[k]]
            wanted = [
                sum(pull * (x[other] + offset) for other, offset, pull in springs[slot]) / weight
                for slot, weight in zip(order[k], weights, strict=True)
            ]
            apart = _nearest_apart(wanted, weights, distances[k])
            for slot, at in zip(order[k], apart, strict=True):
                x[slot] = at
        if max(abs(a - b) for a, b in zip(x, before, strict=True)) < SETTLED:
            break
    return x


def _nearest_apart(
    wanted: Sequence[float], weights: Sequence[float], distances: Sequence[float]
) -> list[float]:
    """Minimise Σ w (x - wanted)² with every x at least its distance to the right of the last.

    With the distances taken off, x must not decrease: isotonic regression, by pooling adjacent
    violators.

    Examples
    --------
    >>> _nearest_apart([0.0, 0.0, 5.0], [1.0, 1.0, 1.0], [2.0, 2.0])
    [-1.0, 1.0, 5.0]
    """
    offset = 0.0
    offsets = [0.0]
    for distance in distances:
        offset += distance
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for at, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, members = at - offset, weight, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, other_members = pools.pop()
            mean = (mean * total + other * other_weight) / (total + other_weight)
            total += other_weight
            members += other_members
        pools.append((mean, total, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
