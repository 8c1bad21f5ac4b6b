"""How far it goes: `collect` over many run folders, and many alignments on one model. Prints seconds and memory.

python tests/faults/scale.py --folders 10000 --alignments 50
"""

import argparse
import resource
import shutil
import tempfile
import time
from pathlib import Path

import torch
import yaml

TINY = {"search": {"max_steps": 2}, "pairs": {"train": 50, "validation": 20, "test": 20}, "controls": False}


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident() -> float:
    """The memory that it has now, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def folders(count: int, root: Path) -> None:
    """One real run, copied under other seeds and widths: what `collect` reads of each."""
    from small import configuration, run

    config = configuration("align")
    run(config, root / "real")
    read = yaml.safe_load((root / "real" / "config.yaml").read_text())
    for index in range(count):
        folder = root / "runs" / f"{index:05d}"
        folder.mkdir(parents=True)
        read["seed"], read["tasks"]["model"]["hidden_size"] = index % 100, 8 + index // 100
        (folder / "config.yaml").write_text(yaml.safe_dump(read, sort_keys=False))
        for name in ("results.json", "versions.json", "started.json", "table.csv"):
            shutil.copy(root / "real" / name, folder / name)


def main() -> None:
    """Print a line for each."""
    import numsym
    from numsym.studies.collect import find, gathered

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--alignments", type=int, default=50)
    given = parser.parse_args()
    torch.set_num_threads(1)
    task = numsym.tasks.MultiObject(counts=range(1, 4))
    model = numsym.models.counting_gru(task.vocabulary)
    after = []
    for seed in range(given.alignments):
        numsym.align(model, task, seed=seed, **TINY)
        after.append(resident())
    fifth = after[len(after) // 5]
    print(f"{given.alignments} alignments: {fifth:.0f} MB after a fifth of them, {after[-1]:.0f} MB at the end")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        folders(given.folders, root)
        before, start = peak(), time.perf_counter()
        table = gathered(find([root / "runs"], whole=False))
        seconds = time.perf_counter() - start
    assert len(table.means) == given.folders // 100
    print(f"collect over {given.folders} run folders: {seconds:.1f} s, {peak() - before:.0f} MB more")


if __name__ == "__main__":
    main()
