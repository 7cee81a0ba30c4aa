"""Arrows go one way, and nothing heavy is imported unasked."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"minigrad", "optim", "datasets", "experiments"}
ALLOWED = {
    "minigrad": set(),
    "optim": set(),
    "datasets": set(),
    "experiments": {"minigrad", "optim", "datasets"},
}


def imported_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(result.stdout.split())


def test_importing_minigrad_brings_neither_numba_nor_matplotlib() -> None:
    assert not imported_after("import minigrad") & {"numba", "matplotlib", "tqdm"}


def test_a_small_model_runs_without_numba() -> None:
    """Compiled loops are for large arrays, and what only they need is imported with them."""
    model = (
        "import numpy as np; from minigrad import nn; rng = np.random.default_rng(0); "
        "model = nn.Sequential(nn.LayerNorm(4), nn.MultiHeadAttention(4, 2, causal=True, rng=rng), "
        "nn.Linear(4, 8, rng=rng), nn.GELU(), nn.Linear(8, 2, rng=rng), nn.Softmax()); "
        "model(np.ones((2, 3, 4))).sum().backward()"
    )
    assert "numba" not in imported_after(model)


def test_importing_optim_or_datasets_brings_no_matplotlib() -> None:
    assert not imported_after("import optim") & {"matplotlib", "tqdm"}
    assert not imported_after("import datasets") & {"matplotlib", "tqdm", "numba"}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_imports_only_what_it_may_know(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            tops = {name.split(".")[0] for name in names} & PACKAGES - {package}
            assert tops <= ALLOWED[package], f"{path} imports {tops}"
