"""How a run went, from the course of its parts in `metrics.jsonl`: charts of trainings and of searches."""

import json
from pathlib import Path
from typing import Any

from numsym.figures import charts

MOST = 12
"""More curves than this are told apart by nobody: only so many are drawn."""
POINTS = 400
"""Of a curve."""

SHOWN = (("iia", "IIA on validation pairs"), ("accuracy", "Trials right while the network was trained"))


def courses(folder: Path) -> dict[str, dict[str, Any]]:
    """Charts by their captions: IIA over each search, and accuracy over each training, where the run has them."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return {}
    stages: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        stages.setdefault(record["stage"].removeprefix("alignments/"), []).append(record)
    made: dict[str, dict[str, Any]] = {}
    for key, caption in SHOWN:
        having = [stage for stage, records in stages.items() if any(key in record for record in records)]
        y = f"{'IIA' if key == 'iia' else 'trials right'}, in percent"
        rows = [
            {"stage": stage, "step": record["step"], y: round(100 * record[key], 2)}
            for stage in having[:MOST]
            for record in _thinned([one for one in stages[stage] if isinstance(one.get(key), int | float)])
        ]
        if rows:
            more = f" (the first {MOST} of {len(having)})" if len(having) > MOST else ""
            made[caption + more] = charts.course(rows, y=y).to_dict(validate=False)
    return made


def _thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    step = max(1, -(-len(records) // POINTS))
    return records[::-step][::-1]
