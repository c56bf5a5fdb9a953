"""component_failure_rate: of a component's events of the last 24 hours, more failed than the threshold."""

from __future__ import annotations

from matokit_pipelines.alert_settings import ComponentFailureRate
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import Asked, Findings, Raw, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.daily import WEEK, daily
from matokit_pipelines.alerts.rules.exact import is_above
from matokit_pipelines.statistics import wilson_low
from matokit_pipelines.warehouse.event_columns import DAY

RULE = "component_failure_rate"


def findings(context: Context, rule: ComponentFailureRate) -> Findings:
    """Rows of every component seen within eight days."""
    seen = daily(context, WEEK)
    raw = is_above(seen.failures, seen.n, rule.above_percent)
    found = Raw(seen.rows, seen.state, raw, {"n": seen.n, "failures": seen.failures})

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, str(seen.components[row]), int(seen.at[row]), asked)

    return guarded(RULE, context.environment, context.ticks, found, rule.guard, ask, is_thorough=context.is_thorough)


def _ask(context: Context, rule: ComponentFailureRate, component: str, tick: int, asked: Asked) -> None:
    start, is_shared = tick - DAY, context.is_shared(tick)
    before = start - rule.baseline_days * DAY
    events = context.history.between(start, tick, component)
    now = guard.halved(guard.total(events.units(start, tick, is_shared=is_shared)), is_shared=is_shared)
    failing = guard.failing_machines(events, start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    usual = guard.total(context.history.units(before, start, component, is_shared=is_shared))
    guard.note_baseline(asked, usual)
    has_baseline = usual.units >= rule.guard.min_units
    is_rare = has_baseline and guard.rarity(asked, now, usual)[0] < rule.guard.alpha
    asked.inputs["share_at_least"] = least = wilson_low(now.failures, now.units)
    is_sure = least is not None and 100 * least > rule.above_percent
    asked.need(is_rare or is_sure, "chance" if has_baseline else "baseline")
