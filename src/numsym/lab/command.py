"""What the command does once it is composed: a study in its folder, or a member of a sweep."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import transformers
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from rich.logging import RichHandler
from rich.markup import escape

from numsym import recipes
from numsym.errors import NumsymError
from numsym.lab import display, sweeps
from numsym.lab.folder import finished
from numsym.lab.runner import run_study


def run(config: DictConfig) -> None:
    """Run one composed configuration. A run that is finished is left as it is, which is no failure."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=display.console)])
    warnings.filterwarnings("ignore", module="pyvene|transformer_lens|plotnine")
    transformers.utils.logging.disable_progress_bar()
    absolute = HydraConfig.get().runtime.output_dir
    folder = Path(min(absolute, os.path.relpath(absolute), key=len))
    with refusals(folder):
        plain = recipes.plain(config)

        swept = HydraConfig.get().mode is RunMode.MULTIRUN
        group = "/".join(Path(HydraConfig.get().sweep.dir).parts[-3:]) if swept else None

        def start(config: Mapping[str, Any], folder: Path) -> None:
            run_study(config["experiment"]["name"], config, folder, group)

        if swept:
            done = sweeps.member(plain, folder, start) == "found"
        elif done := finished(folder, plain):
            pass
        else:
            start(plain, folder)
        if done:
            display.console.print(f"finished before: {folder}", soft_wrap=True, highlight=False)


@contextmanager
def refusals(folder: Path | None = None) -> Iterator[None]:
    """What numsym refuses is one sentence, and leaves no empty folder; how a member of a sweep failed is Hydra's."""
    try:
        yield
    except sweeps.RunFailedError:
        raise
    except (NumsymError, OSError) as error:
        with suppress(OSError):  # what is not empty stays
            if folder is not None:
                folder.rmdir()
        said = str(error) if isinstance(error, NumsymError) else _of_disk(error)
        display.console.print(f"[bold red]numsym:[/] {escape(said)}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None


def _of_disk(error: OSError) -> str:
    """What a disk refuses, as a sentence."""
    where = f" ({error.filename})" if error.filename else ""
    return f"the run cannot go on: {error.strerror or error}{where}; it goes on from there when it is started again"
