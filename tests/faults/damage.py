"""Every file of a run cut in half, emptied, or with one bit flipped.

Passed where the run then comes to the results that it had, or names what is damaged.
"""

import contextlib
import io
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from kills import Trial
from small import Small, content, run

WAYS = {
    "half": lambda c: c[: len(c) // 2], "empty": lambda c: b"",
    "a flipped bit": lambda c: c[: len(c) // 2] + bytes([c[len(c) // 2] ^ 1]) + c[len(c) // 2 + 1 :],
}  # fmt: skip


def damages(study: str, most: int, seed: int, at: Path) -> Iterator[Trial]:
    """Of a finished run; where it is not the results themselves, the run is one that had not come to them.

    In an order by chance, `most` at most.
    """
    from numsym.errors import NumsymError

    small = Small(study, at)

    def damaged(name: Path, way: str) -> str:
        folder = at / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(small.whole, folder)
        (folder / name).write_bytes(WAYS[way]((folder / name).read_bytes()))
        if name.name != "results.json":
            (folder / "results.json").unlink()
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                run(small.config, folder)
            return "" if content(folder) == small.expected else "other results"
        except NumsymError as error:
            return "" if any(part in str(error) for part in (str(folder), name.name)) else f"not named: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    files = [path.relative_to(small.whole) for path in sorted(small.whole.rglob("*")) if path.is_file()]
    order = [(name, way) for name in files if name.suffix not in (".png", ".html") for way in WAYS]
    random.Random(f"{seed} {study}").shuffle(order)
    for name, way in order[:most]:
        yield f"{name} {way}", lambda name=name, way=way: damaged(name, way)  # type: ignore[misc]
