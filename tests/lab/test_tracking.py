import contextlib
import json
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from numsym.lab import tracking
from numsym.lab.tracking import Tracker, columns_of, labels, summary
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


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "numsym.lab.tracking"]


def test_a_mode_that_there_is_not_or_cannot_be_is_a_line_of_warning(monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    assert tracking.mode() == "offline"
    assert warnings(caplog) == [
        "WANDB_MODE='nonsense' is none of online, offline, disabled: taken as if it were not set"
    ]
    caplog.clear()
    monkeypatch.setenv("WANDB_MODE", "online")
    assert tracking.mode() == "offline"
    assert warnings(caplog) == ["WANDB_MODE=online, but there is no API key: the run is tracked offline"]
    caplog.clear()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert tracking.mode() == "offline"
    assert warnings(caplog) == ["WANDB_MODE=online, but http://127.0.0.1:9 does not answer: the run is tracked offline"]


@contextlib.contextmanager
def server(refuses):
    """A server at which everything is refused, or at which no answer comes."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_POST(self):
            if not refuses:
                ended.wait(60)
                return
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b'{"errors": [{"message": "permission denied"}]}'
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.daemon_threads = True
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        ended.set()
        serving.shutdown()
        serving.server_close()


@pytest.mark.parametrize("refuses", [True, False], ids=["a bad key", "no answer"])
def test_a_server_that_does_not_take_the_run_makes_it_offline(refuses, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setitem(tracking.PATIENCE, "init_timeout", 3)
    with server(refuses) as address:
        monkeypatch.setenv("WANDB_BASE_URL", address)
        began = time.monotonic()
        tracker = Tracker(tmp_path, {"seed": 7})
        tracker.log("training", {"step": 1, "loss": 0.5})
        tracker.finish()
        assert time.monotonic() - began < 40
    assert tracker.mode == "offline"
    (said,) = warnings(caplog)
    assert said.startswith("wandb: the run is tracked offline (")
    assert ("permission denied" in said) == refuses
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1


@pytest.mark.parametrize("mode", ["offline", "nonsense"])
def test_where_wandb_cannot_write_the_run_goes_on_without_it(mode, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", mode)
    (tmp_path / "wandb").write_text("a file")
    tracker = Tracker(tmp_path, {"seed": 7})
    tracker.log("training", {"step": 1, "loss": 0.5})
    tracker.table("results", [{"iia": 1.0}])
    tracker.artifact(tmp_path, name="all", kind="part")
    tracker.finish()
    assert tracker.mode == "disabled"
    assert warnings(caplog)[-1].startswith("wandb: the run is not tracked any more ([Errno 17] File exists")
    assert len(warnings(caplog)) == 1 + (mode == "nonsense")
    assert (tmp_path / "wandb").read_text() == "a file"


def test_what_fails_later_is_one_line_too_and_ends_the_tracking(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracker = Tracker(tmp_path, {"seed": 7})
    tracker.image("none", tmp_path / "none.png")
    tracker.image("none", tmp_path / "none.png")
    tracker.finish()
    assert len(warnings(caplog)) == 1
    assert warnings(caplog)[0].startswith("wandb: the run is not tracked any more (")


def test_a_run_goes_on_under_its_id(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    first = Tracker(tmp_path, {}, group="multirun/mine", job_type="compare")
    told = (first.run.id, first.run.group, first.run.job_type, first.run.name)
    first.finish()
    again = Tracker(tmp_path, {})
    assert told == (again.run.id, "multirun/mine", "compare", tmp_path.name)
    again.finish()
    assert (tmp_path / "wandb" / "run-id").read_text().strip() == told[0]


def test_wandbs_variables_are_as_they_were(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    Tracker(tmp_path, {}).finish()
    assert os.environ["WANDB_MODE"] == "nonsense"
    assert "WANDB_SILENT" not in os.environ


def test_every_column_has_one_type():
    rows = [
        {"name": "a", "k": 3, "iia": Share(0.5, 0.4, 0.6, 10), "same": True, "at": (1, 2)},
        {"name": None, "k": 2.5, "iia": None, "same": False, "at": "all", "only": 1},
    ]
    columns, data = columns_of(rows)
    assert columns == ["name", "k", "iia", "iia_low", "iia_high", "iia_n", "same", "at", "only"]
    assert data == [
        ["a", 3.0, 0.5, 0.4, 0.6, 10.0, True, "(1, 2)", None],
        [None, 2.5, None, None, None, None, False, "all", 1.0],
    ]


def test_rows_are_told_apart_by_their_words():
    assert labels([{"task": "t", "program": "a"}, {"task": "t", "program": "b"}]) == ["a", "b"]
    assert labels([{"task": "t", "k": 1}, {"task": "t", "k": 2}]) == ["t#0", "t#1"]
    assert labels([{"k": 1}, {"k": 2}]) == ["#0", "#1"]


def test_a_summary_has_the_verdict_the_shares_and_the_controls():
    share = Share(0.5, 0.4, 0.6, 10)
    one = {"program": "up_down", "iia": share, "floor": share, "untrained": None, "steps": 4}
    assert summary([one]) == {
        "program": "up_down", "iia": 0.5, "iia_low": 0.4, "iia_high": 0.6, "iia_n": 10,
        "floor": 0.5, "floor_low": 0.4, "floor_high": 0.6, "floor_n": 10, "steps": 4,
    }  # fmt: skip
    two = summary([{**one, "verdict": "fits"}, {**one, "program": "up_up", "verdict": "fails"}])
    assert (two["up_up/fails/verdict"], two["up_down/fits/iia"]) == ("fails", 0.5)
    assert summary([one] * 31) == {}


def test_an_offline_run_holds_config_curves_table_and_artifact(tmp_path):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "result.json").write_text("{}")
    tracker = Tracker(tmp_path, {"seed": 7, "tasks": {"name": "multi_object"}}, tags=["t"])
    tracker.log("training", {"step": 100, "loss": 0.5})
    share = Share(0.987654321, 0.9, 1.0, 50)
    tracker.table("results", [{"function": "linear", "iia": None}, {"function": "orthogonal", "iia": share}])
    tracker.artifact(tmp_path / "found", name="count_laf", kind="alignment")
    (tmp_path / "report.html").write_text("<p>report")
    tracker.artifact(tmp_path / "report.html", name="report of/a run", kind="report")
    tracker.finish()
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    (log,) = run.glob("run-*.wandb")
    wanted = (b"multi_object", b"training/loss", b"count_laf", b"results", b"report-of-a-run", b"orthogonal/iia")
    # wandb's own process writes the file, and finishing does not wait for the disk.
    for _ in range(150):
        if all(text in log.read_bytes() for text in wanted):
            break
        time.sleep(0.2)
    assert [text for text in wanted if text not in log.read_bytes()] == []
    tables = list(run.glob("files/media/table/*.json"))
    found = [json.loads(path.read_text()) for path in tables]
    assert sorted(table["columns"] for table in found)[0] == ["function", "iia", "iia_low", "iia_high", "iia_n"]
    assert [["orthogonal", 0.987654321]] in [table["data"] for table in found]  # the chart's


def test_disabled_it_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = Tracker(tmp_path, {"seed": 7})
    tracker.log("training", {"step": 1, "loss": 0.5})
    tracker.table("results", [{"iia": 1.0}])
    tracker.finish()
    assert os.listdir(tmp_path) == []
