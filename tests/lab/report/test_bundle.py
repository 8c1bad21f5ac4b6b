from pathlib import Path

from numsym.lab.report import bundle


def test_it_is_put_together_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle.vega.cache_clear()
    first = bundle.vega()
    (kept,) = (tmp_path / "numsym").glob("vega-*.js")
    assert kept.read_text() == first
    assert "window.vegaEmbed=" in first
    assert "</script" not in first
    kept.write_text("kept")
    bundle.vega.cache_clear()
    assert bundle.vega() == "kept"
    bundle.vega.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    bundle.vega.cache_clear()
    assert "window.vegaEmbed=" in bundle.vega()
    assert Path(tmp_path / "file").read_text() == ""
    bundle.vega.cache_clear()
