"""new_component_failure: a component failed in the last 24 hours that had not failed in the week before."""

from __future__ import annotations

from matokit_pipelines.alert_settings import NewComponentFailure
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import Asked, Findings, Raw, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.daily import daily
from matokit_pipelines.statistics import wilson_low
from matokit_pipelines.warehouse.event_columns import DAY

RULE = "new_component_failure"


def findings(context: Context, rule: NewComponentFailure) -> Findings:
    """Rows of every component seen within eight days."""
    seen = daily(context, rule.quiet_days * DAY)
    counts = {
        "n": seen.n, "failures": seen.failures, "before_n": seen.before_n, "before_failures": seen.before_failures,
    }  # fmt: skip
    found = Raw(seen.rows, seen.state, (seen.failures >= 1) & (seen.before_failures == 0), counts)

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, str(seen.components[row]), int(seen.at[row]), asked)

    return guarded(RULE, context.environment, context.ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _ask(context: Context, rule: NewComponentFailure, component: str, tick: int, asked: Asked) -> None:
    start, is_shared = tick - DAY, context.is_shared(tick)
    before = start - rule.baseline_days * DAY
    events = context.history.between(start, tick, component)
    now = guard.halved(guard.total(events.units(start, tick, is_shared=is_shared)), is_shared=is_shared)
    failing = guard.failing_machines(events, start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    usual = guard.total(context.history.units(before, start, component, is_shared=is_shared))
    guard.note_baseline(asked, usual)
    if usual.units >= rule.guard.min_units:
        asked.need(guard.rarity(asked, now, usual)[0] < rule.guard.alpha, "chance")
        return
    asked.inputs["share_at_least"] = least = wilson_low(now.failures, now.units)
    asked.need(least is not None and 100 * least > rule.seldom_seen_percent, "seldom_seen")
