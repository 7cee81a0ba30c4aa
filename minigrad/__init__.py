"""A tiny reverse-mode automatic differentiation engine on NumPy.

Read it in this order: `primitives` (the calculus, one row per operation; `linear_maps`,
`reductions`, `linear_algebra` and `einstein` have what takes more than a line), `tensor` (a node of
the graph), `backward` (the walk back), `primitive` (what a row is, and how NumPy finds it),
`compositions` and `methods` (NumPy's functions that are made of rows, and its methods), `recording`
(`no_grad`), `functional` and `nn` (losses and layers), `transforms` (functions in, derivatives
out), `gradcheck` (derivatives by differences, to check all of it).
"""

from minigrad.tensor import Tensor  # isort: skip  first, because the table needs it
from minigrad import compositions, functional, nn
from minigrad.backward import backpropagate
from minigrad.functional import mse_loss, squared_loss
from minigrad.gradcheck import GradientError, check_gradients
from minigrad.recording import enable_grad, no_grad
from minigrad.transforms import grad, value_and_grad

__all__ = [
    "GradientError",
    "Tensor",
    "backpropagate",
    "check_gradients",
    "compositions",
    "enable_grad",
    "functional",
    "grad",
    "mse_loss",
    "nn",
    "no_grad",
    "squared_loss",
    "value_and_grad",
]
