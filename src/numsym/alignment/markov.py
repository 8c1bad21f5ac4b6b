"""Is the state at one position all that the future depends on? [N]'s Markov tests, for any model that pyvene knows.

A recurrent network is Markovian: what it does next depends on the tokens so far only through its state. A transformer
can also look back at every token, and what is held at one position may then decide nothing ([N] finds that replacing
the whole residual stream there does not change what follows).

| test | what is exchanged at one position | what a Markovian model does |
| --- | --- | --- |
| `following` with one site | the whole of that site, such as one layer's residual | follows the source's program |
| `following` with `state_sites` | every layer at once | the same |
| `dependence` | the state against everything before it | score 1 |

Only *later* predictions count: those made after the next token has been consumed. The prediction made at the exchanged
position itself is read off what was exchanged, in any model, so it tells nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from numsym._pyvene import frozen
from numsym.alignment.engines.pyvene import Whole, device_of
from numsym.alignment.pairs import Pairs, told_apart
from numsym.alignment.search import right
from numsym.errors import InvalidArgumentError
from numsym.models.logits import logits_of, model_inputs
from numsym.models.site import Site, state_sites
from numsym.shares import Share

CHUNK = 250
"""Pairs that run at a time."""


@dataclass(frozen=True)
class Following:
    """What a model does after an exchange, on the pairs where source and base say different things.

    Attributes:
        source: the share whose later predictable tokens are all those that the source's program state implies, and
            not all those of the base (each on the tokens of its own future).
        base: the share that goes on as if nothing had been exchanged, and not as the source says.
        neither: the share that does neither.
        both: the share that does both: where counts are equal and only the phase is exchanged, that can be.
        unexchanged: with no exchange, the share that goes on as the base says: what `base` could reach.
    """

    source: Share
    base: Share
    neither: Share
    both: Share
    unexchanged: Share


@dataclass(frozen=True)
class Dependence:
    """How far later predictions depend on the state at one position, against the context before it.

    Let p(c, s) be the next-token distributions at the later predictable positions of the base, with the context c (all
    positions before the exchanged one) and the state s (all layers at that position) taken from the base b or from the
    source a, and TV(p, q) = 1/2 sum |p - q| the total variation, averaged over positions and then over pairs:

        state = TV(p(b, b), p(b, a)),  context = TV(p(b, b), p(a, b)),  score = state / (state + context)

    Attributes:
        state: effect of the state, in 0..1.
        context: effect of the context, in 0..1.
        score: 1 for a Markovian model, 0 where the state has no effect; `None` where nothing has an effect.
        n: the number of pairs.
    """

    state: float
    context: float
    score: float | None
    n: int


def following(model: nn.Module, sites: Sequence[Site], pairs: Pairs, own: Pairs) -> Following:
    """Exchange the whole of some sites at one position: does behaviour follow the source, or stay with the base?

    Args:
        model: any that pyvene knows; left as it is.
        sites: exchanged together; each at the pair's position.
        pairs: with the counterfactual of the source's state, so exchanging "full".
        own: the same pairs with what follows when nothing is exchanged; see `numsym.alignment.pairs.unexchanged`.

    Raises:
        UnknownNameError: the model has no such site.
        InvalidArgumentError: the two say the same on all pairs.
    """
    pairs, own = telling(pairs, own)
    source, base = (agrees(model, sites, one) for one in (pairs, own))
    return Following(
        source=Share.of(source & ~base),
        base=Share.of(base & ~source),
        neither=Share.of(~source & ~base),
        both=Share.of(source & base),
        unexchanged=Share.of(agrees(model, [], own)),
    )


def agrees(model: nn.Module, sites: Sequence[Site], pairs: Pairs) -> Bool[Tensor, "batch"]:
    """Which pairs have all of their later predictable tokens right after the exchange of whole sites, on the CPU."""
    with frozen(model):
        return right(Whole(model, sites), 0, later(pairs))


@torch.no_grad()
def dependence(model: nn.Module, pairs: Pairs, own: Pairs, sites: Sequence[Site] | None = None) -> Dependence:
    """Measure how far later predictions depend on one position's state, against its context; see `Dependence`.

    The source's context with the base's state is a run of the source up to its position, whose states are replaced by
    the base's in every layer, and then of the base's own tokens. (With learned absolute positions these tokens have
    moved; rotary positions and none do not see it.)

    Args:
        model: any that pyvene knows; left as it is.
        pairs: with the counterfactual of the source's state, so exchanging "full".
        own: the same pairs with what follows when nothing is exchanged.
        sites: what a position hands on; `state_sites` if not given.

    Raises:
        InvalidArgumentError: source and base say the same on all pairs.
    """
    _, own = telling(pairs, own)
    state, context = [], []
    with frozen(model):
        exchange, untouched = Whole(model, state_sites(model) if sites is None else sites), Whole(model, [])
        for part in _parts(own, device_of(model)):
            base = (part.base_ids, part.base_mask, part.base_at)
            source = (part.source_ids, part.source_mask, part.source_at)
            row, at = part.scored[:, 1:].nonzero().T
            moved = at - part.base_at[row] + part.source_at[row]
            here = exchanged_logits(untouched, base, source)[row, at]
            other_state = exchanged_logits(exchange, base, source)[row, at]
            other_context = exchanged_logits(exchange, _with_context(part), base)[row, moved]
            state.append(_variation(here, other_state, row, len(part)))
            context.append(_variation(here, other_context, row, len(part)))
    by_state, by_context = (torch.cat(effects).mean().item() for effects in (state, context))
    total = by_state + by_context
    return Dependence(by_state, by_context, by_state / total if total > 0 else None, len(own))


Tokens = tuple[Int[Tensor, "batch _"], Bool[Tensor, "batch _"], Int[Tensor, "batch"]]
"""Tokens, mask, and one position of each row."""


def exchanged_logits(exchange: Whole, base: Tokens, source: Tokens) -> Float[Tensor, "batch pos vocab"]:
    """Logits of the base, with the source's values at their positions."""
    (ids, mask, at), (source_ids, source_mask, source_at) = base, source
    inputs, intervenable = model_inputs(exchange.model, ids, mask), exchange.intervenable(1)
    if exchange.site is None or intervenable is None:
        return exchange.model(**inputs)["logits"].float()
    given = model_inputs(exchange.model, source_ids, source_mask)
    _, output = intervenable(inputs, [given], exchange.site.locations(source_at[:, None], at[:, None]))
    return logits_of(output).float()


def later(pairs: Pairs) -> Pairs:
    """The pairs with only those tokens scored that are predicted after the exchanged position."""
    position = torch.arange(pairs.base_ids.shape[1], device=pairs.base_at.device)
    return replace(pairs, scored=pairs.scored & (position > pairs.base_at[:, None] + 1))


def telling(pairs: Pairs, own: Pairs) -> tuple[Pairs, Pairs]:
    """Those rows of two versions of the same pairs whose states differ, and later tokens, of which both have some.

    Raises:
        InvalidArgumentError: there are none.
    """
    pairs, own = later(pairs), later(own)
    # Equal states with different tokens differ in what is not predictable, such as where the void tokens are.
    differ = pairs.changed & told_apart(pairs, own).to(pairs.base_at.device)
    kept = (differ & pairs.scored.any(1) & own.scored.any(1)).nonzero()[:, 0]
    if len(kept) == 0:
        raise InvalidArgumentError(
            f"pairs is not allowed: on all {len(pairs)} of them source and base say the same after the exchange"
        )
    return pairs.rows(kept), own.rows(kept)


def _parts(pairs: Pairs, device: torch.device) -> list[Pairs]:
    return [pairs.rows(slice(start, start + CHUNK)).to(device) for start in range(0, len(pairs), CHUNK)]


def _with_context(pairs: Pairs) -> Tokens:
    """The source's tokens up to its position, then the base's from after its own: tokens, mask, the position."""
    longest = int((pairs.base_mask.sum(1) - pairs.base_at + pairs.source_at).max())
    position = torch.arange(longest, device=pairs.base_at.device)
    after = position > pairs.source_at[:, None]
    moved = position + (pairs.base_at - pairs.source_at)[:, None]
    inside = moved < pairs.base_ids.shape[1]
    there = moved.clamp(0, pairs.base_ids.shape[1] - 1)
    before = position.clamp(max=pairs.source_ids.shape[1] - 1).expand(len(pairs), -1)
    ids = torch.where(after, pairs.base_ids.gather(1, there), pairs.source_ids.gather(1, before))
    mask = torch.where(after, pairs.base_mask.gather(1, there) & inside, True)
    return ids, mask, pairs.source_at


def _variation(
    first: Float[Tensor, "kept vocab"], second: Float[Tensor, "kept vocab"], row: Int[Tensor, "kept"], n: int
) -> Float[Tensor, "batch"]:
    """Total variation between next-token distributions, averaged over the positions of each row."""
    distance = (first.softmax(-1) - second.softmax(-1)).abs().sum(-1) / 2
    zero = distance.new_zeros(n)
    return (zero.index_add(0, row, distance) / zero.index_add(0, row, torch.ones_like(distance))).cpu()
