"""GetDataStatus: are the data whole and fresh? By source: how far it is read, what does not add up, what is lost.

Not here: the same in other answers' summaries (doubts.py), Matomo's reachability (health/).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from matokit_pipelines.alerts.content.wording import lasting
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.toolserver.installer.answering import Call, call, stamp
from matokit_pipelines.toolserver.installer.asking import Compare, DayParameters, Span
from matokit_pipelines.toolserver.installer.counting import fitted
from matokit_pipelines.toolserver.installer.doubts import Missing, is_stale, missing, stale_after
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.shapes import DAY, UTC, OfSpan, Result
from matokit_pipelines.toolserver.installer.words import count, instant, joined, many, shown
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.parameters import Whole
from matokit_pipelines.toolserver.tools import Answer

GAPS_NAMED, SOURCES = 3, 20
State = Literal["complete", "incomplete", "stale", "unknown"]


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
    state: State
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


class WebRow(Result):
    """Web reports of one Matomo source."""

    source: str
    final_days: int = Field(description="Days of these whose reports are final.")
    provisional_days: int = Field(description="Days that Matomo may still count more of.")
    unknown_days: int = Field(description="Days of which Matomo says 0, perhaps since it has not counted yet.")
    last_day: str | None = Field(description=f"Newest day with reports. {DAY.replace('project', 'site')}.")
    asked_at: str | None = Field(description=f"When Matomo was asked last, {UTC}.")


class DataStatus(OfSpan):
    """Answer of GetDataStatus."""

    state: State = Field(description="The worst of the sources that count; incomplete: something is missing.")
    complete_to: str | None = Field(description=f"Up to when all that counts is known, {UTC}.")
    age_hours: float | None = Field(description="Hours from then to now.")
    stale_after_hours: float = Field(description="Hours after which data count as old.")
    sources: list[SourceRow]
    web_reports: list[WebRow] | None = Field(description="null: no web reports are kept.")


def data_status(kit: Kit, asked: DataParameters) -> Answer:
    """Whole and fresh?"""
    with call(kit, asked) as it:
        now = kit.clock.now()
        rows = [_source(it, source, now) for source in it.ground.sources]
        listed, more = fitted(rows, SOURCES)
        web = (_web(it) if it.reader.has("web_periods") else None) or None
        state = _state(it, now)
        mark = it.ground.watermark
        answer = it.answer(
            "",
            more,
            state=state,
            complete_to=stamp(mark),
            age_hours=_hours(mark, now),
            stale_after_hours=stale_after(kit.loaded).total_seconds() / 3600,
            sources=listed,
            web_reports=web,
        )
        value = answer.value | {"summary": _sentence(it, state, rows, web, now), "data_complete": state == "complete"}
        return Answer(value, answer.as_of)


def _state(it: Call, now: datetime) -> State:
    if it.ground.watermark is None:
        return "unknown"
    if is_stale(it.ground.watermark, it.kit.loaded, now):
        return "stale"
    end = it.span.window(it.ground).end
    behind = any(source["watermark"] is None or source["watermark"] < end for source in it.ground.counting)
    return "incomplete" if behind or missing(it.ground, it.span.window(it.ground)) else "complete"


def _source(it: Call, source: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    name, mark, window = source["source"], source["watermark"], it.span.window(it.ground)
    lost = missing(it.ground, window, name)
    state: State = "complete"
    if mark is None:
        state = "unknown"
    elif is_stale(mark, it.kit.loaded, now):
        state = "stale"
    elif lost or mark < window.end:
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
        **({f"previous_{key}": value for key, value in _lost(missing(it.ground, it.span.before.window(it.ground), name))
            .items()} if it.is_compared else {}),
    }  # fmt: skip


def _lost(lost: Missing) -> dict[str, int]:
    return {"windows_incomplete": lost.windows, "days_differing": lost.days, "events_cut_off": lost.truncated}


def _hours(mark: datetime | None, now: datetime) -> float | None:
    return None if mark is None else round((now - mark).total_seconds() / 3600, 2)


def _web(it: Call) -> list[dict[str, Any]]:
    span: Span = it.span
    return [
        {
            "source": shown(row["source"]), "final_days": row["final_days"],
            "provisional_days": row["provisional_days"], "unknown_days": row["unknown_days"],
            "last_day": None if row["last_day"] is None else str(row["last_day"]),
            "asked_at": stamp(row["asked_at"]),
        }
        for row in it.reader.rows(query("web_periods"), {"first": span.first, "last": span.last})[:SOURCES]
    ]  # fmt: skip


def _sentence(
    it: Call, state: State, rows: list[dict[str, Any]], web: list[dict[str, Any]] | None, now: datetime
) -> str:
    """The state first, then each source in trouble, then web reports."""
    mark, ground = it.ground.watermark, it.ground
    marks = {shown(source["source"]): source["watermark"] for source in ground.sources}
    first = {
        "unknown": "How far the data reach is not known: nothing was read to its end yet.",
        "stale": f"No: the data are old, complete to {instant(mark)} only"
        + (f", {lasting(now - mark)} ago." if mark else "."),
        "incomplete": f"No: the data are fresh, complete to {instant(mark)}, but have holes {it.span.words}.",
        "complete": f"Yes: the data are complete to {instant(mark)} and have no known hole {it.span.words}.",
    }[state]
    said = [first]
    for row in rows:
        lost = Missing(row["windows_incomplete"], row["days_differing"], row["events_cut_off"])
        about = f"mirror {row['source']}, which is not counted" if row["mirror_of"] else row["source"]
        if lost:
            said.append(f"Of {about}, {lost.words}, so counts may be too low.")
        if row["state"] == "stale" and (state != "stale" or len(rows) > 1):
            kind = "Mirror" if row["mirror_of"] else "Source"
            said.append(f"{kind} {row['source']} is complete to {instant(marks[row['source']])} only.")
        if row["last_error"] and not row["mirror_of"]:
            said.append(f"The last error of reading {row['source']}: {cut(row['last_error'], 160).rstrip('.')}.")
    if not ground.is_recorded(it.span.first):
        said.append(f"Records are whole only from {instant(ground.whole_from)} on.")
    if it.is_compared:
        lost = missing(ground, it.span.before.window(ground))
        said.append(f"{it.when_before.capitalize()}: {lost.words or 'no known hole'}.")
    if web:
        unsure = [
            f"{row['source']} {many(row['provisional_days'], 'provisional day')} and "
            f"{many(row['unknown_days'], 'unknown day')}"
            for row in web
            if row["provisional_days"] or row["unknown_days"]
        ]
        kept = sum(row["final_days"] for row in web)
        said.append(f"Web reports: {count(kept)} final days{f'; {joined(unsure)}' if unsure else ''}.")
    return " ".join(said)
