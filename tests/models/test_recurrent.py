import pytest
import torch
from transformers import AutoModelForCausalLM

from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.tasks import MultiObject


def make(cell="gru", **changes):
    return RecurrentLM(RecurrentConfig(**{"cell": cell, "vocab_size": 9, "hidden_size": 12} | changes)).eval()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(cell, layers, tmp_path, generator):
    model = make(cell, num_layers=layers)
    ids = torch.randint(9, (4, 11), generator=generator)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    for again in (RecurrentLM.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)):
        assert isinstance(again, RecurrentLM)
        assert (again.config.cell, again.config.num_layers) == (cell, layers)
        assert torch.equal(again(ids).logits, model(ids).logits)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@torch.no_grad()
def test_steps_from_a_state_equal_the_whole_pass(cell, generator):
    model = make(cell, num_layers=2)
    ids = torch.randint(9, (4, 11), generator=generator)
    want, states = model(ids).logits, model.initial_states(4)
    for t in range(11):
        logits, states = model.step(ids[:, t], states)
        torch.testing.assert_close(logits, want[:, t], atol=1e-6, rtol=0)


@torch.no_grad()
def test_only_the_wanted_positions_are_decoded(generator):
    model = make()
    ids = torch.randint(9, (4, 11), generator=generator)
    keep = torch.rand(4, 11, generator=generator) < 0.3
    torch.testing.assert_close(model(ids, logits_to_keep=keep).logits, model(ids).logits[keep])


@torch.no_grad()
def test_padding_on_either_side_gives_the_same_logits(generator):
    model = make("lstm")
    ids = torch.randint(9, (4, 7), generator=generator)
    pad, zero, one = torch.zeros(4, 3, dtype=torch.long), torch.zeros(4, 3), torch.ones(4, 7)
    right = model(torch.cat([ids, pad], 1), torch.cat([one, zero], 1).bool()).logits[:, :7]
    left = model(torch.cat([pad, ids], 1), torch.cat([zero, one], 1).bool()).logits[:, 3:]
    torch.testing.assert_close(right, model(ids).logits, atol=1e-6, rtol=0)
    torch.testing.assert_close(left, model(ids).logits, atol=1e-6, rtol=0)


def test_it_goes_on_by_itself_from_any_state(generator):
    """Against whole passes over the growing sequence, and against a network that is known to count."""
    model = make("lstm", num_layers=2)
    ids = torch.randint(9, (4, 5), generator=generator)
    got = model.generate(ids, max_new_tokens=6)
    grown = ids
    for _ in range(6):
        grown = torch.cat([grown, model(grown).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(got, grown[:, 5:])
    states = [layer[:, 2] for layer in model.states(ids)]
    assert torch.equal(model.generate(ids[:, 3:], states, max_new_tokens=6), got)
    task = MultiObject()
    words = torch.tensor([[task.vocabulary.tokens.index(w) for w in ["B", "D0", "D2", "D1", "T"]]])
    said = counting_gru(task.vocabulary).generate(words, eos_token_id=task.vocabulary.eos)
    assert task.text(said[0]) == "R R R E"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "rnn"}, "unknown cell 'rnn': choose one of gru, lstm"),
        ({"vocab_size": 0}, "vocab_size=0 is not allowed"),
        ({"hidden_size": 0}, "hidden_size=0 is not allowed"),
        ({"num_layers": 0}, "num_layers=0 is not allowed"),
        ({"cell": "lstm", "hidden_size": 7}, "hidden_size=7 is not allowed: an LSTM's state is two halves"),
    ],
)
def test_bad_shapes_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        RecurrentConfig(**changes)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_every_tensor_is_made_on_the_models_device(cell):
    """On the meta device: fused recurrences refuse fake CUDA tensors where torch has no CUDA."""
    model = make(cell, num_layers=2).to("meta")
    ids = torch.zeros(4, 7, dtype=torch.long, device="meta")
    mask = torch.ones(4, 7, dtype=torch.bool, device="meta")
    assert model(ids, mask).logits.device.type == "meta"
    assert all(state.device.type == "meta" for state in model.states(ids, mask))
    logits, states = model.step(ids[:, 0], model.initial_states(4))
    assert {t.device.type for t in (logits, *states)} == {"meta"}


@pytest.mark.cuda
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@torch.no_grad()
def test_cuda_gives_what_the_cpu_gives(cell, generator):
    model, ids = make(cell, num_layers=2), torch.randint(9, (4, 7), generator=generator)
    mask = torch.arange(7) < torch.tensor([7, 3, 5, 1])[:, None]
    want = model(ids, mask).logits
    got = model.to("cuda")(ids.cuda(), mask.cuda()).logits
    torch.testing.assert_close(got.cpu(), want, atol=1e-4, rtol=0)
