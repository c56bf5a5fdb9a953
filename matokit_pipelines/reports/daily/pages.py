"""The daily component health report as a page, a text, a document of all numbers and a message.

Not here: numbers, sentences, charts and the short form for mail (message.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from matokit_pipelines.alerts.content.links import Links, is_web
from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.reports.daily import charts
from matokit_pipelines.reports.daily.message import daily_message
from matokit_pipelines.reports.daily.numbers import LISTED_PERCENT, daily_numbers, window_end
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Findings
from matokit_pipelines.reports.daily.standing import standing_in
from matokit_pipelines.reports.daily.words import findings
from matokit_pipelines.reports.formats import aligned
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.rendering import ReportFiles, templates, write_report
from matokit_pipelines.warehouse.health_reading import health_reading
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import local_date, zone_named


def write_daily(
    home: Home, day: date, now: datetime, out_dir: Path, links: Links | None = None
) -> tuple[ReportFiles, datetime | None]:
    """Write the report of the morning of `day` under `out_dir`, the folder of all reports; gives its files and up to
    where the data behind it are complete, UTC.

    Never waits for data. WarehouseError without a warehouse, NothingPublished while what landed is not derived and
    nothing was published.
    """
    numbers = numbers_of(home, day, now)
    links = links or Links.of(home.loaded)
    html, text, document = render_daily(numbers, links)
    message = daily_message(numbers, document, text, links)
    label = numbers.period.label
    files = write_report(out_dir, "daily", label, html=html, text=text, document=document, message=message)
    return files, numbers.watermark


def numbers_of(home: Home, day: date, now: datetime) -> DailyNumbers:
    """The numbers of the morning of `day`, from the warehouse and the store of a home."""
    settings = home.loaded.settings
    with health_reading(home.warehouse) as reading:
        mark = reading.watermark
        if not reading.is_derived:  # what landed last is not in the tables yet
            with open_current(home.loaded.home) as snapshot:
                mark = snapshot.manifest.watermark
        until = window_end(day, mark, settings.alerts, settings.project.zone)
        standing = standing_in(home.loaded.home, until or now)
        return daily_numbers(reading, day, now, mark, settings.alerts, settings.project.zone, standing)


def render_daily(numbers: DailyNumbers, links: Links) -> tuple[str, str, dict[str, Any]]:
    """`(html, text, document)` of one morning."""
    document, words = daily_document(numbers), findings(numbers)
    zone = zone_named(numbers.zone)
    page = (
        templates()
        .get_template("daily.html")
        .render(
            **_context(document, words, Marker(document, zone, html=True), links),
            alt=Marker(document, zone, html=False),
            **_drawn(numbers),
        )
    )
    text = (
        templates()
        .get_template("daily.txt")
        .render(**_context(document, words, Marker(document, zone, html=False), links), aligned=aligned)
    )
    return page, text, document


def daily_document(numbers: DailyNumbers) -> dict[str, Any]:
    """The JSON of one morning: every number and sentence of the page. Shares are unrounded, instants in UTC."""
    document: dict[str, Any] = {"report": "daily", **as_document(numbers)}
    for trigger, one in zip(document["triggers"], numbers.triggers, strict=True):
        trigger["is_sure"] = one.is_sure
    say = Marker(document, zone_named(numbers.zone), html=False).say
    document["findings"] = _said(as_document(findings(numbers)), say)
    return document


def _said(value: Any, say: Callable[[str], str]) -> Any:
    """Sentences with their values in place, however deep they lie."""
    if isinstance(value, Mapping):
        return {name: _said(one, say) for name, one in value.items()}
    return [_said(one, say) for one in value] if isinstance(value, list) else say(value)


def _drawn(numbers: DailyNumbers) -> dict[str, Any]:
    """The charts, drawn by us and escaped there."""
    zone = zone_named(numbers.zone)
    rows = [one.row for one in numbers.components if not one.row.counts.small][: charts.IN_CHART]
    trends = []
    for place, one in enumerate(numbers.components):
        days = [local_date(stretch.start, zone) for stretch in one.trend]
        trends.append(Markup(charts.trend(one.trend, days, f"trend-{place}")))  # noqa: S704
    drawn = charts.rates(rows) if len(rows) > 1 else None
    return {
        "rates": drawn and {"wide": Markup(drawn.wide), "narrow": Markup(drawn.narrow)},  # noqa: S704
        "rates_more": sum(1 for one in numbers.components if not one.row.counts.small) - len(rows),
        "trends": trends,
    }


def _context(document: Mapping[str, Any], words: Findings, marker: Marker, links: Links) -> dict[str, Any]:
    runbooks = {rule: links.runbook(rule) for rule in RULE_NAMES}
    return {
        "d": document,
        "words": words,
        "show": marker.show,
        "say": marker.say,
        "listed_percent": LISTED_PERCENT,
        "rule_names": RULE_NAMES,
        "changes": lambda commit: links.compare(commit["previous"], commit["commit_sha"]),
        "runbook": lambda rules: runbooks[next(iter(rules), "component_failure_rate")],
        "is_web": is_web,
    }
