"""Modular adders whose algorithm is known because it is written down, and the published checkpoints."""

import math
import os
from pathlib import Path

import pytest
import torch

SHARED = Path(os.environ.get("NUMSYM_SHARED", Path(__file__).parents[2] / "../shared"))


def circle_table(p, frequencies, radii=None):
    """(p, 2 n) embeddings: token t at angle 2 pi k t / p on the circle of every frequency k."""
    # Circles of different sizes: principal components of equal size would mix.
    radii = [(1 - k / 50, 1 - k / 50) for k in frequencies] if radii is None else radii
    t = torch.arange(p, dtype=torch.float64)[:, None] * (2 * math.pi / p)
    turns = zip(frequencies, radii, strict=True)
    return torch.cat([part for k, (r, s) in turns for part in (r * (k * t).cos(), s * (k * t).sin())], 1)


@pytest.fixture
def circles():
    return circle_table


@pytest.fixture
def clock():
    """Multiplies the operands: logit c is the sum over circles of cos(w (a + b - c)); the correct one is constant."""

    def build(p=23, frequencies=(3, 7)):
        from numsym.circuits import Adder

        table = circle_table(p, frequencies)

        def logits(embed_a, embed_b):
            a, b, c = (e.unflatten(-1, (-1, 2)) for e in (embed_a, embed_b, table))
            cosine = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
            sine = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
            return cosine @ c[..., 0].T + sine @ c[..., 1].T

        return Adder(table, table, logits)

    return build


@pytest.fixture
def pizza():
    """Adds the operands and takes absolute values: it sees Ea + Eb alone, and fades where a and b are opposite."""

    def build(p=23, frequencies=(3, 7)):
        from numsym.circuits import Adder

        table = circle_table(p, frequencies)
        # Half the angle of c, so that |.| of the projections gives a cosine of the whole one.
        half = torch.cat([circle_table(2 * p, [k])[:p] for k in frequencies], 1).unflatten(-1, (-1, 2))

        def logits(embed_a, embed_b):
            s = (embed_a + embed_b).unflatten(-1, (-1, 2))[:, None]
            along = s[..., 0] * half[..., 0] + s[..., 1] * half[..., 1]
            across = s[..., 1] * half[..., 0] - s[..., 0] * half[..., 1]
            return (along.abs() - across.abs()).sum(-1)

        return Adder(table, table, logits)

    return build


@pytest.fixture(params=["p99zdpze5l", "l8k1hzciux", "2k4ohj6bhd", "18c9ev5v5p", "p71frej8t7", "qlvxqhkvit"])
def published(request):
    """A published checkpoint and its reference values."""
    return load_published(request.param)


@pytest.fixture
def model_a():
    return load_published("p99zdpze5l")[0]


@pytest.fixture
def model_b():
    return load_published("l8k1hzciux")[0]


def load_published(run):
    from numsym.models import load_pizza
    from numsym.storage import read_json

    if not (SHARED / "pizza").is_dir():
        pytest.skip("the published checkpoints are not here: set NUMSYM_SHARED to the folder that holds pizza/")
    model = load_pizza(SHARED / "pizza" / f"model_{run}.pt")
    return model, read_json(SHARED / "pizza" / "reference.json")["runs"][run]
