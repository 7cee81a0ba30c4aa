"""Nothing grows over training steps."""

import gc
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import optim
from experiments.trainings.tiny_lm import TinyLM
from minigrad import DataParallel, Tensor


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("parallel", [False, True], ids=["plain", "parallel"])
def test_nothing_grows_over_1_000_steps(parallel: bool) -> None:
    """Neither Tensors nor, but for what NumPy keeps at hand for small arrays, blocks of memory."""
    rng = np.random.default_rng(0)
    model = TinyLM(positions=4, width=8, rng=rng)
    tokens, targets = rng.integers(0, 28, (2, 2, 4))
    optimizer = optim.Adam(model.parameters())
    in_parts = DataParallel(model.loss, parts=2)

    def after(steps: int) -> tuple[int, int]:
        for _ in range(steps):
            optimizer.zero_grad()
            if parallel:
                in_parts(tokens, targets)
            else:
                model.loss(tokens, targets).backward()
            optimizer.step()
        tensors = sum(type(x) is Tensor for x in gc.get_objects())
        return tensors, sys.getallocatedblocks()

    tensors, blocks = after(50)
    tensors_later, blocks_later = after(1000)
    assert tensors_later == tensors
    assert blocks_later - blocks < 5000  # a Tensor with its array and graph would be 8 a step
