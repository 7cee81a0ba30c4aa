"""The text, its characters and windows; the generated stand-in."""

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets import (
    TRAINING_WINDOWS,
    VOCABULARY,
    DataError,
    MinibatchStream,
    decode,
    encode,
    normalized,
    time_machine,
    windows,
)
from datasets.spelled_arithmetic import in_words, spelled_arithmetic
from datasets.time_machine import TIME_MACHINE, time_machine_stand_in

pytestmark = pytest.mark.usefixtures("nowhere")


# The real text


def test_the_real_text_is_the_textbooks(real_time_machine: Path) -> None:
    text = time_machine(real_time_machine)
    assert text.characters.shape == (173_428,)
    assert text.characters.dtype == np.int64
    assert set(text.characters.tolist()) == set(range(27))
    assert decode(text.characters).startswith("the time machine by h g wells i the time traveller")
    assert decode(text.characters).endswith("still lived on in the heart of man ")
    assert "The Time Machine" in text.source
    assert str(real_time_machine) in text.source


def test_the_real_texts_most_frequent_characters(real_time_machine: Path) -> None:
    counts = np.bincount(time_machine(real_time_machine).characters, minlength=28)
    assert decode(np.argsort(-counts)[:6]) == " etain"
    assert counts[:27].min() > 0
    assert counts[27] == 0


def test_lookup_order_is_path_then_environment_then_cache(
    real_time_machine: Path, tmp_path: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = real_time_machine.read_bytes()
    places = [tmp_path / "given", tmp_path / "environment", nowhere]
    assert time_machine().source.startswith("stand-in")
    for place in reversed(places):
        place.mkdir(parents=True)
        (place / TIME_MACHINE.filename).write_bytes(content)
    assert str(nowhere) in time_machine().source
    monkeypatch.setenv("MINIGRAD_DATA", str(places[1]))
    assert str(places[1]) in time_machine().source
    assert str(places[0]) in time_machine(places[0]).source
    assert str(places[0]) in time_machine(places[0] / TIME_MACHINE.filename).source
    assert time_machine("stand-in").source.startswith("stand-in")


def test_error_missing_path(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match="python -m datasets fetch time_machine"):
            time_machine(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "it has 0 bytes instead of 178,979"),
        (b"Call me Ishmael.", r"it has 16 bytes instead of 178,979 and begins 'Call me Ishmael\.'"),
        (b"\xff\xfe\x00binary", "it has 9 bytes"),
        (b"\xef\xbb\xbfThe Project Gutenberg eBook of The Time Machine", "Gutenberg's edition"),
        (b"x" * 178_979, "its checksum"),
    ],
)
def test_error_another_file_says_what_was_found_and_expected(
    content: bytes, match: str, tmp_path: Path
) -> None:
    path = tmp_path / "timemachine.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=match) as caught:
        time_machine(path)
    assert str(path) in str(caught.value)
    assert "encode(normalized(text))" in str(caught.value)


def test_error_changed_line_ends_are_named(real_time_machine: Path, tmp_path: Path) -> None:
    path = tmp_path / "timemachine.txt"
    path.write_bytes(real_time_machine.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(DataError, match="LF to CRLF"):
        time_machine(path)


# Characters


def test_the_vocabulary_is_a_to_z_the_space_and_the_unknown() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 28
    np.testing.assert_array_equal(encode("az "), [0, 25, 26])
    assert decode([27]) == "\N{REPLACEMENT CHARACTER}"
    assert encode("\N{REPLACEMENT CHARACTER}").tolist() == [27]


@given(st.text())
def test_normalized_texts_have_no_other_characters_and_no_two_spaces(text: str) -> None:
    result = normalized(text)
    assert re.fullmatch("[a-z ]*", result)
    assert "  " not in result
    assert normalized(result) == result
    letters = [c.lower() for c in text if c.isascii() and c.isalpha()]
    assert result.replace(" ", "") == "".join(letters)


def test_letters_beyond_ascii_become_spaces_even_where_lower_case_would_make_them_ascii() -> None:
    assert normalized("na\u00efve \u212aelvin \u0130x") == "na ve elvin x"


@given(st.text(VOCABULARY))
def test_decode_undoes_encode(text: str) -> None:
    characters = encode(text)
    assert characters.dtype == np.int64
    assert characters.shape == (len(text),)
    assert decode(characters) == text


def test_error_characters_outside_the_vocabulary_are_named() -> None:
    with pytest.raises(ValueError, match=r"3 character.*: '!', 'T', 'é', the first at position 0"):
        encode("Thé time!")
    with pytest.raises(
        ValueError, match=r"26 character.*'J', \.\.\., the first .* a-z in .* U\+FFFD"
    ):
        encode("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_error_decode_of_what_are_no_indices() -> None:
    for index in (28, -1):
        with pytest.raises(ValueError, match=f"{index} is no index .* 0 to 27"):
            decode([0, index])
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        decode([[0, 1]])
    with pytest.raises(TypeError, match="encode"):
        decode([0.0])


# Windows


def test_windows_start_at_every_position_and_targets_are_the_next_characters() -> None:
    characters = np.arange(70) % 28
    X, y = windows(characters)
    assert X.shape == y.shape == (6, 64)
    for i in range(6):
        np.testing.assert_array_equal(X[i], characters[i : i + 64])
        np.testing.assert_array_equal(y[i], characters[i + 1 : i + 65])


def test_a_text_of_one_window_has_one() -> None:
    X, y = windows(encode("ab"), length=2)
    assert (X.tolist(), y.tolist()) == ([[0]], [[1]])


def test_held_out_windows_share_no_character_with_the_training_windows() -> None:
    X, y = windows(np.arange(100_300))  # each character its position
    first = TRAINING_WINDOWS + 64
    assert X[first, 0] == y[TRAINING_WINDOWS - 1, -1] + 1


def test_a_stream_of_batches_takes_windows() -> None:
    X, y = windows(encode("a text of a few characters"), length=9)
    batches = MinibatchStream(X, y, 4, np.random.default_rng(0))
    a, b = next(batches)
    assert a.shape == b.shape == (4, 8)
    np.testing.assert_array_equal(a[:, 1:], b[:, :-1])


def test_error_a_text_shorter_than_a_window() -> None:
    with pytest.raises(ValueError, match=r"the text has 64 character\(s\), fewer than .* 65"):
        windows(np.zeros(64, dtype=np.int64))


def test_error_windows_of_the_wrong_kind() -> None:
    with pytest.raises(ValueError, match="length=1"):
        windows(np.zeros(64, dtype=np.int64), length=1)
    with pytest.raises(ValueError, match=r"shape \(2, 70\)"):
        windows(np.zeros((2, 70), dtype=np.int64))
    with pytest.raises(TypeError, match="encode"):
        windows(np.array(list("text")), length=2)
    with pytest.raises(TypeError):
        windows(np.zeros(64, dtype=np.int64), length=6.5)  # type: ignore[arg-type]


# The stand-in


def shares(counts: Counter[str]) -> list[float]:
    """From the most frequent to the rarest."""
    total = counts.total()
    return [count / total for _, count in counts.most_common()]


def test_the_stand_in_is_the_same_every_time_and_as_long_as_the_book() -> None:
    text = time_machine_stand_in()
    np.testing.assert_array_equal(text.characters, time_machine("stand-in").characters)
    assert text.characters.shape == (173_428,)
    assert len(windows(text.characters)[0]) > TRAINING_WINDOWS
    assert normalized(decode(text.characters)) == decode(text.characters)


def test_the_stand_in_is_made_in_half_a_second() -> None:
    start = time.perf_counter()
    time_machine_stand_in()
    assert time.perf_counter() - start < 0.5


def entropy(text: str, length: int) -> float:
    p = np.array(shares(Counter(text[i : i + length] for i in range(len(text) - length + 1))))
    return float(-np.sum(p * np.log(p)))


def test_the_stand_ins_numbers_are_those_of_its_docstring() -> None:
    text = decode(time_machine_stand_in().characters)
    assert set(text) == set(VOCABULARY[:27])
    assert entropy(text, 1) == pytest.approx(2.73, abs=0.005)
    assert entropy(text, 2) - entropy(text, 1) == pytest.approx(1.97, abs=0.005)
    assert entropy(text, 4) - entropy(text, 3) == pytest.approx(0.71, abs=0.005)
    assert entropy(text, 6) - entropy(text, 5) == pytest.approx(0.50, abs=0.005)
    assert sum(shares(Counter(text))[-10:]) == pytest.approx(0.052, abs=0.0005)
    assert sum(shares(Counter(text.split()))[:10]) == pytest.approx(0.41, abs=0.005)
    assert len(set(text.split())) == 235


def test_the_real_texts_numbers_are_those_of_the_stand_ins_docstring(
    real_time_machine: Path,
) -> None:
    text = decode(time_machine(real_time_machine).characters)
    assert entropy(text, 1) == pytest.approx(2.83, abs=0.005)
    assert entropy(text, 2) - entropy(text, 1) == pytest.approx(2.27, abs=0.005)
    assert entropy(text, 4) - entropy(text, 3) == pytest.approx(1.37, abs=0.005)
    assert entropy(text, 6) - entropy(text, 5) == pytest.approx(0.79, abs=0.005)
    assert sum(shares(Counter(text))[-10:]) == pytest.approx(0.075, abs=0.0005)
    assert sum(shares(Counter(text.split()))[:10]) == pytest.approx(0.29, abs=0.005)
    assert len(set(text.split())) == 4579


def test_numbers_in_words_are_all_different_and_follow_the_rules() -> None:
    words = [in_words(n) for n in range(10_000)]
    assert len(set(words)) == 10_000
    for n, expected in {
        0: "zero",
        13: "thirteen",
        40: "forty",
        99: "ninety nine",
        100: "one hundred",
        342: "three hundred and forty two",
        1000: "one thousand",
        1016: "one thousand and sixteen",
        9801: "nine thousand eight hundred and one",
    }.items():
        assert words[n] == expected


WORDS = {word for n in range(10_000) for word in in_words(n).split()} - {"and"}
WORD = f"(?:{'|'.join(sorted(WORDS))})"
BELOW_100 = rf"\b({WORD}(?: {WORD})?)\b"
ANY = rf"\b({WORD}(?:(?: and)? {WORD})*)\b"


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        (
            f"had {BELOW_100} \\w+ and \\w+ {BELOW_100} more .*? has {ANY} ",
            lambda a, b, c: a + b == c,
        ),
        (
            f"had {ANY} \\w+ and \\w+(?: away)? {ANY} of them .*? has {BELOW_100} ",
            lambda a, b, c: a - b == c,
        ),
        (f"sum of {BELOW_100} and {BELOW_100} is {ANY}", lambda a, b, c: a + b == c),
        (f"what is {BELOW_100} and {BELOW_100} asked .*? it is {ANY}", lambda a, b, c: a + b == c),
        (f"half of the {ANY} \\w+ of [a-z ]*? is {BELOW_100} ", lambda a, b: a == 2 * b),
        (f"product of {BELOW_100} and {BELOW_100} is {ANY}", lambda a, b, c: a * b == c),
        (
            f"after {BELOW_100} comes {ANY} and before it {BELOW_100}",
            lambda a, b, c: b - 1 == a == c + 1,
        ),
        (f"square of {BELOW_100} is {ANY}", lambda a, b: a * a == b),
        (
            f"divide {BELOW_100} by {BELOW_100} to get {BELOW_100} exactly",
            lambda a, b, c: a == b * c,
        ),
        (
            f"divide {BELOW_100} by {BELOW_100} to get {BELOW_100} with a rest of {BELOW_100}",
            lambda a, b, c, r: 0 < r < b and a == b * c + r,
        ),
    ],
)
def test_the_arithmetic_is_right(pattern: str, holds: Callable[..., bool]) -> None:
    text = spelled_arithmetic(100_000, np.random.default_rng(1))
    text = text[: text.rindex(" in the ")]  # no sentence is cut
    value = {in_words(n): n for n in range(10_000)}
    found = re.findall(pattern, text)
    assert len(found) > 10
    for numbers in found:
        assert holds(*(value[number] for number in numbers)), numbers
