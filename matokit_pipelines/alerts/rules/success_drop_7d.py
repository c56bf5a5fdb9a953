"""success_drop_7d: in the last 24 hours a component, or everything, succeeded less often than in the week before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from matokit_pipelines.alert_settings import SuccessDrop7d
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NO_DATA, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_more_by
from matokit_pipelines.alerts.rules.watching import WEEK_AND_DAY, rows_by_component
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY, Events, Ints

RULE = "success_drop_7d"


def findings(context: Context, rule: SuccessDrop7d) -> Findings:
    """Rows of everything, and of every component seen within eight days."""
    ticks, width = context.ticks, rule.before_days * DAY
    events = context.history.between(context.span[0] - max(WEEK_AND_DAY, DAY + width), context.span[1])
    parts = rows_by_component(events, ticks, WEEK_AND_DAY, (0, DAY, DAY + width, DAY + rule.baseline_days * DAY))
    rows = _with_everything(parts, len(ticks))
    at, of_all = ticks[rows.first], len(ticks)
    n, failures = _counts(events, parts, at - DAY, at, of_all)
    before_n, before_failures = _counts(events, parts, at - DAY - width, at - DAY, of_all)
    state = np.where(n > 0, OK, NO_DATA).astype(np.int8)
    counts = {"n": n, "failures": failures, "before_n": before_n, "before_failures": before_failures}
    raw = is_more_by(failures, n, before_failures, before_n, rule.drop_points)

    def ask(row: int, asked: Asked) -> None:
        component = None if row < of_all else events.components[parts.subject[row - of_all]]
        _ask(context, rule, component, int(at[row]), asked)

    return guarded(
        RULE, context.environment, ticks, Raw(rows, state, raw, counts), rule.guard, ask,
        is_thorough=context.is_thorough,
    )  # fmt: skip


def _with_everything(parts: Rows, ticks: int) -> Rows:
    """The rows of everything, a tick each, and behind them those of the components."""
    whole = Rows.one(ALL, ticks)
    return Rows(
        (ALL, *parts.subjects),
        np.concatenate([whole.subject, parts.subject + 1]),
        np.concatenate([whole.first, parts.first]),
        np.concatenate([whole.last, parts.last]),
    )


def _counts(events: Events, parts: Rows, starts: Ints, ends: Ints, of_all: int) -> tuple[Ints, Ints]:
    whole = events.counts(starts[:of_all], ends[:of_all])
    own = events.counts_by_component(parts.subject, starts[of_all:], ends[of_all:])
    return np.concatenate([whole[0], own[0]]), np.concatenate([whole[1], own[1]])


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
