"""Optimizers: one file each, equations first, then the rule, its compiled loop, and the class."""

from optim.adabelief import AdaBelief
from optim.adadelta import Adadelta
from optim.adagrad import AdaGrad
from optim.adam import Adam
from optim.adamax import Adamax
from optim.adamw import AdamW
from optim.amsgrad import AMSGrad
from optim.averaging import ExponentialMovingAverage
from optim.clipping import clip_grad_norm, clip_grad_value
from optim.groups import ParamGroup
from optim.lion import Lion
from optim.momentum import Momentum
from optim.muon import Muon
from optim.nadam import NAdam
from optim.optimizer import Optimizer
from optim.radam import RAdam
from optim.rmsprop import RMSProp
from optim.sgd import SGD
from optim.yogi import Yogi

__all__ = [
    "SGD",
    "AMSGrad",
    "AdaBelief",
    "AdaGrad",
    "Adadelta",
    "Adam",
    "AdamW",
    "Adamax",
    "ExponentialMovingAverage",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "Optimizer",
    "ParamGroup",
    "RAdam",
    "RMSProp",
    "Yogi",
    "clip_grad_norm",
    "clip_grad_value",
]
