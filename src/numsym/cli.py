"""The command `numsym`: one Hydra application, whose experiments are modules of `numsym.experiments`."""

import importlib
import logging
import os
import sys
import warnings
from pathlib import Path

import hydra
import transformers
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.logging import RichHandler

from numsym import display, recipes, sweeps
from numsym.errors import NumsymError, check_name

CONFIGS = Path(__file__).parent / "conf"


def experiments() -> list[str]:
    """The names for `experiment=`."""
    return sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))


def run(config: DictConfig) -> None:
    """Run one composed configuration."""
    plain = recipes.plain(config)
    absolute = HydraConfig.get().runtime.output_dir
    folder = Path(min(absolute, os.path.relpath(absolute), key=len))
    name = check_name("experiment", plain["experiment"]["name"], experiments())
    start = importlib.import_module(f"numsym.experiments.{name}").run
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        if sweeps.member(plain, folder, start) == "found":
            display.console.print(f"finished before: {folder}", soft_wrap=True, highlight=False)
        return
    try:
        start(plain, folder)
    except NumsymError as error:
        display.console.print(f"[bold red]numsym:[/] {error}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def main() -> None:
    """Entry point of the command."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=display.console)])
    warnings.filterwarnings("ignore", module="pyvene|transformer_lens|plotnine")
    os.environ.setdefault("NUMSYM_RECIPES", str(recipes.root()))
    os.environ["NUMSYM_EXPERIMENTS"] = ", ".join(experiments())
    for group in ("tasks", "interventions"):
        # Hydra's help lists the groups of its own folder only; the recipes lie in another.
        found = sorted(path.stem for path in (Path(os.environ["NUMSYM_RECIPES"]) / group).glob("*.yaml"))
        os.environ[f"NUMSYM_{group.upper()}"] = ", ".join(found)
    os.environ.setdefault("WANDB_SILENT", "true")
    transformers.utils.logging.disable_progress_bar()
    sys.argv[0] = "numsym"
    hydra.main(config_path=str(CONFIGS), config_name="config", version_base="1.3")(run)()


if __name__ == "__main__":
    main()
