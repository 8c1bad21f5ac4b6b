"""Training: one loop, to which loss, optimisers and batches are given; how well a model does its task."""

from numsym.checked import border
from numsym.training.adders import AdderTraining, train_adder
from numsym.training.corpus import train_on_corpus
from numsym.training.evaluation import Evaluation, evaluate, rightly
from numsym.training.loop import TrainingLog
from numsym.training.modular import ModularTrainingSettings, train_modular
from numsym.training.next_token import check_settings, log_spaced, train

__all__ = [
    "AdderTraining",
    "Evaluation",
    "ModularTrainingSettings",
    "TrainingLog",
    "check_settings",
    "evaluate",
    "log_spaced",
    "rightly",
    "train",
    "train_adder",
    "train_modular",
    "train_on_corpus",
]

border(globals())
