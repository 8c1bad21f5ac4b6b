import pytest
import torch

from numsym._pyvene import pv
from numsym.alignment.engines.stacked import StackedAlignments, scored
from numsym.alignment.functions import ALIGNMENTS, build

WIDTH = 10


@pytest.mark.parametrize("function", list(ALIGNMENTS))
def test_the_closed_form_is_what_each_intervention_does(function):
    members = [build(function, WIDTH, 3, 1, seed) for seed in (0, 1)] + [build("linear", WIDTH, 2, 2, 5)]
    stacked = StackedAlignments(members)
    base, source = torch.randn(2, 3, 6, WIDTH)
    blocks = [torch.zeros(6, dtype=torch.long)] * 2 + [torch.tensor([0, 1, 1, 0, 0, 1])]
    alive = [2, 0]  # another order than theirs
    found = stacked.exchange([base[i] for i in alive], [source[i] for i in alive], [blocks[i] for i in alive], alive)
    for place, i in enumerate(alive):
        subspaces = blocks[i][:, None].tolist() if i == 2 else None
        want = members[i](base[i].clone(), source[i], subspaces=subspaces)
        torch.testing.assert_close(found[6 * place : 6 * place + 6], want, atol=1e-4, rtol=1e-4)


def test_what_was_learned_is_copied_and_set_back():
    members = [build("linear", WIDTH, 3, 1, seed) for seed in (0, 1)]
    stacked = StackedAlignments(members)
    before = stacked.snapshot(1)
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter.add_(1)
    stacked.restore(0, stacked.snapshot(0))
    stacked.restore(1, before)
    fresh = [build("linear", WIDTH, 3, 1, seed) for seed in (0, 1)]
    torch.testing.assert_close(members[0].matrix, fresh[0].matrix + 1)
    assert torch.equal(members[1].matrix, fresh[1].matrix)


def test_scores_belong_to_their_alignment():
    where = torch.tensor([[True, False], [True, True], [False, True], [True, True]])
    targets, guesses = torch.tensor([0, 1, 2, 0, 1, 2]), torch.tensor([0, 1, 2, 0, 1, 0])
    logits = 3.0 * torch.nn.functional.one_hot(guesses, 3)
    losses, right = scored(logits, targets, where, 2)
    each = -torch.log_softmax(logits, -1)[torch.arange(6), targets]
    torch.testing.assert_close(losses, torch.stack([each[:3].mean(), each[3:].mean()]))
    assert [rows.tolist() for rows in right] == [[True, True], [True, False]]


def test_it_stacks_only_what_it_knows():
    assert StackedAlignments.stack([build("linear", WIDTH, 3, 1, 0)])
    assert not StackedAlignments.stack([pv.VanillaIntervention(embed_dim=WIDTH)])
