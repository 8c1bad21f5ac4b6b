"""What a decoder says after an exchange, token by token from its cache, is what it says in whole runs."""

import pytest
import torch

from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.suffix import SuffixEngine
from numsym.alignment.functions import build
from numsym.models.site import Site

LATER = 3


@pytest.mark.parametrize("name", ["gpt2", "llama", "bloom", "gemma2"])
@pytest.mark.parametrize(("site", "tokens"), [("block_output:1", 1), ("embeddings", 1), ("attention_output:2", 3)])
def test_rows_of_any_length_go_on_from_their_exchange(decoder, prompts, name, site, tokens):
    model, place = decoder(name), Site.of(site)
    pairs = prompts(n=10, tokens_each=tokens, side="left")
    made = [build("linear", place.check(model), 4, 1, seed=1)]
    fast, slow = SuffixEngine(model, place, made), PyveneEngine(model, place, made)
    logits, states = fast._begun(fast.prepare(pairs), 0)
    lengths = states.lengths.clone()
    ids = states.ids[:, : int(lengths.max())]
    for step in range(LATER):
        torch.testing.assert_close(logits, slow._said(0, pairs, ids, lengths), atol=1e-4, rtol=1e-3)
        token = torch.arange(10) + 3 + step
        ids = torch.nn.functional.pad(ids, (0, 1)).scatter(1, lengths[:, None], token[:, None])
        logits, lengths = states.step(token), lengths + 1
