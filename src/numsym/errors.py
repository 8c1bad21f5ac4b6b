"""What numsym raises, and the checks that raise it before any work starts.

Every message names the parameter, the value that came, and what is allowed. All errors are also the built-in
type that a caller would expect (`ValueError`, `FileExistsError`), so code that knows nothing of numsym can catch them.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias, TypeVar, Union

S = TypeVar("S")

Options: TypeAlias = Union[S, Mapping[str, Any], None]  # noqa: UP007  (a variable in it)
"""Settings, or some of their fields by name; `None` is all defaults."""


class NumsymError(Exception):
    """Base class of every error that numsym raises on purpose."""


class InvalidArgumentError(NumsymError, ValueError):
    """A parameter has a value that is not allowed."""


class WrongTypeError(InvalidArgumentError, TypeError):
    """An argument is of a type that is not allowed, is not known, or is missing."""


class UnknownNameError(InvalidArgumentError):
    """A name (of a task, program, variable, alignment, recipe, ...) that nothing is registered under."""


class ModelMismatchError(InvalidArgumentError):
    """A model does not fit what it is used with: its vocabulary, its type, or the weights a result was fitted to."""


class DivergedError(NumsymError, ArithmeticError):
    """A training or a search came to numbers that are not finite."""


class RunFolderError(NumsymError, FileExistsError):
    """A folder already holds something that must not be overwritten or mixed."""


def check_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return `name` if it is among `known`; otherwise raise `UnknownNameError` listing the known ones."""
    known = sorted(known)
    if name not in known:
        raise UnknownNameError(f"unknown {kind} {name!r}: choose one of {', '.join(known) or '(none)'}")
    return name


def check_between(parameter: str, value: Any, low: float | int, high: float | int, *, why: str = "") -> None:
    """Raise `InvalidArgumentError` unless `low <= value <= high` (NaN fails too)."""
    if not _within(value, low, high):
        reason = f" ({why})" if why else ""
        raise InvalidArgumentError(f"{parameter}={value!r} is not allowed: it must lie in {low}..{high}{reason}")


def check_at_least(parameter: str, value: Any, low: float | int) -> None:
    """Raise `InvalidArgumentError` unless `value >= low`."""
    if not _within(value, low):
        raise InvalidArgumentError(f"{parameter}={value!r} is not allowed: it must be at least {low}")


def _within(value: Any, low: float | int, high: float | int = math.inf) -> bool:
    try:
        return bool(low <= value <= high)
    except TypeError:  # text, or nothing
        return False


def options_of(kind: type[S], given: Options[S], own: S | None = None) -> S:
    """Settings from themselves, from some of their fields, or from nothing.

    Args:
        kind: which settings.
        given: them; a mapping has those fields that are not as in `own`.
        own: what they are where nothing is said; the kind's own defaults, if not given.

    Raises:
        UnknownNameError: a field that these settings do not have.
        InvalidArgumentError: `given` is something else.
    """
    own = kind() if own is None else own
    if given is None or isinstance(given, kind):
        return own if given is None else given
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(f"{given!r} is not allowed as {kind.__name__}: give one, or a mapping of its fields")
    for name in given:
        check_name(f"field of {kind.__name__}", name, (one.name for one in fields(kind)))  # type: ignore[arg-type]
    return replace(own, **given)  # type: ignore[type-var]
