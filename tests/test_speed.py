"""The speed table: that it measures what it says, and prints ratios; never how fast."""

import re
from typing import Any

import numpy as np
import pytest
from optimizers import OPTIMIZERS

from datasets import airfoil_stand_in
from experiments.speed import (
    epoch,
    first_use,
    models,
    optimizer_family,
    optimizer_step,
    sweeps,
    table,
    whole_epochs,
)
from experiments.speed.timing import interleaved, ratio
from minigrad.functional import cross_entropy


def test_candidates_are_timed_in_turns() -> None:
    calls = []
    candidates = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = interleaved(candidates, rounds=4, seconds_per_turn=0.0)
    assert {name: len(seconds) for name, seconds in timings.items()} == {"a": 4, "b": 4}
    turns = [name for i, name in enumerate(calls) if i == 0 or calls[i - 1] != name]
    assert "".join(turns) == "ab" * 5  # once to warm up, then four rounds


def test_what_comes_before_a_turn_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    now, events = 0.0, []

    def takes(seconds: float, name: str) -> None:
        nonlocal now
        now += seconds
        events.append(name)

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    timings = interleaved(
        {"a": lambda: takes(1.0, "a")},
        rounds=2,
        before_turn={"a": lambda: takes(100.0, "before")},
    )
    assert timings == {"a": [1.0, 1.0]}
    assert events[2:] == ["before", "a", "a"] * 2


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert ratio({"a": [1.0, 2.0, 4.0], "b": [3.0, 4.0, 40.0]}, "b", "a") == 3.0


@pytest.mark.parametrize("dtype", optimizer_step.DTYPES)
def test_every_step_that_can_be_timed_here_runs(dtype: str) -> None:
    candidates = optimizer_step.candidates(100, dtype, seed=0)
    assert {"minigrad", "NumPy", "stream limit"} <= set(candidates)
    for step in candidates.values():
        step()
        step()


def test_the_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "EPOCH_ROUNDS", 1)
    monkeypatch.setattr(table, "family_tables", lambda seed: None)
    monkeypatch.setattr(table, "STEP_ROUNDS", {10: 1})
    monkeypatch.setattr(optimizer_step, "SIZES", (10,))
    monkeypatch.setattr(table, "MODEL_ROUNDS", 1)
    monkeypatch.setattr(table, "DTYPES", ("float64",))
    linear = whole_epochs.TASKS[whole_epochs.LINEAR]
    monkeypatch.setattr(whole_epochs, "TASKS", {whole_epochs.LINEAR: linear})
    monkeypatch.setattr(models, "MODELS", dict(list(models.MODELS.items())[:2]))
    table.speed_table(airfoil_stand_in(), 0)
    out = capsys.readouterr().out
    for part in ("minigrad", "gradient by hand", "One step of Adam, 10 elements, float64",
                 "An MLP 64-256-256-10, batch 64"):  # fmt: skip
        assert part in out
    assert len(re.findall(r"minigrad .* 1\.00\n", out)) == 5  # the unit of each table


def test_the_familys_tables_have_every_optimizer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optimizer_family, "LARGE", 50)
    monkeypatch.setattr(optimizer_family, "MANY", 3)
    monkeypatch.setattr(optimizer_family, "SMALL", 5)
    monkeypatch.setattr(optimizer_family, "MATRIX", 4)
    monkeypatch.setattr(optimizer_family, "ROUNDS", {50: 1, 5: 1, 4: 1})
    optimizer_family.family_tables(seed=0)
    lines = capsys.readouterr().out.splitlines()
    for variant in optimizer_family.VARIANTS:
        rows = [line for line in lines if line.startswith(f"  {variant!s:34}")]
        assert [row.count(" ms") for row in rows] == [1, 1, 1]
        assert [row.count("%") for row in rows] == [1, 1, 0]
    assert any(line.startswith("  Muon") for line in lines)
    timed = {v.rule for v in (*optimizer_family.VARIANTS, optimizer_family.MUON)}
    assert timed | {"AMSGrad"} == {c.__name__ for c in OPTIMIZERS}  # AMSGrad: Adam, amsgrad


@pytest.mark.parametrize("name", [first_use.NUMBA_ALONE, *first_use.OPTIMIZERS])
def test_a_first_use_can_be_measured(name: str) -> None:
    assert first_use.measure(name, 10) > 0


def variables_of(run: Any) -> dict[str, Any]:
    """What a candidate trains, out of its closure."""
    cells = zip(run.__code__.co_freevars, run.__closure__, strict=True)
    return {name: cell.cell_contents for name, cell in cells}


def test_both_epochs_do_the_same_work() -> None:
    data = airfoil_stand_in()
    candidates = epoch.candidates(data, seed=0)
    ours, by_hand = candidates["minigrad"], candidates["NumPy, gradient by hand"]
    for _ in range(2):
        ours()
        by_hand()
    w, b = variables_of(ours)["net"].parameters()
    np.testing.assert_allclose(w.data, variables_of(by_hand)["w"], rtol=1e-12)
    np.testing.assert_allclose(b.data, variables_of(by_hand)["b"], rtol=1e-12)


TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
DEFAULT = (whole_epochs.LINEAR, "float64")
EVERY_EPOCH = [
    pytest.param(task, dtype, marks=() if (task, dtype) == DEFAULT else pytest.mark.slow)
    for task in whole_epochs.TASKS
    for dtype in ("float64", "float32")
    # In float32 rounding decides now and then whether a relu is active.
    if (task, dtype) != (whole_epochs.RELU, "float32")
]


@pytest.mark.parametrize(("task", "dtype"), EVERY_EPOCH)
def test_whole_epochs_do_the_same_work_also_after_a_restart(task: str, dtype: str) -> None:
    found = whole_epochs.candidates(whole_epochs.TASKS[task], airfoil_stand_in(), 3, dtype)
    assert {whole_epochs.COMPILED, whole_epochs.EAGER} <= set(found)
    start = found[whole_epochs.EAGER].parameters()
    for _ in range(2):
        ends = {}
        for name, candidate in found.items():
            for x, x_start in zip(candidate.parameters(), start, strict=True):
                np.testing.assert_array_equal(x, x_start)
            candidate.epoch()
            ends[name] = candidate.parameters()
            candidate.restart()
        for name, parameters in ends.items():
            for x, x_eager in zip(parameters, ends[whole_epochs.EAGER], strict=True):
                assert x.dtype == dtype, name
                difference = np.max(np.abs(x - x_eager)) / np.max(np.abs(x_eager))
                assert difference < TOLERANCE[dtype], name


def test_both_steps_do_the_same_work_in_the_dtype_they_say() -> None:
    for dtype in optimizer_step.DTYPES:
        x, g = np.linspace(-1, 1, 20, dtype=dtype), np.linspace(2, -1, 20, dtype=dtype)
        ours: Any = optimizer_step._minigrad("ignore", x, g)
        by_hand = optimizer_step._numpy(x, g)
        for _ in range(3):
            ours()
            by_hand()
        trained = ours.__self__._slots[0].parameter.data
        assert trained.dtype == dtype
        np.testing.assert_array_equal(trained, variables_of(by_hand)["x"])


def test_the_labels_say_what_the_steps_do() -> None:
    candidates = optimizer_step.candidates(10, "float32", seed=0)
    settings = {
        name: (step.__self__.nonfinite, step.__self__._slots[0].dtype)
        for name, step in candidates.items()
        if hasattr(step, "__self__") and hasattr(step.__self__, "nonfinite")
    }
    assert settings == {
        "minigrad": ("ignore", np.float32),
        'with nonfinite="raise"': ("raise", np.float32),
    }


def test_a_time_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def run() -> None:
        nonlocal now
        now += 1e-6

    monkeypatch.setattr("time.perf_counter", lambda: now)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    timings = interleaved({"a": run}, rounds=2)
    np.testing.assert_allclose(timings["a"], 1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", list(models.MODELS))
def test_a_models_steps_train_it(name: str) -> None:
    """Each of a model's ways lowers the loss."""
    steps = models.MODELS[name].steps(np.random.default_rng(0))
    if name.startswith(("A chain", "A matrix product")):
        for step in steps.values():
            step()
        return
    inner = variables_of(steps["minigrad"])
    net, x, labels = inner["net"], inner["x"], inner["labels"]
    before = cross_entropy(net(x), labels).item()
    for step in steps.values():
        for _ in range(4):
            step()
        assert cross_entropy(net(x), labels).item() < before


@pytest.mark.parametrize("name", [name for name in models.MODELS if " parameters" in name])
def test_a_model_has_the_parameters_that_its_name_says(name: str) -> None:
    steps = models.MODELS[name].steps(np.random.default_rng(0))
    net = variables_of(steps["minigrad"])["net"]
    assert f" of {sum(p.size for p in net.parameters()):,} parameters" in name


def test_sweeps_are_timed_with_one_worker_and_with_two() -> None:
    timings = sweeps.compare(airfoil_stand_in(), runs=2, rounds=1)
    assert [len(seconds) for seconds in timings.values()] == [1, 1, 1]
