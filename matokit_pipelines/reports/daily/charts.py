"""The charts of the daily report: the failure rates of components, and two weeks of one component.

Values are inline and nothing is fetched; days are places on an axis, so no zone matters. Not here: titles, tables and
the alt text around a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import altair as alt

from matokit_pipelines.reports.daily.shapes import Component, Stretch
from matokit_pipelines.reports.formats import count, day, percent, plain
from matokit_pipelines.reports.theme import GREY, INK, NARROW, ORANGE, PALE, WIDE, Drawn, Size, spec, svg, svg_of

IN_CHART = 8
_SPARK = Size("spark", 300, 12, False)
_LEAST_TOP = 0.2  # so far up the axis of a trend goes at least
_LIMIT = 0.1
_ROOM = 1.4  # so much higher than its highest bar a trend is, for the number above
_HEIGHT = 66


def rates(rows: Sequence[Component]) -> Drawn:
    """The failure rate of each component in the window and in the 28 days before, as paired bars from 0."""
    return Drawn(*(svg(rates_chart(rows, size), "rates", size) for size in (WIDE, NARROW)))


def rates_chart(rows: Sequence[Component], size: Size) -> Any:
    """The same as an Altair chart: of each component its name, the bar of now, the bar of before."""
    values: list[dict[str, object]] = []
    for place, row in enumerate(rows):
        for line, counts in (("now", row.counts), ("before", row.four_weeks)):
            share = counts.failure_rate
            shown = (
                "no events"
                if share is None
                else f"{percent(share)}  ({count(counts.failures)} of {count(counts.events)})"
            )
            values.append({"place": place, "line": line, "share": share or 0, "label": shown})
        values.append({"place": place, "line": "name", "share": 0, "label": plain(row.component)})
    y = alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0.18, paddingOuter=0))
    offset = alt.YOffset("line:N", scale=alt.Scale(domain=["name", "now", "before"], paddingInner=0.12))
    room = 1.25 if size.is_wide else 1.75  # for the label of a bar over the whole width
    x = alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, room * _most(rows)], nice=False))
    base = alt.Chart(alt.Data(values=values)).encode(y=y, yOffset=offset, x=x)
    bars = base.transform_filter("datum.line != 'name'").mark_bar(cornerRadiusEnd=2).encode(color=_colours(size))
    labels = base.transform_filter("datum.line != 'name'").mark_text(align="left", dx=6, color=INK)
    names = base.transform_filter("datum.line == 'name'").mark_text(
        align="left", baseline="middle", dy=2, color=INK, fontWeight="bold", limit=size.width - 10
    )
    layers = [bars, labels.encode(text="label:N"), names.encode(text="label:N")]
    return alt.layer(*layers).properties(width=size.width - 12, height=alt.Step(23, **{"for": "offset"}))


def trend(stretches: Sequence[Stretch], days: Sequence[date], name: str) -> str:
    """The failure rate of a component day by day as SVG: bars from 0, pale where fewer than ten events came.

    `days`: of each stretch the day on whose morning it begins.
    """
    shares = [one.counts.failure_rate for one in stretches]
    top = _ROOM * max([_LEAST_TOP, *(share for share in shares if share is not None)])
    values = [
        {
            "place": place,
            "height": (one.counts.failure_rate or 0) / top,
            "foot": 0,
            "kind": "none" if not one.counts.events else "few" if one.counts.small else "enough",
            "label": "" if one.counts.failure_rate is None else percent(one.counts.failure_rate),
            "day": day(when),
            "is_first": place == 0,
            "is_last": place == len(stretches) - 1,
        }
        for place, (one, when) in enumerate(zip(stretches, days, strict=True))
    ]
    document = {**_trend_document(), "datasets": {"days": values, "limit": [{"height": _LIMIT / top}]}}
    return svg_of(document, name).replace("<svg ", '<svg aria-hidden="true" ', 1)


@lru_cache(maxsize=1)
def _trend_document() -> dict[str, Any]:
    """The chart without its data: to put an Altair chart together takes longer than to draw it."""
    base = alt.Chart(alt.NamedData("days"))
    x = alt.X("place:O", axis=None, scale=alt.Scale(paddingInner=0.25, paddingOuter=0.1))
    y = alt.Y("height:Q", axis=None, scale=alt.Scale(domain=[0, 1], nice=False))
    first, last = base.transform_filter("datum.is_first"), base.transform_filter("datum.is_last")
    feet = base.transform_filter("datum.kind != 'none'").mark_tick(thickness=2, width=alt.RelativeBandSize(1))
    limit = alt.Chart(alt.NamedData("limit")).mark_rule(color=GREY, strokeDash=[3, 3], strokeWidth=1)
    below = alt.value(_HEIGHT + 10)
    layers = [
        base.mark_bar().encode(x=x, y=y, color=_kinds()),
        feet.encode(x=x, y=alt.Y("foot:Q", axis=None), color=_kinds()),
        limit.encode(y=y),
        last.mark_text(align="right", baseline="top", dx=9, color=INK, fontWeight="bold").encode(
            x=x, y=alt.value(0), text="label:N"
        ),
        first.mark_text(align="left", dx=-9, color=GREY).encode(x=x, y=below, text="day:N"),
        last.mark_text(align="right", dx=9, color=GREY).encode(x=x, y=below, text="day:N"),
    ]
    return spec(alt.layer(*layers).properties(width=_SPARK.width - 8, height=_HEIGHT), _SPARK.text)


def _most(rows: Sequence[Component]) -> float:
    """The longest bar."""
    shares = [share for row in rows for share in (row.counts.failure_rate, row.four_weeks.failure_rate) if share]
    return max(shares, default=1.0)


def _kinds() -> Any:
    return alt.Color(
        "kind:N", scale=alt.Scale(domain=["enough", "few", "none"], range=[ORANGE, PALE, "white"]), legend=None
    )


def _colours(size: Size) -> Any:
    return alt.Color(
        "line:N",
        scale=alt.Scale(domain=["now", "before"], range=[ORANGE, PALE]),
        legend=alt.Legend(
            title=None,
            orient="top",
            direction="horizontal",
            labelExpr="datum.label == 'now' ? 'this window' : '28 days before'",
            symbolType="square",
            labelFontSize=size.text,
            offset=10,
        ),
    )
