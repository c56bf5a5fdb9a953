"""What each rule would have sent in a past period: by its trigger alone, and with the guard.

The evaluator and the life cycle are those that run live; only the clock is another one. Not here: reading the period
from the warehouse, showing what was found (cli/).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.evaluation import EVALUATED, evaluate_runs, ticks_between
from matokit_pipelines.alerts.evaluator import replay
from matokit_pipelines.alerts.event_log import EventLog
from matokit_pipelines.alerts.tracing import Run
from matokit_pipelines.windows import Window, joined

WEEK = timedelta(weeks=1)
LEAD = timedelta(days=1)  # evaluated before the period, to know what fires already


@dataclass(frozen=True)
class Figures:
    """One rule in one period. starts: messages that an alert begins, subjects that start together being one;
    episodes: firing periods of all subjects; hours: in which at least one subject fired."""

    starts: int
    episodes: int
    hours: float


@dataclass(frozen=True)
class Compared:
    """One rule: its episodes by the trigger alone and with the guard, in the order of their start."""

    rule: str
    severity: str
    raw: tuple[Episode, ...]
    guarded: tuple[Episode, ...]


@dataclass(frozen=True)
class Backtest:
    """A period evaluated again. ticks: evaluations made; events: counted in the period; changed: settings that were
    other than the home's, as they were given; incomplete: windows whose data did not add up; notes: what else to know,
    in sentences."""

    period: Window
    ticks: int
    events: int
    rules: tuple[Compared, ...]
    changed: tuple[str, ...] = ()
    incomplete: tuple[Window, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def weeks(self) -> float:
        return (self.period.end - self.period.start) / WEEK

    def per_week(self, starts: int) -> float | None:
        """Starts a week; None for a period without length."""
        return starts / self.weeks if self.weeks else None


def backtest(
    log: EventLog,
    period: Window,
    settings: AlertSettings,
    *,
    zone: ZoneInfo,
    only: Collection[str] | None = None,
    events: int = 0,
    changed: tuple[str, ...] = (),
    incomplete: tuple[Window, ...] = (),
    notes: tuple[str, ...] = (),
) -> Backtest:
    """Evaluate every 5 minutes of `period` and lead each alert through its life, once by the triggers alone and once
    with the guard.

    `zone`: the project's. `only`: these rules. An alert that fires already when the period begins is left out, for
    which the day before is evaluated too. data_stale goes by the wall clock and has no past.
    """
    ticks = ticks_between(period.start - LEAD, period.end)
    runs: dict[str, list[Run]] = {}
    for run in evaluate_runs(log, ticks, settings, zone=zone, only=only):
        runs.setdefault(run.first.fingerprint, []).append(Run(run.first, run.first_tick, run.last_tick))
    lanes = []
    for is_raw in (True, False):
        replayed = replay(runs, settings, zone=zone, until=period.end, is_raw=is_raw)
        lanes.append([episode for episode in replayed.episodes if episode.started_at > period.start])
    rules = tuple(
        Compared(name, rule.severity, *(tuple(one for one in lane if one.rule == name) for lane in lanes))
        for name, rule in settings.rules.named()
        if rule.enabled and name in EVALUATED and (only is None or name in only)
    )
    return Backtest(period, sum(tick > period.start for tick in ticks), events, rules, changed, incomplete, notes)


def figures(episodes: Iterable[Episode], period: Window) -> Figures:
    """The figures of one rule; what fires when the period ends is counted up to there."""
    found = list(episodes)
    spans = joined(span(episode, period) for episode in found)
    lasting = sum((window.end - window.start for window in spans), timedelta())
    starts = len({(episode.rule, episode.environment, episode.started_at) for episode in found})
    return Figures(starts, len(found), lasting / timedelta(hours=1))


def span(episode: Episode, period: Window) -> Window:
    """When an episode fired, within the period."""
    end = min(episode.ended_at or period.end, period.end)
    return Window(episode.started_at, max(end, episode.started_at))
