import pytest
import yaml

from numsym.errors import InvalidArgumentError
from numsym.storage import read_json, sealed, write_json
from numsym.studies.collect import Run, find, gathered
from numsym.studies.collect.folders import flattened


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


def test_a_training_without_an_evaluation_is_read(configured, finished, tmp_path):
    """A modular adder's, whose accuracy stands among its numbers."""
    finished(tmp_path / "run", configured(), {"accuracy": 1.0, "training": {"evaluation": None, "log": {"steps": 20}}})
    (run,) = find([tmp_path], whole=False)
    assert run.rows() == [{"accuracy": 1.0, "training.log.steps": 20}]


def test_a_finished_run_that_lost_its_configuration_is_a_row_that_says_so(sweep):
    (sweep / "a" / "seed_0" / "config.yaml").unlink()
    rows = gathered(find([sweep])).without_results
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("unreadable", "no config.yaml: what was asked is not known")
    ]


WRITTEN = """---
# what was asked
seed: 3
folder: a
list:
- 1
- {a: 1}
text: "a long one
  that goes on"
block: |
  x: 1

  y: 2
nested:

  inner: {deep: [1, 2], none: null}
"quoted key": yes
empty: {}
"""


@pytest.mark.parametrize(
    "text", [WRITTEN, '{"seed": 3, "nested": {"a": 1}}', "base: &a {x: 1}\nother: *a\n", "seed: 1\r\nx:\r\n- 2\r\n", ""]
)
def test_a_configuration_that_is_read_entry_by_entry_is_what_it_is_as_a_whole(text, tmp_path):
    (tmp_path / "config.yaml").write_bytes(text.encode())
    whole = yaml.safe_load(text) or {}
    assert Run.read(tmp_path).config == flattened({name: of for name, of in whole.items() if name != "folder"})


def test_many_runs_hold_what_is_the_same_once(sweep):
    for whole in (True, False):
        runs = find([sweep], whole=whole)
        assert len({id(run.config["tasks.name"]) for run in runs}) <= 2  # of two tasks' entries
        assert len({id(run.versions) for run in runs}) == 1
        assert [bool(run.results) for run in runs] == [whole] * 6
    assert gathered(find([sweep])).to_dict() == gathered(find([sweep], whole=False)).to_dict()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("results.json", None, "results.json is not what was written"),
        ("versions.json", "{", "a file in it cannot be read: Expecting"),
        ("config.yaml", "a: [", "a file in it cannot be read: while parsing"),
        ("started.json", "", "results.json cannot be read"),
    ],
)
def test_whatever_is_damaged_is_a_row_that_says_so(file, content, said, sweep):
    path = sweep / "a" / "seed_0" / file
    if content is None:
        write_json(path, {**sealed(read_json(path)), "training": {}})
    else:
        path.write_text(content)
    (row,) = gathered(find([sweep]), allow_mixed=True).without_results
    assert row["status"] == "unreadable"
    assert row["reason"].startswith(said)
