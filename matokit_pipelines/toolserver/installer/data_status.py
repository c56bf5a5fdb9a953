"""GetDataStatus: are the data whole and fresh? By source: how far it is read, what does not add up, what is lost.

Not here: web reports (web_status.py), the same in other answers' summaries (doubts.py), whether Matomo is reachable
(health/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.toolserver.installer.answering import Call, call, stamp
from matokit_pipelines.toolserver.installer.asking import Compare, DayParameters
from matokit_pipelines.toolserver.installer.counting import fitted
from matokit_pipelines.toolserver.installer.doubts import Missing, is_stale, missing, stale_after
from matokit_pipelines.toolserver.installer.shapes import UTC, OfSpan, Result, Wholeness
from matokit_pipelines.toolserver.installer.web_status import WebRow, web_rows, web_words
from matokit_pipelines.toolserver.installer.words import instant, many, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.tools import Answer

GAPS_NAMED, SOURCES = 3, 20
WHOLE = "no known hole"


class DataParameters(DayParameters):
    """Which days."""

    days: Whole = Field(
        30, ge=1, le=90, description="How many days, 1 to 90; they end with the last complete day, or with toDate. "
        "Default 30."
    )  # fmt: skip
    compare: Compare | None = Field(None, description="previous: also what is missing of the span before.")


class GapRow(Result):
    """A window that does not add up."""

    start: str = Field(description=UTC)
    end: str = Field(description=f"{UTC}, itself not in it.")
    announced: int | None = Field(description="Rows that the source announced; null where it announces none.")
    received: int = Field(description="Rows that it gave.")


class SourceRow(Result):
    """One source."""

    source: str
    kind: str = Field(description="matomo or piwik_pro.")
    mirror_of: str | None = Field(description="The source whose events this one holds again; it is not counted.")
    state: Wholeness
    complete_to: str | None = Field(description=f"Up to when all its events are known, {UTC}.")
    age_hours: float | None = Field(description="Hours from then to now.")
    whole_from: str | None = Field(description=f"From when its records are whole, {UTC}.")
    last_read_at: str | None = Field(description=f"When it was read last, {UTC}.")
    windows_incomplete: int = Field(description="Windows of these days that do not add up with what it announced.")
    days_differing: int = Field(description="Days of these that its own report counts otherwise.")
    events_cut_off: int = Field(description="Events of these days that the source no longer gives.")
    quarantined: int = Field(description="Rows, ever, that could not be read.")
    gaps: list[GapRow] = Field(description="The newest windows that do not add up, at most three.")
    last_error: str | None = Field(description="The last error of reading, in a sentence.")
    last_error_at: str | None = Field(description=UTC)
    previous_windows_incomplete: int | None = Field(None, description="Of the span before.")
    previous_days_differing: int | None = Field(None, description="Of the span before.")
    previous_events_cut_off: int | None = Field(None, description="Of the span before.")


class DataStatus(OfSpan):
    """Answer of GetDataStatus."""

    state: Wholeness = Field(
        description="The worst of the sources that count and of web reports; incomplete: something is missing, or not "
        "all days are recorded."
    )
    complete_to: str | None = Field(description=f"Up to when all that counts is known, {UTC}.")
    age_hours: float | None = Field(description="Hours from then to now.")
    stale_after_hours: float = Field(description="Hours after which data count as old.")
    sources: list[SourceRow]
    web_reports: list[WebRow] | None = Field(description="null: no web reports are kept.")


def data_status(kit: Kit, asked: DataParameters) -> Answer:
    """Whole and fresh?"""
    with call(kit, asked, needs_events=False) as it:
        now = kit.clock.now()
        rows = [_source(it, source, now) for source in it.ground.sources]
        listed, more = fitted(rows, SOURCES)
        web = web_rows(it, it.span)
        events = _of_events(it, now) if _has_events(it) else None
        state = _worst(events, {row["state"] for row in web})
        mark = it.ground.watermark
        answer = it.answer(
            "",
            more,
            state=state,
            complete_to=stamp(mark),
            age_hours=_hours(mark, now),
            stale_after_hours=stale_after(kit.loaded).total_seconds() / 3600,
            sources=listed,
            web_reports=web[:SOURCES] or None,
        )
        before = _before(it) if it.is_compared else ""
        said = [_first(it, events, state, now)]
        if events:
            said += _of_sources(it, events, rows)
        said += web_words(web, now)
        if before:
            said.append(f"{it.when_before.capitalize()}: {before}.")
        is_whole = state == "complete" and before in ("", WHOLE)
        return Answer(answer.value | {"summary": " ".join(said), "data_complete": is_whole}, answer.as_of)


def _has_events(it: Call) -> bool:
    """Whether installer events are read here at all, or were."""
    return bool(it.ground.sources) or any(source.has_events for source in it.kit.loaded.settings.sources)


def _of_events(it: Call, now: datetime) -> Wholeness:
    if it.ground.watermark is None:
        return "unknown"
    if is_stale(it.ground.watermark, it.kit.loaded, now):
        return "stale"
    window = it.span.window(it.ground)
    behind = any(source["watermark"] is None or source["watermark"] < window.end for source in it.ground.counting)
    is_whole = not behind and it.ground.is_recorded(it.span.first) and not missing(it.ground, window)
    return "complete" if is_whole else "incomplete"


def _worst(events: Wholeness | None, of_web: set[Wholeness]) -> Wholeness:
    """Of installer events (None: there are none) and web reports. One part unknown beside a known one is a hole."""
    if events == "unknown" or (events is None and of_web <= {"unknown"}):
        return "unknown"
    found = {events, *of_web}
    return "stale" if "stale" in found else "incomplete" if found & {"incomplete", "unknown"} else "complete"


def _source(it: Call, source: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    name, mark, window = source["source"], source["watermark"], it.span.window(it.ground)
    lost = missing(it.ground, window, name)
    state: Wholeness = "complete"
    if mark is None:
        state = "unknown"
    elif is_stale(mark, it.kit.loaded, now):
        state = "stale"
    elif lost or mark < window.end or source["proven_from"] is None or source["proven_from"] > window.start:
        state = "incomplete"
    gaps = [
        gap for gap in it.ground.gaps
        if gap.source == name and gap.window.start < window.end and gap.window.end > window.start
    ]  # fmt: skip
    error = source["last_error"]
    return {
        "source": shown(name), "kind": source["kind"], "mirror_of": source["mirror_of"], "state": state,
        "complete_to": stamp(mark), "age_hours": _hours(mark, now), "whole_from": stamp(source["proven_from"]),
        "last_read_at": stamp(source["last_read_at"]), **_lost(lost), "quarantined": source["quarantined"],
        "gaps": [
            {"start": stamp(gap.window.start), "end": stamp(gap.window.end), "announced": gap.announced,
             "received": gap.received}
            for gap in gaps[-GAPS_NAMED:][::-1]
        ],
        "last_error": cut(one_line(error), 300) if error else None, "last_error_at": stamp(source["last_error_at"]),
        **(_lost_before(it, source) if it.is_compared else {}),
    }  # fmt: skip


def _lost(lost: Missing) -> dict[str, int]:
    return {"windows_incomplete": lost.windows, "days_differing": lost.days, "events_cut_off": lost.truncated}


def _lost_before(it: Call, source: Mapping[str, Any]) -> dict[str, int | None]:
    """Of the span before; None where nothing of it was ever read."""
    window, since = it.span.before.window(it.ground), source["proven_from"]
    is_read = since is not None and since < window.end
    lost = _lost(missing(it.ground, window, source["source"]))
    return {f"previous_{key}": value if is_read else None for key, value in lost.items()}


def _hours(mark: datetime | None, now: datetime) -> float | None:
    return None if mark is None else round((now - mark).total_seconds() / 3600, 2)


def _first(it: Call, events: Wholeness | None, state: Wholeness, now: datetime) -> str:
    """Yes or no, and of what."""
    mark, span = it.ground.watermark, it.span
    if events is None:
        return {
            "unknown": "How far web reports reach is not known: none were read to the end yet.",
            "stale": "No: the web reports are old.",
            "incomplete": f"No: the web reports are not whole {span.words}.",
            "complete": f"Yes: the web reports are read and no day is unknown {span.words}.",
        }[state]
    if events == "unknown":
        return "How far the data reach is not known: nothing was read to its end yet."
    if events == "stale":
        ago = f", {lasting(now - mark)} ago" if mark else ""
        return f"No: the data are old, complete to {instant(mark)} only{ago}."
    if events == "incomplete":
        what = "have holes" if missing(it.ground, span.window(it.ground)) else "are not whole"
        return f"No: the data are fresh, complete to {instant(mark)}, but {what} {span.words}."
    whole = f"complete to {instant(mark)} and have no known hole {span.words}"
    return (
        f"Yes: the data are {whole}." if state == "complete" else f"No: installer events are {whole}, web reports not."
    )


def _of_sources(it: Call, state: Wholeness, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Each source in trouble, and when records begin."""
    ground = it.ground
    marks = {shown(source["source"]): source["watermark"] for source in ground.sources}
    for row in rows:
        lost = Missing(row["windows_incomplete"], row["days_differing"], row["events_cut_off"])
        about = f"mirror {row['source']}, which is not counted" if row["mirror_of"] else row["source"]
        if lost:
            yield f"Of {about}, {lost.words}, so counts may be too low."
        if row["state"] == "stale" and (state != "stale" or len(rows) > 1):
            kind = "Mirror" if row["mirror_of"] else "Source"
            yield f"{kind} {row['source']} is complete to {instant(marks[row['source']])} only."
        if row["last_error"] and not row["mirror_of"]:
            yield f"The last error of reading {row['source']}: {cut(row['last_error'], 160).rstrip('.')}."
    if state != "unknown" and not ground.is_recorded(it.span.first):
        yield f"Records are whole only from {instant(ground.whole_from)} on."


def _before(it: Call) -> str:
    """What is missing of the span before, in words."""
    ground, before = it.ground, it.span.before
    said = []
    if _has_events(it):
        if lost := missing(ground, before.window(ground)):
            said.append(lost.words)
        if not it.before_is_known:
            said.append("nothing is recorded")
        elif not ground.is_recorded(before.first):
            said.append(f"records are whole only from {instant(ground.whole_from)} on")
    for row in web_rows(it, before):
        if row["unknown_days"]:
            said.append(f"of the web reports of {row['source']}, {many(row['unknown_days'], 'unknown day')}")
        elif row["unread_days"]:
            said.append(f"of the web reports of {row['source']}, {many(row['unread_days'], 'unread day')}")
        elif not row["asked_at"]:
            said.append(f"no web reports of {row['source']}")
    return ", ".join(said) or WHOLE
