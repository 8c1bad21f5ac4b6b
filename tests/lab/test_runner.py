"""One runner around every study: a rehearsal refuses before any work, and a run that failed says so."""

import json
import os

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.lab.runner import load_plugins, run_study, threads


def test_a_refused_argument_leaves_no_folder_and_trains_nothing(composed, tmp_path, monkeypatch):
    monkeypatch.setattr("numsym.lab.given.train", None)
    for wrong, said in (
        ("subspace_dim=99", "subspace_dim=99 is not allowed"),
        ("variable=counts", "unknown variable 'counts'"),
        ("site=blocks", "unknown component of RecurrentLM 'blocks'"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            run_study("align", composed(wrong), tmp_path / "run")
    assert os.listdir(tmp_path) == []


def test_a_study_is_run_in_its_folder_and_found_there_again(composed, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    config = composed()
    first = run_study("align", config, tmp_path / "run")
    again = run_study("align", config, tmp_path / "run")
    assert first.to_dict() == again.to_dict()
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert written["alignments"]["laf"] == first["laf"].to_dict()
    assert 0 <= written["training"]["evaluation"]["accuracy"] <= 1
    stages = [json.loads(line)["stage"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert set(stages) == {"model", "alignments/das", "alignments/laf"}


def test_a_plugin_that_is_not_there_is_named():
    with pytest.raises(InvalidArgumentError, match="plugins='nowhere_at_all' is not allowed: it cannot be imported"):
        load_plugins(["nowhere_at_all"])


def test_a_study_runs_on_the_threads_that_its_models_ask_for_and_leaves_them_as_they_were():
    before = torch.get_num_threads()
    small, large = torch.nn.Linear(4, 4), torch.nn.Linear(2000, 2000)
    for wanted, given, number in ((1, [large], 1), ("auto", [small, "text"], 1), ("auto", ["text"], before)):
        with threads(wanted, given) as found:
            assert found == number == torch.get_num_threads()
        assert torch.get_num_threads() == before
    for wrong in (0, "many"):
        said = f"threads={wrong!r} is not allowed: give auto, or a number"
        with pytest.raises(InvalidArgumentError, match=said), threads(wrong, []):
            pass
