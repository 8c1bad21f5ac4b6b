"""One runner around every study: what it is given, the run folder, and what is refused before any work."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from torch import nn

from numsym.errors import InvalidArgumentError
from numsym.lab.asked import settings
from numsym.lab.given import Given
from numsym.lab.run import Run
from numsym.models.threads import threads_for
from numsym.run import Rehearsal, rehearse
from numsym.studies import STUDIES


def load_plugins(names: Sequence[str]) -> None:
    """Import the modules that bring tasks, programs, functions, engines and studies: those named, and installed ones.

    Raises:
        InvalidArgumentError: one of them cannot be imported.
    """
    for name in (*(entry.value for entry in entry_points(group="numsym.plugins")), *names):
        try:
            import_module(name)
        except ImportError as error:
            raise InvalidArgumentError(f"plugins={name!r} is not allowed: it cannot be imported ({error})") from error


def run_study(name: str, config: Mapping[str, Any], folder: Path, group: str | None = None) -> Any:
    """Run a study of the command, or go on with it, in its folder.

    It is first called with models that are not trained, and ended where its work would begin: so a wrong argument is
    refused before the training, and leaves no folder.

    Args:
        name: of the study.
        config: composed and resolved.
        folder: of the run.
        group: the sweep that it is a member of, for Weights & Biases.
    """
    settings(**config)
    load_plugins(config.get("plugins") or ())
    study = STUDIES[name]
    rehearsed = Given(config, Rehearsal(), rehearsal=True).arguments(study)
    rehearse(study, **rehearsed)
    run = Run(folder, config=config, group=group, job_type=name)
    with threads(config.get("threads"), rehearsed.values()):
        try:
            run.open()
            return study(**Given(config, run).arguments(study), run=run)
        except BaseException as error:
            run.close(error)
            raise


@contextmanager
def threads(wanted: str | int | None, given: Iterable[Any]) -> Iterator[int]:
    """PyTorch's threads while a study runs, never more than it had.

    Args:
        wanted: how many; "auto" is what its models ask for (`numsym.models.threads`), all where it has none.
        given: its arguments.

    Raises:
        InvalidArgumentError: `wanted` is neither "auto" nor a number above 0.
    """
    before = torch.get_num_threads()
    if wanted in ("auto", None):
        asked = [threads_for(one) for one in given if isinstance(one, nn.Module)]
        number = min(before, max(asked, default=before))
    elif isinstance(wanted, int) and wanted >= 1:
        number = wanted
    else:
        raise InvalidArgumentError(f"threads={wanted!r} is not allowed: give auto, or a number from 1 on")
    torch.set_num_threads(number)
    try:
        yield number
    finally:
        torch.set_num_threads(before)
