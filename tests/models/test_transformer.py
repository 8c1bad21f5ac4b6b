import pytest
import pyvene as pv
import torch
from transformers import AutoModelForCausalLM

from numsym.models import TransformerConfig, TransformerLM, components_of

HOOKS = {
    "block_input": "hook_in",
    "block_output": "hook_out",
    "attention_output": "attn.hook_out",
    "mlp_activation": "mlp.out.hook_in",
    "mlp_output": "mlp.hook_out",
    "query_output": "attn.hook_q",
    "key_output": "attn.hook_k",
    "value_output": "attn.hook_v",
    "attention_value_output": "attn.hook_z",
}


def make(**changes):
    torch.manual_seed(0)
    shape = {"vocab_size": 9, "hidden_size": 24, "num_heads": 3, "num_layers": 2, "max_positions": 32}
    model = TransformerLM(TransformerConfig(**shape | changes)).eval()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # biases and scales too: they start at 0 and 1, where mistakes hide
            torch.nn.init.normal_(parameter, 1.0 if "ln" in name else 0.0, 0.3)
    return model


@pytest.fixture
def trials(generator):
    base, source = (torch.randint(9, (6, 12), generator=generator) for _ in range(2))
    base_at, source_at = (torch.randint(12, (6,), generator=generator) for _ in range(2))
    return base, source, base_at, source_at


def exchanged_by_transformer_lens(model, name, trials, head=None):
    """One position per example of a TransformerLens hook point, by its own hooks."""
    base, source, base_at, source_at = trials
    rows = torch.arange(len(base))
    _, cache = model.bridge.run_with_cache(source)
    heads = slice(None) if head is None else head

    def swap(value, hook):
        value = value.clone()
        if value.ndim == 4:
            value[rows, base_at, heads] = cache[name][rows, source_at, heads]
        else:
            value[rows, base_at] = cache[name][rows, source_at]
        return value

    return model.bridge.run_with_hooks(base, fwd_hooks=[(name, swap)])


def exchanged_by_pyvene(model, component, layer, trials, head=None):
    base, source, base_at, source_at = trials
    at, unit = [base_at[:, None].tolist(), source_at[:, None].tolist()], "pos"
    if head is not None:
        at, unit = [[[[head]] * len(base), positions] for positions in at], "h.pos"
    place = {"layer": layer, "component": component, "unit": unit, "intervention_type": pv.VanillaIntervention}
    intervenable = pv.IntervenableModel(pv.IntervenableConfig([place]), model)
    where = {"sources->base": ([at[1]], [at[0]])}
    return intervenable({"input_ids": base}, [{"input_ids": source}], where)[1].logits


@pytest.mark.parametrize("component", HOOKS)
@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_pyvene_intervenes_as_transformer_lens_does(component, layer, trials):
    model = make()
    want = exchanged_by_transformer_lens(model, f"blocks.{layer}.{HOOKS[component]}", trials)
    got = exchanged_by_pyvene(model, component, layer, trials)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    assert (got - model(trials[0]).logits).abs().max() > 1e-3


@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@pytest.mark.parametrize("norm", ["rms", "layer", "none"])
@torch.no_grad()
def test_pyvene_intervenes_as_transformer_lens_does_in_every_architecture(positions, norm, trials):
    model = make(positions=positions, norm=norm)
    for component, hook in (("block_output", "blocks.0.hook_out"), ("embeddings", "embed.hook_out")):
        want = exchanged_by_transformer_lens(model, hook, trials)
        torch.testing.assert_close(exchanged_by_pyvene(model, component, 0, trials), want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["query_output", "key_output", "value_output", "attention_value_output"])
@torch.no_grad()
def test_single_heads_are_exchanged(name, trials):
    model = make()
    want = exchanged_by_transformer_lens(model, f"blocks.0.{HOOKS[name]}", trials, head=1)
    got = exchanged_by_pyvene(model, f"head_{name}", 0, trials, head=1)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    assert (got - exchanged_by_pyvene(model, f"head_{name}", 0, trials, head=2)).abs().max() > 1e-4


@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@torch.no_grad()
def test_padding_on_either_side_gives_the_same_logits(positions, generator):
    model = make(positions=positions)
    ids = torch.randint(9, (4, 7), generator=generator)
    pad, zero, one = torch.zeros(4, 3, dtype=torch.long), torch.zeros(4, 3), torch.ones(4, 7)
    right = model(torch.cat([ids, pad], 1), torch.cat([one, zero], 1).bool()).logits[:, :7]
    left = model(torch.cat([pad, ids], 1), torch.cat([zero, one], 1).bool()).logits[:, 3:]
    torch.testing.assert_close(right, model(ids).logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(left, model(ids).logits, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(positions, tmp_path, generator):
    model = make(positions=positions)
    ids = torch.randint(9, (4, 11), generator=generator)
    model.save_pretrained(tmp_path)
    for again in (TransformerLM.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)):
        assert isinstance(again, TransformerLM)
        assert vars(again.config).items() >= {"positions": positions, "num_heads": 3}.items()
        assert torch.equal(again(ids).logits, model(ids).logits)


@torch.no_grad()
def test_without_positions_order_is_invisible_to_the_last_token(generator):
    """With one layer; the others' own states depend on what is before them."""
    ids = torch.randint(9, (4, 9), generator=generator)
    shuffled = torch.cat([ids[:, torch.randperm(8, generator=generator)], ids[:, -1:]], 1)
    model = make(positions="none", num_layers=1)
    torch.testing.assert_close(model(shuffled).logits[:, -1], model(ids).logits[:, -1], atol=1e-5, rtol=0)
    rotary = make(positions="rotary", num_layers=1)
    assert (rotary(shuffled).logits[:, -1] - rotary(ids).logits[:, -1]).abs().max() > 1e-3


def test_positions_stay_absent_when_trained():
    model = make(positions="none")
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.arange(9)[None]).logits.square().sum().backward()
    optimiser.step()
    assert not model.bridge.pos_embed.weight.any()


@torch.no_grad()
def test_in_bfloat16_it_stays_in_bfloat16(generator):
    ids = torch.randint(9, (2, 5), generator=generator)
    logits = make().to(torch.bfloat16)(ids, torch.ones(2, 5, dtype=torch.long)).logits
    assert logits.dtype is torch.bfloat16
    torch.testing.assert_close(logits.float(), make()(ids).logits, atol=0.3, rtol=0.1)


def test_what_is_not_allowed_is_named():
    with pytest.raises(ValueError, match=r"num_heads=5 .* must divide hidden_size=24"):
        make(num_heads=5)
    with pytest.raises(ValueError, match=r"heads of 3 are odd"):
        make(num_heads=8)
    with pytest.raises(ValueError, match=r"unknown positions .sinusoidal.: choose one of learned, none, rotary"):
        make(positions="sinusoidal")
    with pytest.raises(ValueError, match=r"33 positions .* max_positions=32"):
        make()(torch.zeros(1, 33, dtype=torch.long))
    assert {"block_output", "head_value_output", "embeddings"} <= set(components_of(make()))
