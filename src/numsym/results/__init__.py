"""What every measurement returns: one protocol for showing, saving and reading; and how sure a number is.

A result is a frozen dataclass that inherits `Result` and says what its `rows()` are. Tables, Markdown, wandb's tables,
`results.json` and the report are all made from these rows. What JSON cannot hold (models, interventions, masks) is a
field of `left_out()`: it is not written, and it is `None` or its default in a result that is read back without a model.
What JSON should not hold (large tensors, results that have them) is a field of `beside()`: it has files of its own.
"""

import dataclasses
import os
import types
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from numsym.errors import InvalidArgumentError
from numsym.hub import OnHub
from numsym.results.cells import aligned, brief, flat, formatted, markdown, number
from numsym.shares import Difference, Mean, Share
from numsym.storage import new_folder, read_json, write_json

if TYPE_CHECKING:
    import altair
    import pandas
    from matplotlib.figure import Figure

__all__ = [
    "Difference", "Mean", "Result", "Share", "aligned", "beside", "brief", "flat", "formatted", "left_out", "markdown",
    "number", "plain", "read_result", "rebuilt",
]  # fmt: skip

FILE, TENSORS = "result.json", "tensors.safetensors"
LEFT_OUT, BESIDE = "left out", "beside"

Row = dict[str, Any]
R = TypeVar("R", bound="Result")


def left_out(**options: Any) -> Any:
    """A dataclass field that is neither written nor compared nor shown."""
    return dataclasses.field(repr=False, compare=False, metadata={LEFT_OUT: True}, **options)


def beside(**options: Any) -> Any:
    """A field for a tensor or a result that `write` puts into a file or folder of its own, and `to_dict` leaves out."""
    return dataclasses.field(repr=False, compare=False, metadata={LEFT_OUT: True, BESIDE: True}, **options)


class Result(OnHub):
    """What a study or a measurement found; `push_to_hub` and `from_pretrained` take it to others.

    Attributes:
        name: of the class: what its files are called.
        notes: of the class: what must be known to read its tables.
    """

    name: ClassVar[str] = "result"
    notes: ClassVar[str] = ""

    @property
    def title(self) -> str:
        """What its table is called."""
        return type(self).__name__

    def rows(self) -> list[Row]:
        """The result as a table: plain dictionaries with the same keys, whose values are plain or `Share`s."""
        raise NotImplementedError

    def figure(self) -> "Figure | None":
        """The result as a picture, if it has one."""
        return None

    def figures(self) -> "dict[str, Figure]":
        """Its pictures by the names of their files."""
        figure = self.figure()
        return {} if figure is None else {self.name: figure}

    @property
    def question(self) -> str:
        """What was asked, in a sentence of plain words; empty where the study's own line says it."""
        return ""

    def findings(self) -> list[tuple[str, str]]:
        """What came out, the verdict first: a word, and the reason for it in a sentence."""
        return []

    def charts(self) -> "dict[str, altair.TopLevelMixin]":
        """Its interactive pictures by their captions, for the report and for a notebook."""
        return {}

    def tables(self) -> dict[str, list[Row]]:
        """What is printed: its rows, unless more or less is to be shown, by title."""
        return {self.title: self.rows()}

    def markdown(self) -> str:
        """The same as Markdown."""
        shown = {title: markdown(rows) if rows else "(no rows)\n" for title, rows in self.tables().items()}
        return "\n".join(f"**{title}**\n\n{table}" for title, table in shown.items())

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a data frame; a share or mean has its ends beside it, as `_low`, `_high` and `_n`."""
        import pandas

        return pandas.DataFrame([flat(row) for row in self.rows()])

    def to_dict(self) -> dict[str, Any]:
        """Everything but what is left out, as plain values for JSON."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: plain(getattr(self, f.name)) for f in fields if not f.metadata.get(LEFT_OUT)}

    @classmethod
    def from_dict(cls: type[R], read: Mapping[str, Any], **given: object) -> R:
        """From what `to_dict` gave.

        Args:
            read: plain values; further keys are ignored.
            given: fields that are left out of them; those not given are `None` or their default.
        """
        hints, made = get_type_hints(cls), dict[str, Any](given)
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name in made or not field.init:
                continue
            if field.metadata.get(LEFT_OUT):
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                    made[field.name] = None
            elif field.name in read:
                made[field.name] = rebuilt(hints[field.name], read[field.name])
        return cls(**made)

    def write(self, folder: Path) -> None:
        """Write into a folder that is there; `save` makes a new one."""
        write_json(folder / FILE, {"type": type(self).__name__, **self.to_dict()})
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        own = {f.name: getattr(self, f.name) for f in fields if f.metadata.get(BESIDE)}
        if tensors := {name: value.contiguous() for name, value in own.items() if isinstance(value, Tensor)}:
            save_file(tensors, folder / TENSORS)
        for name, value in own.items():
            if isinstance(value, Result):
                (folder / name).mkdir()
                value.write(folder / name)

    def save(self, path: str | os.PathLike) -> None:
        """Write a new folder, which `load` reads.

        Raises:
            RunFolderError: `path` exists.
        """
        with new_folder(path) as folder:
            self.write(folder)

    @classmethod
    def load(cls: type[R], path: str | os.PathLike, model: Any = None) -> R:
        """Read what `save` wrote.

        Args:
            path: the folder.
            model: what it was measured on, for results that hold more than numbers; without it the numbers are read.
        """
        return cls.from_dict(read_result(path, cls.__name__), **_read_beside(cls, Path(path)))

    def __repr__(self) -> str:
        return "\n".join(line for title, rows in self.tables().items() for line in (title, *aligned(_texts(rows))))

    def _repr_html_(self) -> str:
        import pandas

        tables = ((title, pandas.DataFrame(_texts(rows))) for title, rows in self.tables().items())
        found = "".join(f"<li><b>{escape(word)}</b>: {escape(why)}</li>" for word, why in self.findings())
        parts = [f"<p>{escape(self.question)}</p>" if self.question else "", f"<ul>{found}</ul>" if found else ""]
        parts += [f"<p><b>{escape(title)}</b></p>{t.to_html(index=False, border=0)}" for title, t in tables]
        return "".join([*parts, f"<p><small>{escape(self.notes)}</small></p>" if self.notes else ""])


def _read_beside(kind: Any, folder: Path) -> dict[str, Any]:
    """The fields of a result that have files of their own."""
    made: dict[str, Any] = load_file(folder / TENSORS) if (folder / TENSORS).is_file() else {}
    for field in dataclasses.fields(kind):
        if field.metadata.get(BESIDE) and (folder / field.name).is_dir():
            hint = get_type_hints(kind)[field.name]
            of = next(one for one in (hint, *get_args(hint)) if isinstance(one, type) and issubclass(one, Result))
            made[field.name] = of.load(folder / field.name)
    return made


def _texts(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [{name: formatted(value) for name, value in row.items()} for row in rows]


def read_result(path: str | os.PathLike, kind: str) -> dict[str, Any]:
    """The plain values of a saved result.

    Raises:
        InvalidArgumentError: there is none, or one of another type.
    """
    there = Path(path) / FILE
    if not there.is_file():
        raise InvalidArgumentError(f"path={str(path)!r} is not allowed: there is no {FILE} in it")
    read = read_json(there)
    if read.get("type", kind) != kind:
        raise InvalidArgumentError(f"path={str(path)!r} is not allowed: it holds a {read['type']}, not a {kind}")
    return read


def plain(value: Any) -> Any:
    """As JSON has it: dataclasses as dictionaries, tensors as lists, keys as text (a tuple's parts by commas)."""
    if isinstance(value, Result):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [item for item in dataclasses.fields(value) if not item.metadata.get(LEFT_OUT)]
        value = {item.name: getattr(value, item.name) for item in fields}
    if isinstance(value, Mapping):
        return {_key(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, list | tuple | range | set | frozenset):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and value != value:  # JSON has no NaN
        return None
    return str(value) if isinstance(value, os.PathLike | torch.device | torch.dtype) else value


def _key(key: Any) -> str:
    return ",".join(map(str, key)) if isinstance(key, tuple) else str(key)


def rebuilt(hint: Any, value: Any) -> Any:
    """The inverse of `plain`, for a value of this type."""
    origin, inner = get_origin(hint), get_args(hint)
    if value is None and hint is float:
        return float("nan")
    if value is None or hint is Any:
        return value
    if origin in (Union, types.UnionType):
        kinds = [one for one in inner if one is not type(None)]
        return rebuilt(kinds[0], value) if len(kinds) == 1 else value
    if origin is tuple:
        hints = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else inner
        return tuple(rebuilt(one, part) for one, part in zip(hints, value, strict=True))
    if origin in (list, Sequence):
        return [rebuilt(inner[0], part) for part in value]
    if origin in (dict, Mapping):
        return {_unkeyed(inner[0], key): rebuilt(inner[1], part) for key, part in value.items()}
    if isinstance(hint, type) and issubclass(hint, Result) and isinstance(value, Mapping):
        return hint.from_dict(value)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        of = get_type_hints(hint)
        return hint(**{k: rebuilt(of[k], v) for k, v in value.items() if k in of})  # type: ignore[operator]
    if _is_tensor(hint):
        return torch.tensor(value)
    return value


def _is_tensor(hint: Any) -> bool:
    return isinstance(hint, type) and (issubclass(hint, Tensor) or getattr(hint, "array_type", None) is Tensor)


def _unkeyed(hint: Any, key: str) -> Any:
    if get_origin(hint) is tuple:
        return tuple(_unkeyed(one, part) for one, part in zip(get_args(hint), key.split(","), strict=True))
    return int(key) if hint is int else key
