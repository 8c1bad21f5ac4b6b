import json

import pytest

from numsym.errors import InvalidArgumentError
from numsym.experiments.neurons import run

TINY = [
    "experiment=neurons", "device=cpu", "tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]",
    "tasks.model.hidden_size=8", "tasks.training.steps=30", "tasks.training.learning_rate=0.01",
    "pairs.train=120", "pairs.validation=40", "pairs.test=50", "search.max_steps=2", "search.check_every=2",
    "experiment.sizes=[1,2]",
]  # fmt: skip


def test_neurons_stand_beside_the_learned_map(composed, tmp_path):
    found = run(composed(*TINY), tmp_path / "run")["count"]
    assert len(found.each) == 8
    assert set(found.sets) == {"probe", "greedy"}
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["neurons"]["count"] == json.loads(json.dumps(found.to_dict()))
    assert results["learned"]["count"]["n"] == found.n
    assert (tmp_path / "run" / "neurons_count.png").stat().st_size > 10_000


def test_wrong_input_leaves_no_folder(composed, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"experiment.sizes=9 is not allowed: it must lie in 1..8"):
        run(composed(*TINY, "experiment.sizes=[9]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
