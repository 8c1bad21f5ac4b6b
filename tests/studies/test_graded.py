import json

import matplotlib.pyplot as plt
import pytest
import torch

from numsym.alignment import align, interchange_pairs
from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.results import plain
from numsym.studies.graded import FEWEST, Graded, Grades, grade, graded
from numsym.tasks import MultiObject, Parity

SEARCH, PAIRS = {"max_steps": 3, "starts": "random"}, {"train": 200, "test": 60}
TASK = MultiObject(counts=range(1, 7), held_out=(4,))


def draw(variable="count", n=600):
    generator = torch.Generator().manual_seed(9)
    return interchange_pairs(TASK, TASK.program(), (variable,), n, split="all", generator=generator)


def weighted(shares):
    return sum(share.value * share.n for share in shares.values()) / sum(share.n for share in shares.values())


@pytest.fixture(scope="module")
def result():
    model = counting_gru(TASK.vocabulary, width=6)
    return align(model, TASK, subspace_dim=2, search=SEARCH, pairs=PAIRS, controls=False)


def test_the_cells_weighted_by_their_pairs_are_the_whole(result):
    pairs = draw()
    found = grade(result, pairs)
    whole = found.measurement.iia
    assert 0 < whole.value < 1
    assert whole.n == found.n == len(pairs)
    for shares in (
        found.cells, found.by_signed_difference, found.measurement.by_base_count, found.measurement.by_source_count,
        found.measurement.by_difference,
    ):  # fmt: skip
        assert sum(share.n for share in shares.values()) == len(pairs)
        assert weighted(shares) == pytest.approx(whole.value)
    json.dumps(plain(found), allow_nan=False)


def test_cells_and_trends_are_those_of_the_pairs():
    pairs = draw()
    small = pairs.source_value <= 2
    found = Grades.of(small, pairs)
    for (_, source), share in found.cells.items():
        assert share.value == float(source <= 2)
    assert found.trends["source_count"] < -0.1
    # The base has nothing to do with it: the two trials are drawn apart.
    assert abs(found.trends["base_count"]) < 0.1
    assert Grades.of(torch.ones_like(small), pairs).trends["difference"] is None


def test_pairs_of_another_variable_are_refused(result):
    with pytest.raises(InvalidArgumentError, match=r"pairs of \('phase',\) is not allowed: the alignment is of"):
        grade(result, draw("phase", 20))


def test_the_figure_has_the_grades_and_the_cells_where_there_are_pairs(generator):
    pairs = draw(n=300)
    found = Grades.of(torch.rand(300, generator=generator) < 0.5, pairs)
    figure = Graded({"laf": found, "das": found}).figure()
    by_base = figure.axes[0].containers[0][0]
    drawn = {round(x): y for x, y in zip(by_base.get_xdata(), by_base.get_ydata(), strict=True)}
    assert drawn == {count: share.value for count, share in found.measurement.by_base_count.items()}
    grid = figure.axes[3].images[0].get_array()
    shown = sum(share.n >= FEWEST for share in found.cells.values())
    assert int((~torch.tensor(grid.filled(float("nan"))).isnan()).sum()) == shown
    assert {text.get_text() for axes in figure.axes if axes.legend_ for text in axes.legend_.get_texts()} == {
        "laf", "das",
    }  # fmt: skip
    plt.close(figure)


def test_the_study_goes_on_and_ends_the_same(tmp_path):
    model, options = counting_gru(TASK.vocabulary, width=6), {"search": SEARCH, "pairs": PAIRS, "measured": 200}
    free = graded(model, TASK, **options)
    kept = graded(model, TASK, **options, run=Run(tmp_path / "run", track=False, quiet=True))
    again = graded(model, TASK, **options, run=Run(tmp_path / "run", track=False, quiet=True))
    assert free.to_dict() == kept.to_dict() == again.to_dict()
    free.save(tmp_path / "saved")
    assert Graded.load(tmp_path / "saved").graded["count"].cells == free.graded["count"].cells
    assert list(free.to_frame()["iia_n"]) == [free.graded["count"].n]
    with pytest.raises(InvalidArgumentError, match="measured=0 is not allowed"):
        graded(model, TASK, measured=0)


def test_it_works_on_a_task_that_does_not_count():
    task = Parity(counts=range(1, 5), held_out=())
    model = RecurrentLM(RecurrentConfig(vocab_size=task.vocab_size, hidden_size=8))
    found = graded(model, task, measured=60, search=SEARCH, pairs={"train": 40, "validation": 20, "test": 20})
    assert list(found.graded) == ["parity"]
