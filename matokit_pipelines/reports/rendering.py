"""Documents into pages, text and JSON, written to disk whole or not at all. The same input gives the same bytes.

Not here: numbers and sentences, and sending what was written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from matokit_pipelines import resources
from matokit_pipelines.reports import charts
from matokit_pipelines.reports.formats import aligned
from matokit_pipelines.reports.marking import Marker, as_document
from matokit_pipelines.reports.weekly import weekly_numbers
from matokit_pipelines.reports.weekly_shapes import Findings, WeeklyNumbers
from matokit_pipelines.reports.weekly_words import findings
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import zone_named


@dataclass(frozen=True)
class WeeklyFiles:
    """The three files of one weekly summary."""

    html: Path
    text: Path
    json: Path


def write_weekly(
    snapshot: Snapshot, monday: date, now: datetime, out_dir: Path, repository_url: str = ""
) -> WeeklyFiles:
    """Write `weekly/2026-W46.html`, `.txt` and `.json` under `out_dir` for the ISO week of `monday`.

    `now` is printed as the time of making; with a `repository_url` each commit leads to its changes. Each file is
    replaced atomically, the JSON last: where it stands, the other two do. ValueError when `monday` is not a Monday.
    """
    numbers = weekly_numbers(snapshot, monday, now)
    html, text, document = render_weekly(numbers, repository_url)
    folder = out_dir / "weekly"
    folder.mkdir(parents=True, exist_ok=True)
    week = numbers.period.week
    files = WeeklyFiles(folder / f"{week}.html", folder / f"{week}.txt", folder / f"{week}.json")
    for path, content in ((files.html, html), (files.text, text), (files.json, document)):
        _write(path, content)
    return files


def render_weekly(numbers: WeeklyNumbers, repository_url: str = "") -> tuple[str, str, str]:
    """`(html, text, json)` of one week."""
    document, words = weekly_document(numbers), findings(numbers)
    zone = zone_named(numbers.zone)
    trend = charts.success_trend(numbers.days, numbers.deployments, zone)
    failing = charts.failing_components(numbers.failing.rows) if numbers.failing.rows else None
    page = (
        _environment()
        .get_template("weekly.html")
        .render(
            **_context(document, words, Marker(document, zone, html=True), repository_url),
            alt=Marker(document, zone, html=False),
            trend={"wide": Markup(trend.wide), "narrow": Markup(trend.narrow)},  # noqa: S704 - drawn by us, escaped there
            failing=failing and {"wide": Markup(failing.wide), "narrow": Markup(failing.narrow)},  # noqa: S704
        )
    )
    text = (
        _environment()
        .get_template("weekly.txt")
        .render(**_context(document, words, Marker(document, zone, html=False), repository_url), aligned=aligned)
    )
    return page, text, json.dumps(document, ensure_ascii=False, indent=2) + "\n"


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


def changes_link(repository_url: str, commit_sha: str, predecessor: str | None) -> str:
    """Where the repository shows what came with a commit, in the form that GitHub, GitLab and Gitea share; "" without
    a repository."""
    if not repository_url:
        return ""
    base = repository_url.rstrip("/")
    return f"{base}/compare/{predecessor}...{commit_sha}" if predecessor else f"{base}/commit/{commit_sha}"


def _context(document: Mapping[str, Any], words: Findings, marker: Marker, repository_url: str) -> dict[str, Any]:
    return {
        "d": document,
        "words": words,
        "show": marker.show,
        "say": marker.say,
        "changes": lambda row: changes_link(repository_url, row["commit_sha"], next(iter(row["against"]), None)),
    }


def _environment() -> Environment:
    """Templates of `report_templates/`; what a template names and the document lacks is an error, never a blank."""
    return Environment(
        loader=FileSystemLoader(resources.path("report_templates")),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _write(path: Path, content: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o644)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
