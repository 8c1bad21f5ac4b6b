import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.studies.modular_adder import modular_adder
from numsym.studies.phase_diagram import PhaseDiagram, collected, phase_diagram
from numsym.tasks import ModularAddition

TRAINING = {"epochs": 4, "log_every": 2}


def train(folder, **model):
    recipe = {"model": {"hidden_size": 8, **model}, "training": TRAINING}
    return modular_adder(ModularAddition(p=5), recipe, run=Run(folder, track=False, quiet=True))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    trained = {alpha: train(folder / f"alpha={alpha}", alpha=alpha) for alpha in (1.0, 0.0)}
    (folder / "other").mkdir()
    (folder / "other" / "results.json").write_text(json.dumps({"study": "align"}))
    return folder, trained


def test_runs_become_a_table_by_alpha(runs, tmp_path):
    folder, trained = runs
    found = phase_diagram([str(folder)], run=Run(tmp_path / "run", track=False, quiet=True))
    assert [row["alpha"] for row in found.rows()] == [0.0, 1.0]
    for row in found.rows():
        metrics = trained[row["alpha"]].report.metrics
        assert (row["hidden_size"], row["seed"], row["first_epoch_right"]) == (8, 0, None)
        assert (row["circularity"], row["verdict"]) == (metrics.circularity, metrics.verdict)
    assert found.runs[0] == trained[0.0].rows()[0]
    (table,) = found.tables().values()
    assert [list(row.values()) for row in table] == [list(row.values()) for row in found.rows()]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert PhaseDiagram.from_dict(written).to_dict() == found.to_dict()
    assert (tmp_path / "run" / "phase_diagram.png").read_bytes().startswith(b"\x89PNG")
    again = phase_diagram([str(folder)], run=Run(tmp_path / "run", track=False, quiet=True))
    assert again.to_dict() == found.to_dict()
    assert phase_diagram(str(folder / "alpha=1.0")).rows() == found.rows()[1:]


def test_runs_that_are_not_circular_are_set_apart():
    rows = [
        {"alpha": 0.0, "gradient_symmetricity": 0.99, "distance_irrelevance": 0.2, "circularity": 0.99},
        {"alpha": 1.0, "gradient_symmetricity": 0.3, "distance_irrelevance": 0.8, "circularity": 0.98},
        {"alpha": 0.5, "gradient_symmetricity": 0.6, "distance_irrelevance": 0.7, "circularity": 0.5},
    ]
    found = PhaseDiagram(rows, 0.95)
    assert found.title == "3 modular adders, 1 below circularity 0.95"
    faint, circular = found.figure().axes[0].collections
    assert faint.get_offsets().tolist() == [[0.7, 0.6]]
    assert circular.get_offsets().tolist() == [[0.2, 0.99], [0.8, 0.3]]
    assert circular.get_array().tolist() == [0.0, 1.0]
    assert len(PhaseDiagram(rows, 0.0).figure().axes[0].collections) == 1


def test_what_cannot_be_drawn_is_said(runs, tmp_path):
    with pytest.raises(InvalidArgumentError, match="is not allowed: there is no finished run of modular_adder"):
        phase_diagram([str(tmp_path)])
    with pytest.raises(InvalidArgumentError, match="min_circularity=2 is not allowed"):
        phase_diagram([str(runs[0])], min_circularity=2)
    train(tmp_path / "linear", kind="A")
    with pytest.raises(InvalidArgumentError, match="has no alpha: a linear model has no place in the diagram"):
        phase_diagram([str(tmp_path)])
    assert len(collected([tmp_path], needs=())) == 1
