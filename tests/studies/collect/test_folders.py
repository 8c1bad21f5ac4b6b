import pytest

from numsym.errors import InvalidArgumentError
from numsym.studies.collect import Run, find, gathered


def test_only_runs_are_found(finished, sweep):
    reader = {"seed": 0, "experiment": {"runs": [str(sweep)]}}
    finished(sweep / "table", reader, {"groups": 2})
    (sweep / "a" / "seed_0" / "alignments").mkdir()
    (sweep / "a" / "seed_0" / "alignments" / "config.yaml").write_text("x: 1")
    assert len(find([sweep])) == 6
    with pytest.raises(InvalidArgumentError, match="there is no such folder"):
        find([sweep / "nowhere"])
    (sweep / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match="hold no run folder"):
        find([sweep / "empty"])


def test_other_experiments_give_their_plain_numbers(configured, finished, tmp_path):
    found = {"kappa": {"2": 58.0}, "n": 340, "verdict": "yes", "list": [1, 2]}
    finished(tmp_path / "run", configured(), found)
    (run,) = find([tmp_path])
    assert isinstance(run, Run)
    assert run.rows() == [{"kappa.2": 58.0, "n": 340}]


def test_a_finished_run_that_lost_its_configuration_is_a_row_that_says_so(sweep):
    (sweep / "a" / "seed_0" / "config.yaml").unlink()
    rows = gathered(find([sweep])).without_results
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("unreadable", "no config.yaml: what was asked is not known")
    ]
