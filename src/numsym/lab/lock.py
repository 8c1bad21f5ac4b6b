"""One process writes a run folder at a time."""

import json
import os
import socket
from pathlib import Path

from numsym.errors import RunFolderError

NAME = ".lock"


class Lock:
    """A context manager that holds a folder by a file with the process' id and host.

    The lock of a process that is dead is taken over. On another host nobody can tell, so there the file must be removed
    by hand.

    Raises:
        RunFolderError: a live process holds it.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / NAME
        self._own = {"pid": os.getpid(), "host": socket.gethostname()}

    def __enter__(self) -> "Lock":
        for _ in range(2):
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                self._take_over()
            else:
                with os.fdopen(handle, "w") as file:
                    json.dump(self._own, file)
                return self
        raise RunFolderError(f"folder={str(self.folder)!r} is being taken by another process: try again")

    def __exit__(self, *error: object) -> None:
        self.path.unlink(missing_ok=True)

    def _take_over(self) -> None:
        try:
            holder = json.loads(self.path.read_text())
        except (OSError, ValueError):  # gone meanwhile, or its writer was killed between making and filling it
            holder = {}
        mine = holder.get("host") == self._own["host"]
        if holder and holder != self._own and (not mine or _lives(holder["pid"])):
            where = "" if mine else f" on {holder['host']}"
            how = "wait for it" if mine else f"wait for it, or remove {self.path} if it is dead"
            raise RunFolderError(
                f"folder={str(self.folder)!r} is being written by process {holder['pid']}{where}: {how}, or give "
                "another folder"
            )
        self.path.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A zombie has ended: only its parent has not noticed.
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")
