"""`numsym report ...` on the command line: what it is given is looked at before anything heavy is imported."""

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path


def parsed(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The folders, and the file that the page goes to if it is named.

    Raises:
        SystemExit: help was asked for, or something is not allowed, which is said in one sentence.
    """
    parser = ArgumentParser(
        "numsym report",
        description="Write one self-contained page: of a run, into its folder, or of several side by side, here.",
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER", help="a run folder, or a folder of several")
    parser.add_argument("--out", metavar="FILE", help="where the page goes (of several runs: report.html)")
    given = parser.parse_args(arguments)
    for folder in given.folders:
        if not Path(folder).is_dir():
            print(f"numsym: {folder!r} is not allowed: there is no such folder")  # noqa: T201
            raise SystemExit(2)
    return given.folders, given.out
