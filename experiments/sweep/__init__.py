"""Many independent trainings: side by side, kept as they arrive, continued where they stopped."""

from experiments.sweep.running import Result, Run, RunsFailed, sweep

__all__ = ["Result", "Run", "RunsFailed", "sweep"]
