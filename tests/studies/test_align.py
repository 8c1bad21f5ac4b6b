import matplotlib.pyplot as plt
import pytest
import torch

from numsym.alignment import Hypothesis, align_many
from numsym.errors import UnknownNameError
from numsym.lab.run import Run
from numsym.models import RecurrentConfig, RecurrentLM, TransformerConfig, TransformerLM, counting_gru
from numsym.studies import align as study
from numsym.studies.align import Alignments
from numsym.tasks import TASKS, MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))
ASKED = {name: Hypothesis(alignment=kind, subspace_dim=2) for name, kind in (("das", "orthogonal"), ("laf", "linear"))}
SHORT = {"search": {"max_steps": 2}, "pairs": {"train": 200, "validation": 50, "test": 60}, "controls": ("floor",)}


@pytest.fixture(scope="module")
def found():
    return study(counting_gru(TASK.vocabulary, width=6), TASK, ASKED, **SHORT)


def test_the_points_are_the_shares_and_their_intervals(found):
    figure, result = found.figure(), found["laf"]
    left, right = figure.axes
    points = [container[0] for container in left.containers]
    drawn = {round(x): y for line in points for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    shares = {**result.test.by_base_count, **result.held_out.by_base_count}
    assert {count: share.value for count, share in shares.items()} == {c: drawn[c] for c in shares}
    assert (len(left.containers), len(right.containers)) == (4, 2)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "das", "laf", "held-out count", "no intervention",
    }  # fmt: skip
    assert left.get_title(loc="left") == "multi_object, up_down: count"
    plt.close(figure)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(found, tmp_path):
    model = counting_gru(TASK.vocabulary, width=6)
    first = Run(tmp_path / "run", track=False, quiet=True)
    with first:
        align_many(model, TASK, {"das": ASKED["das"]}, **SHORT, run=first)  # and then it is killed
    made = (tmp_path / "run" / "alignments" / "das" / "result.json").stat().st_mtime_ns
    resumed = study(model, TASK, ASKED, **SHORT, run=Run(tmp_path / "run", track=False, quiet=True))
    assert (tmp_path / "run" / "alignments" / "das" / "result.json").stat().st_mtime_ns == made
    assert resumed.to_dict() == found.to_dict()
    found.save(tmp_path / "saved")
    assert Alignments.load(tmp_path / "saved").rows() == found.rows()


def test_each_hypothesis_can_have_a_place_of_its_own():
    model = TransformerLM(TransformerConfig(vocab_size=TASK.vocab_size, hidden_size=8, num_heads=2, num_layers=1))
    asked = {"count": Hypothesis(), "value": Hypothesis("ctx_distr", site="embeddings")}
    found = study(model, TASK, asked, site="block_output", **SHORT)
    assert [str(one.site) for one in found.alignments.values()] == ["block_output:0", "embeddings:0"]
    assert found["value"].variables == ("value",)
    with pytest.raises(
        UnknownNameError, match=r"unknown component of TransformerLM .blocks.: choose one of .*block_in"
    ):
        study(model, TASK, {"count": Hypothesis(site="blocks")}, site="block_output", **SHORT)


@pytest.mark.parametrize(
    "name", [name for name in TASKS if not name.endswith("prompts") and name != "modular_addition"]
)
def test_the_task_alone_says_what_to_search_for(name):
    task = TASKS[name]()
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=6))
    found = study(
        model, task, search={"max_steps": 1}, pairs={"train": 30, "validation": 10, "test": 10}, controls=False
    )
    (result,) = found.alignments.values()
    assert (result.program, result.variables[0]) == task.search
    assert result.controls == {}
