"""`make faults`: what is done to numsym on purpose, and how often it comes through. Prints a table, tried and passed.

A run is a small one of the command, in a process forked from this one. A kill is passed where the run that is started
again ends, with the results of one that was never stopped, bit for bit, and leaves nothing unfinished. Damage is passed
where the run comes to the same results or names what is damaged. An attempt to have code executed is passed where none
was. Everything is seeded: `python -m tests.faults.campaign --kills 100 --inputs 2000 --seed 0`.
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

HERE = Path(__file__).parent
TASK = ["tasks.arguments.counts=[1,4]", "tasks.arguments.held_out=[3]", "tasks.model.hidden_size=8"]
SMALL = [
    *TASK, "tasks.training.steps=30", "tasks.training.batch_size=32", "tasks.training.learning_rate=0.01", "device=cpu",
    "pairs.train=60", "pairs.validation=20", "pairs.test=20", "search.max_steps=2", "threads=1", "controls=[floor]",
    "interventions=laf",
]  # fmt: skip
STUDIES = {
    "align": [],
    "graded": ["experiment.measured=40"],
    "neurons": ["experiment.sizes=[1,2]"],
    "over_training": ["experiment.checkpoints=2"],
    "width": ["experiment.widths=[8,10]", "experiment.dimensions=[2]"],
    "compare": ["experiment.programs=[up_down]"],
}
"""What is run of each; `align` is what `numsym` runs by itself."""

Row = tuple[str, int, int, str]


def configuration(study: str) -> dict[str, Any]:
    """As the command composes it."""
    from hydra import compose, initialize_config_dir

    from numsym import recipes
    from numsym_command.configs import CONFIGS, store

    store()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        options = [f"experiment={study}", "folder=unused", *SMALL, *STUDIES[study]]
        return recipes.plain(compose("config", overrides=options))


def run(config: dict[str, Any], folder: Path) -> None:
    """Run it, or go on with it, in this process."""
    from numsym.lab.runner import run_study

    run_study(config["experiment"]["name"], config, folder)


def forked(work: Callable[[], None], seconds: float = 300) -> int:
    """Do some work in a process of its own, and kill it after so many seconds; its exit status, -9 where it was."""
    pid = os.fork()
    if pid == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def content(folder: Path) -> dict[str, str]:
    """What a run has found, to the last bit: results without times, courses, tables and tensors."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(inner) for key, inner in value.items() if key != "seconds"}
        return [timeless(one) for one in value] if isinstance(value, list) else value

    made = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix == ".safetensors" and not hidden:
            made[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif name in ("metrics.jsonl", "table.csv"):
            lines = path.read_text().splitlines()
            made[name] = json.dumps(lines if name == "table.csv" else sorted(lines))
    made["results.json"] = json.dumps(timeless(json.loads((folder / "results.json").read_text())), sort_keys=True)
    return made


def unfinished(folder: Path) -> list[str]:
    """What lies about."""
    from numsym.storage import UNFINISHED

    return [path.name for path in folder.rglob(".*") if UNFINISHED.fullmatch(path.name) or path.name == ".lock"]


def whole(study: str, config: dict[str, Any], at: Path) -> tuple[dict[str, str], float]:
    """What an uninterrupted run finds, and how long it takes."""
    start = time.monotonic()
    if forked(lambda: run(config, at)) != 0:
        raise RuntimeError(f"{study} does not run")
    return content(at), time.monotonic() - start


def comes_through(config: dict[str, Any], folder: Path, expected: dict[str, str]) -> str:
    """Go on with a run until it ends; what is wrong with it then, or nothing."""
    if forked(lambda: run(config, folder)) != 0:
        return "it does not go on"
    if (found := content(folder)) != expected:
        return f"other: {', '.join(name for name in {*found, *expected} if found.get(name) != expected.get(name))}"
    left = unfinished(folder)
    return f"left behind: {', '.join(left)}" if left else ""


def random_kills(study: str, times: int, at: Path, chance: random.Random) -> Row:
    """Kill a run at random moments, up to three times, and go on."""
    config, passed, faults = configuration(study), 0, []
    expected, seconds = whole(study, config, at / "whole")
    for index in range(times):
        folder = at / f"run{index}"
        for _ in range(chance.randint(1, 3)):
            forked(lambda folder=folder: run(config, folder), chance.uniform(0.05, 1.0) * seconds)  # type: ignore[misc]
        fault = comes_through(config, folder, expected)
        passed += not fault
        faults += [fault] if fault else []
        shutil.rmtree(folder)
    return f"{study}: kills at random moments", times, passed, "; ".join(sorted(set(faults)))


def stopping(at: int, after: bool) -> None:
    """Let this process end at its n-th rename or replacement, before or after it."""
    done = [0]

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            done[0] += 1
            if done[0] - 1 != at:
                return real(*args, **options)
            if after:
                real(*args, **options)
            os._exit(9)

        return call

    os.rename, os.replace = patched(os.rename), patched(os.replace)


def operation_kills(study: str, at: Path, most: int) -> Row:
    """End a run at each of its file operations, before and after it."""
    config, passed, tried, faults = configuration(study), 0, 0, []
    expected, _ = whole(study, config, at / "whole")
    for index in range(most):
        folder = at / f"run{index}"

        def interrupted(index: int = index, folder: Path = folder) -> None:
            stopping(index // 2, bool(index % 2))
            run(config, folder)

        if forked(interrupted) == 0:
            break
        tried += 1
        fault = comes_through(config, folder, expected)
        passed += not fault
        faults += [fault] if fault else []
        shutil.rmtree(folder)
    return f"{study}: ended at each file operation", tried, passed, "; ".join(sorted(set(faults)))


def damages(at: Path) -> Row:
    """Every file of a finished run's parts and its results: half of it, none of it, one bit of it flipped."""
    from numsym.errors import NumsymError

    config, passed, tried, faults = configuration("align"), 0, 0, []
    expected, _ = whole("align", config, at / "whole")
    ways = {
        "half": lambda c: c[: len(c) // 2], "empty": lambda c: b"",
        "a flipped bit": lambda c: c[: len(c) // 2] + bytes([c[len(c) // 2] ^ 1]) + c[len(c) // 2 + 1 :],
    }  # fmt: skip
    files = [path for path in sorted((at / "whole").rglob("*")) if path.is_file()]
    files = [path for path in files if path.suffix not in (".png", ".html")]
    for file in files:
        name = file.relative_to(at / "whole")
        for way, damage in ways.items():
            folder = at / "damaged"
            shutil.copytree(at / "whole", folder)
            (folder / name).write_bytes(damage((folder / name).read_bytes()))
            if name.name != "results.json":
                (folder / "results.json").unlink(missing_ok=True)
            said: list[str] = []
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    run(config, folder)
                same = content(folder) == expected
                said = [] if same else [f"{name} {way}: other results"]
            except NumsymError:
                pass
            except Exception as error:
                said = [f"{name} {way}: {type(error).__name__}"]
            tried, passed, faults = tried + 1, passed + (not said), faults + said
            shutil.rmtree(folder)
    return "files damaged (half, empty, a flipped bit)", tried, passed, "; ".join(faults)


def executions(at: Path) -> Row:
    """Files that want code to be executed, through every loader of numsym."""
    import numsym
    from numsym.interventions import load_config

    marker = at / "executed"
    code = f"open({str(marker)!r}, 'a').write('x')\n"
    evil = at / "evil"
    evil.mkdir()
    (evil / "evil.py").write_text(f"{code}class X: pass\n")
    model = numsym.models.build(9, hidden_size=8)
    model.save_pretrained(evil / "model")
    read = json.loads((evil / "model" / "config.json").read_text())
    read |= {"auto_map": {name: "evil.X" for name in ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer")}}
    (evil / "foreign").mkdir()
    (evil / "foreign" / "config.json").write_text(json.dumps({**read, "model_type": "evil"}))
    (evil / "model" / "config.json").write_text(json.dumps(read))
    for folder in ("model", "foreign"):
        shutil.copy(evil / "evil.py", evil / folder / "evil.py")
    (evil / "tagged.yaml").write_text("!!python/object/apply:os.system [touch executed]\n")
    (evil / "target.yaml").write_text("{name: parity, arguments: {_target_: os.system}, hydra: {callbacks: {a: b}}}\n")
    task = numsym.tasks.MultiObject(counts=range(1, 4))
    counter = numsym.models.counting_gru(task.vocabulary)
    few = {"search": {"max_steps": 2}, "pairs": {"train": 50, "validation": 20, "test": 20}, "controls": False}
    numsym.align(counter, task, **few).save(evil / "found")
    pickled = evil / "model_0.pt"
    torch.save({"weights": _Evil(str(marker))}, pickled)
    config = {"intervention_types": ["<class 'evil.X'>"], "representations": [[0, "state", "pos", 1]]}
    for field in (evil / "found").rglob("*.json"):
        if "type" in json.loads(field.read_text()) and field.name != "result.json":
            field.write_text(field.read_text().replace(json.loads(field.read_text())["type"], "evil.X"))
    (evil / "pyvene").mkdir()
    (evil / "pyvene" / "config.json").write_text(json.dumps(config))
    torch.save(_Evil(str(marker)), evil / "pyvene" / "intkey_x.bin")
    attempts: dict[str, Callable[[], Any]] = {
        "a model's auto_map": lambda: numsym.models.load(evil / "model"),
        "a foreign model's auto_map": lambda: numsym.models.load(evil / "foreign"),
        "a tokenizer's auto_map": lambda: numsym.tasks.AdditionPrompts(tokenizer=str(evil / "foreign")),
        "a pickled checkpoint": lambda: numsym.models.load_pizza(pickled),
        "an alignment's type": lambda: numsym.alignment.AlignmentResult.load(evil / "found", counter),
        "pyvene's format": lambda: numsym.alignment.AlignmentResult.load(evil / "pyvene", counter),
        "a tagged recipe": lambda: numsym.tasks.load_task(evil / "tagged.yaml"),
        "a tagged intervention": lambda: load_config(evil / "tagged.yaml"),
        "a recipe's target": lambda: numsym.tasks.load_task(evil / "target.yaml"),
        "an intervention's target": lambda: load_config({"representations": [{"intervention_type": "os.system"}]}),
        "a path for a name": lambda: load_config({"representations": [{"intervention_type": "evil.X"}]}),
    }
    sys.path.insert(0, str(evil))
    passed, faults = 0, []
    for what, attempt in attempts.items():
        with contextlib.suppress(Exception), contextlib.chdir(evil):
            attempt()
        ran = marker.exists() or (evil / "executed").exists()
        passed, faults = passed + (not ran), faults + ([what] if ran else [])
        for left in (marker, evil / "executed"):
            left.unlink(missing_ok=True)
    sys.path.remove(str(evil))
    return "attempts to have code executed", len(attempts), passed, "; ".join(faults)


class _Evil:
    """What a pickle calls when it is read."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (self.marker, "a")


def tracking(at: Path) -> Row:
    """Tracking that cannot be: the run goes on to the same results."""
    config, passed, faults = configuration("align"), 0, []
    expected, _ = whole("align", config, at / "whole")
    ways: dict[str, dict[str, str]] = {
        "a mode that is none": {"WANDB_MODE": "nonsense"},
        "no network": {"WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40},
        "a server that is not there": {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40},
        "a file in its folder's place": {"WANDB_MODE": "offline"},
    }  # fmt: skip
    for way, environment in ways.items():
        folder = at / way.replace(" ", "_")
        if "file" in way:
            folder.mkdir()
            (folder / "wandb").write_text("")

        def tracked(folder: Path = folder, environment: dict[str, str] = environment) -> None:
            os.environ.pop("WANDB_MODE", None)
            os.environ.update(environment)
            run(config, folder)

        good = forked(tracked) == 0 and content(folder) == expected
        passed, faults = passed + good, faults + ([] if good else [way])
    return "tracking that fails", len(ways), passed, "; ".join(faults)


def inputs(tries: int) -> Row:
    """Generated wrong values for every public callable."""
    counts, failed = runpy.run_path(str(HERE / "contract.py"))["campaign"](tries)
    total = sum(counts.values())
    said = [f"{call}: {what}" for call, what in sorted(failed.items())]
    return (
        f"wrong values ({counts.get('long', 0)} took too long)",
        total,
        total - counts.get("failed", 0),
        "; ".join(said),
    )


def campaign(kills: int, operations: int, tries: int, seed: int, only: list[str]) -> Iterator[Row]:
    """Everything, row by row."""
    import numsym  # noqa: F401  (before the first fork)

    torch.set_num_threads(1)
    os.environ |= {"WANDB_MODE": "disabled", "WANDB_SILENT": "true", "HF_HUB_OFFLINE": "1"}
    chance = random.Random(seed)
    each = {study: kills // (len(STUDIES) + 1) * (2 if study == "align" else 1) for study in STUDIES}
    made: dict[str, Callable[[Path], Row]] = {"executions": executions, "tracking": tracking, "damages": damages}
    for study in STUDIES:
        made[f"{study}:random"] = lambda at, study=study: random_kills(study, each[study], at, chance)  # type: ignore[misc]
        made[f"{study}:operations"] = lambda at, study=study: operation_kills(study, at, operations)  # type: ignore[misc]
    made["inputs"] = lambda at: inputs(tries)
    for one in [made[name] for name in made if not only or name in only]:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                yield one(Path(scratch))
            except Exception as error:
                yield f"{getattr(one, '__name__', 'a row')} itself", 1, 0, f"{type(error).__name__}: {error}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="at random moments, over all studies")
    parser.add_argument("--operations", type=int, default=1000, help="the most file operations of a study")
    parser.add_argument("--inputs", type=int, default=2000, help="wrong values")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="rows, such as damages or align:random")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    disable_progress_bar()
    print("| what | tried | passed |\n| --- | ---: | ---: |", flush=True)
    bad = []
    for what, tried, passed, said in campaign(given.kills, given.operations, given.inputs, given.seed, given.only):
        print(f"| {what} | {tried} | {passed} |", flush=True)
        bad += [f"- {what}: {said}"] if passed < tried else []
    print("\n".join(["", *bad]))


if __name__ == "__main__":
    main()
