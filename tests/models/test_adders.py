import pytest
import torch

from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models.adders import ARCHITECTURES, build_adder, build_modular, number_rows
from numsym.tasks import ModularAddition
from numsym.tasks.addition import AdditionTask

TASK = AdditionTask(base=8, digits=1)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_unembedding_is_the_embedding(architecture):
    model = build_adder(architecture, TASK, width=16)
    rows = number_rows(model, TASK.base)
    assert rows.shape == (8, 16)
    tokens = TASK.sample(3).input_ids
    logits = model(input_ids=tokens)["logits"]
    assert logits.shape == (3, 5, TASK.vocab_size)
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = 0
    # A token whose row is zero has a logit of zero, wherever it is not itself read.
    read = (tokens == 7).any(dim=1)
    assert torch.equal(model(input_ids=tokens)["logits"][~read][..., 7], torch.zeros((~read).sum(), 5))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_do_not_see_what_comes_later(architecture):
    model = build_adder(architecture, TASK, width=16).eval()
    rows = TASK.sample(1).input_ids.repeat(2, 1)
    rows[1, 3:] = 0
    logits = model(input_ids=rows)["logits"]
    torch.testing.assert_close(logits[0, :3], logits[1, :3])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_seed_is_that_of_the_weights_and_the_global_generator_is_left(architecture):
    state = torch.get_rng_state()
    rows = [number_rows(build_adder(architecture, TASK, width=8, seed=seed), TASK.base) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    torch.manual_seed(1)
    again = build_adder(architecture, TASK, width=8, seed=2)
    assert torch.equal(number_rows(again, TASK.base), rows[2])


def test_the_spread_of_a_transformer_is_given():
    wide, usual = (number_rows(build_adder("transformer", TASK, width=64, spread=s), TASK.base) for s in (0.5, None))
    assert float(wide.std()) == pytest.approx(0.5, rel=0.1)
    assert float(usual.std()) == pytest.approx(0.02, rel=0.1)


def test_a_modular_adder_reads_the_tokens_of_its_task():
    task = ModularAddition(p=5, separate_vocabularies=True, equals_sign=True)
    model = build_modular(task, hidden_size=8, num_attention_heads=2, alpha=0.5)
    assert (model.config.vocab_size, model.config.alpha) == (11, 0.5)
    assert model(task.sample(3).input_ids[:, :-1]).logits.shape == (3, 3, 11)


def test_what_there_is_not_is_refused():
    task = ModularAddition(p=5)
    with pytest.raises(
        UnknownNameError, match="unknown architecture 'rnn': choose one of gated_deltanet, gru, lstm, mamba2, "
    ):
        build_adder("rnn", TASK)
    with pytest.raises(UnknownNameError, match="unknown kind of modular adder 'E': choose one of A, B, C, D, X, trans"):
        build_modular(task, kind="E")
    with pytest.raises(InvalidArgumentError, match="kind='A' is not allowed: linear models read"):
        build_modular(ModularAddition(p=5, equals_sign=True), kind="A")
    with pytest.raises(InvalidArgumentError, match="model has alpha, which is not allowed: LinearModularConfig has no"):
        build_modular(task, kind="A", alpha=0.5)
    with pytest.raises(InvalidArgumentError, match="model has width, which is not allowed: ModularTransformerConfig"):
        build_modular(task, width=8)
