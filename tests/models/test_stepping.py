"""Linear RNNs run token by token: stopped in each row where asked, and run on from there."""

import runpy
from pathlib import Path

import pytest
import torch

from numsym.models import load
from numsym.models.stepping import cut, joined

ZOO = runpy.run_path(str(Path(__file__).parent / "hugging_face.py"))


@pytest.mark.parametrize("name", list(ZOO["LINEAR"]))
@torch.no_grad()
def test_rows_are_stopped_where_asked_and_run_on_from_there(name, generator):
    model = load(ZOO["small"](name))
    steps, ids, at = model.token_by_token, torch.randint(1, 40, (3, 7), generator=generator), torch.tensor([3, 0, 2])
    want = model(ids, use_cache=False).logits
    said, states = steps.until(ids, at)
    torch.testing.assert_close(said, want[torch.arange(3), at], atol=1e-3, rtol=1e-3)
    assert {layer: joined(parts).shape[1] for layer, parts in states.items()} == model.state_widths
    found = []
    rest = ids.gather(1, at[:, None] + 1 + torch.arange(3))
    steps.onwards(rest, states, lambda t, logits: found.append(logits))
    for t, logits in enumerate(found):
        torch.testing.assert_close(logits, want[torch.arange(3), at + 1 + t], atol=1e-3, rtol=1e-3)


def test_states_are_joined_and_cut_again():
    parts = [torch.randn(2, 3, 4), torch.randn(2, 5)]
    whole = joined(parts)
    assert whole.shape == (2, 17)
    again = cut(whole, parts)
    assert all(torch.equal(*both) for both in zip(again, parts, strict=True))
    assert all(one.data_ptr() != whole.data_ptr() for one in again)


def test_what_attends_carries_more_than_its_states():
    assert load(ZOO["small"]("gated_deltanet")).token_by_token.whole
    assert not load(ZOO["small"]("falcon_h1")).token_by_token.whole
