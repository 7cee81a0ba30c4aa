"""Importing this trains once: what is forked afterwards has its compiled loops loaded already.

Small loops only, on one core, so no OpenMP threads are running, which a fork would lose.
"""

import tempfile
from pathlib import Path

from training_to_kill import Run

with tempfile.TemporaryDirectory() as folder:
    Run(Path(folder) / "run.npz").train()
