"""A training step as code: traced once, to be read as plain NumPy or run compiled.

How a step is written down, in the order in which it happens:

- `symbol`: an array's stand-in, that notes which of NumPy's functions are called with it, as a
  `node`; `forms` brings calls that mean the same into one form, `record` and `frames` find out to
  what a call belongs and which variable gets its result;
- `trace`: runs the loss and `backpropagate` on stand-ins, with `undisturbed` to see that nothing
  else changes, and `names` for what is called how;
- `simplify`: takes out what a reader need not read;
- `source`: writes what is left as a NumPy function.

How it runs compiled:

- `loops`: the nodes as loops over numbers, with `kept` (which arrays there are), `nests` (the loops
  around an element), `elements` (an element's expression) and `functions_of_numbers` (exp, tanh and
  others as arithmetic);
- `rule`: the optimizer's rule as text, from its own source; `clip`: clipping as text;
- `epoch`: all of it as one function over batches; `generated`: the file that keeps it;
- `compile`: calls it with live parameters and state, after `given` and `ranges` have
  checked what it is given.
"""

from minigrad.tracing.compile import CompiledEpoch, compile  # noqa: A004
from minigrad.tracing.node import Trace, Unsupported, ValueNeeded
from minigrad.tracing.source import source
from minigrad.tracing.trace import trace

__all__ = ["CompiledEpoch", "Trace", "Unsupported", "ValueNeeded", "compile", "source", "trace"]
