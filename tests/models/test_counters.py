import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.models import counting_gru, counting_gru_by_phase, counting_transformer
from numsym.models.counters import directions
from numsym.tasks import MultiObject, SameObject, SingleObject
from numsym.training import evaluate


@pytest.mark.parametrize("task", [MultiObject(), SingleObject(void_prob=0.3)])
@pytest.mark.parametrize("degrees", [90, 30])
def test_it_counts_exactly(task, degrees):
    assert evaluate(counting_gru(task.vocabulary, degrees=degrees, width=6, seed=1), task, n=500).accuracy == 1.0


@pytest.mark.parametrize("degrees", [90, 35])
def test_its_state_is_the_count_and_the_phase_along_their_directions(degrees, generator):
    task = MultiObject()
    batch = task.sample(50, generator=generator)
    model = counting_gru(task.vocabulary, degrees=degrees)
    values = model.states(batch.input_ids)[0] @ directions(8, degrees, 0)[2]
    phase = (batch.states["phase"] == 1).float()
    torch.testing.assert_close(values[..., 0][batch.mask], batch.states["count"][batch.mask].float(), atol=0.05, rtol=0)
    torch.testing.assert_close(values[..., 1][batch.mask], phase[batch.mask], atol=0.05, rtol=0)
    count, direction, _ = directions(8, degrees, 0)
    cosine = torch.nn.functional.cosine_similarity(count, direction, dim=0)
    assert torch.rad2deg(cosine.acos()).item() == pytest.approx(degrees, abs=1e-2)


def test_what_it_cannot_be():
    with pytest.raises(InvalidArgumentError, match="degrees=0 is not allowed"):
        counting_gru(MultiObject().vocabulary, degrees=0)
    with pytest.raises(InvalidArgumentError, match="width=1 is not allowed"):
        counting_gru(MultiObject().vocabulary, width=1)
    with pytest.raises(InvalidArgumentError, match="its response token is a demonstration token"):
        counting_gru(SameObject().vocabulary)


@pytest.mark.parametrize("task", [MultiObject(void_prob=0.2), SingleObject()])
def test_attention_counts_exactly_without_a_count(task):
    assert evaluate(counting_transformer(task.vocabulary), task, n=400).accuracy == 1.0


def test_its_attention_is_the_mean_of_the_values(generator):
    task = MultiObject(void_prob=0.3)
    batch = task.sample(30, generator=generator)
    _, cache = counting_transformer(task.vocabulary).bridge.run_with_cache(batch.input_ids)
    count = batch.states["count"] - 0.5
    mean = count / torch.arange(1, count.shape[1] + 1)
    torch.testing.assert_close(cache["blocks.0.hook_out"][..., 1][batch.mask], mean[batch.mask], atol=1e-5, rtol=0)


def test_an_embedding_cannot_tell_one_token_from_itself():
    with pytest.raises(InvalidArgumentError, match="response token is a demonstration token, and embeddings must"):
        counting_transformer(SameObject().vocabulary)


@pytest.mark.parametrize("task", [MultiObject(), SingleObject(void_prob=0.3)])
def test_the_one_with_a_code_for_each_phase_counts_exactly_and_holds_it_where_it_says(task, generator):
    model = counting_gru_by_phase(task.vocabulary)
    assert evaluate(model, task, n=500).accuracy == 1.0
    batch = task.sample(50, generator=generator)
    count, answering = batch.states["count"].float(), batch.states["phase"] == 1
    states = model.states(batch.input_ids)[0] / 1e-3
    items = batch.mask & (count > 0) & (batch.input_ids != task.vocabulary.trigger)
    for neuron, there in ((0, ~answering), (1, answering)):
        here = items & there & (batch.input_ids != task.vocabulary.void)
        torch.testing.assert_close(states[..., neuron][here], count[here], atol=0.05, rtol=0)
        assert states[..., neuron][items & ~there].abs().max() < 0.01
    with pytest.raises(InvalidArgumentError, match="width=2 is not allowed"):
        counting_gru_by_phase(task.vocabulary, width=2)
