"""Example trials, token by token: base and source side by side, the exchange marked, and what follows by whom."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from numsym.lab.report import html


def trials(examples: Sequence[Mapping[str, Any]], name: str) -> str:
    """A list to choose from, wrong ones first, and a panel for each; all panels are open where no script runs.

    Args:
        examples: as `numsym.alignment.examples.Example` holds them, as plain values.
        name: of this list, for its labels.
    """
    if not examples:
        return ""
    ordered = sorted(examples, key=lambda one: one["differs"] is None)
    options = [html.text("option", _line(one), value=str(i)) for i, one in enumerate(ordered)]
    label = html.text("label", "Example trials, wrong ones first", for_=f"{name}-choice")
    choice = html.tag("select", *options, id=f"{name}-choice", class_="choice", data_panels=name)
    panels = [
        html.tag("div", _panel(one), class_="trial", id=f"{name}-{i}", role="group", aria_label=_line(one))
        for i, one in enumerate(ordered)
    ]
    return html.tag("div", label, choice, *panels, class_="trials")


def _line(one: Mapping[str, Any]) -> str:
    """A trial in a line."""
    how = "right" if one["differs"] is None else f"wrong: {one['differs']}"
    return f"{one['exchanged']}; {how}"


def _panel(one: Mapping[str, Any]) -> str:
    tokens = one["tokens"]
    rows = [
        _row("base", tokens["base"], one["base_state"], at=len(tokens["base"]) - 1),
        _row("source", tokens["source"], one["source_state"], at=len(tokens["source"]) - 1),
        _row("the program says", tokens["program"], "after the exchange"),
        _row("the network says", tokens["network"], one["differs"] or "the same", against=tokens["program"]),
    ]
    return html.text("p", f"Exchanged: {one['exchanged']}.") + html.tag("table", html.tag("tbody", *rows))


def _row(
    name: str, tokens: Sequence[str], said: str, *, at: int | None = None, against: Sequence[str] | None = None
) -> str:
    """Tokens in a row: one is where the exchange happens, those that are not `against`'s are marked as wrong."""
    cells = []
    for i, token in enumerate(tokens):
        shown = escape(token.strip() or repr(token))
        if i == at:
            cells.append(html.tag("mark", shown, title="the exchange happens here"))
        elif against is not None and (i >= len(against) or token != against[i]):
            cells.append(html.tag("s", shown, title="not what the program says", class_="wrong"))
        else:
            cells.append(html.tag("span", shown))
    line = html.tag("td", html.tag("span", " ".join(cells), class_="tokens"))
    return html.tag("tr", html.text("th", name, scope="row"), line, html.text("td", said, class_="quiet"))
