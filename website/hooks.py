"""Pages of the site that are made when it is built: reference, tutorials, migration and changelog.

mkdocs loads this file by its path (`hooks` in mkdocs.yml) and calls the functions that bear its events' names.
"""

import ast
import contextlib
import inspect
import io
import re
import sys
from pathlib import Path
from types import FunctionType, ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by itself

import numsym  # noqa: E402
import numsym.training  # noqa: E402
from website import notebooks  # noqa: E402

ROOMS = ("studies", "alignment", "models", "programs", "tasks", "interventions", "training", "probes", "circuits")
MIGRATION = re.compile(
    r"^## (\d\S* ?\S*)\n(?:(?!^## ).)*?To change in what you have:\n\n(.*?)(?=\n\n)", re.DOTALL | re.MULTILINE
)
VERSIONS = "numsym follows semantic versions; before 1.0 a minor version may change names, and says so here."
COMPONENTS = """Where pyvene can intervene, by name: `site="block_output:6"`.

The classes below are known by name. `numsym.models.load` finds the places of any other decoder, linear RNN or recurrent
network of its own accord, and `numsym.models.components_of(model)` says which ones hold in the model that is there."""
TABLE = ("| class | of | components |", "| --- | --- | --- |")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made: dict[str, str | bytes] = {f"reference/{name}.md": page for name, page in reference().items()}
    made |= {f"tutorials/{path}": content for path, content in notebooks.pages().items()}
    made["reference/components.md"] = components()
    made["changelog.md"] = changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    made["migration.md"] = migration(changes)
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def migration(changes: str) -> str:
    """The tables of the changelog that say what has a new name."""
    parts = [f"## To {version.split()[0]}\n\n{table}" for version, table in MIGRATION.findall(changes)]
    return "\n\n".join(["# Migration", VERSIONS, *parts]) + "\n"


def components() -> str:
    """Every model class that pyvene knows once numsym is imported, and its places."""
    with contextlib.redirect_stdout(io.StringIO()):
        from pyvene.models.intervenable_modelcard import type_to_module_mapping as known
    rows = [
        f"| `{kind.__name__}` | {kind.__module__.split('.')[0]} | {', '.join(f'`{name}`' for name in sorted(places))} |"
        for kind, places in sorted(known.items(), key=lambda entry: (entry[0].__module__[:6], entry[0].__name__))
    ]
    return "\n".join(["# Models and their components", "", COMPONENTS, "", *TABLE, *rows]) + "\n"


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
