"""The one way from events to messages: evaluate what is due, carry the alerts on, decide what is told.

`run` is what a pass does: new evaluations up to the watermark, earlier ones again that late events touch, then one look
at what is to be told by the clock on the wall. `advance` is the same with the clock at the time of each evaluation: for
the back-test, the demo and tests. Both work on a book in memory. Not here: where events come from, the store
(passes.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import provisional
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.announcing import Announcer
from matokit_pipelines.alerts.book import Book, Dispatch, Matter
from matokit_pipelines.alerts.business_days import Calendar
from matokit_pipelines.alerts.evaluation import evaluate, evaluate_runs
from matokit_pipelines.alerts.event_log import EventLog
from matokit_pipelines.alerts.lifecycle import GRID, Instance, deadline, grid_between, on_grid, step
from matokit_pipelines.alerts.reported import InReport
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.alerts.tracing import (
    Change,
    RuleTicks,
    Run,
    Traced,
    by_fingerprint,
    rewound,
    runs_found,
    runs_of,
    trace,
)
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.delivery_settings import RecipientSettings

TICKS_AT_ONCE = 288  # a day of evaluations; more are read and evaluated day by day
STALE = "data_stale"


class Judge(Protocol):
    """What the rules say of events at ticks, by fingerprint, in order; `singly`: each evaluation a run of its own."""

    def __call__(self, log: EventLog, ticks: Sequence[datetime], *, singly: bool) -> dict[str, list[Run]]: ...


@dataclass(frozen=True)
class Outcome:
    """What a run did.

    ticks: new evaluations; again: earlier ones made again; runs: verdicts by fingerprint, in order; incomplete:
    verdicts on events beyond the watermark; started, ended: episodes; next_timer: when there is something to tell
    though no event comes.
    """

    now: datetime
    evaluated_to: datetime | None
    ticks: tuple[datetime, ...] = ()
    again: tuple[datetime, ...] = ()
    runs: dict[str, list[Run]] = field(default_factory=dict)
    incomplete: tuple[Verdict, ...] = ()
    started: tuple[Episode, ...] = ()
    ended: tuple[Episode, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    next_timer: datetime | None = None


class Evaluator:
    """Carries a book from run to run. `zone`: the project's; `only`: rules, all where None; `in_report`: what the daily
    report tells."""

    def __init__(
        self,
        settings: AlertSettings,
        recipients: RecipientSettings | None = None,
        *,
        zone: ZoneInfo,
        book: Book | None = None,
        evaluated_to: datetime | None = None,
        only: Collection[str] | None = None,
        judge: Judge | None = None,
        in_report: InReport | None = None,
    ) -> None:
        self.settings = settings
        self.zone = zone
        self.book = book or Book()
        self.evaluated_to = evaluated_to
        calendar = Calendar.of(settings, zone)
        self.announcer = Announcer(settings, recipients or RecipientSettings(), calendar, in_report)
        self._only = only
        self._judge = judge or self._by_the_rules
        self._started: list[Episode] = []
        self._ended: list[Episode] = []

    # -- live ---------------------------------------------------------------------------------------------------------

    def run(
        self,
        log: EventLog,
        *,
        now: datetime,
        watermark: datetime,
        late_from: datetime | None = None,
        silences: Sequence[Silence] = (),
        stale: Verdict | None = None,
        incomplete: Sequence[Verdict] = (),
    ) -> Outcome:
        """Everything that is due at `now`, with data complete to `watermark`.

        `late_from`: time of the earliest event that came, changed or went since the last run; `stale`: what data_stale
        says; `incomplete`: what rules say of events beyond the watermark. The first run ever evaluates the newest tick
        only.
        """
        self._started, self._ended = [], []
        newest = newest_tick(watermark, self.settings)
        before = self.evaluated_to
        ticks = [newest] if before is None else grid_between(before, newest)
        again = self._touched(late_from, newest)
        late, new = self._judged(log, again, singly=True), self._judged(log, ticks, singly=False)
        runs = {fingerprint: late.get(fingerprint, []) + new.get(fingerprint, []) for fingerprint in {*late, *new}}
        after = before if before is not None else newest - GRID
        for fingerprint in sorted(
            {*runs, *(fp for fp, kept in self.book.instances.items() if kept.phase != "inactive")}
        ):
            if self._rule_of(fingerprint) != STALE:
                self._carry_on(fingerprint, runs.get(fingerprint, []), again, after, max(newest, after), now)
        if stale is not None:
            self._take_stale(stale, now)
            runs[stale.fingerprint] = [Run(stale, stale.at, stale.at)]
        self._leave_stale(stale, now)
        severities = {rule: self.announcer.rule(rule).severity for rule in provisional.RULES}
        began, taken_back = provisional.take_in(self.book, incomplete, self.settings, severities, now)
        self._started += began
        self._ended += taken_back
        self.evaluated_to = max(newest, before or newest)
        dispatches = self.announcer.tell(self.book, now=now, complete_to=watermark, silences=silences)
        return Outcome(
            now, self.evaluated_to, tuple(ticks), tuple(again), runs, tuple(incomplete), tuple(self._started),
            tuple(self._ended), tuple(dispatches), self.next_timer(now, watermark, silences),
        )  # fmt: skip

    def newest_tick(self, watermark: datetime) -> datetime:
        """The newest point of the grid that may be evaluated."""
        return newest_tick(watermark, self.settings)

    def next_timer(self, now: datetime, complete_to: datetime, silences: Sequence[Silence] = ()) -> datetime | None:
        """When something is due although no evaluation becomes possible."""
        found = [self.announcer.next_timer(self.book, now=now, complete_to=complete_to, silences=silences)]
        for instance in self.book.instances.values():
            if instance.rule == STALE and instance.verdict is not None:
                found.append(deadline(instance, instance.verdict, self.announcer.timing(STALE)))
        waiting = [instance.episode for instance in self.book.provisional.values() if instance.episode]
        found += [provisional.unconfirmed_at(episode, self.settings) for episode in waiting]
        known = [at for at in found if at is not None]
        return max(min(known), now + GRID / 5) if known else None

    def _touched(self, late_from: datetime | None, newest: datetime) -> list[datetime]:
        """The evaluations made before that late events touch, as far back as is caught up."""
        if late_from is None or self.evaluated_to is None:
            return []
        horizon = newest - timedelta(hours=self.settings.catch_up)
        return grid_between(late_from, min(self.evaluated_to, newest)) if late_from >= horizon else []

    def _carry_on(
        self, fingerprint: str, runs: list[Run], again: Sequence[datetime], after: datetime, until: datetime,
        now: datetime | None,
    ) -> None:  # fmt: skip
        """Take one alert through its evaluations, those made again first."""
        instance = self.book.instances.get(fingerprint) or _new(runs[0].verdict)
        late = [run for run in runs if run.first <= after]
        new = [run for run in runs if run.first > after]
        waits = self.book.provisional.get(fingerprint)
        if waits is not None:  # an episode of complete data takes over the number of the provisional one
            instance = replace(instance, episodes=instance.episodes - 1)
        if again and late:
            instance = self._again(self._corrected(instance, late), late, again[0], after, now)
        traced = self._trace(instance, new, after, until, now)
        if waits is not None and traced.instance.episodes < waits.episodes:
            traced = traced._replace(instance=replace(traced.instance, episodes=waits.episodes))
        self._adopt(traced)

    def _trace(
        self, instance: Instance, runs: Sequence[Run], after: datetime, until: datetime, now: datetime | None, *,
        is_late: bool = False,
    ) -> Traced:  # fmt: skip
        rule = instance.rule
        return trace(
            instance, runs, self.announcer.timing(rule), RuleTicks.of(rule, self.settings, self.zone), after=after,
            until=until, now=now, severity=self.announcer.rule(rule).severity, is_late=is_late,
        )  # fmt: skip

    # -- late events --------------------------------------------------------------------------------------------------

    def _again(
        self, instance: Instance, runs: list[Run], first: datetime, until: datetime, now: datetime | None
    ) -> Instance:
        """Evaluations made again. What was found stays: they can begin an episode where none was, or show that one
        that seemed to recover went on; they never take one back."""
        if instance.phase == "firing" or not any(run.verdict.raw for run in runs):
            return instance
        if instance.phase == "recovering":
            start = max(first, instance.clear_from or first)
            return self._kept(
                self._trace(rewound(instance, start), _from(runs, start), start - GRID, until, now, is_late=True)
            )
        begins = first
        for began, ended in sorted(self.book.ended.get(instance.fingerprint, ())):
            if ended <= begins or began > until:
                continue
            if began > begins:
                instance = self._before(instance, runs, begins, began, now)
            begins = ended + GRID
        if begins > until:
            return instance
        before = rewound(instance, begins)
        return self._kept(self._trace(before, _from(runs, begins), begins - GRID, until, now, is_late=True))

    def _before(
        self, instance: Instance, runs: list[Run], first: datetime, known: datetime, now: datetime | None
    ) -> Instance:
        """Evaluations before an episode that is known: one that goes over into it is the same one."""
        scratch = replace(rewound(instance, first), phase="inactive", at=first - GRID, episode=None)
        mine = [run for run in _from(runs, first) if run.last < known]
        traced = self._trace(scratch, mine, first - GRID, known - GRID, now, is_late=True)
        changes = traced.changes
        if traced.instance.episode is not None:
            number = traced.instance.episode.number
            changes = [change for change in changes if not _is_of(change, number)]
        self._note(changes)
        return replace(instance, episodes=instance.episodes + sum(1 for change in changes if change.step.started))

    def _corrected(self, instance: Instance, runs: list[Run]) -> Instance:
        """Mark an open episode whose told figures later data do not bear out."""
        episode = instance.episode
        if episode is None or episode.corrected:
            return instance
        told = {episode.first.at, *((episode.worst.at,) if episode.worst.raw else ())}
        if any(run.first in told and not run.verdict.raw for run in runs):
            return replace(instance, episode=replace(episode, corrected=True))
        return instance

    # -- with the clock at the time of each evaluation ----------------------------------------------------------------

    def advance(
        self, runs: dict[str, list[Run]], *, until: datetime, silences: Sequence[Silence] = ()
    ) -> list[Dispatch]:
        """Carry on to `until` through runs of verdicts, each told of at its own time. Messages in order of time.

        The first call begins with the first evaluation of `runs`.
        """
        firsts = [found[0].first for found in runs.values() if found]
        after = self.evaluated_to or (min(firsts, default=until) - GRID)
        timeline: list[tuple[datetime, str, Change]] = []
        last: list[Instance] = []
        for fingerprint in sorted(
            {*runs, *(fp for fp, kept in self.book.instances.items() if kept.phase != "inactive")}
        ):
            instance = self.book.instances.get(fingerprint) or _new(runs[fingerprint][0].verdict)
            traced = self._trace(instance, runs.get(fingerprint, []), after, until, None)
            timeline += [(change.at, fingerprint, change) for change in traced.changes]
            last.append(traced.instance)
        timeline.sort(key=lambda entry: entry[:2])
        told = self._tell_along(timeline, after, until, silences)
        for instance in last:
            self._adopt(Traced(instance, []))
        self.evaluated_to = until
        return told

    def _tell_along(
        self,
        timeline: list[tuple[datetime, str, Change]],
        after: datetime,
        until: datetime,
        silences: Sequence[Silence],
    ) -> list[Dispatch]:
        told: list[Dispatch] = []
        position, now = 0, after
        while True:
            complete_to = on_grid(now - GRID + datetime.resolution)
            timer = self.announcer.next_timer(self.book, now=now, complete_to=complete_to, silences=silences)
            change = timeline[position][0] if position < len(timeline) else None
            due = [max(timer, now + GRID / 5)] if timer is not None else []
            now = min([*due, *([change] if change else [])], default=until + GRID)
            if now > until:
                return told
            while position < len(timeline) and timeline[position][0] == now:
                taken = timeline[position][2]
                self._adopt(Traced(taken.step.instance, [taken]))
                position += 1
            complete_to = on_grid(now - GRID + datetime.resolution)
            told += self.announcer.tell(self.book, now=now, complete_to=complete_to, silences=silences)

    def episodes(self) -> tuple[Episode, ...]:
        """All episodes that this evaluator saw begin or end, by start."""
        found = {(episode.fingerprint, episode.number): episode for episode in (*self._started, *self._ended)}
        for instance in self.book.instances.values():
            if instance.episode is not None and (instance.fingerprint, instance.episode.number) in found:
                found[instance.fingerprint, instance.episode.number] = instance.episode
        return tuple(sorted(found.values(), key=lambda episode: (episode.started_at, episode.rule, episode.subject)))

    # -- into the book ------------------------------------------------------------------------------------------------

    def _kept(self, traced: Traced) -> Instance:
        self._note(traced.changes)
        return traced.instance

    def _adopt(self, traced: Traced) -> None:
        self._note(traced.changes)
        instance = traced.instance
        if instance.phase == "inactive" and not instance.episodes and instance.fingerprint not in self.book.instances:
            return
        self.book.put(instance)
        episode = instance.episode
        if episode is not None:
            matter = self.book.matters.get((episode.fingerprint, episode.number))
            if matter is not None and matter.episode != episode:
                self.book.keep(replace(matter, episode=episode))

    def _note(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if started := change.step.started:
                self._started.append(started)
                known = self.book.matters.get((started.fingerprint, started.number))
                waits = known if known is not None and known.episode.is_provisional else None
                self.book.keep(provisional.confirmed(self.book, waits, started) if waits else Matter(started))
            if ended := change.step.ended:
                self._ended.append(ended)
                self.book.over(ended)
                matter = self.book.matters.get((ended.fingerprint, ended.number))
                self.book.keep(replace(matter, episode=ended) if matter else Matter(ended))

    def _take_stale(self, verdict: Verdict, now: datetime) -> None:
        """data_stale goes by the clock on the wall, since nothing else moves while data are old."""
        rule = self.announcer.rule(STALE)
        instance = self.book.instances.get(verdict.fingerprint) or _new(verdict)
        taken = step(instance, verdict, self.announcer.timing(STALE), now=now, severity=rule.severity, at=now)
        self._adopt(Traced(taken.instance, [Change(now, taken)]))

    def _leave_stale(self, stale: Verdict | None, now: datetime) -> None:
        """An alert on old data of which nothing is said any more, as the rule was switched off, is without data."""
        for fingerprint, instance in list(self.book.instances.items()):
            is_said = stale is not None and stale.fingerprint == fingerprint
            if instance.rule == STALE and instance.phase != "inactive" and not is_said:
                nothing = Verdict(STALE, instance.subject, instance.environment, now, "no_data")
                timing, severity = self.announcer.timing(STALE), self.announcer.rule(STALE).severity
                taken = step(instance, nothing, timing, now=now, severity=severity, at=now)
                self._adopt(Traced(taken.instance, [Change(now, taken)]))

    # -- the rules ----------------------------------------------------------------------------------------------------

    def _judged(self, log: EventLog, ticks: Sequence[datetime], *, singly: bool) -> dict[str, list[Run]]:
        found: list[Run] = []
        for start in range(0, len(ticks), TICKS_AT_ONCE):
            judged = self._judge(log, ticks[start : start + TICKS_AT_ONCE], singly=singly)
            found += [run for runs in judged.values() for run in runs]
        return by_fingerprint(found)

    def _by_the_rules(self, log: EventLog, ticks: Sequence[datetime], *, singly: bool) -> dict[str, list[Run]]:
        if singly:
            return runs_of(evaluate(log, ticks, self.settings, zone=self.zone, only=self._only))
        return runs_found(evaluate_runs(log, ticks, self.settings, zone=self.zone, only=self._only))

    def _rule_of(self, fingerprint: str) -> str:
        return fingerprint.partition("|")[0]


@dataclass(frozen=True)
class Replayed:
    """What a past period would have brought: all episodes by start, and what would have been told."""

    episodes: tuple[Episode, ...]
    dispatches: tuple[Dispatch, ...]


def replay(
    runs: dict[str, list[Run]],
    settings: AlertSettings,
    recipients: RecipientSettings | None = None,
    *,
    zone: ZoneInfo,
    until: datetime,
    silences: Sequence[Silence] = (),
    is_raw: bool = False,
) -> Replayed:
    """The life cycle over verdicts of a past period, with the clock at the time of each evaluation.

    `runs`: by fingerprint, in order. `is_raw`: as if no rule had a guard.
    """
    if is_raw:
        runs = {fingerprint: [_unguarded(run) for run in found] for fingerprint, found in runs.items()}
    evaluator = Evaluator(settings, recipients, zone=zone)
    dispatches = evaluator.advance(runs, until=until, silences=silences)
    return Replayed(evaluator.episodes(), tuple(dispatches))


def newest_tick(watermark: datetime, settings: AlertSettings) -> datetime:
    """The newest point of the grid that may be evaluated with data complete to `watermark`."""
    return on_grid(watermark - timedelta(minutes=settings.watermark_lag) - GRID + datetime.resolution)


def _unguarded(run: Run) -> Run:
    return run._replace(verdict=replace(run.verdict, guarded=run.verdict.raw))


def _new(verdict: Verdict) -> Instance:
    return Instance(verdict.rule, verdict.subject, verdict.environment)


def _from(runs: Iterable[Run], first: datetime) -> list[Run]:
    return [run for run in runs if run.first >= first]


def _is_of(change: Change, number: int) -> bool:
    return any(episode is not None and episode.number == number for episode in (change.step.started, change.step.ended))
