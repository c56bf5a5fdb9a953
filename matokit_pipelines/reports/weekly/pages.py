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
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.formats import aligned
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.rendering import ReportFiles, templates, write_report
from matokit_pipelines.reports.weekly import charts
from matokit_pipelines.reports.weekly.numbers import weekly_numbers
from matokit_pipelines.reports.weekly.shapes import Findings, WeeklyNumbers
from matokit_pipelines.reports.weekly.words import findings
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import zone_named


def write_weekly(
    snapshot: Snapshot, monday: date, now: datetime, out_dir: Path, links: Links | None = None
) -> ReportFiles:
    """Write the summary of the ISO week of `monday` under `out_dir`, the folder of all reports.

    `now` is printed as the time of making; `links` lead to changes and pages. ValueError when `monday` is not a Monday.
    """
    numbers = weekly_numbers(snapshot, monday, now)
    html, text, document = render_weekly(numbers, links or Links.without_settings())
    message = Message(document["findings"]["headline"], text)
    return write_report(
        out_dir, "weekly", numbers.period.label, html=html, text=text, document=document, message=message
    )


def render_weekly(numbers: WeeklyNumbers, links: Links) -> tuple[str, str, dict[str, Any]]:
    """`(html, text, document)` of one week."""
    document, words = weekly_document(numbers), findings(numbers)
    zone = zone_named(numbers.zone)
    trend = charts.success_trend(numbers.days, numbers.deployments, zone)
    failing = charts.failing_components(numbers.failing.rows) if numbers.failing.rows else None
    page = (
        templates()
        .get_template("weekly.html")
        .render(
            **_context(document, words, Marker(document, zone, html=True), links),
            alt=Marker(document, zone, html=False),
            trend={"wide": Markup(trend.wide), "narrow": Markup(trend.narrow)},  # noqa: S704 - drawn by us, escaped there
            failing=failing and {"wide": Markup(failing.wide), "narrow": Markup(failing.narrow)},  # noqa: S704
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
        name: [marker.say(one) for one in value] if isinstance(value, list) else marker.say(value)
        for name, value in said.items()
    }
    return document


def _context(document: Mapping[str, Any], words: Findings, marker: Marker, links: Links) -> dict[str, Any]:
    return {
        "d": document,
        "words": words,
        "show": marker.show,
        "say": marker.say,
        "changes": lambda row: links.compare(next(iter(row["against"]), None), row["commit_sha"]),
    }
