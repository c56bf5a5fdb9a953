"""The charts of the monthly report: success by segment, adoption by week, major versions over months.

Each is one Altair chart for a size (theme.py), drawn as SVG for the page and as PNG for messages; values are inline
and nothing is fetched. Not here: titles, tables and the alt text around a chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import altair as alt

from matokit_pipelines.delivery.escaping import cut
from matokit_pipelines.reports.formats import count, day, month, percent, plain
from matokit_pipelines.reports.monthly.shapes import (
    Adoption,
    Architecture,
    MajorTrend,
    MajorVersion,
    Month,
    Segment,
    Segments,
)
from matokit_pipelines.reports.theme import BLUE, GREY, INK, LINES, NARROW, ORANGE, PALE, WIDE, Drawn, Size, png, svg

Chart = Callable[[Size], Any]
ARCHITECTURES = ("arm64", "x86_64", "x86", "unknown")
RELEASES = 12
PANELS = {"wide": 5, "mail": 4, "narrow": 4}
_SHADES = ("#7a3208", "#dba67c", "#fbf3ec")  # dark is bad, light is good
_PERCENT = "format(100 * datum.value, '.0f') + '\u00a0%'"
_NAMES = {"arm64": "Apple silicon", "x86_64": "Intel"}


def drawn(chart: Chart, name: str) -> Drawn:
    """A chart as two SVG texts."""
    return Drawn(*(svg(chart(size), name, size) for size in (WIDE, NARROW)))


def picture(chart: Chart, size: Size) -> bytes:
    """A chart as PNG."""
    return png(chart(size), size)


# -- success by release and architecture --------------------------------------------------------------------------


def heat_map(segments: Segments) -> Chart | None:
    """Success of the segments that have a row: light is good, dark is bad, fewer than ten events pale, none blank."""
    rows = [row for row in segments.rows if row.rates.events]
    return (lambda size: _heat(rows, size)) if rows else None


def _heat(rows: Sequence[Segment], size: Size) -> Any:
    releases = list(dict.fromkeys(_label(row) for row in rows))[:RELEASES]
    names = [name for name in ARCHITECTURES if any(row.architecture == name for row in rows)]
    shown = [row for row in rows if _label(row) in releases]
    enough = [row.rates.success_rate or 0.0 for row in shown if not row.rates.small]
    floor = min([0.8, *(math.floor(10 * rate) / 10 for rate in enough)])  # few failures stay light
    data = [_cell(row, releases, floor) for row in shown]
    if not size.is_wide:  # where the word has no room
        data = [{**cell, "events": f"of {count(row.rates.events)}"} for cell, row in zip(data, shown, strict=True)]
    width = size.width - (170 if size.is_wide else 118)
    y = alt.Y("place:O", title=None, axis=None, scale=alt.Scale(padding=0.06))
    x = alt.X(
        "architecture:N",
        sort=names,
        scale=alt.Scale(domain=names, padding=0.03),
        title=None,
        axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, labelPadding=8),
    )
    base = alt.Chart(alt.Data(values=data)).encode(x=x, y=y)
    shade = alt.Color("rate:Q", legend=None, scale=alt.Scale(domain=[floor, (floor + 1) / 2, 1], range=list(_SHADES)))
    cells = base.transform_filter("!datum.small").mark_rect(cornerRadius=3).encode(color=shade)
    pale = base.transform_filter("datum.small").mark_rect(cornerRadius=3, color="#f4f5f7")
    ink = alt.Color("ink:N", scale=None)
    texts = [base.mark_text(dy=dy).encode(text=f"{field}:N", color=ink) for field, dy in (("shown", -8), ("events", 9))]
    labels = (
        alt.Chart(alt.Data(values=[{"place": place, "label": name} for place, name in enumerate(releases)]))
        .mark_text(align="right", dx=-10, color=INK, limit=150 if size.is_wide else 100)
        .encode(y=y, x=alt.value(0), text="label:N")
    )
    height = len(releases) * 46
    return (
        alt.layer(cells, pale, *texts, labels).resolve_scale(color="independent").properties(width=width, height=height)
    )


def _cell(row: Segment, releases: Sequence[str], floor: float) -> dict[str, object]:
    rate = row.rates.success_rate or 0.0
    noun = "event" if row.rates.events == 1 else "events"
    return {
        "place": releases.index(_label(row)),
        "architecture": row.architecture,
        "rate": max(rate, floor),
        "small": row.rates.small,
        "ink": GREY if row.rates.small else "white" if rate < floor + 0.3 * (1 - floor) else INK,
        "shown": percent(rate),
        "events": f"{count(row.rates.events)} {noun}",
    }


def _label(row: Segment) -> str:
    return plain(row.os_release)


# -- adoption by week -----------------------------------------------------------------------------------------------


def adoption_lines(adoption: Adoption) -> Chart | None:
    """Share of architectures by week, of Macs where there are any, else of all systems."""
    of_macs = any(row.last.installations for row in adoption.macs)
    rows = adoption.macs if of_macs else adoption.systems
    if sum(1 for share in (rows[0].weeks if rows else ()) if share.share is not None) < 2:
        return None
    return lambda size: _lines(adoption.weeks, rows, of_macs, size)


def _lines(weeks: Sequence[date], rows: Sequence[Architecture], of_macs: bool, size: Size) -> Any:
    values = [
        {"place": place, "name": _named(row, of_macs), "share": share.share}
        for row in rows
        for place, share in enumerate(row.weeks)
    ]
    names = [_named(row, of_macs) for row in rows]
    labels = [day(week) for week in weeks]
    step = 2 if size.is_wide else 4
    x = alt.X(
        "place:Q",
        title=None,
        scale=alt.Scale(domain=[-0.3, len(weeks) - 0.7], nice=False),
        axis=alt.Axis(
            values=list(range(len(weeks) - 1, -1, -step))[::-1],
            labelExpr=f"{labels!r}[datum.value]",
            grid=False,
            ticks=False,
            labelPadding=8,
            labelOverlap=False,
        ),
    )
    y = alt.Y(
        "share:Q",
        title=None,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr=_PERCENT, tickCount=4, domain=False, ticks=False),
    )
    colour = alt.Color(
        "name:N",
        scale=alt.Scale(domain=names, range=[BLUE, GREY, PALE, ORANGE][: len(names)]),
        legend=alt.Legend(
            title=None, orient="top", direction="horizontal", symbolType="circle", labelFontSize=size.text, offset=10
        ),
    )
    base = alt.Chart(alt.Data(values=values)).encode(x=x, y=y, color=colour)
    points = base.transform_filter("datum.share != null").mark_point(filled=True, size=40, opacity=1)
    return alt.layer(base.mark_line(strokeWidth=2.5), points).properties(
        width=size.width - 56, height=230 if size.is_wide else 190
    )


def _named(row: Architecture, of_macs: bool) -> str:
    return _NAMES.get(row.architecture, row.architecture) if of_macs else row.architecture


# -- major versions over months -------------------------------------------------------------------------------------


def major_panels(trend: MajorTrend) -> Chart | None:
    """One panel for each of the most used versions: success with its interval above, share of installations below."""
    known = [place for place, one in enumerate(trend.months) if one.installations is not None]
    rows = [row for row in trend.rows if row.months[-1].installations]
    if len(known) < 2 or not rows:
        return None
    return lambda size: _panels(rows[: PANELS[size.name]], trend.months, size)


def _panels(rows: Sequence[MajorVersion], months: Sequence[Month], size: Size) -> Any:
    """Drawn on one horizontal scale, a panel after the other: that is quicker than facets, and all stand in line."""
    columns = len(rows) if size.is_wide else min(2, len(rows))
    span = len(months) + 1.1
    x = alt.X("x:Q", title=None, axis=None, scale=alt.Scale(domain=[-0.5, columns * span - 1.6], nice=False))
    floor, most = _floor(rows), _most(rows)
    width = size.width - 62
    bar = 0.72 * width / (columns * span)
    blocks = []
    for start in range(0, len(rows), columns):
        group = [(place * span, row) for place, row in enumerate(rows[start : start + columns])]
        data = alt.Data(values=[one for at, row in group for one in _panel_data(at, row, months, floor)])
        blocks += [
            _success(data, _panel_texts(group, months), x, floor).properties(width=width, height=112),
            _use(data, _panel_texts(group, months), x, most, bar).properties(width=width, height=62),
        ]
    return alt.vconcat(*blocks, spacing=10)


def _success(data: Any, texts: Any, x: Any, floor: float) -> Any:
    """Success rate by month with its interval under the versions' names; grey points have fewer than ten events."""
    shares = alt.Scale(domain=[floor, 1.04], nice=False, zero=False)  # room for the label of 100 %
    ticks = [floor, (floor + 1) / 2, 1]
    y = alt.Y("rate:Q", scale=shares, title=None, axis=_left(ticks))
    low = alt.Y("low:Q", scale=shares, title=None, axis=_left(ticks))
    base = alt.Chart(data).encode(x=x)
    points = base.transform_filter("datum.rate != null").encode(y=y)
    line = base.mark_line(color=BLUE, strokeWidth=2).encode(y=y, detail="panel:N")
    names = alt.Chart(texts).transform_filter("datum.is_name").encode(x=x, y=alt.value(-12), text="text:N")
    return alt.layer(
        base.mark_rule(color=BLUE, opacity=0.3, strokeWidth=3).encode(y=low, y2="high:Q"),
        line,
        points.transform_filter("!datum.small").mark_point(size=34, opacity=1, filled=True, color=BLUE),
        points.transform_filter("datum.small").mark_point(
            size=34, opacity=1, strokeWidth=1.5, color=GREY, fill="white"
        ),
        names.mark_text(align="left", color=INK, fontWeight="bold"),
    )


def _use(data: Any, texts: Any, x: Any, most: float, bar: float) -> Any:
    """Share of installations by month as bars from 0, in percent; the first and the last month named."""
    shares = alt.Scale(domain=[0, most * 1.35], nice=False)
    base = alt.Chart(data).encode(x=x, y=alt.Y("share:Q", title=None, scale=shares, axis=_left([0])))
    names = alt.Chart(texts).transform_filter("!datum.is_name").encode(x=x, y=alt.value(74), text="text:N")
    return alt.layer(
        base.mark_bar(color=PALE, cornerRadiusEnd=2, size=bar),
        base.mark_text(dy=-7, color=INK).encode(text="shown:N"),
        names.mark_text(color=GREY),
    )


def _left(values: Sequence[float]) -> Any:
    """The axis at the left; of the same width everywhere, so that panels stand under each other."""
    return alt.Axis(
        values=list(values), labelExpr=_PERCENT, domain=False, ticks=False, gridColor=LINES, minExtent=40, maxExtent=40
    )


def _panel_texts(group: Sequence[tuple[float, MajorVersion]], months: Sequence[Month]) -> Any:
    """The name above each panel, and its first and last month below it."""
    rows: list[dict[str, object]] = []
    for at, row in group:
        rows.append({"x": at - 0.4, "text": cut(plain(row.major), 18), "is_name": True})
        for place in (0, len(months) - 1):
            rows.append({"x": at + place, "text": month(months[place].month)[:3], "is_name": False})
    return alt.Data(values=rows)


def _panel_data(at: float, row: MajorVersion, months: Sequence[Month], floor: float) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for place, found in enumerate(row.months[: len(months)]):
        rates = found.rates
        low = rates.success_rate_low if rates else None
        rows.append(
            {
                "x": at + place,
                "panel": at,
                "rate": rates.success_rate if rates else None,
                "low": None if low is None else max(low, floor),
                "high": rates.success_rate_high if rates else None,
                "small": bool(rates and rates.small),
                "share": found.share,
                "shown": "" if found.share is None else f"{100 * found.share:.0f}",
            }
        )
    return rows


def _floor(rows: Sequence[MajorVersion]) -> float:
    """Where the rate axis begins: below every rate, and below the intervals of months with enough events."""
    rates = [found.rates for row in rows for found in row.months if found.rates and found.rates.events]
    lows = [rate.success_rate or 0.0 for rate in rates]
    lows += [rate.success_rate_low or 0.0 for rate in rates if not rate.small]
    return max(0.0, math.floor(10 * min([0.9, *lows]) + 1e-9) / 10)


def _most(rows: Sequence[MajorVersion]) -> float:
    return max([0.05, *(found.share for row in rows for found in row.months if found.share is not None)])
