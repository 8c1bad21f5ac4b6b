"""One runner around every study: what it is given, the run folder, and what is refused before any work."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from numsym.errors import InvalidArgumentError
from numsym.lab.given import Given
from numsym.lab.run import Run
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
    load_plugins(config.get("plugins") or ())
    study = STUDIES[name]
    rehearse(study, **Given(config, Rehearsal(), rehearsal=True).arguments(study))
    run = Run(folder, config=config, group=group, job_type=name)
    try:
        run.open()
        return study(**Given(config, run).arguments(study), run=run)
    except BaseException as error:
        run.close(error)
        raise
