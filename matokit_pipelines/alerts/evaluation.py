"""The one evaluator of the rules: live, catch-up, back-test, demo and cases ask it.

Which ticks a rule is evaluated at, and its findings unfolded into verdicts, one a tick or one a run of equal ones. A
verdict rests on the events and the settings alone, never on what fires already. Not here: what a rule says (rules/),
what follows of a verdict (lifecycle.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines.alert_settings import AlertSettings, clock_time
from matokit_pipelines.alerts.event_log import EventLog
from matokit_pipelines.alerts.findings import Findings, Run
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules import (
    arch_gap,
    commit_regression,
    component_failure_rate,
    data_stale,
    high_volume_failures,
    new_component_failure,
    new_failure_pattern,
    no_events,
    overall_success_rate,
    slow_regression,
    success_drop_7d,
)
from matokit_pipelines.alerts.rules.data_stale import stale_verdict
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.warehouse.event_columns import EPOCH, Ints, microseconds
from matokit_pipelines.windows import ONE_DAY, each_day, local_date, start_of_day, zone_named

__all__ = [
    "EVALUATED",
    "RULE_VERSION",
    "TICK",
    "Run",
    "evaluate",
    "evaluate_runs",
    "stale_verdict",
    "ticks_between",
    "ticks_of",
]  # fmt: skip

RULE_VERSION = "1"  # another one when a rule comes to mean something else
TICK = timedelta(minutes=5)
EVALUATED: Mapping[str, Callable[[Context, Any], Findings]] = {
    module.RULE: module.findings
    for module in (
        overall_success_rate, new_failure_pattern, high_volume_failures, arch_gap, commit_regression,
        component_failure_rate, new_component_failure, success_drop_7d, slow_regression, no_events,
    )
}  # fmt: skip
DAILY = (component_failure_rate.RULE, new_component_failure.RULE, success_drop_7d.RULE)


def ticks_between(after: datetime, until: datetime) -> list[datetime]:
    """The points of the 5-minute grid in `(after, until]`."""
    first, last = (after - EPOCH) // TICK + 1, (until - EPOCH) // TICK
    return [EPOCH + number * TICK for number in range(first, last + 1)]


def evaluate(
    log: EventLog,
    ticks: Sequence[datetime],
    settings: AlertSettings,
    *,
    zone: ZoneInfo,
    watermark: datetime | None = None,
    now: datetime | None = None,
    only: Collection[str] | None = None,
    is_thorough: bool = False,
) -> list[Verdict]:
    """What the rules that are enabled say at each tick, by (at, rule, subject).

    ticks: ascending, on the 5-minute grid; those later than `watermark` are left out. zone: that of the project. now:
    with it `data_stale` is judged too, at that instant. only: ids of the rules wanted. is_thorough: tell the guard's
    numbers also where the trigger is not met.
    """
    found = [
        verdict
        for findings in _findings(log, ticks, settings, zone, watermark, only, is_thorough=is_thorough)
        for verdict in findings.verdicts()
    ]
    if now is not None and settings.enabled and _is_wanted(data_stale.RULE, settings, only):
        found.append(stale_verdict(watermark, now, settings))
    return sorted(found, key=lambda verdict: (verdict.at, verdict.rule, verdict.subject, verdict.environment))


def evaluate_runs(
    log: EventLog,
    ticks: Sequence[datetime],
    settings: AlertSettings,
    *,
    zone: ZoneInfo,
    watermark: datetime | None = None,
    only: Collection[str] | None = None,
) -> list[Run]:
    """The same verdicts, neighbouring ones of a rule and subject with equal state, raw and guarded as one run.

    By (first tick, rule, subject). Neighbours are ticks that follow each other among those of the rule; where a
    subject has no verdict at a tick between, there are two runs.
    """
    found = [
        run
        for findings in _findings(log, ticks, settings, zone, watermark, only, is_thorough=False)
        for run in findings.runs()
    ]
    return sorted(found, key=lambda run: (run.first.at, run.first.rule, run.first.subject, run.first.environment))


def ticks_of(rule: str, ticks: Sequence[datetime], settings: AlertSettings, zone: ZoneInfo) -> list[datetime]:
    """Those of the ticks at which a rule is evaluated: the daily three at `daily_at`, arch_gap at local midnight."""
    chosen = list(ticks)
    if not chosen or (rule not in DAILY and rule != arch_gap.RULE):
        return chosen
    own = zone_named(settings.timezone) if settings.timezone and rule in DAILY else zone
    days = each_day(local_date(chosen[0], own) - ONE_DAY, local_date(chosen[-1], own))
    time = clock_time(settings.daily_at)
    due = {
        _on_grid(datetime.combine(day, time, tzinfo=own) if rule in DAILY else start_of_day(day, own)) for day in days
    }
    return [tick for tick in chosen if tick in due]


def _on_grid(instant: datetime) -> datetime:
    """The first tick not before `instant`."""
    return EPOCH - ((EPOCH - instant) // TICK) * TICK


def _findings(
    log: EventLog,
    ticks: Sequence[datetime],
    settings: AlertSettings,
    zone: ZoneInfo,
    watermark: datetime | None,
    only: Collection[str] | None,
    *,
    is_thorough: bool,
) -> Iterator[Findings]:
    known = [tick for tick in ticks if watermark is None or tick <= watermark]
    if not settings.enabled or not known:
        return
    for environment in settings.environments:
        shared: dict[int, bool] = {}
        for rule, findings in EVALUATED.items():
            due = ticks_of(rule, known, settings, zone) if _is_wanted(rule, settings, only) else []
            if due:
                context = Context(log.of(environment), environment, _columns(due), zone, is_thorough, shared)
                yield findings(context, getattr(settings.rules, rule))


def findings_at(
    rule: str,
    log: EventLog,
    instants: Sequence[datetime],
    settings: AlertSettings,
    zone: ZoneInfo,
    *,
    is_thorough: bool = True,
) -> list[Verdict]:
    """What one rule says at these instants, due or not. is_thorough: tell all of the guard's numbers."""
    return [
        verdict
        for environment in settings.environments
        for verdict in EVALUATED[rule](
            Context(log.of(environment), environment, _columns(instants), zone, is_thorough),
            getattr(settings.rules, rule),
        ).verdicts()
    ]


def _columns(instants: Sequence[datetime]) -> Ints:
    return np.array([microseconds(instant) for instant in instants], dtype=np.int64)


def _is_wanted(rule: str, settings: AlertSettings, only: Collection[str] | None) -> bool:
    return bool(getattr(settings.rules, rule).enabled) and (only is None or rule in only)
