import pytest
import torch

from numsym.models import TransformerConfig, TransformerLM
from numsym.models.packed_blocks import PARTS, PackedBlock, Plan, Tokens, ranks

LENGTHS = torch.tensor([3, 7, 1])
HERE = torch.device("cpu")


def make(**changes):
    torch.manual_seed(0)
    shape = {"vocab_size": 9, "hidden_size": 12, "num_heads": 2, "num_layers": 2, "max_positions": 16}
    return TransformerLM(TransformerConfig(**shape | changes)).eval().requires_grad_(False)


def test_tokens_lie_row_after_row():
    tokens = Tokens.spans(torch.tensor([2, 0, 5]), torch.tensor([2, 0, 3]))
    assert tokens.row.tolist() == [0, 0, 2, 2, 2]
    assert tokens.position.tolist() == [2, 3, 5, 6, 7]
    assert tokens.at(torch.tensor([1, 4])).position.tolist() == [3, 7]
    assert ranks(torch.tensor([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("positions", ["rotary", "learned", "none"])
@pytest.mark.parametrize("norm", ["rms", "layer", "none"])
@torch.no_grad()
def test_packed_it_gives_what_the_models_block_gives(positions, norm):
    model, x = make(positions=positions, norm=norm), torch.randn(3, 7, 12)
    mask = torch.arange(7) < LENGTHS[:, None]
    native = model.bridge.original_model.layers[1]
    at = torch.arange(7).expand(3, 7)
    want = native(x, attention_mask=mask.long(), position_ids=at)[0][mask]
    tokens, block = Tokens.spans(torch.zeros(3, dtype=torch.long), LENGTHS), PackedBlock(model, 1)
    torch.testing.assert_close(block(x[mask], Plan(3, tokens, tokens, None, HERE)), want, atol=1e-5, rtol=0)


@torch.no_grad()
def test_with_a_past_and_with_few_queries_it_gives_the_same():
    block, x = PackedBlock(make(), 0), torch.randn(11, 12)
    every = Tokens.spans(torch.zeros(3, dtype=torch.long), LENGTHS)
    whole = block(x, Plan(3, every, every, None, HERE))
    before = every.position < torch.tensor([1, 4, 0])[every.row]
    past = block.keys_and_values(x[before], every.at(before).position)
    asked = torch.tensor([1, 2, 5])  # of the six that are left
    tokens = every.at(~before)
    plan = Plan(3, tokens.at(asked), tokens, every.at(before), HERE)
    few = block(x[~before], plan, queries=x[~before][asked], past=past)
    torch.testing.assert_close(few, whole[~before][asked], atol=1e-5, rtol=0)


@pytest.mark.parametrize("part", PARTS)
@torch.no_grad()
def test_from_each_part_it_goes_on_to_the_same_output(part):
    block, x = PackedBlock(make(), 0), torch.randn(11, 12)
    tokens = Tokens.spans(torch.zeros(3, dtype=torch.long), LENGTHS)
    plan = Plan(3, tokens, tokens, None, HERE)
    value, rest = block.part(part, x, block.attend(x, plan))
    torch.testing.assert_close(block.onward(part, value, rest), block(x, plan), atol=1e-6, rtol=0)


def test_every_tensor_is_made_on_the_device_of_the_model(on_fake_cuda):
    tokens = Tokens.spans(torch.zeros(3, dtype=torch.long), LENGTHS)
    plan = Plan(3, tokens, tokens, tokens, HERE)
    with on_fake_cuda(make()) as model:
        for name, value in vars(plan).items():
            if isinstance(value, torch.Tensor):
                setattr(plan, name, torch.empty(value.shape, dtype=value.dtype, device="cuda"))
        x, past = torch.empty(11, 12, device="cuda"), torch.empty(11, 24, device="cuda")
        assert PackedBlock(model, 0)(x, plan, past=past).device.type == "cuda"
