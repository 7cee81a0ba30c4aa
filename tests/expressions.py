"""Random expressions over the table: graphs whose nodes are shared, printed as Python code.

An expression is a list of steps, each a line of code whose inputs are leaves and earlier steps.
What is run is the code that is printed, so a failing example can be pasted into an interpreter.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minigrad import functional, primitives

Shape = tuple[int, ...]

SHAPES: list[Shape] = [(), (3,), (2, 3), (1,), (2,), (3, 1), (1, 3), (3, 3), (2, 1, 3), (2, 3, 2)]
STEPS = 8  # of an expression, at most
LARGEST = 40  # elements of a node
NEAREST = 0.05  # what a kink keeps away from


class Operation(NamedTuple):
    """Code with {0} and {1} for the inputs."""

    code: str
    product: bool = False  # of its inputs, element by element or as matrices
    kink: str = ""  # code of an array that is 0 at a kink


@functools.cache
def compiled(code: str) -> Callable[..., Any]:
    """The code as a function of {0} and {1}."""
    scope = {"np": np, "primitives": primitives, "functional": functional}
    function: Callable[..., Any] = eval("lambda *xs: " + code.format("xs[0]", "xs[1]"), scope)
    return function


class Step(NamedTuple):
    """An operation, and the numbers of the nodes that it is applied to; leaves come first."""

    operation: Operation
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Expression:
    """A graph.  Its results are the nodes that no other node consumes."""

    leaves: tuple[Any, ...]
    steps: tuple[Step, ...]

    @property
    def results(self) -> list[int]:
        consumed = {i for step in self.steps for i in step.inputs}
        first = len(self.leaves)
        return [i for i in range(first, first + len(self.steps)) if i not in consumed]

    def nodes(self, leaves: Sequence[Any], order: Sequence[int] | None = None) -> list[Any]:
        """All nodes, made in the given order of the steps."""
        nodes = [*leaves, *[None] * len(self.steps)]
        for k in range(len(self.steps)) if order is None else order:
            operation, inputs = self.steps[k]
            nodes[len(leaves) + k] = compiled(operation.code)(*(nodes[i] for i in inputs))
        return nodes

    def __call__(self, *leaves: Any) -> tuple[Any, ...]:
        nodes = self.nodes(leaves)
        return tuple(nodes[i] for i in self.results)

    def sides(self, leaves: Sequence[Any]) -> list[Any]:
        """On which side of its kinks every step is."""
        nodes = self.nodes(leaves)
        return [
            np.greater(compiled(operation.kink)(*(nodes[i] for i in inputs)), 0)
            for operation, inputs in self.steps
            if operation.kink
        ]

    def order(self, rng: np.random.Generator) -> list[int]:
        """The steps in any order in which each follows its inputs."""
        first = len(self.leaves)
        waiting, order = list(range(len(self.steps))), list[int]()
        while waiting:
            ready = [k for k in waiting
                     if not any(i - first in waiting for i in self.steps[k].inputs)]  # fmt: skip
            order.append(ready[rng.integers(len(ready))])
            waiting.remove(order[-1])
        return order

    def __repr__(self) -> str:
        first = len(self.leaves)
        names = [*(f"x{i}" for i in range(first)), *(f"z{k}" for k in range(len(self.steps)))]
        lines = [f"{name} = np.{x!r}" for name, x in zip(names, self.leaves, strict=False)]
        lines.append(f"def f({', '.join(names[:first])}):")
        for k, (operation, inputs) in enumerate(self.steps):
            code = operation.code.format(*(names[i] for i in inputs))
            lines.append(f"    {names[first + k]} = {code}")
        lines.append(f"    return {', '.join(names[i] for i in self.results)},")
        return "\n" + "\n".join(lines) + "\n"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # Hypothesis would print the fields


# The catalogue.  Values are at most LIMIT, so that codes can keep to where functions are defined.

LIMIT = 6.0
SMOOTH = [
    "np.reciprocal(2 + np.sin({0}))", "np.square({0})", "np.sqrt(1 + np.square({0}))",
    "np.cbrt(1 + np.square({0}))", "np.power({0}, 3)", "{0} ** 2", "2.0 ** ({0} / 4)",
    "(1 + np.square({0})) ** -1.5", "np.exp({0} / 4)", "np.exp2({0} / 4)", "np.expm1({0} / 4)",
    "np.log(1 + np.square({0}))", "np.log2(2 + np.square({0}))", "np.log10(1 + np.square({0}))",
    "np.log1p(np.square({0}))", "np.sin({0})", "np.cos({0})", "np.tan({0} / 6)",
    "np.arcsin({0} / 8)", "np.arccos({0} / 8)", "np.arctan({0})", "np.sinh({0} / 4)",
    "np.cosh({0} / 4)", "np.tanh({0})", "np.arcsinh({0})", "np.arccosh(2 + np.square({0}))",
    "np.arctanh({0} / 8)", "np.deg2rad({0} * 30)", "np.rad2deg({0} / 30)",
    "primitives.sigmoid({0})", "primitives.softplus({0})", "primitives.silu({0})",
    "primitives.erf({0})", "functional.gelu({0})",
    "{0} * {0}", "1 - {0}", "{0} / 3", "3 / (4 + np.square({0}))",
]  # fmt: skip
KINKED = [
    "np.absolute({0})", "primitives.relu({0})", "primitives.leaky_relu({0}, negative_slope=0.25)",
    "primitives.elu({0}, alpha=0.5)", "np.sign({0})", "np.where(np.greater({0}, 0), {0} ** 2, {0})",
    "np.maximum({0}, 0)",
]  # fmt: skip
JUMPS = ["np.floor({0})", "np.ceil({0})", "np.trunc({0})", "np.rint({0})", "np.round({0})"]
AXES_OF: dict[int, list[Any]] = {
    0: [None], 1: [None, 0], 2: [None, 0, -1, (0, 1)], 3: [None, 1, -1, (0, 2), (2, 1)],
}  # fmt: skip


@functools.cache
def of_one(shape: Shape) -> dict[str, list[Operation]]:
    """What can be applied to an array of this shape, by kind."""
    n = len(shape)
    size = int(np.prod(shape))
    reduced = [
        f"axis={axis}, keepdims={keep}"
        for axis in AXES_OF.get(n, []) for keep in (False, True)
    ]  # fmt: skip
    linear = ["np.negative({0})", "np.positive({0})", "3 * {0}", "{0} - 2", "np.copy({0})",
              "{0}[None]", "{0}[..., None]", "np.ravel({0})", "np.reshape({0}, (-1, 1))",
              "np.atleast_2d({0})", "np.broadcast_to({0}, (2, *np.shape({0})))",
              "np.stack([{0}, {0}], axis=-1)", "np.expand_dims({0}, (0, -1))"]  # fmt: skip
    linear += [f"np.sum({{0}}, {o})" for o in reduced]
    linear += ["np.cumsum({0})", "np.flip({0})", "np.roll({0}, 1)", "np.repeat({0}, 2)",
               "np.tile({0}, 2)", "np.squeeze({0})", "{0}.T", "{0}.astype(np.float64)"]  # fmt: skip
    smooth = [*SMOOTH, *(f"np.mean({{0}}, {o})" for o in reduced),
              *(f"primitives.logsumexp({{0}}, {o})" for o in reduced),
              *(f"np.var({{0}}, {o})" for o in reduced),
              *(f"np.prod({{0}} / 2, {o})" for o in reduced),
              *(f"np.linalg.vector_norm(5 + np.sin({{0}}), {o})" for o in reduced)]  # fmt: skip
    kinked = [Operation(code, kink="{0}") for code in KINKED]
    kinked += [Operation("np.clip({0}, -1.0, 2.0)", kink="({0} + 1) * ({0} - 2)")]
    kinked += [Operation(code, kink="np.sin(2 * np.pi * {0})") for code in JUMPS]
    if size > 1:
        ordered = "np.diff(np.sort({0}, axis=None))"
        kinked += [
            Operation(f"np.{f}({{0}}, {o})", kink=ordered)
            for f in ("max", "min", "median", "ptp") for o in reduced
        ]  # fmt: skip
        kinked += [Operation("np.sort({0}, axis=None)", kink=ordered)]
    if n:
        last = shape[-1]
        linear += ["{0}[0]", "{0}[-1]", "{0}[..., ::-1]", "{0}[[0, -1, 0]]", "{0}[..., [0, 0]]",
                   f"np.where({_mask(shape)}, {{0}}, 1.0)", f"{{0}}[np.array({_mask(shape[:1])})]",
                   "np.pad({0}, 1)", "np.pad({0}, (2, 1), constant_values=1.0)",
                   "np.cumsum({0}, axis=-1)", "np.cumsum({0}, axis=0)", "np.flip({0}, axis=0)",
                   "np.roll({0}, -2, axis=-1)", "np.take({0}, [[0, -1], [-1, 0]], axis=-1)",
                   "np.concatenate([{0}, 2 * {0}])", "np.append({0}, {0})", "np.diff({0})",
                   "np.delete({0}, 0, axis=-1)", "np.repeat({0}, 2, axis=-1)",
                   f"np.take_along_axis({{0}}, np.full({(*shape[:-1], 2)}, {last - 1}), axis=-1)",
                   "np.split({0}, [1])[0]", "np.array_split({0}, 2, axis=-1)[0]"]  # fmt: skip
        smooth += ["functional.softmax({0})", "functional.log_softmax({0}, axis=0)",
                   "np.cumprod({0} / 2, axis=-1)"]  # fmt: skip
        if last > 1:
            spread = "{0} / 4 + 9 * np.arange({0}.shape[-1])"
            smooth += [f"np.std({spread}) / 9", f"functional.layer_norm({spread})"]
    if n == 1:
        linear += ["np.diag({0})", "np.outer({0}, [1.0, -2.0])", "np.kron({0}, [1.0, 2.0])",
                   "primitives.scatter({0}, index=np.arange(len({0})) // 2 % 4, shape=(4,))"]
    if n >= 2:
        linear += ["{0}.mT", "np.moveaxis({0}, 0, -1)", "np.swapaxes({0}, 0, 1)", "{0}[:, 0]",
                   "np.transpose({0}, axes=(-1, " + ", ".join(map(str, range(n - 1))) + "))",
                   "np.tril({0})", "np.triu({0}, k=1)", "np.diagonal({0}, axis1=-2, axis2=-1)",
                   "np.trace({0})", "np.einsum('ij...->ji...', {0})",
                   "np.einsum('...i->...', {0})", "{0}[[0, 0], [-1, 0]]", "np.unstack({0})[0]",
                   "{0}[None, :, 0]", "{0}[:, [-1, 0]]"]  # fmt: skip
        smooth += ["{0} @ {0}.mT", "functional.scaled_dot_product_attention({0}, {0}, {0})"]
    if n == 2:
        smooth += [
            "functional.cross_entropy({0}, np.zeros(len({0}), int), label_smoothing=0.1)",
            "functional.avg_pool2d({0}[None, None], (1, 2), stride=1, padding=(0, 1))",
            "functional.embedding({0}, np.array([[0, -1], [0, 0]]) % len({0}))",
        ]
    if n >= 2 and shape[-1] == shape[-2]:
        well = "({0} / 8 + 3 * np.eye({0}.shape[-1]))"
        smooth += [f"np.linalg.inv({well})", f"np.linalg.det({well} / 3)",
                   f"np.linalg.slogdet({well}).logabsdet", "np.linalg.matrix_power({0} / 4, 3)",
                   f"primitives.cofactor({well} / 3)", "np.einsum('...ii->...i', {0})",
                   "np.linalg.cholesky({0} @ {0}.mT / 8 + np.eye({0}.shape[-1]))"]  # fmt: skip
    return {
        "linear": [Operation(code) for code in linear],
        "smooth": [Operation(code) for code in smooth],
        "kinked": kinked,
    }


def _mask(shape: Shape) -> str:
    """Not all True or False where there is more than one element."""
    mask: list[Any] = (np.arange(np.prod(shape)).reshape(shape) % 3 < 1).tolist()
    return str(mask)


@functools.cache
def of_two(a: Shape, b: Shape) -> dict[str, list[Operation]]:
    """What can be applied to two arrays of these shapes, by kind."""
    linear, products, smooth, kinked = [], [], [], []
    try:
        both = np.broadcast_shapes(a, b)
    except ValueError:
        pass
    else:
        linear += ["np.add({0}, {1})", "{0} - {1}", "np.subtract({0}, 2 * {1})",
                   f"np.where({_mask(both)}, {{0}}, {{1}})",
                   "np.stack(np.broadcast_arrays({0}, {1}))"]  # fmt: skip
        products += ["np.multiply({0}, {1})", "{0} * {1}"]
        smooth += ["np.divide({0}, 4 + np.sin({1}))", "np.power(1 + np.square({0}), {1} / 8)",
                   "np.hypot({0}, 2 + np.square({1}))", "np.arctan2({0}, 2 + np.square({1}))",
                   "np.logaddexp({0}, {1})", "np.logaddexp2({0}, {1})"]  # fmt: skip
        kinked += [Operation(f"np.{f}({{0}}, {{1}})", kink="{0} - {1}")
                   for f in ("maximum", "minimum")]  # fmt: skip
        quotient = "{0} / (7 + np.sin({1}))"
        kinked += [Operation(f"np.{f}({{0}}, 7 + np.sin({{1}}))",
                             kink=f"np.sin(np.pi * {quotient})")
                   for f in ("fmod", "remainder", "floor_divide")]  # fmt: skip
    if a == b:
        linear += ["np.stack([{0}, {1}], axis=-1)"]
        smooth += ["functional.mse_loss({0}, {1})", "functional.squared_loss({0}, {1})",
                   "functional.binary_cross_entropy_with_logits({0}, primitives.sigmoid({1}))"]
        kinked += [Operation("functional.huber_loss({0}, {1})",
                             kink="np.square({0} - {1}) - 1")]  # fmt: skip
        products += ["np.vdot({0}, {1})"]
    if a and len(a) == len(b):
        for axis in range(len(a)):
            if a[:axis] + a[axis + 1 :] == b[:axis] + b[axis + 1 :]:
                linear += [f"np.concatenate([{{0}}, {{1}}], axis={axis})"]
    if a and b:
        rest = a[:-2], b[:-2]
        if a[-1] == b[max(len(b) - 2, 0)] and _broadcast(*rest):
            products += ["np.matmul({0}, {1})", "{0} @ {1}"]
        if a[-1] == b[-1]:
            products += ["np.inner({0}, {1})", "np.einsum('...i,...i->...', {0}, {1})"
                         if _broadcast(a[:-1], b[:-1]) else "np.tensordot({0}, {1}, (-1, -1))"]
        if len(a) == len(b) == 1:
            products += ["np.outer({0}, {1})", "np.kron({0}, {1})",
                         "np.einsum('i,j->ji', {0}, {1})"]  # fmt: skip
        if a[-1] == b[-1] == 3 and _broadcast(a, b):
            products += ["np.cross({0}, {1})"]
        if a[-1:] == b[:1] and len(a) <= len(b) == 2:
            products += ["np.tensordot({0}, {1}, axes=1)", "np.einsum('...j,jk->...k', {0}, {1})"]
            smooth += ["functional.affine({0}, {1}, {1}[0])"]
        if len(a) == len(b) == 2 and a[1] == b[1]:
            smooth += ["functional.scaled_dot_product_attention({0}, {1}, 2 * {1})"]
        if len(a) == len(b) == 2 and all(k <= n + 1 for n, k in zip(a, b, strict=True)):
            products += ["functional.conv2d({0}[None, None], {1}[None, None], padding=1)[0, 0]"]
        if len(a) >= 2 and a[-1] == a[-2] == b[max(len(b) - 2, 0)] and _broadcast(*rest):
            smooth += ["np.linalg.solve({0} / 8 + 3 * np.eye({0}.shape[-1]), {1})"]
    kinds = {
        "linear": [Operation(code) for code in linear],
        "products": [Operation(code, product=True) for code in products],
        "smooth": [Operation(code) for code in smooth],
        "kinked": kinked,
    }
    return {kind: operations for kind, operations in kinds.items() if operations}


def _broadcast(a: Shape, b: Shape) -> bool:
    return all(1 in pair or pair[0] == pair[1] for pair in zip(a[::-1], b[::-1], strict=False))


@st.composite
def expressions(
    draw: Any,
    *,
    exact: bool = False,
    first: str = "",
    others: tuple[str, ...] = ("",),
) -> Expression:
    """Expressions on up to three leaves.

    Parameters
    ----------
    exact : bool
        Only polynomials of degree 4 or less in whole numbers that are small: no rounding.
    first, others : str and tuple of str
        What the code of the first step has to contain, and one of what that of the others has to.
    """
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    # Two decimals, so that what is printed is what was computed with.
    values: list[Any] = [
        rng.integers(-3, 4, shape).astype(float) if exact else rng.uniform(-2, 2, shape).round(2)
        for shape in shapes
    ]
    leaves = tuple(map(np.asarray, values))
    values = list(leaves)
    degrees = [1] * len(leaves)
    made: list[Step] = []

    def attempt(operation: Operation, inputs: tuple[int, ...]) -> None:
        """Make the step, unless its result is too large or at a kink."""
        arguments = [values[i] for i in inputs]
        value = np.asarray(compiled(operation.code)(*arguments))
        degree = (sum if operation.product else max)(degrees[i] for i in inputs)
        largest = np.max(np.abs(value), initial=0)
        distance = compiled(operation.kink)(*arguments) if operation.kink else 1.0
        near = np.min(np.abs(distance), initial=1.0) < NEAREST
        if not 0 < value.size <= LARGEST or near or (exact and (degree > 4 or largest > 1e6)):
            return
        if not exact and largest > LIMIT:
            operation = operation._replace(code=f"np.arctan({operation.code})")
            value = np.arctan(value)
        values.append(value)
        degrees.append(degree)
        made.append(Step(operation, inputs))

    for _ in range(draw(st.integers(1, STEPS))):
        # As often the newest node as any: chains become long.
        x = min(draw(st.integers(0, 2 * len(values) - 1)), len(values) - 1)
        y = draw(st.integers(0, len(values) - 1))
        inputs: tuple[int, ...] = (x, y)
        wanted = others if made else (first,)
        of_both = of_two(np.shape(values[x]), np.shape(values[y])) if draw(st.booleans()) else {}
        kinds = _chosen(of_both, wanted, exact)
        if not kinds:
            inputs = (x,)
            kinds = _chosen(of_one(np.shape(values[x])), wanted, exact)
        if kinds:
            kind = draw(st.sampled_from(list(kinds)))
            attempt(draw(st.sampled_from(kinds[kind])), inputs)
    if not made:
        attempt(Operation("np.add({0}, {0})"), (len(leaves) - 1,))
    return Expression(leaves, tuple(made))


def _chosen(
    kinds: dict[str, list[Operation]], wanted: tuple[str, ...], exact: bool
) -> dict[str, list[Operation]]:
    chosen = {
        kind: [o for o in operations if any(text in o.code for text in wanted)]
        for kind, operations in kinds.items()
        if not exact or kind in ("linear", "products")
    }
    return {kind: operations for kind, operations in chosen.items() if operations}
