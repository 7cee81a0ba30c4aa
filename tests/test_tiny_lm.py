"""TinyLM: its structure, and its first training steps against those that PyTorch took."""

import json
import math
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optim
from datasets.minibatches import MinibatchStream
from datasets.time_machine import TIME_MACHINE, TRAINING_WINDOWS, time_machine, windows
from experiments.trainings.tiny_lm import TinyLM
from minigrad import DataParallel, Tensor, nn

REFERENCE = Path(__file__).parent / "reference"
RECORDED: dict[str, Any] = json.loads((REFERENCE / "tiny_lm.json").read_text(encoding="utf-8"))
RUNS: list[dict[str, Any]] = RECORDED["runs"]
OPTIMIZERS: dict[str, Any] = {
    "SGD, momentum 0.9": (optim.SGD, {"momentum": 0.9}),
    "Adam": (optim.Adam, {}),
}

# Relative to the loss.  The two sides differ by 2e-7 after 50 steps in float32, as much as moving
# every weight by one unit in its last place does, and by 4e-16 in float64.
TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


@cache
def examples(data: str) -> Any:
    """The training windows of the text that a recorded run names."""
    if data == "stand-in":
        text = time_machine("stand-in")
    elif TIME_MACHINE.find() is None:
        pytest.skip("the real text is not here (python -m datasets fetch time_machine)")
    else:
        assert data == TIME_MACHINE.sha256
        text = time_machine()
    X, y = windows(text.characters)
    return X[:TRAINING_WINDOWS], y[:TRAINING_WINDOWS]


def losses(
    run: dict[str, Any],
    steps: int = 50,
    change: Callable[[TinyLM], None] = lambda model: None,
    **hyperparameters: Any,
) -> Any:
    """The losses of our training; with a changed model or other hyperparameters if asked for."""
    rng = np.random.default_rng(RECORDED["seed"])
    model = TinyLM(rng=rng, dtype=np.dtype(run["dtype"]))
    X, y = examples(run["data"])
    batches = MinibatchStream(X, y, run["batch"], rng)
    change(model)
    rule, options = OPTIMIZERS[run["optimizer"]]
    optimizer = rule(model.parameters(), lr=run["lr"], **{**options, **hyperparameters})
    backward = DataParallel(model.loss, parts=2)
    found = []
    for tokens, targets in islice(batches, min(steps, len(run["losses"]))):
        optimizer.zero_grad()
        found.append(backward(tokens, targets))
        optimizer.step()
    return np.array(found)


def largest_error(run: dict[str, Any], *args: Any, **changes: Any) -> float:
    """Of any step's loss, relative to the recorded one."""
    ours = losses(run, *args, **changes)
    recorded = np.array(run["losses"][: len(ours)])
    return float(np.max(np.abs(ours - recorded) / recorded))


def run_of(optimizer: str, dtype: str) -> dict[str, Any]:
    """The recorded run on the stand-in."""
    kind = "stand-in", optimizer, dtype
    return next(run for run in RUNS if (run["data"], run["optimizer"], run["dtype"]) == kind)


def name_of(run: dict[str, Any]) -> str:
    return f"{run['data'][:8]}, {run['optimizer']}, {run['dtype']}"


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS, ids=name_of)
def test_the_losses_of_the_first_steps_are_those_recorded_from_pytorch(run: dict[str, Any]) -> None:
    assert len(run["losses"]) == {"float32": 50, "float64": 10}[run["dtype"]]
    assert largest_error(run) < TOLERANCE[run["dtype"]]


@pytest.mark.parametrize(
    ("optimizer", "dtype"),
    [("Adam", "float32"), ("Adam", "float64"), ("SGD, momentum 0.9", "float64")],
)
def test_the_losses_of_the_first_steps_on_the_stand_in_are_pytorchs(
    optimizer: str, dtype: str
) -> None:
    """The short of it: at most 10 steps."""
    assert largest_error(run_of(optimizer, dtype), 10) < TOLERANCE[dtype]


# The same training with one mistake: the recorded losses must notice.


def without_causality(model: Any) -> None:
    for block in model.blocks:
        block.attention.causal = False


def with_one_head(model: Any) -> None:
    for block in model.blocks:
        block.attention.num_heads = 1


def with_gelu_of_tanh(model: Any) -> None:
    for block in model.blocks:
        block.gelu = nn.GELU("tanh")


def with_another_epsilon(model: Any) -> None:
    for block in model.blocks:
        block.norm1.eps = block.norm2.eps = 1e-6


def without_the_last_normalization(model: Any) -> None:
    model.norm = nn.Sequential()


def with_frozen_positions(model: Any) -> None:
    model.position.weight = Tensor(model.position.weight.data)


MISTAKES: dict[str, tuple[str, dict[str, Any], float]] = {
    # optimizer, mistake, what the relative difference exceeds within three steps
    "no causality": ("Adam", {"change": without_causality}, 5e-4),
    "one head": ("Adam", {"change": with_one_head}, 1e-4),
    "tanh in GELU": ("Adam", {"change": with_gelu_of_tanh}, 1e-5),
    "another epsilon of the norms": ("Adam", {"change": with_another_epsilon}, 2e-7),
    "no last norm": ("Adam", {"change": without_the_last_normalization}, 5e-2),
    "positions not trained": ("Adam", {"change": with_frozen_positions}, 2e-4),
    "another epsilon of Adam": ("Adam", {"eps": 1e-7}, 1e-5),
    "another beta": ("Adam", {"betas": (0.9, 0.99)}, 1e-6),
    "Nesterov": ("SGD, momentum 0.9", {"nesterov": True}, 5e-2),
    "dampening": ("SGD, momentum 0.9", {"dampening": 0.9}, 2e-2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_changes_the_losses(name: str) -> None:
    optimizer, mistake, difference = MISTAKES[name]
    assert difference > 1e6 * TOLERANCE["float64"]
    assert largest_error(run_of(optimizer, "float64"), 3, **mistake) > difference


@pytest.mark.slow
def test_in_float32_the_tolerance_tells_the_two_gelus_apart() -> None:
    """1e-4 would not; and an ε of the norms of 1e-6 shows in float64 only."""
    run = run_of("Adam", "float32")
    assert 1e-4 > largest_error(run, 10, change=with_gelu_of_tanh) > 5 * TOLERANCE["float32"]
    assert largest_error(run, 10, change=with_another_epsilon) < TOLERANCE["float32"]


def test_the_recorded_trainings_of_the_protocol_start_as_the_recorded_first_steps_do() -> None:
    protocol = json.loads((REFERENCE / "tiny_lm_protocol.json").read_text(encoding="utf-8"))
    first = {
        (run["optimizer"], run["lr"]): run["losses"]
        for run in RUNS
        if (run["data"], run["dtype"]) == (protocol["data"], "float32")
    }
    curves = {(run["optimizer"], run["lr"]): run["curve"] for run in protocol["runs"]}
    assert first.keys() < curves.keys()
    for key in first:
        means = np.reshape(first[key][:40], (2, 20)).mean(axis=1)
        np.testing.assert_allclose(curves[key][:2], means, rtol=1e-5)
    for run in protocol["runs"]:
        if run["final"] is None:
            assert run["steps"] < protocol["steps"]
        else:
            assert run["final"] == pytest.approx(np.mean(run["curve"][-5:]), rel=1e-5)
    assert len(curves) == len(protocol["runs"]) == 8


# The model by itself.


def small_model(**sizes: Any) -> TinyLM:
    return TinyLM(width=16, positions=8, rng=np.random.default_rng(3), dtype=np.float64, **sizes)


def test_a_later_character_changes_no_earlier_logit() -> None:
    model = TinyLM(rng=np.random.default_rng(0))
    tokens = np.random.default_rng(1).integers(0, 28, (3, 64))
    for position in (0, 31, 63):
        changed = tokens.copy()
        changed[:, position] = (changed[:, position] + 1) % 28
        before, after = model(tokens).data, model(changed).data
        np.testing.assert_array_equal(after[:, :position], before[:, :position])
        assert (after[:, position:] != before[:, position:]).any(axis=-1).all()


def test_a_shorter_text_has_the_logits_of_the_longer_ones_start() -> None:
    model = small_model()
    tokens = np.random.default_rng(1).integers(0, 28, (3, 8))
    whole = model(tokens).data
    for length in (1, 5):
        start = model(tokens[:, :length]).data
        np.testing.assert_allclose(start, whole[:, :length], rtol=0, atol=1e-14)


def test_the_sequences_of_a_batch_do_not_mix() -> None:
    model = small_model()
    tokens = np.random.default_rng(1).integers(0, 28, (3, 8))
    for i in range(3):
        alone = model(tokens[i : i + 1]).data
        np.testing.assert_allclose(alone[0], model(tokens).data[i], rtol=0, atol=1e-14)


def test_the_order_of_the_characters_matters() -> None:
    """To attention alone it would not: the position embeddings tell it."""
    model = small_model()
    ab, ba = np.array([[0, 1, 2]]), np.array([[1, 0, 2]])
    assert np.abs(model(ab).data[0, -1] - model(ba).data[0, -1]).max() > 0.01
    model.position.weight.data[:] = 0
    one_block = small_model(blocks=1)
    one_block.position.weight.data[:] = 0
    np.testing.assert_allclose(
        one_block(ab).data[0, -1], one_block(ba).data[0, -1], rtol=0, atol=1e-14
    )


def test_the_parameters_are_as_many_as_the_sizes_say() -> None:
    model = TinyLM(rng=np.random.default_rng(0))
    d = 128
    norm, attention, mlp = 2 * d, 4 * (d * d + d), (d * 4 * d + 4 * d) + (4 * d * d + d)
    blocks = 2 * (2 * norm + attention + mlp)
    expected = 28 * d + 64 * d + blocks + norm + (d * 28 + 28)
    assert sum(p.size for p in model.parameters()) == expected == 412_188
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_an_untrained_model_knows_nothing_and_its_logits_variance_costs_a_sixth() -> None:
    """A logit is Σ wᵢ zᵢ with |z|² = d and w uniform in ±1/√d, which has variance 1/3d: 1/3.

    log Σ exp of 28 of them lies half their variance, (1 - 1/28)/3, above their mean + log 28.
    """
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        model = TinyLM(rng=rng)
        tokens = np.tile(rng.integers(0, 28, 8), (28, 1))
        each_character = np.repeat(np.arange(28)[:, None], 8, axis=1)
        found.append(model.loss(tokens, each_character).item())
    assert np.mean(found) == pytest.approx(math.log(28) + (1 - 1 / 28) / 6, abs=0.01)


def test_the_loss_counts_every_position_alike() -> None:
    model = small_model()
    tokens, targets = np.random.default_rng(1).integers(0, 28, (2, 3, 8))
    logits = model(tokens).data
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    likelihoods = np.take_along_axis(p, targets[..., None], axis=-1)
    assert model.loss(tokens, targets).item() == pytest.approx(-np.log(likelihoods).mean(), 1e-13)


def test_a_text_that_is_too_long_or_has_an_unknown_number_is_refused() -> None:
    model = small_model()
    for shape in ((2, 9), (8,), (1, 2, 8)):
        with pytest.raises(ValueError, match="at most 8 positions") as refusal:
            model(np.zeros(shape, int))
        assert str(shape) in str(refusal.value)
    with pytest.raises(IndexError, match=r"index 28 .* out of range .* accepted is 0 to 27"):
        model(np.full((2, 8), 28))
