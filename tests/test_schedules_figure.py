"""``python -m experiments schedules``: the table and the picture of every schedule."""

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import schedules as script
from experiments.__main__ import main
from optim import schedules


def test_every_exported_schedule_is_shown_once() -> None:
    shown = [type(panel.schedule).__name__ for panel in script.PANELS]
    assert sorted(shown) == sorted(set(schedules.__all__) - {"Schedule", "Scheduler"})


def test_the_table_has_each_schedule_at_five_steps() -> None:
    head, *lines = script.table().splitlines()
    assert head.split()[-5:] == ["0", "250", "500", "750", "1000"]
    for line, panel in zip(lines, script.PANELS, strict=True):
        name, *values = line.split()
        assert name == type(panel.schedule).__name__
        expected = [panel.schedule(t) for t in (0, 250, 500, 750, 1000)]
        np.testing.assert_allclose([float(v) for v in values], expected, atol=5e-6)


def test_each_panel_draws_its_schedule_and_says_what_it_does() -> None:
    figure = script.draw()
    for panel, ax in zip(script.PANELS, figure.axes, strict=True):
        (line,) = ax.lines
        expected = np.array([panel.schedule(t) for t in range(script.STEPS)])
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), expected)
        assert ax.get_title(loc="left") == type(panel.schedule).__name__
        assert [text.get_text() for text in ax.texts] == [panel.does]
        low, high = ax.get_ylim()
        assert low <= expected.min() < expected.max() < high or np.ptp(expected) == 0
    bottom = figure.axes[-script.COLUMNS :]
    assert {ax.get_xlabel() for ax in bottom} == {"step t"}
    assert {ax.get_ylabel() for ax in figure.axes[:: script.COLUMNS]} == {"learning rate"}
    plt.close(figure)


def test_no_text_overlaps_another_panel() -> None:
    figure = script.draw()
    figure.canvas.draw()
    for i, ax in enumerate(figure.axes):
        right = figure.bbox.x1
        if (i + 1) % script.COLUMNS:
            right = figure.axes[i + 1].get_window_extent().x0
        for text in ax.texts:
            assert text.get_window_extent().x1 < right, text.get_text()
    plt.close(figure)


def test_the_command_prints_the_table_and_saves_one_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schedules", "--out", str(tmp_path / "a")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(script.table())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["schedules.png"]
    assert (tmp_path / "a" / "schedules.png").read_bytes().startswith(b"\x89PNG")


def test_the_script_runs_on_its_own(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, script.__file__], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "results" / "schedules.png").is_file()


def test_show_opens_a_window_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    script.picture(tmp_path, show=True)
    assert "no display" in capsys.readouterr().out
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    assert main(["schedules", "--show", "--out", str(tmp_path)]) == 0
    assert shown == [True]


def test_error_output_folder_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["schedules", "--out", str(tmp_path / "file")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot write to the output folder" in captured.err
