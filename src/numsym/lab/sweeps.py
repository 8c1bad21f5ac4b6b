"""Runs as members of a sweep: what is finished is left alone, what fails is written down, and the others go on.

Hydra's sweeper and launchers run the members; all that numsym adds is what one member does. A sweep that is started
again, by the same command, goes on: nothing but its run folders says how far it is.
"""

import ctypes
import gc
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numsym.errors import NumsymError, RunFolderError
from numsym.lab.folder import finished, write_failure

logger = logging.getLogger(__name__)


class RunFailedError(NumsymError):
    """A member of a sweep failed; its folder says why. It carries text alone, so that it crosses process borders."""


def member(config: Mapping[str, Any], folder: Path, start: Callable[[Mapping[str, Any], Path], Any]) -> str:
    """Run one member of a sweep, unless it is finished.

    Args:
        config: its resolved configuration.
        folder: its run folder.
        start: the experiment.

    Returns:
        "finished" or, if there was nothing to do, "found".

    Raises:
        RunFailedError: it failed, which `failure.json` in the folder tells; Hydra keeps it until the others have run.
    """
    try:
        if finished(folder, config):
            return "found"
        try:
            start(config, folder)
        finally:
            give_back()
    except RunFolderError as error:
        # What is there is not this run: it stays as it is.
        logger.error("%s", error)
        raise RunFailedError(str(error)) from None
    except Exception as error:
        write_failure(folder, config, error)
        logger.error("%s failed: %s: %s", folder, type(error).__name__, error)
        raise RunFailedError(f"{folder}: {type(error).__name__}: {error}") from None
    return "finished"


def give_back() -> None:
    """Give freed memory back to the system.

    Between large tensors that are freed and small ones that stay glibc keeps the pages, and a process that runs member
    after member grows: over three LSTMs of the replication from 2 to 6 GB, none of which any tensor held.
    """
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
