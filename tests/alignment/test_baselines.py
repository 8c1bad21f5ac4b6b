"""Subspaces that are read off the states: against scikit-learn, and as alignments."""

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from numsym.alignment import BASELINES, AlignmentResult, Hypothesis, align, align_many
from numsym.alignment.baselines import DRAWS, RIDGE
from numsym.alignment.starts import Seen
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=())
OPTIONS = {"controls": ("floor",), "pairs": {"train": 400, "validation": 100, "test": 100}, "search": {"max_steps": 20}}
WIDTH = 7


@pytest.fixture
def seen(generator):
    """States of 300 pairs about one variable of three values and another of two, each along directions of its own."""
    values = torch.stack([torch.randint(n, (600,), generator=generator) for n in (3, 2)], 1)
    basis = torch.randn(2, 3, WIDTH, generator=generator, dtype=torch.float64)
    noise = torch.randn(600, WIDTH, generator=generator, dtype=torch.float64) * torch.linspace(0.2, 2, WIDTH)
    states = basis[0][values[:, 0]] + basis[1][values[:, 1]] + noise
    first, second = states.chunk(2)
    sides = values.chunk(2)
    block = torch.zeros(300, dtype=torch.long)
    return Seen(first, second, *sides, sides[1], block, ((0,),), ("digit", "bit"))


def directions(name, seen, k):
    fresh = torch.linalg.qr(torch.randn(WIDTH, k, dtype=torch.float64)).Q
    return BASELINES[name](fresh, seen)


def projection(columns):
    return columns @ torch.linalg.pinv(columns)


def test_pca_is_scikit_learns(seen):
    (found,) = directions("pca", seen, 3).values()
    want = torch.from_numpy(PCA(3).fit(seen.states.numpy()).components_.T)
    torch.testing.assert_close(projection(found), projection(want))


def test_the_difference_of_means_is_that_of_the_values_alone(seen):
    (found,) = directions("mean_difference", seen, 2).values()
    digit = seen.values[:, 0]
    means = torch.stack([seen.states[digit == value].mean(0) for value in range(3)])
    want = projection((means[1:] - means[:1]).mT)
    torch.testing.assert_close(projection(found), want)
    # Beyond what three means span come the directions in which the states vary least.
    (more,) = directions("mean_difference", seen, 3).values()
    torch.testing.assert_close(more.mT @ more, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(projection(more) @ want, want)


def test_the_probes_directions_are_those_of_a_ridge_regression(seen):
    (found,) = directions("probe", seen, 2).values()
    states, which = seen.states, torch.nn.functional.one_hot(seen.values[:, 0]).double()
    centred = states - states.mean(0)
    penalty = RIDGE * centred.square().sum().item() / WIDTH
    probe = Ridge(alpha=penalty).fit(states.numpy(), which.numpy())
    want = torch.linalg.svd(torch.from_numpy(probe.coef_), full_matrices=False)[2][:2].mT
    torch.testing.assert_close(projection(found), projection(want), atol=1e-6, rtol=1e-6)


def test_random_subspaces_are_several_and_orthonormal(seen):
    found = list(directions("random", seen, 3).values())
    assert len(found) == DRAWS
    for one in found:
        torch.testing.assert_close(one.mT @ one, torch.eye(3, dtype=torch.float64))
    assert len({round(float(projection(one)[0, 0]), 6) for one in found}) == DRAWS


@pytest.fixture(scope="module")
def asked():
    return {name: Hypothesis("up_down", "count", name, 2) for name in (*BASELINES, "low_rank")}


@pytest.fixture
def counter(turned_counter):
    return turned_counter(TASK.vocabulary)


def test_each_is_an_alignment_that_takes_no_step_beside_one_that_does(counter, asked, tmp_path):
    found = dict(zip(asked, align_many(counter, TASK, asked, **OPTIONS), strict=True))
    for name in BASELINES:
        one = found[name]
        assert (one.alignment, one.steps, one.start) == (name, 0, max(one.starts, key=one.starts.get))
        torch.testing.assert_close(one.intervention.columns, one.intervention.rows)
        (alone,) = align_many(counter, TASK, [asked[name]], **OPTIONS)
        assert alone.test.iia == one.test.iia
    assert len(found["random"].starts) == DRAWS
    found["pca"].save(tmp_path / "pca")
    assert AlignmentResult.load(tmp_path / "pca", counter).to_dict() == found["pca"].to_dict()


def test_the_components_of_a_counter_are_its_state(counter):
    """Its states lie in one plane, so that two components exchange all that it holds; one does not."""
    options = {**OPTIONS, "variable": "full", "alignment": "pca"}
    assert align(counter, TASK, subspace_dim=2, **options).iia == 1
    assert align(counter, TASK, subspace_dim=2, engine="pyvene", **options).iia == 1
    assert align(counter, TASK, subspace_dim=1, **options).iia < 0.9


def test_they_are_named_with_the_functions(counter):
    with pytest.raises(UnknownNameError, match=r"unknown alignment 'ica': choose one of .*mean_difference.*pca"):
        align(counter, TASK, alignment="ica")
    with pytest.raises(InvalidArgumentError, match=r"subspace_dim=7 is not allowed: it must lie in 1..6"):
        align(counter, TASK, alignment="pca", subspace_dim=7)
