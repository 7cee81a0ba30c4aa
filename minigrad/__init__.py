"""A tiny reverse-mode automatic differentiation engine on NumPy.

The core, to be read in one sitting: `primitives` (the calculus, one row per operation), `tensor` (a
node of the graph), `backward` (the walk back), `primitive` (what a row is, and how NumPy finds it).

Around it:

- what rows are made of where they take more than a line: `linear_maps`, `reductions`,
  `linear_algebra`, `einstein`; NumPy's functions that are made of rows: `compositions`, `methods`;
- `functional` and `nn` (losses and layers), `kernels` (compiled loops for large ones);
- `saving` (arrays in one file) and `checkpoint` (all that training needs), with `archive` (a file
  that is whole or not there, no pickle) and `states` (nested states as text and arrays);
- `transforms` (functions in, derivatives out), with `pullback` (what they are made of), `trees` and
  `arguments` (what they accept); `gradcheck` (derivatives by differences, to check all of it);
- `recording` (`no_grad`), `anomaly` (where a NaN comes from), `drawing` (the graph, to look at);
- `tracing` (a training step as code, to read as plain NumPy or to run compiled);
- `parallel` (the parts of a batch side by side), `compiled` (when a loop of `kernels` takes over),
  `memory` (what the C library does with what is free).
"""

__version__ = "0.1.0"

from minigrad.tensor import Tensor  # isort: skip  first, because the table needs it
from minigrad import compositions, functional, nn
from minigrad.anomaly import detect_anomaly
from minigrad.backward import backpropagate
from minigrad.checkpoint import Checkpoint
from minigrad.drawing import draw_graph
from minigrad.functional import mse_loss, squared_loss
from minigrad.gradcheck import GradientError, check_gradients
from minigrad.memory import keep_freed_memory
from minigrad.parallel import DataParallel
from minigrad.recording import enable_grad, no_grad
from minigrad.saving import load, save
from minigrad.tracing import compile, source, trace  # noqa: A004
from minigrad.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Checkpoint",
    "DataParallel",
    "GradientError",
    "Tensor",
    "backpropagate",
    "check_gradients",
    "compile",
    "compositions",
    "detect_anomaly",
    "draw_graph",
    "enable_grad",
    "functional",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "keep_freed_memory",
    "load",
    "mse_loss",
    "nn",
    "no_grad",
    "save",
    "source",
    "squared_loss",
    "trace",
    "value_and_grad",
    "vjp",
]
