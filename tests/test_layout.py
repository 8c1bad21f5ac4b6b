"""The package as a house: tests mirror sources, dependencies go down, and its surface is what it says."""

import ast
from pathlib import Path

import numsym
from numsym.studies import STUDIES

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "numsym"
# Tested through what uses them.
WITHOUT_TWIN = {
    "_pyvene.py": "tests/test_pyvene.py", "_places.py": "tests/test_pyvene.py", "_tables.py": "tests/test_pyvene.py",
    "alignment/mib_code.py": "tests/alignment/test_mib.py",
    "alignment/engines/kept.py": "tests/alignment/engines/test_suffix.py",
    "alignment/engines/suffix_check.py": "tests/alignment/engines/test_suffix.py",
    "alignment/engines/suffix_decoder.py": "tests/alignment/engines/test_suffix.py",
    "alignment/engines/suffix_hooks.py": "tests/alignment/engines/test_suffix.py",
    "alignment/engines/suffix_model.py": "tests/alignment/engines/test_suffix.py",
    "models/adapt.py": "tests/models/test_load.py", "models/bridge.py": "tests/models/test_load.py",
    "models/edits.py": "tests/models/test_recurrences.py",
}  # fmt: skip

ROOMS = (
    ("errors", "shares"), ("checked", "registry"), ("storage", "recipes", "_places"), ("hub", "_tables"),
    ("_pyvene", "results"), ("run", "figures"), ("programs",), ("tasks",), ("models",), ("interventions",),
    ("training",), ("alignment",), ("probes", "circuits"), ("studies",), ("lab",),
)  # fmt: skip
"""From the base up; a room imports only from those before it, and the rooms on one floor do not see each other."""

NAMES = (
    "NO_RUN", "Run", "align", "align_many", "alignment", "circuits", "evaluate", "interventions", "models", "probes",
    "programs", "studies", "tasks", "train",
)  # fmt: skip
"""The public names of `numsym`, besides its studies."""


def imports(path):
    """The modules of numsym that a file imports when it is imported, `numsym.models.load` for a module of that name."""
    tree = ast.parse(path.read_text())
    hidden = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test).endswith("TYPE_CHECKING")]
    skipped = {id(inner) for node in hidden for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "numsym":
            if node.module == "numsym":
                yield from (f"numsym.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "numsym")


def floor(room):
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


def files():
    return [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]


def test_no_module_imports_upward():
    wrong = []
    for path in files():
        relative = path.relative_to(SOURCE)
        room = relative.parts[0].removesuffix(".py")
        for module in imports(path):
            other = module.split(".")[1]
            if other != room and floor(other) >= floor(room):
                wrong.append(f"{relative} imports {module}")
    assert wrong == []


def test_there_are_no_circles():
    known = {}
    for path in files():
        name = ".".join(("numsym", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        known[name] = set(imports(path))
    # A package's `__init__` gathers its modules, which is no dependency of theirs on each other.
    packages = {name for name in known if (SOURCE / "/".join(name.split(".")[1:])).is_dir()}

    def visit(name, path):
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in sorted(known.get(name, ())):
                if other in known and not (other in packages and name.startswith(f"{other}.")):
                    visit(other, (*path, name))
            done.add(name)

    done: set[str] = set()
    for name in sorted(known):
        if name not in packages:
            visit(name, ())


def test_every_source_file_has_a_test_file_of_its_name():
    missing = []
    for package, tests in ((SOURCE, "tests"), (ROOT / "src" / "numsym_command", "tests/command")):
        for source in sorted(package.rglob("*.py")):
            relative = source.relative_to(package)
            if relative.name == "__init__.py":
                continue
            twin = WITHOUT_TWIN.get(str(relative), str(Path(tests) / relative.parent / f"test_{relative.name}"))
            if not (ROOT / twin).exists():
                missing.append(str(relative))
    assert missing == []


def test_what_is_exported_is_known_exists_and_is_documented():
    own = {name for name in STUDIES if STUDIES[name].__module__.startswith("numsym.")}  # a plugin's are not exported
    assert sorted(numsym.__all__) == sorted({*NAMES, *own})
    for name in numsym.__all__:
        assert getattr(numsym, name).__doc__, name
    for room in (
        "alignment",
        "circuits",
        "interventions",
        "models",
        "probes",
        "programs",
        "studies",
        "tasks",
        "training",
    ):
        module = getattr(numsym, room)
        for name in module.__all__:
            assert getattr(module, name, None) is not None, f"{module.__name__}.{name}"


def test_files_stay_small_enough_to_know():
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in (ROOT / "src").rglob("*.py")}
    assert {path: n for path, n in lines.items() if n > 400} == {}


def test_few_modules_stand_beside_the_rooms():
    assert len(list(SOURCE.glob("*.py"))) <= 12
