"""Whether addition makes number embeddings periodic, with a sum in one token and in several ([F], addition)."""

import logging
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from numsym.errors import check_name
from numsym.experiments.adders import AdderTraining, build, number_rows, train_adder
from numsym.probes import period_power, residue, spectrum
from numsym.storage import write_json, write_text
from numsym.tasks.addition import AdditionTask

logger = logging.getLogger(__name__)

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


def run(config: TwoRoutesConfig, folder: Path) -> dict[str, Any]:
    """Train every combination; write `two_routes.json`, `.md`, `.png` and `embeddings.safetensors` into `folder`.

    The files are written anew after each run, so what is there counts when it is stopped.
    """
    runs: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for architecture in config.architectures:
        for optimiser in config.optimisers:
            for route in config.routes:
                name = f"{route} {architecture}, {optimiser}"
                runs[name], tensors[name] = _train(route, architecture, optimiser, config)
                logger.info("%s: %s", name, runs[name]["records"][-1])
                _write(runs, tensors, config, folder)
    return runs


def _train(route: str, architecture: str, optimiser: str, config: TwoRoutesConfig) -> tuple[dict[str, Any], Tensor]:
    task = AdditionTask(base=config.base, digits=ROUTES[route])
    torch.manual_seed(config.training.seed)
    model = build(architecture, task, width=config.width)
    settings = replace(config.training, optimiser=optimiser)
    log = train_adder(
        model, task, settings, on_check=lambda record: record.update(measure(number_rows(model, task), config))
    )
    rows = number_rows(model, task)
    peaks = [list(peak) for peak in spectrum(rows).peaks(5, 2.0)]
    return {"route": route, "records": log.records, "peaks": peaks}, rows


def _write(runs: dict[str, Any], tensors: dict[str, Tensor], config: TwoRoutesConfig, folder: Path) -> None:
    from numsym.plots.fourier import over_training

    write_json(folder / "two_routes.json", {"config": asdict(config), "runs": runs})
    write_text(folder / "two_routes.md", table(runs, config) + "\n")
    save_file({name: rows.contiguous() for name, rows in tensors.items()}, folder / "embeddings.safetensors")
    longest = config.base // 2
    labels = {
        "accuracy": "trials right",
        "kappa_2": "kappa x 100, T = 2",
        "kappa_5": "kappa x 100, T = 5",
        "phi_2": "share of power at period 2",
        "phi_10": "share of power at period 10 and harmonics",
        f"phi_{longest}": f"share of power at period {longest} and harmonics",
    }
    curves = {name: run["records"] for name, run in runs.items()}
    known = {
        key: label for key, label in labels.items() if all(key in record for record in next(iter(curves.values())))
    }
    over_training(curves, known, title="Addition in one token (dashed) and in three (solid)").savefig(
        folder / "two_routes.png", dpi=150
    )


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
