"""A Ray cluster of two nodes on loopback, a sweep on it, and one of its workers killed; says what happened as JSON."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import ray
from ray.cluster_utils import Cluster

SWEEP, RUNS, SECONDS = Path("sweep").absolute(), 3, 700


def finished():
    return {str(path): path.stat().st_mtime_ns for path in SWEEP.glob("*/results.json")}


def workers(of):
    """The processes below the nodes of this cluster that run a member of the sweep now."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        try:
            found += [process] if process.cmdline()[:1] == ["ray::_run_job"] else []
        except psutil.Error:
            continue
    return found


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes(timeout=60)
    try:
        command = [
            sys.executable, "-W", "ignore", "-m", "numsym_command.main", "-m", "launch=ray",
            f"hydra.launcher.ray.init.address={cluster.address}", f"hydra.sweep.dir={SWEEP}",
            "hydra.sweep.subdir=${seed}", f"seed=range({RUNS})", *sys.argv[1:],
        ]  # fmt: skip
        sweep = subprocess.Popen(command, stdout=sys.stderr)
        before, deadline = {}, time.monotonic() + SECONDS
        while sweep.poll() is None and time.monotonic() < deadline:
            running = len(list(SWEEP.glob("*/config.yaml"))) - len(finished())
            if not before and finished() and running:
                before = finished()
                workers(psutil.Process().pid)[-1].kill()
            time.sleep(0.05)
        if sweep.poll() is None:
            sweep.kill()
        after = finished()
        kept = all(after.get(path) == changed for path, changed in before.items())
        nodes = [node for node in cluster.list_all_nodes() if node.any_processes_alive()]
        report = {"nodes": len(nodes), "returncode": sweep.wait(), "finished_before": len(before), "untouched": kept}
    finally:
        cluster.shutdown()
        ray.shutdown()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
