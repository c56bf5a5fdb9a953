"""Charts over days: events by line (1.2, 2.4, 4.2) and success rates in small panels (3.3).

Not here: the other charts (specs.py).
"""

from __future__ import annotations

from typing import Any

import altair as alt

from matokit_pipelines.reports.dashboards.looks import (
    AXIS_RATE,
    DASHES,
    LINES,
    count_axis,
    days_axis,
    few_or,
    legend,
    threshold,
)
from matokit_pipelines.reports.theme import BLUE, GREY, ORANGE, PALE

HALF_A_DAY = 43_200_000  # ms
_MIDDLE = "toDate(datum.event_date + 'T00:00:00Z')"


def days_chart(name: str, order: str) -> Any:
    """Events by day, a line for each `name`, in order of `place` or of most events. Null leaves a gap."""
    return alt.layer(*_lines(name, order)).properties(height=260)


def _lines(name: str, order: str) -> list[Any]:
    sort = {"field": order, "op": "min", "order": "ascending"}
    if order != "place":
        sort = {"field": order, "op": "sum", "order": "descending"}
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_joinaggregate(of_line="sum(events)", groupby=[name])
        .transform_filter("datum.of_line > 0")
        .transform_calculate(t=_MIDDLE)
        .encode(x=_day(), y=alt.Y("events:Q", title=None, axis=count_axis()))
    )
    coloured = base.encode(
        color=alt.Color(f"{name}:N", sort=sort, scale=alt.Scale(range=LINES), legend=legend(_WIDTHS[name])),
        strokeDash=alt.StrokeDash(f"{name}:N", sort=sort, scale=alt.Scale(range=DASHES), legend=legend(_WIDTHS[name])),
    )
    tip = [
        alt.Tooltip("event_date:N", title="day"),
        alt.Tooltip(f"{name}:N", title=name.replace("_", " ")),
        alt.Tooltip("label:N", title="events"),
    ]
    touched = base.transform_filter("datum.events != null").mark_point(size=90, opacity=0, filled=True)
    return [coloured.mark_line(strokeWidth=2), touched.encode(tooltip=tip)]


_WIDTHS = {"environment": 120, "os_release": 125, "commit_sha": 110}


def rollback_chart() -> Any:
    """Events by day and commit, with a dashed mark where another commit takes the lead, named where it is older."""
    start = f"{_MIDDLE} - {HALF_A_DAY}"
    marks = alt.Chart(alt.NamedData("changes")).transform_calculate(t=start).encode(x=_day())
    back = (
        marks.transform_filter("datum.is_rollback")
        .transform_window(number="row_number()", sort=[alt.SortField("event_date")])
        .transform_calculate(row="(datum.number - 1) % 3")
    )
    names = [
        back.transform_filter(f"datum.row == {row}")
        .mark_text(align="left", baseline="top", dx=4, color=ORANGE, fontWeight="bold")
        .encode(y=alt.value(2 + 15 * row), text=alt.value("rollback"))
        for row in range(3)
    ]
    return alt.layer(
        marks.transform_filter("!datum.is_rollback").mark_rule(color=GREY, strokeDash=[3, 3], strokeWidth=1),
        back.mark_rule(color=ORANGE, strokeDash=[3, 3], strokeWidth=1.5),
        *_lines("commit_sha", "place"),
        *names,
    ).properties(height=300)


def rates_chart() -> Any:
    """Success rate by day, one panel a component over a shared axis; points grow with events, grey below ten."""
    shares = alt.Scale(zero=False, nice=True, domainMax=1)
    axis = alt.Axis(**{**AXIS_RATE, "tickCount": 3}, title=None)
    y = alt.Y("success_rate:Q", scale=shares, axis=axis)
    base = alt.Chart().encode(x=_day(), y=y)
    points = base.transform_filter("datum.success_rate != null").encode(
        size=alt.Size("events:Q", scale=alt.Scale(range=[12, 90]), legend=None),
        tooltip=[
            alt.Tooltip("event_date:N", title="day"),
            alt.Tooltip("component:N"),
            alt.Tooltip("label:N", title="success rate"),
            alt.Tooltip("n:N", title="events"),
        ],
    )
    panel = alt.layer(
        *threshold(alt.Chart(), shares, axis),
        base.mark_line(color=PALE, strokeWidth=1.5),
        points.mark_point(strokeWidth=1, opacity=1).encode(stroke=few_or(GREY, BLUE), fill=few_or("white", BLUE)),
    ).properties(height=78)
    return (
        panel.facet(
            facet=alt.Facet(
                "component:N",
                sort={"field": "place", "op": "min", "order": "ascending"},
                title=None,
                header=alt.Header(
                    labelOrient="top", labelAnchor="start", labelFontWeight="bold", labelFontSize=12, labelPadding=4
                ),
            ),
            data=alt.NamedData("rows"),
            columns=1,
        )
        .transform_calculate(t=_MIDDLE)
        .properties(spacing=14)
    )


def _day() -> Any:
    return alt.X(
        "t:T",
        scale=alt.Scale(type="utc", domain=alt.ExprRef("days"), nice=False, padding=8),
        axis=days_axis(),
        title=None,
    )
