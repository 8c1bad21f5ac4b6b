"""Pages of the site that are made when it is built: the reference from what numsym exports, and the changelog.

mkdocs loads this file by its path (`hooks` in mkdocs.yml) and calls the functions that bear its events' names.
"""

import ast
import inspect
from pathlib import Path
from types import FunctionType, ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import numsym
import numsym.training

ROOT = Path(__file__).parents[1]
ROOMS = ("studies", "alignment", "models", "programs", "tasks", "interventions", "training", "probes", "circuits")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {f"reference/{name}.md": page for name, page in reference().items()}
    made["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def reference() -> dict[str, str]:
    """A page for the front door and one a room, with every name that they export; a name is described on one page."""
    rooms = {name: getattr(numsym, name) for name in ROOMS}
    described: dict[str, str] = {}
    for name, room in rooms.items():
        for one in room.__all__:
            where = written(room, one)
            if where not in described or where.startswith(f"numsym.{name}."):
                described[where] = name
    for one in (name for name in numsym.__all__ if name not in rooms):
        described.setdefault(written(numsym, one), "numsym")
    pages = {"numsym": (numsym, numsym.__all__)} | {name: (room, room.__all__) for name, room in rooms.items()}
    return {name: page(name, module, names, described) for name, (module, names) in pages.items()}


def page(here: str, module: ModuleType, names: list[str], described: dict[str, str]) -> str:
    """What a module is for, links to those of its names that another page describes, and the others."""
    where = {name: written(module, name) for name in names}
    linked = [f"[`{name}`][{where[name]}]" for name in names if described.get(where[name], here) != here]
    linked += [f"[`{name}`]({name}.md)" for name in names if name in ROOMS]
    parts = [f"# {module.__name__}", inspect.getdoc(module) or ""]
    if linked:
        parts.append(f"Here too: {', '.join(linked)}.")
    for name in names:
        if described.get(where[name]) == here:
            parts.append(f'::: {where[name]}\n    options:\n      heading: "{module.__name__}.{name}"')
    return "\n\n".join(parts) + "\n"


def written(module: ModuleType, name: str) -> str:
    """Where a name is defined, such as `numsym.alignment.align.align`; of a constant, the module that assigns it."""
    value = getattr(module, name)
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, type | FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            return f"{node.module}.{name}"
    return f"{module.__name__}.{name}"
