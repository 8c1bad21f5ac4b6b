"""What the command is configured by: studies from their signatures, recipes from their folders; and its help."""

import os
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from numsym_command.signatures import GIVEN, SEARCHED, Study, fields, package, studies, typed

GROUPS = ("tasks", "interventions")
CONFIGS = package() / "lab" / "conf"


def short(name: str, longest: int = 96) -> str:
    """One folder's name of at most so many characters: where it is longer, or a path, a hash ends it."""
    flat = name.replace("/", "_")
    if len(flat) <= longest and flat == name:
        return name
    mark = sha256(name.encode()).hexdigest()[:12]
    begins = flat if len(flat) + len(mark) < longest else flat[: longest - len(mark) - 1]
    return f"{begins if begins == flat else begins.rpartition(',')[0] or begins},{mark}"


OmegaConf.register_new_resolver("numsym.short", short, replace=True)


def recipe_folders(plugins: tuple[str, ...] = ()) -> list[Path]:
    """Folders that may hold `tasks/` and `interventions/`: numsym's own, one of the user's, and those of plugins."""
    installed = package() / "_recipes"
    found = [installed if installed.is_dir() else package().parents[1]]
    if os.environ.get("NUMSYM_RECIPES"):
        found.append(Path(os.environ["NUMSYM_RECIPES"]))
    for name in plugins:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            found.append(Path(spec.origin).parent)
    return found


def store(plugins: tuple[str, ...] = (), replaced: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Put every study and recipe where Hydra composes from; returns the names in each group.

    Of the settings that are `replaced` nothing is kept: Hydra would put what is given into a mapping that is there. A
    recipe is stored under its own group's name alone: whatever it says, it changes nothing else of the configuration.
    """
    known = {
        group: sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        for group in ("network", "launch", "search")
    }
    shelf, found = ConfigStore.instance(), studies(plugins)
    for name, study in found.items():
        shelf.store(group="experiment", name=name, node=node(study, replaced), package="_global_")
    known["experiment"] = sorted({*found, *(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))})
    for group in GROUPS:
        known[group] = []
        for folder in recipe_folders(plugins):
            for path in sorted((folder / group).glob("*.yaml")):
                text = path.read_text(encoding="utf-8")
                read = OmegaConf.create(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {})
                place = group if group == "tasks" else f"{group}.{path.stem}"
                shelf.store(group=group, name=path.stem, node=read, package=place)
                known[group].append(path.stem)
        known[group] = sorted(set(known[group]))
    return known


def node(study: Study, replaced: tuple[str, ...] = ()) -> dict[str, Any]:
    """A study's part of the configuration: its own settings under `experiment`, its search's where it has one."""
    own = {
        name: entry
        for name, entry in study.parameters.items()
        if name not in SEARCHED and not (name in GIVEN and entry[1] is ...)
    }
    own |= {name: (Any, value) for name, value in study.presets.items() if name not in (*GROUPS, "variable")}
    own |= {name: (Any, None) for name, (_, value) in own.items() if name in replaced and isinstance(value, Mapping)}
    made: dict[str, Any] = {
        "experiment": typed("Experiment", {"name": (str, study.name), **own})(),
    }
    for name, key, kind in (("search", "search", "SearchSettings"), ("pairs", "pairs", "PairCounts")):
        if name in study.parameters:
            default = study.parameters[name][1]
            values = {field: (of, value) for field, (of, value) in fields(kind).items()}
            if isinstance(default, Mapping):
                values = {field: (of, default[field]) for field, (of, _) in values.items()}
            if key == "search":
                values["engine"] = (str, "auto")
            made[key] = typed(kind, values)()
    if "controls" in study.parameters:
        default = study.parameters["controls"][1]
        made["controls"] = default if default is not ... else True
    overrides = [{f"override /{group}": study.presets[group]} for group in GROUPS if group in study.presets]
    if overrides:
        made["defaults"] = [*overrides, "_self_"]
    if "variable" in study.presets:
        made["variable"] = study.presets["variable"]
    return made


def help_text(found: Mapping[str, Study], known: Mapping[str, list[str]]) -> str:
    """What there is: a line for each study, and the names of the recipes."""
    width = max(map(len, found))
    lines = [f"  {name:<{width}}  {study.line}" for name, study in sorted(found.items())]
    presets = [name for name in known["experiment"] if name not in found]
    return "\n".join(
        [
            "experiment=NAME, one of",
            *lines,
            f"or a sweep of one: {', '.join(presets)}",
            "",
            f"tasks: {', '.join(known['tasks'])}",
            f"interventions: {', '.join(known['interventions'])} (or a list of them)",
        ]
    )
