import pytest
import torch

from numsym.models import RecurrentConfig, RecurrentLM
from numsym.tasks import MultiObject
from numsym.training import train

SMALL = {"counts": range(1, 7), "held_out": (3,)}


@pytest.fixture(scope="session")
def small_task():
    return MultiObject(**SMALL)


@pytest.fixture(scope="session")
def counter(small_task):
    """A trained GRU that counts to six."""
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=small_task.vocab_size, hidden_size=16))
    assert train(model, small_task, steps=2000, check_every=50, learning_rate=5e-3).reached
    return model
