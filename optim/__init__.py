"""Optimizers: one file each, equations first, then the rule, its compiled loop, and the class."""

from optim.adadelta import Adadelta
from optim.adagrad import AdaGrad
from optim.adam import Adam
from optim.amsgrad import AMSGrad
from optim.averaging import ExponentialMovingAverage
from optim.clipping import clip_grad_norm, clip_grad_value
from optim.groups import ParamGroup
from optim.momentum import Momentum
from optim.muon import Muon
from optim.optimizer import Optimizer
from optim.rmsprop import RMSProp
from optim.sgd import SGD
from optim.yogi import Yogi

__all__ = [
    "SGD", "AMSGrad", "AdaGrad", "Adadelta", "Adam", "ExponentialMovingAverage", "Momentum", "Muon",
    "Optimizer", "ParamGroup", "RMSProp", "Yogi", "clip_grad_norm", "clip_grad_value",
]  # fmt: skip
