"""Files that want code to be executed, through every loader of numsym; and tracking that cannot be."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from kills import Trial
from small import Small, content, forked, run


def executions(at: Path) -> Iterator[Trial]:
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

    def tried(attempt: Callable[[], Any]) -> str:
        sys.path.insert(0, str(evil))
        with contextlib.suppress(Exception), contextlib.chdir(evil):
            attempt()
        sys.path.remove(str(evil))
        ran = [left for left in (marker, evil / "executed") if left.exists()]
        for left in ran:
            left.unlink()
        return "code was executed" if ran else ""

    for what, attempt in attempts.items():
        yield what, lambda attempt=attempt: tried(attempt)  # type: ignore[misc]


class _Evil:
    """What a pickle calls when it is read."""

    def __init__(self, marker: str):
        self.marker = marker

    def __reduce__(self) -> Any:
        return open, (self.marker, "a")


def tracking(at: Path) -> Iterator[Trial]:
    """Tracking that cannot be: the run goes on to the same results."""
    small = Small("align", at)
    ways: dict[str, dict[str, str]] = {
        "a mode that is none": {"WANDB_MODE": "nonsense"},
        "no network": {"WANDB_MODE": "online", "WANDB_API_KEY": "0" * 40},
        "a server that is not there": {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40},
        "a file in its folder's place": {"WANDB_MODE": "offline"},
    }  # fmt: skip

    def tracked(way: str, environment: dict[str, str]) -> str:
        folder = at / way.replace(" ", "_")
        if "file" in way:
            folder.mkdir()
            (folder / "wandb").write_text("")

        def work() -> None:
            os.environ.pop("WANDB_MODE", None)
            os.environ.update(environment)
            run(small.config, folder)

        if code := forked(work):
            return f"the run ended with {code}"
        return "" if content(folder) == small.expected else "other results"

    for way, environment in ways.items():
        yield way, lambda way=way, environment=environment: tracked(way, environment)  # type: ignore[misc]
