"""One runner around every study: what it is given, the run folder, and what is refused before any work."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numsym.lab.given import Given
from numsym.lab.run import Run
from numsym.run import NoRun, Stage
from numsym.studies import STUDIES


class Rehearsal(NoRun):
    """Where a study is called to see whether it refuses its arguments: it ends as soon as there would be work."""

    class Ended(Exception):
        """The study has checked its arguments."""

    def keep_all(self, names: Sequence[str], make: Callable, load: Callable, **options: object) -> dict[str, Any]:
        """There would be work."""
        raise self.Ended

    @contextmanager
    def stage(self, title: str, steps: int) -> Iterator[Stage]:
        """There would be work."""
        raise self.Ended
        yield Stage()

    def show(self, result: Any, **about: object) -> Any:
        """Nothing was to be done."""
        raise self.Ended


def run_study(name: str, config: Mapping[str, Any], folder: Path) -> Any:
    """Run a study of the command, or go on with it, in its folder.

    It is first called with models that are not trained, and ended where its work would begin: so a wrong argument is
    refused before the training, and leaves no folder.

    Args:
        name: of the study.
        config: composed and resolved.
        folder: of the run.
    """
    study = STUDIES[name]
    rehearsal = Rehearsal()
    with suppress(Rehearsal.Ended):
        study(**Given(config, rehearsal, rehearsal=True).arguments(study), run=rehearsal)
    run = Run(folder, config=config)
    try:
        run.open()
        return study(**Given(config, run).arguments(study), run=run)
    except BaseException as error:
        run.close(error)
        raise
