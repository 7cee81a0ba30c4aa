"""`trace`: a training step as a straight line of NumPy calls.

The loss is computed from stand-ins for the batch and for the parameters, and `backpropagate` walks
the graph as it always does; what is written down on the way is the whole training step.  It runs
to find its parameters (again, if its variables did not show them all), and then twice, which has to
be the same: a step that counts, or draws random numbers, is another one each time.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad.backward import backpropagate
from minigrad.primitive import Primitive
from minigrad.recording import enable_grad, mode, watchers
from minigrad.tensor import Tensor
from minigrad.tracing.frames import asked_at, optimizer_call
from minigrad.tracing.names import RESERVED, parameter_names, unused
from minigrad.tracing.node import EAGER, Node, Trace, Unsupported
from minigrad.tracing.record import Recorder
from minigrad.tracing.simplify import simplified
from minigrad.tracing.symbol import Symbol
from minigrad.tracing.undisturbed import Surroundings, parameters_of

__all__ = ["trace"]


def trace(
    function: Callable[..., Any], *inputs: npt.ArrayLike, names: Mapping[str, Any] | None = None
) -> Trace:
    """Write down what a training step computes: a loss and its gradients, or a whole step.

    Parameters
    ----------
    function : callable
        ``function(*inputs)`` returns the loss, a Tensor with one element, computed from
        parameters: leaves with `requires_grad`, which are found.  Or it is a step: it calls
        `backward` on the loss and then `step` of an optimizer among its variables, which are noted
        and not made; no parameter, gradient or optimizer has changed in the end.
    *inputs : array_like
        One batch.  Its shapes and dtypes are those of the trace; values do not matter, but for
        labels and other indices, which have to be in range.
    names : mapping of str to Tensor, optional
        Variable names of parameters.  By default those that `function` has for them: its variables,
        and within a `Module` the path, such as ``weight_0`` for ``0.weight``.

    Returns
    -------
    Trace
        For `source`, which writes it as text.

    Raises
    ------
    ValueNeeded
        If the function asks for a value, as ``if`` does; the message names the line.
    Unsupported
        If an operation cannot be written down; the message names it.
    TypeError, ValueError
        If it is no function of these inputs, or the loss no single number that depends on a
        parameter.

    Notes
    -----
    Numbers, and arrays that are neither inputs nor in Tensors, are part of the trace, and so is
    which way the function went; trace again after they have changed.  Inputs are no `numpy.ndarray`
    in the function, but what stands in for one; what it keeps, say in a list, remains a stand-in.

    Arrays of `minigrad.compiled.KERNEL_FROM` elements or more take compiled loops in the eager
    engine for softmax, cross-entropy, layer norm and GELU; the trace has the NumPy formula, which
    rounds differently.  What an optimizer does about NaN (`nonfinite`) is no part of it.

    While it runs, the parameters are stand-ins too: do not use them in another thread.

    Examples
    --------
    >>> from minigrad import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> def loss(X):
    ...     return np.tanh(X @ w).sum()
    >>> trace(loss, np.ones((3, 2)))
    <trace of loss(X: (3, 2)), by w: (2,): 9 operations>
    """
    if not callable(function):
        raise TypeError(
            f"trace() takes the loss, a function of the batch, and got {type(function).__name__}; "
            "e.g. trace(lambda X, y: mse_loss(net(X), y), X, y)"
        )
    arrays = [x.data if isinstance(x, Tensor) else np.asarray(x) for x in inputs]
    for i, array in enumerate(arrays):
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"input {i} has dtype {array.dtype}; accepted are arrays of real numbers"
            )
    surroundings = Surroundings(function)
    tensors = _leaves(function, arrays, surroundings)
    if not surroundings.leaves.keys() >= set(tensors):  # found by their use, not by their names
        surroundings.leaves |= dict.fromkeys(tensors)
        tensors = _leaves(function, arrays, surroundings)
    labels = parameter_names(function, tensors, names or {})
    first, second = (_run(function, arrays, tensors, labels, surroundings) for _ in range(2))
    _check_same(first, second)
    return simplified(first)


def _leaves(
    function: Callable[..., Any], arrays: Sequence[npt.NDArray[Any]], surroundings: Surroundings
) -> list[Tensor]:
    """Run the function once, and return the leaves that it used: first those to differentiate."""
    recorder = Recorder(function)
    watcher = Watcher(recorder)
    known = surroundings.tensors
    symbols = [Symbol(recorder.leaf("parameter", tensor.data), recorder) for tensor in known]
    with surroundings.undisturbed(watcher, marked=recorder), _standing_in(known, symbols):
        _call(function, _inputs(function, arrays, recorder), watcher)
    used = {x for node in recorder.nodes for x in node.operands}
    fixed = [
        tensor
        for tensor, symbol in zip(known, symbols, strict=True)
        if symbol.node in used and tensor not in watcher.leaves
    ]
    return [*watcher.leaves, *fixed]


def _run(
    function: Callable[..., Any],
    arrays: Sequence[npt.NDArray[Any]],
    tensors: Sequence[Tensor],
    labels: Sequence[str],
    surroundings: Surroundings,
) -> Trace:
    recorder = Recorder(function)
    watcher = Watcher(recorder)
    inputs = _inputs(function, arrays, recorder, taken=labels)
    parameters = [
        recorder.leaf("parameter", tensor.data, name)
        for tensor, name in zip(tensors, labels, strict=True)
    ]
    symbols = [Symbol(node, recorder) for node in parameters]
    with surroundings.undisturbed(watcher), _standing_in(tensors, symbols):
        loss = _call(function, inputs, watcher)
        inner: dict[Tensor, Any] = {}
        found = watcher.gradients or {t: t.grad for t in tensors if t.grad is not None}
        leaves = [tensor for tensor in tensors if tensor.requires_grad]
        if not found:  # the function is a loss, that left the way back to us
            watchers.append(watcher)
            try:
                found = backpropagate(loss, targets=leaves, keep=inner)
            finally:
                watchers.remove(watcher)
        watcher.complete({**inner, **found})
        for tensor, name in zip(tensors, labels, strict=True):
            if tensor.requires_grad and tensor not in found:
                raise Unsupported(
                    f"the loss uses {name}, but does not pass it a gradient; give its values as "
                    f"an input, or set its requires_grad to False, or {EAGER}"
                )
        recorder.check_constants()
        value = loss._data
        gradients = tuple(_node(found[tensor], recorder) for tensor in leaves)
    return Trace(
        name=getattr(function, "__name__", type(function).__name__),
        inputs=tuple(symbol.node for symbol in inputs),
        parameters=tuple(parameters[: len(leaves)]),
        tensors=tuple(leaves),
        loss=_node(value.reshape(()) if value.shape else value, recorder),
        gradients=gradients,
        nodes=tuple(recorder.nodes),
        checks=tuple(recorder.checks),
        optimizer=watcher.stepped,
        fixed=tuple(parameters[len(leaves) :]),
        fixed_tensors=tuple(tensors[len(leaves) :]),
    )


def _inputs(
    loss: Callable[..., Any],
    arrays: Sequence[npt.NDArray[Any]],
    recorder: Recorder,
    taken: Sequence[str] = (),
) -> list[Symbol]:
    names = _argument_names(loss, len(arrays), taken)
    return [
        Symbol(recorder.leaf("input", array, name), recorder)
        for name, array in zip(names, arrays, strict=True)
    ]


def _argument_names(loss: Callable[..., Any], count: int, taken: Sequence[str]) -> list[str]:
    """Return the names that `loss` has for its arguments; x1, x2, ... where it has none."""
    try:
        bound = inspect.signature(loss).bind(*range(count))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"the loss cannot be called with {count} input(s): {error}; trace(loss, *inputs) calls "
            "loss(*inputs)"
        ) from None
    names = {value: name for name, value in bound.arguments.items() if isinstance(value, int)}
    found: list[str] = []
    for i in range(count):
        found.append(unused(names.get(i, f"x{i + 1}"), {*taken, *found, *RESERVED}))
    return found


def _call(function: Callable[..., Any], inputs: list[Symbol], watcher: Watcher) -> Tensor:
    """Run the traced function, and return the loss: what it returns or what it differentiated."""
    watchers.append(watcher)
    try:
        with enable_grad():
            output = function(*inputs)
    except (TypeError, ValueError) as error:
        called = optimizer_call(error)
        if isinstance(error, Unsupported) or not called:
            raise
        raise Unsupported(
            f"{called} works on values, so the step cannot be traced. An optimizer has to be a "
            "variable of the step, by itself, in a list or dict, or an attribute of the method's "
            "object; gradients are clipped by compile(), with clip_norm= or clip_value=. Or "
            f"{EAGER}"
        ) from error
    finally:
        watchers.remove(watcher)
        if watcher.recorder.refused is not None:  # which the function may have caught
            raise watcher.recorder.refused
    graphless = not isinstance(output, Tensor) or output.op is None
    if graphless and watcher.differentiated is not None:
        output = watcher.differentiated
    if not isinstance(output, Tensor) or not output.requires_grad or output.op is None:
        what = "a Tensor without a graph" if isinstance(output, Tensor) else type(output).__name__
        raise TypeError(
            f"the loss returned {what}; it has to return a Tensor that is computed from a "
            "parameter, a Tensor with requires_grad=True"
        )
    if output.size != 1:
        raise ValueError(
            f"the loss has shape {output.shape}; it has to be one number, e.g. its .mean()"
        )
    return output


@contextmanager
def _standing_in(tensors: Sequence[Tensor], symbols: Sequence[Symbol]) -> Iterator[None]:
    """Let Symbols be the tensors' values."""
    arrays: list[Any] = [tensor._data for tensor in tensors]
    try:
        for tensor, symbol in zip(tensors, symbols, strict=True):
            tensor._data = symbol  # type: ignore[assignment]
        yield
    finally:
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor._data = array


def _node(x: Any, recorder: Recorder) -> Node:
    return x.node if isinstance(x, Symbol) else recorder.constant(np.asarray(x))


class Watcher:
    """Tells the recorder which primitive's calls it hears, and names their results.

    Attributes
    ----------
    leaves : dict
        The parameters that were used, each with the gradient it had before.
    differentiated : Tensor or None
        The first on which the function called `backward`.
    stepped : Optimizer or None
        Whose step the function made.
    gradients : dict
        Its parameters, each with the gradient at that step.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.thread = threading.get_ident()
        self.leaves: dict[Tensor, Any] = {}
        self.differentiated: Tensor | None = None
        self.stepped: Any = None
        self.gradients: dict[Tensor, Any] = {}

    def forward(self, op: Primitive, values: Any, kwargs: Any, result: Tensor) -> None:
        if threading.get_ident() != self.thread:
            return
        self.recorder.row += 1
        for x in result.parents:
            if isinstance(x, Tensor) and x.requires_grad and x.op is None:
                self.leaves.setdefault(x, x.grad)
        if isinstance(result._data, Symbol) and result._data.node.kind == "operation":
            result._data.node.name = result._data.node.name or op.name

    def before_backward(self, z: Tensor) -> None:
        if threading.get_ident() != self.thread:
            return
        self.recorder.row += 1
        if mode.transforms:  # a gradient that is part of the loss
            return
        self.recorder.section = "backward"
        if self.differentiated is None:
            self.differentiated = z

    def after_vjp(self, z: Tensor, i: int, z_bar: Any, x_bar: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        self.recorder.row += 1
        x = z.parents[i]
        if isinstance(x_bar, Symbol) and isinstance(x._data, Symbol):
            self.belongs(x_bar.node, x._data.node)

    @staticmethod
    def belongs(g: Node, x: Node) -> None:
        """Note what g is the gradient of: the first, where one array goes to several."""
        if g.section == "backward" and g.of is None:
            g.of = x

    def step(self, optimizer: Any) -> None:
        """Stand in for an optimizer's step."""
        if self.stepped is not None:
            raise Unsupported(
                f"a second optimizer step at {asked_at()}; a trace holds one step of one "
                f"optimizer, so trace them one by one, or {EAGER}"
            )
        self.stepped = optimizer
        self.gradients = {p: p.grad for p in parameters_of(optimizer) if p.grad is not None}

    def complete(self, gradients: Mapping[Tensor, Any]) -> None:
        """Note which nodes are whole gradients, and which only summands."""
        values: list[tuple[Any, Any]] = [(x._data, g) for x, g in gradients.items()]
        whole: dict[Node, Node] = {
            x.node: g.node for x, g in values if isinstance(x, Symbol) and isinstance(g, Symbol)
        }
        for x, g in whole.items():
            self.belongs(g, x)
        for node in self.recorder.nodes:
            if node.of is not None and whole.get(node.of, node) is not node:
                node.of, node.name = None, node.name or "summand"


def _check_same(first: Trace, second: Trace) -> None:
    """Raise if two runs of a loss were not the same."""
    number = {
        node: i
        for run in (first, second)
        for i, node in enumerate((*run.arguments, *run.nodes))
    }

    def same(x: Any, y: Any) -> bool:
        if isinstance(x, Node) and x.kind == "constant":
            return isinstance(y, Node) and y.kind == "constant" and same(x.value, y.value)
        if isinstance(x, Node):
            return isinstance(y, Node) and number[x] == number.get(y)
        if isinstance(x, np.ndarray):
            return isinstance(y, np.ndarray) and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
        if isinstance(x, tuple | list):
            return len(x) == len(y) and all(map(same, x, y))
        return bool(type(x) is type(y) and (x == y or x != x))

    alike = len(first.nodes) == len(second.nodes) and all(
        x.function is y.function
        and same(x.arguments, y.arguments)
        and same(tuple(x.options.items()), tuple(y.options.items()))
        for x, y in zip(first.nodes, second.nodes, strict=True)
    )
    if not alike or not same((first.loss, *first.gradients), (second.loss, *second.gradients)):
        raise Unsupported(
            f"{first.name} computed something else when it ran a second time: it draws random "
            f"numbers, or changes what it depends on. Give those as inputs, or {EAGER}"
        )
