import runpy
from pathlib import Path

import pytest
import torch

from numsym.alignment.pairs import Pairs
from numsym.models import load

HUGGING_FACE = runpy.run_path(str(Path(__file__).parents[2] / "models" / "hugging_face.py"))
PAD = 0


@pytest.fixture(scope="session")
def decoder():
    """A small decoder of transformers by the name of its architecture, frozen, and known to pyvene."""
    return lambda name, seed=0, **options: load(HUGGING_FACE["small"](name, seed), **options).requires_grad_(False)


@pytest.fixture(scope="session")
def prompts():
    """Pairs of tokens at random, of several lengths, with several scored tokens, and the first `shared` ones alike.

    Args: how many, of how many variables, a seed, the side of the padding, how many tokens all begin with, and at how
    many tokens there is an exchange, which are given if they are several.
    """

    def draw(n=24, variables=("sum",), seed=0, side="right", shared=0, tokens_each=1):
        generator = torch.Generator().manual_seed(seed)

        def number(low, high):
            return torch.randint(low, high, (n,), generator=generator)

        def tokens(lengths, width):
            ids = torch.randint(3, 40, (n, width), generator=generator)
            ids[:, :shared] = torch.arange(3, 3 + shared)
            gap = {"right": 0, "left": width - lengths, "both": (width - lengths) // 2}[side]
            first = torch.zeros(n, dtype=torch.long) + gap
            place = torch.arange(width) - first[:, None]
            mask = (place >= 0) & (place < lengths[:, None])
            return ids.gather(1, place.clamp(0, width - 1)).masked_fill(~mask, PAD), mask, first, place

        lengths, width = number(shared + 8, shared + 14), shared + 16
        ids, mask, first, place = tokens(lengths, width)
        at = lengths - 2 - number(0, 5)
        scored = mask & (place > at[:, None]) & (torch.rand(n, width, generator=generator) < 0.5)
        scored |= place == lengths[:, None] - 1
        source_at = number(shared, shared + 9)
        source_ids, source_mask, source_first, _ = tokens(source_at + 1, shared + 10)
        zero = torch.zeros(n, dtype=torch.long)
        return Pairs(
            base_ids=ids,
            base_mask=mask,
            scored=scored,
            base_at=at + first,
            source_ids=source_ids,
            source_mask=source_mask,
            source_at=source_at + source_first,
            block=number(0, len(variables)),
            base_value=zero,
            source_value=zero,
            changed=zero == 0,
            base_counts=zero,
            source_counts=zero,
            state={},
            variables=variables,
            **({} if tokens_each == 1 else several(at, first, source_at, source_first, tokens_each)),
        )

    def several(at, first, source_at, source_first, tokens_each):
        # In no order, as they may be given.
        bases, sources = ([own, 0 * own, (own - 1).clamp(min=0)][:tokens_each] for own in (at, source_at))
        return {
            "base_tokens": torch.stack(bases, 1) + first[:, None],
            "source_tokens": torch.stack(sources, 1) + source_first[:, None],
        }

    return draw
