"""What is said of alignments whose right and wrong pairs are known."""

from dataclasses import replace

import pytest
import torch

from numsym.alignment import AlignmentResult, Explanation, align, explain, interchange_pairs
from numsym.alignment.controls import exchanged_states
from numsym.errors import InvalidArgumentError
from numsym.interventions import LowRankLinearAlignmentIntervention
from numsym.models import counting_gru
from numsym.models.counters import directions
from numsym.tasks import MultiObject, SingleObject

TASK = MultiObject(counts=range(1, 11))
OPTIONS = {"controls": False, "pairs": {"train": 500, "validation": 50, "test": 50}}


@pytest.fixture(scope="module")
def found():
    """The count of a hand-built counter, by a rotation that is exact."""
    return align(
        counting_gru(TASK.vocabulary, width=6), TASK, alignment="orthogonal", subspace_dim=1,
        search={"max_steps": 300, "learning_rate": 1e-2}, **OPTIONS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def explained(found):
    return found.explain(measured=400, examples=4, tries=False)


def test_what_was_found_is_taken_apart(found, explained):
    assert explained.measured.iia.value == 1
    assert all(share.value == 1 for share in explained.crossed["phase"].values())
    assert set(explained.graded) == {"count of the base", "count of the source", "difference", "position"}
    assert sum(share.n for share in explained.measured.by_position.values()) == explained.measured.iia.n
    assert len(explained.examples) == 4
    # The starts that the search compared, and what it reached from those that it tried.
    assert explained.start in explained.ends
    assert {row["start"] for row in explained.tables()["starts"]} == set(explained.starts)
    assert all(one.right for one in explained.examples)


def test_an_exact_exchange_leads_to_states_that_the_counter_has_anyway(found):
    """The count lies along one direction, at right angles to the phase."""
    exact = LowRankLinearAlignmentIntervention(embed_dim=6, low_rank_dimension=1)
    exact.set_interchange_dim(1)
    count = directions(6, 90, 0)[0]
    with torch.no_grad():
        exact.columns.copy_((count / count.norm())[:, None])
        exact.rows.copy_(exact.columns)
    said = replace(found, intervention=exact).explain(measured=300, examples=0, tries=False)
    assert said.measured.iia.value == 1
    # But for no objects in the demonstration, and all of them in the response: no trial has these after its tokens.
    assert said.divergence.beyond.value < 0.06
    assert said.divergence.nearest < 1e-3
    assert said.examples == ()


def test_exchanged_states_are_the_interventions_own(found, generator):
    pairs = interchange_pairs(TASK, TASK.program("up_down"), ("count",), 20, generator=generator)
    states, natural = exchanged_states(found.model, found.site, found.intervention, pairs)
    assert natural.shape == (40, 6)
    want = found.intervention(natural[:20].clone(), natural[20:])
    torch.testing.assert_close(states, want)
    assert not torch.allclose(states, natural[:20], atol=1e-4)


def test_it_follows_the_protocol_of_results(explained, tmp_path):
    rows = explained.rows()
    assert all(set(row) == {"by", "base", "source", "iia"} for row in rows)
    assert explained.to_frame().shape[0] == len(rows)
    explained.save(tmp_path / "why")
    assert Explanation.load(tmp_path / "why").to_dict() == explained.to_dict()
    assert "multi_object, up_down.count by orthogonal (k 1) at state:0" in repr(explained)
    assert "<table" in explained._repr_html_()
    assert len(explained.figure().axes) == 8


def test_what_was_read_by_itself_is_explained_with_its_task(found, explained, tmp_path):
    found.save(tmp_path / "found")
    read = AlignmentResult.load(tmp_path / "found", found.model)
    with pytest.raises(InvalidArgumentError, match=r"read by itself and does not know its task"):
        read.explain()
    again = explain(read, TASK, pairs=OPTIONS["pairs"], measured=400, examples=4, tries=False)
    assert again.to_dict() == explained.to_dict()


def test_what_cannot_be_explained_is_refused_before_any_work(found, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"measured=5 is not allowed: it must be at least 10"):
        found.explain(measured=5)
    with pytest.raises(InvalidArgumentError, match=r"the alignment is of 'multi_object'"):
        explain(found, SingleObject())
    with pytest.raises(InvalidArgumentError, match=r"it was read without its model"):
        explain(replace(found, model=None), TASK)
