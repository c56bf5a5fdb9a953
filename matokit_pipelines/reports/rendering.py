"""Templates into text, and files written to disk whole or not at all. The same input gives the same bytes.

Not here: what a page says (weekly/, daily/, monthly/, dashboards/), and sending what was written (sending.py).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from matokit_pipelines import resources
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.reports.formats import plain


@dataclass(frozen=True)
class ReportFiles:
    """The files of one report and period: the page, its text twin, the JSON of every number of both, and the message
    that tells of it (Message.to_json, charts included)."""

    html: Path
    text: Path
    json: Path
    message: Path

    @property
    def period(self) -> str:
        """The period that the files are about, as it is named: `2026-W46`."""
        return self.html.stem

    @classmethod
    def at(cls, folder: Path, report: str, period: str) -> ReportFiles:
        """Where they lie, or will, under the folder of all reports: `weekly/2026-W46.html`."""
        stem = folder / report / period
        endings = (".html", ".txt", ".json", ".message.json")
        return cls(*(stem.with_name(stem.name + ending) for ending in endings))


def write_report(
    folder: Path, report: str, period: str, *, html: str, text: str, document: Mapping[str, Any], message: Message
) -> ReportFiles:
    """Write one report. Each file is replaced atomically, the JSON last: where it stands, the others do."""
    files = ReportFiles.at(folder, report, period)
    files.json.parent.mkdir(parents=True, exist_ok=True)
    contents = ((files.html, html), (files.text, text), (files.message, message.to_json()))
    for path, content in (*contents, (files.json, as_json(document))):
        write_whole(path, content)
    return files


def as_json(document: Mapping[str, Any]) -> str:
    """A document as it lies beside its page."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


@cache  # reading the templates of a page takes a fifth of making it
def templates() -> Environment:
    """Templates of `report_templates/`; what a template names and the document lacks is an error, never a blank.

    One for all, so nobody may change it; a template that changed on disk is read again.
    """
    environment = Environment(
        loader=FileSystemLoader(resources.path("report_templates")),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["zip_self"] = lambda values: [(one, one) for one in values]
    return environment


def write_whole(path: Path, content: str) -> None:
    """Replace a file atomically; readers see the old one or the new one."""
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
