"""GetLatestReport: the newest weekly, daily or monthly report as it was made: its sentence, its text, its link.

Reports are read from their files, never made here. Not here: what they say (reports/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.reports.index.listing import KINDS, instant_in
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.toolserver.installer.asking import Compare, lower
from matokit_pipelines.toolserver.installer.shapes import UTC as UTC_TEXT
from matokit_pipelines.toolserver.installer.shapes import Answered
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Parameters
from matokit_pipelines.toolserver.problems import Problem, refused
from matokit_pipelines.toolserver.tools import Answer

MOST_TEXT = 6_000  # letters of the text
MOST_NUMBERS = 6_000  # bytes of the numbers
LONGEST = 300
_FORMS = {kind: form for kind, _, _, form in KINDS}


class ReportParameters(Parameters):
    """Which report, in which form."""

    report: Annotated[Literal["weekly", "daily", "monthly"], BeforeValidator(lower)] = Field(
        "weekly", description="weekly: operations summary; daily: component health; monthly: system compatibility. "
        "Default weekly."
    )  # fmt: skip
    format: Annotated[Literal["text", "link", "numbers"], BeforeValidator(lower)] = Field(
        "text", description="text: the whole report as text, cut where it is long; link: headline and link only; "
        "numbers: the counts behind it. Default text."
    )  # fmt: skip
    period: str | None = Field(
        None, description="An earlier one: week 2026-W46, day 2026-11-20 or month 2026-10. Default: the newest."
    )
    compare: Compare | None = Field(None, description="previous: also the headline of the report before it.")


class LatestReport(Answered):
    """Answer of GetLatestReport."""

    report: str = Field(description="weekly, daily or monthly.")
    period: str = Field(description="As reports are named: 2026-W46, 2026-11-20, 2026-10.")
    first_day: str | None = Field(description="First day of the period, project's time zone.")
    last_day: str | None = Field(description="Last day of the period, included.")
    headline: str = Field(description="The one sentence that the report begins with.")
    details: list[str] = Field(description="The sentences below it, at most five.")
    incomplete: list[str] = Field(description="Why it was made from incomplete data; empty: it was not.")
    made_at: str | None = Field(description=f"When it was made, {UTC_TEXT}.")
    link: str = Field(description='Its page; "" without links.public_url.')
    text: str | None = Field(None, description="The report as text; format text only.")
    text_is_cut: bool | None = Field(None, description="Whether the end of the text is left out.")
    numbers: dict[str, Any] | None = Field(
        None, description="Parts of the report's JSON: shares 0 to 1, changes of shares as differences; format numbers."
    )
    previous_period: str | None = Field(None, description="The report before it; null where there is none.")
    previous_headline: str | None = Field(None, description="Its sentence.")


def latest_report(kit: Kit, asked: ReportParameters) -> Answer:
    """The newest report of a kind."""
    folder = kit.loaded.home / "reports"
    periods = _periods(folder / asked.report, asked.report)
    period = _period(asked, periods)
    files = ReportFiles.at(folder, asked.report, period)
    document = _document(files)
    if not document:
        raise Problem(
            "unknown",
            f"The {asked.report} report {period} cannot be read.",
            f"The operator can make it again: `matokit report {asked.report}`.",
            status=503,
        )
    head = _head(document)
    made = instant_in(document.get("now"))
    mark = instant_in(document.get("watermark"))
    now = kit.clock.now()
    value: dict[str, Any] = {
        "summary": _sentence(asked.report, period, head, made, now), "as_of": _stamp(mark), "report": asked.report,
        "period": period, **_days(document), **head, "made_at": _stamp(made),
        "link": Links.of(kit.loaded).report(asked.report, period),
    }  # fmt: skip
    if asked.format == "text":
        text, is_cut = _text(files)
        value |= {"text": text, "text_is_cut": is_cut}
    elif asked.format == "numbers":
        value["numbers"] = _numbers(document)
    if asked.compare:
        older = periods[periods.index(period) + 1 :][:1]
        before = _head(_document(ReportFiles.at(folder, asked.report, older[0]))) if older else None
        value |= {
            "previous_period": older[0] if older else None,
            "previous_headline": before["headline"] if before else None,
        }
    return Answer(value, mark)


def _periods(folder: Path, kind: str) -> list[str]:
    """The newest first; a report stands where its JSON does."""
    form = _FORMS[kind]
    found = (file.stem for file in folder.glob("*.json")) if folder.is_dir() else ()
    return sorted((stem for stem in found if form.fullmatch(stem)), reverse=True)


def _period(asked: ReportParameters, periods: list[str]) -> str:
    if not periods:
        raise refused(
            f"No {asked.report} report has been made yet.",
            f"The operator makes one with `matokit report {asked.report}`; `matokit up` makes them by schedule.",
        )
    if asked.period is None:
        return periods[0]
    if asked.period.strip().upper() in periods:
        return asked.period.strip().upper()
    raise refused(
        f"There is no {asked.report} report of that period.", f"There are {', '.join(periods[:12])}; or leave it out."
    )


def _document(files: ReportFiles) -> Mapping[str, Any]:
    try:
        found = json.loads(files.json.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _head(document: Mapping[str, Any]) -> dict[str, Any]:
    findings = document.get("findings")
    said = findings if isinstance(findings, dict) else {}
    return {
        "headline": _line(said.get("headline")) or "The report has no headline.",
        "details": _lines(said.get("details")), "incomplete": _lines(said.get("incomplete")),
    }  # fmt: skip


def _lines(found: object) -> list[str]:
    return [_line(one) for one in found[:5] if isinstance(one, str)] if isinstance(found, list) else []


def _line(text: object) -> str:
    return cut(one_line(text.replace("\u00a0", " ").replace("\u202f", " ")), LONGEST) if isinstance(text, str) else ""


def _days(document: Mapping[str, Any]) -> dict[str, Any]:
    period = document.get("period")
    known = period if isinstance(period, dict) else {}
    return {"first_day": known.get("first_day"), "last_day": known.get("last_day")}


def _text(files: ReportFiles) -> tuple[str, bool]:
    """Cut at the end of a line."""
    try:
        text = files.text.read_text(encoding="utf-8").replace("\u00a0", " ").replace("\u202f", " ")
    except (OSError, ValueError):
        return "", False
    if len(text) <= MOST_TEXT:
        return text, False
    return text[: text.rfind("\n", 0, MOST_TEXT) + 1] or text[:MOST_TEXT], True


def _numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that fit, the totals first; what is left out is named."""
    order = ["period", "totals", *(name for name in document if name not in ("period", "totals", "findings"))]
    found: dict[str, Any] = {}
    size, left = 0, []
    for name in order:
        if name in document:
            length = len(json.dumps(document[name], ensure_ascii=False))
            if size + length > MOST_NUMBERS:
                left.append(name)
                continue
            size += length
            found[name] = document[name]
    return found | {"left_out": left}


def _sentence(report: str, period: str, head: Mapping[str, Any], made: datetime | None, now: datetime) -> str:
    ago = f", made {lasting(now - made)} ago," if made and made <= now else ""
    doubts = f" Made from incomplete data: {' '.join(head['incomplete'][:2])}" if head["incomplete"] else ""
    return f"The {report} report {period}{ago} says: {head['headline']}{doubts}"


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")
