import random

import pytest
import torch

from numsym.circuits import gradient_symmetricity
from numsym.circuits.symmetricity import drawn_triples
from numsym.errors import InvalidArgumentError
from numsym.models import ModularTransformer, ModularTransformerConfig


def test_published_values(published):
    model, reference = published
    assert gradient_symmetricity(model) == pytest.approx(reference["gradient_symmetricity"], abs=1e-3)


def test_the_draw_is_a_shuffle_of_the_triples():
    triples = [(a, b, c) for a in range(5) for b in range(5) for c in range(5)]
    random.Random(42).shuffle(triples)
    assert drawn_triples(5, 30, 42).tolist() == [list(t) for t in triples[:30]]


def test_a_pizza_is_symmetric_and_a_clock_is_not(pizza, clock):
    assert gradient_symmetricity(pizza(), triples="all") == pytest.approx(1.0, abs=1e-9)
    # Each gradient of the clock points at c minus the other operand: the cosines cos(w (a - b)) average to zero.
    assert gradient_symmetricity(clock(frequencies=(3,)), triples="all") == pytest.approx(0.0, abs=1e-9)


def test_all_triples_is_the_mean_over_single_backward_passes():
    model = ModularTransformer(ModularTransformerConfig(p=5, hidden_size=8, num_attention_heads=2)).double()
    table = model.embed.weight.detach()
    cosines = []
    for a in range(5):
        for b in range(5):
            for c in range(5):
                leaves = table[[a, b]].clone().requires_grad_()
                model(inputs_embeds=leaves[None]).logits[0, -1, c].backward()
                cosines.append(torch.cosine_similarity(leaves.grad[0], leaves.grad[1], dim=0).item())
    expected = sum(cosines) / len(cosines)
    assert gradient_symmetricity(model, triples="all") == pytest.approx(expected, abs=1e-9)
    assert gradient_symmetricity(model, triples=125) == pytest.approx(expected, abs=1e-9)


def test_the_model_keeps_no_gradients():
    model = ModularTransformer(ModularTransformerConfig(p=5, hidden_size=8, num_attention_heads=2))
    gradient_symmetricity(model, triples=10)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_any_p_will_do(clock):
    assert -1 <= gradient_symmetricity(clock(p=8, frequencies=(1,)), triples="all") <= 1


@pytest.mark.parametrize("triples", [0, 126, "some"])
def test_bad_triples(clock, triples):
    with pytest.raises(InvalidArgumentError, match="triples="):
        gradient_symmetricity(clock(p=5, frequencies=(1,)), triples=triples)
