import pytest

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
