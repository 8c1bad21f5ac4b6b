"""One member of a sweep, and whole sweeps by the command: failures, kill -9, and going on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
import torch

from numsym.errors import RunFolderError
from numsym.lab.run import Run
from numsym.lab.sweeps import RunFailedError, give_back, member
from numsym.results import Result

CONFIG = {"seed": 1, "tasks": {"name": "multi_object"}}
TINY = [
    "experiment=replicate", "network=gru_20", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "interventions=[das,laf]", "tasks.training.steps=60", "pairs.train=100", "pairs.validation=50", "pairs.test=50",
    "search.max_steps=4",
    "search.check_every=2",
]  # fmt: skip


@dataclass(frozen=True, repr=False)
class Seed(Result):
    seed: int

    def rows(self):
        return [{"seed": self.seed}]


def start(config, folder):
    Run(folder, config=config, track=False, quiet=True).show(Seed(config["seed"]))


def broken(config, folder):
    with Run(folder, config=config, track=False, quiet=True) as run:
        run.open()
        raise ZeroDivisionError("seed 1 divides nothing")


def test_a_finished_member_is_left_alone(tmp_path):
    assert member(CONFIG, tmp_path / "run", start) == "finished"
    assert member(CONFIG, tmp_path / "run", broken) == "found"
    with pytest.raises(RunFailedError, match="another configuration"):
        member({**CONFIG, "seed": 2}, tmp_path / "run", start)
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {name: written[name] for name in ("study", "seed")} == {"study": "result", "seed": 1}
    assert not (tmp_path / "run" / "failure.json").exists()


def test_a_failure_is_written_down_and_taken_away_by_the_next_try(tmp_path):
    with pytest.raises(RunFailedError, match="ZeroDivisionError: seed 1 divides nothing"):
        member(CONFIG, tmp_path / "run", broken)
    failure = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert (failure["error"], failure["message"]) == ("ZeroDivisionError", "seed 1 divides nothing")
    assert failure["config"] == CONFIG
    assert any("in broken" in line for line in failure["traceback"])
    assert member(CONFIG, tmp_path / "run", start) == "finished"
    assert not (tmp_path / "run" / "failure.json").exists()


def test_a_failure_before_the_run_began_leaves_the_folder_usable(tmp_path):
    def refused(config, folder):
        raise RunFolderError("nothing of this is a run") if folder.exists() else ValueError("seed=-1 is not allowed")

    with pytest.raises(RunFailedError, match="seed=-1"):
        member({**CONFIG, "seed": -1}, tmp_path / "run", refused)
    assert os.listdir(tmp_path / "run") == ["failure.json"]
    assert member(CONFIG, tmp_path / "run", start) == "finished"


def sweep(*overrides, cwd):
    command = [sys.executable, "-m", "numsym_command.main", *TINY, *overrides]
    env = {**os.environ, "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def results(folder):
    """What every run found, without how long it took."""
    found = {}
    for path in sorted(folder.rglob("results.json")):
        content = json.loads(path.read_text())
        del content["training"]["log"]["seconds"], content["sha256"]
        found[str(path.relative_to(folder))] = content
    return found


def test_a_killed_sweep_goes_on_to_the_same_results(tmp_path):
    overrides = ("seed=0", "tasks=multi_object,same_object,single_object", "controls=[permuted]")
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    whole, killed = (sweep(*overrides, cwd=tmp_path / name) for name in ("whole", "killed"))
    runs, deadline = tmp_path / "killed" / "runs" / "replication" / "gru_20", time.monotonic() + 120
    # In the middle: the first run is finished, and the second has begun.
    while not (runs / "same_object" / "seed_0" / "config.yaml").exists():
        assert killed.poll() is None, killed.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=30)
    finished = {path: path.stat().st_mtime_ns for path in runs.rglob("results.json")}
    assert 1 <= len(finished) < 3
    again = sweep(*overrides, cwd=tmp_path / "killed")
    printed, _ = again.communicate(timeout=120)
    assert again.returncode == 0, printed
    assert "finished before: runs/replication/gru_20/multi_object/seed_0" in printed
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert whole.wait(timeout=120) == 0
    assert len(results(tmp_path / "whole")) == 3
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_a_failing_run_does_not_stop_the_others(tmp_path):
    # A size that no task has: composed without complaint, refused when the run begins.
    swept = sweep(
        "seed=0", "tasks.model.hidden_size=7,20", "hydra.sweep.subdir=${tasks.model.hidden_size}", cwd=tmp_path
    )
    printed, _ = swept.communicate(timeout=120)
    assert swept.returncode == 1
    failure = json.loads((tmp_path / "runs" / "replication" / "7" / "failure.json").read_text())
    assert failure["error"] == "InvalidArgumentError"
    assert "subspace_dim=8 is not allowed" in failure["message"]
    assert failure["message"] in " ".join(printed.split())
    assert (tmp_path / "runs" / "replication" / "20" / "results.json").exists()


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm", encoding="ascii") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_memory_that_was_freed_between_what_stays_goes_back():
    blocks = [torch.ones(8_000) for _ in range(6_000)]  # 190 MB in blocks that are not mapped one by one
    stays, full = blocks[-1], resident()
    del blocks
    give_back()
    assert full - resident() > 100e6
    assert stays.sum() == 8_000
