"""The four dashboards as pages: each one file that holds its charts' program, its numbers and its controls.

Without scripts the page shows the default view: tables, findings and charts as pictures. Not here: numbers
(numbers.py), columns (tables.py), charts (specs.py) and sentences (words.py).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import vl_convert
from markupsafe import Markup

from matokit_pipelines import resources
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.reports import formats
from matokit_pipelines.reports.dashboards import specs
from matokit_pipelines.reports.dashboards.cells import Cells, View
from matokit_pipelines.reports.dashboards.csv_files import csv_name, write_csvs
from matokit_pipelines.reports.dashboards.facts import packed, script
from matokit_pipelines.reports.dashboards.numbers import DAYS, dashboard_document
from matokit_pipelines.reports.dashboards.tables import TABLES, TILE
from matokit_pipelines.reports.dashboards.widgets import ENVIRONMENT, Widget, load_widgets
from matokit_pipelines.reports.dashboards.words import COUNTED, SENTENCES
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.rendering import templates, write_whole
from matokit_pipelines.reports.theme import VEGA_LITE
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import zone_named

SHOWING = ("formats.js", "findings.js", "drawing.js", "controls.js")  # after those that count
BROAD = ("ci_comparison", "test_environments")  # cards over both columns
SCOPES = {
    "daily_volume": "all environments",
    "environments": "all environments",
    "commit_table": "production",
    "version_rollback": "production",
    "ci_comparison": "production and CI",
    "test_environments": "all environments",
}
FILTERED = {
    "commit_table": "first and last seen, and the judgement, are over all systems",
    "ci_comparison": "a judgement is made over all systems only",
}
NOTES = {
    "daily_volume": "Environments without events in this period have no line.",
    "architecture_success": "Bars are events, points success rates with their 95 % intervals; grey has fewer than 10.",
    "component_trends": "Points grow with the events of the day; grey ones have fewer than 10. The line is at 75 %.",
    "component_matrix": "Dark is low success. Grey cells have fewer than 10 events, blank ones none.",
    "version_rollback": "Dashed: from this day on another commit has most events; orange where it is the older one.",
    "problematic_components": "Error types are guesses from the text of a failing command.",
}
_ALT = "{form}: {finding}. The numbers are in the table of this card."
_FORMS = {"tile": "Tile", "line": "Line chart", "ring": "Ring chart", "bar": "Bar chart"}
_FORMS |= {"combo": "Bars and points", "heat_map": "Heat map", "table": "Table"}


@dataclass(frozen=True)
class Card:
    """What the template shows of one widget."""

    widget: Widget
    finding: Markup
    shown: Markup
    alt: str
    views: tuple[View, ...]
    tile: tuple[tuple[str, Markup], ...]
    pictures: Mapping[str, str]
    has_chart: bool
    is_ring: bool
    is_wide: bool
    note: str
    others: int
    definition: str
    queries: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]


def write_dashboards(snapshot: Snapshot, now: datetime, out_dir: Path, links: Links | None = None) -> tuple[Path, ...]:
    """Write the four pages into `out_dir`, the folder "dashboards", each with its JSON and a folder of CSV files.

    `now` is printed as the time of making; `links` lead to commits. A page is replaced atomically, its JSON after it.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    pages = []
    by_page = groupby(load_widgets().items(), key=lambda item: item[1].dashboard)
    for name, widgets in by_page:
        document = dashboard_document(snapshot, dict(widgets), now)
        write_csvs(snapshot, name, out_dir / name)
        page = out_dir / f"{name}.html"
        write_whole(page, render_dashboard(document, links or Links.without_settings()))
        write_whole(page.with_suffix(".json"), json.dumps(document, ensure_ascii=False) + "\n")
        pages.append(page)
    return tuple(pages)


def render_dashboard(document: dict[str, Any], links: Links) -> str:
    """The page of one document (numbers.py)."""
    zone = zone_named(document["zone"])
    marker = Marker(document, zone, html=True)
    widgets = {name: one for name, one in load_widgets().items() if one.dashboard == document["dashboard"]}
    options = _options(document, widgets)
    commits = f"{links.repository_url}/commit/" if links.repository_url else ""
    template = templates().get_template("dashboard.html")
    return template.render(
        d=document,
        show=marker.show,
        say=marker.say,
        options=options,
        cards=[_card(document, widget, marker, zone, commits) for widget in widgets.values()],
        page_json=_in_script(_page(document, widgets, options, commits)),
        facts=packed(document["facts"]),
        bundle=Markup(_bundle()),  # noqa: S704 - the charts' program, from its package
        script=_scripts(),
    )


def _card(document: Mapping[str, Any], widget: Widget, marker: Marker, zone: ZoneInfo, commits: str) -> Card:
    numbers = document["widgets"][widget.name]
    at = f"widgets.{widget.name}"
    rows, parts = numbers["rows"], numbers["parts"]
    cells = Cells(at, zone, commits, parts)
    finding = cells.say(numbers["finding"]["sentence"], numbers["finding"]["values"], f"{at}.finding.values")
    drawing = specs.drawings().get(widget.name)
    some = bool(numbers["finding"]["counted"])
    queries = {widget.name: widget.sql} | {f"{widget.name}.{part}": sql for part, sql in widget.parts.items()}
    return Card(
        widget=widget,
        finding=finding,
        shown=_shown(document, widget, marker),
        alt=_ALT.replace("{form}", _FORMS[widget.chart]).replace("{finding}", finding.striptags()),
        views=tuple(cells.view(table, parts[table.part] if table.part else rows) for table in TABLES[widget.name]),
        tile=cells.tile(TILE, rows[0]) if widget.chart == "tile" else (),
        pictures=_pictures(drawing, rows, parts, zone) if drawing and some else {},
        has_chart=drawing is not None,
        is_ring=drawing is not None and drawing.ring,
        is_wide=widget.name in BROAD,
        note=NOTES.get(widget.name, ""),
        others=numbers["others"],
        definition=_definition(widget.sql),
        queries=tuple((name, _without_definition(sql)) for name, sql in queries.items()),
        files=(
            (csv_name(widget), "CSV of the default view"),
            *((csv_name(widget, part), f"CSV of its {part}") for part in widget.parts),
        ),
    )


def _shown(document: Mapping[str, Any], widget: Widget, marker: Marker) -> Markup:
    """The line below a title: what is chosen, the days, and the events behind it."""
    how, at = COUNTED[widget.name], f"widgets.{widget.name}"
    counted = document["widgets"][widget.name]["finding"]["counted"]
    parts = [
        SCOPES.get(widget.name, ENVIRONMENT),
        _days_in_words(document["last_day"], widget.days),
        "all architectures",
        "all OS versions",
        f"{{{at}.finding.counted|count}}{formats.SPACE}{how['noun']}{'' if counted == 1 else 's'}",
    ]
    return Markup(marker.say(" · ".join(parts)))  # noqa: S704 - marked up there


def _days_in_words(last_day: str | None, days: int) -> str:
    if last_day is None:
        return f"{days}{formats.SPACE}days"
    last = date.fromisoformat(last_day)
    first = last - timedelta(days=days - 1)
    return f"{days}{formats.SPACE}days, {formats.day(first)} to {formats.day_of_year(last)}"


def _pictures(drawing: specs.Drawing, rows: Any, parts: Any, zone: ZoneInfo) -> dict[str, str]:
    """The chart as SVG in data addresses, for readers without scripts."""
    sizes = {"column": specs.RING} if drawing.ring else {"column": specs.COLUMN, "phone": specs.PHONE}
    drawn = {name: specs.drawn(drawing, rows, parts.get("changes", ()), zone, size) for name, size in sizes.items()}
    return {name: "data:image/svg+xml;base64," + b64encode(svg.encode()).decode() for name, svg in drawn.items()} | (
        {"phone": ""} if drawing.ring else {}
    )


def _options(document: Mapping[str, Any], widgets: Mapping[str, Widget]) -> dict[str, Any]:
    """What the controls offer, and where they stand when nobody chose."""
    names, days = document["facts"]["names"], sorted({widget.days for widget in widgets.values()})
    mixed = len(days) > 1
    other = ", ".join(f"{widget.number}: {widget.days} days" for widget in widgets.values() if widget.days != DAYS)
    windows = [
        (str(window), f"{window} days{', all four' if mixed and window == DAYS else ''}")
        for window in document["facts"]["windows"]
    ]
    releases = dict.fromkeys(one["release"] for one in names["os"])
    return {
        "has_environment": any(widget.has_environment for widget in widgets.values()),
        "defaults": {
            "environment": ENVIRONMENT,
            "days": "" if mixed else str(DAYS),
            "architecture": "all",
            "os": "all",
        },
        "periods": [("", f"{DAYS} days"), *windows] if mixed else windows,
        "days_default": f"{DAYS} days ({other})" if mixed else f"{DAYS} days",
        "offered": {
            "environment": sorted({ENVIRONMENT, *names["environment"]}),
            "days": [*([""] if mixed else []), *(value for value, _ in windows)],
            "architecture": ["all", *names["architecture"]],
            "os": ["all", *releases],
        },
        "labels": {"environment": "Environment", "days": "Period", "architecture": "Architecture", "os": "OS version"},
    }


def _page(
    document: Mapping[str, Any], widgets: Mapping[str, Widget], options: Mapping[str, Any], commits: str
) -> dict[str, Any]:
    """What the scripts of the page are told."""
    drawings = specs.drawings()
    return {
        "dashboard": document["dashboard"],
        "zone": document["zone"],
        "commit_url": commits,
        "alt": _ALT,
        "most_cells": specs.MOST_CELLS,
        **options,
        "widgets": [
            {
                "name": name,
                "days": widget.days,
                "form": _FORMS[widget.chart],
                "scope": SCOPES.get(name, ""),
                "filtered": FILTERED.get(name, ""),
                "sentences": SENTENCES[name],
                "counted": COUNTED[name],
                "tables": [as_document(asdict(table)) for table in TABLES[name]],
                "tile": [asdict(line) for line in TILE] if widget.chart == "tile" else [],
                "drawing": asdict(drawings[name]) if name in drawings else None,
            }
            for name, widget in widgets.items()
        ],
    }


def _definition(sql: str) -> str:
    """The comment at the head of a query, in one paragraph."""
    head = re.match(r"(?:--[^\n]*\n)+", sql)
    return " ".join(line.removeprefix("--").strip() for line in head[0].splitlines()) if head else ""


def _without_definition(sql: str) -> str:
    return re.sub(r"\A(?:--[^\n]*\n)+", "", sql).strip()


def _in_script(value: object) -> Markup:
    """JSON that no name can end the script element with."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def _scripts() -> Markup:
    folder = resources.path("report_templates") / "dashboards"
    showing = [(folder / name).read_text(encoding="utf-8") for name in SHOWING]
    return Markup("\n".join([script(), *showing]))  # noqa: S704 - our own files


@cache
def _bundle() -> str:
    """Vega-Embed with Vega and Vega-Lite as one script, which puts `vegaEmbed` on the window. Some seconds, once."""
    program: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
    return program.replace("</script", "<\\/script")
