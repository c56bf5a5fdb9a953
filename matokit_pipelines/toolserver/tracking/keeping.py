"""The tracking queue as a person sees it: what waits, what is dead, trying again, dropping, and tidying up.

Not here: the way of a row through the queue (rows.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from matokit_pipelines.clock import Clock
from matokit_pipelines.state import instant, moment, transaction
from matokit_pipelines.toolserver.tracking.rows import (
    A_MOMENT,
    AHEAD,
    STATES,
    Row,
    columns,
    found_row,
    make_next_due,
    row_of,
)

DONE_STAYS = timedelta(hours=1)
DEAD_STAYS = timedelta(days=90)


def listed(connection: sqlite3.Connection, states: Collection[str] = (), limit: int | None = None) -> list[Row]:
    """Rows in any of `states` (all by default), newest first."""
    wanted = tuple(states) or STATES
    marks = ", ".join("?" * len(wanted))
    found = connection.execute(
        f"select {columns()} from tracking_queue where state in ({marks}) order by id desc limit ?",  # noqa: S608
        (*wanted, -1 if limit is None else limit),
    )
    return [row_of(row) for row in found]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows are in each state, all four named."""
    found = connection.execute("select state, count(*) as n from tracking_queue group by state")
    return dict.fromkeys(STATES, 0) | {row["state"]: row["n"] for row in found}


def waiting(connection: sqlite3.Connection) -> tuple[int, datetime | None]:
    """How many hits are neither done nor dead, and when the oldest of them was accepted (or tried anew)."""
    found = connection.execute(
        "select count(*) as n, min(coalesce(revived_at, accepted_at)) as oldest from tracking_queue "
        "where state in ('pending', 'sending')"
    ).fetchone()
    return int(found["n"]), instant(found["oldest"])


def retry(connection: sqlite3.Connection, now: datetime, ids: Sequence[int] = ()) -> list[int]:
    """Make dead hits due again, attempts and age counted anew; gives their numbers.

    Without `ids` all but those that came with a key and may have been counted: to count such a one twice has to be
    meant, hit by hit.
    """
    with transaction(connection):
        rows = [row for number in ids if (row := found_row(connection, number)) is not None]
        if not ids:
            rows = [row for row in reversed(listed(connection, ("dead",))) if not (row.is_once and row.is_unknown)]
        revived = [row for row in rows if row.state == "dead"]
        for row in revived:
            connection.execute(
                "update tracking_queue set state = 'pending', revived_at = ?, attempts = 0, finished_at = null, "
                "is_unknown = case when is_once then 0 else is_unknown end where id = ?",
                (moment(now), row.id),
            )
        for lane in {row.lane for row in revived}:
            make_next_due(connection, lane, now)
    return [row.id for row in revived]


def drop(connection: sqlite3.Connection, ids: Sequence[int] = ()) -> list[int]:
    """Delete dead hits, all of them without `ids`; gives their numbers."""
    with transaction(connection):
        dead = [row.id for row in listed(connection, ("dead",)) if not ids or row.id in ids]
        connection.executemany("delete from tracking_queue where id = ?", [(number,) for number in dead])
    return sorted(dead)


def tidy(connection: sqlite3.Connection, clock: Clock) -> int:
    """Delete what is done and whose key has ended, and what has been dead for 90 days. Gives how many rows."""
    with transaction(connection):
        now = clock.now()
        done = connection.execute(
            "delete from tracking_queue where state = 'done' and finished_at < :done "
            "and (idempotency_key is null or key_until <= :now) or state = 'dead' and finished_at < :dead",
            {"now": moment(now), "done": moment(now - DONE_STAYS), "dead": moment(now - DEAD_STAYS)},
        )
        connection.execute(
            "delete from tracking_holds where until < ? or until > ? or since > ?",
            (moment(now - DONE_STAYS), moment(now + AHEAD), moment(now + A_MOMENT)),
        )
    return done.rowcount
