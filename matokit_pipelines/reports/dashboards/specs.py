"""The ten charts of the dashboards as Vega-Lite documents over named data, drawn by the page or as SVG by `drawn`.

A chart reads the rows of its widget (`rows`, and `changes` of 4.2) with names made short and labels written by
`prepared`, which report_templates/dashboards/drawing.js does in the page. `room` is the width in CSS pixels. A day is a
point in time in the middle of it: its date at midnight in UTC, so that what begins with the day stands half a day
before. Not here: the rows, titles and tables.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import altair as alt

from matokit_pipelines.reports import theme
from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.reports.dashboards.charts_days import days_chart, rates_chart, rollback_chart
from matokit_pipelines.reports.dashboards.looks import (
    AXIS_RATE,
    AXIS_TITLE,
    CELL_BOUNDS,
    CELL_COLOURS,
    ERRORS,
    LINES,
    count_axis,
    few_or,
    legend,
    threshold,
)
from matokit_pipelines.reports.formats import SPACE, in_words, plain
from matokit_pipelines.reports.theme import BLUE, GREY, INK, ORANGE, PALE, Size

TEXT = 12
COLUMN = Size("column", 640, TEXT, True)
PHONE = Size("phone", 300, TEXT, False)
RING = Size("ring", 210, TEXT, False)
MOST_CELLS = 30  # components in the heat map; the table has all


@dataclass(frozen=True)
class Drawing:
    """A chart: its Vega-Lite document; the fields that name things, cut to the room there is; labels as templates over
    a row; `leave_out`: a field and the value whose rows are not drawn; `inner`: the width is that of a panel, which is
    `beside` pixels less than the room; `step`: pixels of height for each different value of `stepped`."""

    spec: Mapping[str, Any]
    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    leave_out: tuple[str, str] = ("", "")
    inner: bool = False
    beside: int = 0
    ring: bool = False
    step: int = 0
    stepped: str = ""


@cache
def drawings() -> Mapping[str, Drawing]:
    """The charts by widget. A widget without one is a tile or a table."""
    count, rate, n = ("label", "{events|count}"), ("label", "{success_rate|percent}"), ("n", "{events|count}")
    part = ("part", "{failures|count}")
    return {
        "daily_volume": Drawing(_spec(days_chart("environment", "events")), ("environment",), (count,)),
        "outcomes": Drawing(_ring("outcome", [BLUE, ORANGE]), (), (count,), ("outcome", "unknown"), ring=True),
        "environments": Drawing(_spec(_bars()), ("environment",), (count,), step=36, stepped="environment"),
        "architecture_success": Drawing(_spec(_combo()), ("architecture",), (rate, n)),
        "os_version_trends": Drawing(_spec(days_chart("os_release", "place")), ("os_release",), (count,)),
        "problematic_components": Drawing(
            _spec(_stacked()),
            ("component", "error_type"),
            (("label", "{component_failures|count}"), part),
            step=32,
            stepped="component",
        ),
        "component_trends": Drawing(_spec(rates_chart()), ("component",), (rate, n), inner=True, beside=58),
        "component_matrix": Drawing(
            _spec(_cells()), ("component", "architecture"), (rate, n), step=30, stepped="component"
        ),
        "version_rollback": Drawing(_spec(rollback_chart()), ("commit_sha",), (count,)),
        "test_environments": Drawing(_ring("environment", LINES), ("environment",), (count,), ring=True),
    }


def prepared(drawing: Drawing, rows: Sequence[Mapping[str, Any]], zone: ZoneInfo, longest: int) -> list[dict[str, Any]]:
    """The rows as the chart reads them: names cut to `longest` characters and kept apart, labels in words."""
    field, value = drawing.leave_out
    kept = [dict(row) for row in rows if not field or row[field] != value]
    shown = {name: short_names([row[name] for row in kept], longest) for name in drawing.names}
    for place, row in enumerate(kept):
        row.setdefault("place", place)
        for label, template in drawing.labels:
            name, form = template[1:-1].split("|")
            row[label] = in_words(row[name], form, zone)
        for name in drawing.names:
            row[name] = shown[name][row[name]]
    return kept


def short_names(names: Sequence[str], longest: int) -> dict[str, str]:
    """By name what stands for it in a chart: on one line, cut with "…"; no two names alike."""
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        if name in shown:
            continue
        letters = plain(name)
        text = letters if len(letters) <= longest else letters[: longest - 1] + "…"
        number = 1
        while text in taken:
            number += 1
            text = f"{letters[: longest - 5]}… ({number})"
        taken.add(text)
        shown[name] = text
    return shown


def drawn(
    drawing: Drawing,
    rows: Sequence[Mapping[str, Any]],
    changes: Sequence[Mapping[str, Any]],
    zone: ZoneInfo,
    size: Size,
) -> str:
    """The chart as SVG text, `size.width` pixels wide; for readers without scripts."""
    document = json.loads(json.dumps(drawing.spec))
    document["datasets"] = {"rows": prepared(drawing, rows, zone, longest_name(size.width)), "changes": list(changes)}
    document["params"] = [{"name": "room", "value": size.width}, {"name": "days", "value": _days(rows)}]
    if drawing.stepped:
        document["height"] = drawing.step * min(MOST_CELLS, len({row[drawing.stepped] for row in rows}))
    (document["spec"] if drawing.inner else document)["width"] = size.width - drawing.beside
    return theme.svg_of(document, size.name)


def _days(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """The first and the last day of the rows, as instants in ms."""
    days = [datetime.fromisoformat(row["event_date"]).replace(tzinfo=UTC) for row in rows if "event_date" in row]
    return [1000 * day.timestamp() for day in (min(days), max(days))] if days else [0, 1]


def longest_name(room: int) -> int:
    """How many characters of a name there is room for."""
    return 28 if room >= 480 else 16


def _spec(chart: Any) -> dict[str, Any]:
    document = theme.spec(chart, TEXT)
    document["params"] = [{"name": "room", "value": COLUMN.width}, {"name": "days", "value": [0, 1]}]
    document["config"]["aria"] = False  # the figure around the chart says what it shows
    if "facet" not in document:
        document["autosize"] = {"type": "fit-x", "contains": "padding"}
    return document


def _bars() -> Any:
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("environment:N", sort=None, title=None, axis=_names()),
        x=alt.X("events:Q", axis=None, scale=alt.Scale(zero=True, nice=False, padding=0)),
    )
    bars = base.mark_bar(color=BLUE, cornerRadiusEnd=2, height={"band": 0.68})
    room = alt.Chart(alt.NamedData("rows")).transform_calculate(end="datum.events * 1.16").mark_point(opacity=0)
    return alt.layer(
        bars,
        base.mark_text(align="left", dx=6, color=INK).encode(text="label:N"),
        room.encode(x=alt.X("end:Q", axis=None), y=alt.Y("environment:N", sort=None, axis=_names())),
    )


def _names() -> Any:
    return alt.Axis(domain=False, ticks=False, labelPadding=8, labelColor=INK)


def _ring(name: str, colours: Sequence[str]) -> dict[str, Any]:
    base = alt.Chart(alt.NamedData("rows")).transform_filter("datum.events > 0")
    ring = base.mark_arc(innerRadius=58, outerRadius=92, stroke="white", strokeWidth=2).encode(
        theta=alt.Theta("events:Q", stack=True),
        order=alt.Order("place:Q"),
        color=alt.Color("place:O", scale=alt.Scale(domain=list(range(len(colours))), range=list(colours)), legend=None),
        tooltip=[alt.Tooltip(f"{name}:N", title=name), alt.Tooltip("label:N", title="events")],
    )
    middle = base.transform_aggregate(total="sum(events)").mark_text(fontSize=19, fontWeight="bold", color=INK, dy=-6)
    words = base.transform_aggregate(total="sum(events)").mark_text(color=GREY, dy=14)
    total = "replace(format(datum.total, ','), /,/g, '\u202f')"
    return _spec(
        alt.layer(
            ring,
            middle.transform_calculate(text=total).encode(text="text:N"),
            words.encode(text=alt.value("events")),
        ).properties(height=RING.width)
    )


def _combo() -> Any:
    """Bars for events, points for the rate over an axis of its own; rates of few events are grey."""
    shares = alt.Scale(zero=False, nice=True, domainMax=1)
    rate_axis = alt.Axis(**AXIS_RATE, **AXIS_TITLE, grid=False, orient="right", title="success rate")
    rows = alt.Chart(alt.NamedData("rows")).encode(x=alt.X("architecture:N", sort=None, title=None, axis=_below()))
    bars = rows.mark_bar(color=PALE, opacity=0.65, width={"band": 0.5}, cornerRadiusEnd=2).encode(
        y=alt.Y("events:Q", axis=count_axis(title="events", **AXIS_TITLE)),
        tooltip=[alt.Tooltip("architecture:N"), alt.Tooltip("n:N", title="events")],
    )
    low = rows.encode(y=alt.Y("success_rate_low:Q", scale=shares, axis=rate_axis), y2="success_rate_high:Q")
    rates = rows.encode(
        y=alt.Y("success_rate:Q", scale=shares, axis=rate_axis),
        tooltip=[alt.Tooltip("architecture:N"), alt.Tooltip("label:N", title="success rate")],
    )
    points = alt.layer(
        *threshold(alt.Chart(alt.NamedData("rows")), shares, rate_axis),
        low.mark_rule(strokeWidth=3).encode(color=few_or(PALE, BLUE), opacity=few_or(1, 0.45)),
        rates.mark_line(color=BLUE, strokeWidth=2),
        rates.mark_point(size=64, strokeWidth=1.5, opacity=1).encode(
            stroke=few_or(GREY, BLUE), fill=few_or("white", BLUE)
        ),
    )
    return alt.layer(bars, points).resolve_scale(y="independent").properties(height=260)


def _below() -> Any:
    return alt.Axis(
        labelAngle=alt.ExprRef("room < 480 ? -40 : 0"),
        labelAlign=alt.ExprRef("room < 480 ? 'right' : 'center'"),
        labelBaseline="top",
        labelOverlap=False,
        labelPadding=6,
        ticks=False,
        domain=False,
        labelColor=INK,
    )


def _stacked() -> Any:
    """Failures by component, stacked by the six most frequent error types and all the others together."""
    ranked = (
        alt.Chart(alt.NamedData("rows"))
        .transform_joinaggregate(of_type="sum(failures)", groupby=["error_type"])
        .transform_window(
            sort=[alt.SortField("of_type", order="descending"), alt.SortField("error_type")],
            rank="dense_rank()",
            frame=[None, None],
        )
        .transform_calculate(type="datum.rank > 6 ? 'all others' : datum.error_type")
        .transform_calculate(type="datum.type == 'not_reported' ? 'not reported' : datum.type")
        .encode(y=alt.Y("component:N", sort=None, title=None, axis=_names()))
    )
    x = alt.X("failures:Q", axis=None, scale=alt.Scale(zero=True, nice=False))
    colour = alt.Color(
        "type:N",
        sort={"field": "rank", "op": "min"},
        scale=alt.Scale(range=ERRORS),
        legend=legend(150, is_line=False),
    )
    tip = [
        alt.Tooltip("component:N"),
        alt.Tooltip("type:N", title="error type"),
        alt.Tooltip("part:N", title="failures"),
    ]
    bars = ranked.mark_bar(height={"band": 0.68}).encode(x=x, color=colour, order=alt.Order("rank:Q"), tooltip=tip)
    once = ranked.transform_aggregate(
        component_failures="max(component_failures)", label="min(label)", place="min(place)", groupby=["component"]
    )
    ends = once.transform_calculate(end="datum.component_failures * 1.12")
    return alt.layer(
        bars,
        once.mark_text(align="left", dx=6, color=INK).encode(
            x=alt.X("component_failures:Q", axis=None), text="label:N"
        ),
        ends.mark_point(opacity=0).encode(x=alt.X("end:Q", axis=None)),
    )


def _cells() -> Any:
    """Cells of the components with most failures; dark is low, pale has few events, blank has none."""
    few = f"datum.events < {SMALL_NUMBER}"
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_calculate(lost="datum.events - datum.successes")
        .transform_joinaggregate(of_component="sum(lost)", groupby=["component"])
        .transform_window(
            sort=[alt.SortField("of_component", order="descending"), alt.SortField("component")],
            rank="dense_rank()",
            frame=[None, None],
        )
        .transform_filter(f"datum.rank <= {MOST_CELLS}")
        .encode(
            x=alt.X(
                "architecture:N",
                title=None,
                axis=alt.Axis(**_BESIDE, orient="top", labelAngle=0, labelFontSize=_SMALLER),
            ),
            y=alt.Y("component:N", sort=None, title=None, axis=alt.Axis(**_BESIDE)),
        )
    )
    colour = alt.Color(
        "success_rate:Q",
        scale=alt.Scale(type="threshold", domain=CELL_BOUNDS, range=CELL_COLOURS),
        legend=None,  # the value stands in each cell
    )
    tip = [alt.Tooltip("component:N"), alt.Tooltip("architecture:N"), alt.Tooltip("label:N", title="success rate")]
    tip.append(alt.Tooltip("n:N", title="events"))
    cells = base.mark_rect(stroke="white", strokeWidth=2).encode(
        color=alt.condition(few, alt.value("#f1f3f5"), colour), tooltip=tip
    )
    ink = {"condition": [{"test": few, "value": GREY}, {"test": "datum.success_rate < 0.85", "value": "white"}]}
    words = base.transform_calculate(text=f"room < 480 ? split(datum.label, '{SPACE}%')[0] : datum.label")
    words = words.mark_text(fontSize=_SMALLER).encode(text="text:N", color=alt.Color(**ink, value=INK))
    return alt.layer(cells, words)


_SMALLER = alt.ExprRef(f"room < 480 ? 11 : {TEXT}")
_BESIDE: dict[str, Any] = {"domain": False, "ticks": False, "labelColor": INK, "labelPadding": 8}
