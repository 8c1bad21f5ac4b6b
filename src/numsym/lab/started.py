"""With what a run began: the command, the date, and the commit of the sources."""

import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def facts(*, by_command: bool) -> dict[str, Any]:
    """What `started.json` says: `machine` is what numbers may depend on to their last bits, and training beyond them.

    Args:
        by_command: whether the command `numsym` runs it; a member of a sweep is then named by its own settings.
    """
    made: dict[str, Any] = {"command": _command(by_command), "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    made["machine"] = machine()
    commit = _commit(Path(__file__).parent) or _commit(Path.cwd())
    return {**made, "commit": commit} if commit else made


def machine() -> dict[str, Any]:
    """How many threads PyTorch has, on what, and by which library it multiplies."""
    built = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {"threads": torch.get_num_threads(), "processor": _processor(), "blas": built[1] if built else "unknown"}


def _processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else []
    said = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return said or platform.processor() or platform.machine()


def _command(by_command: bool) -> str:
    if by_command:
        from hydra.core.hydra_config import HydraConfig

        if HydraConfig.initialized():
            return shlex.join(["numsym", *HydraConfig.get().overrides.task])
    if "ipykernel" in sys.modules:
        return "in a notebook"
    return shlex.join(["python", *sys.argv]) if sys.argv and sys.argv[0] not in ("", "-c") else "in Python"


def _commit(folder: Path) -> str:
    """The commit of the sources around a folder, with "-dirty" where they differ from it; empty if there is none."""
    call = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
