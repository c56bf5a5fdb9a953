"""high_volume_failures: more failures within an hour than the threshold."""

from __future__ import annotations

import numpy as np

from matokit_pipelines.alert_settings import HighVolumeFailures
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NO_DATA, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.warehouse.event_columns import DAY, HOUR

RULE = "high_volume_failures"


def findings(context: Context, rule: HighVolumeFailures) -> Findings:
    """One row a tick, of everything."""
    ticks, width = context.ticks, rule.window_hours * HOUR
    n, failures = context.history.between(context.span[0] - width, context.span[1]).counts(ticks - width, ticks)
    state = np.where(n > 0, OK, NO_DATA).astype(np.int8)
    found = Raw(Rows.one(ALL, len(ticks)), state, failures > rule.failures_above, {"n": n, "failures": failures})

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, int(ticks[row]), asked)

    return guarded(RULE, context.environment, ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _ask(context: Context, rule: HighVolumeFailures, tick: int, asked: Asked) -> None:
    start = tick - rule.window_hours * HOUR
    before = start - rule.baseline_days * DAY
    events, is_shared = context.history.between(start, tick), context.is_shared(tick)
    parts = events.units(start, tick, is_shared=is_shared)
    now = guard.halved(guard.total(parts), is_shared=is_shared)
    failing = guard.failing_machines(events, start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    usual = context.history.units(before, start, is_shared=is_shared)
    baseline = guard.total(usual)
    guard.note_baseline(asked, baseline)
    if baseline.units < rule.guard.min_units:  # nothing to hold it against: enough machines have to do
        return
    rarity, share = guard.rarity(asked, now, baseline, (parts, usual))
    if asked.need(rarity < rule.guard.alpha, "chance"):
        asked.need(now.failures >= rule.times_expected * share * now.units, "times_expected")
