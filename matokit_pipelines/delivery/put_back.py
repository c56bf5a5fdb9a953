"""What a clock that was put back leaves in the outbox: waits, leases and holds of a time that is still to come.

Each row knows by which time its wait was written. Where that lies ahead, the wait begins anew: nothing waits longer
than its own rule says, and whoever is sending keeps its row. Not here: the way of a row (outbox.py).
"""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines.state import BUSY_SECONDS, instant, moment, transaction

A_DAY = timedelta(days=1)
A_MOMENT = timedelta(seconds=BUSY_SECONDS + 5.0)  # who waited for the right to write comes with a time as old as that
# What everybody sets who writes `waits_from`, as nobody can see then that the time before it lies ahead.
STARTED_BY_NOW = """
    is_put_back = max(
        is_put_back, started_at is not null and max(started_at, coalesce(waits_from, created_at)) > :soon
    ),
    started_at = min(started_at, :now)
"""
AGE_BY_NOW = "revived_at = case when coalesce(revived_at, created_at) > :soon then :now else revived_at end"
_WAITING = "state in ('pending', 'sending') and coalesce(waits_from, created_at) > :soon"


def put_right(connection: sqlite3.Connection, now: datetime) -> None:
    """Bring what was written by a later time to `now`. Does nothing, and locks nothing, where there is none."""
    found = connection.execute(
        f"select exists (select 1 from outbox where {_WAITING}) or exists (select 1 from holds where since > :soon) "  # noqa: S608
        "as is_ahead",
        times(now),
    ).fetchone()
    if not found["is_ahead"]:
        return
    if connection.in_transaction:
        _put_right(connection, now)
        return
    with transaction(connection):
        _put_right(connection, now)


def _put_right(connection: sqlite3.Connection, now: datetime) -> None:
    rows = connection.execute(
        "select id, error, attempts, answered, next_at, lease_until, "  # noqa: S608
        f"coalesce(waits_from, created_at) as waits_from from outbox where {_WAITING}",
        times(now),
    ).fetchall()
    connection.executemany(
        "update outbox set next_at = :next_at, lease_until = :lease_until, waits_from = :now, "  # noqa: S608
        f"{STARTED_BY_NOW}, {AGE_BY_NOW} where id = :id",
        [_row(found, now) for found in rows],
    )
    holds = connection.execute("select service, method, since, until from holds where since > :soon", times(now))
    connection.executemany(
        "update holds set since = ?, until = ? where service = ? and method = ?",
        [(moment(now), _sooner(one["until"], one["since"], now), one["service"], one["method"]) for one in holds],
    )


def times(now: datetime) -> dict[str, str | None]:
    """What these need: behind `:soon` lies what was written before the clock was put back."""
    return {"now": moment(now), "soon": moment(now + A_MOMENT)}


def _row(found: sqlite3.Row, now: datetime) -> dict[str, Any]:
    is_planned = found["next_at"] > found["waits_from"] and not (
        found["error"] or found["attempts"] or found["answered"]
    )  # never tried, and put off all the same
    next_at = _in_a_day(found["next_at"], now) if is_planned else _sooner(found["next_at"], found["waits_from"], now)
    lease_until = _sooner(found["lease_until"], found["waits_from"], now)
    return {"id": found["id"], "next_at": next_at, "lease_until": lease_until, **times(now)}


def _sooner(at: str | None, since: str, now: datetime) -> str | None:
    """As long after `now` as `at` is after `since`."""
    until, begin = instant(at), instant(since)
    return moment(now + max(until - begin, timedelta(0))) if until and begin else None


def _in_a_day(at: str, now: datetime) -> str | None:
    """What was put off until a time of the day, the end of the quiet hours: the next such time."""
    due = instant(at)
    while due is not None and due - now > A_DAY:
        due -= A_DAY
    return moment(due)
