"""Writing so that nothing a user made is overwritten and nothing half-written is ever read as a result."""

import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from numsym.errors import RunFolderError

CHECKSUMS = "checksums.json"
SEAL = "sha256"
MARK = "numsym-unfinished-"
UNFINISHED = re.compile(rf"\..+\.{MARK}[a-z0-9_]{{8}}")
"""Names under which something is written before it has its own: what nobody but numsym calls a file."""


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that becomes `path` when the block ends without an error.

    The folder and all that is in it can then be read by whom umask lets.

    Raises:
        RunFolderError: `path` exists already, now or when the block ends.
        OSError: the disk has no room.
    """
    path = Path(path)
    _refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.{MARK}", dir=path.parent))
    try:
        yield temporary
        _refuse_existing(path)
        for made in (*temporary.rglob("*"), temporary):
            made.chmod(made.stat().st_mode | _mode(0o777 if made.is_dir() else 0o666))
            _to_disk(made)
        os.rename(temporary, path)
        _to_disk(path.parent)
    except Exception as error:  # safetensors says what the disk refused in words alone
        if said := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(said[1]), os.strerror(int(said[1])), str(path)) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk: a rename may reach it before what was renamed."""
    with suppress(OSError):  # some file systems cannot do it for folders
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def set_aside(path: str | os.PathLike) -> Path:
    """Rename what is damaged to `.broken-NAME`, with a number where there is one already; nothing is deleted."""
    path = Path(path)
    tries = (path.with_name(f".broken-{path.name}{f'-{i}' if i else ''}") for i in itertools.count())
    aside = next(place for place in tries if not place.exists())
    os.rename(path, aside)
    return aside


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed had not finished writing in a folder that only this process writes.

    A user's own hidden files stay, whatever they are called.
    """
    for place, inside, files in os.walk(folder):
        inside[:] = [name for name in inside if name != "wandb" and not name.startswith(".broken-")]
        for name in [name for name in inside if UNFINISHED.fullmatch(name)]:
            shutil.rmtree(Path(place) / name, ignore_errors=True)
            inside.remove(name)
        for name in files:
            if UNFINISHED.fullmatch(name) and not name.startswith(".broken-"):
                (Path(place) / name).unlink(missing_ok=True)


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of every file of a folder beside them."""
    write_json(folder / CHECKSUMS, {name: _sha256(folder / name) for name in _files(folder)})


def damaged(folder: Path) -> list[str]:
    """The files of a folder that are missing or not what they were; those that came later are none of them.

    A folder without checksums, as older versions left it, is taken as it is.
    """
    if not (folder / CHECKSUMS).is_file():
        return []
    try:
        noted = dict(read_json(folder / CHECKSUMS))
    except (ValueError, TypeError):
        return [CHECKSUMS]
    return [name for name, sum_ in noted.items() if not (folder / name).is_file() or _sha256(folder / name) != sum_]


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values with their own SHA-256 among them, by which damage is seen that still reads as JSON."""
    return {**content, SEAL: _seal(content)}


def is_broken(read: Mapping[str, Any]) -> bool:
    """Whether values are no longer those that were sealed; those that never were are taken as they are."""
    return SEAL in read and read[SEAL] != _seal({name: value for name, value in read.items() if name != SEAL})


def _seal(content: Mapping[str, Any]) -> str:
    as_read = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def _files(folder: Path) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if name != CHECKSUMS)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mode(wanted: int) -> int:
    """What umask leaves of a mode: what `tempfile` and safetensors make is private to its owner whatever umask says."""
    umask = os.umask(0)
    os.umask(umask)
    return wanted & ~umask


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunFolderError(f"path={str(path)!r} exists already and is left as it is: give a new one, or move it away")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a file in one step: a reader sees the old content or the new one, never a part. Its mode is umask's."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.{MARK}", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(0o666))
        os.replace(temporary, path)
        _to_disk(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` as indented JSON in one step."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
