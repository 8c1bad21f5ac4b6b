import os
import socket
import time

import pytest

from numsym.lab import tracking
from numsym.lab.tracking import Tracker
from numsym.shares import Share


@pytest.fixture(autouse=True)
def _no_key(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_a_key_it_is_offline_without_asking():
    assert tracking.mode() == "offline"


def test_with_a_key_it_is_online_only_where_the_server_answers(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("WANDB_BASE_URL", address)
        assert tracking.mode() == "online"
    assert tracking.mode() == "offline"


def test_a_login_in_netrc_is_a_key(tmp_path):
    assert not tracking.has_key("https://api.wandb.ai")
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert tracking.has_key("https://api.wandb.ai")
    assert not tracking.has_key("https://other.example")


def test_what_wandb_is_told_wins(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking.mode() == "disabled"


def test_an_offline_run_holds_config_curves_table_and_artifact(tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "result.json").write_text("{}")
    tracker = Tracker(tmp_path, {"seed": 7, "tasks": {"name": "multi_object"}}, tags=["t"])
    tracker.log("training", {"step": 100, "loss": 0.5})
    share = Share(0.987654321, 0.9, 1.0, 50)
    tracker.table("results", [{"function": "linear", "iia": None}, {"function": "orthogonal", "iia": share}])
    tracker.artifact(tmp_path / "found", name="count_laf", kind="alignment")
    tracker.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (log,) = run.glob("run-*.wandb")
    wanted = (b"multi_object", b"training/loss", b"count_laf", b"results")
    # wandb's own process writes the file, and finishing does not wait for the disk.
    for _ in range(150):
        if all(text in log.read_bytes() for text in wanted):
            break
        time.sleep(0.2)
    assert [text for text in wanted if text not in log.read_bytes()] == []
    tables = list(run.glob("files/media/table/*.json"))
    assert len(tables) == 1
    assert "0.987654321" in tables[0].read_text()


def test_disabled_it_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = Tracker(tmp_path, {"seed": 7})
    tracker.log("training", {"step": 1, "loss": 0.5})
    tracker.table("results", [{"iia": 1.0}])
    tracker.finish()
    assert os.listdir(tmp_path) == []
