"""What is written is read as it was, and a file does not decide what is imported or run."""

import json
import os
import pickle
import sys

import pytest
import torch

from numsym import interventions
from numsym._pyvene import intervenable, pv, save
from numsym.alignment.functions import ALIGNMENTS, AlignmentFunction, build
from numsym.alignment.stored import FIELDS, TENSORS, intervention_types, read_intervention, write_intervention
from numsym.errors import InvalidArgumentError, UnknownNameError
from numsym.models import RecurrentConfig, RecurrentLM, Site

WIDTH = 8


class Own(pv.RotatedSpaceIntervention):
    """A user's type, known because it is registered."""


def fourier(operation):
    numbers = torch.arange(20)
    made = interventions.FourierSubspaceIntervention(period=5, operation=operation, shift=2)
    return made.fit(torch.randn(20, WIDTH), numbers, harmonics=[1, 2])


def moved(name, blocks):
    """An intervention whose parameters are not those that it starts with."""
    made = build(name, WIDTH, 2, blocks, 0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


KINDS = {
    **{f"{name}_1": lambda name=name: moved(name, 1) for name in ALIGNMENTS},
    **{f"{name}_2": lambda name=name: moved(name, 2) for name in ALIGNMENTS if ALIGNMENTS[name].mask is None},
    "exchanged_period": lambda: fourier("exchange"),
    "rotated_period": lambda: fourier("rotate"),
    "pyvenes": lambda: pv.VanillaIntervention(embed_dim=WIDTH),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_and_exchanges_the_same(kind, tmp_path):
    made = KINDS[kind]()
    write_intervention(made, tmp_path)
    assert sorted(os.listdir(tmp_path)) == [FIELDS, TENSORS]
    before = torch.random.get_rng_state()
    read = read_intervention(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(read) is type(made)
    base, source = torch.randn(2, 4, WIDTH)
    subspaces = None if made.subspace_partition is None else [[0], [1], [0, 1], [1]]
    with torch.no_grad():
        assert torch.equal(read(base.clone(), source, subspaces), made(base.clone(), source, subspaces))
    assert all(
        torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(*map(tensors, (read, made)), strict=True)
    )


def tensors(intervention):
    return [value for name, value in sorted(intervention.state_dict().items()) if not name.endswith("_extra_state")]


@pytest.mark.parametrize("name", ["orthogonal", "linear"])
@pytest.mark.parametrize("blocks", [1, 2])
@torch.no_grad()
def test_pyvenes_own_format_is_read_too_with_blocks_of_two(name, blocks, tmp_path):
    made, model = moved(name, blocks), RecurrentLM(RecurrentConfig(hidden_size=WIDTH, vocab_size=9))
    save(intervenable(model, [Site().representation(made)]), tmp_path)
    read = read_intervention(tmp_path)
    loaded = next(iter(pv.IntervenableModel.load(str(tmp_path), model).interventions.values()))
    base, source = torch.randn(2, 4, WIDTH)
    subspaces = None if blocks == 1 else [[0], [1], [0, 1], [1]]
    want = made(base.clone(), source, subspaces)
    assert not torch.equal(want, base)
    for again in (read, loaded):
        assert torch.equal(again(base.clone(), source, subspaces), want)


def evil(folder, monkeypatch):
    """A module that says when it is imported, where an import would find it."""
    (folder / "evil.py").write_text("raise SystemExit('imported')\nclass X: ...\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))


def test_a_type_that_a_file_names_is_looked_up_and_not_imported(tmp_path, monkeypatch):
    write_intervention(build("linear", WIDTH, 2, 1, 0), tmp_path)
    evil(tmp_path, monkeypatch)
    read = json.loads((tmp_path / FIELDS).read_text())
    for name in ("evil.X", "<class 'evil.X'>", "os.system", "numsym.interventions.load_config"):
        (tmp_path / FIELDS).write_text(json.dumps({**read, "type": name}))
        with pytest.raises(
            UnknownNameError, match=r"unknown intervention type .*: choose one of numsym\.interventions\."
        ):
            read_intervention(tmp_path)
    assert "evil" not in sys.modules


def test_neither_in_pyvenes_format_and_its_pickles_hold_tensors_only(tmp_path, monkeypatch):
    model = RecurrentLM(RecurrentConfig(hidden_size=WIDTH, vocab_size=9))
    save(intervenable(model, [Site().representation(build("linear", WIDTH, 2, 1, 0))]), tmp_path)
    evil(tmp_path, monkeypatch)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intervention_types": ["<class 'evil.X'>"]}))
    with pytest.raises(UnknownNameError, match=r"unknown intervention type \"<class 'evil\.X'>\""):
        read_intervention(tmp_path)
    assert "evil" not in sys.modules
    (tmp_path / "config.json").write_text(json.dumps(config))
    (binary,) = tmp_path.glob("*.bin")
    binary.write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(InvalidArgumentError, match="it holds no intervention that can be read"):
        read_intervention(tmp_path)
    assert not (tmp_path / "ran").exists()


class Runs:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / FIELDS).unlink(),
        lambda folder: (folder / FIELDS).write_text('{"type": "numsym'),
        lambda folder: (folder / FIELDS).write_text('{"type": "numsym.interventions.LinearAlignmentIntervention"}'),
        lambda folder: (folder / TENSORS).unlink(),
        lambda folder: (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:100]),
    ],
    ids=["no fields", "cut fields", "few fields", "no tensors", "cut tensors"],
)
def test_what_is_damaged_is_one_sentence(damage, tmp_path):
    write_intervention(build("linear", WIDTH, 2, 1, 0), tmp_path)
    damage(tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"path='.*' is not allowed: it holds no intervention") as caught:
        read_intervention(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_registered_type_of_a_users_own_is_read_and_another_is_refused(tmp_path, monkeypatch):
    own = Own(embed_dim=WIDTH)
    with pytest.raises(InvalidArgumentError, match=r"Own is not allowed: register it in numsym\.alignment\.ALIGNMENTS"):
        write_intervention(own, tmp_path)
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(ALIGNMENTS, "_entries", dict(ALIGNMENTS._entries))
    orthogonal = ALIGNMENTS["orthogonal"]
    ALIGNMENTS.register("own")(AlignmentFunction(Own, orthogonal.learned, orthogonal.fixed, orthogonal.maps))
    write_intervention(own, tmp_path)
    assert type(read_intervention(tmp_path)) is Own


def test_types_have_their_public_names():
    known = intervention_types()
    assert known["pyvene.RotatedSpaceIntervention"] is pv.RotatedSpaceIntervention
    for name in ("LinearAlignmentIntervention", "FourierSubspaceIntervention"):
        assert known[f"numsym.interventions.{name}"] is getattr(interventions, name)
    assert {ALIGNMENTS[name].kind for name in ALIGNMENTS} <= set(known.values())
