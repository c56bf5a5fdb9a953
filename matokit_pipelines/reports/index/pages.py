"""The index page and its JSON, `index.html` and `index.json` of a home. Static and without any script, so that any
web server, a bucket or a disk can host it.

Not here: numbers and sentences; putting the pages elsewhere (site.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from matokit_pipelines.alerts.content.links import ALERT_DAYS, Links, is_web
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.reports.index.numbers import index_numbers
from matokit_pipelines.reports.index.shapes import IndexNumbers
from matokit_pipelines.reports.index.words import findings
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.rendering import as_json, templates, write_whole
from matokit_pipelines.settings import Loaded
from matokit_pipelines.windows import zone_named

SHOWN = 5  # reports of a kind before the reader has to unfold the older ones
# What each dashboard answers, under its title.
ANSWERS = {
    "installation_health": "Does it install? How often, where, and how much is tried.",
    "system_compatibility": "Which systems and architectures have trouble, and which are new.",
    "component_analysis": "Which component fails, how often, and with which error.",
    "deployment_tracking": "What each commit changed, and what CI did not show.",
}


def write_index(home: Path, loaded: Loaded, now: datetime, out: Path | None = None) -> Path:
    """Write `index.html` and `index.json` of `home` into it, or into `out`; gives the page.

    Always writes: without a snapshot, a store or any report, or with damaged ones, the page says so.
    """
    folder = out or home
    numbers = index_numbers(home, loaded, now)
    html, document = render_index(numbers, Links.of(loaded))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "index.html", html)
    write_whole(folder / "index.json", as_json(document))
    return folder / "index.html"


def render_index(numbers: IndexNumbers, links: Links) -> tuple[str, dict[str, Any]]:
    """`(html, document)`."""
    document = index_document(numbers)
    words, zone = findings(numbers), zone_named(numbers.zone)
    shown = Marker(document, zone, html=True)
    page = (
        templates()
        .get_template("index.html")
        .render(
            root="",
            here="index",
            d=document,
            words=words,
            show=shown.show,
            say=shown.say,
            everything=ALL,
            first=SHOWN,
            days=ALERT_DAYS,
            answers=ANSWERS,
            runbook=lambda rule: _web(links.runbook(rule)),
        )
    )
    return page, document


def index_document(numbers: IndexNumbers) -> dict[str, Any]:
    """The JSON of the page: everything it says. Instants in UTC, ages in seconds."""
    document: dict[str, Any] = {"page": "index", **as_document(numbers)}
    marker = Marker(document, zone_named(numbers.zone), html=False)
    said: Mapping[str, Any] = as_document(findings(numbers))
    document["findings"] = {
        name: [marker.say(one) for one in value] if isinstance(value, list) else marker.say(value)
        for name, value in said.items()
    }
    return document


def _web(address: str) -> str:
    return address if is_web(address) else ""
