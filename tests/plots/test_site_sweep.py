import numpy as np
import pytest
import torch
from numsym.plots.style import write

from numsym.alignment import Hypothesis, sweep_sites
from numsym.models import TransformerConfig, TransformerLM
from numsym.plots.site_sweep import FEW, iia_map
from numsym.tasks import MultiObject


@pytest.fixture(scope="module")
def sweep():
    torch.manual_seed(0)
    task = MultiObject(counts=range(1, 5), held_out=())
    model = TransformerLM(TransformerConfig(vocab_size=task.vocab_size, hidden_size=12, num_heads=2, num_layers=2))
    wanted = [Hypothesis(variable=name, subspace_dim=4) for name in ("count", "phase")]
    few = {"max_steps": 1, "train_pairs": 40, "validation_pairs": 20, "test_pairs": 60, "controls": ()}
    return sweep_sites(model.eval(), task, wanted, position_bin=2, **few)


def test_the_cells_are_the_shares_of_the_map(sweep):
    figure = iia_map(sweep)
    for axes, name in zip(figure.axes, sweep.hypotheses, strict=False):
        drawn = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
        shares = sweep.map(name)
        starts = sorted({start for found in shares.values() for start in found})
        assert drawn.shape == (3, len(starts) + 1)
        for row, (site, found) in enumerate(shares.items()):
            for column, start in enumerate(starts):
                share = found.get(start)
                if share is None or share.n < FEW:
                    assert np.isnan(drawn[row, column])
                else:
                    assert drawn[row, column] == share.value
            assert drawn[row, -1] == sweep.at(name)[site].iia
        assert axes.get_title() == name
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [str(site) for site in sweep.sites]


def test_it_is_written_whole(sweep, tmp_path):
    path = write(iia_map(sweep), tmp_path / "map.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
