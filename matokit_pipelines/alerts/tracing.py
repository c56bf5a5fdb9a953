"""One alert through time: its state over runs of verdicts, from change to change, however long nothing changes.

A run is a verdict that stayed the same over evaluations. A rule with a schedule speaks at its runs only: what the daily
rules say is over with the run, while the last complete day that arch_gap looks at stays the same until the next one.
An open alert of whose subject a rule no longer says anything is without data. Not here: what one evaluation does
(lifecycle.py), what is told (announcing.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings, clock_time
from matokit_pipelines.alerts import findings
from matokit_pipelines.alerts.announcing import DAILY
from matokit_pipelines.alerts.business_days import at_local
from matokit_pipelines.alerts.lifecycle import GRID, ZERO, Instance, Step, Timing, deadline, on_grid, step, worse_of
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.windows import ONE_DAY, local_date


class Run(NamedTuple):
    """A verdict, unchanged in state, raw and guarded over the evaluations `first` to `last`, both included.

    verdict: at the first of them; newest, worst: at the last and at the worst, where they are known apart.
    """

    verdict: Verdict
    first: datetime
    last: datetime
    newest: Verdict | None = None
    worst: Verdict | None = None

    def within(self, first: datetime, last: datetime) -> Run | None:
        """What of it lies in `[first, last]`; None for nothing."""
        begins, ends = max(self.first, first), min(self.last, last)
        return self._replace(first=begins, last=ends) if begins <= ends else None


@dataclass(frozen=True)
class RuleTicks:
    """When a rule is evaluated: at every tick, or (`clock`) once a day. stands: until the next one it says the same.
    slack: how long after the next tick an evaluation still follows the one before."""

    clock: time | None = None
    zone: ZoneInfo | None = None
    stands: bool = False
    slack: timedelta = ZERO

    @classmethod
    def of(cls, rule: str, settings: AlertSettings, zone: ZoneInfo) -> RuleTicks:
        """`zone`: the project's."""
        if rule in DAILY:
            return cls(clock_time(settings.daily_at), ZoneInfo(settings.timezone) if settings.timezone else zone)
        if rule == "data_stale":  # evaluated by the clock on the wall, whenever there is a pass
            return cls(slack=timedelta(hours=1))
        return cls(time(), zone, stands=True) if rule == "arch_gap" else cls()

    def follows(self, last: datetime, first: datetime) -> bool:
        """Whether the evaluation at `first` is the next one after that at `last`."""
        return first <= self.next(last) + self.slack

    def next(self, after: datetime) -> datetime:
        """The first evaluation strictly after an instant."""
        if self.clock is None or self.zone is None:
            return on_grid(after + _A_BIT)
        day = local_date(after, self.zone)
        while True:
            at = on_grid(at_local(day, self.clock, self.zone))
            if at > after:
                return at
            day += ONE_DAY

    @property
    def is_daily(self) -> bool:
        """Whether it speaks once a day, of that run alone."""
        return self.clock is not None and not self.stands


_A_BIT = datetime.resolution


class Change(NamedTuple):
    """What an evaluation changed."""

    at: datetime
    step: Step


class Traced(NamedTuple):
    """Where an alert stands after its verdicts, and what changed on the way, in order."""

    instance: Instance
    changes: list[Change]


def runs_of(verdicts: Iterable[Verdict]) -> dict[str, list[Run]]:
    """Single verdicts as runs of one evaluation each, by fingerprint, in order of time."""
    return by_fingerprint(Run(verdict, verdict.at, verdict.at) for verdict in verdicts)


def runs_found(found: Iterable[findings.Run]) -> dict[str, list[Run]]:
    """Runs as the evaluation gives them, by fingerprint, in order of time."""
    return by_fingerprint(Run(run.first, run.first_tick, run.last_tick, run.last, run.worst) for run in found)


def by_fingerprint(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Runs by what they are about, each list in order of time."""
    found: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.first):
        found.setdefault(run.verdict.fingerprint, []).append(run)
    return found


def trace(
    instance: Instance,
    runs: Sequence[Run],
    timing: Timing,
    ticks: RuleTicks,
    *,
    after: datetime,
    until: datetime,
    now: datetime | None,
    severity: str,
    is_late: bool = False,
) -> Traced:
    """Take an alert through the evaluations in `(after, until]`. `runs` lie in there, in order, apart from each other.

    `now`: the run that finds it; None when each evaluation is made at its own time.
    """
    changes: list[Change] = []
    for run in _stretches(instance, runs, ticks, after, until):
        verdict = run.verdict
        if instance.phase == "inactive" and not verdict.guarded:
            continue  # nothing can come of it
        at: datetime | None = run.first
        while at is not None and at <= run.last:
            instance = _taken(instance, verdict, at, timing, changes, now, severity, is_late)
            at = ticks.next(at) if ticks.is_daily else deadline(instance, verdict, timing)
        if not ticks.is_daily:
            instance = _taken(instance, run.newest or verdict, run.last, timing, changes, now, severity, is_late)
        instance = _with_worst(instance, run, changes)
    return Traced(instance, changes)


def _with_worst(instance: Instance, run: Run, changes: list[Change]) -> Instance:
    """The worst of a run, where its evaluations are not looked at one by one."""
    episode = instance.episode
    if episode is None or run.worst is None or not run.worst.raw:
        return instance
    if worse_of(episode.worst, run.worst) is episode.worst:
        return instance
    worse = replace(instance, episode=replace(episode, worst=run.worst))
    changes.append(Change(run.last, Step(worse)))
    return worse


def _taken(
    instance: Instance, verdict: Verdict, at: datetime, timing: Timing, changes: list[Change], now: datetime | None,
    severity: str, is_late: bool,
) -> Instance:  # fmt: skip
    taken = step(instance, verdict, timing, now=now or at, severity=severity, at=at, is_late=is_late)
    if taken.started or taken.ended or _tells_more(instance, taken.instance):
        changes.append(Change(at, taken))
    return taken.instance


def _tells_more(was: Instance, now: Instance) -> bool:
    """Whether a message made now would differ from one made before."""
    if (was.phase, was.is_measured) != (now.phase, now.is_measured):
        return True
    if was.episode is None or now.episode is None:
        return False
    return (was.episode.last.inputs, was.episode.worst) != (now.episode.last.inputs, now.episode.worst)


def _stretches(
    instance: Instance, runs: Sequence[Run], ticks: RuleTicks, after: datetime, until: datetime
) -> Iterator[Run]:
    """The evaluations in `(after, until]` without a hole: what stood before, runs, and where the rule said nothing."""
    known_to = instance.at if instance.at and instance.at > after else after
    if ticks.stands and instance.verdict is not None:
        ends = min(ticks.next(instance.verdict.at), runs[0].first if runs else until + GRID) - GRID
        if (begins := on_grid(known_to + _A_BIT)) <= min(ends, until):
            yield Run(instance.verdict, begins, min(ends, until))
            known_to = min(ends, until)
    for number, run in enumerate(runs):
        yield from _hole(instance, ticks, known_to, run.first - GRID)
        last = run.last
        if ticks.stands:
            following = runs[number + 1].first if number + 1 < len(runs) else until + GRID
            last = max(run.last, min(ticks.next(run.last), following) - GRID)
        yield run._replace(last=min(last, until))
        known_to = min(last, until)
    yield from _hole(instance, ticks, known_to, until)


def _hole(instance: Instance, ticks: RuleTicks, after: datetime, last: datetime) -> Iterator[Run]:
    """Evaluations in `(after, last]` at which the rule said nothing of the subject."""
    first = ticks.next(after)
    if first <= last:
        nothing = Verdict(instance.rule, instance.subject, instance.environment, first, "no_data")
        yield Run(nothing, first, last)


def rewound(instance: Instance, to: datetime) -> Instance:
    """Where an alert stood right before the evaluations from `to` on, as far as that can be told: not firing yet where
    it was not, not recovering yet where it was not."""
    if instance.at is None or instance.at < to:
        return instance
    before = to - GRID
    if instance.phase == "recovering" and instance.clear_from is not None:
        if instance.clear_from >= to:
            measured = min(instance.measured_at or before, before)
            return replace(
                instance, phase="firing", counting="", clear=ZERO, clear_from=None, at=before, measured_at=measured
            )
        passed = instance.clear - (instance.at - before)
        return replace(instance, at=before, measured_at=before, counting="clear", clear=max(passed, ZERO))
    if instance.phase in ("inactive", "pending") and (instance.start is None or instance.start.at >= to):
        return replace(instance, phase="inactive", counting="", held=ZERO, start=None, at=before)
    if instance.phase == "pending":
        passed = instance.held - (instance.at - before)
        return replace(instance, at=before, counting="held", held=max(passed, ZERO))
    return instance
