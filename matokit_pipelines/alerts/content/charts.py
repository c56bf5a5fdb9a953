"""The timeline of an alert as a picture: events and failures by time, the start marked. Drawn without any request.

The drawing program is given its description as it is, without the library that the reports write it with: a pass that
tells of an alert is short, and loading that library would take longer than all else. Not here: which events are
shown (evidence.py).
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.evidence import Facts, Slot
from matokit_pipelines.delivery.messages import Image

FAILED = "#b4561a"  # told from the other by lightness as well, so also without seeing colours
SUCCEEDED = "#c3cad3"
INK = "#1d2530"
GREY = "#5a6572"
LINES = "#e6e9ed"
# The drawing program carries Liberation Sans; a list of missing fonts alone would give a picture without text.
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, HEIGHT, SCALE = 480, 150, 2.5
_VEGA_LITE = "6.4"
_NAME = "timeline.png"


def timeline(facts: Facts, started_at: datetime, zone: ZoneInfo) -> Image | None:
    """Bars of failures and successes with the start marked, a PNG on white; None where there is nothing to draw."""
    if not any(slot.events for slot in facts.slots):
        return None
    import vl_convert  # takes a while to load; only a message with a picture needs it

    spec = json.dumps(_spec(facts, started_at, zone))
    png = vl_convert.vegalite_to_png(spec, vl_version=_VEGA_LITE, scale=SCALE, allowed_base_urls=[])
    return Image(_NAME, _alt(facts, started_at, zone), bytes(png))


def length_in_words(length: timedelta) -> str:
    """`30 minutes`, `hour`, `3 hours`, `day`: what one bar holds."""
    minutes = int(length.total_seconds() // 60)
    if minutes == 1440:
        return "day"
    if minutes == 60:
        return "hour"
    return f"{minutes // 60} hours" if minutes > 60 else f"{minutes} minutes"


def _alt(facts: Facts, started_at: datetime, zone: ZoneInfo) -> str:
    slots, most = facts.slots, max(facts.slots, key=lambda slot: (slot.failures, slot.start))
    until = min(slots[-1].start + facts.slot_length, facts.scope.chart.end)
    begin, end = (wording.day_and_clock(at, zone) for at in (slots[0].start, until))
    worst = (
        f"most failures, {most.failures:,} of {most.events:,} events, from {wording.day_and_clock(most.start, zone)}"
        if most.failures
        else "no failure"
    )
    start = f"; the start, {wording.day_and_clock(started_at, zone)}, is marked" if _place(facts, started_at) else ""
    return f"Events and failures by {length_in_words(facts.slot_length)} from {begin} to {end}: {worst}{start}."


def _spec(facts: Facts, started_at: datetime, zone: ZoneInfo) -> dict[str, object]:
    bars = [
        {"at": place + 0.5, "kind": kind, "number": number}
        for place, slot in enumerate(facts.slots)
        for kind, number in (("failed", slot.failures), ("succeeded", slot.events - slot.failures))
    ]
    ticks = _ticks(facts.slots, facts.slot_length, zone)
    x = {
        "field": "at", "type": "quantitative", "title": None,
        "scale": {"domain": [0, len(facts.slots)], "nice": False, "zero": False},
        "axis": {"values": [float(place) for place in ticks], "labelExpr": f"({json.dumps(ticks)})[datum.value]",
                 "grid": False, "labelOverlap": "greedy", "tickColor": GREY, "domainColor": GREY},
    }  # fmt: skip
    y = {
        "field": "number", "type": "quantitative", "title": None, "stack": True,
        "scale": {"domainMax": 1.18 * max(slot.events for slot in facts.slots), "nice": False},
        "axis": {"tickCount": 4, "tickMinStep": 1, "domain": False, "ticks": False, "format": ",d"},
    }  # fmt: skip
    color = {
        "field": "kind", "type": "nominal", "title": None,
        "scale": {"domain": ["failed", "succeeded"], "range": [FAILED, SUCCEEDED]},
        "legend": {"orient": "top", "direction": "horizontal", "symbolType": "square", "labelExpr": _legend(facts)},
    }  # fmt: skip
    layers: list[dict[str, object]] = [
        {
            "mark": {"type": "bar", "size": max(2.0, 0.78 * (WIDTH - 50) / len(facts.slots))},
            "encoding": {
                "x": x, "y": y, "color": color,
                "order": {"field": "kind", "type": "nominal", "sort": "ascending"},
            },
        }
    ]  # fmt: skip
    layers += _start(facts, started_at, zone)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH - 50, "height": HEIGHT, "background": "white", "padding": 8,
        "data": {"values": bars}, "layer": layers,
        "config": {
            "font": FONT, "view": {"stroke": None},
            "axis": {"labelFontSize": 13, "labelColor": GREY, "gridColor": LINES, "labelLimit": 0},
            "legend": {"labelFontSize": 13, "labelColor": INK, "labelLimit": 0},
            "text": {"fontSize": 13},
        },
    }  # fmt: skip


def _legend(facts: Facts) -> str:
    return f"datum.label == 'failed' ? 'failed' : 'succeeded, by {length_in_words(facts.slot_length)}'"


def _start(facts: Facts, started_at: datetime, zone: ZoneInfo) -> list[dict[str, object]]:
    place = _place(facts, started_at)
    if place is None:
        return []
    right = place > 0.75 * len(facts.slots)
    data = {"values": [{"at": place, "label": f"start {started_at.astimezone(zone):%H:%M}"}]}
    x = {"field": "at", "type": "quantitative"}
    rule = {"type": "rule", "color": INK, "strokeDash": [4, 3], "strokeWidth": 1.5}
    text = {"type": "text", "color": INK, "align": "right" if right else "left", "baseline": "top",
            "dx": -5 if right else 5, "fontWeight": "bold"}  # fmt: skip
    return [
        {"data": data, "mark": rule, "encoding": {"x": x}},
        {"data": data, "mark": text, "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "label"}}},
    ]


def _place(facts: Facts, at: datetime) -> float | None:
    """Where an instant lies, in bars from the left; None when it lies outside."""
    place = (at - facts.slots[0].start) / facts.slot_length
    return place if 0 < place <= len(facts.slots) else None


def _ticks(slots: tuple[Slot, ...], length: timedelta, zone: ZoneInfo) -> dict[str, str]:
    """Place of a label, as the drawing program writes numbers -> label: midnights by their day, and hours between."""
    hours = len(slots) * length.total_seconds() / 3600
    step = 6 if hours <= 48 else 12 if hours <= 96 else 24
    every = max(1, round(hours / 24 / 7))
    found: list[tuple[float, str]] = []
    midnights = 0
    quarter = timedelta(minutes=15)
    at = slots[0].start - timedelta(seconds=slots[0].start.timestamp() % quarter.total_seconds())
    while at <= slots[-1].start + length:
        local, place = at.astimezone(zone), (at - slots[0].start) / length
        at += quarter
        if local.minute or local.hour % step or not 0 <= place <= len(slots):
            continue
        midnights += local.hour == 0
        if local.hour:
            found.append((place, f"{local:%H:%M}"))
        elif midnights % every == 0:
            found.append((place, wording.day(local, zone)))
    return {f"{place:g}": label for place, label in found}
