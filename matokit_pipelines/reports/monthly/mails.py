"""The monthly report as a message: the short form for mail and Slack, with its charts as pictures.

Not here: the look of a mail and what Slack takes (reports/mail.py), the page (pages.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.delivery.messages import Image, Message
from matokit_pipelines.reports.mail import Figure, Part, Table, brief, report_message
from matokit_pipelines.reports.marking import Marker
from matokit_pipelines.reports.monthly import charts
from matokit_pipelines.reports.monthly.shapes import MonthlyNumbers
from matokit_pipelines.reports.monthly.words import findings
from matokit_pipelines.reports.theme import MAIL
from matokit_pipelines.windows import zone_named

ROWS = 6  # of the table of segments; the picture above it holds more
_WORDS = {"worse": "worse, more than chance", "better": "better, more than chance"}


def monthly_message(numbers: MonthlyNumbers, document: Mapping[str, Any], text: str, links: Links) -> Message:
    """The message of one month; `text` is its text twin, complete alone."""
    words = findings(numbers)
    short = Marker(brief(document), zone_named(numbers.zone), html=False)
    return report_message(
        subject=short.say(words.subject),
        over=short.say(
            "System compatibility report, {month|month}: {period.first_day|day} to {period.last_day|day_of_year}, "
            "production"
        ),
        headline=short.say(words.headline),
        text=text,
        figures=_figures(numbers, short) if words.headline_kind != "no_data" else (),
        incomplete=[short.say(one) for one in words.incomplete],
        changes=[short.say(one) for one in words.details],
        parts=_parts(numbers, short),
        page_url=links.report("monthly", numbers.period.label),
        footer=(
            "Installations and machines are estimates. “More than chance” compares first tries of machines.",
            short.say("Data complete to {watermark|instant_of_year}. Times are {zone|text}."),
        ),
    )


def _figures(numbers: MonthlyNumbers, short: Marker) -> list[Figure]:
    totals = numbers.totals
    before = short.say("{totals.before.installations|count} in the 30 days before") if totals.before_is_known else ""
    found = [
        Figure("Installations (estimate)", short.show("totals.last.installations", "count"), before),
        Figure("Success rate", short.show("totals.last.rates.success_rate", "percent"), _change(numbers, short)),
    ]
    for place, row in enumerate(numbers.adoption.macs):
        if row.architecture == "arm64" and row.last.share is not None:
            at = f"adoption.macs.{place}"
            change = short.say(f"{{{at}.change|points}}") if row.change is not None else ""
            return [*found, Figure("Apple silicon on Macs", short.show(f"{at}.last.share", "percent"), change)]
    return [*found, Figure("Machines (estimate)", short.show("totals.last.machines", "count"))]


def _change(numbers: MonthlyNumbers, short: Marker) -> str:
    if numbers.totals.success_rate is None:
        return ""
    word = numbers.totals.verdict
    said = "more than chance" if word in _WORDS else word
    return f"{short.show('totals.success_rate', 'points')}, {said}"


def _parts(numbers: MonthlyNumbers, short: Marker) -> list[Part]:
    words = findings(numbers)
    trend, heat = charts.major_panels(numbers.trend), charts.heat_map(numbers.segments)
    adoption = charts.adoption_lines(numbers.adoption)
    parts = [
        Part(
            short.say(words.deprecation_title),
            lines=[short.say(one) for one in words.recommendations],
        ),
        Part(
            short.say(words.segments_title),
            image=_image("segments", "Success by OS version and architecture", heat),
            table=_segments(numbers, short),
        ),
        Part(
            short.say(words.trend_title), image=_image("versions", "Success and share of OS versions by month", trend)
        ),
        Part(short.say(words.adoption_title), image=_image("adoption", "Share of architectures by week", adoption)),
    ]
    return [part for part in parts if part.image or part.lines or part.table]


def _image(name: str, alt: str, chart: charts.Chart | None) -> Image | None:
    return None if chart is None else Image(f"{name}.png", alt, charts.picture(chart, MAIL))


def _segments(numbers: MonthlyNumbers, short: Marker) -> Table | None:
    rows = []
    for place, row in enumerate(numbers.segments.rows[:ROWS]):
        at = f"segments.rows.{place}"
        system = short.say(f"{{{at}.os_release|text}}") + "\n" + short.say(f"{{{at}.architecture|text}}")
        rate = short.show(f"{at}.rates.success_rate", "percent")
        change = short.show(f"{at}.success_rate", "points")
        said = change if row.success_rate is None else f"{change}\n{_WORDS.get(row.verdict, row.verdict)}"
        installed = short.show(f"{at}.installations", "count")
        rows.append((system, installed, short.show(f"{at}.rates.events", "count"), rate, said))
    head = ("System", "Installations", "Events", "Success", "Change")
    left = numbers.segments.count - len(rows)
    return Table(head, rows, more=left) if rows else None
