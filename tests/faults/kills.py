"""Runs and sweeps that are killed, and started again until they end.

A kill is passed where the run then ends with the results of one that was never stopped, bit for bit, and leaves nothing
unfinished.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from small import Small, forked

Trial = tuple[str, Callable[[], str]]
"""Its name, and what is wrong after it: "" for nothing."""


def random_kills(study: str, times: int, seed: int, at: Path) -> Iterator[Trial]:
    """Kill a run up to three times at random moments, and go on."""
    small = Small(study, at)

    def killed(index: int) -> str:
        chance, folder, kills = random.Random(f"{seed} {study} {index}"), at / f"run{index}", 0
        while not kills:  # one that has ended before its moment was not killed
            shutil.rmtree(folder, ignore_errors=True)
            for _ in range(chance.randint(1, 3)):
                kills += forked(lambda: small.work(folder), chance.uniform(0.02, 0.95) * small.seconds) == -9
        fault = small.goes_on(folder)
        shutil.rmtree(folder)
        return fault

    for index in range(times):
        yield str(index), lambda index=index: killed(index)  # type: ignore[misc]


OPERATIONS = ("rename", "replace", "fsync", "mkdir", "unlink", "rmdir", "chmod")


def stopping(at: int | None) -> list[int]:
    """Let this process end before its n-th file operation: after the one before, nothing else happens on the disk.

    Returns how many there were, in a list that goes on counting; `None` ends it before none.
    """
    done = [0]

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            done[0] += 1
            if done[0] - 1 == at:
                os._exit(9)
            return real(*args, **options)

        return call

    for name in OPERATIONS:
        setattr(os, name, patched(getattr(os, name)))
    return done


def operations_of(small: Small, at: Path) -> int:
    """How many file operations an uninterrupted run has."""
    told = at / "operations"

    def counted() -> None:
        done = stopping(None)
        small.work(at / "counted")
        told.write_text(str(done[0]))

    forked(counted)
    return int(told.read_text())


def operation_kills(study: str, most: int, seed: int, at: Path) -> Iterator[Trial]:
    """End a run before each of its file operations, in an order by chance, and go on; `most` of them at most."""
    small = Small(study, at)

    def ended(index: int) -> str:
        folder = at / f"run{index}"

        def interrupted() -> None:
            stopping(index)
            small.work(folder)

        code = forked(interrupted)
        fault = small.goes_on(folder) if code == 9 else f"it did not end before its file operation {index} ({code})"
        shutil.rmtree(folder, ignore_errors=True)
        return fault

    order = list(range(operations_of(small, at)))
    random.Random(f"{seed} {study}").shuffle(order)
    for index in order[:most]:
        yield str(index), lambda index=index: ended(index)  # type: ignore[misc]
