import pytest
import torch

from numsym.alignment import align
from numsym.interventions import BoundlessLinearAlignmentIntervention, LinearAlignmentIntervention
from numsym.models import counting_gru
from numsym.tasks import MultiObject

WIDTH = 16


def test_cold_it_is_the_laf_with_as_many_coordinates():
    soft = BoundlessLinearAlignmentIntervention(embed_dim=WIDTH).double()
    hard = LinearAlignmentIntervention(embed_dim=WIDTH).double()
    hard.load_state_dict({k: v for k, v in soft.state_dict().items() if k in dict(hard.state_dict())})
    soft.set_temperature(1e-3)
    base, source = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    for share, k in ((0.5, 8), (0.25, 4), (1.0, 16)):
        soft.intervention_boundaries.data.fill_(share)
        hard.set_interchange_dim(k)
        assert soft.boundary == k
        torch.testing.assert_close(soft(base, source), hard(base, source))


def test_warm_every_coordinate_and_the_boundary_have_a_gradient():
    soft = BoundlessLinearAlignmentIntervention(embed_dim=WIDTH)
    base, source = torch.randn(2, 8, WIDTH)
    soft(base, source).square().sum().backward()
    assert soft.intervention_boundaries.grad.abs().item() > 0
    mask = soft.chosen(base, None)
    assert (mask[:-1] > mask[1:]).all()
    assert 0.001 < mask.min() < mask.max() < 0.999


@pytest.mark.parametrize("engine", ["resumed", "pyvene"])
def test_the_search_learns_a_small_boundary_where_one_direction_is_enough(engine):
    task = MultiObject(counts=range(1, 7), held_out=(3,))
    model = counting_gru(task.vocabulary, width=WIDTH)
    steps = {"resumed": 800, "pyvene": 30}[engine]
    result = align(
        model, task, alignment="boundless", engine=engine, controls=(), seed=1,
        search={"max_steps": steps, "learning_rate": 0.02}, pairs={"train": 500, "validation": 100, "test": 200},
    )  # fmt: skip
    assert result.steps == steps
    assert float(result.intervention.temperature) == pytest.approx(0.1)
    assert result.subspace_dim == result.intervention.boundary
    if engine == "resumed":
        assert result.subspace_dim < WIDTH / 2
        assert result.iia > 0.9


def test_one_boundary_is_for_one_variable():
    task = MultiObject()
    with pytest.raises(ValueError, match="alignment='boundless' is not allowed for 2 variables"):
        align(counting_gru(task.vocabulary), task, variable=("count", "phase"), alignment="boundless")
