"""The contract of every alignment intervention that numsym exports."""

import inspect

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

import numsym.interventions
from numsym._pyvene import load, locations, pv, save
from numsym.errors import InvalidArgumentError
from numsym.interventions import (
    AlignmentIntervention,
    BoundlessLinearAlignmentIntervention,
    DictionaryIntervention,
    LinearAlignmentIntervention,
    NeuronMaskIntervention,
)
from numsym.models import RecurrentConfig, RecurrentLM

WIDTH = 12
KINDS = [
    kind
    for name in numsym.interventions.__all__
    if inspect.isclass(kind := getattr(numsym.interventions, name))
    and issubclass(kind, AlignmentIntervention)
    and not inspect.isabstract(kind)
    and kind is not AlignmentIntervention
]
# Those that exchange the coordinates they are told to; the others learn which.
LEARNED = (BoundlessLinearAlignmentIntervention, NeuronMaskIntervention)
# A dictionary's features overlap: one that is exchanged is read in others, too.
TOLD = [kind for kind in KINDS if kind not in (*LEARNED, DictionaryIntervention)]


def ranked(kind, rank):
    """The rank, for those that have one."""
    return {"low_rank_dimension": rank} if "low_rank_dimension" in inspect.signature(kind.__init__).parameters else {}


@pytest.mark.parametrize("kind", TOLD)
def test_exchanging_with_itself_is_the_identity_and_all_of_it_gives_the_source(kind):
    exchange = kind(embed_dim=WIDTH, **ranked(kind, WIDTH))
    base, source = torch.randn(2, 7, WIDTH)
    assert torch.equal(exchange(base, base.clone()), base)
    torch.testing.assert_close(exchange(base, source), source, atol=1e-4, rtol=0)
    exchange.set_interchange_dim(0)
    assert torch.equal(exchange(base, source), base)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_exchanged_each_by_itself(kind):
    exchange = kind(embed_dim=WIDTH, keep_last_dim=True, **ranked(kind, 5))
    exchange.set_interchange_dim(5)
    base, source = torch.randn(2, 7, 3, WIDTH)
    got = exchange(base, source)
    for p in range(3):
        torch.testing.assert_close(got[:, p], exchange(base[:, p], source[:, p]))


@pytest.mark.parametrize("kind", TOLD)
def test_only_the_chosen_blocks_change_and_blocks_add_up(kind):
    exchange = kind(embed_dim=WIDTH, **ranked(kind, WIDTH), subspace_partition=[[0, 3], [3, 4], [5, 7, 11]])
    base, source = torch.randn(2, 2, WIDTH)
    both = exchange(base, source, [[0, 2], [1]])
    one_by_one = exchange(exchange(base, source, [[0], [1]]), source, [[2], [1]])
    torch.testing.assert_close(both, one_by_one, atol=1e-4, rtol=0)
    assert not torch.allclose(both, base)
    with pytest.raises(InvalidArgumentError, match=r"subspaces=\[3\] is not allowed: there are blocks 0..2"):
        exchange(base, source, [[3], [0]])
    with pytest.raises(InvalidArgumentError, match="subspaces has 1 entries, but there are 2 examples"):
        exchange(base, source, [[0]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_map_keeps_its_own_type_and_the_bases_comes_back(kind, dtype):
    exchange = kind(embed_dim=WIDTH, **ranked(kind, 5))
    base, source = torch.randn(2, 7, WIDTH).to(dtype)
    assert torch.equal(exchange(base, source), exchange(base.float(), source.float()).to(dtype))
    exchange.double()
    assert torch.equal(exchange(base, source), exchange(base.double(), source.double()).to(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_strict(kind):
    with pytest.raises(InvalidArgumentError, match="unknown argument embed_dims, width of"):
        kind(embed_dim=WIDTH, embed_dims=3, width=4)
    with pytest.raises(InvalidArgumentError, match="embed_dim=None is not allowed"):
        kind()
    with pytest.raises(InvalidArgumentError, match="embed_dim=0 is not allowed: it must be at least 1"):
        kind(embed_dim=0)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_what_pyvene_saves_pyvene_loads(kind, tmp_path, generator):
    model = RecurrentLM(RecurrentConfig(hidden_size=WIDTH, vocab_size=9)).eval()
    place = {"component": "state", "layer": 0, "unit": "pos", **ranked(kind, 4)}
    config = [{**place, "intervention_type": kind, "subspace_partition": [[0, 3], [3, 4]]}]
    intervenable = pv.IntervenableModel(pv.IntervenableConfig(config), model)
    base, source = torch.randint(9, (2, 6, 8), generator=generator)
    at = torch.randint(8, (6,), generator=generator)
    call = ({"input_ids": base}, [{"input_ids": source}], locations(at, at))
    subspaces = [[[i % 2] for i in range(6)]]
    save(intervenable, tmp_path)
    for again in (load(tmp_path, model), pv.IntervenableModel.load(str(tmp_path), model)):
        for chosen in (None, subspaces):
            want = intervenable(*call, subspaces=chosen)[1].logits
            assert torch.equal(again(*call, subspaces=chosen)[1].logits, want)


@torch.no_grad()
def test_an_intervention_built_by_hand_survives_pyvenes_reload(tmp_path, generator):
    """pyvene has no field for keep_last_dim and rebuilds at the width of both positions together."""
    model = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=8)).eval()
    laf = LinearAlignmentIntervention(embed_dim=WIDTH, keep_last_dim=True, subspace_partition=[[0, 5]])
    laf.set_interchange_dim(5)
    config = [{"component": "block_output", "layer": 1, "max_number_of_units": 2, "intervention": laf}]
    intervenable = pv.IntervenableModel(pv.IntervenableConfig(config), model)
    base, source = torch.randint(9, (2, 3, 8), generator=generator)
    where = {"sources->base": ([[[1, 4]] * 3], [[[2, 6]] * 3])}
    call = ({"input_ids": base}, [{"input_ids": source}], where)
    want = intervenable(*call)[1].logits
    assert not torch.allclose(want, model(base).logits, atol=1e-4)
    save(intervenable, tmp_path)
    again = load(tmp_path, model)
    assert torch.equal(again(*call)[1].logits, want)
    assert next(iter(again.interventions.values())).keep_last_dim is True


@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_made_on_the_device_of_the_states(kind, on_fake_cuda):
    with on_fake_cuda(kind(embed_dim=WIDTH, **ranked(kind, 5))) as exchange:
        base, source = torch.empty(2, 7, WIDTH, device="cuda")
        assert exchange(base, source).device.type == "cuda"
