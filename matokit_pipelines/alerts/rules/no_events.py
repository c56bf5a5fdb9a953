"""no_events: nothing arrives although something usually does in these hours.

What is looked at is the time since the last event, from an hour on and a week at most, held against the same stretch
of the local clock in each of the last weeks. A silence of more than a week is held against the weeks before it: it
must not become usual by lasting. Not here: data that are not complete (data_stale.py); a tick is never later than
the watermark.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.alert_settings import NoEvents
from matokit_pipelines.alerts.findings import NOT_EVALUABLE, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.verdicts import ALL, Input
from matokit_pipelines.statistics import chance_of_none, chance_of_none_after
from matokit_pipelines.warehouse.event_columns import DAY, HOUR, Bools, Ints, instant_of

RULE = "no_events"
WEEK = 7 * DAY
SILENT_FROM = HOUR
# A silence may begin after any event, so that its chance is asked for many times a week and counts so many times over.
# Without it, invented weeks of 500 events a day without a fault had an alarm in every fourth.
ASKED_OFTEN = 20
QUARTER = HOUR // 4  # offsets change at quarters of an hour only


@dataclass(frozen=True)
class _Silences:
    """Of each tick: the time of the last event before it, the start of the stretch without events that is looked at,
    how long the silence is, and whether it is long enough to be looked at (never without an event before)."""

    last: Ints
    start: Ints
    length: Ints
    is_long: Bools


def findings(context: Context, rule: NoEvents) -> Findings:
    """One row a tick, of everything."""
    ticks = context.ticks
    silences = _silences(context)
    expected = np.full(len(ticks), np.nan)
    weeks = np.zeros(len(ticks), dtype=np.int64)
    if silences.is_long.any():
        expected[silences.is_long], weeks[silences.is_long] = _expected(context, rule, silences)
    is_known = (~silences.is_long | (weeks > 0)) & _is_of_age(context)
    state = np.where(is_known, OK, NOT_EVALUABLE).astype(np.int8)
    rarity = [chance_of_none(value) if value == value else None for value in expected.tolist()]
    raw = np.array([chance is not None and chance < rule.guard.alpha for chance in rarity], dtype=np.bool_)
    n, failures = context.history.between(context.span[0] - SILENT_FROM, context.span[1]).counts(
        np.where(silences.is_long, silences.start, ticks - SILENT_FROM), ticks
    )
    inputs: dict[int, dict[str, Input]] = {
        row: {
            "since": instant_of(silences.last[row]).isoformat(),
            "hours": float(silences.length[row] / HOUR),
            "expected": float(expected[row]),
            "weeks": int(weeks[row]),
            "chance": rarity[row],
        }
        for row in np.flatnonzero(silences.is_long & (weeks > 0)).tolist()
    }
    found = Raw(Rows.one(ALL, len(ticks)), state, raw & (state == OK), {"n": n, "failures": failures}, inputs)

    def ask(row: int, asked: Asked) -> None:
        if silences.is_long[row]:
            _ask(context, rule, silences, row, asked)

    return guarded(RULE, context.environment, ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _silences(context: Context) -> _Silences:
    ticks, history = context.ticks, context.history
    events = history.between(context.span[0] - SILENT_FROM, context.span[1])
    place = np.searchsorted(events.ts, ticks) - 1
    last = events.ts[np.maximum(place, 0)] if len(events) else np.zeros(len(ticks), dtype=np.int64)
    has_last = place >= 0
    if not has_last.all():  # silent since before what was read
        before = history.last_before(int(ticks[0]))
        last = np.where(has_last, last, before if before is not None else ticks)
        has_last |= before is not None
    length = ticks - last
    return _Silences(last, np.maximum(last + 1, ticks - WEEK), length, has_last & (length >= SILENT_FROM))


def _is_of_age(context: Context) -> Bools:
    first = context.history.first()
    return np.full(len(context.ticks), False) if first is None else context.ticks - first >= WEEK


def _stretches(context: Context, rule: NoEvents, silences: _Silences, which: Ints) -> list[tuple[Ints, Ints]]:
    """Starts and ends of the same stretch in each earlier week, for ticks `which`."""
    start, end = silences.start[which], context.ticks[which]
    nearest = -(-silences.length[which] // WEEK)  # the first week that lies before the silence
    return [
        (weeks_before(start, nearest + further, context.zone), weeks_before(end, nearest + further, context.zone))
        for further in range(rule.weeks)
    ]


def _expected(context: Context, rule: NoEvents, silences: _Silences) -> tuple[NDArray[np.float64], Ints]:
    """Of each long silence: mean events of the same stretch of earlier weeks, and of how many weeks."""
    first = context.history.first()
    which = np.flatnonzero(silences.is_long)
    total, weeks = np.zeros(len(which), dtype=np.int64), np.zeros(len(which), dtype=np.int64)
    for starts, ends in _stretches(context, rule, silences, which):
        is_known = starts >= (first if first is not None else ends)
        if not is_known.any():
            continue
        counts, _ = context.history.between(int(starts.min()), int(ends.max())).counts(starts, ends)
        total, weeks = total + counts * is_known, weeks + is_known
    return np.where(weeks > 0, total / np.maximum(weeks, 1), np.nan), weeks


def _ask(context: Context, rule: NoEvents, silences: _Silences, row: int, asked: Asked) -> None:
    """Machines instead of events: the events of one machine come together, and no machine comes by chance alone."""
    is_shared, first = context.is_shared(int(silences.last[row])), context.history.first()
    machines = weeks = 0
    for starts, ends in _stretches(context, rule, silences, np.array([row])):
        start, end = int(starts[0]), int(ends[0])
        if first is None or start < first:
            continue
        weeks += 1
        events = context.history.between(start, end)
        window = events.window(start, end)
        keys = events.machine[window]
        machines += (len(keys) + 1) // 2 if is_shared else len(np.unique(keys))
    if not weeks:
        return
    chance = min(1.0, ASKED_OFTEN * chance_of_none_after(machines, weeks))
    asked.inputs.update(expected_machines=machines / weeks, chance_by_machines=chance)
    asked.need(chance < rule.guard.alpha, "chance")


def weeks_before(instants: Ints, weeks: Ints, zone: ZoneInfo) -> Ints:
    """What the local clock showed so many weeks earlier, as instants."""
    back = instants - weeks * WEEK
    return back + _offsets(instants, zone) - _offsets(back, zone)


def _offsets(instants: Ints, zone: ZoneInfo) -> Ints:
    """Offset of `zone` from UTC at each instant, in microseconds; of the beginning of its quarter of an hour."""
    quarters, place = np.unique(instants // QUARTER, return_inverse=True)
    known = [instant_of(quarter * QUARTER).astimezone(zone).utcoffset() or timedelta() for quarter in quarters]
    return np.array([offset // timedelta(microseconds=1) for offset in known], dtype=np.int64)[place]
