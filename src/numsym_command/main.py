"""The command `numsym`: one Hydra application, whose experiments are the studies of numsym."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from numsym_command.check import RefusedError, check
from numsym_command.configs import CONFIGS, GROUPS, help_text, store
from numsym_command.report import parsed
from numsym_command.signatures import studies


def run(config: DictConfig) -> None:
    """Run one composed configuration."""
    from numsym.lab.command import run as start

    assert GROUPS  # a worker that is given this function imports what resolves the names of folders
    start(config)


def plugins_of(arguments: list[str]) -> tuple[str, ...]:
    """The modules of installed plugins, and those that `plugins=[...]` names: known before anything is composed."""
    found = [entry.value for entry in entry_points(group="numsym.plugins")]
    for key, value in given(arguments):
        if key == "plugins":
            found += [str(one) for one in (value if isinstance(value, list) else [value])]
    return tuple(found)


def replaced_in(arguments: list[str]) -> tuple[str, ...]:
    """The settings of a study that are given whole, as a list or a mapping: `experiment.networks=[gru]`."""
    whole = (key for key, value in given(arguments) if isinstance(value, list | dict | ChoiceSweep))
    return tuple(key.removeprefix("experiment.") for key in whole if key.startswith("experiment."))


def given(arguments: list[str]) -> Iterator[tuple[str, Any]]:
    """What stands on the command as `key=value`, where it can be read."""
    parser = OverridesParser.create()
    for text in arguments:
        if text[:1] not in "+~-" and "=" in text:
            with suppress(HydraException):
                override = parser.parse_override(text)
                yield str(override.key_or_group), override.value()


def main() -> None:
    """Entry point of the command."""
    sys.argv[0] = "numsym"
    sys.path.insert(0, os.getcwd())  # a plugin may be a module beside the user's own files
    if sys.argv[1:2] == ["report"]:
        folders, out = parsed(sys.argv[2:])
        from numsym.lab.report.command import run as report

        report(folders, out)
        return
    plugins = plugins_of(sys.argv[1:])
    known = store(plugins, replaced_in(sys.argv[1:]))
    os.environ["NUMSYM_HELP"] = help_text(studies(plugins), known)
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        check(sys.argv[1:], known)
    except RefusedError as error:
        print(f"numsym: {error}")  # noqa: T201  (rich would take longer to import than all the rest)
        raise SystemExit(2) from None
    with sentences():
        hydra.main(config_path=str(CONFIGS), config_name="config", version_base="1.3")(run)()


@contextmanager
def sentences() -> Iterator[None]:
    """What Hydra, a disk or a member of a sweep fails at is one sentence, unless HYDRA_FULL_ERROR is set."""
    if os.environ.get("HYDRA_FULL_ERROR"):
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # by which Hydra raises, where it would print a part of the traceback and exit
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        of = getattr(error, "full_key", None)
        said, code = f"{str(error).strip().splitlines()[0]}{f' ({of})' if of else ''}", 2
    except OSError as error:
        said, code = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 2
    except Exception as error:
        if not type(error).__module__.startswith("numsym."):
            raise
        said, code = str(error), 1
    else:
        return
    print(f"numsym: {said}")  # noqa: T201
    raise SystemExit(code)


if __name__ == "__main__":
    main()
