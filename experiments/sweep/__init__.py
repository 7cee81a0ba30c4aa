"""Many independent trainings: side by side, kept as they arrive, continued where they stopped."""

from experiments.sweep.executors import SpawnedPool, cluster
from experiments.sweep.results_file import ResultsFileError, SweepError
from experiments.sweep.running import ExecutorLost, Interrupted, Result, Run, RunsFailed, sweep

__all__ = [
    "ExecutorLost",
    "Interrupted",
    "Result",
    "ResultsFileError",
    "Run",
    "RunsFailed",
    "SpawnedPool",
    "SweepError",
    "cluster",
    "sweep",
]
