"""Nothing grows over training steps."""

import gc
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import optim
from experiments.speed import models
from minigrad import DataParallel, Tensor
from minigrad.functional import cross_entropy


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize("parallel", [False, True], ids=["plain", "parallel"])
def test_nothing_grows_over_1_000_steps(parallel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Tensors nor, but for what NumPy keeps at hand for small arrays, blocks of memory."""
    for name, value in {"SEQUENCES": 2, "POSITIONS": 4, "WIDTH": 8}.items():
        monkeypatch.setattr(models, name, value)
    rng = np.random.default_rng(0)
    net = models.LanguageModel(rng)
    x, labels = models._tokens(rng)
    optimizer = optim.Adam(net.parameters())
    in_parts = DataParallel(lambda x, labels: cross_entropy(net(x), labels), parts=2)

    def after(steps: int) -> tuple[int, int]:
        for _ in range(steps):
            optimizer.zero_grad()
            if parallel:
                in_parts(x, labels)
            else:
                cross_entropy(net(x), labels).backward()
            optimizer.step()
        tensors = sum(isinstance(x, Tensor) for x in gc.get_objects())
        return tensors, sys.getallocatedblocks()

    tensors, blocks = after(50)
    tensors_later, blocks_later = after(1000)
    assert tensors_later == tensors
    assert blocks_later - blocks < 5000  # a Tensor with its array and graph would be 8 a step
