import pytest
import torch

from numsym.alignment import AlignmentResult, align
from numsym.errors import InvalidArgumentError
from numsym.interventions import NeuronMaskIntervention
from numsym.models import counting_gru, counting_gru_by_phase
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=(3,))


def test_cold_it_exchanges_the_neurons_that_are_in():
    mask = NeuronMaskIntervention(embed_dim=5)
    mask.logits.data = torch.tensor([3.0, -3.0, 1.0, -1.0, -2.0])
    mask.set_temperature(1e-3)
    base, source = torch.randn(2, 8, 5)
    want = base.clone()
    want[:, [0, 2]] = source[:, [0, 2]]
    torch.testing.assert_close(mask(base, source), want)
    assert (mask.neurons, mask.boundary) == ([0, 2], 2)


@pytest.mark.parametrize("engine", ["resumed", "pyvene"])
@pytest.mark.parametrize(("phase", "neuron"), [(-1, 0), (1, 1)])
def test_the_search_finds_the_neuron_that_counts(engine, phase, neuron, tmp_path):
    """The hand-built network counts in neuron 0 during the demonstration, and in neuron 1 during the response."""
    model = counting_gru_by_phase(TASK.vocabulary)
    found = align(
        model, TASK, alignment="mask", subspace_dim=2, engine=engine, controls=("floor",), positions={"phase": phase},
        pairs={"train": 400, "validation": 100, "test": 100},
        search={"max_steps": {"resumed": 150, "pyvene": 40}[engine], "tries": 1, "learning_rate": 0.1},
    )  # fmt: skip
    assert found.iia == 1
    assert float(found.intervention.temperature) == pytest.approx(0.1)
    assert found.subspace_dim == len(found.intervention.neurons)
    assert neuron in found.intervention.neurons
    if engine == "resumed":  # enough steps to leave out those that do nothing
        assert found.intervention.neurons == [neuron]
    found.save(tmp_path / "mask")
    again = AlignmentResult.load(tmp_path / "mask", model)
    assert again.intervention.neurons == found.intervention.neurons


def test_one_mask_is_for_one_variable():
    with pytest.raises(InvalidArgumentError, match="alignment='mask' is not allowed for 2 variables"):
        align(counting_gru(TASK.vocabulary), TASK, variable=("count", "phase"), alignment="mask")
