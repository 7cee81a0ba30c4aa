"""A training step as code: traced once, to be read as plain NumPy or run compiled."""

from minigrad.tracing.compile import CompiledEpoch, compile  # noqa: A004
from minigrad.tracing.node import Unsupported, ValueNeeded
from minigrad.tracing.source import source
from minigrad.tracing.trace import Trace, trace

__all__ = ["CompiledEpoch", "Trace", "Unsupported", "ValueNeeded", "compile", "source", "trace"]
