"""Training: one loop, to which loss, optimiser and batches are given; how well a model does its task."""

from numsym.training.evaluation import Evaluation, evaluate
from numsym.training.loop import TrainingLog, check_settings, log_spaced, train

__all__ = ["Evaluation", "TrainingLog", "check_settings", "evaluate", "log_spaced", "train"]
