"""Asking questions: one, all of them, from the command line, and as a page."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import sweep_trainings as trainings
from matplotlib.figure import Figure
from PIL import Image

from datasets import airfoil_stand_in
from experiments import QUESTIONS, claims, page, question
from experiments.__main__ import main
from experiments.question import Question, Setting, Verdict, ask
from experiments.sweep import Interrupted

Measurement = list[dict[str, Any]]


def measure(setting: Setting) -> Measurement:
    runs = [{"seed": seed} for seed in range(3 if setting.reduced else 6)]
    return setting.sweep("walks", trainings.walk, runs)


def judge(measurement: Measurement) -> list[Verdict]:
    remark = "A walk has no <end>."
    return [Verdict("Walks end.", f"{len(measurement)} of them & more", "in part", remark)]


def draw(measurement: Measurement) -> Figure:
    figure, ax = plt.subplots()
    ax.plot([result["end"] for result in measurement])
    return figure


def animate(measurement: Measurement, path: Path) -> None:
    Image.new("P", (2, 2)).save(path, format="GIF")


WALKS: Question[Measurement] = Question(
    "Do walks end?", (r"x_t = x_{t-1} + \epsilon_t", r"\sqrt{t}"), measure,
    lambda measurement: f"{len(measurement)} walks", judge, draw, animate,
)  # fmt: skip


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(airfoil_stand_in(), folder=tmp_path, workers=1, reduced=True)


@pytest.fixture
def walks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question is the one about walks."""
    monkeypatch.setattr(claims, "question", lambda name: WALKS)


def test_a_question_prints_its_table_and_verdicts_and_saves_its_pictures(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    answered = ask("walks", WALKS, replace(setting, reduced=False))
    printed = capsys.readouterr().out
    for text in ("Do walks end?", "6 walks", "Walks end.", "in part", "A walk has no <end>."):
        assert text in printed
    assert answered.figure.is_file()
    assert answered.animation is not None
    assert answered.animation.is_file()
    assert not plt.get_fignums()


def test_every_question_is_asked_and_stands_in_one_table(
    walks_only: None, setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    assert claims.ask_all(setting) == 0
    printed = capsys.readouterr().out
    for name in QUESTIONS:
        assert f"{name}: Do walks end?" in printed
    assert f"Of the section's claims 0 hold, {len(QUESTIONS)} hold in part, 0 fail." in printed
    assert max(len(line) for line in printed.split("\n\n")[-2].splitlines()) <= 100


def test_the_page_is_whole_by_itself(walks_only: None, setting: Setting, tmp_path: Path) -> None:
    report = tmp_path / "report"
    claims.ask_all(setting, report)
    text = (report / "claims.html").read_text(encoding="utf-8")
    assert [path.name for path in report.iterdir()] == ["claims.html"]
    sources = re.findall(r'src="([^"]{30})', text)
    assert len(sources) == len(QUESTIONS) * 4  # a figure, an animation and two equations each
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r'(href|src)="(?!#|data:)', text)
    assert text.index("Walks end.") < text.index('id="bias_correction"')
    assert "3 of them &amp; more" in text
    assert "A walk has no &lt;end&gt;." in text
    assert all(f'href="#{name}"' in text and f'id="{name}"' in text for name in QUESTIONS)


def test_an_equation_is_the_same_picture_every_time() -> None:
    assert page.equation(r"\frac{1}{\sqrt{s}}") == page.equation(r"\frac{1}{\sqrt{s}}")


def test_a_question_that_fails_is_named_and_the_others_go_on(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(setting: Setting) -> Measurement:
        return setting.sweep("failing", trainings.fails_at_3, [{"seed": 3}])

    def found(name: str) -> Question[Measurement]:
        return replace(WALKS, measure=failing) if name == "paths" else WALKS

    monkeypatch.setattr(claims, "question", found)
    assert claims.ask_all(setting) == 1
    printed = capsys.readouterr().out
    assert "paths failed: 1 of 1 runs failed" in printed
    assert f"{len(QUESTIONS) - 1} hold in part" in printed


def test_ctrl_c_prints_the_table_so_far(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(setting: Setting) -> Measurement:
        raise Interrupted("run the same command again")

    def found(name: str) -> Question[Measurement]:
        return replace(WALKS, measure=interrupted) if name == "defaults" else WALKS

    monkeypatch.setattr(claims, "question", found)
    with pytest.raises(Interrupted):
        claims.ask_all(setting)
    assert "2 hold in part" in capsys.readouterr().out


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_command_asks_at_full_size_and_claims_at_the_reduced_one(
    walks_only: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", "stand-in", "--out", str(tmp_path), "--workers", "1")
    assert "6 walks" in command(capsys, "paths", *options)[1]
    assert "3 of them" in command(capsys, "claims", *options)[1]
    status, printed, _ = command(capsys, "claims", "--full", *options)
    assert status == 0
    assert "6 of them" in printed
    assert "6 kept from earlier" in printed
    assert "kept" not in command(capsys, "paths", "--fresh", *options)[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("divergense",), "unknown experiment 'divergense', did you mean 'divergence'?"),
        (("paths", "--full"), "--full belongs to claims; run python -m experiments claims --full"),
        (("--report", "x"), "--report belongs to claims"),
        (("paths", "--optimizers", "adam,yoggi"), "no optimizer 'yoggi'; did you mean 'yogi'?"),
        (("paths", "--optimizers", ""), "no optimizer ''"),
        (("divergence", "--optimizers", "sgd"), "--optimizers belongs to learning_rate_sensit"),
        (("adam", "--workers", "1"), "--workers belongs to claims and to questions"),
    ],
)
def test_error_what_is_wrong_with_the_arguments_is_said_before_anything_runs(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed, errors = command(capsys, *arguments)
    assert (status, printed) == (2, "")
    assert message in errors


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", "1000000"])
def test_error_number_of_workers(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["claims", "--workers", number])
    assert f"argument --workers: {number!r} is not a whole number" in capsys.readouterr().err


def test_error_a_file_in_the_place_of_the_results_is_left_alone(
    walks_only: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "walks.jsonl").write_text("my notes\n")
    options = ("--data", "stand-in", "--out", str(tmp_path), "--workers", "1")
    status, _, errors = command(capsys, "paths", *options)
    assert status == 1
    assert "walks.jsonl, line 1" in errors
    assert (tmp_path / "runs" / "walks.jsonl").read_text() == "my notes\n"


def test_verdict_lines_fit_a_terminal() -> None:
    lines = question.verdict_lines([Verdict("word " * 60, "number " * 40, "fails", "why " * 50)])
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line[:1].strip()] == [
        "claim", "number", "verdict", "remark",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["--list"], ["--help"]])
def test_an_encoding_without_greek_letters_is_no_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "experiments", *arguments]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert r"\u03b2" in run.stdout
