"""Perturbations of a token stream that take one source of number structure away each ([F], data perturbations)."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from numsym.errors import InvalidArgumentError, check_at_least


def _where(tokens: Int[Tensor, "*row"], number_ids: Int[Tensor, " number"]) -> Bool[Tensor, "*row"]:
    if number_ids.numel() == 0 or number_ids.unique().numel() < number_ids.numel():
        raise InvalidArgumentError(
            f"number_ids of shape {tuple(number_ids.shape)} are not allowed: "
            "give the ids of the number tokens, once each"
        )
    return torch.isin(tokens, number_ids.to(tokens.device))


def swap_numbers(
    tokens: Int[Tensor, "row pos"], number_ids: Int[Tensor, " number"], generator: torch.Generator | None = None
) -> Int[Tensor, "row pos"]:
    """Give each row the number tokens of another row that has as many, in their order.

    The n-grams of numbers stay (a row's numbers move together), and so does the text around them; the link between
    the two is broken. Rows are paired by a random cycle among those with the same count of numbers; one that has no
    partner keeps its own.

    Args:
        tokens: (rows, positions), left as they are.
        number_ids: the ids of the number tokens.
        generator: a CPU generator; None is torch's own.

    Raises:
        InvalidArgumentError: there are no number ids, or one repeats.

    Source: [F], Swap Numbers.
    """
    numeric = _where(tokens, number_ids)
    counts = numeric.sum(dim=1).cpu()
    donor = torch.arange(len(tokens))
    for count in counts.unique().tolist():
        rows = (counts == count).nonzero().flatten()
        rows = rows[torch.randperm(len(rows), generator=generator)]
        donor[rows] = rows.roll(1)
    donor = donor.to(tokens.device)
    swapped = tokens.clone()
    # Both masks are read row by row and have the same count in each row, so the numbers keep their order.
    swapped[numeric] = tokens[donor][numeric[donor]]
    return swapped


def unigram_replace(
    tokens: Int[Tensor, "*row"], number_ids: Int[Tensor, " number"], generator: torch.Generator | None = None
) -> Int[Tensor, "*row"]:
    """Draw every number token anew from the frequencies of number tokens in these tokens.

    The marginal stays (in expectation), and where numbers stand; what they have to do with each other and with the
    text is gone.

    Args:
        tokens: of any shape, left as they are.
        number_ids: the ids of the number tokens.
        generator: a CPU generator; None is torch's own.

    Raises:
        InvalidArgumentError: there are no number ids, or one repeats.

    Source: [F], Unigram Replace.
    """
    numeric = _where(tokens, number_ids)
    found = tokens[numeric]
    replaced = tokens.clone()
    if found.numel():
        draw = torch.randint(found.numel(), (found.numel(),), generator=generator).to(tokens.device)
        replaced[numeric] = found[draw]
    return replaced


def isolate_numbers(
    tokens: Int[Tensor, "row pos"], number_ids: Int[Tensor, " number"], *, keep: int, fill: int
) -> Int[Tensor, "piece pos"]:
    """Pack the tokens of each row into sequences with at most `keep` number tokens: no number sees more than that.

    A row is cut before each number that would be one too many. Every token stays, in its order, so that how often a
    number occurs and the text right around it do not change; a sequence is filled up with `fill`.

    Args:
        tokens: (rows, positions), left as they are; `fill` is their padding.
        number_ids: the ids of the number tokens.
        keep: k, how many number tokens a sequence may hold.
        fill: the id of the padding; not itself a number.

    Returns:
        (sequences, positions), those of a row one after the other; sequences of padding alone are left out.

    Raises:
        InvalidArgumentError: `keep` is below 1, `fill` is a number token, or number ids are missing or repeat.

    Source: [F], Isolate-k.
    """
    check_at_least("keep", keep, 1)
    numeric = _where(tokens, number_ids)
    if bool((number_ids == fill).any()):
        raise InvalidArgumentError(f"fill={fill!r} is not allowed: it is itself one of the number tokens")
    piece = (numeric.cumsum(dim=1) - 1).clamp_min(0) // keep
    pieces = piece[:, -1] + 1
    start = pieces.cumsum(0) - pieces
    cut = torch.full((int(pieces.sum()), tokens.shape[1]), fill, dtype=tokens.dtype, device=tokens.device)
    # Where each token stands in its sequence: how far it is from the first one of the same row and piece.
    places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
    fresh = torch.nn.functional.pad(piece.diff(dim=1), (1, 0), value=1) > 0
    first = torch.where(fresh, places, 0).cummax(dim=1).values
    cut[start[:, None] + piece, places - first] = tokens
    return cut[(cut != fill).any(dim=1)]


def limit_context(tokens: Int[Tensor, "row pos"], length: int, *, fill: int) -> Int[Tensor, "window length"]:
    """Cut rows into windows of `length` tokens, so that nothing further away can be used.

    Windows do not overlap and hold every token once, in order; the last one of a row is filled up with `fill`.

    Args:
        tokens: (rows, positions).
        length: l, the tokens of a window.
        fill: the id of the padding.

    Returns:
        (rows x windows, length), a row's windows one after the other.

    Raises:
        InvalidArgumentError: `length` is below 1.

    Source: [F], Context-l.
    """
    check_at_least("length", length, 1)
    missing = -tokens.shape[1] % length
    padded = torch.nn.functional.pad(tokens, (0, missing), value=fill)
    return padded.reshape(-1, length)
