"""What a study needs of the place where it runs: a memory, a line of progress, and somebody to show its result to.

`NO_RUN` remembers nothing and shows nothing: a study that is given none just returns its result. `numsym.lab.run.Run`
is the one with a folder.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Asked = Mapping[str, Any]
"""What a part of a run was made from, as plain values: what is there is used again only for the same."""


class Stage:
    """One line of progress, which here shows nothing."""

    def to(self, step: int, **numbers: float) -> None:
        """Advance to a step, showing some numbers."""

    def record(self, name: str, record: Mapping[str, float | int]) -> None:
        """One point of the curve `name`, for whoever tracks the run; it has a `step`."""


class NoRun:
    """A place that keeps nothing."""

    def keep(
        self,
        name: str,
        make: Callable[[], T],
        load: Callable[[Path], T],
        *,
        save: Callable[[T, Path], Any] | None = None,
        asked: Asked | None = None,
    ) -> T:
        """A part of the run: the one that is there, or a new one, which then is there, whole.

        Args:
            name: of the part, and of its folder.
            make: makes it.
            load: reads it from its folder.
            save: writes it into a folder that is there; by default its own `write(folder)`.
            asked: what it is made from. What is there for something else is an error.

        Raises:
            RunFolderError: what is there was made from something else, or is broken.
        """
        return self.keep_all([name], lambda missing: {name: make()}, load, save=save, asked={name: asked or {}})[name]

    def keep_all(
        self,
        names: Sequence[str],
        make: Callable[[Sequence[str]], Mapping[str, T]],
        load: Callable[[Path], T],
        *,
        save: Callable[[T, Path], Any] | None = None,
        asked: Mapping[str, Asked] | None = None,
    ) -> dict[str, T]:
        """Several parts, of which those that are missing are made together; `make` is given their names."""
        made = make(names) if names else {}
        return {name: made[name] for name in names}

    @contextmanager
    def stage(self, title: str, steps: int) -> Iterator[Stage]:
        """A line that shows how far a stage of `steps` steps is."""
        yield Stage()

    def within(self, name: str) -> "NoRun":
        """The same place, for one of several things of a kind: the parts' names begin with `name`."""
        return self

    def say(self, text: str) -> None:
        """A line for who watches."""

    def note(self, **facts: Any) -> None:
        """Something that the results must say of how they came about, as plain values."""

    def show(self, result: R, **about: Any) -> R:
        """Print the result, write its figures, table and values, and close the run; returns the result.

        Args:
            result: a `numsym.results.Result`.
            about: what else `results.json` says.
        """
        return result


NO_RUN = NoRun()


class Rehearsal(NoRun):
    """A place where nothing is done: what takes a `run` ends here as soon as there would be work."""

    class Ended(Exception):
        """The arguments have been checked."""

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


def rehearse(function: Callable[..., Any], *arguments: Any, **options: object) -> None:
    """Call what takes a `run` to see whether it refuses its arguments, which it says before it first uses its `run`."""
    with suppress(Rehearsal.Ended):
        function(*arguments, run=Rehearsal(), **options)
