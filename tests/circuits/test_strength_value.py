"""The split of the end's logit: an identity for every architecture, and known slopes on a hand-built counter."""

import pytest
import torch

from numsym.circuits.strength_value import KINDS, kinds, strength_value
from numsym.models import TransformerConfig, TransformerLM, counting_transformer
from numsym.models.counters import SHARPNESS
from numsym.tasks import MultiObject, SameObject

TASK = MultiObject(counts=range(1, 7), void_prob=0.2)


@pytest.fixture
def batch(generator):
    return TASK.sample(12, generator=generator)


@pytest.mark.parametrize(
    ("positions", "norm"), [("rotary", "rms"), ("learned", "layer"), ("none", "none"), ("rotary", "layer")]
)
@pytest.mark.parametrize("margin", [False, True])
def test_all_terms_sum_to_the_logit(positions, norm, margin, batch):
    torch.manual_seed(0)
    model = TransformerLM(
        TransformerConfig(hidden_size=12, num_layers=2, num_heads=2, positions=positions, norm=norm, max_positions=40)
    ).eval()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # biases and scales too: they start at 0 and 1, where mistakes hide
            torch.nn.init.normal_(parameter, 1.0 if "ln" in name else 0.0, 0.3)
    found = strength_value(model, TASK, batch, margin=margin)
    assert found.error < 1e-4
    # The same sum from outside: means over predicting positions.
    trial, at = batch.predictable[:, 1:].nonzero().T
    logits = model(batch.input_ids).logits[trial, at]
    v = TASK.vocabulary
    want = logits[:, v.eos] - (logits[:, v.response] if margin else 0)
    total = sum(found.rest.values()) + float(found.contribution.sum()) / len(at)
    assert total == pytest.approx(want.mean().item(), abs=1e-4)
    assert found.contribution.abs().max() > 0.01
    assert found.weight[0, 0].sum().item() == pytest.approx(len(at), rel=1e-5)


def test_the_counting_transformers_strengths_are_its_tokens_values(batch):
    found = strength_value(counting_transformer(TASK.vocabulary), TASK, batch)
    slopes = {name: slope.item() / SHARPNESS for name, slope in found.strength().items()}
    want = {"demonstration": -1, "response": 1, "trigger": 0, "begin": 0.5, "void": 0}
    assert slopes == pytest.approx(want, abs=1e-4)
    pushes = found.pushes()
    assert pushes["demonstration"] < 0 < pushes["response"]
    assert found.rest["embedding"] == found.rest["mlp"] == 0


def test_a_demonstration_token_after_the_trigger_is_a_response():
    task = SameObject(counts=(2,), held_out=())
    batch = task.sample(1)
    names = [KINDS[i] for i in kinds(task, batch)[0].tolist()]
    assert names[:6] == ["begin", "demonstration", "demonstration", "trigger", "response", "response"]
