"""The numbers of one dashboard page: rows and finding of each widget with the filters that nobody chose, the facts of
its controls and what is known of its data, as one document.

Not here: drawing and writing (pages.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from matokit_pipelines.reports.comparison import keys_are_shared
from matokit_pipelines.reports.completeness import incomplete
from matokit_pipelines.reports.dashboards.bounds import bounded
from matokit_pipelines.reports.dashboards.facts import facts
from matokit_pipelines.reports.dashboards.widgets import ENVIRONMENT, Widget, numbers
from matokit_pipelines.reports.dashboards.words import finding
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.quality import quality
from matokit_pipelines.reports.shapes import Period, Quality, period_of
from matokit_pipelines.statistics import rate
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import ONE_DAY, zone_named

DAYS = 30  # of the period that a page is about when nobody chooses one


@dataclass(frozen=True)
class Head:
    """What a page says about itself and its data. `largest_machine_week`: the Monday of the week, the last complete
    one, in which the largest machine key was looked for; None without one."""

    dashboard: str
    title: str
    zone: str
    now: datetime
    watermark: datetime | None
    generation: int
    published_at: datetime
    code_version: str
    rule_version: str
    last_day: date | None
    period: Period
    before: Period
    largest_machine_week: date | None
    quality: Quality


def dashboard_document(snapshot: Snapshot, widgets: Mapping[str, Widget], now: datetime) -> dict[str, Any]:
    """The JSON of one page, with every number on it; `widgets`: those of one dashboard.

    Shares are unrounded, days ISO text of the project's zone, instants in UTC. `facts`: what the controls count with.
    """
    head = _head(snapshot, next(iter(widgets.values())), now)
    document: dict[str, Any] = {"report": "dashboard", **as_document(head)}
    document["sentences"] = list(incomplete(head))
    document["widgets"] = {name: _widget(snapshot, widget) for name, widget in widgets.items()}
    document["facts"] = facts(snapshot, head.dashboard, zone=head.zone)
    marker = Marker(document, zone_named(head.zone), html=False)
    document["incomplete"] = [marker.say(one) for one in document["sentences"]]
    return document


def _widget(snapshot: Snapshot, widget: Widget) -> dict[str, Any]:
    rows = as_document(numbers(snapshot, widget).to_dicts())
    parts = {part: as_document(numbers(snapshot, widget, part=part).to_dicts()) for part in widget.parts}
    found = finding(widget.name, rows, parts)
    shown = bounded(widget.name, rows, parts)
    return {
        "number": widget.number,
        "title": widget.title,
        "days": widget.days,
        "environment": ENVIRONMENT if widget.has_environment else None,
        "finding": as_document(found),
        "rows": shown.rows,
        "parts": shown.parts,
        "others": shown.others,
    }


def _head(snapshot: Snapshot, widget: Widget, now: datetime) -> Head:
    manifest = snapshot.manifest
    zone = zone_named(manifest.project_zone)
    last_day: date | None = snapshot.query("select last_complete_day from project_day").item()
    last = last_day or now.astimezone(zone).date() - ONE_DAY
    first = last - timedelta(days=DAYS - 1)
    period = period_of(f"{DAYS} days", first, last, manifest.project_zone)
    before = period_of(f"{DAYS} days before", first - timedelta(days=DAYS), first - ONE_DAY, manifest.project_zone)
    week, largest, events = _largest_machine(snapshot, last)
    known = quality(
        snapshot, period, before, largest_machine_events=largest, shared_keys=keys_are_shared(largest, events)
    )
    return Head(
        dashboard=widget.dashboard,
        title=widget.dashboard_title,
        zone=manifest.project_zone,
        now=now,
        watermark=manifest.watermark,
        generation=manifest.generation,
        published_at=manifest.published_at,
        code_version=manifest.code_version,
        rule_version=manifest.rule_version,
        last_day=last_day,
        period=period,
        before=before,
        largest_machine_week=week,
        quality=replace(known, largest_machine=rate(largest, events)),
    )


def _largest_machine(snapshot: Snapshot, last: date) -> tuple[date | None, int, int]:
    """`(Monday, events of the largest machine key, all events)` of the last complete week with production events."""
    rows = snapshot.query(
        """
        select week_start, largest_machine_events, events
        from component_weekly
        where environment = $environment
          and component = 'all'
          and architecture = 'all'
          and events > 0
          and week_start <= $latest
        order by week_start desc
        limit 1
        """,
        {"environment": ENVIRONMENT, "latest": last - timedelta(days=6)},
    )
    return rows.row(0) if len(rows) else (None, 0, 0)
