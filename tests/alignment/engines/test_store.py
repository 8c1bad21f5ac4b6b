"""What engines keep of bases, and where: as much as there is room for, once for all who ask for the same."""

import pytest
import torch

import numsym
from numsym.alignment.engines.stepped import SteppedEngine
from numsym.alignment.engines.store import Store
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import TransformerConfig, TransformerLM
from numsym.models.site import Site

TASK = numsym.tasks.MultiObject(counts=range(1, 4), held_out=())


class Held:
    """What would be kept of two tokens."""

    nbytes = 8


def test_the_same_bases_are_kept_once_and_others_only_where_there_is_room():
    store, made = Store[Held](12, torch.device("cpu")), []

    def make(home):
        made.append(home)
        return Held()

    one = store.take((torch.tensor([1, 2]),), 8, make)
    assert store.take((torch.tensor([1, 2]),), 8, make) is one
    assert store.take((torch.tensor([1, 3]),), 8, make) is None
    del one
    assert store.take((torch.tensor([1, 3]),), 8, make) is not None
    assert made == [None, None]


def tensors_of(kept):
    """All tensors of what an engine keeps, but those that say which tokens are where."""
    for name, value in vars(kept).items():
        parts = value.values() if isinstance(value, dict) else [value]
        for part in parts:
            sides = part if isinstance(part, tuple | list) else [part]
            yield from (side for side in sides if isinstance(side, torch.Tensor) and name not in ("starts", "steps"))


def linear_rnn(home):
    model = numsym.models.build(TASK.vocab_size, "mamba2", hidden_size=8, num_heads=2, state_size=2, conv_kernel=2)
    site = Site("state", 0)
    return SteppedEngine(model.requires_grad_(False), site, [build("low_rank", site.check(model), 4, 1, 0)], home=home)


def own(home):
    config = TransformerConfig(vocab_size=TASK.vocab_size, hidden_size=8, num_heads=2, num_layers=2)
    model = TransformerLM(config).eval().requires_grad_(False)
    return TransformerEngine(model, Site("block_output", 0), [build("linear", 8, 4, 1, 0)], home=home)


@pytest.mark.parametrize("made", [linear_rnn, own, "gpt2"], ids=["stepped", "transformer", "suffix"])
def test_engines_keep_bases_where_they_are_told_to(decoder, made):
    if made == "gpt2":
        engine = SuffixEngine(decoder("gpt2"), Site("block_output", 1), [build("linear", 32, 4, 1, 0)], home="meta")
    else:
        engine = made("meta")
    generator = torch.Generator().manual_seed(0)
    prepared = engine.prepare(interchange_pairs(TASK, TASK.program("up_down"), ("count",), 8, generator=generator))
    kept = prepared.context if made is own else prepared.kept
    assert {side.device.type for side in tensors_of(kept)} == {"meta"}
    assert prepared.source.device.type == "cpu"


def test_a_search_of_ten_times_what_may_be_kept_finds_the_same(decoder, monkeypatch):
    """Bases of every set of pairs are run again for each batch."""
    few = {"search": {"max_steps": 4, "check_every": 2}, "pairs": {"train": 80, "validation": 30, "test": 40}}
    model, take = decoder("gpt2"), Store.take

    def search(bound):
        asked, kept = [], []

        def noted(self, wanted, size, make):
            self.cache_bytes = bound
            asked.append(size)
            kept.append(take(self, wanted, size, make))
            return kept[-1]

        monkeypatch.setattr(Store, "take", noted)
        found = numsym.align(
            model, TASK, site="block_output:1", alignment="orthogonal", subspace_dim=2, controls=False, **few
        )
        return found, min(asked), [one is not None for one in kept]

    free, smallest, kept = search(1 << 40)
    bounded, _, again = search(smallest // 10)
    assert all(kept)
    assert not any(again)
    learned = [list(one.intervention.parameters()) for one in (bounded, free)]
    torch.testing.assert_close(*learned, atol=1e-5, rtol=1e-4)
    assert bounded.test.iia == free.test.iia


@pytest.mark.cuda
@pytest.mark.parametrize("home", [None, "cpu"])
def test_cuda_gives_the_same_from_the_hosts_memory(home):
    generator, found = torch.Generator().manual_seed(0), []
    pairs = interchange_pairs(TASK, TASK.program("up_down"), ("count",), 20, generator=generator)
    model = own(None).model
    for device in ("cpu", "cuda"):
        one = build("linear", 8, 4, 1, 0).to(device)
        engine = TransformerEngine(model.to(device), Site("block_output", 0), [one], home=home)
        found.append(engine.measure([engine.prepare(pairs)], [torch.arange(20)], [0])[0].cpu())
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-4)
