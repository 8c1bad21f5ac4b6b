"""The package as a whole: tests mirror sources, and its surface is what it says."""

from pathlib import Path

import numsym

ROOT = Path(__file__).parents[1]
# Tested through what uses them: constants, and a file of one docstring.
WITHOUT_TWIN = {"plots/style.py": "tests/plots/test_alignment.py", "_pyvene.py": "tests/test_pyvene.py"}


def test_every_source_file_has_a_test_file_of_its_name():
    missing = []
    for source in sorted((ROOT / "src" / "numsym").rglob("*.py")):
        relative = source.relative_to(ROOT / "src" / "numsym")
        if relative.name == "__init__.py":
            continue
        twin = WITHOUT_TWIN.get(str(relative), str(Path("tests") / relative.parent / f"test_{relative.name}"))
        if not (ROOT / twin).exists():
            missing.append(str(relative))
    assert missing == []


def test_what_is_exported_exists_and_is_documented():
    for name in numsym.__all__:
        assert getattr(numsym, name).__doc__, name
    for module in (
        numsym.alignment,
        numsym.analyses,
        numsym.circuits,
        numsym.probes,
        numsym.interventions,
        numsym.models,
        numsym.programs,
        numsym.tasks,
    ):
        for name in module.__all__:
            assert getattr(module, name, None) is not None, f"{module.__name__}.{name}"


def test_files_stay_small_enough_to_know():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / "src").rglob("*.py")
        if (lines := path.read_text().count("\n")) > 400
    }
    assert long == {}
