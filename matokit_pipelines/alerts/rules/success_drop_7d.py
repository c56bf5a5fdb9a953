"""success_drop_7d: in the last 24 hours a component, or everything, succeeded less often than in the week before."""

from __future__ import annotations

from collections.abc import Mapping

from matokit_pipelines.alert_settings import SuccessDrop7d
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import Asked, Findings, Raw, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.daily import daily
from matokit_pipelines.alerts.rules.exact import is_more_by
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY

RULE = "success_drop_7d"


def findings(context: Context, rule: SuccessDrop7d) -> Findings:
    """Rows of everything, and of every component seen within eight days."""
    seen = daily(context, rule.before_days * DAY, with_all=True)
    counts = {
        "n": seen.n, "failures": seen.failures, "before_n": seen.before_n, "before_failures": seen.before_failures,
    }  # fmt: skip
    raw = is_more_by(seen.failures, seen.n, seen.before_failures, seen.before_n, rule.drop_points)

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, seen.components[row], int(seen.at[row]), asked)

    return guarded(
        RULE, context.environment, context.ticks, Raw(seen.rows, seen.state, raw, counts), rule.guard, ask,
        is_thorough=context.is_thorough,
    )  # fmt: skip


def _ask(context: Context, rule: SuccessDrop7d, component: str | None, tick: int, asked: Asked) -> None:
    start, is_shared = tick - DAY, context.is_shared(tick)
    events = context.history.between(start, tick, component)
    parts = events.units(start, tick, is_shared=is_shared)
    now = guard.halved(guard.total(parts), is_shared=is_shared)
    failing = guard.failing_machines(events, start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    usual: Mapping[str, Counted] = {}
    for days in (rule.before_days, rule.baseline_days):
        usual = context.history.units(start - days * DAY, start, component, is_shared=is_shared)
        if guard.total(usual).units >= rule.guard.min_units:
            break
    baseline = guard.total(usual)
    guard.note_baseline(asked, baseline)
    if asked.need(baseline.units >= rule.guard.min_units, "baseline"):
        sides = (parts, usual) if component is None else None
        asked.need(guard.rarity(asked, now, baseline, sides)[0] < rule.guard.alpha, "chance")
