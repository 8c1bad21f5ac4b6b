import json
import os
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from numsym._pyvene import locations, pv
from numsym.alignment import AlignmentResult, align
from numsym.errors import InvalidArgumentError, ModelMismatchError, RunFolderError
from numsym.models import RecurrentConfig, RecurrentLM, hash_of
from numsym.shares import Share

SERVER = runpy.run_path(str(Path(__file__).parents[1] / "hub_on_loopback.py"))


@pytest.fixture(scope="module")
def result(counter, small_task):
    return align(
        counter, small_task, variable=("count", "phase"), search={"max_steps": 4, "check_every": 2},
        pairs={"train": 200, "test": 100}, controls=("floor", "ceiling"),
    )  # fmt: skip


def test_saved_it_comes_back_whole_and_as_pyvenes_own(result, counter, tmp_path, generator):
    result.save(tmp_path / "found")
    assert sorted(os.listdir(tmp_path / "found")) == ["intervention.json", "intervention.safetensors", "result.json"]
    result.save_pyvene(tmp_path / "pyvene")
    again = AlignmentResult.load(tmp_path / "found", counter)
    assert again.to_dict() == result.to_dict()
    base, source = torch.randint(9, (2, 5, 8), generator=generator)
    at = torch.tensor([1, 2, 3, 4, 5])
    call = ({"input_ids": base}, [{"input_ids": source}], locations(at, at))
    subspaces = [[[0], [1], [0], [1], [0]]]
    want = result.intervenable(counter)(*call, subspaces=subspaces)[1].logits
    for loaded in (again.intervenable(), pv.IntervenableModel.load(str(tmp_path / "pyvene"), counter)):
        assert torch.equal(loaded(*call, subspaces=subspaces)[1].logits, want)
    assert not torch.allclose(want, counter(base).logits, atol=1e-3)


def test_printed_it_says_what_was_found_in_a_few_lines(result):
    printed = repr(result)
    title, heads, row = printed.splitlines()
    assert title == "multi_object: IIA in percent, with 95 % intervals"
    assert heads.split()[:5] == ["program", "variable", "function", "k", "site"]
    assert f"{100 * result.iia:.1f} [{100 * result.test.iia.low:.1f}, " in row
    assert len(printed) < 1000
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize(
    ("iia", "ceiling", "standing"),
    [(90, 95, "above controls"), (90, 85, "above controls"), (90, 50, "steered"), (20, 5, "not above controls")],
)
def test_what_is_found_stands_between_its_controls_and_the_ceiling(result, iia, ceiling, standing):
    counts = {"floor": 10, "permuted": 20, "untrained": 5, "ceiling": ceiling}
    controls = {name: Share.of_counts(n, 100) for name, n in counts.items()}
    found = replace(result, test=replace(result.test, iia=Share.of_counts(iia, 100)), controls=controls)
    (said,) = found.findings()
    assert said[0] == standing
    assert ("exchanges no value" in said[1]) == (standing == "steered")


def test_without_the_model_its_numbers_are_read(result, counter, tmp_path):
    result.save(tmp_path / "found")
    again = AlignmentResult.load(tmp_path / "found")
    assert (again.to_dict(), again.model, again.intervention) == (result.to_dict(), None, None)
    assert again.to_frame().loc[0, "iia"] == result.iia
    with pytest.raises(InvalidArgumentError, match=r"there is no result\.json in it"):
        AlignmentResult.load(tmp_path)


def test_on_the_hub_it_has_a_card_and_comes_back_whole_and_pyvenes_too(result, counter, tmp_path, monkeypatch):
    with SERVER["serving"](monkeypatch, tmp_path / "cache") as hub:
        result.push_to_hub("me/counter", token="hf_right")
        found = hub.repos["me/counter"]
        again = AlignmentResult.from_pretrained("me/counter", model=counter)
        numbers = AlignmentResult.from_pretrained("me/counter")
        with pytest.raises(InvalidArgumentError, match="a result that was read without its model has none"):
            numbers.push_to_hub("me/numbers", token="hf_right")
        assert list(hub.repos) == ["me/counter"]
    assert sorted(found) == [
        "README.md", "config.json", "intervention.json", "intervention.safetensors", "result.json",
    ]  # fmt: skip
    assert again.to_dict() == numbers.to_dict() == result.to_dict()
    assert numbers.intervention is None
    again.save_pyvene(tmp_path / "pyvene")
    loaded = next(iter(pv.IntervenableModel.load(str(tmp_path / "pyvene"), counter).interventions.values()))
    base, source = torch.randn(2, 4, 16)
    with torch.no_grad():
        want = result.intervention(base.clone(), source, [[0]] * 4)
        assert torch.equal(loaded(base.clone(), source, [[0]] * 4), want)
    card = found["README.md"].decode()
    for part in (
        "at `state:0` the network holds `count, phase` of the program `up_down`, on the task `multi_object`",
        f"{100 * result.iia:.1f} [{100 * result.test.iia.low:.1f}, ", "% on 100 pairs, and ",
        "- **not compared**: ", "permuted and untrained controls were not run", f"SHA-256 `{result.model_hash}`",
        "from numsym.alignment import AlignmentResult", 'from_pretrained("me/counter", model=model)',
    ):  # fmt: skip
        assert part in card
    with (
        pytest.raises(ModelMismatchError, match="fitted to weights"),
        SERVER["serving"](monkeypatch, tmp_path / "cache2") as hub,
    ):
        hub.repos["me/counter"] = found
        other = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=16))
        AlignmentResult.from_pretrained("me/counter", model=other)


def test_its_file_is_plain_json_without_nan(result, tmp_path):
    result.save(tmp_path / "found")
    plain = json.loads((tmp_path / "found" / "result.json").read_text(), parse_constant=pytest.fail)
    assert plain["variables"] == ["count", "phase"]
    assert plain["test"]["iia"]["value"] == result.iia
    assert set(plain["controls"]) == {"floor", "ceiling"}


def test_nothing_is_overwritten_and_wrong_weights_are_refused(result, counter, tmp_path):
    result.save(tmp_path / "found")
    with pytest.raises(RunFolderError, match="exists already"):
        result.save(tmp_path / "found")
    other = RecurrentLM(RecurrentConfig(vocab_size=9, hidden_size=16))
    with pytest.raises(ModelMismatchError, match="the alignment was fitted to weights with hash"):
        result.intervenable(other)
    with pytest.raises(ModelMismatchError, match="fitted to weights"):
        AlignmentResult.load(tmp_path / "found", other)


def test_the_hash_is_of_the_weights(counter, tmp_path):
    counter.save_pretrained(tmp_path)
    assert hash_of(RecurrentLM.from_pretrained(tmp_path)) == hash_of(counter)
    other = RecurrentLM.from_pretrained(tmp_path)
    with torch.no_grad():
        other.decoder[0].bias[0] += 1e-6
    assert hash_of(other) != hash_of(counter)


def test_results_saved_before_changed_pairs_were_measured_load(result, counter, tmp_path):
    result.save(tmp_path / "found")
    file = tmp_path / "found" / "result.json"
    plain = json.loads(file.read_text())
    assert plain["test"].pop("changed")["n"] > 0
    file.write_text(json.dumps(plain))
    again = AlignmentResult.load(tmp_path / "found", counter)
    assert again.test.changed is None
    assert again.test.by_difference == result.test.by_difference
