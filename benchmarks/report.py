"""The report of the main job: how long it takes to write, and to open in Chromium until every chart is drawn.

Run: python -m benchmarks.report   (needs chromium and playwright's library)
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from playwright.sync_api import sync_playwright

import numsym
from benchmarks.timing import report
from numsym.alignment import Hypothesis
from numsym.lab import display
from numsym.lab.report import page
from numsym.results import Result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
REPEATS = 5


def main_job() -> Result:
    """What the main job finds: two maps of the count with all controls, here in a network that is built to count."""
    task = numsym.tasks.MultiObject()
    asked = {
        name: Hypothesis(alignment=kind, subspace_dim=2) for name, kind in (("das", "orthogonal"), ("laf", "linear"))
    }
    return numsym.studies.align(
        numsym.models.counting_gru(task.vocabulary), task, asked, search={"max_steps": 20, "check_every": 5}
    )


def seconds(work: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float, float]:
    """Of the first time, and of the fastest one after it; and this process' CPU time of the latter."""
    times = []
    for _ in range(repeats):
        started, worked = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - started, time.process_time() - worked))
    return times[0][0], *min(times[1:])


@contextmanager
def opener(file: Path) -> Iterator[Callable[[], None]]:
    """What opens a file in a page of its own, until its charts are drawn."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def go() -> None:
            tab = browser.new_page(viewport={"width": 1600, "height": 900})
            tab.goto(file.as_uri())
            tab.wait_for_selector("html[data-ready]")
            tab.close()

        yield go
        browser.close()


def main() -> None:
    torch.set_num_threads(1)
    result = main_job()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "run"
        with numsym.Run(folder, track=False, quiet=True) as run:
            run.open()
        figures = result.figures()
        for name, figure in figures.items():
            display.write(figure, folder / f"{name}.png", "align")
        said = {"study": type(result).name, **result.to_dict()}
        pictures = {f"{name}.png": name for name in figures}
        written = seconds(lambda: page.write_of(folder, result, said, pictures))
        file = folder / page.PAGE
        size = f"{file.stat().st_size / 1e6:.2f} MB"
        with opener(file) as go:
            opened = seconds(go)
    rows: list[dict[str, str | float | bool]] = [
        {"work": f"report of the main job, {size}: {what}", "first, s": first, "then, s": then, "CPU, s": cpu}
        | {"target": target}
        for what, (first, then, cpu), target in (("written", written, "< 3"), ("opened", opened, "< 1"))
    ]
    report("report", rows)


if __name__ == "__main__":
    main()
