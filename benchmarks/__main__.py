"""Run every benchmark of this folder, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

for path in sorted(Path(__file__).parent.iterdir()):
    single = path.suffix == ".py" and path.stem not in ("__init__", "__main__", "timing")
    if single or (path / "__main__.py").exists():
        subprocess.run([sys.executable, "-m", f"benchmarks.{path.stem}"], check=True)
