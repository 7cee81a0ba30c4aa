"""A stream of batches is epochs of `minibatches`, and goes on in the middle of one."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nested_states import same

from datasets import MinibatchStream, minibatches
from minigrad import Checkpoint

BIT_GENERATORS: list[Any] = [
    np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64,
]  # fmt: skip
X, Y = np.arange(46.0).reshape(23, 2), np.arange(23, dtype=np.float32)[:, None]


def generator(seed: int, kind: Any = np.random.PCG64) -> np.random.Generator:
    return np.random.Generator(kind(seed))


def stream(seed: int = 0, batch_size: int = 5, kind: Any = np.random.PCG64) -> MinibatchStream:
    return MinibatchStream(X, Y, batch_size, generator(seed, kind))


def taken(batches: MinibatchStream, count: int) -> list[Any]:
    return [list(batch) for batch in itertools.islice(batches, count)]


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 24, 100])
def test_an_epoch_is_that_of_minibatches_bit_for_bit(batch_size: int) -> None:
    rng, batches = generator(3), stream(3, batch_size)
    for epoch in range(4):
        assert (batches.epoch, batches.position) == (epoch, 0)
        for position, batch in enumerate(minibatches(X, Y, batch_size, rng)):
            assert (batches.epoch, batches.position) == (epoch, position)
            assert same(list(next(batches)), list(batch))
            assert same(batches.rng.bit_generator.state, rng.bit_generator.state)
        assert position + 1 == batches.batches_per_epoch


@pytest.mark.parametrize("kind", BIT_GENERATORS)
@pytest.mark.parametrize("count", range(12))
def test_a_stream_goes_on_wherever_it_was(count: int, kind: Any) -> None:
    batches, twin = stream(0, 5, kind), stream(1, 5, kind)
    taken(batches, count)
    taken(twin, 7)  # in the middle of another epoch
    twin.load_state_dict(batches.state_dict())
    assert (twin.epoch, twin.position) == divmod(count, 5)
    assert same(twin.state_dict(), batches.state_dict())
    assert same(taken(twin, 11), taken(batches, 11))
    assert same(twin.state_dict(), batches.state_dict())


@given(before=st.integers(0, 30), after=st.integers(0, 30), batch_size=st.integers(1, 25))
def test_saving_twice_is_saving_once(before: int, after: int, batch_size: int) -> None:
    straight, first, second, third = (stream(seed, batch_size) for seed in (0, 0, 1, 2))
    taken(straight, before + after)
    taken(first, before)
    second.load_state_dict(first.state_dict())
    taken(second, after)
    third.load_state_dict(second.state_dict())
    assert same(third.state_dict(), straight.state_dict())
    assert same(taken(third, 9), taken(straight, 9))


def test_a_stream_resumes_from_a_file(tmp_path: Path) -> None:
    batches, twin = (stream(seed, 5, np.random.MT19937) for seed in (0, 1))
    taken(batches, 13)
    Checkpoint(tmp_path / "run.npz", batches=batches).save(13)
    assert Checkpoint(tmp_path / "run.npz", batches=twin).restore() == 13
    assert same(taken(twin, 20), taken(batches, 20))


def test_a_generator_that_others_draw_from_goes_on_for_all_of_them() -> None:
    def drawn(batches: MinibatchStream, count: int) -> list[Any]:
        return [(next(batches)[0], batches.rng.random()) for _ in range(count)]

    batches, twin = stream(0), stream(1)
    rng = twin.rng
    drawn(batches, 8)
    twin.load_state_dict(batches.state_dict())
    assert twin.rng is rng  # so whoever else has it gets what it would have got
    assert same(drawn(twin, 12), drawn(batches, 12))


@pytest.mark.parametrize("order", [("rng", "batches"), ("batches", "rng")])
def test_a_shared_generator_may_be_a_part_of_its_own_in_any_order(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    def checkpoint(batches: MinibatchStream) -> Checkpoint:
        parts: dict[str, Any] = {"batches": batches, "rng": batches.rng}
        return Checkpoint(tmp_path / "run.npz", **{name: parts[name] for name in order})

    batches, twin = stream(0), stream(1)
    taken(batches, 3)
    batches.rng.random(4)
    checkpoint(batches).save(3)
    checkpoint(twin).restore()
    assert twin.rng.random() == batches.rng.random()
    assert same(taken(twin, 9), taken(batches, 9))


def test_a_generator_of_its_own_depends_on_nothing_else() -> None:
    quiet, loud = generator(0), generator(0)
    a, b = (MinibatchStream(X, Y, 5, rng.spawn(1)[0]) for rng in (quiet, loud))
    for _ in range(12):
        loud.random(3)
        assert same(list(next(a)), list(next(b)))


def test_a_state_is_a_copy() -> None:
    batches = stream(0, 5, np.random.MT19937)
    taken(batches, 2)
    state = batches.state_dict()
    twin = stream(1, 5, np.random.MT19937)
    twin.load_state_dict(state)
    for name in ("rng", "rng_before"):
        state[name]["state"]["key"][:] = 0
    assert same(twin.state_dict(), batches.state_dict())
    assert same(taken(twin, 9), taken(batches, 9))


def test_the_state_holds_no_order_of_examples() -> None:
    many = np.zeros((100_000, 1))
    batches = MinibatchStream(many, many, 10, generator(0))
    next(batches)
    assert len(repr(batches.state_dict())) < 1000


# Bad input

MISFITS: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda state: state.update(examples=24), "examples is 24 there and 23 here"),
    (lambda state: state.update(batch_size=4), "batch_size is 4 there and 5 here"),
    (lambda state: state.update(position=5), "position=5: accepted is an int from 0, below 5"),
    (lambda state: state.update(position=-1), "position=-1"),
    (lambda state: state.update(position=2.0), r"position=2\.0"),
    (lambda state: state.update(position=True), "position=True"),
    (lambda state: state.update(epoch=-1), "epoch=-1"),
    (lambda state: state.update(epoch=None), "epoch=None"),
    (lambda state: state.pop("rng"), "no state of a MinibatchStream.*examples, batch_size"),
    (lambda state: state.update(more=1), "no state of a MinibatchStream"),
    (lambda state: state.update(rng=None), "rng is no state of a PCG64"),
    (lambda state: state.update(rng_before={}), "rng_before is no state of a PCG64"),
    (lambda state: state["rng"].update(state={}), "rng is no state of a PCG64"),
    (lambda state: state["rng"]["state"].update(inc=-1), "rng is no state of a PCG64"),
    (
        lambda state: state.update(stream(0, 5, np.random.SFC64).state_dict()),
        "rng_before is no state of a PCG64: .*\n.*rng is no state of a PCG64: ",
    ),
]


@pytest.mark.parametrize(("change", "match"), MISFITS)
def test_error_a_state_that_does_not_fit_changes_nothing(
    change: Callable[[dict[str, Any]], Any], match: str
) -> None:
    other = stream(1)
    taken(other, 8)
    state = other.state_dict()
    change(state)
    batches, twin = stream(0), stream(0)
    taken(batches, 3)
    taken(twin, 3)
    with pytest.raises(ValueError, match=match):
        batches.load_state_dict(state)
    assert same(batches.state_dict(), twin.state_dict())
    assert same(taken(batches, 9), taken(twin, 9))


def test_error_a_generator_state_that_is_too_short() -> None:
    batches = stream(0, 5, np.random.MT19937)
    state = batches.state_dict()
    state["rng"]["state"]["key"] = state["rng"]["state"]["key"][:100]
    with pytest.raises(ValueError, match="rng is no state of a MT19937"):
        batches.load_state_dict(state)
    assert same(batches.state_dict(), stream(0, 5, np.random.MT19937).state_dict())


def test_error_a_state_that_is_none() -> None:
    with pytest.raises(ValueError, match="no state of a MinibatchStream"):
        stream().load_state_dict([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "m", "batch_size", "match"),
    [(3, 4, 1, "3 examples and y 4"), (0, 0, 1, "empty"), (3, 3, 0, "batch_size=0")],
)
def test_error_when_it_is_made(n: int, m: int, batch_size: int, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        MinibatchStream(np.ones(n), np.ones(m), batch_size, generator(0))


def test_error_a_seed_for_a_generator() -> None:
    with pytest.raises(TypeError, match="rng=0 is of type int"):
        MinibatchStream(X, Y, 5, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        MinibatchStream(X, Y, 2.5, generator(0))  # type: ignore[arg-type]
