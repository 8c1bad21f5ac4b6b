"""The command line, looked at before Hydra composes it: one sentence instead of Hydra's page."""

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from numsym_command.configs import CONFIGS

KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class RefusedError(Exception):
    """The command line is not allowed; the message says why."""


def check(arguments: Sequence[str], known: Mapping[str, Sequence[str]]) -> None:
    """Look at what the command line asks for.

    Args:
        arguments: of the command, without its name.
        known: group -> the recipes in it.

    Raises:
        RefusedError: it cannot be read; a group has no such recipe; there is no such setting; a value has a wrong type.
    """
    flags = get_args_parser().parse_known_args(arguments)[0]
    own = (flags.config_path, flags.config_name, flags.config_dir)
    if any(own) or any("hydra.searchpath" in text for text in flags.overrides):
        return
    overrides = [_parsed(text) for text in flags.overrides]
    if flags.multirun and (flags.cfg or flags.info or flags.run):
        raise RefusedError("-m is not allowed with --cfg, --info or --run: they are about one run; leave -m away")
    groups = [one for one in overrides if one.key_or_group in known]
    for one in groups:
        for name in _names(one):
            if name not in known[one.key_or_group]:
                raise RefusedError(
                    f"{one.key_or_group}={name!r} is not allowed: choose one of {', '.join(known[one.key_or_group])}"
                )
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        chosen = [str(one.input_line) for one in groups if not one.is_sweep_override()]
        composed = _composed(chosen)
        # What cannot be looked at by itself is composed, to see what Hydra says.
        others = [one for one in overrides if one not in groups]
        if odd := [one for one in others if one.key_or_group.startswith("hydra") or _changes(one)]:
            _composed([*chosen, *(str(one.input_line) for one in odd if not one.is_sweep_override())])
    sweeping = flags.multirun or composed.hydra.mode is RunMode.MULTIRUN
    for one in overrides:
        if one.is_sweep_override() and not sweeping:
            raise RefusedError(f"{one.input_line} is not allowed without -m: several values are a sweep, numsym -m ...")
        if one not in groups and not one.key_or_group.startswith("hydra"):
            _check_value(composed, one)


def _composed(overrides: list[str]) -> DictConfig:
    try:
        return compose("config", overrides=overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise RefusedError(f"{' '.join(overrides)} is not allowed: {' '.join(lines[:6])}") from None


def _changes(override: Override) -> bool:
    """Whether it adds something, or takes something away."""
    return bool(override.is_add() or override.is_delete() or override.is_force_add())


def _parsed(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        said = str(error).strip().splitlines()[0]
        raise RefusedError(f"{text!r} is not allowed: give KEY=VALUE, such as seed=1 ({said})") from None


def _names(override: Override) -> Iterator[str]:
    """The recipes that an override of a group names; those that only Hydra can tell are left out."""
    if override.is_delete():
        return
    values: list[Any] = [override.value()]
    if override.is_sweep_override():
        values = list(override.sweep_iterator()) if override.is_choice_sweep() else []
    for value in values:
        if isinstance(value, list) and override.key_or_group != "interventions" and len(value) != 1:
            raise RefusedError(
                f"{override.input_line} is not allowed: give one; several are a sweep, numsym -m "
                f"{override.key_or_group}=A,B"
            )
        if value is None or value == []:
            raise RefusedError(f"{override.input_line} is not allowed: name at least one, or leave it away")
        for one in value if isinstance(value, list) else [value]:
            name = one.text if isinstance(one, QuotedString) else one
            if isinstance(name, str) and "$" not in name and "/" not in name:
                yield name.removesuffix(".yaml")


def _check_value(composed: DictConfig, override: Override) -> None:
    key = override.key_or_group
    if _changes(override):
        return
    settings = [name for name in _keys(composed) if not name.startswith("hydra")]
    if key not in settings:
        near = get_close_matches(key, settings, n=1, cutoff=0.5) or get_close_matches(
            key.rpartition(".")[2], [name.rpartition(".")[2] for name in settings], n=1, cutoff=0.6
        )
        close = next((name for name in settings if near and (name == near[0] or name.endswith(f".{near[0]}"))), None)
        hint = f": did you mean {close}?" if close else "; numsym --cfg job shows them all"
        raise RefusedError(f"{key} is not a setting here{hint}")
    choice = override.is_choice_sweep()
    values = list(override.sweep_iterator()) if choice else [] if override.is_sweep_override() else [override.value()]
    for value in values:
        plain = value.text if isinstance(value, QuotedString) else value
        if key == "folder" and isinstance(plain, str) and "${" not in plain:
            _check_folder(plain)
        if not (isinstance(plain, str) and "${" in plain) and (wanted := _mismatch(composed, key, plain)):
            raise RefusedError(f"{key}={plain!r} is not allowed: it must be {wanted}")


def _check_folder(folder: str) -> None:
    """What Hydra would stop at when it makes the folder."""
    if not folder:
        raise RefusedError("folder='' is not allowed: name one, such as folder=runs/mine")
    place = next(one for one in (Path(folder).absolute(), *Path(folder).absolute().parents) if one.exists())
    if not place.is_dir():
        raise RefusedError(f"folder={folder!r} is not allowed: {place} is a file; give a new or empty folder")
    if not os.access(place, os.W_OK):
        raise RefusedError(f"folder={folder!r} is not allowed: {place} cannot be written to")


def _mismatch(composed: DictConfig, key: str, value: Any) -> str | None:
    """What a setting's value must be, where this one is not: what a study's signature says, or what stands there."""
    place, _, name = key.rpartition(".")
    node: Any = (OmegaConf.select(composed, place) if place else composed)._get_node(name)
    kind, there = node._metadata.ref_type, node._value()
    if kind in KINDS:
        try:
            OmegaConf.update(composed, key, value)
        except (OmegaConfBaseException, ValueError):
            return KINDS[kind]
        return None
    if node._is_missing():
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {str: isinstance(value, str) or number, int: number and isinstance(value, int), float: number}
    return None if fits.get(type(there), True) else KINDS[type(there)]


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    for key in config:
        yield f"{prefix}{key}"
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
            yield from _keys(node, f"{prefix}{key}.")
