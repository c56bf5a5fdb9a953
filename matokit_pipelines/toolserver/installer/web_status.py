"""How the web reports of each Matomo source stand, for GetDataStatus: when they were read, which days are not known.

They may be as old as the health check lets them be. Not here: installer events (data_status.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import Field

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.settings import SourceSettings
from matokit_pipelines.toolserver.health.freshness import expected_of_web
from matokit_pipelines.toolserver.installer.answering import Call, stamp
from matokit_pipelines.toolserver.installer.asking import Span
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import DAY, UTC, Result, Wholeness
from matokit_pipelines.toolserver.installer.words import joined, many, shown
from matokit_pipelines.warehouse.web_planning import kept
from matokit_pipelines.windows import local_date, zone_named


class WebRow(Result):
    """Web reports of one Matomo source."""

    source: str
    state: Wholeness = Field(description="stale: last read too long ago; incomplete: days are unknown or not read yet.")
    final_days: int = Field(description="Days of these whose reports are final.")
    provisional_days: int = Field(description="Days that Matomo may still count more of.")
    unknown_days: int = Field(description="Days of which Matomo says 0, perhaps since it has not counted yet.")
    unread_days: int = Field(description="Days that are kept and were not read yet.")
    last_day: str | None = Field(description=f"Newest day with reports. {DAY.replace('project', 'site')}.")
    asked_at: str | None = Field(description=f"When Matomo was asked last for one of these days, {UTC}.")
    read_at: str | None = Field(description=f"When all that was due had been read, {UTC}; null: not yet.")


def web_rows(it: Call, span: Span) -> list[dict[str, Any]]:
    """By source; those that are set up are there even where nothing was read."""
    wanted = {source.name: source for source in it.kit.loaded.settings.sources if source.has_web_reports}
    known: dict[str, Mapping[str, Any]] = {}
    if it.reader.has("web_periods"):
        days = {"first": span.first, "last": span.last}
        known = {row["source"]: row for row in it.reader.rows(query("web_periods"), days)}
    return [_row(it, span, name, known.get(name, {}), wanted.get(name)) for name in sorted({*wanted, *known})]


def _row(it: Call, span: Span, name: str, known: Mapping[str, Any], source: SourceSettings | None) -> dict[str, Any]:
    last_day = known.get("last_day")
    unread = _unread(it, span, known, source) if source else 0
    return {
        "source": shown(name), "state": _state(it, known, unread, is_wanted=source is not None),
        "final_days": known.get("final_days", 0), "provisional_days": known.get("provisional_days", 0),
        "unknown_days": known.get("unknown_days", 0), "unread_days": unread,
        "last_day": None if last_day is None else str(last_day),
        "asked_at": stamp(known.get("asked_at")), "read_at": stamp(known.get("read_at")),
    }  # fmt: skip


def _unread(it: Call, span: Span, known: Mapping[str, Any], source: SourceSettings) -> int:
    """Days that the settings keep and no reading has asked for. A site that was never met has no days yet."""
    if not known.get("zone"):
        return 0
    first_day = max((day for day in (known["first_day"], source.start_date) if day), default=date.min)
    today = local_date(it.kit.clock.now(), zone_named(known["zone"]))
    periods = kept(it.kit.loaded.settings.web_reports, today, first_day)
    days = sum(one.period == "day" and span.first <= one.start <= span.last for one in periods)
    return max(0, days - int(known["kept_days"]))


def _state(it: Call, known: Mapping[str, Any], unread: int, *, is_wanted: bool) -> Wholeness:
    """What is no longer set up is not read again, and cannot grow old."""
    read_at: datetime | None = known.get("read_at")
    if read_at is None:
        return "incomplete" if known.get("asked_at") else "unknown"
    if is_wanted and it.kit.clock.now() - read_at > expected_of_web(it.kit):
        return "stale"
    return "incomplete" if known.get("unknown_days") or unread else "complete"


def web_words(rows: list[dict[str, Any]], now: datetime) -> list[str]:
    """What is wrong with a source, then how sure the days are."""
    said = []
    for row in rows:
        if row["state"] == "stale":
            ago = lasting(now - datetime.fromisoformat(row["read_at"]))
            said.append(f"Web reports of {row['source']} were last read {ago} ago.")
        elif row["read_at"] is None:
            said.append(f"Web reports of {row['source']} have not been read to the end yet.")
        if row["unread_days"]:
            said.append(f"Of {row['source']}, {many(row['unread_days'], 'day')} of web reports are still to be read.")
    unsure = [
        f"{row['source']} {many(row['provisional_days'], 'provisional day')} and "
        f"{many(row['unknown_days'], 'unknown day')}"
        for row in rows
        if row["provisional_days"] or row["unknown_days"]
    ]
    final = sum(row["final_days"] for row in rows)
    if final or unsure:
        said.append(f"Web reports: {many(final, 'final day')}{f'; {joined(unsure)}' if unsure else ''}.")
    return said
