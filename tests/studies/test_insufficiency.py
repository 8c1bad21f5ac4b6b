import math

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import period_power, spikes_without_classes
from numsym.studies.insufficiency import MADE, Insufficiency, insufficiency

N = torch.arange(200)[:, None] * 2 * math.pi / 10
CIRCLE = torch.cat([N.cos(), N.sin()], 1) + 0.1 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def found():
    return insufficiency({"circle": CIRCLE}, numbers=200, C=100.0)


def test_the_construction_has_the_higher_spike_and_no_geometry(found):
    circle, made = found.rows()
    assert (circle["embeddings"], made["embeddings"]) == ("circle", MADE)
    assert circle["spike"] > 5
    assert made["spike"] > 5
    assert circle["kappa"].low > 80
    assert abs(made["kappa"].value) < 6
    for row in (circle, made):
        assert row["lower"] <= row["Fisher"] * (1 + 1e-9)
        assert row["Fisher"] <= row["upper"] * (1 + 1e-9)


def test_blocks_leave_the_power_at_the_period_as_it_is():
    powers = [period_power(spikes_without_classes(60, 10, 1.0, block), 10) for block in (0.0, 1.0, 50.0)]
    assert powers == pytest.approx([powers[0]] * 3)
    assert spikes_without_classes(25, 10, 2.0, 3.0)[[0, 9, 13]].flatten().tolist() == [0.0, 18.0, 9.0]


def test_it_is_read_back_and_drawn(found, tmp_path):
    found.save(tmp_path / "found")
    assert repr(Insufficiency.load(tmp_path / "found")) == repr(found)
    figure = found.figure()
    assert len(figure.axes) == 4
    assert "spike" in figure.axes[0].get_title()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": 1}, "period=1 is not allowed"),
        ({"numbers": 3}, "numbers=3 is not allowed"),
        ({"numbers": 50}, "folds=10 is not allowed with period 10"),
    ],
)
def test_what_is_wrong_is_said(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        insufficiency({"circle": CIRCLE}, **options)
