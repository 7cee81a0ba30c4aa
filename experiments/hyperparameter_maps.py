"""Maps of hyperparameters around a default: which points they consist of, row by row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "REDUCED", "Grid", "Map", "Point",
    "eps_alone", "eps_and_rate", "pairs_of_beta", "pairs_of_beta_at_one_rate", "rate_alone",
]  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """The values that are tried, each of them with the default among them."""

    one_minus_beta1: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01)
    one_minus_beta2: tuple[float, ...] = (0.3, 0.1, 0.01, 0.001, 0.0001)
    beta_rates: tuple[float, ...] = (0.003, 0.01, 0.03)
    eps: tuple[float, ...] = (1e-10, 1e-8, 1e-6, 1e-3, 1e-2, 1e-1, 1.0)
    rates: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


REDUCED = Grid(
    one_minus_beta1=(1.0, 0.1, 0.03),
    one_minus_beta2=(0.01, 0.001),
    beta_rates=(0.01, 0.03),
    eps=(1e-8, 1e-6, 1e-3, 1.0),
    rates=(0.001, 0.01, 0.03),
)
"""A part of the full grid."""


@dataclass(frozen=True)
class Point:
    """What is trained, and its hyperparameters.

    Examples
    --------
    >>> Point("MLP", "adam", lr=0.1).run(seed=1)["betas"]
    [0.9, 0.999]
    """

    problem: str
    optimizer: str
    lr: float = 0.01
    one_minus_beta1: float = 0.1
    one_minus_beta2: float = 0.001
    eps: float = 1e-8

    def run(self, seed: int) -> dict[str, Any]:
        """Return the keywords of a training."""
        return {
            "problem": self.problem,
            "optimizer": self.optimizer,
            "lr": self.lr,
            "betas": [round(1 - self.one_minus_beta1, 6), round(1 - self.one_minus_beta2, 6)],
            "eps": self.eps,
            "seed": seed,
        }


Map = list[list[list[Point]]]
"""Rows of cells; a cell is one point, or several, from which it gets the best."""


def pairs_of_beta(grid: Grid, start: Point) -> Map:
    """β₁ (rows) and β₂ (columns), each pair at its best rate."""
    return [
        [
            [replace(start, one_minus_beta1=a, one_minus_beta2=b, lr=lr) for lr in grid.beta_rates]
            for b in grid.one_minus_beta2
        ]
        for a in grid.one_minus_beta1
    ]


def pairs_of_beta_at_one_rate(grid: Grid, start: Point) -> Map:
    """β₁ (rows) and β₂ (columns), all at the section's rate."""
    return pairs_of_beta(replace(grid, beta_rates=(start.lr,)), start)


def eps_and_rate(grid: Grid, start: Point) -> Map:
    """ε (rows) and η (columns)."""
    return [[[replace(start, eps=eps, lr=lr)] for lr in grid.rates] for eps in grid.eps]


def eps_alone(grid: Grid, start: Point) -> Map:
    """ε, each at its best rate."""
    return [[[replace(start, eps=eps, lr=lr) for lr in grid.rates]] for eps in grid.eps]


def rate_alone(grid: Grid, start: Point) -> Map:
    """η, with all else at its default."""
    return [[[replace(start, lr=lr)] for lr in grid.rates]]
