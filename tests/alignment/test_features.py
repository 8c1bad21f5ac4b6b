"""Features of a dictionary: chosen as scikit-learn and brute force choose, and found where the code is known."""

import numpy as np
import pytest
import torch
from sklearn.feature_selection import f_classif

from numsym.alignment import AlignmentResult, Hypothesis, align, align_many
from numsym.alignment.dictionary import Dictionary
from numsym.alignment.features import between, leading, telling
from numsym.alignment.starts import Seen, natural_means
from numsym.errors import InvalidArgumentError
from numsym.tasks import MultiObject

TASK = MultiObject(counts=range(1, 7), held_out=())
OPTIONS = {"controls": ("floor",), "pairs": {"train": 400, "validation": 100, "test": 100}}
WIDTH, COUNT = 6, 30
CODE = [4, 21]
"""The two features that hold the count in `path`."""


@pytest.fixture
def path(tmp_path):
    """A dictionary of a counter's state in which two features hold its first neuron: how far it is above, and below.

    Others tell the count as well, and write something else; the rest read and write along directions of their own, two
    of them never.
    """
    encoder, decoder = 100 * torch.randn(WIDTH, COUNT), 0.01 * torch.randn(COUNT, WIDTH)
    bias = 0.1 * torch.randn(COUNT)
    first = torch.eye(WIDTH)[0]
    for feature, sign in zip(CODE, (1, -1), strict=True):
        encoder[:, feature], decoder[feature], bias[feature] = 1000 * sign * first, 0.001 * sign * first, -2.5 * sign
    encoder[:, :4], bias[:4] = 1000 * first[:, None], torch.tensor([0.0, -1.0, -2.0, -0.5])
    bias[[7, 8]] = -1e4
    np.savez(tmp_path / "code.npz", encoder=encoder.numpy(), decoder=decoder.numpy(), bias=bias.numpy())
    return str(tmp_path / "code.npz")


@pytest.fixture
def seen(generator):
    """States of 200 pairs about a variable of three values and one of two."""
    values = torch.stack([torch.randint(n, (400,), generator=generator) for n in (3, 2)], 1)
    basis = torch.randn(2, 3, WIDTH, generator=generator, dtype=torch.float64)
    noise = 0.3 * torch.randn(400, WIDTH, generator=generator, dtype=torch.float64)
    states = basis[0][values[:, 0]] + basis[1][values[:, 1]] + noise
    wanted = torch.stack([values[200:, 0], values[:200, 1]], 1)
    block = torch.zeros(200, dtype=torch.long)
    return Seen(*states.chunk(2), *values.chunk(2), wanted, block, ((0,), (1,)), ("digit", "bit"))


@pytest.fixture
def some(seen):
    drawn = (torch.randn(shape).double() for shape in ((WIDTH, 14), (14, WIDTH), (14,)))
    return Dictionary(*drawn, torch.zeros(14).double())


@pytest.fixture
def counter(turned_counter):
    return turned_counter(TASK.vocabulary)


def test_those_that_tell_are_those_of_an_analysis_of_variance(some, seen):
    digit, active = seen.values[:, 0], some.activations(seen.states)
    statistic, n = f_classif(active.numpy(), digit.numpy())[0], len(digit)
    want = torch.from_numpy(2 * statistic / (2 * statistic + n - 3))
    torch.testing.assert_close(between(some, seen.states, digit[:, None]), want)
    order = want.argsort(descending=True).tolist()
    assert telling(some, seen, 0, 3, []) == order[:3]
    assert telling(some, seen, 0, 3, [order[1]]) == [order[0], *order[2:4]]


def test_those_that_lead_are_the_next_best_by_trying_each(some, seen):
    target, taken, chosen = natural_means(seen)[0], [5], []
    for _ in range(3):
        off = {}
        for feature in set(range(14)) - {*taken, *chosen}:
            few = some.only([*chosen, feature])
            moved = seen.base + (few.activations(seen.source) - few.activations(seen.base)) @ few.decoder
            off[feature] = float((moved - target).square().sum(1).mean())
        chosen.append(min(off, key=off.get))
    assert leading(some, seen, 0, 3, taken) == chosen
    assert leading(some, seen, 1, 3, taken) is None  # no pair exchanges it


def test_a_known_code_is_found_and_exchanged_exactly(counter, path, tmp_path):
    found = align(counter, TASK, alignment="sae", subspace_dim=2, dictionary=path, **OPTIONS)
    assert (found.iia, found.steps, found.start, set(found.starts)) == (
        1, 0, "leading features", {"telling features", "leading features"}
    )  # fmt: skip
    base, source = torch.randn(2, 50, WIDTH)
    want = torch.cat([source[:, :1], base[:, 1:]], 1)
    torch.testing.assert_close(found.intervention(base.clone(), source), want, atol=1e-5, rtol=1e-5)
    slow = align(counter, TASK, alignment="sae", subspace_dim=2, dictionary=path, engine="pyvene", **OPTIONS)
    assert slow.starts == found.starts
    assert found.starts["telling features"] < 0.9
    assert align(counter, TASK, alignment="sae", subspace_dim=1, dictionary=path, **OPTIONS).iia < 0.9
    found.save(tmp_path / "kept")
    assert AlignmentResult.load(tmp_path / "kept", counter).to_dict() == found.to_dict()
    explained = found.explain(measured=50, examples=1, tries=False)
    assert explained.measured.iia.value == 1


def test_it_stands_beside_learned_maps_and_has_features_of_each_variable(counter, path):
    asked = [
        Hypothesis("up_down", "count", "sae", 2, dictionary=path),
        Hypothesis("up_down", "count", "pca", 2),
        Hypothesis("up_down", "count", "low_rank", 1),
    ]
    found = align_many(counter, TASK, asked, search={"max_steps": 1}, **OPTIONS)
    assert [one.rows()[0]["function"] for one in found] == ["sae", "pca", "low_rank"]
    assert found[0].iia == 1
    both = align(
        counter, TASK, variable=["count", "phase"], alignment="sae", subspace_dim=3, dictionary=path, **OPTIONS
    )
    assert both.intervention.subspace_partition == [[0, 1, 2], [3, 4, 5]]
    assert len(both.intervention.decoder.unique(dim=0)) == 6


def test_what_does_not_belong_together_is_refused_before_the_search(counter, path, tmp_path):
    with pytest.raises(InvalidArgumentError, match="dictionary=None is not allowed with alignment='sae'"):
        align(counter, TASK, alignment="sae")
    with pytest.raises(InvalidArgumentError, match=r"dictionary='.*' is not allowed with alignment='pca'"):
        align(counter, TASK, alignment="pca", dictionary=path)
    np.savez(tmp_path / "wide.npz", encoder=np.zeros((9, 40)), decoder=np.zeros((40, 9)))
    with pytest.raises(InvalidArgumentError, match="it is for states of width 9, and the site has 6"):
        align(counter, TASK, alignment="sae", dictionary=str(tmp_path / "wide.npz"))
