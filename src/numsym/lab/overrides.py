"""The recipes named on the command line, looked up before Hydra composes them: one sentence instead of Hydra's page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, ValueType
from hydra.errors import HydraException

from numsym.errors import InvalidArgumentError


def check(arguments: Sequence[str], known: Mapping[str, Sequence[str]]) -> None:
    """Look up the recipes that the command line names.

    Where it gives Hydra other folders to look in, and where it cannot be parsed, it is left to Hydra.

    Args:
        arguments: of the command, without its name.
        known: group -> the recipes in it.

    Raises:
        InvalidArgumentError: a group has no such recipe.
    """
    if any(text.startswith("--config") or "hydra.searchpath" in text for text in arguments):
        return
    try:
        overrides = OverridesParser.create().parse_overrides([text for text in arguments if text[:1] != "-"])
    except HydraException:
        return
    for override in overrides:
        if override.key_or_group in known and not override.is_delete():
            for name in _names(override):
                if name not in known[override.key_or_group]:
                    raise InvalidArgumentError(
                        f"{override.key_or_group}={name!r} is not allowed: choose one of "
                        f"{', '.join(known[override.key_or_group])}"
                    )


def _names(override: Override) -> Iterator[str]:
    """The recipes that an override of a group names; those that only Hydra can tell are left out."""
    values: list[Any] = [override.value()]
    if override.is_sweep_override():
        listed = override.value_type in (ValueType.CHOICE_SWEEP, ValueType.SIMPLE_CHOICE_SWEEP)
        values = list(override.sweep_iterator()) if listed else []
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            name = one.text if isinstance(one, QuotedString) else one
            if isinstance(name, str) and "$" not in name and "/" not in name:
                yield name.removesuffix(".yaml")
