"""The charts of the weekly summary: one wide and one narrow SVG of each for the page, a PNG of each for messages.

Values are inline and nothing is fetched. Times are the project zone's wall clock written as UTC, so the zone of the
process does not matter and a deployment stands where its hour lies in the day. Not here: titles, tables and the alt
text around a chart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import altair as alt

from matokit_pipelines.delivery.escaping import cut
from matokit_pipelines.reports import formats
from matokit_pipelines.reports.comparison import LOW_RATE
from matokit_pipelines.reports.formats import count, plain
from matokit_pipelines.reports.shapes import rates_of
from matokit_pipelines.reports.theme import BLUE, GREY, INK, MAIL, NARROW, ORANGE, PALE, WIDE, Drawn, Size, png, svg
from matokit_pipelines.reports.weekly.shapes import Adoption, Day, Deployment, FailingComponent, WeeklyNumbers

_NAME_WIDTH = 63  # pixels of a commit's name
_ROOM_FOR_EACH_DAY = 800


def success_trend(days: Sequence[Day], deployments: Sequence[Deployment], zone: ZoneInfo) -> Drawn:
    """Daily success rate with its interval, deployments and the 75 % line. A day without events is a gap."""
    return _drawn("trend", partial(_trend, days, deployments, zone))


def failing_components(rows: Sequence[FailingComponent]) -> Drawn:
    """Failures of each component this week and the week before, as paired bars from 0."""
    return _drawn("failing", partial(_failing, rows))


def shares_by_week(adoption: Adoption) -> Drawn:
    """A line an architecture, its name at the right end; a week without installations is a gap."""
    return _drawn("adoption", partial(_adoption, adoption))


def pictures(numbers: WeeklyNumbers, zone: ZoneInfo) -> dict[str, bytes]:
    """The charts for which there is something to draw as PNG for mails and Slack, by name."""
    found: dict[str, Any] = {}
    if any(day.rates and day.rates.events for day in numbers.days):
        found["trend"] = _trend(numbers.days, numbers.deployments, zone, MAIL)
    if numbers.failing.rows:
        found["failing"] = _failing(numbers.failing.rows, MAIL)
    if numbers.adoption.architectures:
        found["adoption"] = _adoption(numbers.adoption, MAIL)
    return {name: png(chart, MAIL) for name, chart in found.items()}


def _drawn(name: str, chart: Callable[[Size], Any]) -> Drawn:
    return Drawn(*(svg(chart(size), name, size) for size in (WIDE, NARROW)))


def _trend(days: Sequence[Day], deployments: Sequence[Deployment], zone: ZoneInfo, size: Size) -> Any:
    floor = _floor(days)
    scale = alt.Scale(type="utc", domain=[_wall(days[0].day, 0), _wall(days[-1].day, 24)], nice=False)
    x = alt.X("t:T", scale=scale, axis=_days_axis(days, size), title=None)
    data = _trend_data(days, floor)
    shares = alt.Scale(domain=[floor, 1], nice=False, zero=False)
    y = alt.Y("rate:Q", scale=shares, title=None, axis=_percent_axis())
    low = alt.Y("low:Q", scale=shares, title=None, stack=None)
    base = alt.Chart(data).encode(x=x)
    reading = alt.Chart(data).transform_filter("datum.rate != null").encode(x=x, y=y)
    layers = [
        *_threshold(days, shares),
        *_deployment_marks(days, deployments, zone, size, scale),
        base.mark_area(color=BLUE, opacity=0.16, line=False).encode(y=low, y2="high:Q"),
        base.transform_filter("datum.alone")
        .mark_rule(color=BLUE, opacity=0.35, strokeWidth=3)
        .encode(y="low:Q", y2="high:Q"),
        base.mark_line(color=PALE, strokeWidth=1.5).encode(y=y),
        base.mark_line(color=BLUE, strokeWidth=2.5).encode(y=alt.Y("enough:Q", scale=shares, title=None)),
        reading.transform_filter("datum.small").mark_point(
            color=GREY, fill="white", size=34, strokeWidth=1.5, opacity=1
        ),
        reading.transform_filter("!datum.small").mark_point(color=BLUE, filled=True, size=44, opacity=1),
    ]
    return alt.layer(*layers).properties(width=size.width - 46, height=280 if size.is_wide else 210)


def _trend_data(days: Sequence[Day], floor: float) -> Any:
    rows = []
    rates = [None, *(day.rates and day.rates.success_rate for day in days), None]
    for place, day in enumerate(days, 1):
        rates_of_day = day.rates or rates_of(0, 0, 0)
        low = rates_of_day.success_rate_low
        rows.append(
            {
                "t": _wall(day.day, 12),
                "rate": rates_of_day.success_rate,
                "enough": None if rates_of_day.small else rates_of_day.success_rate,
                "low": None if low is None else max(low, floor),
                "high": rates_of_day.success_rate_high,
                "small": rates_of_day.small,
                "alone": rates[place] is not None and rates[place - 1] is None and rates[place + 1] is None,
            }
        )
    return alt.Data(values=rows)


def _floor(days: Sequence[Day]) -> float:
    """Where the rate axis begins: below the 75 % line, every rate and the intervals of days with enough events."""
    counted = [day.rates for day in days if day.rates]
    lows = [rates.success_rate for rates in counted if rates.success_rate is not None]
    lows += [rates.success_rate_low for rates in counted if rates.success_rate_low and not rates.small]
    return max(0.0, math.floor(10 * min([LOW_RATE - 0.05, *lows]) + 1e-9) / 10)


def _threshold(days: Sequence[Day], shares: Any) -> list[Any]:
    data = alt.Data(values=[{"t": _wall(days[0].day, 0), "rate": LOW_RATE, "label": "75\u00a0%"}])
    y = alt.Y("rate:Q", scale=shares, title=None)
    line = alt.Chart(data).mark_rule(color=ORANGE, strokeWidth=1).encode(y=y)
    label = (
        alt.Chart(data)
        .mark_text(align="left", baseline="top", dx=4, dy=4, color=ORANGE)
        .encode(x="t:T", y=y, text="label:N")
    )
    return [line, label]


def _deployment_marks(
    days: Sequence[Day], deployments: Sequence[Deployment], zone: ZoneInfo, size: Size, scale: Any
) -> list[Any]:
    """A dashed line for each deployment; its name on top where there is room for it."""
    room = _NAME_WIDTH * 24 * len(days) / (size.width - 46)  # hours that one name takes
    rows: list[dict[str, object]] = []
    named_until = -math.inf
    first = datetime.combine(days[0].day, datetime.min.time())
    for one in deployments:
        local = one.first_seen.astimezone(zone).replace(tzinfo=None)
        hours = (local - first).total_seconds() / 3600
        late = hours > 24 * len(days) - room  # its name goes to the left of the line
        fits = (hours - room if late else hours) >= named_until
        named_until = (hours if late else hours + room) if fits else named_until
        rows.append(
            {
                "t": local.isoformat() + "Z",
                "name": _name(one.commit_sha) if fits else "",
                "align": "right" if late else "left",
            }
        )
    if not rows:
        return []
    base = alt.Chart(alt.Data(values=rows)).encode(x=alt.X("t:T", scale=scale, title=None))
    lines = base.mark_rule(color=GREY, strokeDash=[3, 3], strokeWidth=1)
    names = [
        base.transform_filter(f"datum.align == '{side}'")
        .mark_text(align=side, baseline="bottom", dx=dx, dy=-4, color=GREY)
        .encode(y=alt.value(0), text="name:N")
        for side, dx in (("left", -3), ("right", 3))
    ]
    return [lines, *names]


def _days_axis(days: Sequence[Day], size: Size) -> Any:
    every = (0, 1, 2, 3, 4, 5, 6) if size.width > _ROOM_FOR_EACH_DAY else (0, 2, 4) if size.is_wide else (0, 3)
    shown = [day for place, day in enumerate(days) if place % 7 in every]
    return alt.Axis(
        values=[_wall(day.day, 12) for day in shown],
        labelExpr="[utcFormat(datum.value, '%a'), utcFormat(datum.value, '%-d %b')]",
        labelOverlap=False,
        labelAlign="center",
        labelFlush=False,
        grid=False,
        ticks=False,
        labelPadding=8,
    )


def _percent_axis() -> Any:
    return alt.Axis(labelExpr="format(100 * datum.value, '.0f') + '\u00a0%'", tickCount=4, domain=False, ticks=False)


def _failing(rows: Sequence[FailingComponent], size: Size) -> Any:
    """Three lines a component: its name, the bar of this week, the bar of the week before."""
    limit = size.width - 10
    values = []
    for place, row in enumerate(rows):
        for line, failures in (("now", row.this_week.failures), ("before", row.week_before.failures)):
            values.append({"place": place, "line": line, "failures": failures, "label": count(failures)})
        values.append({"place": place, "line": "name", "failures": 0, "label": _name(row.component)})
    most = max((max(row.this_week.failures, row.week_before.failures) for row in rows), default=1)
    y = alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0.18, paddingOuter=0))
    offset = alt.YOffset("line:N", scale=alt.Scale(domain=["name", "now", "before"], paddingInner=0.12))
    x = alt.X("failures:Q", axis=None, scale=alt.Scale(domain=[0, most * 1.12], nice=False))
    base = alt.Chart(alt.Data(values=values)).encode(y=y, yOffset=offset, x=x)
    bars = base.transform_filter("datum.line != 'name'").mark_bar(cornerRadiusEnd=2).encode(color=_weeks(size))
    numbers = base.transform_filter("datum.line != 'name'").mark_text(align="left", dx=6, color=INK)
    names = base.transform_filter("datum.line == 'name'").mark_text(
        align="left", baseline="middle", dy=2, color=INK, fontWeight="bold", limit=limit
    )
    layers = [bars, numbers.encode(text="label:N"), names.encode(text="label:N")]
    return alt.layer(*layers).properties(width=size.width - 12, height=alt.Step(23, **{"for": "offset"}))


def _weeks(size: Size) -> Any:
    return alt.Color(
        "line:N",
        scale=alt.Scale(domain=["now", "before"], range=[ORANGE, PALE]),
        legend=alt.Legend(
            title=None,
            orient="top",
            direction="horizontal",
            labelExpr="datum.label == 'now' ? 'this week' : 'week before'",
            symbolType="square",
            labelFontSize=size.text,
            offset=10,
        ),
    )


def _adoption(adoption: Adoption, size: Size) -> Any:
    last = len(adoption.weeks) - 1
    width, height = size.width - 46, 210 if size.is_wide else 180
    room = 150 if size.is_wide else 84  # pixels for the names
    x = alt.X(
        "place:Q",
        scale=alt.Scale(domain=[-0.15, last * width / (width - room)], nice=False, zero=False),
        title=None,
        axis=_weeks_axis(adoption, size),
    )
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1], nice=False), title=None, axis=_percent_axis())
    colour = alt.Color("colour:N", scale=None)
    rows, names = _adoption_data(adoption, height)
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y, color=colour, detail="name:N")
    lines = [
        base.mark_line(strokeWidth=2),
        base.transform_filter("datum.share != null").mark_point(filled=True, size=36, opacity=1),
    ]
    labels = (
        alt.Chart(alt.Data(values=names))
        .mark_text(align="left", baseline="middle", dx=9, limit=room - 10)
        .encode(x=x, y=y, text="name:N", color=colour)
    )
    return alt.layer(*lines, labels).properties(width=width, height=height)


def _adoption_data(adoption: Adoption, height: int) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """The points of the lines, and where their names stand: beside the last point, pushed apart."""
    rows: list[dict[str, object]] = []
    ends: list[tuple[float, str, str]] = []
    for place, architecture in enumerate(adoption.architectures):
        name, colour = _name(architecture.architecture), (BLUE, INK, GREY)[min(place, 2)]
        for week, found in enumerate(architecture.shares):
            rows.append({"place": week, "share": found.share, "name": f"{place} {name}", "colour": colour})
        ends.append(
            (next((one.share for one in reversed(architecture.shares) if one.share is not None), 0.0), name, colour)
        )
    names: list[dict[str, object]] = []
    floor, apart = 0.03, 16 / height
    ends.sort()
    for place, (share, name, colour) in enumerate(ends):
        left = (len(ends) - 1 - place) * apart  # what the names above still need
        floor = max(floor, min(share, 1 - left))
        names.append({"place": len(adoption.weeks) - 1, "share": floor, "name": name, "colour": colour})
        floor += apart
    return rows, names


def _weeks_axis(adoption: Adoption, size: Size) -> Any:
    labels = {
        str(place): formats.day(week.monday) for place, week in enumerate(adoption.weeks) if size.is_wide or place % 2
    }
    return alt.Axis(
        values=[int(place) for place in labels],
        labelExpr=f"({json.dumps(labels)})[datum.value]",
        labelOverlap=False,
        labelFlush=False,
        grid=False,
        ticks=False,
        labelPadding=8,
    )


def _name(text: str) -> str:
    """A name from outside; measuring the text of a very long one takes seconds."""
    return cut(plain(text))


def _wall(day: date, hour: int) -> str:
    """An hour of a local day as text in UTC; hour 24 is the next day's start."""
    return (datetime.combine(day, datetime.min.time()) + timedelta(hours=hour)).isoformat() + "Z"
