"""The former numbers are those of the former page."""

import re
from pathlib import Path

from numsym.studies.replication.former import FORMER

PAGE = Path(__file__).parents[3] / "docs" / "replication_0_1.md"


def test_the_table_is_the_former_pages():
    network, found = (), {}
    for line in PAGE.read_text().splitlines():
        if heading := re.match(r"### (\w+), (\w+)", line):
            network = heading.groups()
        if row := re.match(r"\| (\w+) \((\w+)\) \| ([\d.]+)[^|]*\| ([\d.]+)", line):
            found.setdefault((*network, row[2]), {})[row[1]] = (float(row[3]), float(row[4]))
    assert found == FORMER
    assert len(found) == 27
