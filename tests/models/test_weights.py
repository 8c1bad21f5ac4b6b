import pytest
import torch
from torch import nn

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import (
    LinearModularConfig,
    LinearModularModel,
    ModularTransformer,
    ModularTransformerConfig,
    RecurrentConfig,
    RecurrentLM,
    TransformerConfig,
    TransformerLM,
)
from numsym.models.weights import check_hash, hash_of, read_model, read_weights, unchanging, write_weights


def made(seed, kind="gru"):
    torch.manual_seed(seed)
    if kind == "gru":
        return RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=6))
    if kind == "transformer":
        return TransformerLM(TransformerConfig(vocab_size=9, hidden_size=8, num_heads=2, num_layers=1))
    tied = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    tied[1].weight = tied[0].weight
    return tied


@pytest.mark.parametrize("kind", ["gru", "transformer", "tied"])
def test_weights_come_back_bit_for_bit_in_the_memory_that_is_there(kind, tmp_path):
    first, second = made(0, kind), made(1, kind)
    places = [parameter.data_ptr() for parameter in second.parameters()]
    assert hash_of(first) != hash_of(second)
    write_weights(first, tmp_path)
    read_weights(second, tmp_path)
    assert hash_of(first) == hash_of(second)
    assert [parameter.data_ptr() for parameter in second.parameters()] == places


def test_other_weights_are_refused():
    check_hash(made(0), hash_of(made(0)))
    with pytest.raises(ModelMismatchError, match="the alignment was fitted to weights with hash"):
        check_hash(made(0), hash_of(made(1)))


def test_a_model_is_read_by_its_folder_whatever_it_is(tmp_path):
    made(0).save_pretrained(tmp_path / "gru")
    ModularTransformer(ModularTransformerConfig(p=5, hidden_size=8)).save_pretrained(tmp_path / "adder")
    assert isinstance(read_model(tmp_path / "gru"), RecurrentLM)
    assert isinstance(read_model(tmp_path / "adder"), ModularTransformer)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match="the folder holds no model"):
        read_model(tmp_path / "empty")
    with pytest.raises(InvalidArgumentError, match="there is no such file"):
        read_model(tmp_path / "model_nothing.pt")


def test_within_a_block_the_weights_are_read_once_and_after_it_anew(monkeypatch):
    model, read = made(0, "tied"), []
    own = model.state_dict
    monkeypatch.setattr(model, "state_dict", lambda: read.append(1) or own())
    with unchanging(model):
        inside = [hash_of(model), hash_of(model)]
        with unchanging(model):
            inside.append(hash_of(model))
        inside.append(hash_of(model))
    assert len(read) == 1
    assert set(inside) == {hash_of(model)}
    with torch.no_grad():
        model[0].weight.add_(1)
    assert hash_of(model) not in inside


def test_a_model_that_is_read_lies_as_one_that_is_made(tmp_path):
    """In the file, weights lie one behind the other."""
    made = LinearModularModel(LinearModularConfig(p=7, hidden_size=10))
    made.save_pretrained(tmp_path)
    read = read_model(tmp_path)
    assert all(weight.data_ptr() % 64 == 0 for weight in read.state_dict().values())
    assert hash_of(read) == hash_of(made)
    inputs = torch.randint(7, (50, 2))
    assert torch.equal(read(inputs).logits, made.eval()(inputs).logits)
