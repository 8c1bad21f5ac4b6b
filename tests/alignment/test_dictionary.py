"""Dictionaries in files: arrays, and SAELens' folders against its own formulas, written out here."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from numsym.alignment.dictionary import CONFIG, WEIGHTS, Dictionary
from numsym.errors import InvalidArgumentError

WIDTH, COUNT = 5, 12


@pytest.fixture
def arrays():
    drawn = {"encoder": (WIDTH, COUNT), "decoder": (COUNT, WIDTH), "bias": (COUNT,), "threshold": (COUNT,)}
    return {name: torch.randn(shape) for name, shape in drawn.items()}


@pytest.fixture
def saelens():
    names = {"W_enc": (WIDTH, COUNT), "W_dec": (COUNT, WIDTH), "b_dec": (WIDTH,)}
    own = {"standard": ["b_enc"], "jumprelu": ["b_enc", "threshold"], "gated": ["b_gate", "b_mag", "r_mag"]}

    def made(folder, kind, **asked):
        weights = {name: torch.randn(shape) for name, shape in names.items()}
        weights |= {name: torch.randn(COUNT) for name in own.get(kind, [])}
        if kind == "jumprelu":
            weights["threshold"].abs_()
        folder.mkdir(exist_ok=True)
        save_file(weights, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps({"architecture": kind, "d_in": WIDTH, "d_sae": COUNT, **asked}))
        return weights

    return made


def test_arrays_are_read_from_both_kinds_of_file(arrays, tmp_path):
    np.savez(tmp_path / "one.npz", **{name: array.numpy() for name, array in arrays.items()})
    save_file(arrays, tmp_path / "one.safetensors")
    for file in ("one.npz", "one.safetensors"):
        read = Dictionary.read(tmp_path / file, WIDTH, COUNT)
        assert all(torch.equal(read.tensors[name], array) for name, array in arrays.items())
    np.savez(tmp_path / "plain.npz", encoder=arrays["encoder"].numpy(), decoder=arrays["decoder"].numpy())
    plain = Dictionary.read(tmp_path / "plain.npz")
    states = torch.randn(30, WIDTH)
    torch.testing.assert_close(plain.activations(states), (states @ arrays["encoder"]).clamp(min=0))
    assert plain.digest != read.digest


@pytest.mark.parametrize("from_input", [True, False])
@pytest.mark.parametrize("kind", ["standard", "jumprelu", "gated"])
def test_saelens_autoencoders_encode_as_saelens_does(saelens, kind, from_input, tmp_path):
    w = saelens(tmp_path / "sae", kind, apply_b_dec_to_input=from_input)
    states = torch.randn(200, WIDTH)
    given = states - w["b_dec"] * from_input
    if kind == "gated":
        gate = given @ w["W_enc"] + w["b_gate"] > 0
        want = gate * (given @ (w["W_enc"] * w["r_mag"].exp()) + w["b_mag"]).relu()
    else:
        before = given @ w["W_enc"] + w["b_enc"]
        want = before.relu() * (before > w.get("threshold", 0))
    read = Dictionary.read(tmp_path / "sae", WIDTH)
    torch.testing.assert_close(read.activations(states), want, atol=1e-4, rtol=1e-4)
    assert torch.equal(read.decoder, w["W_dec"])
    assert 0.1 < (want > 0).float().mean() < 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": torch.randn(3, COUNT)}, r"decoder has shape \(12, 5\), but with this encoder it is \(12, 3\)"),
        ({"encoder": torch.full((WIDTH, COUNT), float("nan"))}, "encoder has NaN or infinite values"),
        ({"bias": torch.zeros(3)}, r"bias has shape \(3,\), but with this encoder it is \(12,\)"),
        ({"decoder": torch.zeros(COUNT)}, r"decoder has shape \(12,\), not two dimensions"),
        ({"decoder": None}, "it has no 'decoder', only bias, encoder, threshold"),
    ],
)
def test_arrays_that_are_no_dictionary_are_refused(arrays, change, message, tmp_path):
    kept = {name: one for name, one in sorted({**arrays, **change}.items()) if one is not None}
    np.savez(tmp_path / "one.npz", **{name: one.numpy() for name, one in kept.items()})
    with pytest.raises(InvalidArgumentError, match=f"dictionary='.*one.npz' is not allowed: {message}"):
        Dictionary.read(tmp_path / "one.npz")


def test_another_width_too_few_features_and_no_file_are_refused(arrays, saelens, tmp_path):
    save_file(arrays, tmp_path / "one.safetensors")
    with pytest.raises(InvalidArgumentError, match="it is for states of width 5, and the site has 6"):
        Dictionary.read(tmp_path / "one.safetensors", 6)
    with pytest.raises(InvalidArgumentError, match="it has 12 features, and 13 are to be exchanged"):
        Dictionary.read(tmp_path / "one.safetensors", WIDTH, 13)
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty").mkdir()
    for name in ("nothing.npz", "nothing.safetensors", "text.npz", "empty"):
        with pytest.raises(InvalidArgumentError, match="no dictionary can be read there"):
            Dictionary.read(tmp_path / name)
    saelens(tmp_path / "top", "topk")
    with pytest.raises(InvalidArgumentError, match="it is a 'topk' autoencoder of SAELens; those that are read are"):
        Dictionary.read(tmp_path / "top")
    saelens(tmp_path / "norm", "standard", normalize_activations="layer_norm")
    with pytest.raises(InvalidArgumentError, match="it normalises its input"):
        Dictionary.read(tmp_path / "norm")
