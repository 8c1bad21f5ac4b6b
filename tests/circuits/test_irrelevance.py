import matplotlib.pyplot as plt
import pytest
import torch

from numsym.circuits import Adder, CorrectLogits, correct_logits, distance_irrelevance


def test_published_values(published):
    model, reference = published
    assert distance_irrelevance(model) == pytest.approx(reference["distance_irrelevance"], abs=1e-3)


def test_the_matrix_holds_correct_logits_by_sum_and_distance(pizza):
    adder = pizza(p=7)
    matrix, table = correct_logits(adder).matrix, adder.table()
    for a in range(7):
        for b in range(7):
            assert matrix[(a + b) % 7, (a - b) % 7] == table[a, b, (a + b) % 7]


def test_a_pizza_depends_on_the_distance_alone(pizza):
    assert distance_irrelevance(pizza()) == pytest.approx(0.0, abs=1e-9)


def test_a_clock_does_not_depend_on_it(clock):
    assert distance_irrelevance(clock()) == 1.0
    flat = clock()
    # The correct logit now depends on the sum alone.
    tilted = Adder(flat.embed_a, flat.embed_b, lambda a, b: flat.logits(a, b) * torch.linspace(1, 2, flat.p))
    assert distance_irrelevance(tilted) == pytest.approx(1.0)


def test_the_result_is_its_matrix(pizza, tmp_path):
    found = correct_logits(pizza(p=7))
    assert found.irrelevance == distance_irrelevance(pizza(p=7))
    assert [row["distance"] for row in found.rows()] == list(range(7))
    assert found.rows()[3]["mean"] == pytest.approx(found.matrix[:, 3].mean().item())
    found.save(tmp_path / "saved")
    assert torch.equal(CorrectLogits.load(tmp_path / "saved").matrix, found.matrix)
    figure = found.figure()
    assert torch.equal(torch.tensor(figure.axes[0].images[0].get_array()), found.matrix)
    plt.close(figure)
