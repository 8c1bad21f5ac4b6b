"""Sweeps on the engines that `launch=` names, in processes of their own; nothing of Hydra's launchers is replaced."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

TINY = [
    "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=16",
    "tasks.training.steps=20", "pairs.train=100", "pairs.validation=50", "pairs.test=50",
    "search.max_steps=2", "search.check_every=2", "controls=false", "interventions=das",
]  # fmt: skip


def run(command, cwd, seconds):
    """Run to the end or, at the latest after so many seconds, kill it and every process that it started."""
    env = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        pytest.fail(f"not done after {seconds} s: {process.communicate()[0]}")
    return process.returncode, printed


def sweep(*overrides, cwd):
    return run(
        [sys.executable, "-m", "numsym_command.main", "-m", *TINY, "hydra.sweep.dir=sweep", *overrides], cwd, 180
    )


def test_joblib_runs_the_others_when_one_fails(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the joblib extra is not installed")
    widths = (
        "subspace_dim=16", "tasks.model.hidden_size=7,16", "hydra.sweep.subdir=${tasks.model.hidden_size}",
    )  # fmt: skip
    code, printed = sweep("launch=joblib", *widths, cwd=tmp_path)
    assert code == 1
    failure = json.loads((tmp_path / "sweep" / "7" / "failure.json").read_text())
    assert "subspace_dim=16 is not allowed" in failure["message"]
    assert failure["message"] in " ".join(printed.split())
    assert (tmp_path / "sweep" / "16" / "results.json").exists()


def test_submitit_runs_every_run_in_a_job(tmp_path):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="the submitit extra is not installed")
    code, printed = sweep("launch=submitit_local", "seed=0,1", "hydra.sweep.subdir=${seed}", cwd=tmp_path)
    assert code == 0, printed
    assert len(list(tmp_path.glob("sweep/*/results.json"))) == 2
    assert len(list(tmp_path.glob("sweep/.submitit/*/*_result.pkl"))) == 2


@pytest.mark.slow
def test_a_ray_cluster_loses_no_run_to_a_killed_worker(tmp_path):
    """Two nodes on loopback; a worker is killed in the middle of a run when another run is finished."""
    pytest.importorskip("ray", reason="the ray extra is not installed")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="the ray extra is not installed")
    script = Path(__file__).parent / "faults" / "ray_sweep.py"
    code, printed = run([sys.executable, "-W", "ignore", str(script), *TINY], tmp_path, 800)
    assert code == 0, printed
    report = json.loads(printed.splitlines()[-1])
    assert report["nodes"] == 2
    assert report["returncode"] == 0, printed
    assert report["lost"] == 1
    assert report["finished_before"][0]
    assert report["untouched"]
    assert len(list(tmp_path.glob("sweep/*/results.json"))) == 3
    assert not list(tmp_path.glob("sweep/*/failure.json"))
