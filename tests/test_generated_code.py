"""The text of a compiled epoch, and the file that it is kept in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compiled_lines import EXACT, Line, X, Y

from minigrad.tracing.generated import imported, steps_folder


def test_the_source_reads_in_the_order_of_a_step(folder: Path) -> None:
    line = Line(folder)
    with pytest.raises(RuntimeError, match="call the epoch once"):
        line.epoch.source  # noqa: B018
    line.epoch(X, Y)
    text = line.epoch.source
    assert line.epoch.path.read_text(encoding="utf-8") == text
    assert line.epoch.path.parent == folder
    assert re.findall(r"(?m)^ {8}# (batch|forward|backward|check|update)$", text) == [
        "batch", "forward", "backward", "check", "update",
    ]  # fmt: skip
    assert text.startswith('"""Steps of line: forward, backward and Adam.')
    assert "X float64 (4, 3), y float64 (4,)" in text
    assert set(re.findall(r"(?m)^(?:from|import) (\w+)", text)) == {"math", "numpy", "numba"}
    assert max(map(len, text.splitlines())) <= 100
    assert repr(line.epoch) == "<compiled epoch of line with Adam, 4 examples a batch>"


def test_the_source_runs_in_plain_python(folder: Path) -> None:
    """As a debugger steps through it, without Numba: the text is made of what NumPy has."""
    line = Line(folder)
    line.epoch(X, Y)
    text = line.epoch.source.replace("from numba import njit", "")

    def njit(function: Any = None, **options: Any) -> Any:
        return function or (lambda function: function)

    namespace: dict[str, Any] = {"njit": njit}
    exec(text, namespace)
    fresh = Line(folder)
    w, b, order = fresh.weight.data.copy(), fresh.bias.data.copy(), np.arange(8)
    states, t, losses = [np.zeros(n) for n in (3, 3, 1, 1)], np.zeros(1), np.empty(2)
    rates = np.full((1, 2), 0.1)
    end = namespace["run"](
        X, Y, order, w, b, *states, t, rates, (0.9, 0.999), 1e-8, 0.0, losses
    )
    assert end == -1
    assert t == 2
    np.testing.assert_allclose(fresh.epoch(X, Y, order=order), losses, rtol=EXACT)
    np.testing.assert_allclose(w, fresh.weight.data, rtol=EXACT)
    np.testing.assert_allclose(b, fresh.bias.data, rtol=EXACT)


def test_a_file_is_written_once_and_an_edited_one_is_set_aside(tmp_path: Path) -> None:
    module, path = imported("x = 1\n", "<lambda>", tmp_path)
    assert module.x == 1
    assert re.fullmatch(r"lambda_[0-9a-f]{16}\.py", path.name)
    written = path.stat().st_mtime_ns
    assert imported("x = 1\n", "<lambda>", tmp_path) == (module, path)
    assert path.stat().st_mtime_ns == written
    path.write_text("x = 2\n")
    with pytest.warns(UserWarning, match=f"{path.stem}_edited_1.py"):
        module, again = imported("x = 1\n", "<lambda>", tmp_path)
    assert module.x == 1
    assert again == path
    assert path.read_text() == "x = 1\n"
    assert (tmp_path / f"{path.stem}_edited_1.py").read_text() == "x = 2\n"
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.is_file()) == [".py", ".py"]


def test_where_the_cache_cannot_be_written_the_file_lasts_as_long_as_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert steps_folder() == tmp_path / "minigrad" / "steps"
    (tmp_path / "minigrad").write_text("in the way")
    module, path = imported("y = 2\n", "step")
    assert module.y == 2
    assert tmp_path not in path.parents
    with pytest.raises(OSError, match="minigrad"):
        imported("y = 2\n", "step", tmp_path / "minigrad")


@pytest.mark.slow
def test_a_second_process_makes_no_machine_code(tmp_path: Path) -> None:
    program = """
import sys, time
import numpy as np
import optim
from minigrad import Tensor, compile, mse_loss  # noqa: A004
from numba.core import event

X = np.random.default_rng(0).standard_normal((10, 3))
w = Tensor(np.zeros(3), requires_grad=True)
def loss(X, y):
    return mse_loss(X @ w, y)
with event.install_recorder("numba:compile") as compilations:
    epoch = compile(loss, optim.Adam([w], lr=0.1), 4, folder=sys.argv[1])
    losses = epoch(X, X[:, 0])
print(len(compilations.buffer), losses.tolist())
"""
    printed = [
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout.split(maxsplit=1)
        for _ in range(2)
    ]  # fmt: skip
    assert int(printed[0][0]) > 0
    assert printed[1] == ["0", printed[0][1]]
