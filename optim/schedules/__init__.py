"""Schedules: the learning rate, or another hyperparameter, as a pure function of the step t.

A schedule knows no optimizer: ``schedule(t)`` is a float, and can be printed and plotted as it
stands.  `Scheduler` brings it to an optimizer.
"""

from optim.schedules.cosine import Cosine, CosineRestarts
from optim.schedules.decays import Exponential, InverseSquareRoot, Polynomial
from optim.schedules.function import Function
from optim.schedules.phases import OneCycle, WarmupStableDecay
from optim.schedules.piecewise import Constant, MultiStep, Piecewise, Step
from optim.schedules.schedule import Joined, Schedule
from optim.schedules.scheduler import Scheduler
from optim.schedules.warmup import CosineWarmup, LinearWarmup

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "CosineWarmup",
    "Exponential",
    "Function",
    "InverseSquareRoot",
    "Joined",
    "LinearWarmup",
    "MultiStep",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "Schedule",
    "Scheduler",
    "Step",
    "WarmupStableDecay",
]
