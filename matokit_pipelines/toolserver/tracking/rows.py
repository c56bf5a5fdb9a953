"""The rows of the tracking queue: from `pending` over `sending` to `done` or `dead`, in order within a lane.

Of each lane one row at most has a `due_at` (the table sees to that); the next gets one in the transaction that ends
the first, so nothing overtakes. A sender holds a row for a while (a lease). Where a lease ran out, the hit may have
been counted: it is sent again, unless it came with an idempotency key. A clock that is put back holds nothing up, as a
row knows by which time it waits; one that jumps ahead ends leases. Not here: sending (queue.py), tidying and what the
command line does (keeping.py).
"""

from __future__ import annotations

import random
import sqlite3
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from matokit_pipelines.clock import Clock
from matokit_pipelines.sources.tracking_hits import Ended, Later, Refused, Taken
from matokit_pipelines.state import instant, moment, transaction
from matokit_pipelines.toolserver.tracking.hits import Hit

RowState = Literal["pending", "sending", "done", "dead"]
STATES: tuple[RowState, ...] = ("pending", "sending", "done", "dead")
OLDEST = timedelta(hours=24)  # an older one Matomo takes only from a token that may write
MOST_ATTEMPTS = 150
FIRST_WAIT, LONGEST_WAIT = 0.15, 900.0
# Further ahead nothing is due, leased or held: what is was written before the clock was put back, as was what waits
# since a time to come. A moment is allowed for a clock that is corrected a little. Whoever writes asks for the time
# when he has the right to: by a time from before the wait for it, what others wrote meanwhile would lie ahead.
AHEAD, A_MOMENT = timedelta(seconds=LONGEST_WAIT + 120.0), timedelta(seconds=5)
DOWN = 5.0  # seconds that a tracker is left alone after it could not be reached
UNKNOWN, GIVEN_UP = "outcome unknown", "given up"
_COLUMNS = (
    "id, site, site_name, tracker, lane, kind, page_view, is_once, state, accepted_at, revived_at, attempts, due_at, "
    "lease_owner, finished_at, status, is_unknown, error"
)
_OURS = "id = :id and lease_owner = :owner and state = 'sending'"
_IS_HELD = (
    "exists (select 1 from tracking_holds as h where h.tracker = q.tracker and h.until > :now and h.until <= :far "
    "and coalesce(h.since, '') <= :soon)"
)
CLAIMABLE = f"(q.due_at <= :now or q.due_at > :far or q.due_at is not null and q.waits_from > :soon) and not {_IS_HELD}"


@dataclass(frozen=True)
class Row:
    """One row; times in UTC. status: what the Matomo answered last. is_unknown: it may have been counted although it
    is not done. error: why it waits or is dead."""

    id: int
    site: str
    site_name: str
    tracker: str
    lane: str = field(repr=False)
    kind: str
    page_view: str | None
    is_once: bool
    state: RowState
    accepted_at: datetime
    attempts: int
    revived_at: datetime | None = None
    due_at: datetime | None = None
    lease_owner: str | None = None
    finished_at: datetime | None = None
    status: int | None = None
    is_unknown: bool = False
    error: str | None = None

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "dead")

    def is_given_up(self, now: datetime) -> bool:
        """Whether there is no further attempt after one that just failed."""
        return now - (self.revived_at or self.accepted_at) >= OLDEST or self.attempts + 1 >= MOST_ATTEMPTS


class KeyTaken(Exception):
    """The idempotency key stands for another hit."""


@dataclass(frozen=True)
class Claimed:
    """A row that this sender holds until its lease ends."""

    row: Row
    payload: str = field(repr=False)


def accept(connection: sqlite3.Connection, hit: Hit, now: datetime) -> tuple[Row, bool]:
    """Put a hit in; the row it is, and whether it is new. KeyTaken when its key stands for another hit.

    Inside the caller's transaction: what is committed is accepted.
    """
    if hit.key is not None and (known := _known(connection, hit, now)) is not None:
        return known, False
    lane = hit.lane or f"alone {uuid.uuid4().hex}"
    first = connection.execute(
        "select 1 from tracking_queue where lane = ? and state in ('pending', 'sending') limit 1", (lane,)
    ).fetchone()
    done = connection.execute(
        "insert into tracking_queue (site, site_name, tracker, lane, kind, payload, page_view, idempotency_key, "
        "key_until, digest, is_once, accepted_at, due_at, waits_from, state) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
        (
            hit.site, hit.site_name, hit.tracker, lane, hit.kind, hit.payload, hit.page_view, hit.key,
            moment(now + hit.key_lasts) if hit.key is not None else None, hit.digest, int(hit.key is not None),
            moment(now), moment(now) if first is None else None, moment(now),
        ),
    )  # fmt: skip
    return _by_id(connection, int(done.lastrowid or 0)), True


def _known(connection: sqlite3.Connection, hit: Hit, now: datetime) -> Row | None:
    """The row of the hit's key. A key ends with its time, but not before its hit is done."""
    found = connection.execute(
        f"select {_COLUMNS}, key_until, digest from tracking_queue where idempotency_key = ?",  # noqa: S608
        (hit.key,),
    ).fetchone()
    if found is None:
        return None
    if found["state"] in ("done", "dead") and str(found["key_until"]) <= str(moment(now)):
        connection.execute("update tracking_queue set idempotency_key = null where id = ?", (found["id"],))
        return None
    if found["digest"] != hit.digest:
        raise KeyTaken
    return row_of(found)


def claim(connection: sqlite3.Connection, *, owner: str, clock: Clock, lease: timedelta) -> Claimed | Row | None:
    """Take the row that is due for longest, for as long as `lease`; None when nothing is due.

    A bare Row: one with a key whose earlier attempt was never ended. It is dead now, and nothing is to be sent.
    """
    with transaction(connection):
        now = clock.now()
        found = connection.execute(
            f"select {_COLUMNS}, payload from tracking_queue as q where {CLAIMABLE} "  # noqa: S608
            "order by q.due_at, q.id limit 1",
            _times(now),
        ).fetchone()
        if found is None:
            return None
        row = row_of(found)
        if row.state == "sending" and row.due_at is not None and row.due_at > now:  # the clock was put back
            connection.execute(
                "update tracking_queue set due_at = ?, waits_from = ? where id = ?",
                (moment(now + lease), moment(now), row.id),
            )
            return None
        if row.state == "sending" and row.is_once:
            _end(connection, row, "dead", now, error=f"{UNKNOWN}: its sender ended in the middle of it", unknown=True)
            return _by_id(connection, row.id)
        connection.execute(
            "update tracking_queue set state = 'sending', due_at = ?, waits_from = ?, lease_owner = ?, "
            "attempts = attempts + ?, is_unknown = max(is_unknown, ?) where id = ?",
            (moment(now + lease), moment(now), owner, int(row.state == "sending"), int(row.state == "sending"), row.id),
        )
        return Claimed(_by_id(connection, row.id), found["payload"])


def settle(
    connection: sqlite3.Connection, row: Row, ended: Ended, clock: Clock, dice: random.Random
) -> tuple[Row, bool]:
    """Write down how an attempt ended; the row as it is then, and whether it still was this sender's.

    Where it was not, another sender answers for it and nothing is changed.
    """
    with transaction(connection):
        ours = connection.execute(
            f"select 1 from tracking_queue where {_OURS}",  # noqa: S608
            {"id": row.id, "owner": row.lease_owner},
        ).fetchone()
        if ours is not None:
            _settle(connection, row, ended, clock.now(), dice)
        return _by_id(connection, row.id), ours is not None


def _settle(connection: sqlite3.Connection, row: Row, ended: Ended, now: datetime, dice: random.Random) -> None:
    match ended:
        case Taken(status):
            _end(connection, row, "done", now, status=status)
        case Refused(why, status):
            _end(connection, row, "dead", now, status=status, error=why, unknown=row.is_unknown)
        case Later(why, is_unknown, status) if is_unknown and row.is_once:
            _end(connection, row, "dead", now, status=status, error=f"{UNKNOWN}: {why}", unknown=True)
        case Later(why, is_unknown, status) if row.is_given_up(now):
            _end(connection, row, "dead", now, status=status, error=f"{GIVEN_UP}: {why}",
                 unknown=is_unknown or row.is_unknown)  # fmt: skip
        case Later(why, is_unknown, status):
            wait = max(back_off(row.attempts + 1, dice), timedelta(seconds=ended.wait or 0.0))
            connection.execute(
                "update tracking_queue set state = 'pending', due_at = ?, waits_from = ?, lease_owner = null, "
                "attempts = attempts + 1, status = ?, is_unknown = max(is_unknown, ?), error = ? where id = ?",
                (moment(now + wait), moment(now), status, int(is_unknown), why, row.id),
            )
    if isinstance(ended, Later) and (ended.wait is not None or ended.is_down):
        hold(connection, row.tracker, now, timedelta(seconds=DOWN if ended.wait is None else ended.wait))


def _end(
    connection: sqlite3.Connection, row: Row, state: RowState, now: datetime, *, status: int | None = None,
    error: str | None = None, unknown: bool = False,
) -> None:  # fmt: skip
    """Done or dead; the next of its lane is due. Of what is done is forgotten what it told, and whose it was."""
    connection.execute(
        "update tracking_queue set state = :state, due_at = null, lease_owner = null, finished_at = :now, "
        "attempts = attempts + 1, status = :status, error = :error, is_unknown = :unknown, "
        "payload = case :state when 'done' then '{}' else payload end, "
        "lane = case :state when 'done' then '' else lane end where id = :id",
        {
            "state": state, "now": moment(now), "status": status, "error": error, "unknown": int(unknown),
            "id": row.id,
        },
    )  # fmt: skip
    make_next_due(connection, row.lane, now)


def make_next_due(connection: sqlite3.Connection, lane: str, now: datetime) -> None:
    """Let the first that waits in a lane go, when none of it may go yet."""
    connection.execute(
        "update tracking_queue set due_at = :now, waits_from = :now "
        "where id = (select min(id) from tracking_queue where lane = :lane and state in ('pending', 'sending')) "
        "and not exists (select 1 from tracking_queue where lane = :lane and due_at is not null)",
        {"now": moment(now), "lane": lane},
    )


def hold(connection: sqlite3.Connection, tracker: str, now: datetime, span: timedelta) -> None:
    """Leave a tracker alone for a while."""
    connection.execute(
        "insert into tracking_holds (tracker, until, since) values (:tracker, :until, :now) on conflict (tracker) "
        "do update set since = :now, until = case when until > :far or since > :soon then excluded.until "
        "else max(until, excluded.until) end",
        {"tracker": tracker, "until": moment(now + span), **_times(now)},
    )


def _times(now: datetime) -> dict[str, str | None]:
    """What CLAIMABLE needs."""
    return {"now": moment(now), "soon": moment(now + A_MOMENT), "far": moment(now + AHEAD)}


def back_off(attempts: int, dice: random.Random) -> timedelta:
    """The wait after so many attempts: 0.15 s, doubled each time, 15 minutes at most, a quarter of it by chance."""
    longest = min(FIRST_WAIT * 2.0 ** min(attempts - 1, 20), LONGEST_WAIT)
    return timedelta(seconds=longest * dice.uniform(0.75, 1.0))


def found_row(connection: sqlite3.Connection, number: int) -> Row | None:
    """A row by its number."""
    found = connection.execute(f"select {_COLUMNS} from tracking_queue where id = ?", (number,)).fetchone()  # noqa: S608
    return row_of(found) if found else None


def goes_from(connection: sqlite3.Connection, row: Row) -> datetime | None:
    """From when on a waiting row may be attempted, as far as it is known: what stands before it may take longer."""
    found = connection.execute(
        "select max(due_at, coalesce((select until from tracking_holds where tracker = ?), '')) as at "
        "from tracking_queue where lane = ? and due_at is not null and state = 'pending'",
        (row.tracker, row.lane),
    ).fetchone()
    return instant(found["at"]) if found else None


def is_due(connection: sqlite3.Connection, now: datetime) -> bool:
    """Whether something may be sent now."""
    found = connection.execute(
        f"select 1 from tracking_queue as q where {CLAIMABLE} limit 1",  # noqa: S608
        _times(now),
    )
    return found.fetchone() is not None


def is_full(connection: sqlite3.Connection, most: int) -> bool:
    """Whether that many hits wait."""
    found = connection.execute("select count(*) as n from tracking_queue where state in ('pending', 'sending')")
    return int(found.fetchone()["n"]) >= most


def next_due(connection: sqlite3.Connection) -> datetime | None:
    """When something may next be sent: in the past when it is due already; None when nothing waits."""
    found = connection.execute(
        "select min(max(q.due_at, coalesce(h.until, ''))) as at from tracking_queue as q "
        "left join tracking_holds as h on h.tracker = q.tracker where q.due_at is not null"
    ).fetchone()
    return instant(found["at"])


def columns() -> str:
    """The columns that make a Row."""
    return _COLUMNS


def _by_id(connection: sqlite3.Connection, number: int) -> Row:
    found = found_row(connection, number)
    if found is None:
        raise LookupError(f"no hit {number} in the tracking queue")
    return found


def row_of(found: sqlite3.Row) -> Row:
    """A Row of what was selected by its columns."""
    values = {name: found[name] for name in _COLUMNS.split(", ")}
    for name in ("accepted_at", "revived_at", "due_at", "finished_at"):
        values[name] = instant(values[name])
    return Row(**(values | {"is_once": bool(values["is_once"]), "is_unknown": bool(values["is_unknown"])}))
