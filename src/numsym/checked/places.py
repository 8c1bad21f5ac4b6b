"""Devices that are here."""

import torch

from numsym.errors import InvalidArgumentError


def check_device(device: str | torch.device) -> torch.device:
    """The device of this name.

    Raises:
        InvalidArgumentError: there is no such device here.
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError):
        raise InvalidArgumentError(
            f"device={str(device)!r} is not allowed: there is none here; give cpu, or cuda where PyTorch finds it"
        ) from None
    return torch.device(device)
