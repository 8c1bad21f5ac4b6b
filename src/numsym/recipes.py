"""Recipes: where the folders `tasks/` and `interventions/` are, and how their files are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numsym.errors import InvalidArgumentError, check_name


def root() -> Path:
    """The folder that holds `tasks/` and `interventions/`: in an installed wheel a copy, else the checkout's top."""
    installed = Path(__file__).parent / "_recipes"
    return installed if installed.is_dir() else Path(__file__).parents[2]


def read(group: str, recipe: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """A recipe by its name in a group, by the path of a YAML file, or as it is when it was read already.

    Raises:
        UnknownNameError: no such recipe; the message lists those there are.
    """
    if not isinstance(recipe, str | Path):
        return plain(recipe)
    path = Path(recipe)
    if path.suffix not in (".yaml", ".yml"):
        check_name(f"recipe in {group}", str(recipe), (file.stem for file in (root() / group).glob("*.yaml")))
        path = root() / group / f"{recipe}.yaml"
    if not path.is_file():
        raise InvalidArgumentError(f"recipe {str(recipe)!r} is not allowed: there is no such file")
    from omegaconf import OmegaConf

    return plain(OmegaConf.load(path))


def plain(config: Any) -> dict[str, Any]:
    """A recipe, or a part of one, as plain dictionaries and lists.

    Raises:
        InvalidArgumentError: it is not a mapping, or a value that must be given is not.
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_config(config) and (missing := sorted(OmegaConf.missing_keys(config))):
        raise InvalidArgumentError(f"{missing[0]}=??? is not allowed: it must be given, as {missing[0]}=VALUE")
    resolved = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    if not isinstance(resolved, Mapping):
        raise InvalidArgumentError(f"recipe of type {type(resolved).__name__} is not allowed: it must be a mapping")
    return {str(key): value for key, value in resolved.items()}
