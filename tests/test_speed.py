"""The speed table: that it measures what it says, and prints ratios; never how fast."""

import numpy as np
import pytest

from datasets import airfoil_stand_in
from experiments.speed import epoch, optimizer_step, table
from experiments.speed.timing import interleaved, ratio


def test_candidates_are_timed_in_turns() -> None:
    calls = []
    candidates = {name: lambda name=name: calls.append(name) for name in "ab"}
    timings = interleaved(candidates, rounds=4, seconds_per_turn=0.0)
    assert {name: len(seconds) for name, seconds in timings.items()} == {"a": 4, "b": 4}
    turns = [name for i, name in enumerate(calls) if i == 0 or calls[i - 1] != name]
    assert "".join(turns) == "ab" * 5  # once to warm up, then four rounds


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert ratio({"a": [1.0, 2.0, 4.0], "b": [3.0, 4.0, 40.0]}, "b", "a") == 3.0


@pytest.mark.parametrize("rule", optimizer_step.RULES)
@pytest.mark.parametrize("dtype", optimizer_step.DTYPES)
def test_every_step_that_can_be_timed_here_runs(rule: str, dtype: str) -> None:
    candidates = optimizer_step.candidates(rule, 100, dtype, seed=0)
    assert {"minigrad", "NumPy", "stream limit"} <= set(candidates)
    for step in candidates.values():
        step()
        step()


def test_the_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(table, "EPOCH_ROUNDS", 1)
    monkeypatch.setattr(table, "STEP_ROUNDS", {10: 1})
    monkeypatch.setattr(optimizer_step, "SIZES", (10,))
    table.speed_table(airfoil_stand_in(), 0)
    out = capsys.readouterr().out
    for part in ("minigrad", "gradient by hand", "One step of Yogi, 10 elements, float64"):
        assert part in out
    assert out.count("  1.00\n") == 5  # minigrad is the unit of each of the five tables


def test_the_epoch_by_hand_takes_the_librarys_steps() -> None:
    """Both sides of the comparison do the same work: every epoch lowers the loss alike."""
    data = airfoil_stand_in()
    for name in ("minigrad", "NumPy, gradient by hand"):
        run = epoch.candidates(data, seed=0)[name]
        variables = dict(zip(run.__code__.co_freevars, run.__closure__ or (), strict=True))
        for _ in range(3):
            run()
        if name == "minigrad":
            w, b = (p.data for p in variables["net"].cell_contents.parameters())
        else:
            w, b = variables["w"].cell_contents, variables["b"].cell_contents
        loss = float(np.mean((data.X @ w + b - data.y) ** 2)) / 2
        assert 0.242 < loss < 0.26
