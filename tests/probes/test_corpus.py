import math
import random

import pytest
import torch

from numsym.errors import InvalidArgumentError
from numsym.probes import residue
from numsym.probes.corpus import ppmi, ppmi_svd, word2vec


def corpus(sentences: int = 6000) -> list[list[str]]:
    """Numbers 0..59 beside a word that tells their residue mod 3, among words that tell nothing."""
    draw = random.Random(0)
    text = []
    for _ in range(sentences):
        n = draw.randrange(60)
        noise = [f"w{draw.randrange(30)}" for _ in range(3)]
        text.append([noise[0], f"class{n % 3}", str(n), noise[1], noise[2]])
    return text


def test_ppmi_is_the_definition():
    counts = torch.tensor([[2.0, 0.0, 1.0], [1.0, 3.0, 0.0]], dtype=torch.float64)
    total = float(counts.sum())
    got = ppmi(counts)
    for i in range(2):
        for j in range(3):
            joint = float(counts[i, j]) / total
            alone = float(counts[i].sum()) / total * float(counts[:, j].sum()) / total
            expected = max(0.0, math.log(joint / alone)) if joint else 0.0
            assert float(got[i, j]) == pytest.approx(expected)


def test_ppmi_embeds_what_the_text_tells_and_no_more():
    embeddings = ppmi_svd(corpus(), range(60), width=20, window=2)
    assert embeddings.shape == (60, 20)
    kappa = residue(embeddings, (2, 3), C=0.1).kappa
    assert kappa[3] > 90
    assert abs(kappa[2]) < 35


def test_the_window_and_the_contexts_bound_what_is_seen():
    text = [["a", "1", "x", "b"], ["c", "2", "x", "d"]]
    near = ppmi_svd(text, [1, 2], width=2, window=1)
    assert near.shape == (2, 2)
    assert float((near[0] - near[1]).norm()) > 0
    only_shared = ppmi_svd(text, [1, 2], width=2, window=1, context=1)
    torch.testing.assert_close(only_shared[0], only_shared[1])


def test_a_number_that_does_not_occur_is_zero_and_a_text_without_numbers_is_refused():
    assert float(ppmi_svd([["a", "1"], ["b", "2"]], [1, 2, 3])[2].abs().sum()) == 0
    with pytest.raises(InvalidArgumentError, match="none of the 2 numbers"):
        ppmi_svd([["a", "b"]], [1, 2])
    with pytest.raises(InvalidArgumentError, match="window=0 is not allowed"):
        ppmi_svd(corpus(10), [1], window=0)


def test_word2vec_embeds_what_the_text_tells_the_same_each_time():
    pytest.importorskip("gensim", reason="needs gensim, from the extra probes")
    embeddings = word2vec(corpus(), range(60), width=16, window=2, epochs=5)
    assert (embeddings.shape, embeddings.dtype) == ((60, 16), torch.float32)
    assert residue(embeddings, (3,), C=0.1).kappa[3] > 80
    assert torch.equal(embeddings, word2vec(corpus(), range(60), width=16, window=2, epochs=5))
    with pytest.raises(InvalidArgumentError, match=r"1 of 61 do not occur in the text \(the first is 60\)"):
        word2vec(corpus(), range(61))
