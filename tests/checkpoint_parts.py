"""What the tests of checkpoints save."""

from typing import Any

import numpy as np

from minigrad import nn


class Part:
    """Anything with a state."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any, /) -> None:
        self.state = state


def net(seed: int = 0, width: int = 4) -> nn.Module:
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, width, rng=rng), nn.BatchNorm1d(width))


def state_of(part: Any) -> Any:
    return part.bit_generator.state if hasattr(part, "bit_generator") else part.state_dict()
