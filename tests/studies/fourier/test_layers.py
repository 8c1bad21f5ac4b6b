import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from numsym.errors import InvalidArgumentError
from numsym.lab.run import Run
from numsym.probes import prompt_states, residue
from numsym.studies import fourier
from numsym.studies.fourier import Fourier

SETTINGS = {"where": "states", "numbers": 24, "folds": 4, "max_period": 4, "template": "Count: {n}"}


@pytest.fixture(scope="module")
def lm(tokenizer, tmp_path_factory):
    """The folder of a language model whose tokenizer cuts most numbers into pieces."""
    folder = tmp_path_factory.mktemp("lm") / "mine"
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_hidden_states_are_measured_layer_by_layer(lm, tokenizer, tmp_path):
    run = Run(tmp_path / "run", track=False, quiet=True)
    found = fourier(source=str(lm), layers=(0, 2), **SETTINGS, run=run)
    assert list(found.systems) == ["mine, after layer 0", "mine, after layer 2"]
    model = LlamaForCausalLM.from_pretrained(lm).eval()
    for layer, system in zip((0, 2), found.systems.values(), strict=True):
        states = prompt_states(model, tokenizer, range(24), template="Count: {n}", site=f"block_output:{layer}")
        own = residue(states, range(2, 5), 4, generator=torch.Generator().manual_seed(0))
        assert system.probes[system.system].kappa == pytest.approx(own.kappa, abs=1.0)
        assert (system.layer, system.numbers, system.controls()) == (layer, 24, [])
    (rows,) = found.tables().values()
    assert [row["after layer"] for row in rows] == [0, 2]
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert Fourier.from_dict(written).rows() == found.rows()
    assert (tmp_path / "run" / "fourier_layers.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (3,)}, r"layers=\(3,\) is not allowed: .* has the layers 0..2"),
        ({"template": "no number"}, "template='no number' is not allowed"),
        ({"where": "logits"}, "unknown where 'logits'"),
        ({"source": None}, "where='states' is not allowed without a source"),
        ({"source": "/nowhere/at-all"}, "model='/nowhere/at-all' is not allowed"),
        ({"numbers": 6}, "periods=4 is not allowed: a period is an integer of 2..3"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(lm, options, message, tmp_path):
    with pytest.raises(InvalidArgumentError, match=message):
        fourier(**{"source": str(lm), **SETTINGS, **options}, run=Run(tmp_path / "run", track=False, quiet=True))
    assert not (tmp_path / "run").exists()
