"""pyvene configs from recipes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym import recipes
from numsym._pyvene import pv, resolve_type
from numsym.errors import InvalidArgumentError


def load_config(recipe: str | Path | Mapping[str, Any]) -> pv.IntervenableConfig:
    """The `pv.IntervenableConfig` of a recipe in `interventions/`: by name, by path, or already read.

    Raises:
        UnknownNameError: no such recipe, or an intervention type that is neither pyvene's nor numsym's.
        InvalidArgumentError: a representation has a field that pyvene's do not have.
    """
    recipe = recipes.read("interventions", recipe)
    representations = []
    given = recipe.get("representations") or []
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise InvalidArgumentError(f"representations={given!r} is not allowed: it must be a list of mappings")
    for fields in given:
        unknown = sorted(set(fields) - set(pv.RepresentationConfig._fields))
        if unknown:
            raise InvalidArgumentError(
                f"representations has {', '.join(unknown)}, which is not allowed: pyvene's fields are "
                f"{', '.join(pv.RepresentationConfig._fields)}"
            )
        representations.append({**fields, "intervention_type": resolve_type(fields.get("intervention_type", ""))})
    if not representations:
        raise InvalidArgumentError("representations is empty, which is not allowed: give at least one")
    return pv.IntervenableConfig(representations, mode=recipe.get("mode", "parallel"))
