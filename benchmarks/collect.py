"""Collecting 1,000 run folders of ten alignments each. Run: python -m benchmarks.collect."""

import json
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.timing import report
from numsym.lab.folder import CONFIG, RESULTS, VERSIONS, versions
from numsym.studies.collect import find, gathered

SHARE = {"value": 0.9, "low": 0.88, "high": 0.92, "n": 1000}


def measurement() -> dict:
    graded = {str(i): SHARE for i in range(1, 21)}
    return {"iia": SHARE, "by_base_count": graded, "by_source_count": graded, "by_difference": graded}


def alignment() -> dict:
    return {
        "task": "multi_object", "program": "up_down", "variables": ["count"], "alignment": "linear",
        "subspace_dim": 16, "test": measurement(), "held_out": measurement(), "free_running": SHARE,
        "tokens_off": 0.1, "controls": {name: SHARE for name in ("floor", "ceiling", "permuted", "neurons")},
        "steps": 1000, "converged": True, "records": [{"step": i, "loss": 0.1, "iia": 0.9} for i in range(20)],
    }  # fmt: skip


def make(root: Path, runs: int) -> None:
    """Run folders as `numsym experiment=replicate` leaves them, with four tasks and ten widths."""
    recipe = yaml.safe_load((Path(__file__).parents[1] / "interventions" / "laf.yaml").read_text())
    interventions = {f"variable_{i}": recipe for i in range(10)}
    results = {"training": {"log": {"steps": 900}, "evaluation": {"accuracy": 1.0, "held_out": 1.0}}}
    results["alignments"] = {name: alignment() for name in interventions}
    text = json.dumps(results, indent=2)
    for i in range(runs):
        tasks = {"name": f"task_{i % 4}", "model": {"hidden_size": 8 * (1 + i // 4 % 10)}}
        config = {"seed": i // 40, "tasks": tasks, "interventions": interventions, "search": {"max_steps": 1000}}
        folder = root / f"run_{i}"
        folder.mkdir(parents=True)
        (folder / CONFIG).write_text(yaml.dump(config, Dumper=yaml.CSafeDumper))
        (folder / VERSIONS).write_text(json.dumps(versions()))
        (folder / RESULTS).write_text(text)


def main(runs: int = 1000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root / "runs", runs)
        started, cpu = time.perf_counter(), time.process_time()
        table = gathered(find([root / "runs"]))
        table.save(root / "table")
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    work = f"{runs} run folders of {len(table.runs) // runs} alignments: read, grouped, written"
    report("collect", [{"work": work, "groups": len(table.means), "seconds": seconds, "of CPU": cpu, "target": "< 10"}])


if __name__ == "__main__":
    main()
