import json

import pytest
import torch

from numsym.alignment import Hypothesis, PairCounts, Site, align_many, measured_pairs, right_of
from numsym.alignment.site_sweep import SiteSweep, sites_named, sweep_sites
from numsym.models import (
    TransformerConfig,
    TransformerLM,
)
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 5), held_out=())
HYPOTHESES = [Hypothesis(variable="count", subspace_dim=4), Hypothesis(variable="phase", subspace_dim=4)]
FEW = {"max_steps": 2, "train_pairs": 40, "validation_pairs": 20, "test_pairs": 60, "controls": ("floor",)}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    shape = {"vocab_size": TASK.vocab_size, "hidden_size": 12, "num_heads": 2, "num_layers": 2}
    return TransformerLM(TransformerConfig(**shape)).eval()


@pytest.fixture(scope="module")
def sweep(model):
    return sweep_sites(model, TASK, HYPOTHESES, position_bin=3, **FEW)


def test_sites_are_named_one_by_one_or_by_component(model):
    named = sites_named(model, ["mlp_output", "embeddings", "block_output:1", Site("block_output", 1)])
    assert [str(site) for site in named] == ["mlp_output:0", "mlp_output:1", "embeddings:0", "block_output:1"]
    with pytest.raises(ValueError, match=r"layer=2 is not allowed.*layers are 0\.\.1"):
        sites_named(model, ["mlp_output:2"])
    with pytest.raises(ValueError, match="unknown component of TransformerLM 'mlp'"):
        sites_named(model, ["mlp"])
    with pytest.raises(ValueError, match=r"sites=\[\] is not allowed"):
        sites_named(model, [])


def test_each_site_has_what_align_many_finds_there(model, sweep):
    alone = align_many(model, TASK, HYPOTHESES, site="block_output:0", **FEW)
    there = [result for result in sweep.results if result.site == Site("block_output", 0)]
    assert [result.to_dict() for result in there] == [result.to_dict() for result in alone]
    assert sweep.hypotheses == ("up_down: count (linear)", "up_down: phase (linear)")
    assert {result.engine for result in sweep.results} == {"resumed"}


def test_the_map_is_the_share_at_each_position(sweep):
    for name, hypothesis in zip(sweep.hypotheses, HYPOTHESES, strict=True):
        for site, result in sweep.at(name).items():
            pairs = measured_pairs(TASK, hypothesis, PairCounts(40, 20, 60))
            right = right_of(result, pairs)
            want = {}
            for at, one in zip(pairs.base_at.tolist(), right.tolist(), strict=True):
                want.setdefault(at // 3 * 3, []).append(one)
            found = sweep.map(name)[site]
            assert {start: (share.value, share.n) for start, share in found.items()} == {
                start: (pytest.approx(sum(ones) / len(ones)), len(ones)) for start, ones in want.items()
            }


def test_it_is_saved_as_plain_json(sweep, tmp_path):
    sweep.save(tmp_path / "map.json")
    read = json.loads((tmp_path / "map.json").read_text())
    assert read == sweep.to_dict()
    assert [row["site"] for row in read["rows"]][::2] == ["block_input:0", "block_output:0", "block_output:1"]
    assert read["rows"][0].keys() >= {"iia", "low", "high", "floor", "heldout_iia", "engine"}
    assert set(read["maps"]["up_down: phase (linear)"]) == {"block_input:0", "block_output:0", "block_output:1"}


def test_what_is_not_allowed_is_said_before_the_first_search(model, sweep):
    with pytest.raises(ValueError, match="position_bin=0 is not allowed"):
        SiteSweep(sweep.results, 0)
    with pytest.raises(ValueError, match="subspace_dim=13 is not allowed"):
        sweep_sites(model, TASK, [Hypothesis(subspace_dim=13)], sites=["mlp_activation", "block_output"], **FEW)
