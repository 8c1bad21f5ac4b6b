"""Vega, Vega-Lite and vega-embed as one script, so that a page draws its charts without a network."""

import os
from functools import cache
from pathlib import Path

from numsym.storage import write_text


def _shelf() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "numsym"


@cache
def vega() -> str:
    """The script, an ES module that sets `window.vegaEmbed`.

    Putting it together takes seconds, so it is kept in the user's cache (`XDG_CACHE_HOME`), by the version of the
    package that it comes from. Where nothing can be kept there, it is put together by every process.
    """
    from importlib.metadata import version

    kept = _shelf() / f"vega-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        made = _bundle()
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, made)
    except OSError:
        pass
    return made


def _bundle() -> str:
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;").replace("</script", "<\\/script")
