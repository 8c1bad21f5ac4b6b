"""The command `numsym`: one Hydra application, whose experiments are modules of `numsym.experiments`."""

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
import transformers
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.logging import RichHandler
from rich.markup import escape

from numsym import recipes
from numsym.errors import NumsymError, check_name
from numsym.experiments import searched
from numsym.lab import display, overrides, sweeps

CONFIGS = Path(__file__).parent / "conf"


def experiments() -> list[str]:
    """The names for `experiment=`."""
    return _recipes_in(CONFIGS / "experiment")


def _recipes_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def run(config: DictConfig) -> None:
    """Run one composed configuration."""
    absolute = HydraConfig.get().runtime.output_dir
    folder = Path(min(absolute, os.path.relpath(absolute), key=len))
    with _refusals():
        plain = recipes.plain(config)
        name = check_name("experiment", plain["experiment"]["name"], experiments())

        def start(config: Mapping[str, Any], folder: Path) -> None:
            searched.check(config)
            importlib.import_module(f"numsym.experiments.{name}").run(config, folder)

        if HydraConfig.get().mode is not RunMode.MULTIRUN:
            start(plain, folder)
        elif sweeps.member(plain, folder, start) == "found":
            display.console.print(f"finished before: {folder}", soft_wrap=True, highlight=False)


@contextmanager
def _refusals() -> Iterator[None]:
    """What numsym refuses is one sentence; how a member of a sweep failed is Hydra's to gather."""
    try:
        yield
    except sweeps.RunFailedError:
        raise
    except NumsymError as error:
        display.console.print(f"[bold red]numsym:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def main() -> None:
    """Entry point of the command."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=display.console)])
    warnings.filterwarnings("ignore", module="pyvene|transformer_lens|plotnine")
    os.environ.setdefault("NUMSYM_RECIPES", str(recipes.root()))
    own = Path(os.environ["NUMSYM_RECIPES"])
    groups = {group: _recipes_in(own / group) for group in ("tasks", "interventions")}
    groups |= {group: _recipes_in(CONFIGS / group) for group in ("experiment", "network", "launch")}
    os.environ["NUMSYM_EXPERIMENTS"] = ", ".join(groups["experiment"])
    for group in ("tasks", "interventions"):
        # Hydra's help lists the groups of its own folder only; the recipes lie in another.
        os.environ[f"NUMSYM_{group.upper()}"] = ", ".join(groups[group])
    os.environ.setdefault("WANDB_SILENT", "true")
    transformers.utils.logging.disable_progress_bar()
    sys.argv[0] = "numsym"
    with _refusals():
        overrides.check(sys.argv[1:], groups)
    hydra.main(config_path=str(CONFIGS), config_name="config", version_base="1.3")(run)()


if __name__ == "__main__":
    main()
