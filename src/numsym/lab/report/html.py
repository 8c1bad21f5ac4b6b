"""Pieces of a page as HTML text: everything that comes from a run is escaped here, and nowhere else."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from numsym.results import formatted


def tag(name: str, *inside: str, **attributes: str) -> str:
    """An element around HTML that is escaped already; attributes are escaped, `class_` is `class`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"' for key, value in attributes.items()
    )
    return f"<{name}{given}>{''.join(inside)}</{name}>"


def text(name: str, said: object, **attributes: str) -> str:
    """An element around plain text."""
    return tag(name, escape(str(said)), **attributes)


def section(title: str, *inside: str, level: int = 2) -> str:
    """A part of the page under its heading; nothing where there is nothing inside."""
    return tag("section", text(f"h{level}", title), *inside) if any(inside) else ""


def table(rows: Sequence[Mapping[str, Any]], caption: str) -> str:
    """Rows with the same keys, words to the left and numbers to the right; it scrolls by itself where it is wide."""
    if not rows:
        return ""
    words = {key for key in rows[0] if any(isinstance(row[key], str) and not _number(row[key]) for row in rows)}
    head = tag("tr", *(text("th", key, scope="col", **_side(key in words)) for key in rows[0]))
    body = (
        tag("tr", *(text("td", formatted(value), **_side(key in words)) for key, value in row.items())) for row in rows
    )
    inside = text("caption", caption) + tag("thead", head) + tag("tbody", *body)
    return tag("div", tag("table", inside), class_="wide", tabindex="0", role="region", aria_label=caption)


def _number(cell: str) -> bool:
    """One number, perhaps with its interval or its exponent; several are words."""
    bare = re.sub(r"\[[^\]]*\]|(?<=\d)e[+-]?\d+", "", cell)
    return not any(map(str.isalpha, bare)) and "," not in bare


def _side(words: bool) -> dict[str, str]:
    return {} if words else {"class_": "number"}


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and what they are; those that are empty are left out."""
    inside = (text("dt", name) + text("dd", value) for name, value in pairs if value not in (None, "", {}, []))
    return tag("dl", *inside)


def finding(word: str, reason: str, kind: str) -> str:
    """A verdict with its reason, as an item of a list; its kind is "yes", "no" or "open"."""
    return tag("li", text("b", word), escape(reason), class_=kind)


def folded(summary: str, *inside: str) -> str:
    """What is there for who opens it, by pointer or by keyboard."""
    return tag("details", text("summary", summary), *inside)


def picture(path: Path, alt: str) -> str:
    """A PNG inside of the page."""
    data = b64encode(path.read_bytes()).decode("ascii")
    return f'<figure class="still"><img alt="{escape(alt, quote=True)}" src="data:image/png;base64,{data}"></figure>'


def script(code: str) -> str:
    """A module of the page's own."""
    return f'<script type="module">{code}</script>'


def data(content: Any, id_: str) -> str:
    """Plain values for the page's script."""
    written = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(id_, quote=True)}">{written}</script>'
