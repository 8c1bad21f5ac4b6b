import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import LinearModularConfig, LinearModularModel


def build(kind):
    model = LinearModularModel(LinearModularConfig(p=7, kind=kind, hidden_size=8))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return model


def relu(x):
    return torch.clamp(x, min=0)


FORMULAS = {
    "A": lambda m, a, b: relu(m.l1(a + b)),
    "B": lambda m, a, b: relu(m.l2(relu(m.l1(a + b)))),
    "C": lambda m, a, b: relu(m.l2(relu(m.l1(a) + m.l1(b)))),
    "D": lambda m, a, b: relu(m.l1(torch.cat([a, b]))),
    "X": lambda m, a, b: relu(m.l1(a + b)),
}


@pytest.mark.parametrize("kind", sorted(FORMULAS))
def test_each_kind_is_its_formula(kind):
    model = build(kind)
    logits = model(torch.tensor([[2, 5]])).logits
    table_a, table_b = model.operand_embeddings()
    expected = model.unembed.weight @ FORMULAS[kind](model, table_a[2], table_b[5])
    assert logits.shape == (1, 2, 7)
    assert not logits[0, 0].any()
    torch.testing.assert_close(logits[0, 1], expected)
    torch.testing.assert_close(model(torch.tensor([[2, 5]]), last_only=True).logits[0, 0], expected)
    torch.testing.assert_close(model.answer_logits(table_a[[2]], table_b[[5]])[0], expected)


def test_widths_and_tables():
    assert build("D").embed.embedding_dim == 4
    table_a, table_b = build("X").operand_embeddings()
    assert not torch.equal(table_a, table_b)
    table_a, table_b = build("A").operand_embeddings()
    assert table_a is table_b


@pytest.mark.parametrize("kind", sorted(FORMULAS))
def test_saving_and_loading_keeps_every_weight(kind, tmp_path):
    model = build(kind)
    model.save_pretrained(tmp_path)
    again = LinearModularModel.from_pretrained(tmp_path)
    assert again.config.kind == kind
    assert model.state_dict().keys() == again.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_bad_input():
    with pytest.raises(UnknownNameError, match="unknown kind of linear model 'E': choose one of A, B, C, D, X"):
        LinearModularConfig(kind="E")
    with pytest.raises(InvalidArgumentError, match="hidden_size=7 is not allowed: kind D halves it"):
        LinearModularConfig(kind="D", hidden_size=7)
    with pytest.raises(InvalidArgumentError, match="give exactly one"):
        build("A")()
