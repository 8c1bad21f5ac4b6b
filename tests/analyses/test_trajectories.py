"""Paths of a hand-built counter, whose state is count * c + phase * p."""

import pytest
import torch

from numsym.alignment import Site
from numsym.analyses import trajectories
from numsym.analyses.trajectories import states_at
from numsym.errors import InvalidArgumentError
from numsym.models import RecurrentConfig, RecurrentLM, counting_gru
from numsym.models.counters import directions
from numsym.tasks import MultiObject


def test_the_paths_are_those_of_the_known_state():
    task = MultiObject(counts=range(1, 6), held_out=())
    model = counting_gru(task.vocabulary, width=6)
    found = trajectories(model, task, trials=200)
    count, phase, _ = directions(6, 90, 0)
    # B, five D, T, five R, E.
    values = [0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0, 0]
    state = torch.stack([v * count + (at >= 6) * phase for at, v in enumerate(values)])
    expected = (state - found.mean) @ found.components.T
    torch.testing.assert_close(found.paths[5], expected, atol=3e-5, rtol=0)
    assert found.answers == {n: n + 1 for n in range(1, 6)}
    assert found.explained[:2].sum().item() == pytest.approx(1, abs=1e-3)
    assert sum(found.trials.values()) == 200
    gram = found.components @ found.components.T
    torch.testing.assert_close(gram, torch.eye(3), atol=1e-5, rtol=0)
    assert found.to_dict()["answers"]["5"] == 6


def test_states_are_those_of_the_model_at_any_layer(generator):
    task = MultiObject(void_prob=0.2)
    model = RecurrentLM(RecurrentConfig(cell="lstm", vocab_size=task.vocab_size, hidden_size=8, num_layers=2)).eval()
    batch = task.sample(20, generator=generator)
    with torch.no_grad():
        states = model.states(batch.input_ids, batch.mask)
    for layer in (0, 1):
        torch.testing.assert_close(states_at(model, Site("state", layer), batch), states[layer])
    found = trajectories(model, task, trials=100, components=2, site="state:1")
    assert found.components.shape == (2, 8)
    assert all(path.isfinite().all() for path in found.paths.values())
    with pytest.raises(InvalidArgumentError, match="components=9 is not allowed"):
        trajectories(model, task, components=9)
