import json

import matplotlib.pyplot as plt
import pytest

from numsym.errors import UnknownNameError
from numsym.experiments.written import finish, hypotheses
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker


def test_hypotheses_come_from_the_configuration_with_the_runs_seed():
    config = {"seed": 7, "experiment": {"hypotheses": {"a": {"variable": "phase", "subspace_dim": 3}, "b": {}}}}
    found = hypotheses(config)
    assert (found["a"].variable, found["a"].subspace_dim, found["a"].seed) == ("phase", 3, 7)
    assert found["b"].variable == "count"
    for key in ("variables", "seed"):
        with pytest.raises(UnknownNameError, match=f"unknown field of a hypothesis '{key}'"):
            hypotheses({"seed": 0, "experiment": {"hypotheses": {"a": {key: 1}}}})


def test_figures_come_before_the_results(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    folder = RunFolder(tmp_path / "run", {"seed": 0})
    with Tracker(folder.path, {}, project="numsym") as tracker:
        paths = finish(folder, tracker, {"drawing": plt.figure()}, {"number": 1})
    assert paths == {"drawing": folder / "drawing.png"}
    assert json.loads((folder / "results.json").read_text()) == {"number": 1}
    assert plt.get_fignums() == []
