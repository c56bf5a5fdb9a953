"""The outbox: rows of messages in the store, from `pending` over `sending` to `sent` or `dead`. One row a destination.

Whoever decides that something is told puts rows in within its own transaction; senders claim them for a while (a
lease), so that a sender that dies holds up nothing for long. Not here: sending (draining.py), what is told (alerts/),
clocks that are put back (put_back.py).
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.delivery.put_back import AGE_BY_NOW, STARTED_BY_NOW, put_right, times
from matokit_pipelines.state import instant, moment, transaction

RowState = Literal["pending", "sending", "sent", "dead"]
STATES: tuple[RowState, ...] = ("pending", "sending", "sent", "dead")
LONGEST_BACK_OFF = 300.0
MOST_TRIES = 50
CRITICAL_AGE, OTHER_AGE = timedelta(hours=24), timedelta(days=14)
# Strictly in order within a conversation: nothing overtakes an earlier row that may still be delivered.
_IS_NEXT = """
    o.state in ('pending', 'sending') and not exists (
        select 1 from outbox as earlier
        where earlier.conversation = o.conversation and earlier.id < o.id and earlier.state in ('pending', 'sending')
    )
"""
# A service is what stands before the colon of a destination, or all of it. Looking may be held without sending.
_HELD_UNTIL = """
    select max(h.until) from holds as h
    where h.method = 'send' and (o.destination = h.service or o.destination like h.service || ':%')
"""
_READY_AT = f"""
    max(case o.state when 'pending' then o.next_at else o.lease_until end, coalesce(({_HELD_UNTIL}), ''))
"""
_CLAIMABLE = f"{_IS_NEXT} and {_READY_AT} <= :now"
_WANTED = "(:only is null or o.message_key in (select value from json_each(:only)))"
_OURS = "id = :id and lease_owner = :owner and state = 'sending'"
_LET_GO = "lease_until = null, lease_owner = null"
_COLUMNS = (
    "id, message_key, conversation, destination, severity, state, attempts, answered, is_plain, created_at, "
    "revived_at, next_at, lease_until, lease_owner, started_at, is_put_back, sent_at, provider_ref, error, "
    "json_extract(payload, '$.subject') as subject"
)


@dataclass(frozen=True)
class Row:
    """One row; times in UTC.

    attempts: calls that came to no good end; answered: those of them that the service answered. is_plain: its content
    was refused, so the plain text alone is sent. started_at: when the first call began whose outcome is not known;
    is_put_back: that was by another clock than this one. provider_ref: what the service calls it. error: why it waits
    or is dead, or what went wrong beside its delivery.
    """

    id: int
    message_key: str
    conversation: str
    destination: str
    severity: str
    subject: str
    state: RowState
    attempts: int
    answered: int
    is_plain: bool
    created_at: datetime
    next_at: datetime
    revived_at: datetime | None = None
    lease_until: datetime | None = None
    lease_owner: str | None = None
    started_at: datetime | None = None
    is_put_back: bool = False
    sent_at: datetime | None = None
    provider_ref: str | None = None
    error: str | None = None

    def is_given_up(self, now: datetime) -> bool:
        """Whether it is too late, or was tried too often: a critical message of yesterday would only mislead."""
        most = CRITICAL_AGE if self.severity == "critical" else OTHER_AGE
        return now - (self.revived_at or self.created_at) > most or self.answered >= MOST_TRIES


@dataclass(frozen=True)
class Claimed:
    """A row that this sender holds. is_unknown: an earlier call may have delivered it, so look before sending."""

    row: Row
    message: Message = field(repr=False)
    is_unknown: bool


def enqueue(
    connection: sqlite3.Connection,
    *,
    message_key: str,
    conversation: str,
    destination: str,
    severity: str,
    message: Message,
    due: datetime,
    now: datetime,
) -> bool:
    """Put a message in, inside the caller's transaction; False when its key is there already, whatever its state."""
    payload = message.to_json().encode("utf-8", "replace").decode()  # half a surrogate pair is no text
    values = (message_key, conversation, destination, severity, payload, moment(now), moment(due), moment(now))
    done = connection.execute(
        "insert into outbox (message_key, conversation, destination, severity, payload, state, created_at, next_at, "
        "waits_from) values (?, ?, ?, ?, ?, 'pending', ?, ?, ?) on conflict (message_key) do nothing",
        values,
    )
    return done.rowcount == 1


def claim(
    connection: sqlite3.Connection,
    *,
    destination: str,
    owner: str,
    now: datetime,
    lease: timedelta,
    only: Collection[str] | None = None,
) -> Claimed | None:
    """Take the oldest row of a destination that may be sent now, until `now + lease`; None when there is none.

    `only`: message keys; no other row is taken.
    """
    with transaction(connection):
        put_right(connection, now)
        found = connection.execute(
            f"select {_COLUMNS}, payload from outbox as o "  # noqa: S608
            f"where o.destination = :destination and {_WANTED} and {_CLAIMABLE} order by o.id limit 1",
            {"now": moment(now), "destination": destination, "only": _keys(only)},
        ).fetchone()
        if found is None:
            return None
        is_unknown = found["started_at"] is not None
        connection.execute(
            "update outbox set state = 'sending', lease_until = ?, lease_owner = ?, waits_from = ?, "
            "started_at = coalesce(started_at, ?) where id = ?",
            (moment(now + lease), owner, moment(now), moment(now), found["id"]),
        )
        taken = connection.execute(f"select {_COLUMNS} from outbox where id = ?", (found["id"],)).fetchone()  # noqa: S608
    return Claimed(_row(taken), Message.from_json(found["payload"]), is_unknown)


def renew(connection: sqlite3.Connection, row: Row, now: datetime, lease: timedelta) -> bool:
    """Hold a claimed row for longer; False when another sender took it over, who then answers for it."""
    done = connection.execute(
        "update outbox set lease_until = :until, waits_from = :now, "  # noqa: S608
        f"{STARTED_BY_NOW}, {AGE_BY_NOW} where {_OURS}",
        {"until": moment(now + lease), **times(now), **_ours(row)},
    )
    return done.rowcount == 1


def is_begun_anew(connection: sqlite3.Connection, row: Row) -> bool:
    """Whether the clock was put back since the row was claimed, so that its first call began earlier than it says."""
    found = connection.execute("select started_at, is_put_back from outbox where id = ?", (row.id,)).fetchone()
    return found is not None and (instant(found["started_at"]), bool(found["is_put_back"])) != (
        row.started_at, row.is_put_back,
    )  # fmt: skip


def mark_sent(
    connection: sqlite3.Connection, row: Row, now: datetime, provider_ref: str | None, note: str | None = None
) -> bool:
    """It was delivered. `note`: what went wrong beside it. False when the row is no longer ours."""
    done = connection.execute(
        "update outbox set state = 'sent', sent_at = :now, provider_ref = :provider_ref, error = :note, "  # noqa: S608
        f"{_LET_GO} where {_OURS}",
        {"now": moment(now), "provider_ref": provider_ref, "note": note, **_ours(row)},
    )
    return done.rowcount == 1


def mark_waiting(
    connection: sqlite3.Connection,
    claimed: Claimed,
    *,
    now: datetime,
    next_at: datetime,
    why: str,
    certain: bool,
    answered: bool,
    provider_ref: str | None = None,
    is_plain: bool = False,
    is_counted: bool = True,
) -> bool:
    """It is to be tried again at `next_at`. `certain`: this call delivered nothing; else it is looked for first.

    `answered`: it uses up one of its tries; `is_counted`: it makes the next wait longer.
    """
    row, delivered_nothing = claimed.row, certain and not claimed.is_unknown
    started = "started_at = null, is_put_back = 0" if delivered_nothing else STARTED_BY_NOW
    done = connection.execute(
        "update outbox set state = 'pending', next_at = :next_at, waits_from = :now, error = :why, "  # noqa: S608
        "attempts = attempts + :counted, answered = answered + :answered, "
        "provider_ref = coalesce(:provider_ref, provider_ref), is_plain = max(is_plain, :is_plain), "
        f"{started}, {AGE_BY_NOW}, {_LET_GO} where {_OURS}",
        {
            "next_at": moment(next_at), "why": why, "counted": int(is_counted), "answered": int(answered),
            "provider_ref": provider_ref, "is_plain": int(is_plain), **times(now), **_ours(row),
        },
    )  # fmt: skip
    return done.rowcount == 1


def mark_dead(connection: sqlite3.Connection, row: Row, why: str) -> bool:
    """It is given up; what follows in its conversation goes on without it."""
    done = connection.execute(
        f"update outbox set state = 'dead', error = :why, {_LET_GO} where {_OURS}",  # noqa: S608
        {"why": why, **_ours(row)},
    )
    return done.rowcount == 1


def note(connection: sqlite3.Connection, row: Row, text: str) -> None:
    """Add to a row that was sent what went wrong after it."""
    connection.execute("update outbox set error = ? where id = ? and state = 'sent'", (text, row.id))


def back_off(attempts: int, dice: random.Random) -> timedelta:
    """The wait after so many attempts: 2^k seconds, five minutes at most, a quarter of it left to chance."""
    longest = min(2.0 ** min(attempts, 20), LONGEST_BACK_OFF)
    return timedelta(seconds=longest * dice.uniform(0.75, 1.0))


def due_destinations(connection: sqlite3.Connection, now: datetime, only: Collection[str] | None = None) -> list[str]:
    """Destinations with a row that may be sent now (of the message keys `only`), the one that waits longest first.

    Where the clock was put back, waits are first brought to `now`.
    """
    put_right(connection, now)
    found = connection.execute(
        f"select o.destination, min(o.id) as first from outbox as o where {_WANTED} and {_CLAIMABLE} "  # noqa: S608
        "group by o.destination order by first",
        {"now": moment(now), "only": _keys(only)},
    )
    return [row["destination"] for row in found]


def next_due(connection: sqlite3.Connection) -> datetime | None:
    """When something may next be sent: in the past when it is due already; None when nothing waits."""
    found = connection.execute(
        f"select min({_READY_AT}) as at from outbox as o where {_IS_NEXT}"  # noqa: S608
    ).fetchone()
    return instant(found["at"])


def root_of(connection: sqlite3.Connection, row: Row) -> Row | None:
    """The first message of the row's conversation that was delivered before it: what it answers to."""
    found = connection.execute(
        f"select {_COLUMNS} from outbox where conversation = ? and id < ? and state = 'sent' order by id limit 1",  # noqa: S608
        (row.conversation, row.id),
    ).fetchone()
    return _row(found) if found else None


def last_sent(connection: sqlite3.Connection, destination: str) -> Row | None:
    """What was delivered to a destination last."""
    found = connection.execute(
        f"select {_COLUMNS} from outbox where destination = ? and state = 'sent' "  # noqa: S608
        "order by sent_at desc, id desc limit 1",
        (destination,),
    ).fetchone()
    return _row(found) if found else None


def listed(connection: sqlite3.Connection, states: Collection[str] = (), limit: int | None = None) -> list[Row]:
    """Rows in any of `states` (all by default), newest first."""
    wanted = tuple(states) or STATES
    marks = ", ".join("?" * len(wanted))
    found = connection.execute(
        f"select {_COLUMNS} from outbox where state in ({marks}) order by id desc limit ?",  # noqa: S608
        (*wanted, -1 if limit is None else limit),
    )
    return [_row(row) for row in found]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows are in each state, all four named."""
    found = connection.execute("select state, count(*) as n from outbox group by state")
    return dict.fromkeys(STATES, 0) | {row["state"]: row["n"] for row in found}


def retry(connection: sqlite3.Connection, now: datetime, message_key: str | None = None) -> int:
    """Make due at once what is dead, its tries and its age counted anew; with a key also a row that waits.

    Gives how many. Who of a mail's recipients got it is not forgotten, nor that a call may have delivered it.
    """
    done = connection.execute(
        "update outbox set state = 'pending', next_at = :now, waits_from = :now, attempts = 0, answered = 0, "  # noqa: S608
        f"is_plain = 0, {STARTED_BY_NOW}, "
        "revived_at = case when state = 'dead' or coalesce(revived_at, created_at) > :soon then :now else revived_at "
        "end "
        "where state = 'dead' and :key is null or message_key = :key and state in ('dead', 'pending')",
        {"key": message_key, **times(now)},
    )
    return done.rowcount


def tidy(connection: sqlite3.Connection, before: datetime) -> int:
    """Delete conversations in which nothing waits and nothing was put in since `before`. Gives how many rows."""
    done = connection.execute(
        "delete from outbox where conversation in (select conversation from outbox group by conversation "
        "having max(created_at) < ? and max(coalesce(revived_at, '')) < ? "
        "and sum(state in ('pending', 'sending')) = 0)",
        (moment(before), moment(before)),
    )
    return done.rowcount


def hold(connection: sqlite3.Connection, service: str, method: str, until: datetime, now: datetime) -> None:
    """A service (`slack`, `webhook:chat`) asked not to be called for a while; `send` is the method that sends."""
    connection.execute(
        "insert into holds (service, method, until, since) values (:service, :method, :until, :now) "
        "on conflict (service, method) do update set since = excluded.since, "
        "until = case when since > :soon then excluded.until else max(until, excluded.until) end",
        {"service": service, "method": method, "until": moment(until), **times(now)},
    )


def held_until(
    connection: sqlite3.Connection, service: str, methods: Collection[str], now: datetime
) -> datetime | None:
    """Until when one of the methods of a service may not be called; None when all may.

    A hold by a clock that was put back meanwhile is none: the service asks again, if it has to.
    """
    found = connection.execute(
        "select method, until from holds where service = :service and until > :now and coalesce(since, '') <= :soon",
        {"service": service, **times(now)},
    ).fetchall()
    return max((at for row in found if row["method"] in methods and (at := instant(row["until"]))), default=None)


def held_to(connection: sqlite3.Connection, row: Row, now: datetime) -> datetime | None:
    """Until when the service of a row's destination may not be sent to; None when it may be."""
    found = connection.execute(f"select ({_HELD_UNTIL}) as at from outbox as o where o.id = ?", (row.id,)).fetchone()  # noqa: S608
    at = instant(found["at"]) if found else None
    return at if at is not None and at > now else None


def _ours(row: Row) -> dict[str, int | str | None]:
    return {"id": row.id, "owner": row.lease_owner}


def _keys(only: Collection[str] | None) -> str | None:
    return None if only is None else json.dumps(sorted(only))


def _row(found: sqlite3.Row) -> Row:
    values = {name: found[name] for name in found.keys()}  # noqa: SIM118
    for name in ("created_at", "revived_at", "next_at", "lease_until", "started_at", "sent_at"):
        values[name] = instant(values[name])
    return Row(**(values | {name: bool(values[name]) for name in ("is_plain", "is_put_back")}))
