"""slow_regression: a component's first tries, one by one, add up to evidence that it became worse.

For volumes at which hours hold too few events. The evidence is a Bernoulli CUSUM: each failure adds to it, each
success takes from it. Not here: the walk itself (statistics.py), which tries are read (usual_tries.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matokit_pipelines.alert_settings import SlowRegression
from matokit_pipelines.alerts.findings import NO_DATA, NOT_EVALUABLE, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.usual_tries import ABOVE, Usual, Walk, usual_of, walks
from matokit_pipelines.alerts.rules.watching import subjects_of
from matokit_pipelines.alerts.verdicts import Input
from matokit_pipelines.statistics import Evidence, cusum
from matokit_pipelines.warehouse.event_columns import DAY, Bools, Ints, day_number, day_of, instant_of, microseconds
from matokit_pipelines.windows import local_date, start_of_day

RULE = "slow_regression"
SILENT_AFTER = 7 * DAY  # a component without a try for so long is not measured any more
_COUNTS = ("n", "failures", "evidence", "threshold", "baseline_units", "baseline_failures", "expected_share")


@dataclass(frozen=True)
class _Days:
    """The local days of the ticks, counted from 1970: the first, the last, the start of each, and on which of them
    keys were not machines at its start."""

    first: int
    last: int
    starts: Ints
    is_shared: Bools

    @classmethod
    def of(cls, context: Context) -> _Days:
        first, last = (day_number(local_date(instant_of(tick), context.zone)) for tick in context.span)
        starts = [microseconds(start_of_day(day_of(number), context.zone)) for number in range(first, last + 1)]
        is_shared = [context.is_shared(start) for start in starts]
        return cls(first, last, np.array(starts, dtype=np.int64), np.array(is_shared, dtype=np.bool_))

    @property
    def both(self) -> tuple[int, int]:
        return self.first, self.last

    def place(self, tick: int) -> int:
        """The day of a tick, counted from the first."""
        return int(np.searchsorted(self.starts, tick, side="right")) - 1


@dataclass(frozen=True)
class _Row:
    """What is known of a component from tick `first` to tick `last`."""

    component: str
    first: int
    last: int
    state: int
    raw: bool
    is_borne_out: bool
    is_shared: bool
    machines: int
    began: int | None
    numbers: tuple[Input, ...]


def findings(context: Context, rule: SlowRegression) -> Findings:
    """Rows of every component with first tries in the last weeks; a row spans the ticks between two tries."""
    days = _Days.of(context)
    rows = [row for kind in np.unique(days.is_shared).tolist() for row in _rows_of(context, rule, days, kind)]
    rows.sort(key=lambda row: (row.component, row.first))
    names = sorted({row.component for row in rows})
    places = {name: place for place, name in enumerate(names)}
    inputs: dict[int, dict[str, Input]] = {
        place: {"began_at": instant_of(row.began).isoformat(), "machines_failing": row.machines}
        for place, row in enumerate(rows)
        if row.began is not None
    }
    found = Raw(
        Rows(
            subjects_of(names),
            np.array([places[row.component] for row in rows], dtype=np.int64),
            np.array([row.first for row in rows], dtype=np.int64),
            np.array([row.last for row in rows], dtype=np.int64),
        ),
        np.array([row.state for row in rows], dtype=np.int8),
        np.array([row.raw for row in rows], dtype=np.bool_),
        {name: [row.numbers[place] for row in rows] for place, name in enumerate(_COUNTS)},
        inputs,
    )

    def ask(row: int, asked: Asked) -> None:
        if rows[row].is_shared:
            asked.inputs["shared_key"] = True
        asked.need(rows[row].is_shared or rows[row].is_borne_out, "machines")

    return guarded(RULE, context.environment, context.ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _rows_of(context: Context, rule: SlowRegression, days: _Days, is_shared: bool) -> Iterator[_Row]:
    """The rows of the days on which keys were machines, or were not."""
    usual = usual_of(context, rule, days.both, is_shared=is_shared)
    for walk in walks(context, rule, days.both, usual, is_shared=is_shared):
        yield from _Walked(context, rule, days, usual, walk, is_shared).rows()


@dataclass(frozen=True)
class _Walked:
    """One component and its walk."""

    context: Context
    rule: SlowRegression
    days: _Days
    usual: Usual
    walk: Walk
    is_shared: bool

    def rows(self) -> Iterator[_Row]:
        """Its rows: where enough is known of it, or it was seen within the week."""
        walk, ticks = self.walk, self.context.ticks
        evidence = cusum(walk.steps.tolist(), walk.thresholds.tolist(), ABOVE)
        borne_out, machines = _machines(evidence, walk, self.rule.guard.min_machines)
        failures_up_to = np.concatenate([[0], np.cumsum(walk.failed)])
        firsts = _changes(ticks, walk.ts, self.days)
        lasts = [*(first - 1 for first in firsts[1:]), len(ticks) - 1]
        for first, last in zip(firsts, lasts, strict=True):
            tick = int(ticks[first])
            day, newest = self.days.place(tick), int(np.searchsorted(walk.ts, tick)) - 1
            units, failures, share = self._usual(day)
            is_silent = newest < 0 or int(walk.ts[newest]) < tick - SILENT_AFTER
            if bool(self.days.is_shared[day]) is not self.is_shared or (is_silent and share is None):
                continue
            threshold = float(self.usual.threshold[day])
            if is_silent or share is None:
                state, numbers = (
                    NO_DATA if is_silent else NOT_EVALUABLE,
                    (0, 0, None, threshold, units, failures, share),
                )
                yield _Row(walk.component, first, last, state, False, False, self.is_shared, 0, None, numbers)
                continue
            left = int(evidence.left_zero[newest])
            since = left if left >= 0 else newest + 1
            failed = int(failures_up_to[newest + 1] - failures_up_to[since])
            yield _Row(
                walk.component, first, last, OK, bool(evidence.has_crossed[newest]), bool(borne_out[newest]),
                self.is_shared, int(machines[newest]), int(walk.ts[left]) if left >= 0 else None,
                (newest + 1 - since, failed, float(evidence.value[newest]), threshold, units, failures, share),
            )  # fmt: skip

    def _usual(self, day: int) -> tuple[int, int, float | None]:
        """First tries and failures of the weeks before a day, and the usual share (None with too few)."""
        column = self.usual.places.get(self.walk.component)
        if column is None:
            return 0, 0, None
        share = float(self.usual.share[day, column])
        return (
            int(self.usual.units[day, column]),
            int(self.usual.failures[day, column]),
            None if share != share else share,
        )


def _changes(ticks: Ints, tries: Ints, days: _Days) -> list[int]:
    """The ticks from which on something is another: a try more, another day, too long since the last try."""
    edges = np.concatenate([tries, days.starts - 1, tries + SILENT_AFTER])
    found = np.searchsorted(ticks, edges, side="right")
    return [0, *(place for place in np.unique(found).tolist() if 0 < place < len(ticks))]


def _machines(evidence: Evidence, walk: Walk, least: int) -> tuple[Bools, Ints]:
    """After each try: whether the evidence was above the threshold with `least` failing machines since it left 0,
    and how many machines have failed since then."""
    borne_out, machines = np.zeros(len(walk.ts), dtype=np.bool_), np.zeros(len(walk.ts), dtype=np.int64)
    failing: set[int] = set()
    keys: list[int] = walk.machine.tolist()
    above = (evidence.value > walk.thresholds).tolist()
    for place, (left, has_failed) in enumerate(zip(evidence.left_zero.tolist(), walk.failed.tolist(), strict=True)):
        if left < 0 or left == place:
            failing = set()
        if left < 0:
            continue
        if has_failed:
            failing.add(keys[place])
        machines[place] = len(failing)
        is_before = place > left and borne_out[place - 1]
        borne_out[place] = is_before or (above[place] and len(failing) >= least)
    return borne_out, machines
