"""The alignment search over a transformer: the resumed engine against pyvene, one optimiser step.

Run: python -m benchmarks.transformers
"""

from statistics import median
from time import perf_counter

import torch

from benchmarks.alignment import DEVICE, stepper
from benchmarks.timing import THREADS, report
from numsym.alignment.engines.pyvene import PyveneEngine
from numsym.alignment.engines.transformer import TransformerEngine
from numsym.alignment.functions import build
from numsym.alignment.pairs import interchange_pairs
from numsym.models import TransformerConfig, TransformerLM
from numsym.models.site import Site
from numsym.tasks import MultiObject

LAYERS, WIDTH, BATCH, REPEATS = 6, 256, 128, 7
TASK = MultiObject(void_prob=0.2)


def steps_of(function: str, site: Site) -> tuple[dict, list[dict]]:
    """One step of each route by name, and what the fast one keeps."""
    config = TransformerConfig(vocab_size=TASK.vocab_size, hidden_size=WIDTH, num_layers=LAYERS)
    model = TransformerLM(config).eval().requires_grad_(False)
    torch.nn.Module.to(model, DEVICE)
    generator = torch.Generator().manual_seed(0)
    pairs = interchange_pairs(TASK, TASK.program("up_down"), ("count",), 2 * BATCH, generator=generator)
    rows, steps = torch.arange(BATCH), {}
    for name, options in (("pyvene", None), ("resumed", {}), ("resumed, nothing kept", {"cache_bytes": 0})):
        exchange = build(function, WIDTH, 16, 1, 0).to(DEVICE)
        engine = (
            PyveneEngine(model, site, [exchange])
            if options is None
            else TransformerEngine(model, site, [exchange], **options)
        )
        prepared = engine.prepare(pairs)
        steps[name] = stepper(engine, [prepared], [rows])
        if name == "resumed":
            kept = prepared.context.nbytes / len(pairs) / 1024
    row = {"work": f"KiB kept a pair, {LAYERS} layers, width {WIDTH}, {site}", "ours ms": "-", "other ms": "-"}
    return steps, [{**row, "ratio": kept, "target": "-"}]


def medians(work: dict) -> dict[str, float]:
    """Seconds of the median run of each piece of work, run in turn so that noise meets all of them alike."""
    for run in work.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(REPEATS):
        for name, run in work.items():
            started = perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(perf_counter() - started)
    return {name: median(found) for name, found in times.items()}


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    out, site = [], Site("block_output", LAYERS // 2 - 1)
    for function in ("orthogonal", "linear"):
        steps, kept = steps_of(function, site)
        times = medians(steps)
        for name, target in (("resumed", ">= 4"), ("resumed, nothing kept", "-")):
            row = {"work": f"search step, {LAYERS} layers, width {WIDTH}, {site}, batch {BATCH}, {function}: {name}"}
            row |= {"ours ms": 1e3 * times[name], "other ms": 1e3 * times["pyvene"]}
            out.append({**row, "ratio": times["pyvene"] / times[name], "target": target})
    report("transformers", [*out, *kept])


if __name__ == "__main__":
    main()
