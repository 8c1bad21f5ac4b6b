import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes.perturbations import isolate_numbers, limit_context, swap_numbers, unigram_replace

NUMBERS = torch.arange(10, 30)
FILL = 0


def stream(seed: int = 0) -> torch.Tensor:
    """Rows of 12 tokens: text 1..9 and numbers 10..29, small ones far more often."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(1, 10, (200, 12), generator=generator)
    numbers = 10 + (20 * torch.rand(200, 12, generator=generator) ** 3).long()
    return torch.where(torch.rand(200, 12, generator=generator) < 0.3, numbers, text)


def numeric(tokens: torch.Tensor) -> torch.Tensor:
    return tokens >= 10


def sequences(tokens: torch.Tensor) -> list[tuple[int, ...]]:
    return sorted(tuple(row[row >= 10].tolist()) for row in tokens)


def test_swapping_keeps_the_text_and_every_rows_number_sequence_elsewhere():
    tokens = stream()
    swapped = swap_numbers(tokens, NUMBERS, torch.Generator().manual_seed(0))
    assert torch.equal(numeric(swapped), numeric(tokens))
    assert torch.equal(swapped[~numeric(tokens)], tokens[~numeric(tokens)])
    assert sequences(swapped) == sequences(tokens)
    moved = (swapped != tokens).any(dim=1)[numeric(tokens).any(dim=1)]
    assert moved.float().mean() > 0.9


def test_a_row_without_partner_keeps_its_numbers():
    tokens = torch.tensor([[1, 10, 2], [11, 12, 3], [13, 4, 5]])
    assert swap_numbers(tokens, NUMBERS).tolist() == [[1, 13, 2], [11, 12, 3], [10, 4, 5]]


def test_unigrams_keep_places_and_marginal_and_nothing_else():
    tokens = stream().repeat(20, 1)
    replaced = unigram_replace(tokens, NUMBERS, torch.Generator().manual_seed(0))
    where = numeric(tokens)
    assert torch.equal(numeric(replaced), where)
    assert torch.equal(replaced[~where], tokens[~where])
    before, after = (t[where].bincount(minlength=30).double() / where.sum() for t in (tokens, replaced))
    assert (before - after).abs().max() < 0.02
    assert (after[before == 0] == 0).all()
    pairs = torch.stack([tokens[where].double(), replaced[where].double()])
    assert abs(float(torch.corrcoef(pairs)[0, 1])) < 0.03


@pytest.mark.parametrize("keep", [1, 3, 12])
def test_a_sequence_has_at_most_k_numbers_and_every_token_stays_in_order(keep):
    tokens = stream()
    cut = isolate_numbers(tokens, NUMBERS, keep=keep, fill=FILL)
    assert numeric(cut).sum(dim=1).max() <= keep
    assert torch.equal(cut[cut != FILL], tokens.flatten())
    expected = []
    for row in tokens.tolist():  # by hand, token by token
        piece: list[int] = []
        for token in row:
            if token >= 10 and sum(other >= 10 for other in piece) == keep:
                expected.append(piece)
                piece = []
            piece.append(token)
        expected.append(piece)
    assert [[token for token in row if token != FILL] for row in cut.tolist()] == expected


def test_a_row_that_is_padded_leaves_no_empty_sequence():
    tokens = torch.tensor([[1, 10, 2, 11, FILL, FILL], [FILL] * 6])
    cut = isolate_numbers(tokens, NUMBERS, keep=1, fill=FILL)
    assert cut.tolist() == [[1, 10, 2, FILL, FILL, FILL], [11, FILL, FILL, FILL, FILL, FILL]]


@pytest.mark.parametrize("length", [1, 5, 12, 40])
def test_windows_hold_every_token_once_in_order(length):
    tokens = stream()
    windows = limit_context(tokens, length, fill=FILL)
    assert windows.shape == (200 * -(-12 // length), length)
    assert torch.equal(windows.reshape(200, -1)[:, :12], tokens)
    assert (windows.reshape(200, -1)[:, 12:] == FILL).all()


def test_nothing_changes_in_place_and_a_text_without_numbers_stays():
    tokens = stream()
    before = tokens.clone()
    swap_numbers(tokens, NUMBERS)
    unigram_replace(tokens, NUMBERS)
    isolate_numbers(tokens, NUMBERS, keep=1, fill=FILL)
    assert torch.equal(tokens, before)
    text = torch.full((3, 4), 5)
    assert torch.equal(unigram_replace(text, NUMBERS), text)
    assert torch.equal(swap_numbers(text, NUMBERS), text)


def test_bad_arguments_are_refused():
    tokens = stream()
    with pytest.raises(InvalidArgumentError, match="once each"):
        swap_numbers(tokens, torch.tensor([10, 10]))
    with pytest.raises(InvalidArgumentError, match="once each"):
        unigram_replace(tokens, torch.tensor([], dtype=torch.long))
    with pytest.raises(InvalidArgumentError, match="fill=12 is not allowed"):
        isolate_numbers(tokens, NUMBERS, keep=1, fill=12)
    with pytest.raises(InvalidArgumentError, match="keep=0 is not allowed"):
        isolate_numbers(tokens, NUMBERS, keep=0, fill=FILL)
    with pytest.raises(InvalidArgumentError, match="length=0 is not allowed"):
        limit_context(tokens, 0, fill=FILL)
