"""The section and its claims as scripts: one question each; ``python -m experiments``."""

from pathlib import Path

RESULTS = Path("results")
"""Folder for figures, below the current one."""

QUESTIONS = {
    "bias_correction": "the effective step, with and without bias correction",
    "learning_rate_sensitivity": "how wide the range of good learning rates is, by optimizer",
    "defaults": "maps of β₁, β₂, ε and the learning rate around the defaults",
    "paths": "where every optimizer goes on functions of two variables",
    "second_moment_memory": "how Adam's s and Yogi's forget",
    "divergence": "problems on which Adam diverges, with AMSGrad and Yogi beside it",
    "heavy_tails": "spikes, Student-t noise and sparse features, each optimizer tuned",
    "generalization_gap": "where Adam generalizes worse than SGD, and where it does not",
    "weight_decay": "coupled and decoupled decay on grids of learning rate and λ",
}
"""The scripts that end with a `Question`, in the order of the section; what each is about."""

TRAININGS = {
    "language_model": "a small transformer by Adam and by SGD, each tuned; 20 minutes",
    "cnn": "the same protocol on images: the gap that is not there; 5 minutes",
    "gradient_statistics": "what Adam sees in the transformer: scales, steps, tails; 7 minutes",
}
"""Longer trainings, which can be stopped and go on; they end with a `Question` too, but are not
part of ``claims``."""
