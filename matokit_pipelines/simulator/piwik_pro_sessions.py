"""How Piwik PRO gathers events into sessions, and builds a session again when an event comes late.

Belongs here: sessions, their limits, and from when to when each copy of an event can be seen; arrays in, arrays out.
Does not belong here: what an event says, and answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
FOREVER = 2**62
HOUR = 3_600
COPY: dict[str, type[pl.DataType]] = {
    "event": pl.Int64,
    "first": pl.Int64,
    "index": pl.Int64,
    "excluded": pl.Boolean,
    "session": pl.Int64,
    "since": pl.Int64,
    "until": pl.Int64,
    "copy": pl.Int64,
}


@dataclass(frozen=True)
class Rules:
    """When a session ends: after `idle` seconds without an event, `longest` seconds or `most` events.

    excludes: events beyond the limits are lost until the visitor has been idle; else they begin another session.
    overlap: the most seconds for which the old copy of a session that is built again stays in sight.
    """

    idle: int = 1_800
    longest: int = 43_200
    most: int = 5_000
    excludes: bool = True
    overlap: int = HOUR


@dataclass(frozen=True)
class Grouped:
    """Events in sessions, ordered by session and place. session: 0, 1, ...; last: last second of the session."""

    event: Ints
    first: Ints
    index: Ints
    excluded: NDArray[np.bool_]
    session: Ints
    last: Ints


def group(event: Ints, visitor: Ints, ts: Ints, rules: Rules) -> Grouped:
    """Sessions of these events; events of one second stand in the order of their numbers."""
    order = np.lexsort((event, ts, visitor))
    event, visitor, ts = event[order], visitor[order], ts[order]
    begins = np.ones(len(event), dtype=np.bool_)
    begins[1:] = (visitor[1:] != visitor[:-1]) | (ts[1:] - ts[:-1] > rules.idle)
    while True:
        session = np.cumsum(begins) - 1
        start = np.flatnonzero(begins)
        index = np.arange(len(event)) - start[session]
        over = (ts - ts[start][session] > rules.longest) | (index >= rules.most)
        if rules.excludes or not over.any():
            break
        begins = begins | (over & ~np.concatenate(([False], over[:-1] & ~begins[1:])))
    ends = np.append(start[1:], len(event))[: len(start)] - 1
    return Grouped(event, event[start][session], index, over, session, ts[ends][session])


@dataclass
class _State:
    """By event: its newest copy, as far as known; -1 where there is none."""

    first: Ints
    index: Ints
    copy: Ints


def copies(event: Ints, visitor: Ints, ts: Ints, at: Ints, rules: Rules, delay: Callable[[Ints], Ints]) -> pl.DataFrame:
    """All copies of these events that are ever in sight, columns as COPY.

    ts: when an event happened, at: when it reached the server, epoch seconds. A session is in sight once it has
    ended and its delay (seconds, by its first event) has passed. Events that come late, up to `idle` apart, cause
    one new copy of the sessions they touch. `copy` counts the copies of an event from 0; `session` numbers the
    copies of sessions.
    """
    turn, moment = _turns(visitor, ts, at, rules.idle)
    size = int(event.max()) + 1 if len(event) else 0
    state = _State(*(np.full(size, -1, dtype=np.int64) for _ in range(3)))
    made: list[dict[str, NDArray[np.generic]]] = []
    sessions = 0
    for number in range(int(turn.max()) + 1 if len(turn) else 0):
        # Only visitors who have something new in this turn.
        touched = np.isin(visitor, visitor[turn == number]) & (turn <= number)
        if not touched.any():
            continue
        grouped = group(event[touched], visitor[touched], ts[touched], rules)
        known = np.zeros(size, dtype=np.int64)
        known[event[touched]] = np.where(turn == number, moment, 0)[touched]
        sessions += _take_in(grouped, known, state, made, sessions, rules, delay)
    if not made:
        return pl.DataFrame(schema=COPY)
    columns = {name: np.concatenate([part[name] for part in made]) for name in COPY}
    frame = pl.DataFrame(columns, schema=COPY)
    return frame.filter(pl.col("since") < pl.col("until"))


def _turns(visitor: Ints, ts: Ints, at: Ints, idle: int) -> tuple[Ints, Ints]:
    """By event: 0 if it came in time, else the number of its visitor's group of late events, and that group's end."""
    turn, moment = np.zeros(len(ts), dtype=np.int64), at.copy()
    late = np.flatnonzero(at > ts)
    if not len(late):
        return turn, moment
    late = late[np.lexsort((at[late], visitor[late]))]
    who, when = visitor[late], at[late]
    new_visitor = np.concatenate(([True], who[1:] != who[:-1]))
    begins = new_visitor.copy()
    begins[1:] |= when[1:] - when[:-1] > idle
    number = np.cumsum(begins)
    turn[late] = number - np.maximum.accumulate(np.where(new_visitor, number, 0)) + 1
    ends = np.append(np.flatnonzero(begins)[1:], len(late)) - 1
    moment[late] = when[ends][number - 1]
    return turn, moment


def _take_in(
    grouped: Grouped,
    known: Ints,
    state: _State,
    made: list[dict[str, NDArray[np.generic]]],
    sessions: int,
    rules: Rules,
    delay: Callable[[Ints], Ints],
) -> int:
    """Add copies of the sessions that changed, close those they replace; returns how many sessions were added."""
    event, session = grouped.event, grouped.session
    moved = (state.first[event] != grouped.first) | (state.index[event] != grouped.index)
    changed = np.zeros(int(session.max()) + 1, dtype=np.bool_)
    changed[session[moved]] = True
    heard = np.zeros(len(changed), dtype=np.int64)
    np.maximum.at(heard, session, known[event])
    keep = changed[session]
    event, session, first = event[keep], session[keep], grouped.first[keep]
    reached = heard[session]
    since = np.maximum(reached, grouped.last[keep] + rules.idle) + delay(first)
    _close(event, reached, since, state, made, rules.overlap)
    number = np.cumsum(changed) - 1
    state.first[event], state.index[event] = first, grouped.index[keep]
    state.copy[event] += 1
    made.append(
        {
            "event": event,
            "first": first,
            "index": grouped.index[keep],
            "excluded": grouped.excluded[keep],
            "session": sessions + number[session],
            "since": since,
            "until": np.full(len(event), FOREVER),
            "copy": state.copy[event].copy(),
        }
    )
    return int(changed.sum())


def _close(
    event: Ints, reached: Ints, since: Ints, state: _State, made: list[dict[str, NDArray[np.generic]]], overlap: int
) -> None:
    """End the open copies of these events: never seen if not yet in sight, else to a whole hour."""
    if not made:
        return
    replaced = np.full(len(state.first), FOREVER)
    replaced[event] = np.maximum(since, (since + overlap) // HOUR * HOUR)
    known = np.full(len(state.first), FOREVER)
    known[event] = reached
    for part in made:
        mine = np.asarray(part["event"], dtype=np.int64)
        until, seen = np.asarray(part["until"]), np.asarray(part["since"])
        open_ = until == FOREVER
        end = np.where(seen >= known[mine], seen, replaced[mine])
        part["until"] = np.where(open_, end, until)
