import json
import os
from pathlib import Path

import pytest
import torch

from numsym.errors import InvalidArgumentError, ModelMismatchError
from numsym.models import LinearModularModel, ModularTransformer, load_pizza

SHARED = Path(os.environ.get("NUMSYM_SHARED", Path(__file__).parents[2] / "../shared"))
SETTINGS = {
    "funcs": "lambda x: (x[0]+x[1])%7",
    "C": 7,
    "n_heads": 2,
    "d_model": 8,
    "n_layers": 1,
    "act_fn": "ReLU",
    "attn_coeff": 0.25,
    "diff_vocab": False,
    "eqn_sign": False,
    "func": None,
}


def layout(p=7, d=8, heads=2, layers=1, positions=2):
    """Random weights in the published layout."""
    shapes = {"embed.W_E": (d, p), "pos_embed.W_pos": (positions, d), "unembed.W_U": (d, p)}
    for i in range(layers):
        shapes |= {f"blocks.{i}.attn.W_{name}": (heads, d // heads, d) for name in "KQV"}
        shapes |= {f"blocks.{i}.attn.W_O": (d, d), f"blocks.{i}.attn.mask": (positions, positions)}
        shapes |= {f"blocks.{i}.mlp.W_in": (4 * d, d), f"blocks.{i}.mlp.b_in": (4 * d,)}
        shapes |= {f"blocks.{i}.mlp.W_out": (d, 4 * d), f"blocks.{i}.mlp.b_out": (d,)}
    return {name: torch.randn(shape) for name, shape in shapes.items()}


@pytest.fixture
def write(tmp_path):
    def files(weights=None, **settings):
        path = tmp_path / "model_x.pt"
        torch.save(layout() if weights is None else weights, path)
        (tmp_path / "config_x.json").write_text(json.dumps(SETTINGS | settings))
        return path

    return files


@pytest.mark.parametrize("run", ["p99zdpze5l", "l8k1hzciux", "2k4ohj6bhd", "18c9ev5v5p", "p71frej8t7", "qlvxqhkvit"])
def test_published_checkpoints_add_without_error(run):
    if not (SHARED / "pizza").is_dir():
        pytest.skip("the published checkpoints are not here: set NUMSYM_SHARED to the folder that holds pizza/")
    model = load_pizza(SHARED / "pizza" / f"model_{run}.pt")
    pairs = torch.cartesian_prod(torch.arange(59), torch.arange(59))
    tokens = pairs.clone()
    tokens[:, 1] += 59 * model.config.separate_vocabularies
    with torch.no_grad():
        answers = model(tokens).logits[:, -1].argmax(-1)
    assert torch.equal(answers, pairs.sum(1) % 59)


def test_the_layout_is_read_as_the_paper_computes(write):
    weights = layout(layers=2)
    model = load_pizza(write(weights, n_layers=2))
    assert isinstance(model, ModularTransformer)
    assert not model.training
    a, b = torch.tensor([3]), torch.tensor([5])
    x = torch.stack([weights["embed.W_E"].T[a], weights["embed.W_E"].T[b]], 1) + weights["pos_embed.W_pos"]
    for i in range(2):
        w = {name: weights[f"blocks.{i}.attn.W_{name}"] for name in "KQVO"}
        q, k, v = (torch.einsum("hid,bpd->bhpi", w[name], x) for name in "QKV")
        attention = 0.25 * torch.softmax(q @ k.transpose(-1, -2) / 2, -1) + 0.75
        x = x + torch.einsum("df,bpf->bpd", w["O"], (attention @ v).transpose(1, 2).reshape(1, 2, 8))
        m = {name: weights[f"blocks.{i}.mlp.{name}"] for name in ("W_in", "b_in", "W_out", "b_out")}
        x = x + torch.relu(x @ m["W_in"].T + m["b_in"]) @ m["W_out"].T + m["b_out"]
    with torch.no_grad():
        torch.testing.assert_close(
            model(torch.stack([a, b], 1)).logits, x @ weights["unembed.W_U"], rtol=1e-4, atol=1e-4
        )


def test_linear_models_are_read(write):
    source = {"embed.weight": (7, 4), "unembed.weight": (7, 8), "l1.weight": (8, 8), "l1.bias": (8,)}
    weights = {name: torch.randn(shape) for name, shape in source.items()}
    path = write(weights, model_type="D", n_vocab=7, d_hidden=8, d_model=8)
    settings = json.loads(path.with_name("config_x.json").read_text())
    del settings["funcs"]
    path.with_name("config_x.json").write_text(json.dumps(settings))
    model = load_pizza(path)
    assert isinstance(model, LinearModularModel)
    assert model.config.kind == "D"
    assert torch.equal(model.l1.bias, weights["l1.bias"])


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: (x[0]-x[1])%7",
        "lambda x: (x[0]+x[1])%8",
        "lambda x: (x[0]+x[1])%7 or open('/tmp/evaluated', 'w')",
        "__import__('os').system('true')",
        None,
        3,
    ],
)
def test_any_other_function_is_refused_and_not_evaluated(write, text):
    with pytest.raises(ModelMismatchError, match=r"it must be addition mod C, 'lambda x: \(x\[0\]\+x\[1\]\)%7'"):
        load_pizza(write(funcs=text))
    with pytest.raises(ModelMismatchError, match="only addition mod C is read"):
        load_pizza(write(func="x"))


class Planted:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def test_nothing_but_tensors_is_unpickled(write, tmp_path):
    weights = layout()
    with pytest.raises(ModelMismatchError, match="is not a file of tensors alone"):
        load_pizza(write(weights | {"embed.W_E": Planted(tmp_path / "touched")}))
    assert not (tmp_path / "touched").exists()
    with pytest.raises(ModelMismatchError, match="is not a state dict"):
        load_pizza(write(torch.zeros(3)))
    path = write()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ModelMismatchError, match="is not a file of tensors alone"):
        load_pizza(path)


def test_missing_and_extra_keys_are_listed(write):
    weights = layout()
    del weights["blocks.0.mlp.b_in"]
    with pytest.raises(ModelMismatchError, match=r"missing keys \['blocks.0.mlp.b_in'\], extra keys \['bias'\]"):
        load_pizza(write(weights | {"bias": torch.zeros(1)}))
    with pytest.raises(ModelMismatchError, match=r"extra keys \['blocks.1"):
        load_pizza(write(layout(layers=2)))


def test_a_p_that_is_not_the_vocabulary(write):
    with pytest.raises(
        ModelMismatchError, match=r"'embed.W_E' of shape \(8, 7\), but its configuration asks for \(8, 5\)"
    ):
        load_pizza(write(C=5, funcs="lambda x: (x[0]+x[1])%5"))
    with pytest.raises(ModelMismatchError, match=r"'embed.W_E' of shape \(8, 7\)"):
        load_pizza(write(diff_vocab=True))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"C": "7"}, "C='7'"),
        ({"C": 1}, "C=1"),
        ({"act_fn": "GeLU"}, "act_fn='GeLU', not 'ReLU'"),
        ({"attn_coeff": "one"}, "attn_coeff='one', which is not allowed"),
        ({"d_model": None}, "d_model=None, which is not allowed"),
        ({"attn_coeff": 2.0}, "alpha=2.0 is not allowed"),
    ],
)
def test_other_bad_settings(write, settings, text):
    with pytest.raises(InvalidArgumentError, match=text):
        load_pizza(write(**settings))


def test_bad_files(write, tmp_path):
    path = write(layout() | {"blocks.0.mlp.b_in": torch.full((32,), torch.nan)})
    with pytest.raises(ModelMismatchError, match=r"a value in 'blocks.0.mlp.b_in' that is not finite"):
        load_pizza(path)
    path.with_name("config_x.json").write_text("{")
    with pytest.raises(ModelMismatchError, match="is not JSON"):
        load_pizza(path)
    path.with_name("config_x.json").write_text("[]")
    with pytest.raises(ModelMismatchError, match="is not a JSON object"):
        load_pizza(path)
    with pytest.raises(InvalidArgumentError, match=r"config=.* is not allowed: there is no such file"):
        load_pizza(path, config=tmp_path / "none.json")
    with pytest.raises(InvalidArgumentError, match=r"path=.* is not allowed: there is no such file"):
        load_pizza(tmp_path / "none.pt")
