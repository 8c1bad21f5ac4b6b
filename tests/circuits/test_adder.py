import pytest
import torch
from torch import nn

from numsym.circuits import Adder, as_adder, circuit_metrics, correct_logits, gradient_symmetricity
from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import LinearModularConfig, LinearModularModel, ModularTransformer, ModularTransformerConfig


def small(**settings):
    return ModularTransformer(ModularTransformerConfig(p=7, hidden_size=8, num_attention_heads=2, **settings)).eval()


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("equals", [False, True])
def test_the_table_is_what_the_model_says_for_every_pair(separate, equals):
    model = small(separate_vocabularies=separate, equals_sign=equals, alpha=0.6, num_hidden_layers=2)
    table = as_adder(model).table()
    for a, b in [(0, 0), (3, 5), (6, 2)]:
        tokens = [a, b + 7 * separate] + [model.config.vocab_size - 1] * equals
        with torch.no_grad():
            expected = model(torch.tensor([tokens])).logits[0, -1, :7]
        torch.testing.assert_close(table[a, b], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["A", "B", "C", "D", "X"])
def test_linear_models_too(kind):
    model = LinearModularModel(LinearModularConfig(p=7, kind=kind, hidden_size=8))
    table = as_adder(model).table()
    with torch.no_grad():
        torch.testing.assert_close(table[4, 2], model(torch.tensor([[4, 2]])).logits[0, -1], atol=1e-5, rtol=0)


def test_accuracy_counts_right_answers(clock, pizza):
    assert clock().accuracy() == 1.0
    assert pizza().accuracy() == 1.0
    right = clock()
    wrong = Adder(right.embed_a, right.embed_b, lambda a, b: right.logits(a, b).roll(1, 1))
    assert wrong.accuracy() == 0.0


def test_any_module_becomes_an_adder():
    model = small(equals_sign=True)
    tokens = torch.arange(7)
    adder = Adder.from_module(
        model,
        embedding=model.embed,
        prompt=torch.tensor([0, 0, 7]),
        operands=(0, 1),
        tokens_a=tokens,
        tokens_b=tokens,
        answers=tokens,
    )
    torch.testing.assert_close(adder.table(), as_adder(model).table(), atol=1e-5, rtol=0)
    assert gradient_symmetricity(adder) == pytest.approx(gradient_symmetricity(model), abs=1e-5)
    assert not model.embed._forward_hooks


def test_a_p_that_is_not_the_vocabulary_is_named():
    model = small()
    with pytest.raises(ModelMismatchError, match="tokens_b reaches token 8, but the vocabulary has 7"):
        Adder.from_module(
            model,
            embedding=model.embed,
            prompt=torch.tensor([0, 0]),
            operands=(0, 1),
            tokens_a=torch.arange(7),
            tokens_b=torch.arange(7) + 2,
            answers=torch.arange(7),
        )
    with pytest.raises(ModelMismatchError, match=r"both be \(p, hidden\), but they are \(7, 2\) and \(9, 2\)"):
        Adder(torch.zeros(7, 2), torch.zeros(9, 2), lambda a, b: a)
    wide = Adder(torch.randn(7, 9), torch.randn(7, 9), lambda a, b: a + b)
    with pytest.raises(ModelMismatchError, match=r"logits have shape \(49, 9\), but \(49, 7\) is needed"):
        wide.table()


def test_other_bad_input():
    with pytest.raises(InvalidArgumentError, match="model of type Linear is not a modular adder"):
        as_adder(nn.Linear(2, 2))
    model = small()
    with pytest.raises(InvalidArgumentError, match=r"operands=\(0, 2\)"):
        Adder.from_module(
            model,
            embedding=model.embed,
            prompt=torch.tensor([0, 0]),
            operands=(0, 2),
            tokens_a=torch.arange(7),
            tokens_b=torch.arange(7),
            answers=torch.arange(7),
        )


@pytest.mark.parametrize("p", [8, 9, 2])
def test_metrics_refuse_a_p_they_are_not_defined_for(clock, p):
    with pytest.raises(InvalidArgumentError, match=f"p={p} is not allowed: circularity needs an odd prime"):
        circuit_metrics(clock(p=p, frequencies=(1,)))
    if p % 2 == 0:
        with pytest.raises(InvalidArgumentError, match="needs an odd p"):
            correct_logits(clock(p=p, frequencies=(1,)))
