"""arch_gap: on the last complete local day, one architecture failed more often than all others together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matokit_pipelines.alert_settings import ArchGap
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NO_DATA, NOT_EVALUABLE, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_more_by
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.warehouse.event_columns import Bools, Events, instant_of, microseconds
from matokit_pipelines.windows import ONE_DAY, local_date, start_of_day

RULE = "arch_gap"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Row:
    """An architecture on a day: what it did, what all others did. `which` among `events`: its own, and the others'."""

    subject: str
    tick: int
    state: int
    n: int = 0
    failures: int = 0
    before_n: int = 0
    before_failures: int = 0
    events: Events | None = None
    own: Bools | None = None


def findings(context: Context, rule: ArchGap) -> Findings:
    """Rows of the day before each tick; ticks are starts of local days."""
    found = sorted(
        (row for place in range(len(context.ticks)) for row in _rows(context, place)),
        key=lambda row: (row.subject, row.tick),
    )
    subjects = tuple(dict.fromkeys(row.subject for row in found))
    ticks = np.array([row.tick for row in found], dtype=np.int64)
    rows = Rows(subjects, np.array([subjects.index(row.subject) for row in found], dtype=np.int64), ticks, ticks)
    counts = {
        name: np.array([getattr(row, name) for row in found], dtype=np.int64)
        for name in ("n", "failures", "before_n", "before_failures")
    }
    raw = is_more_by(counts["failures"], counts["n"], counts["before_failures"], counts["before_n"], rule.gap_points)
    state = np.array([row.state for row in found], dtype=np.int8)

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, found[row], asked)

    return guarded(
        RULE, context.environment, context.ticks, Raw(rows, state, raw, counts), rule.guard, ask,
        is_thorough=context.is_thorough,
    )  # fmt: skip


def _day_before(context: Context, tick: int) -> tuple[int, int]:
    """The last local day that is complete at a tick."""
    today = local_date(instant_of(tick), context.zone)
    starts = (start_of_day(day, context.zone) for day in (today - ONE_DAY, today))
    start, end = (microseconds(instant) for instant in starts)
    return start, end


def _rows(context: Context, place: int) -> Iterator[_Row]:
    """One row an architecture; a single one of everything where there are not two."""
    start, end = _day_before(context, int(context.ticks[place]))
    loaded = context.history.between(start, end)
    events = loaded.taken(loaded.window(start, end))
    known = [code for code, name in enumerate(events.architectures) if name != UNKNOWN]
    is_known = np.isin(events.architecture, known)
    events = events.taken(is_known)
    n = np.bincount(events.architecture, minlength=len(events.architectures))
    failures = np.bincount(events.architecture[events.failed], minlength=len(events.architectures))
    there = np.flatnonzero(n).tolist()
    if len(there) < 2:
        state = NOT_EVALUABLE if there else NO_DATA
        yield _Row(ALL, place, state, int(n.sum()), int(failures.sum()))
        return
    for code in there:
        yield _Row(
            events.architectures[code], place, OK, int(n[code]), int(failures[code]), int(n.sum() - n[code]),
            int(failures.sum() - failures[code]), events, events.architecture == code,
        )  # fmt: skip


def _ask(context: Context, rule: ArchGap, row: _Row, asked: Asked) -> None:
    if row.events is None or row.own is None:  # nothing to compare: raw does not hold and nobody asks
        return
    start, end = _day_before(context, int(context.ticks[row.tick]))
    is_shared = context.is_shared(int(context.ticks[row.tick]))
    own, others = row.events.taken(row.own), row.events.taken(~row.own)
    parts = own.units(start, end, is_shared=is_shared)
    usual = others.units(start, end, is_shared=is_shared)
    now, baseline = guard.halved(guard.total(parts), is_shared=is_shared), guard.total(usual)
    failing = guard.failing_machines(own, start, end)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    guard.note_baseline(asked, baseline)
    least = rule.guard.min_units
    if asked.need(now.units >= least, "units") and asked.need(baseline.units >= least, "baseline"):
        asked.need(guard.rarity(asked, now, baseline, (parts, usual))[0] < rule.guard.alpha, "chance")
