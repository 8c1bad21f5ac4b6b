"""The counterfactual latent loss against its formula, and what a weight does to a search."""

import pytest
import torch

from numsym._pyvene import frozen
from numsym.alignment import Hypothesis, PairCounts, align
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.recurrent import RecurrentEngine
from numsym.alignment.functions import build
from numsym.alignment.latent import Latent, latent_losses
from numsym.alignment.one_model import OneModel
from numsym.alignment.starts import Seen, natural_means
from numsym.errors import InvalidArgumentError
from numsym.models.site import Site

WIDTH = 16


@pytest.fixture
def seen():
    states = torch.randn(2, 60, WIDTH, dtype=torch.double)
    base, source = torch.randint(3, (2, 60, 2))
    base[0] = torch.tensor([7, 1])  # alone with its phase: no state has that and another count
    source[0] = torch.tensor([0, 2])
    return Seen(*states, base, source, torch.stack([base[:, 0], source[:, 1]], 1), torch.zeros(60, dtype=torch.long),
                ((1,),), ("phase", "count"))  # fmt: skip


@pytest.mark.parametrize("kind", [RecurrentEngine, PyveneEngine])
def test_it_is_half_the_squared_distance_and_half_of_one_minus_the_cosine(kind, counter, seen):
    counter.requires_grad_(False)
    members = [build("linear", WIDTH, 4, 1, 0), build("orthogonal", WIDTH, 4, 1, 1)]
    latents = [Latent.of(seen, "mean")] * 2
    rows = [torch.arange(0, 20), torch.arange(30, 50)]
    found = latent_losses(kind(counter, Site(), members), latents, rows, [0, 1])
    mean, known = natural_means(seen)
    assert not known[0]
    for one, row, loss in zip(members, rows, found, strict=True):
        made = one(seen.base[row].float(), seen.source[row].float())
        each = []
        for state, pair in zip(made, row.tolist(), strict=True):
            if known[pair]:
                target = mean[pair].float()
                cosine = state @ target / state.norm() / target.norm()
                each.append((state - target).square().sum() / 2 + (1 - cosine) / 2)
        torch.testing.assert_close(loss, torch.stack(each).mean())


def test_a_matched_target_is_a_state_of_the_counterfactuals_values(seen):
    found = Latent.of(seen, "matched", torch.Generator().manual_seed(0))
    for row in range(60):
        same = (seen.values == seen.wanted[row]).all(1)
        assert bool(found.known[row]) == bool(same.any())
        if same.any():
            assert (seen.states[same].float() - found.target[row]).abs().amax(1).min() < 1e-6
    assert not torch.equal(found.target, Latent.of(seen, "matched", torch.Generator().manual_seed(1)).target)


def test_a_weight_brings_exchanged_states_nearer(counter, small_task):
    pairs, apart = PairCounts(400, 100, 200), []
    subject = OneModel(counter, small_task, Site(), pairs, None, "auto")
    asked = Hypothesis(seed=9).of(small_task)
    with frozen(counter):
        latent = Latent.of(subject.seen(asked, subject.draw(asked).train), "mean")
    for weight in (0.0, 10.0):
        search = {"max_steps": 60, "check_every": 60, "starts": "random", "cl_weight": weight, "learning_rate": 5e-3}
        found = align(counter, small_task, alignment="low_rank", subspace_dim=6, search=search, pairs=pairs,
                      controls=False)  # fmt: skip
        with torch.no_grad():
            engine = RecurrentEngine(counter, Site(), [found.intervention])
            apart.append(latent_losses(engine, [latent], [torch.arange(400)], [0]).item())
    assert apart[1] < apart[0]


def test_a_weight_below_nothing_and_an_unknown_target_are_refused(counter, small_task):
    with pytest.raises(InvalidArgumentError, match="cl_weight=-1 is not allowed"):
        align(counter, small_task, search={"cl_weight": -1})
    with pytest.raises(InvalidArgumentError, match="unknown cl_target 'nearest': choose one of matched, mean"):
        align(counter, small_task, search={"cl_target": "nearest"})
