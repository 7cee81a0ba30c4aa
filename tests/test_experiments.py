"""The section, run: its losses, its claims of equality, and the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import optim
from datasets import Regression, airfoil, airfoil_stand_in
from experiments import adam, protocol, report, yogi
from experiments.__main__ import EXPERIMENTS, main
from experiments.protocol import Curve, Experiment, largest_difference, least_squares_loss
from minigrad import Tensor

METHODS: dict[str, Callable[[Regression, int], Curve]] = {
    "Adam, from scratch": lambda data, seed: adam.from_scratch(data, seed)[0],
    "Adam, concise": lambda data, seed: adam.concise(data, seed)[0],
    "Yogi": lambda data, seed: yogi.from_scratch(data, seed)[0],
}


def mean_final_loss(method: str, data: Regression) -> float:
    return float(np.mean([METHODS[method](data, seed).losses[-1] for seed in range(10)]))


@pytest.mark.parametrize("method", METHODS)
def test_mean_final_loss_on_the_real_data_is_the_textbooks(method: str, real_airfoil: Path) -> None:
    assert 0.2417 < mean_final_loss(method, airfoil(real_airfoil)) < 0.2450


@pytest.mark.parametrize("method", METHODS)
def test_mean_final_loss_on_the_stand_in_is_nearly_the_same(method: str) -> None:
    assert 0.2415 < mean_final_loss(method, airfoil_stand_in()) < 0.2455


def recorded() -> list[dict[str, Any]]:
    path = Path(__file__).parent / "reference" / "textbook.json"
    return list(json.loads(path.read_text(encoding="utf-8"))["runs"])


@pytest.mark.parametrize("reference", recorded(), ids=lambda r: f"{r['method']}, seed {r['seed']}")
def test_losses_are_those_recorded_from_pytorch(reference: dict[str, Any]) -> None:
    curve = METHODS[reference["method"]](airfoil_stand_in(), reference["seed"])
    np.testing.assert_allclose(curve.losses[1:], reference["losses"], rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_equations_and_optim_agree(seed: int) -> None:
    data = airfoil_stand_in()
    by_equations = adam.from_scratch(data, seed)[1]
    by_library = adam.concise(data, seed, epochs=2, eps=2e-6)[1]
    assert largest_difference(by_library, by_equations) < 1e-12
    by_equations, by_library = yogi.from_scratch(data, seed)[1], yogi.from_library(data, seed)
    assert largest_difference(by_library, by_equations) < 1e-12


def test_the_floor_is_the_loss_of_the_best_line_with_its_intercept() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1)) + 3.0
    noise = rng.normal(size=(50, 1))
    data = Regression(X, 2.0 * X + 7.0 + noise, "a line")
    slope, intercept = np.polyfit(X[:, 0], data.y[:, 0], 1)
    best = np.mean((X[:, 0] * slope + intercept - data.y[:, 0]) ** 2) / 2
    assert least_squares_loss(data) == pytest.approx(best, rel=1e-12)


def test_the_largest_difference_is_relative_and_over_all_parameters() -> None:
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 2.5])
    assert largest_difference([a, a], [a, b]) == pytest.approx(0.2)
    assert largest_difference([a], [a]) == 0.0


class Clock:
    """A clock that a training step and an evaluation each move by an amount of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def advance(self, seconds: float) -> None:
        self.now += seconds


def test_evaluations_do_not_count_as_training_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    evaluated_at = []
    n = 0

    def step(X: Any, y: Any) -> None:
        nonlocal n
        n += len(X)
        clock.advance(1.0)

    def loss() -> float:
        evaluated_at.append(n)
        clock.advance(1000.0)
        return 0.5

    data = airfoil_stand_in()
    curve = Curve("", "")
    protocol.train(curve, step, loss, data, epochs=3, rng=np.random.default_rng(0))
    assert curve.seconds_per_epoch == 150.0
    assert evaluated_at == [*range(0, 4500, 200), 4500]
    assert curve.epochs == [n / 1500 for n in evaluated_at]


def test_compiling_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(adam, "compile_ahead", compiled.append)
    adam.concise(airfoil_stand_in(), 0, epochs=1)
    assert compiled == [optim.Adam]


def test_the_figure_shows_the_losses_and_their_distance_to_the_floor() -> None:
    curve = Curve("first", "", [0.0, 1.0], [0.5, 0.3], 0.1)
    figure = report.draw([curve] * 6, 0.25, "data")
    whole, excess = ([np.asarray(line.get_ydata()) for line in a.lines] for a in figure.axes)
    assert len(excess) == 6
    np.testing.assert_allclose(whole[0], np.array([0.5, 0.3]))
    np.testing.assert_allclose(excess[0], np.array([0.25, 0.05]))
    np.testing.assert_allclose(whole[-1], np.array(0.25))


def test_the_report_hands_data_and_seed_on(tmp_path: Path) -> None:
    seen = []

    def run(data: Regression, seed: int) -> Any:
        seen.append((data, seed))
        yield Curve("first", "", [0.0, 1.0], [0.5, 0.3], 0.1)

    def check(data: Regression, seed: int) -> str:
        seen.append((data, seed))
        return "fine"

    data = airfoil_stand_in()
    report.report({"x": Experiment(run, check)}, data, 3, tmp_path)
    assert [(d is data, seed) for d, seed in seen] == [(True, 3), (True, 3)]


def test_show_opens_a_window_or_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    experiments = {"yogi": yogi.EXPERIMENT}
    report.report(experiments, airfoil_stand_in(), 0, tmp_path, show=True)
    assert shown == []
    assert "no display" in capsys.readouterr().out
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    report.report(experiments, airfoil_stand_in(), 0, tmp_path, show=True)
    assert shown == [True]
    report.report(experiments, airfoil_stand_in(), 0, tmp_path)
    assert shown == [True]


def test_the_loss_is_evaluated_every_200_examples() -> None:
    curve = adam.from_scratch(airfoil_stand_in(), 0)[0]
    np.testing.assert_allclose(np.array(curve.epochs) * 1500, np.arange(0, 3001, 200))


# The command line, as a user types it


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_the_main_job_prints_the_sections_lines_and_saves_one_figure(tmp_path: Path) -> None:
    result = run("--data", "stand-in", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    out = result.stdout
    assert "data   stand-in" in out
    assert "seed   1" in out
    assert "floor  0.242" in out
    for method, textbook in (
        ("Adam, from scratch", "loss: 0.242, 0.095 sec/epoch"),
        ("Adam, concise", "loss: 0.245, 0.075 sec/epoch"),
        ("Yogi, from scratch", "loss: 0.244, 0.077 sec/epoch"),
    ):
        line = next(line for line in out.splitlines() if line.startswith(method))
        assert line.endswith(textbook)
        assert line.count("sec/epoch") == 2
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["adam-yogi.png"]
    assert (tmp_path / "results" / "adam-yogi.png").read_bytes().startswith(b"\x89PNG")


def test_a_script_runs_on_its_own(tmp_path: Path) -> None:
    script = Path(adam.__file__)
    result = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Adam, concise" in result.stdout
    assert (tmp_path / "results" / "adam.png").is_file()


def main_with(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_one_experiment_with_seed_and_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "b"
    arguments = ("yogi", "--seed", "3", "--data", "stand-in", "--out", str(out))
    status, printed, _ = main_with(capsys, *arguments)
    assert status == 0
    assert "seed   3" in printed
    assert "Adam," not in printed
    assert (out / "yogi.png").is_file()


def test_the_same_seed_gives_the_same_losses() -> None:
    data = airfoil_stand_in()
    for method in METHODS.values():
        first, again, other = (method(data, seed).losses for seed in (4, 4, 5))
        assert first == again != other


def test_list_names_all_experiments(capsys: pytest.CaptureFixture[str]) -> None:
    status, printed, _ = main_with(capsys, "--list")
    assert status == 0
    assert [line.split()[0] for line in printed.splitlines()] == list(EXPERIMENTS)


def test_error_unknown_experiment_lists_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, _, error = main_with(capsys, "adan")
    assert status == 2
    assert "unknown experiment 'adan'" in error
    assert ", ".join(EXPERIMENTS) in error


def test_error_seed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--seed", "-1"])
    assert "argument --seed: '-1' is not a whole number" in capsys.readouterr().err


def test_error_output_folder_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        status, printed, error = main_with(capsys, "--data", "stand-in", "--out", str(out))
        assert status == 1
        assert "cannot write to the output folder" in error
        assert printed == ""


def test_error_data_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--data", str(tmp_path / "x.dat"), "--out", str(tmp_path))
    status, printed, error = main_with(capsys, *arguments)
    assert (status, printed) == (1, "")
    assert "no airfoil data at" in error


def test_ctrl_c_keeps_what_is_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(data: Regression, seed: int) -> Any:
        yield Curve("first", "", [0.0, 1.0], [0.5, 0.3], 0.1)
        raise KeyboardInterrupt

    (tmp_path / "x.png").write_bytes(b"a whole one from before")
    experiment = Experiment(interrupted, lambda data, seed: "")
    with pytest.raises(KeyboardInterrupt):
        report.report({"x": experiment}, airfoil_stand_in(), 0, tmp_path)
    assert "interrupted" in capsys.readouterr().out
    assert (tmp_path / "x-interrupted.png").is_file()
    assert (tmp_path / "x.png").read_bytes() == b"a whole one from before"


def test_ctrl_c_while_drawing_keeps_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    draw = report.draw

    def interrupted_once(*arguments: Any) -> Any:
        drawn.append(arguments)
        if len(drawn) == 1:
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(report, "draw", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        report.report({"yogi": yogi.EXPERIMENT}, airfoil_stand_in(), 0, tmp_path)
    assert (tmp_path / "yogi-interrupted.png").is_file()


def test_ctrl_c_ends_with_status_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "report", interrupted)
    assert main(["--data", "stand-in", "--out", str(tmp_path)]) == 130


def test_a_mistake_in_a_script_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*arguments: Any, **options: Any) -> None:
        raise ValueError("operands could not be broadcast")

    monkeypatch.setattr(report, "report", mistaken)
    with pytest.raises(ValueError, match="broadcast"):
        main(["--data", "stand-in", "--out", str(tmp_path)])


def test_a_figure_that_fails_to_save_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curve = Curve("first", "", [0.0, 1.0], [0.5, 0.3], 0.1)
    figure = report.draw([curve], 0.2, "data")
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def half(temporary: Path, **options: Any) -> None:
        Path(temporary).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        report.save(figure, path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]
