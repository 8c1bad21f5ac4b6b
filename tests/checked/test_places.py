import pytest
import torch

from numsym.checked.places import check_device
from numsym.errors import InvalidArgumentError


@pytest.mark.parametrize("device", ["ä", "", "mps:7", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_here_is_named(device):
    with pytest.raises(InvalidArgumentError, match=f"^device='{device}' is not allowed: there is none here"):
        check_device(device)


@pytest.mark.parametrize("device", ["cpu", "meta", torch.device("cpu")])
def test_a_device_that_is_here_is_given_back(device):
    assert check_device(device) == torch.device(device)
