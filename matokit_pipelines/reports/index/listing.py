"""Which reports and dashboards lie in a home, by their files. What is damaged is listed and never stops the page.

Not here: what a report says beyond its headline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matokit_pipelines.reports.dashboards.widgets import Widget, load_widgets
from matokit_pipelines.reports.index.shapes import Dashboard, ReportEntry, ReportKind, WidgetEntry

LISTED = 400  # of each kind: more than a year of daily reports
LONGEST = 300  # letters of a headline
KINDS = (
    ("weekly", "Weekly operations summaries", "Mondays, for the development team", re.compile(r"\d{4}-W\d{2}")),
    ("daily", "Daily component health", "each morning, for who is on call", re.compile(r"\d{4}-\d{2}-\d{2}")),
    ("monthly", "Monthly system compatibility", "once a month, for the product team", re.compile(r"\d{4}-\d{2}")),
)


def reports(home: Path) -> tuple[ReportKind, ...]:
    """The reports under `<home>/reports`, newest period first."""
    return tuple(_kind(home / "reports" / kind, kind, title, when, form) for kind, title, when, form in KINDS)


def dashboards(home: Path) -> tuple[Dashboard, ...]:
    """The four dashboards, made or not, in the order of their pages."""
    widgets = load_widgets().values()
    found = []
    for name in dict.fromkeys(widget.dashboard for widget in widgets):
        page = home / "dashboards" / f"{name}.html"
        of = [widget for widget in widgets if widget.dashboard == name]
        made_at = instant_in(_document(page.with_suffix(".json")).get("now")) if page.is_file() else None
        found.append(Dashboard(name, of[0].dashboard_title, page.is_file(), made_at, tuple(_widgets(of))))
    return tuple(found)


def _widgets(of: list[Widget]) -> Iterator[WidgetEntry]:
    for widget in of:
        yield WidgetEntry(widget.name, widget.title)


def _kind(folder: Path, kind: str, title: str, when: str, form: re.Pattern[str]) -> ReportKind:
    pages = folder.glob("*.html") if folder.is_dir() else ()
    periods = sorted((page.stem for page in pages if form.fullmatch(page.stem)), reverse=True)
    entries = tuple(_entry(folder / f"{period}.json", period) for period in periods[:LISTED])
    return ReportKind(kind, title, when, entries, len(periods) - len(entries))


def _entry(file: Path, period: str) -> ReportEntry:
    document = _document(file)
    findings = document.get("findings")
    said = findings if isinstance(findings, dict) else {}
    headline, incomplete = said.get("headline"), said.get("incomplete")
    return ReportEntry(
        period,
        _cut(headline) if isinstance(headline, str) and headline.strip() else None,
        instant_in(document.get("now")),
        bool(incomplete) if isinstance(incomplete, list) else None,
    )


def _document(file: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing when it is missing, damaged or something else than an object."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def instant_in(value: object) -> datetime | None:
    """An instant as the documents write it; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found and found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _cut(headline: str) -> str:
    return headline if len(headline) <= LONGEST else f"{headline[: LONGEST - 1].rstrip()}…"
