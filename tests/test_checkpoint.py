"""A checkpoint holds all that it was given, exactly."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_parts import Part, net
from hypothesis import given
from nested_states import STATES, same

from minigrad import Checkpoint
from minigrad.states import flatten, rebuild

BIT_GENERATORS: list[Any] = [
    np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64,
]  # fmt: skip


def come_back(path: Path, state: Any) -> Any:
    """Return what one part saves and another restores."""
    other = Part(None)
    Checkpoint(path, part=Part(state)).save(1)
    assert Checkpoint(path, part=other).restore() == 1
    return other.state


def test_without_a_file_nothing_happens_and_the_step_is_0(tmp_path: Path) -> None:
    part = Part({"w": 1})
    checkpoint = Checkpoint(tmp_path / "run.npz", part=part)
    assert (checkpoint.restore(), checkpoint.extra, part.state) == (0, {}, {"w": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_module_a_generator_and_a_part_come_back(tmp_path: Path) -> None:
    model, rng, part = net(0), np.random.default_rng(0), Part({"t": 3})
    rng.random(7)
    Checkpoint(tmp_path / "run.npz", model=model, rng=rng, part=part).save(np.int64(12))
    twin, other, empty = net(1), np.random.default_rng(1), Part(None)
    step = Checkpoint(tmp_path / "run.npz", model=twin, rng=other, part=empty).restore()
    assert (step, type(step), empty.state) == (12, int, {"t": 3})
    assert same(twin.state_dict(), model.state_dict())
    np.testing.assert_array_equal(other.random(5), rng.random(5))
    assert os.listdir(tmp_path) == ["run.npz"]  # noqa: PTH208


@pytest.mark.parametrize("kind", BIT_GENERATORS)
def test_every_bit_generator_goes_on_where_it_was(tmp_path: Path, kind: Any) -> None:
    rng, other = (np.random.Generator(kind(seed)) for seed in (0, 1))
    rng.random(1001)
    rng.integers(10, size=3, dtype=np.uint32)  # leaves half of a 64-bit draw for later
    Checkpoint(tmp_path / "run.npz", rng=rng).save(0)
    Checkpoint(tmp_path / "run.npz", rng=other).restore()
    assert same(other.bit_generator.state, rng.bit_generator.state)
    for draw in ("standard_normal", "random"):
        np.testing.assert_array_equal(getattr(other, draw)(2000), getattr(rng, draw)(2000))
    assert other.integers(10, dtype=np.uint32) == rng.integers(10, dtype=np.uint32)


@given(state=STATES)
def test_any_nested_state_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, state: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "state.npz"
    assert same(come_back(path, state), state)


NAN_WITH_PAYLOAD = float(struct.unpack(">d", bytes.fromhex("fff8000000000123"))[0])

EXACT: list[Any] = [
    0, -1, 2**64, 2**128 - 1, -(2**9001), True, False, None, "", "β\0\ud800\n\"'",
    0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), -float("inf"), float("nan"),
    NAN_WITH_PAYLOAD, np.float64(0.1), np.float32("nan"), np.bool_(True), np.uint64(2**64 - 1),
    [], {}, (), [[], [{}]], (1, (2.0,), [3]), {0: "a", "0": "b"}, {-1: {1: {2: np.ones(1)}}},
    {"$array": "x"}, {"$dict": {}, "a": 1}, {"$tuple": [1]}, {"$": None},
    np.array(1.5), np.zeros((0, 3), np.float32), np.array([NAN_WITH_PAYLOAD, -0.0]),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::-3], np.array([1, 2], ">i2"),
    np.array(["β", ""]), np.array([b"a\0b"]), np.array([1, -1], "m8[s]"),
    np.array([(1, 2.5)], [("a", "i1"), ("b", "f8")]),
]  # fmt: skip


@pytest.mark.parametrize("value", EXACT, ids=lambda value: repr(value)[:30])
def test_a_value_comes_back_bit_for_bit(tmp_path: Path, value: Any) -> None:
    assert same(come_back(tmp_path / "run.npz", {"value": value}), {"value": value})
    assert not same({"value": value}, {"value": [value]})


@pytest.mark.parametrize(
    "pair", [(0.0, -0.0), (1, True), (1, 1.0), ([1], (1,)), (np.ones(2), np.ones(2, np.float32)),
             ({0: 1}, {"0": 1}), (NAN_WITH_PAYLOAD, float("nan"))],
)  # fmt: skip
def test_the_comparison_of_these_tests_tells_apart_what_compares_equal(pair: Any) -> None:
    assert not same(*pair)


def test_names_that_hold_the_separator_or_meet_do_not_mix_arrays_up(tmp_path: Path) -> None:
    names: list[Any] = ["a/b", "a", "b/c", "../x", "β", 0, "0", "a/b (2)", "checkpoint.json", ""]
    state = {name: np.array(i) for i, name in enumerate(names)}
    state["a"] = {"b": np.array(20), "b (2)": np.array(21)}  # type: ignore[assignment]
    assert same(come_back(tmp_path / "run.npz", {"state": state, 1: {"x": [state]}}),
                {"state": state, 1: {"x": [state]}})  # fmt: skip


def test_the_file_can_be_read_by_eye_and_by_numpy(tmp_path: Path) -> None:
    part = Part({"state": {0: {"t": 3, "v": np.arange(2.0)}}, "groups": [{"lr": 0.1}]})
    Checkpoint(tmp_path / "run.npz", model=net(), optimizer=part).save(5, best=float("inf"))
    with np.load(tmp_path / "run.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["optimizer/state/0/v"], [0.0, 1.0])
        assert found["model/0.weight"].shape == (3, 4)
        text = json.loads(found["checkpoint.json"])
    assert (text["format"], text["minigrad"], text["step"]) == (1, "0.1.0", 5)
    assert text["extra"] == {"best": {"$float": "inf"}}
    assert text["parts"]["optimizer"]["groups"] == [{"lr": 0.1}]


def test_equal_states_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Checkpoint(tmp_path / "a.npz", model=net()).save(1)
    monkeypatch.setattr("time.time", lambda: 1e9)
    Checkpoint(tmp_path / "b.npz", model=net()).save(1)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_extra_values_come_back(tmp_path: Path) -> None:
    history = [(0, 1.5), (1, float("nan"))]
    checkpoint = Checkpoint(tmp_path / "run.npz", part=Part({}))
    checkpoint.save(2, history=history, best={"w": np.ones(2)}, step="a name like any other")
    again = Checkpoint(tmp_path / "run.npz", part=Part({}))
    assert again.extra == {}
    assert again.restore() == 2
    assert same(again.extra, {"history": history, "best": {"w": np.ones(2)},
                              "step": "a name like any other"})  # fmt: skip


def test_a_part_may_have_any_name(tmp_path: Path) -> None:
    names = ["path", "self", "extra", "step", "β", "a/b", "$array", "checkpoint.json", ""]
    parts: Any = {name: Part({"v": np.array(i)}) for i, name in enumerate(names)}
    Checkpoint(tmp_path / "run.npz", **parts).save(1, v=np.array(-1), self=0)
    others: Any = {name: Part(None) for name in names}
    Checkpoint(tmp_path / "run.npz", **others).restore()
    assert [int(part.state["v"]) for part in others.values()] == list(range(len(names)))


def test_what_is_restored_shares_no_memory_between_parts(tmp_path: Path) -> None:
    shared, a, b = np.ones(2), Part(None), Part(None)
    Checkpoint(tmp_path / "run.npz", a=Part({"w": shared}), b=Part({"w": shared})).save(1)
    Checkpoint(tmp_path / "run.npz", a=a, b=b).restore()
    a.state["w"][:] = 2.0
    np.testing.assert_array_equal(b.state["w"], [1.0, 1.0])


def test_rebuild_gives_back_what_flatten_took_without_a_file() -> None:
    arrays: dict[str, Any] = {}
    state = {"v": [np.ones(2), (1, None)], 3: float("nan")}
    node = json.loads(json.dumps(flatten(state, "part", arrays), allow_nan=False))
    assert same(rebuild(node, arrays), state)
    assert list(arrays) == ["part/v/0"]
