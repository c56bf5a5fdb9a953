"""commit_regression: in the first day of a new commit, it fails more often than the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from matokit_pipelines.alert_settings import CommitRegression
from matokit_pipelines.alerts import guard
from matokit_pipelines.alerts.findings import NOT_EVALUABLE, OK, Asked, Findings, Raw, Rows, guarded
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.alerts.rules.exact import is_more_by
from matokit_pipelines.alerts.verdicts import Input
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import DAY, HOUR, Bools, Deployment, Events, Ints

RULE = "commit_regression"
ENOUGH = 30  # units from which on no earlier commit is taken into the baseline


@dataclass
class _Commit:
    """A deployment under watch. first, last: places of its ticks; events: of the days before it and of its own."""

    deployment: Deployment
    first: int
    last: int
    loaded: Events
    days_before: int

    @property
    def start(self) -> int:
        return self.deployment.first_seen

    def _of(self, commit: str) -> Bools:
        names = self.loaded.commits
        code = names.index(commit) if commit in names else -2
        return np.asarray(self.loaded.commit == code, dtype=np.bool_)

    @cached_property
    def own(self) -> Events:
        """Its own events."""
        return self.loaded.taken(self._of(self.deployment.commit))

    @cached_property
    def previous(self) -> Events | None:
        """Those of the commit before it, from the days before on, also beside it; None without such a commit."""
        if not self.deployment.earlier:
            return None
        return self.loaded.taken(self._of(self.deployment.earlier[0]))

    def baseline(self, *, is_shared: bool) -> dict[str, Counted]:
        """Units by component before it: of the previous commit, then of earlier ones too until there are enough."""
        start = self.start - self.days_before * DAY
        window = self.loaded.taken(self.loaded.window(start, self.start))
        found: dict[str, Counted] = {}
        codes: list[int] = []
        there = {window.commits[code]: code for code in np.unique(window.commit).tolist() if code >= 0}
        for commit in self.deployment.earlier:
            if commit not in there:
                continue
            codes.append(there[commit])
            events = window.taken(np.isin(window.commit, codes))
            found = guard.counted_by_component(events, start, self.start, is_shared=is_shared)
            if guard.total(found).units >= ENOUGH:
                break
        return found

    @cached_property
    def _baselines(self) -> dict[bool, dict[str, Counted]]:
        return {}

    def usual(self, *, is_shared: bool) -> dict[str, Counted]:
        """The baseline; it is the same at all ticks."""
        if is_shared not in self._baselines:
            self._baselines[is_shared] = self.baseline(is_shared=is_shared)
        return self._baselines[is_shared]


def findings(context: Context, rule: CommitRegression) -> Findings:
    """Rows of every commit first seen within the hours before a tick."""
    watched = [_watched(context, rule, deployment) for deployment in _deployments(context, rule)]
    watched = sorted((one for one in watched if one.first <= one.last), key=lambda one: one.deployment.commit)
    first = np.concatenate([np.arange(0, dtype=np.int64), *(np.arange(one.first, one.last + 1) for one in watched)])
    subject = np.repeat(np.arange(len(watched)), [one.last - one.first + 1 for one in watched]).astype(np.int64)
    rows = Rows(tuple(one.deployment.commit for one in watched), subject, first, first)
    at = context.ticks[first]
    n, failures, before_n, before_failures = _counts(watched, rule, context.ticks)
    state = np.where(before_n > 0, OK, NOT_EVALUABLE).astype(np.int8)
    raw = is_more_by(failures, n, before_failures, before_n, rule.drop_points)
    earlier = [one.deployment.earlier[:1] for one in watched]
    previous: list[Input] = [earlier[one][0] if earlier[one] else None for one in subject.tolist()]
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
    return context.history.deployments(first - rule.hours_after * HOUR, last)


def _watched(context: Context, rule: CommitRegression, deployment: Deployment) -> _Commit:
    start = deployment.first_seen
    first, last = np.searchsorted(context.ticks, [start, start + rule.hours_after * HOUR], side="right")
    loaded = context.history.between(start - rule.baseline_days * DAY, context.span[1])
    part = loaded.window(start - rule.baseline_days * DAY, start + rule.hours_after * HOUR)
    return _Commit(deployment, int(first), int(last) - 1, loaded.taken(part), rule.baseline_days)


def _counts(watched: list[_Commit], rule: CommitRegression, ticks: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Of every row: events and failures of the commit, and of the one before it."""
    columns: tuple[list[Ints], ...] = ([], [], [], [])
    for one in watched:
        at = ticks[one.first : one.last + 1]
        since = np.full(len(at), one.start)
        nothing = np.zeros(len(at), dtype=np.int64)
        now = one.own.counts(since, at)
        before = (nothing, nothing)
        if one.previous is not None:
            before = one.previous.counts(since - rule.baseline_days * DAY, at)
        for column, values in zip(columns, (*now, *before), strict=True):
            column.append(values)
    none = np.zeros(0, dtype=np.int64)
    n, failures, before_n, before_failures = (np.concatenate([none, *column]) for column in columns)
    return n, failures, before_n, before_failures


def _ask(context: Context, rule: CommitRegression, commit: _Commit, tick: int, asked: Asked) -> None:
    is_shared = context.is_shared(tick)
    parts = guard.counted_by_component(commit.own, commit.start, tick, is_shared=is_shared)
    now = guard.halved(guard.total(parts), is_shared=is_shared)
    failing = guard.failing_machines(commit.own, commit.start, tick)
    if not guard.note_now(asked, failing, now, rule.guard.min_machines, is_shared=is_shared):
        return
    if not asked.need(now.units >= rule.guard.min_units, "units"):
        return
    usual = commit.usual(is_shared=is_shared)
    baseline = guard.total(usual)
    guard.note_baseline(asked, baseline)
    if not asked.need(baseline.units >= rule.guard.min_units, "baseline"):
        return
    rarity, share = guard.rarity(asked, now, baseline, (parts, usual))
    if asked.need(rarity < rule.guard.alpha, "chance"):
        observed = now.failures / now.units if now.units else 0.0
        asked.need(100 * (observed - share) > rule.min_points, "points")
