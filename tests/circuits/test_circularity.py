import cmath
import math

import pytest
import torch

from numsym.circuits import Adder, circularity
from numsym.circuits.circularity import frequency_shares, principal_components
from numsym.errors import InvalidArgumentError


def test_published_values(published):
    model, reference = published
    if "circularity" in reference:
        assert circularity(model) == pytest.approx(reference["circularity"], abs=1e-3)


def test_circles_give_one_and_noise_does_not(clock):
    assert circularity(clock()) == pytest.approx(1.0)
    noise = torch.randn(59, 32)
    assert circularity(Adder(noise, noise, lambda a, b: a)) < 0.4


def test_it_is_the_formula_of_the_paper():
    p, noise = 11, torch.randn(11, 6, dtype=torch.float64)
    scores, _, _ = principal_components(noise)
    values = []
    for v in scores[:, :4].T.tolist():
        sums = [sum(v[t * k % p] * cmath.exp(2j * math.pi * t / p) for t in range(p)) for k in range(1, p)]
        values.append(min(1.0, max(2 / p * abs(s) ** 2 for s in sums)))
    assert circularity(Adder(noise, noise, lambda a, b: a)) == pytest.approx(sum(values) / 4)


def test_shares_of_a_vector_without_mean_add_up_to_one():
    vectors = torch.randn(13, 5, dtype=torch.float64)
    shares = frequency_shares(vectors - vectors.mean(0))
    torch.testing.assert_close(shares.sum(0), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("components", [0, 23])
def test_bad_components(clock, components):
    with pytest.raises(InvalidArgumentError, match=f"components={components} is not allowed"):
        circularity(clock(), components=components)
