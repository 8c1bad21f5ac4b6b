import pytest
import torch

from numsym.alignment.engines.resumed_transformer import COMPONENTS, Context, ResumedTransformer
from numsym.models import TransformerConfig, TransformerLM
from numsym.models.site import Site

HOOKS = {
    "embeddings": "embed.hook_out",
    "block_input": "blocks.1.hook_in",
    "block_output": "blocks.1.hook_out",
    "attention_value_output": "blocks.1.attn.hook_z",
    "attention_output": "blocks.1.attn.hook_out",
    "mlp_activation": "blocks.1.mlp.out.hook_in",
    "mlp_output": "blocks.1.mlp.hook_out",
}
STARTS, STEPS = torch.tensor([0, 4, 2, 6]), torch.tensor([7, 1, 4, 2])


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = TransformerConfig(vocab_size=9, hidden_size=12, num_heads=2, num_layers=3, max_positions=16)
    return TransformerLM(config).eval().requires_grad_(False)


@pytest.fixture
def ids(generator):
    return torch.randint(9, (4, 9), generator=generator)


@pytest.mark.parametrize("component", COMPONENTS)
@torch.no_grad()
def test_values_are_what_the_models_own_hooks_see(component, model, ids):
    _, cache = model.bridge.run_with_cache(ids)
    seen = cache[HOOKS[component]].flatten(2)[torch.arange(4), STARTS]
    resumed = ResumedTransformer(model, Site(component, 1))
    torch.testing.assert_close(resumed.value(ids, STARTS), seen, atol=1e-5, rtol=0)
    torch.testing.assert_close(resumed.context(ids, STARTS, STEPS).value, seen, atol=1e-5, rtol=0)


@pytest.mark.parametrize("component", COMPONENTS)
@torch.no_grad()
def test_with_a_new_value_it_gives_what_the_models_own_hooks_give(component, model, ids):
    resumed = ResumedTransformer(model, Site(component, 1))
    context = resumed.context(ids, STARTS, STEPS)
    value = torch.randn_like(context.value)

    def put(seen, hook):
        seen = seen.clone()
        seen[torch.arange(4), STARTS] = value.view(4, *seen.shape[2:])
        return seen

    want = model.bridge.run_with_hooks(ids, fwd_hooks=[(HOOKS[component], put)])
    step = torch.arange(7)
    where = (step < STEPS[:, None]) & (step != 1)
    at = (STARTS[:, None] + step).clamp(max=8)
    want = want[torch.arange(4)[:, None], at][where]
    torch.testing.assert_close(resumed.resume(value, context, where), want, atol=1e-5, rtol=0)
    unchanged = resumed.resume(context.value, context, where)
    torch.testing.assert_close(unchanged, model(ids).logits[torch.arange(4)[:, None], at][where], atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_of_a_context_are_the_contexts_of_these_rows(model, ids):
    resumed, rows = ResumedTransformer(model, Site("block_output", 0)), torch.tensor([2, 0])
    picked = resumed.context(ids, STARTS, STEPS).rows(rows, resumed.device)
    joined = Context.join([resumed.context(ids[[row]], STARTS[[row]], STEPS[[row]]) for row in rows.tolist()])
    for name in ("value", "rest", "suffix", "starts", "steps"):
        torch.testing.assert_close(getattr(picked, name), getattr(joined, name), atol=1e-5, rtol=0)
    for ours, own in zip(picked.past, joined.past, strict=True):
        torch.testing.assert_close(ours, own, atol=1e-5, rtol=0)
    assert [len(past) for past in picked.past] == [2, 2]


def test_memory_is_told_before_it_is_taken(model, ids):
    resumed = ResumedTransformer(model, Site("block_output", 0))
    context = resumed.context(ids, STARTS, STEPS)
    assert context.nbytes == resumed.context_bytes(STARTS, STEPS)
    # Two layers above, 12 wide: 4 pairs' value and rest, 14 tokens of suffix, keys and values of 12 before.
    assert context.nbytes == 4 * 12 * (2 * 4 + 14 + 2 * 2 * 12)
