"""Whether addition makes number embeddings periodic, with a sum in one token and in several ([F], addition)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from numsym.errors import check_name
from numsym.experiments.adders import (
    AdderTraining,
    Record,
    build,
    number_rows,
    settings_of,
    train_adder,
)
from numsym.experiments.trained import device_of
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.probes import period_power, residue, spectrum
from numsym.storage import new_folder, read_json, write_json, write_text
from numsym.tasks.addition import AdditionTask

ROUTES = {"single": 1, "multi": 3}
"""Tokens a number, by route: [F] compares one with three."""


@dataclass(frozen=True)
class TwoRoutesConfig:
    """The settings of the experiment.

    Attributes:
        base: digits are 0..base-1, one token each.
        routes: "single" (one token a number), "multi" (three).
        architectures: "transformer", "gru", "lstm".
        optimisers: "adamw", "muon".
        width: d of the models.
        training: what all runs share; the optimiser is set for each.
        max_period: kappa is measured at 2..max_period.
        folds: of the probe.
        C: inverse penalty of the probe.
    """

    base: int = 100
    routes: tuple[str, ...] = ("single", "multi")
    architectures: tuple[str, ...] = ("transformer", "gru", "lstm")
    optimisers: tuple[str, ...] = ("adamw", "muon")
    width: int = 128
    training: AdderTraining = field(default_factory=AdderTraining)
    max_period: int = 10
    folds: int = 10
    C: float = 0.01

    def __post_init__(self) -> None:
        for route in self.routes:
            check_name("route", route, ROUTES)

    @property
    def periods(self) -> list[int]:
        """The periods at which kappa is measured."""
        return list(range(2, self.max_period + 1))

    @property
    def power_periods(self) -> list[int]:
        """The periods at which Phi_T is measured: those of kappa, and longer divisors of the base."""
        divisors = [T for T in range(self.max_period + 1, self.base // 2 + 1) if self.base % T == 0]
        return self.periods + divisors


def shares(embeddings: Tensor, periods: list[int]) -> dict[int, float]:
    """Phi_T as a share of the power at all frequencies but zero.

    Noise has a share of about (T - 1) / N.
    """
    centred = embeddings - embeddings.mean(dim=0)
    total = float(centred.square().sum())
    return {T: period_power(centred, T) / total for T in periods}


def measure(embeddings: Tensor, config: TwoRoutesConfig) -> dict[str, float]:
    """Kappa and the share of Phi_T at each period, under the names that the figure and the table use."""
    probe = residue(embeddings, config.periods, config.folds, C=config.C)
    found = shares(embeddings, config.power_periods)
    return {
        **{f"kappa_{T}": value for T, value in probe.kappa.items()},
        **{f"phi_{T}": value for T, value in found.items()},
    }


def run(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train every combination, and write its figures by step and a summary into the run folder.

    A finished combination is a folder in `runs/` with `run.json` and `embeddings.safetensors` (of the numbers, at the
    end); an interrupted experiment goes on after them. `two_routes.md` and `two_routes.png` are written anew after
    each, `results.json` at the end.
    """
    settings = settings_of(TwoRoutesConfig, config)
    run_folder, runs = RunFolder(folder, config), {}
    with Tracker(folder, config, **config["wandb"]) as tracker:
        for architecture in settings.architectures:
            for optimiser in settings.optimisers:
                for route in settings.routes:
                    place = f"runs/{route}_{architecture}_{optimiser}"
                    if not run_folder.done(place):
                        _train(route, architecture, optimiser, settings, device_of(config), run_folder / place)
                    found = read_json(run_folder / place / "run.json")
                    runs[f"{route} {architecture}, {optimiser}"] = found
                    for record in found["records"]:
                        tracker.log(f"{route}_{architecture}_{optimiser}", record)
                    image = _summary(runs, settings, folder)
        tracker.image("two_routes", image)
        run_folder.finish({"runs": runs})
    display.console.print(f"run folder   {folder}")
    return runs


def _train(
    route: str, architecture: str, optimiser: str, config: TwoRoutesConfig, device: torch.device, place: Path
) -> None:
    """Train one combination and write its folder."""
    task = AdditionTask(base=config.base, digits=ROUTES[route])
    torch.manual_seed(config.training.seed)
    model = build(architecture, task, width=config.width).to(device)
    settings = replace(config.training, optimiser=optimiser)
    with display.stage(f"{route} {architecture} {optimiser}", settings.steps) as stage:

        def check(record: Record) -> None:
            record.update(measure(number_rows(model, task), config))
            stage.to(int(record["step"]), accuracy=record["accuracy"], kappa_2=record["kappa_2"])

        log = train_adder(model, task, settings, on_check=check)
    rows = number_rows(model, task).cpu()
    peaks = [list(peak) for peak in spectrum(rows).peaks(5, 2.0)]
    place.parent.mkdir(exist_ok=True)
    with new_folder(place) as path:
        write_json(path / "run.json", {"route": route, "records": log.records, "peaks": peaks})
        save_file({"numbers": rows.contiguous()}, path / "embeddings.safetensors")


def _summary(runs: dict[str, Any], config: TwoRoutesConfig, folder: Path) -> Path:
    from numsym.plots.fourier import over_training
    from numsym.plots.style import write

    write_text(folder / "two_routes.md", table(runs, config) + "\n")
    longest = max(config.power_periods)
    labels = {
        "accuracy": "trials right",
        "kappa_2": "kappa x 100, T = 2",
        "kappa_5": "kappa x 100, T = 5",
        "phi_2": "share of power at period 2",
        "phi_10": "share of power at period 10 and harmonics",
        f"phi_{longest}": f"share of power at period {longest} and harmonics",
    }
    curves = {name: run["records"] for name, run in runs.items()}
    measured = next(iter(curves.values()))[0]
    known = {key: label for key, label in labels.items() if key in measured}
    figure = over_training(curves, known, title="Addition in one token (dashed) and in three (solid)")
    return write(figure, folder / "two_routes.png")


def table(runs: dict[str, Any], config: TwoRoutesConfig) -> str:
    """Write the last record of each run as a Markdown table."""
    kappas = config.periods
    lines = [
        "| run | trials right | "
        + " | ".join(f"kappa {T}" for T in kappas)
        + " | Phi_2, Phi_5, Phi_10 share (%) | spectral peaks: period (x median) |",
        "| --- |" + " --- |" * (len(kappas) + 3),
    ]
    for name, found in runs.items():
        last = found["records"][-1]
        peaks = ", ".join(f"{period:.3g} ({height:.1f})" for period, height in found["peaks"]) or "none"
        phi = ", ".join(f"{100 * last[f'phi_{T}']:.1f}" for T in (2, 5, 10) if f"phi_{T}" in last)
        lines.append(
            f"| {name} | {last['accuracy']:.2f} | "
            + " | ".join(f"{round(last[f'kappa_{T}'])}" for T in kappas)
            + f" | {phi} | {peaks} |"
        )
    return "\n".join(lines)
