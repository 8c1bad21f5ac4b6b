import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from numsym.errors import InvalidArgumentError
from numsym.probes.vectors import is_vectors, read_vectors

VALUES = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
WORDS = ["the", *map(str, range(11, -1, -1)), "007", "x1"]


def written(path, header="", words=WORDS):
    lines = [f"{w} " + " ".join(f"{x:.9g}" for x in VALUES[int(w) if w.isdecimal() else 0].tolist()) for w in words]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("name", "header"), [("glove.txt", ""), ("word2vec.vec", "15 3\n")])
def test_text_is_read_with_and_without_its_header(tmp_path, name, header):
    path = written(tmp_path / name, header)
    table = read_vectors(path)
    assert is_vectors(path)
    assert torch.allclose(table.embeddings, VALUES)
    places = [WORDS.index(str(n)) + (1 if header else 0) for n in range(12)]
    assert table.rank.tolist() == places
    assert table.frequency[11] > table.frequency[0]
    assert len(read_vectors(path, 5).embeddings) == 5


def test_gensim_writes_what_is_read(tmp_path):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(3)
    keyed.add_vectors([str(n) for n in range(12)], VALUES.numpy())
    keyed.save_word2vec_format(str(tmp_path / "made.txt"))
    assert torch.allclose(read_vectors(tmp_path / "made.txt").embeddings, VALUES)


def test_tables_have_no_ranks(tmp_path):
    np.save(tmp_path / "a.npy", VALUES.numpy())
    save_file({"weight": VALUES, "bias": torch.zeros(3)}, tmp_path / "a.safetensors")
    for name in ("a.npy", "a.safetensors"):
        table = read_vectors(tmp_path / name, 10)
        assert torch.equal(table.embeddings, VALUES[:10])
        assert table.rank is table.frequency is None


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"numbers=13 is not allowed: a.txt has no vector of 12"):
        read_vectors(written(tmp_path / "a.txt"), 13)
    with pytest.raises(InvalidArgumentError, match=r"too few numbers is not allowed: b.txt has no vector of 0"):
        read_vectors(written(tmp_path / "b.txt", words=["the", "5"]))
    with pytest.raises(InvalidArgumentError, match="3 stands there twice"):
        read_vectors(written(tmp_path / "c.txt", words=["3", "3"]))
    (tmp_path / "d.txt").write_text("the 1\n1 x 2\n")
    with pytest.raises(InvalidArgumentError, match="line 2: could not convert"):
        read_vectors(tmp_path / "d.txt")
    (tmp_path / "e.npy").write_bytes(b"nothing")
    with pytest.raises(InvalidArgumentError, match=r"e.npy is not allowed: it cannot be read"):
        read_vectors(tmp_path / "e.npy")
    save_file({"a": VALUES, "b": VALUES.clone()}, tmp_path / "f.safetensors")
    with pytest.raises(InvalidArgumentError, match="it holds 2 matrices"):
        read_vectors(tmp_path / "f.safetensors")
    assert not is_vectors(tmp_path / "none.txt")
