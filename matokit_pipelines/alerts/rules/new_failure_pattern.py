"""new_failure_pattern: a component that was fine the day before fails now."""

from __future__ import annotations

import numpy as np

from matokit_pipelines.alert_settings import NewFailurePattern
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NO_DATA, OK, Asked, Findings, Raw, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_above, is_below
from matokit_pipelines.alerts.rules.watching import rows_by_component
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY, HOUR

RULE = "new_failure_pattern"
WIDER = tuple(days * DAY for days in (2, 4, 7, 14, 28))
ENOUGH = 30  # units from which on the baseline is not widened


def findings(context: Context, rule: NewFailurePattern) -> Findings:
    """Rows of every component with an event now or before."""
    ticks, width, before = context.ticks, rule.window_hours * HOUR, rule.before_hours * HOUR
    events = context.history.between(context.span[0] - width - before, context.span[1])
    edges = (0, width, *(width + length for length in _lengths(rule)))
    rows = rows_by_component(events, ticks, width + before, edges)
    at = ticks[rows.first]
    n, failures = events.counts_by_component(rows.subject, at - width, at)
    before_n, before_failures = events.counts_by_component(rows.subject, at - width - before, at - width)
    raw = is_below(n - failures, n, rule.below_percent)
    raw &= is_above(before_n - before_failures, before_n, rule.before_above_percent)
    counts = {"n": n, "failures": failures, "before_n": before_n, "before_failures": before_failures}
    found = Raw(rows, np.where(n > 0, OK, NO_DATA).astype(np.int8), raw, counts)

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, events.components[rows.subject[row]], int(at[row]), asked)

    return guarded(RULE, context.environment, ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _ask(context: Context, rule: NewFailurePattern, component: str, tick: int, asked: Asked) -> None:
    start, is_shared = tick - rule.window_hours * HOUR, context.is_shared(tick)
    events = context.history.between(start, tick, component)
    now = guard.halved(guard.total(events.units(start, tick, is_shared=is_shared)), is_shared=is_shared)
    failing = guard.failing_machines(events, start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    baseline = Counted(0, 0)
    for length in _lengths(rule):
        baseline = guard.total(context.history.units(start - length, start, component, is_shared=is_shared))
        if baseline.units >= ENOUGH:
            break
    guard.note_baseline(asked, baseline)
    if asked.need(baseline.units >= rule.guard.min_units, "baseline"):
        asked.need(guard.rarity(asked, now, baseline)[0] < rule.guard.alpha, "chance")


def _lengths(rule: NewFailurePattern) -> tuple[int, ...]:
    """How long a baseline may be, the shortest first."""
    before = rule.before_hours * HOUR
    return (before, *(length for length in WIDER if length > before))
