"""Shared fixtures."""

import os
from pathlib import Path

import pytest

from datasets.airfoil import AIRFOIL


@pytest.fixture(scope="session")
def real_airfoil() -> Path:
    """The real airfoil file, where $MINIGRAD_DATA or the user's cache has it."""
    place = AIRFOIL.find()
    if place is None:
        pytest.skip("the real airfoil file is not here (python -m datasets fetch airfoil)")
    return place


os.environ.setdefault("MPLBACKEND", "agg")
