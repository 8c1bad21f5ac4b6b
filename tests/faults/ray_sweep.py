"""A sweep on a Ray cluster of two nodes on loopback, whose workers or second node are killed; says what came as JSON.

python tests/faults/ray_sweep.py --members 200 --kill node --times 2
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster
from small import STUDIES

SWEEP = Path("sweep").absolute()


def finished() -> dict[str, int]:
    """The results that are there, and when they were written."""
    return {str(path): path.stat().st_mtime_ns for path in SWEEP.glob("*/results.json")}


def workers() -> list[psutil.Process]:
    """The processes below the nodes of this cluster that run a member of the sweep now."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            found += [process] if process.cmdline()[:1] == ["ray::_run_job"] else []
        except psutil.Error:
            continue
    return found


class Nodes:
    """A head, which is never lost, and a second node: each runs one member at a time."""

    def __init__(self) -> None:
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        self.second = self.cluster.add_node(num_cpus=1)
        self.cluster.wait_for_nodes(timeout=60)

    def lose(self, what: str) -> None:
        """Kill a worker that runs a member, or the second node with all that runs on it, and give another one."""
        if what == "worker":
            workers()[-1].kill()
            return
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = self.cluster.add_node(num_cpus=1)

    def alive(self) -> int:
        """How many have processes."""
        return len([node for node in self.cluster.list_all_nodes() if node.any_processes_alive()])


def swept(nodes: Nodes, given: argparse.Namespace, overrides: list[str]) -> dict[str, object]:
    """Run the sweep, and lose something whenever another share of it is finished."""
    command = [
        sys.executable, "-W", "ignore", "-m", "numsym_command.main", "-m", "launch=ray",
        f"hydra.launcher.ray.init.address={nodes.cluster.address}", f"hydra.sweep.dir={SWEEP}",
        "hydra.sweep.subdir=${seed}", f"seed=range({given.members})", *overrides,
    ]  # fmt: skip
    kept: list[dict[str, int]] = []
    start = time.monotonic()
    sweep = subprocess.Popen(command, stdout=sys.stderr)
    while sweep.poll() is None and time.monotonic() - start < given.seconds:
        before = finished()
        running = len(list(SWEEP.glob("*/config.yaml"))) > len(before)
        if len(kept) < given.times and running and len(before) > len(kept) * given.members / (given.times + 1):
            kept.append(before)
            nodes.lose(given.kill)
        time.sleep(0.05)
    if sweep.poll() is None:
        sweep.kill()
    after = finished()
    return {
        "nodes": nodes.alive(), "returncode": sweep.wait(), "lost": len(kept), "finished": len(after),
        "finished_before": [len(before) for before in kept], "seconds": round(time.monotonic() - start),
        "untouched": all(after.get(path) == changed for before in kept for path, changed in before.items()),
        "failures": len(list(SWEEP.glob("*/failure.json"))),
    }  # fmt: skip


def main() -> None:
    """Print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--kill", choices=("worker", "node"), default="worker")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=700, help="after which the sweep is given up")
    given, overrides = parser.parse_known_args()
    nodes = Nodes()
    try:
        report = swept(nodes, given, overrides or [*STUDIES["align"], "device=cpu", "threads=1"])
    finally:
        nodes.cluster.shutdown()
        ray.shutdown()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
