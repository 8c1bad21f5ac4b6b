"""Writing so that nothing a user made is overwritten and nothing half-written is ever read as a result."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numsym.errors import RunFolderError


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that becomes `path` when the block ends without an error.

    The folder and all that is in it can then be read by whom umask lets.

    Raises:
        RunFolderError: `path` exists already, now or when the block ends.
    """
    path = Path(path)
    _refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        _refuse_existing(path)
        for made in (temporary, *temporary.rglob("*")):
            made.chmod(made.stat().st_mode | _mode(0o777 if made.is_dir() else 0o666))
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


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
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, _mode(0o666))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Write `content` as indented JSON in one step."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
