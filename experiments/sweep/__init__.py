"""Many independent trainings: side by side, kept as they arrive, continued where they stopped."""

from experiments.sweep.executors import SpawnedPool, cluster
from experiments.sweep.results_file import ResultsFileError
from experiments.sweep.running import Interrupted, Result, Run, RunsFailed, sweep

__all__ = [
    "Interrupted",
    "Result",
    "ResultsFileError",
    "Run",
    "RunsFailed",
    "SpawnedPool",
    "cluster",
    "sweep",
]
