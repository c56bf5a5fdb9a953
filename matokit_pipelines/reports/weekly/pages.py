"""The weekly summary as a page, a text, a document of all numbers and a message.

Not here: numbers, sentences and charts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.period import AlertsOfPeriod
from matokit_pipelines.reports.formats import aligned
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.rendering import ReportFiles, templates, write_report
from matokit_pipelines.reports.theme import Drawn
from matokit_pipelines.reports.weekly import charts
from matokit_pipelines.reports.weekly.alert_words import ENDED, tries_of
from matokit_pipelines.reports.weekly.message import weekly_message
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.reports.weekly.shapes import Findings, WeeklyNumbers
from matokit_pipelines.reports.weekly.words import findings
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import zone_named


def write_weekly(
    snapshot: Snapshot,
    monday: date,
    now: datetime,
    out_dir: Path,
    links: Links | None = None,
    alerts: AlertsOfPeriod | None = None,
) -> ReportFiles:
    """Write the summary of the ISO week of `monday` under `out_dir`, the folder of all reports.

    `now` is printed as the time of making; `links` lead to changes and pages; `alerts` are those of the week, None
    where alerts are off. ValueError when `monday` is not a Monday.
    """
    numbers = weekly_numbers(snapshot, monday, now, alerts)
    known = links or Links.without_settings()
    html, text, document = render_weekly(numbers, known)
    message = weekly_message(numbers, document, text, known)
    return write_report(
        out_dir, "weekly", numbers.period.label, html=html, text=text, document=document, message=message
    )


def render_weekly(numbers: WeeklyNumbers, links: Links) -> tuple[str, str, dict[str, Any]]:
    """`(html, text, document)` of one week."""
    document, words = weekly_document(numbers), findings(numbers)
    zone = zone_named(numbers.zone)
    failing, adoption = numbers.failing.rows, numbers.adoption
    page = (
        templates()
        .get_template("weekly.html")
        .render(
            **_context(document, words, Marker(document, zone, html=True), links),
            alt=Marker(document, zone, html=False),
            trend=_shown(charts.success_trend(numbers.days, numbers.deployments, zone)),
            failing=_shown(charts.failing_components(failing)) if failing else None,
            adoption=_shown(charts.shares_by_week(adoption)) if adoption.architectures else None,
        )
    )
    text = (
        templates()
        .get_template("weekly.txt")
        .render(**_context(document, words, Marker(document, zone, html=False), links), aligned=aligned)
    )
    return page, text, document


def weekly_document(numbers: WeeklyNumbers) -> dict[str, Any]:
    """The JSON of one week: every number and sentence of the page. Shares are unrounded, instants in UTC."""
    document: dict[str, Any] = {"report": "weekly", **as_document(numbers)}
    marker = Marker(document, zone_named(numbers.zone), html=False)
    said = as_document(findings(numbers))
    document["findings"] = {
        name: [marker.say(one) for one in value] if isinstance(value, list) else value and marker.say(value)
        for name, value in said.items()
    }
    return document


def _context(document: Mapping[str, Any], words: Findings, marker: Marker, links: Links) -> dict[str, Any]:
    return {
        "d": document,
        "words": words,
        "show": marker.show,
        "say": marker.say,
        "ended": ENDED,
        "tries_of": lambda row: tries_of(row["rule"], row["events"]),
        "changes": lambda row: links.compare(row["predecessor_sha"], row["commit_sha"]),
    }


def _shown(chart: Drawn) -> dict[str, Markup]:
    """A chart for the template: drawn by us, escaped there."""
    return {"wide": Markup(chart.wide), "narrow": Markup(chart.narrow)}  # noqa: S704
