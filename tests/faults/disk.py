"""Disks that are full, and folders that cannot be written, for real: file systems in memory, which only root may mount.

Passed where the command ends with one sentence and, once there is room, goes on to the results of one that was never
stopped.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kills import Trial
from small import STUDIES, Small, content, forked, unfinished

KIB = (4, 16, 32, 48, 64, 72, 80, 88, 96, 104, 112, 120, 128, 256, 512)
"""Sizes of the disk: the first hold no run, the last all of it but its page, without which a run is finished."""


@contextmanager
def mounted(at: Path, options: str) -> Iterator[None]:
    """A file system in memory."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(at)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def command(folder: Path, said: Path) -> int:
    """What the command ends with, and what it says."""

    def work() -> None:
        from numsym_command.main import main

        sys.stdout = sys.stderr = open(said, "w", buffering=1)  # noqa: SIM115  (for as long as the process is there)
        sys.argv = ["numsym", f"folder={folder}", *STUDIES["align"], "device=cpu", "threads=1"]
        main()

    return forked(work)


def refused(folder: Path, said: Path, reason: str) -> str:
    """What is wrong with how the command is refused, or nothing; it may find room for all that it needs."""
    code, text = command(folder, said), said.read_text()
    if code == 0:  # `goes_on` looks at what it came to
        return ""
    sentences = [line for line in text.splitlines() if line.startswith("numsym: ")]
    if code != 2 or len(sentences) != 1 or reason not in sentences[0]:
        return f"it ended with {code} and said: {text[-300:]}"
    return "it printed a traceback" if "Traceback" in text else ""


def disks(at: Path) -> Iterator[Trial]:
    """A disk of each size, and a folder that may only be read."""
    small = Small("align", at)
    place, said = at / "disk", at / "said"

    def goes_on(folder: Path) -> str:
        if code := command(folder, said):
            return f"it does not go on ({code}): {said.read_text()[-300:]}"
        left = unfinished(folder)
        same = content(folder) == small.expected
        return f"left behind: {', '.join(left)}" if left else "" if same else "other results"

    def full(size: int) -> str | None:
        with mounted(place, f"size={size}k"):
            fault = refused(place / "run", said, "No space left on device")
            subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
            return fault or goes_on(place / "run")

    def read_only() -> str:
        with mounted(place, "size=64m"):
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
            fault = refused(place / "run", said, "cannot be written to")
            subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)
            return fault or goes_on(place / "run")

    for size in KIB:
        yield f"{size} KiB", lambda size=size: full(size)  # type: ignore[misc]
    yield "a folder that may only be read", read_only
