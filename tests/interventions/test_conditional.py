"""The conditional exchange against a loop over states, and against the map that one condition makes it."""

import pytest
import torch

from numsym._pyvene import intervenable, locations, pv, save
from numsym.alignment.stored import read_intervention, write_intervention
from numsym.errors import InvalidArgumentError
from numsym.interventions import ConditionalAlignmentIntervention, LowRankLinearAlignmentIntervention
from numsym.models import RecurrentConfig, RecurrentLM, Site

WIDTH, K, CONDITIONS = 10, 3, 3


def made(conditions=CONDITIONS, **others):
    """One whose parameters, means and offsets are all its own."""
    one = ConditionalAlignmentIntervention(
        embed_dim=WIDTH, low_rank_dimension=K, latent_dim=conditions, **others
    ).double()
    one.set_interchange_dim(K)
    with torch.no_grad():
        for tensor in (one.columns, one.rows, one.offsets, one.mean, one.threshold):
            tensor += 0.3 * torch.randn_like(tensor)
    return one


@pytest.fixture
def sides():
    return torch.randn(2, 40, WIDTH, dtype=torch.double)


def test_a_state_gets_the_sources_coordinates_in_its_own_code(sides):
    one, (base, source) = made(), sides
    got = one(base.clone(), source)
    seen = set()
    for h, s, found in zip(base, source, got, strict=True):
        c, a = (int((x @ one.probe + one.threshold).argmax()) for x in (h, s))
        seen.add((c, a))
        z = (s - one.mean[a]) @ one.columns[a] + one.offsets[a]
        own = (h - one.mean[c]) @ one.columns[c] + one.offsets[c]
        written = torch.linalg.inv(one.rows[c].T @ one.columns[c]) @ one.rows[c].T
        torch.testing.assert_close(found, h + (z - own) @ written)
        torch.testing.assert_close((found - one.mean[c]) @ one.columns[c] + one.offsets[c], z)
    assert len(seen) == CONDITIONS**2


def test_with_one_condition_it_is_the_low_rank_map(sides):
    one = made(conditions=1)
    low = LowRankLinearAlignmentIntervention(embed_dim=WIDTH, low_rank_dimension=K).double()
    with torch.no_grad():
        low.columns.copy_(one.columns[0])
        low.rows.copy_(one.rows[0])
    torch.testing.assert_close(one(sides[0].clone(), sides[1]), low(sides[0].clone(), sides[1]))


def test_features_and_states_of_a_condition_belong_together(sides):
    one, states = made(), sides[0]
    condition = one.condition(states)
    z = one.featurize(states)
    again = one.inverse(z, condition)
    for c in range(CONDITIONS):
        read = (again[condition == c] - one.mean[c]) @ one.columns[c] + one.offsets[c]
        torch.testing.assert_close(read, z[condition == c])
    assert one.featurize(states[:, None]).shape == (40, 1, K)
    assert one.inverse(z[:, None], condition[:, None]).shape == (40, 1, WIDTH)


def test_every_parameter_has_a_gradient_and_probe_and_means_have_none(sides):
    one = made()
    one(sides[0].clone(), sides[1]).square().sum().backward()
    assert {name for name, p in one.named_parameters() if p.grad.abs().sum() > 0} == {"columns", "rows", "offsets"}
    assert not any(buffer.requires_grad for buffer in one.buffers())


def test_only_chosen_coordinates_move_and_positions_are_exchanged_each_by_itself(sides):
    one = made(subspace_partition=[[0, 1], [1, 3]])
    some = one(sides[0].clone(), sides[1], subspaces=[[1]] * 40)
    condition = one.condition(sides[0])
    for c in range(CONDITIONS):
        mine = condition == c
        moved = (some[mine] - sides[0][mine]) @ one.columns[c]
        torch.testing.assert_close(moved[:, 0], torch.zeros_like(moved[:, 0]))
    wide = made(keep_last_dim=True)
    base, source = sides.reshape(2, 8, 5, WIDTH)
    torch.testing.assert_close(wide(base.clone(), source)[:, 2], wide(base[:, 2].clone(), source[:, 2]))


@torch.no_grad()
def test_it_is_saved_and_loaded_in_both_formats_with_its_conditions(tmp_path, sides):
    one, model = made().float(), RecurrentLM(RecurrentConfig(hidden_size=WIDTH, vocab_size=9)).eval()
    base, source = torch.randint(9, (2, 6, 8))
    at = torch.randint(8, (6,))
    call = ({"input_ids": base}, [{"input_ids": source}], locations(at, at))
    place = intervenable(model, [Site().representation(one)])
    want = place(*call)[1].logits
    save(place, tmp_path / "pyvene")
    again = pv.IntervenableModel.load(str(tmp_path / "pyvene"), model)
    assert torch.equal(again(*call)[1].logits, want)
    (tmp_path / "own").mkdir()
    write_intervention(one, tmp_path / "own")
    for read in (read_intervention(tmp_path / "own"), read_intervention(tmp_path / "pyvene")):
        assert torch.equal(read(sides[0].float(), sides[1].float()), one(sides[0].float(), sides[1].float()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low_rank_dimension": None}, "low_rank_dimension=None is not allowed"),
        ({"low_rank_dimension": 11}, "low_rank_dimension=11 is not allowed"),
        ({"latent_dim": 0}, "latent_dim=0 is not allowed: it must be at least 1"),
    ],
)
def test_what_it_cannot_be_is_refused(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ConditionalAlignmentIntervention(**{"embed_dim": WIDTH, "low_rank_dimension": K, **arguments})
