"""commit_regression: in the first day of a new commit, it fails more often than the one before."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from matokit_pipelines.alert_settings import CommitRegression
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.event_log import History
from matokit_pipelines.alerts.findings import NOT_EVALUABLE, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_more_by
from matokit_pipelines.alerts.verdicts import Input
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY, HOUR, Deployment, Events, Ints

RULE = "commit_regression"
ENOUGH = 30  # units from which on no earlier commit is taken into the baseline


@dataclass
class _Commit:
    """A deployment under watch: places of its first and last tick, its events and those of the commit before it since
    it was first seen, and that one's (events, failures) in the days before."""

    deployment: Deployment
    first: int
    last: int
    own: Events
    beside: Events
    before: tuple[int, int]
    _usual: dict[bool, dict[str, Counted]] = field(default_factory=dict)

    @property
    def start(self) -> int:
        return self.deployment.first_seen

    def usual(self, history: History, days: int, *, is_shared: bool) -> dict[str, Counted]:
        """Units by component in the days before it: of the previous commit, then of earlier ones too until there are
        enough. The same at all ticks."""
        if is_shared not in self._usual:
            start, found = self.start - days * DAY, dict[str, Counted]()
            for count in range(1, len(self.deployment.earlier) + 1):
                events = history.of_commits(self.deployment.earlier[:count], start, self.start)
                found = events.units(start, self.start, is_shared=is_shared)
                if guard.total(found).units >= ENOUGH:
                    break
            self._usual[is_shared] = found
        return self._usual[is_shared]


def findings(context: Context, rule: CommitRegression) -> Findings:
    """Rows of every commit first seen within the hours before a tick."""
    watched = [_watched(context, rule, deployment) for deployment in _deployments(context, rule)]
    watched = sorted((one for one in watched if one.first <= one.last), key=lambda one: one.deployment.commit)
    first = np.concatenate([np.arange(0, dtype=np.int64), *(np.arange(one.first, one.last + 1) for one in watched)])
    subject = np.repeat(np.arange(len(watched)), [one.last - one.first + 1 for one in watched]).astype(np.int64)
    rows = Rows(tuple(one.deployment.commit for one in watched), subject, first, first)
    at = context.ticks[first]
    n, failures, before_n, before_failures = _counts(watched, context.ticks)
    state = np.where(before_n > 0, OK, NOT_EVALUABLE).astype(np.int8)
    raw = is_more_by(failures, n, before_failures, before_n, rule.drop_points)
    previous: list[Input] = [watched[one].deployment.previous for one in subject.tolist()]
    counts: dict[str, Ints | list[Input]] = {
        "n": n, "failures": failures, "before_n": before_n, "before_failures": before_failures, "previous": previous,
    }  # fmt: skip

    def ask(row: int, asked: Asked) -> None:
        _ask(context, rule, watched[int(subject[row])], int(at[row]), asked)

    return guarded(
        RULE, context.environment, context.ticks, Raw(rows, state, raw, counts), rule.guard, ask,
        is_thorough=context.is_thorough,
    )  # fmt: skip


def _deployments(context: Context, rule: CommitRegression) -> list[Deployment]:
    first, last = context.span
    return context.history.deployments(first - rule.hours_after * HOUR, last, rule.baseline_days * DAY)


def _watched(context: Context, rule: CommitRegression, deployment: Deployment) -> _Commit:
    start, previous = deployment.first_seen, deployment.previous
    first, last = np.searchsorted(context.ticks, [start, start + rule.hours_after * HOUR], side="right")
    end = min(start + rule.hours_after * HOUR, context.span[1])
    own = context.history.of_commits([deployment.commit], start, end)
    beside, before = Events.none(), (0, 0)
    if previous is not None:
        beside = context.history.of_commits([previous], start, end)
        before = context.history.counts_of_commit(previous, start - rule.baseline_days * DAY, start)
    return _Commit(deployment, int(first), int(last) - 1, own, beside, before)


def _counts(watched: list[_Commit], ticks: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Of every row: events and failures of the commit, and of the one before it."""
    columns: tuple[list[Ints], ...] = ([], [], [], [])
    for one in watched:
        at = ticks[one.first : one.last + 1]
        since = np.full(len(at), one.start)
        beside = one.beside.counts(since, at)
        values = (*one.own.counts(since, at), one.before[0] + beside[0], one.before[1] + beside[1])
        for column, counted in zip(columns, values, strict=True):
            column.append(counted)
    none = np.zeros(0, dtype=np.int64)
    n, failures, before_n, before_failures = (np.concatenate([none, *column]) for column in columns)
    return n, failures, before_n, before_failures


def _ask(context: Context, rule: CommitRegression, commit: _Commit, tick: int, asked: Asked) -> None:
    is_shared = context.is_shared(tick)
    parts = commit.own.units(commit.start, tick, is_shared=is_shared)
    now = guard.halved(guard.total(parts), is_shared=is_shared)
    failing = guard.failing_machines(commit.own, commit.start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    if not asked.need(now.units >= rule.guard.min_units, "units"):
        return
    usual = commit.usual(context.history, rule.baseline_days, is_shared=is_shared)
    baseline = guard.total(usual)
    guard.note_baseline(asked, baseline)
    if not asked.need(baseline.units >= rule.guard.min_units, "baseline"):
        return
    rarity, share = guard.rarity(asked, now, baseline, (parts, usual))
    if asked.need(rarity < rule.guard.alpha, "chance"):
        observed = now.failures / now.units if now.units else 0.0
        asked.need(100 * (observed - share) > rule.min_points, "points")
