"""Markov tests on the two extremes, built by hand: a counter with a state, and one that sums over its context."""

import pytest
import torch

from numsym.alignment import Site, interchange_pairs
from numsym.alignment.engines.pyvene import Whole
from numsym.alignment.markov import agrees, dependence, exchanged_logits, following, later, telling
from numsym.alignment.pairs import unexchanged
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import (
    RecurrentConfig,
    RecurrentLM,
    TransformerConfig,
    TransformerLM,
    build,
    counting_gru,
    counting_transformer,
    state_sites,
)
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 8), held_out=(3,), void_prob=0.2)


def draw(program="up_down", **options):
    program = TASK.program(program)
    pairs = interchange_pairs(TASK, program, ("full",), 120, generator=torch.Generator().manual_seed(1), **options)
    return pairs, unexchanged(TASK, program, pairs, torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def pairs():
    return draw()


@pytest.fixture(scope="module")
def demonstrating():
    return draw(positions={"phase": -1})


@pytest.fixture(scope="module")
def recurrent():
    return counting_gru(TASK.vocabulary, width=4)


@pytest.fixture(scope="module")
def attending():
    return counting_transformer(TASK.vocabulary)


def test_a_state_decides_all_that_follows(recurrent, pairs):
    found = following(recurrent, [Site("state")], *pairs)
    assert found.source.value + found.both.value == 1
    assert found.both.value < 0.1
    assert found.unexchanged.value == 1
    score = dependence(recurrent, *pairs)
    assert score.score == pytest.approx(1, abs=1e-6)
    assert score.state > 0.3


def test_a_sum_over_the_context_does_not_care_for_one_position(attending, demonstrating):
    """Exchanging one demonstration token for another is exchanging nothing; all of the count is in the context."""
    for sites in ([Site("block_output")], [Site("embeddings")], state_sites(attending)):
        found = following(attending, sites, *demonstrating)
        assert (found.base.value, found.source.value) == (1, 0)
    score = dependence(attending, *demonstrating)
    assert score.score == score.state == 0
    assert score.context > 0.2


def test_its_value_at_one_position_moves_the_sum(attending):
    """Between a demonstration and a response token Ctx-Distr's own counterfactual is met at the embedding."""
    context = draw("ctx_distr")[0]
    assert context.changed.float().mean() > 0.2
    for sites, share in (([Site("embeddings")], 1), ([Site("block_output")], 0)):
        unlike = later(context.rows((context.changed & later(context).scored.any(1)).nonzero()[:, 0]))
        assert agrees(attending, sites, unlike).float().mean() == share


def test_the_unexchanged_future_is_that_of_the_base(pairs, attending):
    exchanged, own = pairs
    assert torch.equal(own.base_at, exchanged.base_at)
    assert torch.equal(own.source_ids, exchanged.source_ids)
    names = TASK.vocabulary.tokens
    for row in range(len(own)):
        words = [names[i] for i in own.base_ids[row].tolist() if i]
        before = int(own.base_at[row]) + 1
        assert torch.equal(own.base_ids[row, :before], exchanged.base_ids[row, :before])
        n = int(own.base_counts[row])
        assert sum(word.startswith("D") for word in words) == words.count("R") == n
        assert words[-1] == "E"
        assert own.scored[row].sum() == (n - words[:before].count("R")) + 1


def test_telling_pairs_differ_in_later_tokens(pairs):
    exchanged, own = telling(*pairs)
    position = torch.arange(exchanged.base_ids.shape[1])
    assert not (exchanged.scored & (position <= exchanged.base_at[:, None] + 1)).any()
    assert exchanged.changed.all()
    assert 20 < len(exchanged) == len(own) < 120
    with pytest.raises(InvalidArgumentError, match="on all 120 of them source and base say the same"):
        telling(pairs[1], pairs[1])


@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_all_residuals_of_a_position_are_exchanged_as_by_transformer_lens(layers, pairs):
    torch.manual_seed(0)
    shape = {"vocab_size": TASK.vocab_size, "hidden_size": 8, "num_heads": 2, "num_layers": layers}
    model = TransformerLM(TransformerConfig(**shape)).eval()
    part = pairs[1].rows(slice(0, 20))
    sites, rows = state_sites(model), torch.arange(20)
    assert sites == [Site("block_input"), *(Site("block_output", i) for i in range(layers))]
    _, cache = model.bridge.run_with_cache(part.source_ids)

    def swap(value, hook):
        value = value.clone()
        value[rows, part.base_at] = cache[hook.name][rows, part.source_at]
        return value

    names = ["blocks.0.hook_in", *(f"blocks.{i}.hook_out" for i in range(layers))]
    want = model.bridge.run_with_hooks(part.base_ids, fwd_hooks=[(name, swap) for name in names])
    base = (part.base_ids, torch.ones_like(part.base_mask), part.base_at)
    source = (part.source_ids, torch.ones_like(part.source_mask), part.source_at)
    got = exchanged_logits(Whole(model.requires_grad_(False), sites), base, source)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    assert (got - model(part.base_ids).logits).abs().max() > 1e-4


def test_every_layer_of_a_recurrent_model_is_one_of_its_sites(pairs):
    torch.manual_seed(0)
    model = RecurrentLM(RecurrentConfig(vocab_size=TASK.vocab_size, hidden_size=6, cell="lstm", num_layers=2)).eval()
    assert state_sites(model) == [Site("state", 0), Site("state", 1)]
    assert dependence(model, *pairs).score == pytest.approx(1, abs=1e-4)
    # One layer alone leaves the other's state, so the context has an effect.
    assert dependence(model, *pairs, sites=[Site("state", 0)]).score < 0.999
    assert all(p.requires_grad for p in model.parameters())


def test_the_model_is_left_with_its_hooks_and_gradients(recurrent, pairs):
    seen = []
    hook = recurrent.embed.register_forward_hook(lambda *_: seen.append(1))
    recurrent.train().embed.requires_grad_(True)
    before = [p.requires_grad for p in recurrent.parameters()]
    following(recurrent, [Site("state")], *pairs)
    dependence(recurrent, *pairs)
    assert list(recurrent.embed._forward_hooks) == [hook.id]
    assert seen
    assert recurrent.training
    assert [p.requires_grad for p in recurrent.parameters()] == before
    hook.remove()


def test_what_cannot_be_tested_is_named(recurrent, pairs):
    with pytest.raises(UnknownNameError, match="unknown component of RecurrentLM 'block_output'"):
        following(recurrent, [Site("block_output")], *pairs)
    with pytest.raises(UnknownNameError, match="layer=3 is not allowed"):
        agrees(recurrent, [Site("state", 3)], pairs[0])


@pytest.mark.parametrize("kind", ["mamba2", "gated_deltanet"])
def test_all_states_of_a_linear_rnn_decide_what_follows_and_one_layer_does_not(kind):
    """Whatever its weights are: here as they were drawn, enlarged so that what came long ago is seen."""
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_heads": 2, "state_size": 2, "conv_kernel": 2, "num_layers": 2}
    model = build(TASK.vocab_size, kind, **shape)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(3)
    few = tuple(one.rows(slice(0, 24)) for one in draw())
    assert dependence(model, *few).score == pytest.approx(1, abs=1e-4)
    assert dependence(model, *few, sites=[Site("state", 0)]).score < 0.999
