import pytest

from numsym.alignment import SearchSettings
from numsym.errors import Options, UnknownNameError, options_of
from numsym.registry import Registry
from numsym.studies import STUDIES, catalog
from numsym.studies.catalog import study


def test_a_decorated_function_is_known_by_its_name(monkeypatch):
    monkeypatch.setattr(catalog, "STUDIES", Registry("experiment"))

    @study
    def one(*, n: int = 3):
        """Count."""
        return n

    @study(tasks="parity")
    def two(*, n: int = 4):
        """Count again."""
        return n

    assert [catalog.STUDIES[name](n=1) for name in catalog.STUDIES] == [1, 1]
    assert (one(), two()) == (3, 4)
    with pytest.raises(ValueError, match="experiment 'one' is registered already"):

        @study
        def one():
            """Another of that name."""


def test_every_study_is_one_line_of_the_help():
    for name in STUDIES:
        first = STUDIES[name].__doc__.splitlines()[0]
        assert first.endswith((".", "?")), name


def test_a_mapping_of_settings_has_the_fields_that_are_not_as_the_study_states_them(monkeypatch):
    monkeypatch.setattr(catalog, "STUDIES", Registry("experiment"))

    @catalog.study
    def sought(*, search: Options[SearchSettings] = SearchSettings(max_steps=7)) -> SearchSettings:
        return options_of(SearchSettings, search)

    assert sought() == SearchSettings(max_steps=7)
    assert sought(search={"tries": 3}) == SearchSettings(max_steps=7, tries=3)
    assert sought(search=SearchSettings(tries=3)) == SearchSettings(tries=3)
    with pytest.raises(UnknownNameError, match="unknown field of SearchSettings 'steps'"):
        sought(search={"steps": 3})
