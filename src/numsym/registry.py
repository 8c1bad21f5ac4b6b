"""One table a room: the names under which its pieces are known in recipes, on the command line and in calls."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from numsym.errors import check_name

T = TypeVar("T")


class Registry(Generic[T]):
    """A dictionary from names to classes or functions whose failed look-ups list what exists.

    >>> shapes = Registry("shape")
    >>> @shapes.register("circle")
    ... class Circle: ...
    >>> shapes["circle"] is Circle, list(shapes)
    (True, ['circle'])
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a class or function to file it under `name`; a name taken by something else is an error."""

        def file(entry: T) -> T:
            if self._entries.setdefault(name, entry) is not entry:
                raise ValueError(f"{self.kind} {name!r} is registered already")
            return entry

        return file

    def __getitem__(self, name: str) -> T:
        return self._entries[check_name(self.kind, name, self._entries)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries
