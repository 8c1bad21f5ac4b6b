"""How many CPU threads a model is worth: one for a small network, else as many as there are free cores."""

import logging
import os

import torch
from torch import nn

log = logging.getLogger(__name__)

SMALL = 1_000_000
"""Parameters below which a second thread gains little, and costs much where another process wants its core."""

_advised: set[int] = set()
"""Numbers of threads that were advised, so that each is said once."""


def threads_for(model: nn.Module) -> int:
    """Threads to run a model on a CPU with: one for a small model, else the cores that are free, at least one."""
    if sum(parameter.numel() for parameter in model.parameters()) < SMALL:
        return 1
    return free_cores()


def free_cores() -> int:
    """This process' cores that were idle over the last minute, at least one; all where the load is not known."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        busy = round(os.getloadavg()[0])
    except OSError:  # not on this system
        busy = 0
    return max(1, cores - busy)


def advise(model: nn.Module) -> None:
    """Say in the log, once, where PyTorch has more threads than a model on a CPU is worth; nothing is changed."""
    first = next(model.parameters(), None)
    if first is None or first.device.type != "cpu":
        return
    wanted, now = threads_for(model), torch.get_num_threads()
    if wanted < now and wanted not in _advised:
        _advised.add(wanted)
        log.info("torch.set_num_threads(%d) would likely be faster than the present %d threads", wanted, now)
