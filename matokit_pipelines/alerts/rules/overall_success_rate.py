"""overall_success_rate: of all events of the last two hours, fewer succeeded than the threshold."""

from __future__ import annotations

import numpy as np

from matokit_pipelines.alert_settings import OverallSuccessRate
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NO_DATA, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_below
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.statistics import Counted, beta_below
from matokit_pipelines.warehouse.event_columns import DAY, HOUR

RULE = "overall_success_rate"


def findings(context: Context, rule: OverallSuccessRate) -> Findings:
    """One row a tick, of everything."""
    ticks, width = context.ticks, rule.window_hours * HOUR
    n, failures = context.history.between(context.span[0] - width, context.span[1]).counts(ticks - width, ticks)
    raw = (n > rule.min_events) & is_below(n - failures, n, rule.below_percent)
    state = np.where(n > 0, OK, NO_DATA).astype(np.int8)
    found = Raw(Rows.one(ALL, len(ticks)), state, raw, {"n": n, "failures": failures})

    def ask(row: int, asked: Asked) -> None:
        tick = int(ticks[row])
        _ask(context, rule, tick, asked)

    return guarded(RULE, context.environment, ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _ask(context: Context, rule: OverallSuccessRate, tick: int, asked: Asked) -> None:
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
    is_rare = False
    if baseline.units >= rule.guard.min_units:
        is_rare = guard.rarity(asked, now, baseline, (parts, usual))[0] < rule.guard.alpha
    asked.inputs["sure_below"] = sure = _sure_below(now, rule)
    asked.need(is_rare or sure > rule.sure, "chance" if baseline.units >= rule.guard.min_units else "baseline")


def _sure_below(now: Counted, rule: OverallSuccessRate) -> float:
    """How sure it is that the share of successes is below the threshold, from these units alone."""
    return beta_below(rule.below_percent / 100, now.units - now.failures + 0.5, now.failures + 0.5)
