"""``python -m experiments compiled_step``: it shows what is there, and what it says is so."""

import inspect
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

import minigrad
from datasets import Regression, airfoil_stand_in, minibatches
from experiments import compiled_step as script
from experiments.__main__ import main
from experiments.compiled_step import MODELS, READING, Times
from experiments.speed.whole_epochs import COMPILED, EAGER, LINEAR

DATA = airfoil_stand_in()
FEW = Regression(DATA.X[:200], DATA.y[:200], DATA.source)


def source_of(task: str) -> str:
    return script.source_of(MODELS[task](DATA, 0), DATA)


def step_of(task: str) -> str:
    """The function of the source that is the step, without the rule that it calls."""
    text = source_of(task)
    return text[text.index("def step(") :]


@pytest.mark.parametrize("task", MODELS)
def test_every_line_of_the_step_is_explained_in_its_order(task: str) -> None:
    whole = task == LINEAR  # the update is explained once
    shown = step_of(task) if whole else step_of(task).split("# update")[0]
    assigned = re.findall(r"^    (\w+)(?:, .*)? = ", shown, re.MULTILINE)
    explained = [
        name
        for row in READING[task].splitlines()
        for name in re.split("  +", row)[0].split(", ")
        if not name.endswith(("_v", "_s"))
    ]
    forward = assigned.index("y_hat_bar")
    assert explained[:forward] == assigned[:forward]
    assert sorted(explained) == sorted(assigned)


def test_the_linear_models_step_fits_on_one_screen() -> None:
    assert len(step_of(LINEAR).splitlines()) <= 20
    assert len(source_of(LINEAR).splitlines()) <= 50
    assert max(map(len, source_of(LINEAR).splitlines())) <= 88


def test_the_linear_models_source_says_the_equations() -> None:
    """The statements of the section's gradient, whichever way they are spaced."""
    text = source_of(LINEAR)
    for statement in ("error = y_hat - y", "b_bar = y_hat_bar.sum(axis=0)",
                      "w_bar = np.dot(X.T, y_hat_bar)"):  # fmt: skip
        assert statement in text


@pytest.mark.parametrize("task", MODELS)
def test_the_text_gives_the_engines_bits(task: str) -> None:
    said = script.text_beside_engine(MODELS[task], FEW, 0)
    parameters = len(MODELS[task](FEW, 0).parameters)
    assert said.startswith(f"20 of 20 losses, and {parameters} of {parameters} parameters")


def test_a_text_that_is_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Any, data: Any) -> str:
        return text.replace("y_hat_bar.sum(axis=0)", "y_hat_bar.sum(axis=0) * 1.001")

    text = source_of(LINEAR)
    monkeypatch.setattr(script, "source_of", wrong)
    assert wrong(None, None) != text
    said = script.text_beside_engine(MODELS[LINEAR], FEW, 0)
    assert re.match(r"[12] of 20 losses, and 0 of 2 parameters", said)


def test_eager_and_compiled_epochs_take_turns() -> None:
    turns = script.in_turns(MODELS[LINEAR], FEW, 0)
    assert 0 <= turns.difference < 1e-12
    assert turns.path.is_file()
    assert turns.seconds > 0


def test_a_compiled_epoch_that_is_off_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(loss: Any, optimizer: Any, batch_size: int) -> Any:
        def epoch(X: Any, y: Any, rng: Any) -> Any:
            return np.array([loss(*batch).item() for batch in minibatches(X, y, batch_size, rng)])

        epoch.path, epoch.source = Path("nowhere"), ""  # type: ignore[attr-defined]
        return epoch

    monkeypatch.setattr(minigrad, "compile", compiled)  # one that does not train
    assert script.in_turns(MODELS[LINEAR], FEW, 0).difference > 1e-3


def times(task: str) -> Times:
    timings = {COMPILED: [1e-4, 3e-4, 1e-4], EAGER: [2e-3, 3e-3, 5e-3]}
    return Times(task, timings, {COMPILED: 3e-15, EAGER: 0.0})


def test_the_table_has_medians_and_ratios_the_fastest_first() -> None:
    _, *lines = script.table(times(LINEAR)).splitlines()
    assert [re.split("  +", line) for line in lines] == [
        [COMPILED, "0.100 ms", "1.00", "3e-15"],
        [EAGER, "3.000 ms", "20.00", "0"],
    ]


def test_the_figure_draws_the_medians_and_its_titles_say_the_gain() -> None:
    figure = script.draw([times(task) for task in MODELS])
    for task, ax in zip(MODELS, figure.axes, strict=True):
        drawn = [np.asarray(line.get_xdata()).item() for line in ax.lines]
        assert drawn == pytest.approx([0.1, 3.0])
        assert [label.get_text() for label in ax.get_yticklabels()] == [COMPILED, EAGER]
        assert ax.get_title() == f"{task}:\ncompiled 20 times as fast as eager"
    plt.close(figure)


def test_no_label_of_the_figure_leaves_its_panel() -> None:
    figure = script.draw([times(task) for task in MODELS])
    figure.canvas.draw()
    for ax in figure.axes:
        for text in ax.texts:
            assert text.get_window_extent().x1 < ax.get_window_extent().x1
    plt.close(figure)


def test_the_command_shows_source_equality_and_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "ROUNDS", 1)
    monkeypatch.setattr(script, "MODELS", {LINEAR: MODELS[LINEAR]})
    arguments = ("--data", "stand-in", "--seed", "3", "--out", str(tmp_path / "a"))
    assert main(["compiled_step", *arguments]) == 0
    out = capsys.readouterr().out
    assert f"data   {DATA.source}\nseed   3\n" in out
    text = source_of(LINEAR)
    for line in (*text.splitlines(), *READING[LINEAR].splitlines()):
        assert line in out
    assert "150 of 150 losses, and 2 of 2 parameters at the end, are the engine's bit" in out
    assert float(re.findall(r"losses differ by up to (\S+) of", out)[0]) < 1e-12
    lines, path = re.findall(r"the code, (\d+) lines of Python for Numba, is\n +(\S+)", out)[0]
    assert len(Path(path).read_text(encoding="utf-8").splitlines()) == int(lines)
    for name in (COMPILED, EAGER, "loops written by hand"):
        assert re.search(rf"^ +{name} .* ms ", out, re.MULTILINE)
    assert max(map(len, out.splitlines())) <= 100
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["compiled_step.png"]
    assert (tmp_path / "a" / "compiled_step.png").read_bytes().startswith(b"\x89PNG")


def test_show_opens_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(True))
    monkeypatch.setattr(plt, "get_backend", lambda: "QtAgg")
    monkeypatch.setattr(script, "MODELS", {})
    monkeypatch.setattr(script, "draw", lambda measured: plt.figure())
    script.walk(FEW, 0, tmp_path)
    assert shown == []
    script.walk(FEW, 0, tmp_path, show=True)
    assert shown == [True]


def test_error_output_folder_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["compiled_step", "--data", "stand-in", "--out", str(tmp_path / "file")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "cannot write to the output folder" in captured.err


@pytest.mark.parametrize("option", ["--full", "--quick", "--fresh", "--optimizers=yogi"])
def test_error_options_that_would_do_nothing(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compiled_step", option]) == 2
    assert f"{option.split('=')[0]} belongs to" in capsys.readouterr().err


def test_the_printed_loss_is_the_one_that_is_traced() -> None:
    for make in MODELS.values():
        printed = script.code_of(make(DATA, 0))
        assert printed.startswith("def loss(X, y):\n    ")
        body = inspect.getsource(make(DATA, 0).loss).split("\n", 1)[1]
        assert re.sub(r"\s", "", body) in re.sub(r"\s", "", printed)
