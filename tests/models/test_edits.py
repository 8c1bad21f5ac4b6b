import pytest
import torch
from torch import nn

from numsym.errors import InvalidArgumentError
from numsym.models.edits import StateSites, edit_of, state_components, through_sites

BEFORE = torch.arange(24.0).reshape(2, 4, 3)


def writes(*places, value=9.0):
    def site(states):
        for row, position in places:
            states[row, position] = value
        return states

    return site


def test_an_edit_says_what_was_changed_where():
    assert edit_of(nn.Identity(), BEFORE, None) is None
    edit = edit_of(writes((1, 2)), BEFORE, None)
    assert edit.changed.nonzero().tolist() == [[1, 2]]
    assert edit.at.tolist() == [3, 2]
    assert edit.last.tolist() == [-1, 2]
    assert torch.equal(edit.before, BEFORE)
    later = edit_of(writes((0, 1), (1, 2)), BEFORE, edit)
    assert later.last.tolist() == [1, 2]
    assert torch.equal(edit.step(2, BEFORE[:, 2]), torch.tensor([[6.0, 7, 8], [9, 9, 9]]))
    with pytest.raises(InvalidArgumentError, match="must not fall"):
        edit_of(writes((1, 1)), BEFORE, edit)
    with pytest.raises(
        InvalidArgumentError, match=r"give each further position its own component, in order: state, st"
    ):
        edit_of(writes((1, 1), (1, 2)), BEFORE, None)


def test_what_is_not_a_number_is_not_a_change():
    states = BEFORE.clone()
    states[0, 0, 0] = torch.nan
    assert edit_of(nn.Identity(), states, None) is None


def test_what_changes_nothing_yet_has_a_gradient():
    shift = torch.zeros(3, requires_grad=True)
    edit = edit_of(lambda states: states + shift * (torch.arange(4) == 1)[:, None], BEFORE, None)
    assert not edit.changed.any()
    sum(edit.step(n, BEFORE[:, n]).sum() for n in range(4)).backward()
    assert shift.grad.tolist() == [2, 2, 2]


def test_a_model_runs_once_for_what_a_site_is_shown_and_once_with_all_edits():
    layers, runs = [StateSites(), nn.Module(), StateSites()], []

    def run(edits, record):
        runs.append((sorted(edits), record))
        return len(runs), None if record is None else BEFORE

    assert through_sites(layers, run) == 1
    assert runs == [([], None)]
    runs.clear()
    layers[0].sites[0].register_forward_hook(lambda *_: None)
    assert through_sites(layers, run) == 1  # only looked at: the run that showed it says the output
    assert runs == [([], 0)]
    runs.clear()
    layers[0].sites[1].register_forward_hook(lambda m, a, states: writes((0, 0))(states))
    layers[2].sites[0].register_forward_hook(lambda m, a, states: writes((0, 1))(states))
    assert through_sites(layers, run) == 3
    assert runs == [([], 0), ([0], 2), ([0, 2], None)]
    runs.clear()
    assert through_sites(layers, run, lambda site: nn.Identity()) == 2
    assert runs == [([], 0), ([], 2)]


def test_components_are_named_in_their_order():
    found = state_components("layers", "breadth")
    assert list(found)[:3] == ["state", "state_1", "state_2"]
    assert (found["state_2"].path, found["state_2"].width) == ("layers[%s].sites[2]", "breadth")
