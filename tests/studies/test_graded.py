import json

import pytest
import torch

from numsym.alignment import align, interchange_pairs
from numsym.analyses import Graded, graded
from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(4,))


def draw(variable="count", n=600):
    generator = torch.Generator().manual_seed(9)
    return interchange_pairs(TASK, TASK.program(), (variable,), n, split="all", generator=generator)


def weighted(shares):
    return sum(share.value * share.n for share in shares.values()) / sum(share.n for share in shares.values())


@pytest.fixture(scope="module")
def result():
    model = counting_gru(TASK.vocabulary, width=6)
    return align(model, TASK, subspace_dim=2, max_steps=3, train_pairs=200, test_pairs=60, controls=False)


def test_the_cells_weighted_by_their_pairs_are_the_whole(result):
    pairs = draw()
    found = graded(result, pairs)
    whole = found.measurement.iia
    assert 0 < whole.value < 1
    assert whole.n == found.n == len(pairs)
    for shares in (
        found.cells, found.by_signed_difference, found.measurement.by_base_count, found.measurement.by_source_count,
        found.measurement.by_difference,
    ):  # fmt: skip
        assert sum(share.n for share in shares.values()) == len(pairs)
        assert weighted(shares) == pytest.approx(whole.value)
    json.dumps(found.to_dict(), allow_nan=False)


def test_cells_and_trends_are_those_of_the_pairs():
    pairs = draw()
    small = pairs.source_value <= 2
    found = Graded.of(small, pairs)
    for (_, source), share in found.cells.items():
        assert share.value == float(source <= 2)
    assert found.trends["source_count"] < -0.1
    # The base has nothing to do with it: the two trials are drawn apart.
    assert abs(found.trends["base_count"]) < 0.1
    assert Graded.of(torch.ones_like(small), pairs).trends["difference"] is None


def test_pairs_of_another_variable_are_refused(result):
    with pytest.raises(InvalidArgumentError, match=r"pairs of \('phase',\) is not allowed: the alignment is of"):
        graded(result, draw("phase", 20))
