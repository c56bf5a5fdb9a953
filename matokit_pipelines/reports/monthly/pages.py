"""The monthly report as a page, a text, a document of all numbers and a message.

Not here: numbers, sentences and charts, and the short form for mail and Slack (mails.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.reports.formats import aligned, in_words
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.monthly import charts
from matokit_pipelines.reports.monthly.mails import monthly_message
from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.shapes import Findings, MonthlyNumbers
from matokit_pipelines.reports.monthly.words import findings
from matokit_pipelines.reports.rendering import ReportFiles, templates, write_report
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import zone_named


def write_monthly(
    snapshot: Snapshot, month: date, now: datetime, out_dir: Path, links: Links | None = None
) -> ReportFiles:
    """Write the report of the month that begins with `month` under `out_dir`, the folder of all reports.

    `now` is printed as the time of making; `links` lead to dashboards. ValueError when `month` is not the first day of
    one.
    """
    numbers = monthly_numbers(snapshot, month, now)
    known = links or Links.without_settings()
    html, text, document = render_monthly(numbers, known)
    message = monthly_message(numbers, document, text, known)
    return write_report(
        out_dir, "monthly", numbers.period.label, html=html, text=text, document=document, message=message
    )


def render_monthly(numbers: MonthlyNumbers, links: Links) -> tuple[str, str, dict[str, Any]]:
    """`(html, text, document)` of one month."""
    words, zone = findings(numbers), zone_named(numbers.zone)
    document = monthly_document(numbers, words)
    drawn = {
        "heat": charts.heat_map(numbers.segments),
        "adoption": charts.adoption_lines(numbers.adoption),
        "trend": charts.major_panels(numbers.trend),
    }
    page = (
        templates()
        .get_template("monthly.html")
        .render(
            **_context(document, words, Marker(document, zone, html=True), links),
            alt=Marker(document, zone, html=False),
            charts={name: _markup(chart, name) for name, chart in drawn.items()},
        )
    )
    text = (
        templates()
        .get_template("monthly.txt")
        .render(**_context(document, words, Marker(document, zone, html=False), links), aligned=aligned)
    )
    return page, text, document


def monthly_document(numbers: MonthlyNumbers, words: Findings) -> dict[str, Any]:
    """The JSON of one month: every number and sentence of the page. Shares are unrounded, instants in UTC."""
    document: dict[str, Any] = {"report": "monthly", **as_document(numbers)}
    marker = Marker(document, zone_named(numbers.zone), html=False)
    document["findings"] = {
        name: [marker.say(one) for one in value] if isinstance(value, list) else marker.say(value)
        for name, value in as_document(words).items()
    }
    return document


def _markup(chart: charts.Chart | None, name: str) -> dict[str, Markup] | None:
    if chart is None:
        return None
    found = charts.drawn(chart, name)
    return {"wide": Markup(found.wide), "narrow": Markup(found.narrow)}  # noqa: S704 - drawn by us, escaped there


def _context(document: Mapping[str, Any], words: Findings, marker: Marker, links: Links) -> dict[str, Any]:
    return {
        "d": document,
        "words": words,
        "show": marker.show,
        "say": marker.say,
        "dashboard": links.widget("system_compatibility", "os_versions", environment="production", days=30),
        "names": [in_words(one["month"], "month", ZoneInfo("UTC")) for one in document["trend"]["months"]],
        **_apple_silicon(document),
    }


def _apple_silicon(document: Mapping[str, Any]) -> dict[str, Any]:
    """Where the document keeps the share of Apple silicon on Macs, if there were any."""
    for place, row in enumerate(document["adoption"]["macs"]):
        if row["architecture"] == "arm64" and row["last"]["share"] is not None:
            return {"tile": f"adoption.macs.{place}", "apple": row}
    return {"tile": None, "apple": None}
