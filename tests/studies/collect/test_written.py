from pyarrow import parquet

from numsym.shares import Mean
from numsym.studies.collect import cell, to_parquet


def test_columns_without_a_common_type_are_text(tmp_path):
    to_parquet([{"a": 1, "b": [1]}, {"a": "x", "b": None}], tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == [{"a": "1", "b": [1]}, {"a": "x", "b": None}]


def test_cells():
    assert cell("iia", Mean(0.98, 0.95, 1.01, 3), 3) == "98 [95, 100]"
    assert cell("steps", Mean(850.0, float("nan"), float("nan"), 1), 3) == "850 (1)"
    assert cell("steps", Mean(1000.0, 999.6, 12345.6, 3), 3) == "1000 [1000, 12346]"
    assert cell("recipe", "laf", 3) == "laf"
