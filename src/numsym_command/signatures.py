"""Studies and their settings as their source files state them, read without being imported.

A study is a function, and the defaults of its keyword arguments are its settings: they stand nowhere else. What the
command is configured by is made from what is read here.
"""

import ast
import dataclasses
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

GIVEN = (
    "model", "untrained", "make", "models", "sides", "task", "recipe", "hypotheses", "site", "positions", "engine",
    "seed", "training", "device", "run",
)  # fmt: skip
"""Arguments that the command gives a study: no settings of it, unless they are a dataclass by default."""

SEARCHED = ("search", "pairs", "controls")
"""Those that every search has: their defaults are a study's, and their place in the configuration is its own."""

PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "float | int": float, "int | float": float}


@dataclass(frozen=True)
class Study:
    """A function decorated with `@study`.

    Attributes:
        name: of the function, and for `experiment=`.
        line: what it is, in a line: the first one of its docstring.
        parameters: name -> type and default; `...` where there is none.
        presets: what the decorator says: the recipes that it is run with by default.
    """

    name: str
    line: str
    parameters: Mapping[str, tuple[Any, Any]]
    presets: Mapping[str, Any]


def package() -> Path:
    """The folder of the package `numsym`, which is not imported."""
    spec = find_spec("numsym")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def studies(plugins: tuple[str, ...] = ()) -> dict[str, Study]:
    """Every study of numsym and of the modules `plugins`, by name."""
    files = sorted((package() / "studies").rglob("*.py"))
    for name in plugins:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            place = Path(spec.origin)
            files += sorted(place.parent.rglob("*.py")) if place.name == "__init__.py" else [place]
    return {found.name: found for file in files for found in _read(file)}


def _read(file: Path) -> Iterator[Study]:
    text = file.read_text(encoding="utf-8")
    if "@study" not in text:
        return
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(called, ast.Name) and called.id == "study":
                    given = decorator.keywords if isinstance(decorator, ast.Call) else []
                    presets = {one.arg: value_of(one.value) for one in given if one.arg is not None}
                    line = (ast.get_docstring(node) or "").partition("\n")[0]
                    yield Study(node.name, line, dict(_parameters(node.args)), presets)


def _parameters(given: ast.arguments) -> Iterator[tuple[str, tuple[Any, Any]]]:
    positional = [*given.posonlyargs, *given.args]
    missing = [None] * (len(positional) - len(given.defaults))
    named = [*zip(positional, [*missing, *given.defaults], strict=True)]
    for argument, default in [*named, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]:
        given_it = argument.arg in GIVEN and not isinstance(default, ast.Call)
        value = ... if default is None or given_it else value_of(default)
        yield argument.arg, (type_of(argument.annotation), value)


def type_of(annotation: ast.expr | None) -> Any:
    """The type by which the command checks a value: that of a plain number or text, `Any` for all else."""
    text = "" if annotation is None else ast.unparse(annotation)
    parts = [part.strip() for part in text.split("|")]
    kind = PLAIN.get(" | ".join(part for part in parts if part != "None"), Any)
    return kind | None if kind is not Any and "None" in parts else kind


def value_of(node: ast.expr) -> Any:
    """A default as plain values: a literal, or the fields of a dataclass with those that are given in their place."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id == "field":
            made = next(one.value for one in node.keywords if one.arg in ("default", "default_factory"))
            return value_of(made.body if isinstance(made, ast.Lambda) else made)
        names = list(fields(node.func.id))
        given = dict(zip(names, node.args, strict=False)) | {one.arg: one.value for one in node.keywords}
        values = {name: value for name, (_, value) in fields(node.func.id).items()}
        return {"": node.func.id, **values, **{str(name): value_of(value) for name, value in given.items()}}
    if isinstance(node, ast.Name):  # a class as the factory of a default
        return value_of(ast.Call(node, [], []))
    if isinstance(node, ast.Dict):
        return {value_of(key): value_of(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.Tuple | ast.List):
        return [value_of(one) for one in node.elts]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        raise ValueError(f"a setting's default must be plain, not {ast.unparse(node)}")
    return ast.literal_eval(node)


@cache
def fields(name: str) -> dict[str, tuple[Any, Any]]:
    """The fields of one of numsym's dataclasses of settings: name -> type and default."""
    for file in sorted(package().rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if f"\nclass {name}:" in text or f"\nclass {name}(" in text:
            body = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == name).body
            return {
                item.target.id: (type_of(item.annotation), ... if item.value is None else value_of(item.value))
                for item in body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
    raise LookupError(f"numsym has no class {name}")


def typed(name: str, values: Mapping[str, tuple[Any, Any]]) -> Any:
    """A dataclass for Hydra's configurations, which checks the types of what is given for its fields."""
    made: list[Any] = []
    for key, (kind, value) in values.items():
        if isinstance(value, Mapping) and "" in value:
            inner = {k: (fields(value[""]).get(k, (Any, None))[0], v) for k, v in value.items() if k}
            made.append((key, Any, dataclasses.field(default_factory=typed(key, inner))))
        elif value is ...:
            made.append((key, kind, "???"))
        elif isinstance(value, list | dict):
            made.append((key, Any, dataclasses.field(default_factory=partial(deepcopy, value))))
        else:
            made.append((key, kind, value))
    return dataclasses.make_dataclass(name, made)
