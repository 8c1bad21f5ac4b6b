"""Interactive charts from rows: what the report and a notebook show of a result. Altair is imported when one is made.

A chart carries its own rows, in percent where they are shares, so that the number under the pointer is the one in the
table beside it. Marks differ in shape as well as in colour.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numsym.figures import COLOURS
from numsym.shares import Share

if TYPE_CHECKING:
    from altair import TopLevelMixin

Row = dict[str, Any]

GREY = "#858c93"
"""Read on light paper and on dark."""

LINE, MAP = 260, 18
"""Heights in pixels: of a chart of points or lines, and of one row of a map."""

MEASURES = {
    "iia": ("IIA", COLOURS[0], "circle"), "heldout_iia": ("held-out IIA", COLOURS[1], "square"),
    "free_running": ("free-running", COLOURS[2], "triangle-up"), "floor": ("floor", GREY, "triangle-down"),
    "permuted": ("permuted", GREY, "diamond"), "untrained": ("untrained", GREY, "cross"),
    "neurons": ("neurons", GREY, "triangle-right"), "ceiling": ("ceiling", GREY, "triangle-left"),
}  # fmt: skip
"""Measures of an alignment: name in a chart, colour, and mark. What was found has colours, and controls are grey."""


def percent(share: Share) -> Row:
    """A share as the columns of a row."""
    ends = {"percent": 100 * share.value, "low": 100 * share.low, "high": 100 * share.high}
    return {**{name: round(value, 2) for name, value in ends.items()}, "n": share.n}


def _data(rows: Sequence[Row]) -> Any:
    import altair as alt

    return alt.Data(values=list(rows))


def _shown(rows: Sequence[Row]) -> list[Any]:
    """Everything that a row says, for the pointer."""
    import altair as alt

    kinds = {name: "N" if isinstance(value, str) else "Q" for name, value in rows[0].items()}
    return [alt.Tooltip(f"{name}:{kind}", format=".5~g" if kind == "Q" else "") for name, kind in kinds.items()]


def _coloured(name: str, domain: Sequence[str]) -> dict[str, Any]:
    """A colour and a shape for each of a few names, with a legend below the chart; none for a single one."""
    shapes = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
    looks = [(COLOURS[i % len(COLOURS)], shapes[i % len(shapes)]) for i in range(len(domain))]
    return _looking(name, domain, looks)


def _looking(name: str, domain: Sequence[str], looks: Sequence[tuple[str, str]]) -> dict[str, Any]:
    import altair as alt

    legend = None
    if len(domain) > 1:
        legend = alt.Legend(orient="bottom", columns=4, columnPadding=18, title=None, labelLimit=400)
    colours, shapes = ([look[i] for look in looks] for i in range(2))
    return {
        "color": alt.Color(f"{name}:N", scale=alt.Scale(domain=list(domain), range=colours), legend=legend),
        "shape": alt.Shape(f"{name}:N", scale=alt.Scale(domain=list(domain), range=shapes), legend=legend),
    }


def beside_controls(rows: Sequence[Row], name: str) -> "TopLevelMixin":
    """What was measured of each thing, as points with their 95 % intervals, controls among them.

    Args:
        rows: of a result; of their values, the shares that `MEASURES` names are drawn.
        name: the key under which a row says what it is about.
    """
    import altair as alt

    values = [
        {name: str(row[name]), "measure": called, **percent(row[key])}
        for row in rows
        for key, (called, *_) in MEASURES.items()
        if isinstance(row.get(key), Share) and row[key].n
    ]
    there = {row["measure"]: None for row in values}
    measures = {called: look for called, *look in MEASURES.values() if called in there}
    looks = _looking("measure", list(measures), [(colour, shape) for colour, shape in measures.values()])
    names = list(dict.fromkeys(row[name] for row in values))
    x: Any = {"scale": alt.Scale(domain=[0, 100]), "title": "trials right, in percent (95 % intervals)"}
    base = alt.Chart(_data(values)).encode(
        y=alt.Y(f"{name}:N", title=None, sort=names, axis=alt.Axis(labelLimit=160)),
        yOffset=alt.YOffset("measure:N", sort=list(measures)),
        color=looks["color"],
        tooltip=_shown(values),
    )
    intervals = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q", **x), x2="high:Q")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("percent:Q", **x), shape=looks["shape"])
    return alt.layer(intervals, points).properties(height=max(90, len(names) * (len(measures) * 11 + 12)))


def by_group(series: Mapping[str, Mapping[int, Share]], held_out: Sequence[int] = (), *, x: str) -> "TopLevelMixin":
    """Shares by a whole number, as points with their intervals; those that training did not see are hollow.

    Args:
        series: name -> group -> share.
        held_out: groups that were kept out of training.
        x: what the groups are.
    """
    import altair as alt

    values = [
        {x: group, "alignment": name, **percent(share), "numbers": "held out" if group in held_out else "of training"}
        for name, shares in series.items()
        for group, share in shares.items()
        if share.n
    ]
    base = alt.Chart(_data(values)).encode(
        x=alt.X(f"{x}:O", title=x, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        xOffset=alt.XOffset("alignment:N", sort=list(series)),
        color=_coloured("alignment", list(series))["color"],
        tooltip=_shown(values),
    )
    y: Any = {"scale": alt.Scale(domain=[0, 100]), "title": "IIA, in percent"}
    layers = [base.mark_rule(strokeWidth=1.2).encode(y=alt.Y("low:Q", **y), y2="high:Q")]
    for numbers, filled in (("of training", True), ("held out", False)):
        if any(row["numbers"] == numbers for row in values):
            points = base.mark_point(filled=filled, size=45, opacity=1, strokeWidth=1.6)
            shown = points.encode(y=alt.Y("percent:Q", **y), shape=_coloured("alignment", list(series))["shape"])
            layers.append(shown.transform_filter(f"datum.numbers == '{numbers}'"))
    return alt.layer(*layers).properties(height=LINE)


def course(rows: Sequence[Row], *, y: str, name: str = "stage") -> "TopLevelMixin":
    """A measure over the steps of a search or a training, a line for each name.

    Args:
        rows: with `step`, the measure, and the name.
        y: the measure's key, which is also the title of its axis.
        name: the key of the names.
    """
    import altair as alt

    names = list(dict.fromkeys(str(row[name]) for row in rows))
    top = max(row[y] for row in rows)
    scale = alt.Scale(domain=[0, 100]) if "percent" in y and top <= 100 else alt.Scale(zero=True)
    field = y.replace(".", r"\.").replace("[", r"\[").replace("]", r"\]")
    return (
        alt.Chart(_data(rows))
        .mark_line(point=alt.OverlayMarkDef(size=24, filled=True), strokeWidth=1.6)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y(f"{field}:Q", title=y, scale=scale),
            tooltip=_shown(rows),
            **_coloured(name, names),
        )
        .properties(height=LINE)
    )


def heatmap(rows: Sequence[Row], *, x: str, y: str, value: str = "percent") -> "TopLevelMixin":
    """A number by two others, as colours; the number itself is under the pointer.

    Args:
        rows: one for each cell that is known, with all that is to be said of it.
        x: the key across, and the title of that axis.
        y: the key downwards, and the title of that axis.
        value: the key of the number, 0..100.
    """
    import altair as alt

    down, across = (list(dict.fromkeys(row[key] for row in rows)) for key in (y, x))
    words = not all(isinstance(one, int | float) for one in across)
    if not words:
        across.sort()
    # Numbers may be left out where they do not fit; words are turned, so that each is read.
    labels = alt.Axis(labelOverlap=not words, labelAngle=-40 if words else 0)
    return (
        alt.Chart(_data(rows))
        .mark_rect(stroke="currentColor", strokeOpacity=0.15)
        .encode(
            x=alt.X(f"{x}:O", sort=across, axis=labels),
            y=alt.Y(f"{y}:O", sort=down, axis=alt.Axis(labelOverlap=True, labelLimit=160)),
            color=alt.Color(
                f"{value}:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, 100]),
                legend=alt.Legend(title="IIA, in percent", orient="bottom", gradientLength=180),
            ),
            tooltip=_shown(rows),
        )
        .properties(height=max(130, MAP * len(down)))
    )


def plane(states: Sequence[Row], directions: Sequence[Row], variance: Sequence[float]) -> "dict[str, TopLevelMixin]":
    """States in their first two principal components, by a program's variables there, and an edit's directions.

    Args:
        states: `component 1` and `component 2`, then each variable in words; the first variable gives the colour, the
            second the shape.
        directions: `component 1`, `component 2` and `share`, from the states' mean.
        variance: the share of the variance in each component.
    """
    import altair as alt

    names = [name for name in states[0] if name not in ("component 1", "component 2")]
    rows = [
        {**row, "component 1": round(row["component 1"], 4), "component 2": round(row["component 2"], 4)}
        for row in states
    ]
    looks: dict[str, Any] = {}
    for name, channel, kind in zip(names, ("color", "shape"), (alt.Color, alt.Shape), strict=False):
        values = sorted({row[name] for row in rows}, key=_in_order)
        legend = alt.Legend(orient="bottom", columns=6, title=name)
        many = {"scheme": "viridis"} if len(values) > len(COLOURS) else {"range": list(COLOURS[: len(values)])}
        scale = alt.Scale(domain=values, **(many if channel == "color" else {}))
        looks[channel] = kind(f"{name}:N", scale=scale, legend=legend)
    titles = [f"component {i + 1} ({100 * one:.0f} % of the variance)" for i, one in enumerate(variance[:2])]
    x = alt.X("component 1:Q", title=titles[0], scale=alt.Scale(zero=False))
    y = alt.Y("component 2:Q", title=titles[-1], scale=alt.Scale(zero=False))
    points = alt.Chart(_data(rows)).mark_point(filled=True, size=45, opacity=0.85)
    points = points.encode(x=x, y=y, tooltip=_shown(rows), **looks)
    arrows = [
        {
            "direction": f"{i + 1}, with {100 * one['share']:.0f} % of the change",
            **{name: round(one[name], 4) for name in ("component 1", "component 2")},
        }
        for i, one in enumerate(directions)
    ]
    base = alt.Chart(_data(arrows)).encode(x="component 1:Q", y="component 2:Q", tooltip=_shown(arrows))
    lines = base.mark_rule(strokeWidth=2.5, color="currentColor").encode(x2=alt.datum(0), y2=alt.datum(0))
    heads = base.mark_point(shape="diamond", filled=True, size=70, color="currentColor", opacity=1)
    drawn: Any = alt.layer(points, lines, heads, data=_data(rows)).resolve_scale(shape="independent")
    caption = "Natural states, and the directions in which the exchange moves them most (bars from the mean)"
    return {caption: drawn.properties(height=LINE + 60)}


def along(natural: Sequence[float], change: Sequence[float]) -> "dict[str, TopLevelMixin]":
    """How far an exchange moves states along each principal component, beside how far natural states spread there.

    Args:
        natural: the standard deviation of natural states along each component.
        change: the root mean square of the change.
    """
    import altair as alt

    what = ("natural states", "the exchange")
    rows = [
        {"component": i + 1, "of": name, "size": round(value, 4)}
        for name, values in zip(what, (natural, change), strict=True)
        for i, value in enumerate(values)
    ]
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("component:O", title="principal component", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("of:N", sort=list(what)),
            y=alt.Y("size:Q", title="spread; root mean square of the change"),
            color=_coloured("of", what)["color"],
            tooltip=_shown(rows),
        )
        .properties(height=LINE)
    )
    return {"The exchange against the natural spread": chart}


def _in_order(word: str) -> tuple[int, float, str]:
    """Numbers by their size, then words."""
    return (0, float(word), "") if word.lstrip("-").isdigit() else (1, 0.0, word)
