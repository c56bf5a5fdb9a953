"""Queueing a report that was made: once for each period and destination, whoever asks how often.

The message is the one that was written beside the page. Not here: rendering, and delivering what is queued (delivery/).
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import escape

from matokit_pipelines import state
from matokit_pipelines.alerts.reported import note_told
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.outbox import enqueue
from matokit_pipelines.errors import NothingPublished
from matokit_pipelines.reports.formats import instant_of_year
from matokit_pipelines.reports.rendering import ReportFiles
from matokit_pipelines.settings import Loaded

REPORTS = ("weekly", "daily", "monthly")
PATIENCE = timedelta(hours=3)  # for which a report waits for the last events of its period
ON_TIME = timedelta(minutes=20)
_BODY = re.compile(r"<body[^>]*>", re.IGNORECASE)
_NOTICE = (
    '<div style="padding:12px 16px;background:#fbf1e8;color:#1d2530;font:14px/1.5 Arial,Helvetica,sans-serif">{}</div>'
)


@dataclass(frozen=True)
class Sent:
    """What came of it. queued: destinations for which it was queued now; already: those for which it was before;
    why_not: a sentence when it is for nobody."""

    queued: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    why_not: str | None = None


def send_report(
    loaded: Loaded, report: str, period: str, *, now: datetime, due: datetime | None = None, again: bool = False
) -> Sent:
    """Queue the message of a report for its readers.

    due: when it should have gone out; a message that is later says so. again: also where it was queued before.
    NothingPublished when it was not made yet.
    """
    document, message = _written(loaded, report, period)
    readers = _readers(loaded, report)
    if not readers:
        return Sent(why_not=f"Nobody is to be sent the {report} report (reports.{report}_to).")
    if not _is_worth_it(loaded, document) and not again:
        note_delay(loaded, report, period, "at its hour it had nothing to tell")
        return Sent(why_not=f"The {report} report of {period} has nothing to tell, so it is not sent.")
    destinations = loaded.settings.recipients.of(readers)
    with state.opened(loaded.home) as connection, state.transaction(connection):
        if due and now > due + ON_TIME:
            why = _noted(connection, report, period)
            message = with_notice(message, late(due, now, loaded.settings.project.zone, why))
        queued = _queued(connection, report, period, destinations, message, now, again)
        if report == "daily" and queued:
            note_told(connection, period, document)
        connection.execute("delete from progress where name = ?", [_note_of(report, period)])
    return Sent(tuple(queued), tuple(one for one in destinations if one not in queued))


def is_to_be_sent(loaded: Loaded, report: str, period: str) -> bool:
    """Whether a report that was made has readers and something to tell, and was never queued for any of them."""
    try:
        document, _ = _written(loaded, report, period)
    except NothingPublished:
        return False
    if not _readers(loaded, report) or not _is_worth_it(loaded, document):
        return False
    with state.opened(loaded.home) as connection:
        return not was_queued(connection, report, period)


def note_delay(loaded: Loaded, report: str, period: str, why: str) -> None:
    """Keep why a report is not sent at its hour, for the sentence on it when it is sent after all."""
    with state.opened(loaded.home) as connection:
        connection.execute(
            "insert into progress (name, value) values (?, ?) on conflict (name) do update set value = excluded.value",
            [_note_of(report, period), why],
        )


def late(due: datetime, now: datetime, zone: ZoneInfo, why: str | None) -> str:
    """A sentence on a report that comes late. why: what was noted at its hour; None when nothing was at work then."""
    said = why or "nothing made it at that time"
    return f"Late: due {instant_of_year(due, zone)}, made {instant_of_year(now, zone)}; {said}."


def _written(loaded: Loaded, report: str, period: str) -> tuple[dict[str, Any], Message]:
    """The document and the message of a report. NothingPublished when it was not made yet, or not whole."""
    files = ReportFiles.at(loaded.home / "reports", report, period)
    try:
        document = json.loads(files.json.read_text(encoding="utf-8"))
        return dict(document), Message.from_json(files.message.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NothingPublished(
            f"The {report} report of {period} was not made yet; `matokit report {report} --period {period}` makes it."
        ) from error


def _readers(loaded: Loaded, report: str) -> tuple[str, ...]:
    readers: tuple[str, ...] = getattr(loaded.settings.reports, f"{report}_to")
    return readers


def _is_worth_it(loaded: Loaded, document: Mapping[str, Any]) -> bool:
    return bool(document.get("worth_sending", True)) or loaded.settings.reports.send_when_empty


def _note_of(report: str, period: str) -> str:
    return f"report_delay:{report}:{period}"


def _noted(connection: sqlite3.Connection, report: str, period: str) -> str | None:
    row = connection.execute("select value from progress where name = ?", [_note_of(report, period)]).fetchone()
    return row["value"] if row else None


def with_notice(message: Message, sentence: str) -> Message:
    """The message with a sentence before all others, in each of its forms."""
    html = message.html
    if html is not None:
        body = _BODY.search(html)
        at = body.end() if body else 0
        html = html[:at] + _NOTICE.format(escape(sentence)) + html[at:]
    blocks = message.blocks
    if blocks is not None:
        blocks = ({"type": "context", "elements": [{"type": "plain_text", "text": sentence}]}, *blocks)
    return replace(message, text=f"{sentence}\n\n{message.text}", html=html, blocks=blocks)


def _queued(
    connection: sqlite3.Connection,
    report: str,
    period: str,
    destinations: Sequence[str],
    message: Message,
    now: datetime,
    again: bool,
) -> list[str]:
    """The destinations for which it is queued now, inside the caller's transaction."""
    queued = []
    for destination in destinations:
        key = f"report:{report}:{period}:{destination}"
        known = connection.execute(
            "select count(*) from report_deliveries where report = ? and period = ? and destination = ?",
            (report, period, destination),
        ).fetchone()[0]
        if known and not again:
            continue
        name = f"{key}:{known + 1}" if known else key
        enqueue(
            connection, message_key=name, conversation=name, destination=destination, severity="info",
            message=message, due=now, now=now,
        )  # fmt: skip
        connection.execute(
            "insert into report_deliveries (message_key, report, period, destination, queued_at) "
            "values (?, ?, ?, ?, ?)",
            (name, report, period, destination, state.moment(now)),
        )
        queued.append(destination)
    return queued


def was_queued(connection: sqlite3.Connection, report: str, period: str) -> bool:
    """Whether the report of that period was ever queued for anybody."""
    row = connection.execute(
        "select count(*) from report_deliveries where report = ? and period = ?", (report, period)
    ).fetchone()
    return bool(row[0])
