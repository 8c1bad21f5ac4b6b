import pytest
import torch
from torch import nn

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import ModularTransformer, ModularTransformerConfig


def build(**settings):
    shape = {"p": 7, "hidden_size": 8, "num_attention_heads": 2, "alpha": 0.3, "num_hidden_layers": 2}
    return ModularTransformer(ModularTransformerConfig(**(shape | settings))).eval()


def by_hand(model, tokens):
    """One sequence, one head, one position at a time."""
    config = model.config
    x = [model.embed.weight[t] + model.positions.weight[i] for i, t in enumerate(tokens)]
    size = config.hidden_size // config.num_attention_heads
    for block in model.blocks:
        attention, after = block.attention, []
        for i in range(len(x)):
            parts = []
            for head in range(config.num_attention_heads):
                rows = slice(head * size, (head + 1) * size)
                query = attention.query.weight[rows] @ x[i]
                scores = torch.stack([query @ (attention.key.weight[rows] @ y) for y in x]) / size**0.5
                weights = config.alpha * torch.softmax(scores, 0) + (1 - config.alpha)
                parts.append(sum(w * (attention.value.weight[rows] @ y) for w, y in zip(weights, x, strict=True)))
            y = x[i] + attention.output.weight @ torch.cat(parts)
            hidden = torch.clamp(block.mlp.expand.weight @ y + block.mlp.expand.bias, min=0)
            after.append(y + block.mlp.contract.weight @ hidden + block.mlp.contract.bias)
        x = after
    return torch.stack([model.unembed.weight @ y for y in x])


@pytest.mark.parametrize("alpha", [0, 0.3, 1])
@pytest.mark.parametrize("equals", [False, True])
def test_logits_are_those_computed_by_hand(alpha, equals):
    model = build(alpha=alpha, equals_sign=equals)
    tokens = [3, 5] + [7] * equals
    with torch.no_grad():
        torch.testing.assert_close(
            model(torch.tensor([tokens])).logits[0], by_hand(model, tokens), atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("layers", [1, 2])
def test_the_last_position_alone_gives_the_same_numbers(layers):
    model, tokens = build(num_hidden_layers=layers), torch.randint(7, (20, 2))
    torch.testing.assert_close(model(tokens, last_only=True).logits, model(tokens).logits[:, -1:])


def test_saving_and_loading_keeps_every_weight(tmp_path):
    model = build(separate_vocabularies=True, equals_sign=True)
    model.save_pretrained(tmp_path)
    again = ModularTransformer.from_pretrained(tmp_path)
    for name in ("p", "alpha", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
        assert getattr(again.config, name) == getattr(model.config, name), name
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_vocabulary_and_positions_follow_the_options():
    model = build(separate_vocabularies=True, equals_sign=True)
    assert model.config.vocab_size == model.unembed.out_features == 15
    assert model.positions.num_embeddings == 3
    table_a, table_b = model.operand_embeddings()
    assert torch.equal(torch.cat([table_a, table_b]), model.embed.weight[:14])


def test_the_start_has_the_scale_of_the_paper():
    model = build(p=59, hidden_size=128, num_attention_heads=4)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            expected = (59 if module is model.unembed else 128) ** -0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.15)
        if isinstance(module, nn.Linear) and module.bias is not None:
            assert not module.bias.any()


def test_the_pattern_can_be_read():
    model, seen = build(alpha=0.25, num_hidden_layers=1), []
    model.blocks[0].attention.pattern.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(torch.randint(7, (5, 2)))
    # Softmax weights add up to 1; the constant part gives every one of the two positions 0.75.
    torch.testing.assert_close(seen[0].sum(-1), torch.full((5, 2, 2), 0.25 + 2 * 0.75))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"alpha": 1.5}, "alpha=1.5 is not allowed"),
        ({"alpha": float("nan")}, "alpha=nan is not allowed"),
        ({"p": 1}, "p=1 is not allowed"),
        ({"num_attention_heads": 3}, "num_attention_heads=3 is not allowed: it must divide hidden_size=8"),
        ({"num_hidden_layers": 0}, "num_hidden_layers=0 is not allowed"),
    ],
)
def test_bad_shapes(settings, text):
    with pytest.raises(InvalidArgumentError, match=text):
        build(**settings)


def test_bad_inputs():
    model = build()
    with pytest.raises(InvalidArgumentError, match="give exactly one"):
        model()
    with pytest.raises(ModelMismatchError, match="input_ids has 3 positions, but this model reads 2"):
        model(torch.zeros(1, 3, dtype=torch.long))


def test_the_shared_evaluation_reads_it():
    from numsym.tasks import ModularAddition
    from numsym.training import evaluate

    task = ModularAddition(p=7, equals_sign=True)
    model = build(equals_sign=True)
    tokens = task.whole().input_ids
    with torch.no_grad():
        right = model(tokens[:, :-1]).logits[:, -1].argmax(-1) == tokens[:, -1]
    assert evaluate(model, task, n=3000).accuracy == pytest.approx(right.float().mean().item(), abs=0.05)


def test_embeddings_of_a_do_not_need_b():
    model, seen = build(), []
    model.embedded.register_forward_hook(lambda module, inputs, output: seen.append(output[:, 0]))
    model(torch.tensor([[4, 2]]))
    model(torch.tensor([[4]]))
    assert torch.equal(*seen)
