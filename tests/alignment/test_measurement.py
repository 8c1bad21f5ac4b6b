import pytest
import torch

from numsym.alignment import Measurement, interchange_pairs


def test_iia_on_the_pairs_that_change_stands_beside_the_whole(small_task, generator):
    pairs = interchange_pairs(small_task, small_task.program("ctx_distr"), ("value",), 200, generator=generator)
    measured = Measurement.of(~pairs.changed, pairs)
    assert (measured.changed.value, measured.changed.n) == (0.0, int(pairs.changed.sum()))
    assert measured.iia.value == pytest.approx(1 - measured.changed.n / 200)
    assert (
        Measurement.of(torch.ones(1, dtype=torch.bool), pairs.rows((~pairs.changed).nonzero()[:1, 0])).changed is None
    )
