"""What the pages tell a reader to type is what the command accepts, and what they show can be found."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser

from numsym_command.check import RefusedError, check
from numsym_command.configs import CONFIGS, store

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "Makefile", *sorted((ROOT / "docs").rglob("*.md"))]
# What the reader is to replace, the study that docs/extending.md writes, and what tests/examples/test_outside.py runs.
NOT_TYPED = re.compile(r"\.\.\.|NAME|OTHER|KEY=VALUE|experiment=accuracy|plugins=")


def commands(text):
    """Every `numsym ...` of a page: in blocks of shell, in notes on how a figure was made, in prose."""
    text = re.sub(r"\s*\\\n\s*", " ", text)
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL) + re.findall(r"^    (numsym .*)$", text, re.MULTILINE)
    blocks += [line.replace("$$", "$") for line in re.findall(r"\$\(BIN\)/(numsym .*)$", text, re.MULTILINE)]
    blocks += re.findall(r"<!-- made by[^:]*: (numsym .*?) -->", text)
    found = [line.strip() for block in blocks for line in block.splitlines() if line.strip().startswith("numsym ")]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found += [" ".join(code.split()) for code in re.findall(r"(?<!`)`(numsym\s[^`]+)`(?!`)", prose)]
    return [one for one in dict.fromkeys(found) if not NOT_TYPED.search(one)]


COMMANDS = [(path.relative_to(ROOT), one) for path in PAGES for one in commands(path.read_text(encoding="utf-8"))]


def composed(command):
    """The configuration of a command, or of the first run of its sweep, as `numsym ... --cfg job` shows it."""
    words = shlex.split(command, comments=True)[1:]
    plugins = tuple(word.removeprefix("plugins=").strip("[]") for word in words if word.startswith("plugins="))
    known = store(plugins)
    check([word for word in words if word != "--cfg" and word != "job"], known)
    chosen = []
    for word in (word for word in words if not word.startswith("-") and "=" in word):
        one = OverridesParser.create().parse_override(word)
        if one.is_sweep_override():
            word = f"{one.key_or_group}={next(iter(one.sweep_string_iterator()))}"
        chosen.append(word)
    chosen += [word for word in words if word.startswith("~")]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("config", overrides=chosen, return_hydra_config=True)


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=[f"{page}: {one}" for page, one in COMMANDS])
def test_every_command_is_accepted(page, command):
    assert composed(command).experiment.name


def test_a_stale_command_is_found():
    for stale in ("numsym experiment=markov experiment.test=300", "numsym experiment=analyses", "numsym steps=3"):
        with pytest.raises(RefusedError):
            composed(stale)
    assert commands("```bash\nnumsym a=1 \\\n  b=2\n```\nand `numsym c=3`, or `numsym d=...`") == [
        "numsym a=1 b=2", "numsym c=3",
    ]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|docs|tests|examples|benchmarks|tasks|interventions|website)/[\w./]*)`", text)
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []
