"""What the experiments train: models on data, and small problems whose answers are known."""

from experiments.trainings.models import train_classifier, train_linear, train_mlp

__all__ = ["train_classifier", "train_linear", "train_mlp"]
