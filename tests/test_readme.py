"""What README.md shows is what runs."""

import re
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXCERPT, TRACING, COMPILING, TRAINING, DRAWING, RESUMING = re.findall(
    r"```python\n(.*?)```", README, re.DOTALL
)
(TRACED,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)


def test_the_excerpt_is_a_line_of_adam() -> None:
    adam = Path(__file__).parents[1] / "optim" / "adam.py"
    assert EXCERPT.strip() in [line.strip() for line in adam.read_text("utf-8").splitlines()]


def test_the_traced_step_is_the_one_that_is_shown_and_trains_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    names: dict[str, Any] = {}
    exec(TRACING, names)
    printed = capsys.readouterr().out
    assert printed[printed.index("def step(") :].strip() == TRACED.strip()
    exec(COMPILING, names)
    assert names["losses"].shape == (150,)
    assert names["losses"].mean() < 1e-2


def test_the_training_loop_prints_a_small_loss(capsys: pytest.CaptureFixture[str]) -> None:
    exec(TRAINING, {})
    assert float(capsys.readouterr().out) < 0.01


def test_the_resumed_training_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed(BaseException):
        pass

    def at_step(step: int) -> str:
        line = "    optimizer.zero_grad()"
        return RESUMING.replace(line, f"    if step == {step}: kill()\n{line}")

    def kill() -> None:
        raise Killed

    ends = []
    for folder, moments in (("alone", []), ("killed", [50, 199, 730])):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for moment in moments:
            with pytest.raises(Killed):
                exec(at_step(moment), {"kill": kill})
        exec(RESUMING, {})
        ends.append((Path("run.npz").read_bytes(), capsys.readouterr().out))
    assert ends[0] == ends[1]
    assert float(ends[0][1]) < 0.05


def test_the_drawing_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(DRAWING, {})
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_files_that_are_linked_to_exist() -> None:
    links = re.findall(r"\]\(([\w/.-]+)\)|src=\"([\w/.-]+)\"", README)
    assert len(links) > 8
    for link in (a or b for a, b in links):
        assert (Path(__file__).parents[1] / link).exists(), link
