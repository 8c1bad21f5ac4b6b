"""What is read from the sources is what the functions have."""

import dataclasses
import inspect

import pytest

import numsym
from numsym.studies import STUDIES
from numsym_command.signatures import GIVEN, SEARCHED, fields, studies, typed


def test_every_study_is_read_as_it_is():
    found = studies()
    # Another test of this process may have brought a study from outside.
    assert sorted(found) == sorted(name for name in STUDIES if STUDIES[name].__module__.startswith("numsym."))
    for name, study in found.items():
        parameters = inspect.signature(STUDIES[name]).parameters
        assert list(study.parameters) == list(parameters), name
        assert study.line == inspect.getdoc(STUDIES[name]).splitlines()[0]
        for key, (_, value) in study.parameters.items():
            default = parameters[key].default
            given = key in GIVEN and not dataclasses.is_dataclass(default)
            if given or default is inspect.Parameter.empty:
                assert value is ..., (name, key)
            elif dataclasses.is_dataclass(default):
                assert {k: v for k, v in value.items() if k} == numsym.results.plain(default), (name, key)
            else:
                assert value == numsym.results.plain(default), (name, key)


def test_what_every_search_has_is_what_its_settings_are():
    assert set(SEARCHED) <= set(studies()["align"].parameters)
    settings = numsym.alignment.SearchSettings()
    assert {name: value for name, (_, value) in fields("SearchSettings").items()} == dataclasses.asdict(settings)
    with pytest.raises(LookupError, match="numsym has no class Nobody"):
        fields("Nobody")


def test_a_study_elsewhere_is_found_without_being_imported(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(
        'raise SystemExit("imported")\n'
        "@study(tasks='parity', variable=['parity'])\n"
        "def mine(model, *, n: int = 3, x: float | int = 0.5, names: tuple[str, ...] = ('a',), run=None):\n"
        '    """Count something.\n\n    And more."""\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = studies(("elsewhere",))["mine"]
    assert (found.line, found.presets) == ("Count something.", {"tasks": "parity", "variable": ["parity"]})
    assert found.parameters["n"] == (int, 3)
    assert found.parameters["x"] == (float, 0.5)
    assert found.parameters["names"][1] == ["a"]


def test_settings_become_typed_configurations():
    made = typed(
        "T", {"n": (int, 3), "names": (object, ["a"]), "search": (object, {"": "SearchSettings", "max_steps": 7})}
    )()
    assert (made.n, made.names, made.search.max_steps) == (3, ["a"], 7)
