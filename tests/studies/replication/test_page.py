import pytest

from numsym.errors import InvalidArgumentError
from numsym.lab.folder import write_failure
from numsym.lab.run import Run
from numsym.studies import replication
from numsym.studies.collect import find

COUNTS = range(1, 10)


def share(value, n=200):
    return {"value": value, "low": max(0.0, value - 0.02), "high": min(1.0, value + 0.02), "n": n}


def alignment(variable, function, iia):
    graded = {str(count): share(iia) for count in COUNTS}
    test = {"iia": share(iia), "by_base_count": graded, "by_source_count": graded, "by_difference": graded}
    controls = {name: share(0.1) for name in ("floor", "permuted", "neurons")}
    return {
        "program": "up_down", "variables": [variable], "alignment": function, "test": test, "held_out": None,
        "subspace_dim": 8, "free_running": None, "tokens_off": None, "steps": 100, "converged": False,
        "controls": {**controls, "ceiling": share(1.0)},
    }  # fmt: skip


def configuration(seed, **search):
    tasks = {"name": "multi_object", "training": {"steps": 100, "learning_rate": 0.0005, "batch_size": 128}}
    settings = {"batch_size": 32, "learning_rate": 0.001, "check_every": 100, "patience": 10, "stop_at": 0.995}
    settings |= {"schedule": "constant", "starts": "random", "wrong_share": 0.0}
    pairs = {"train": 10000, "validation": 1000}
    return {"seed": seed, "network": "gru_20", "tasks": tasks, "pairs": pairs, "search": {**settings, **search}}


@pytest.fixture
def runs(finished, tmp_path):
    for seed, iia in enumerate((0.96, 0.98)):
        results = {
            "training": {"log": {"steps": 90}, "evaluation": {"accuracy": 1.0, "held_out": 1.0}},
            "alignments": {
                f"{v}_{f}": alignment(v, f, iia) for v in ("count", "full") for f in ("orthogonal", "linear")
            },
        }
        finished(tmp_path / "runs" / f"seed_{seed}", configuration(seed), results)
    write_failure(tmp_path / "runs" / "seed_2", configuration(2), MemoryError("no | room"))
    return tmp_path / "runs"


def test_the_page_says_what_the_runs_say(finished, runs, tmp_path):
    page = tmp_path / "docs" / "replication.md"
    place = Run(tmp_path / "out", track=False, quiet=True)
    judged = replication(runs=(str(runs),), document=str(page), run=place)
    assert {one.verdict for one in judged.claims} == {"reproduced", "not reproduced", "not measured"}
    text = page.read_text()
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"replication_iia.png", "replication_graded.png"}
    assert "2 of 3 runs are finished, with seeds 0, 1. Versions: numsym " in text
    assert "| GRUs on Multi-Object and Single-Object align with Up-Down at high IIA | **reproduced** |" in text
    assert "- gru_20: `search.batch_size` 32 ([N]: 128), `search.max_steps` None, `tasks.training.steps` 100." in text
    # The t-interval of 96 and 98 is 12.7 points wide on either side.
    both = "97.0 [84.3, 100.0] | 97.0 [84.3, 100.0]"
    row = f"| count (up_down) | {both} | - | 90.4, 94.7 | -, -, - | 10.0, 10.0, - | -, -, - | - | 10.0 | 100.0 | 10.0 |"
    assert row in text
    assert "| gru_20 | multi_object | count (up_down) | rotation (97.0) | - |" in text
    assert "| gru_20, multi_object, 2 | failed | MemoryError: no \\| room |" in text
    assert str(tmp_path) not in text
    for name in ("replication_iia.png", "replication_graded.png"):
        assert f"](images/{name})" in text
        assert (page.parent / "images" / name).stat().st_size > 10_000


def test_runs_with_other_settings_are_not_averaged(finished, runs, tmp_path):
    finished(runs / "seed_3", configuration(3, batch_size=64), {"alignments": {}})
    with pytest.raises(InvalidArgumentError, match=r"search\.batch_size is 32, 64"):
        replication(runs=(str(runs),), run=Run(tmp_path / "out", track=False, quiet=True))
    assert not (tmp_path / "out").exists()
    assert len(find([runs])) == 4
