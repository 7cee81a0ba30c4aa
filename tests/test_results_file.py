"""A sweep's file: what it keeps, what it recognises, and what it refuses."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.sweep.results_file import (
    HEADER,
    ResultsFile,
    ResultsFileError,
    decode,
    encode,
    key_of,
)

KEY = key_of("train", "source", "data", {"lr": 0.1, "seed": 3})
OTHER = key_of("train", "source", "data", {"lr": 0.2, "seed": 3})


def written(path: Path) -> Path:
    """A file with two results."""
    with ResultsFile(path) as file:
        file.add(KEY, '{"loss": 0.25}')
        file.add(OTHER, '{"loss": "inf"}')
    return path


def test_what_was_added_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with ResultsFile(written(tmp_path / "folder" / "runs.jsonl")) as file:
        assert file.lines == {KEY: '{"loss": 0.25}', OTHER: '{"loss": "inf"}'}
        assert file.sources == {"source"}
        assert not file.cut


def test_every_line_is_json_of_its_own_without_infinity(tmp_path: Path) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines = written(tmp_path / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line, parse_constant=refuse) for line in lines]
    assert entries[0] == {"file": "minigrad results", "format": 1}
    assert entries[1]["run"] == {"lr": 0.1, "seed": 3}
    assert entries[1]["result"] == {"loss": 0.25}


@pytest.mark.parametrize("kept", range(len(HEADER) + 1))
def test_a_file_cut_anywhere_in_its_first_line_starts_anew(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text(HEADER[:kept], encoding="utf-8")
    with ResultsFile(path) as file:
        assert not file.lines
    assert path.read_text(encoding="utf-8") == HEADER + "\n"


def test_a_last_line_cut_anywhere_is_removed_and_the_others_stay(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.jsonl").read_bytes()
    last = whole.rstrip().rfind(b"\n") + 1
    path = tmp_path / "runs.jsonl"
    for end in range(last + 1, len(whole)):
        path.write_bytes(whole[:end])
        with ResultsFile(path) as file:
            assert file.cut
            assert list(file.lines) == [KEY]
            file.add(OTHER, '{"loss": "inf"}')
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        b"lr,loss\n0.1,0.25\n",
        b"no line end",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\n",
        HEADER.replace("1", "2").encode() + b"\n",
        HEADER.encode() + b"\nnot JSON\n" + KEY.encode() + b"\n",
        HEADER.encode() + b'\n{"run": {}}\n',
        HEADER.encode() + b"\n[1, 2, 3]\n",
        HEADER.encode() + b'\n{"train":"","source":"","data":"","run":[],"result":{}}\n',
        HEADER.encode() + b'\n{"train":"","source":"","data":"","run":{},"result":[]}\n',
        HEADER.encode() + b'\n{"train":"","source":"","data":"","run":{},"result":{"a":"x"}}\n',
        HEADER.encode() + b'\n{"train":"","source":[],"data":"","run":{},"result":{}}\n',
    ],
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_file_that_is_something_else_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, fresh: bool
) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(content)
    with pytest.raises(ResultsFileError, match=r"runs\.jsonl, line \d.*nothing was changed"):
        ResultsFile(path, fresh=fresh)
    assert path.read_bytes() == content


def test_a_place_where_there_can_be_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "runs.jsonl", tmp_path):
        with pytest.raises(ResultsFileError, match=r"cannot be opened to keep results in"):
            ResultsFile(place)


def test_fresh_empties_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "runs.jsonl")
    with ResultsFile(path, fresh=True) as file:
        assert not file.lines
    assert path.read_text(encoding="utf-8") == HEADER + "\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
def test_a_second_process_is_refused_while_the_file_is_open(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    command = "import sys, pathlib; from experiments.sweep.results_file import ResultsFile; "
    command += "ResultsFile(pathlib.Path(sys.argv[1]))"
    arguments = [sys.executable, "-c", command, str(path)]
    with ResultsFile(path):
        second = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert "open in another process" in second.stderr.splitlines()[-1]
    assert subprocess.run(arguments, check=False).returncode == 0


numbers = st.floats() | st.integers() | st.booleans()


@given(st.dictionaries(st.text(), numbers | st.lists(numbers)))
def test_a_result_comes_back_bit_for_bit(result: dict[str, object]) -> None:
    back = decode(json.loads(encode(result)))
    assert repr(back) == repr(result)  # NaN is not equal to itself, but reads "nan"


def test_numpys_float64_is_kept_as_the_float_that_it_is() -> None:
    import numpy as np

    assert decode(json.loads(encode({"loss": np.float64(0.1), "n": np.float64("inf")}))) == {
        "loss": 0.1,
        "n": math.inf,
    }


@pytest.mark.parametrize("result", [None, 3.0, {"loss": "low"}, {"w": {1.0}}, {"w": [[None]]}])
def test_a_result_that_is_not_made_of_numbers_is_refused(result: object) -> None:
    with pytest.raises(TypeError, match=r"a training returned .* accepted"):
        encode(result)  # type: ignore[arg-type]


def test_equal_runs_have_equal_keys_whatever_the_order_of_their_names() -> None:
    assert key_of("f", "s", "d", {"a": 1, "b": 2.5}) == key_of("f", "s", "d", {"b": 2.5, "a": 1})
    assert key_of("f", "s", "d", {"a": 1}) != key_of("f", "s", "other data", {"a": 1})


@pytest.mark.parametrize("run", [{"lr": math.inf}, {"lr": 1j}, {"lr": {1, 2}}])
def test_a_run_that_json_cannot_hold_is_refused(run: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError), match="JSON"):
        key_of("f", "s", "d", run)
