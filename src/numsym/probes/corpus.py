"""Number embeddings from a text alone: PPMI with SVD, and word2vec. The baselines of [F] that no network needs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from numsym.errors import InvalidArgumentError, NumsymError, check_at_least


def ppmi_svd(
    sentences: Iterable[Sequence[str]],
    numbers: Sequence[int],
    *,
    width: int = 100,
    window: int = 5,
    context: int = 5000,
) -> Float[Tensor, "number hidden"]:
    """Embed numbers by what stands around them: positive pointwise mutual information, then SVD.

    PPMI(n, c) = max(0, log P(n, c) / (P(n) P(c))), over pairs at most `window` tokens apart inside a sentence; the
    embedding is U S of its singular value decomposition.

    Args:
        sentences: the text as lists of tokens.
        numbers: which numbers.
        width: dimensions kept; no more than there are.
        window: how far a context token may be, on either side.
        context: how many of the most frequent tokens are contexts.

    Returns:
        (N, d) float64. A number that does not occur is zero.

    Raises:
        InvalidArgumentError: none of the numbers occurs beside a context token, or a setting is below 1.

    Source: [F], the PPMI baseline.
    """
    for name, value in (("width", width), ("window", window), ("context", context)):
        check_at_least(name, value, 1)
    texts = [list(sentence) for sentence in sentences]
    frequency = Counter(token for text in texts for token in text)
    contexts = {token: i for i, (token, _) in enumerate(frequency.most_common(context))}
    rows = {str(number): i for i, number in enumerate(numbers)}
    pairs: Counter[tuple[int, int]] = Counter()
    for text in texts:
        for place, token in enumerate(text):
            row = rows.get(token)
            if row is None:
                continue
            around = text[max(0, place - window) : place] + text[place + 1 : place + 1 + window]
            pairs.update((row, contexts[other]) for other in around if other in contexts)
    if not pairs:
        raise InvalidArgumentError(f"sentences hold none of the {len(rows)} numbers asked for beside another token")
    counts = torch.zeros(len(rows), len(contexts), dtype=torch.float64)
    places = torch.tensor(list(pairs), dtype=torch.long)
    counts[places[:, 0], places[:, 1]] = torch.tensor(list(pairs.values()), dtype=torch.float64)
    return _leading(ppmi(counts), width)


def ppmi(counts: Float[Tensor, "row column"]) -> Float[Tensor, "row column"]:
    """Positive pointwise mutual information of a table of counts; an empty cell is 0."""
    expected = counts.sum(dim=1, keepdim=True) * counts.sum(dim=0, keepdim=True) / counts.sum()
    return torch.where(counts > 0, (counts / expected.clamp_min(1e-300)).log(), 0.0).clamp_min(0)


def _leading(table: Float[Tensor, "row column"], width: int) -> Float[Tensor, "row hidden"]:
    left, lengths, _ = torch.linalg.svd(table, full_matrices=False)
    return (left * lengths)[:, :width]


def word2vec(
    sentences: Iterable[Sequence[str]],
    numbers: Sequence[int],
    *,
    width: int = 100,
    window: int = 5,
    epochs: int = 5,
    seed: int = 0,
) -> Float[Tensor, "number hidden"]:
    """Embed numbers by word2vec (skip-gram with negative sampling, gensim's defaults otherwise).

    Args:
        sentences: the text as lists of tokens.
        numbers: which numbers; each must occur.
        width: dimensions.
        window: how far a context token may be, on either side.
        epochs: passes over the text.
        seed: of gensim; one worker, so that it decides everything.

    Returns:
        (N, d) float32.

    Raises:
        NumsymError: gensim is not installed.
        InvalidArgumentError: a number does not occur.

    Source: [F], the word2vec baseline.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise NumsymError("word2vec needs gensim: pip install 'numsym[probes]'") from error
    texts = [list(sentence) for sentence in sentences]
    seen = {token for text in texts for token in text}
    missing = [number for number in numbers if str(number) not in seen]
    if missing:
        raise InvalidArgumentError(
            f"numbers: {len(missing)} of {len(numbers)} do not occur in the text (the first is {missing[0]})"
        )
    options: dict[str, Any] = {"vector_size": width, "window": window, "epochs": epochs, "seed": seed}
    # Without hashfxn the start depends on Python's hash of strings, which differs from process to process.
    model = Word2Vec(texts, sg=1, min_count=1, workers=1, hashfxn=_stable_hash, **options)
    return torch.stack([torch.from_numpy(model.wv[str(number)].copy()) for number in numbers])


def _stable_hash(text: str) -> int:
    return int.from_bytes(text.encode(), "little") % (2**31 - 1)
