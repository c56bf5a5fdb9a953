"""One pass over the alerts of a home: evaluate what is due, compose what is to be told, keep it all in one transaction.

Whatever happens to a pass, it was made wholly or not at all, and made again it comes to the same. Evidence is gathered
and messages are composed before the transaction, which is short. Not here: deciding (evaluator.py), sending
(delivery/), when a pass is made (orchestration).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from matokit_pipelines import state
from matokit_pipelines.alerts import provisional, store
from matokit_pipelines.alerts.announcements import Announcement
from matokit_pipelines.alerts.book import Dispatch
from matokit_pipelines.alerts.evaluation import RULE_VERSION, evaluate, stale_verdict
from matokit_pipelines.alerts.evaluator import Evaluator, Outcome, newest_tick
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.lifecycle import GRID, on_grid
from matokit_pipelines.alerts.reported import InReport
from matokit_pipelines.alerts.silences import every
from matokit_pipelines.alerts.tracing import RuleTicks, runs_of
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.errors import StateError
from matokit_pipelines.settings import Settings
from matokit_pipelines.warehouse.alert_evidence import Connection
from matokit_pipelines.warehouse.arrivals import arrivals, product_watermark
from matokit_pipelines.warehouse.event_columns import Events, microseconds
from matokit_pipelines.warehouse.event_log import WarehouseLog
from matokit_pipelines.warehouse.provisional import events_beyond, merged
from matokit_pipelines.warehouse.refresh import Home, build_options

Compose = Callable[[Announcement, str], Message]
Progress = Callable[[str, int, int], None]
_LOG = logging.getLogger(__name__)
_TRIES = 3
_REMEMBERED = timedelta(hours=49)  # of episodes that are over: twice the longest catch-up, and some


@dataclass(frozen=True)
class PassReport:
    """What a pass did. ticks: new evaluations; again: earlier ones that were made again for late events; open: alerts
    that fire or recover now; queued: messages put into the outbox; watermark: to when data are complete (UTC);
    evaluated_to: the newest evaluation; next_timer: when something is due though no event comes."""

    ticks: int = 0
    again: int = 0
    started: int = 0
    ended: int = 0
    open: int = 0
    queued: int = 0
    watermark: datetime | None = None
    evaluated_to: datetime | None = None
    next_timer: datetime | None = None


def run_pass(home: Home, *, progress: Progress | None = None, compose: Compose | None = None) -> PassReport:
    """Evaluate what is due and put into the outbox what is to be told.

    Evaluations end at the watermark of what is landed and derived; while events wait to be derived only timers count.
    `compose`: finds the words instead of the usual composer. Errors of the warehouse and the store are raised; then
    nothing has changed. A home without a warehouse has nothing to evaluate.
    """
    if not home.loaded.settings.alerts.enabled or not home.warehouse.path.exists():
        return PassReport()
    for _ in range(_TRIES):
        report = _Pass(home, progress, compose).run()
        if report is not None:
            return report
    raise StateError(f"Another process goes on writing to {state.file_of(home.loaded.home)}; try again.")


def is_due(home_folder: Path, settings: Settings, now: datetime, watermark: datetime | None) -> str | None:
    """Why a pass is due, in one sentence; None when none is. Reads the store alone.

    `watermark`: up to where everything is landed and derived, as far as the caller knows.
    """
    if not settings.alerts.enabled:
        return None
    known = store.Progress()
    if state.file_of(home_folder).exists():
        with state.opened(home_folder) as connection:
            known = store.progress(connection)
    if watermark is not None:
        newest = newest_tick(watermark, settings.alerts)
        if known.evaluated_to is None:
            return "The rules were never evaluated."
        if newest > known.evaluated_to:
            return f"Data are complete to {watermark:%H:%M} UTC, and evaluated to {known.evaluated_to:%H:%M} UTC."
    if known.next_timer is not None and known.next_timer <= now:
        return f"Something is to be told since {known.next_timer:%H:%M} UTC."
    return None


class _Pass:
    """The state of one pass."""

    def __init__(self, home: Home, progress: Progress | None, compose: Compose | None) -> None:
        self._home = home
        self._settings = home.loaded.settings
        self._tell = progress or (lambda *_: None)
        self._compose = compose
        self._now = home.clock.now()

    def run(self) -> PassReport | None:
        """None when another process wrote in between: nothing was written then."""
        # the warehouse's lock is held to the end, so that passes follow each other
        with self._home.warehouse.reader() as warehouse, state.opened(self._home.loaded.home) as connection:
            known = store.progress(connection)
            found = arrivals(warehouse, since=known.landed_to, after=self._horizon(known, product_watermark(warehouse)))
            complete_to = found.complete_to if found.is_derived else known.complete_to
            if complete_to is None:
                return PassReport()
            evaluator = self._evaluator(connection, known)
            self._tell("evaluating", 0, 2)
            late_from = found.earliest if found.is_derived and known.landed_to else None
            outcome = self._evaluated(evaluator, warehouse, connection, complete_to, late_from, found.complete_to)
            self._tell("composing", 1, 2)
            messages = self._composed(outcome, warehouse)
            done = store.Progress(
                known.revision,
                outcome.evaluated_to,
                found.landed_to if found.is_derived else known.landed_to,
                self._timer(outcome, found.complete_to),
                complete_to,
            )
            queued = self._write(connection, evaluator, outcome, messages, known, done)
            self._tell("composing", 2, 2)
            return None if queued is None else self._report(evaluator, outcome, done, queued)

    def _horizon(self, known: store.Progress, watermark: datetime | None) -> datetime | None:
        """Events before it that come late touch no evaluation: so far back from the newest one is caught up."""
        if known.evaluated_to is None or watermark is None:
            return None
        alerts = self._settings.alerts
        newest = max(newest_tick(watermark, alerts), known.evaluated_to)
        return newest - timedelta(hours=alerts.catch_up)

    def _evaluator(self, connection: sqlite3.Connection, known: store.Progress) -> Evaluator:
        remembered = (known.evaluated_to or self._now) - _REMEMBERED
        return Evaluator(
            self._settings.alerts, self._settings.recipients, zone=self._settings.project.zone,
            book=store.book(connection, ended_after=remembered), evaluated_to=known.evaluated_to,
            in_report=InReport.of(connection, self._settings),
        )  # fmt: skip

    def _evaluated(
        self, evaluator: Evaluator, warehouse: Connection, connection: sqlite3.Connection,
        complete_to: datetime, late_from: datetime | None, watermark: datetime | None,
    ) -> Outcome:  # fmt: skip
        alerts = self._settings.alerts
        log = WarehouseLog(warehouse)
        incomplete = self._incomplete(warehouse, log, complete_to) if alerts.provisional.enabled else []
        stale = stale_verdict(watermark, self._now, alerts) if alerts.rules.data_stale.enabled else None
        return evaluator.run(
            log, now=self._now, watermark=complete_to, late_from=late_from,
            silences=every(connection, over_since=complete_to - _REMEMBERED), stale=stale, incomplete=incomplete,
        )  # fmt: skip

    def _incomplete(self, warehouse: Connection, log: WarehouseLog, complete_to: datetime) -> list[Verdict]:
        """What is said of events beyond the watermark, at the newest tick of the clock on the wall."""
        alerts, tick = self._settings.alerts, on_grid(self._now - GRID + datetime.resolution)
        if tick <= complete_to:
            return []
        days = max(alerts.rules.overall_success_rate.baseline_days, alerts.rules.high_volume_failures.baseline_days, 7)
        since = microseconds(tick - timedelta(days=days + 1))
        edge = microseconds(complete_to)
        environments: dict[str, Events] = {}
        for name in alerts.environments:
            known = log.of(name).between(since, edge)
            beyond = events_beyond(
                warehouse, build_options(self._home.loaded), name, complete_to=complete_to, until=tick
            )  # fmt: skip
            environments[name] = merged(known.taken(known.window(since, edge)), beyond)
        return evaluate(
            LoadedLog(environments), [tick], alerts, zone=self._settings.project.zone, only=provisional.RULES
        )

    def _composed(self, outcome: Outcome, warehouse: Connection) -> list[tuple[Dispatch, Message]]:
        """Each message, composed once for all destinations that get the same."""
        compose = self._compose or usual_composer(self._home, warehouse)
        made: dict[tuple[object, ...], Message] = {}
        found = []
        for dispatch in outcome.dispatches:
            told = dispatch.announcement
            episodes = tuple((episode.fingerprint, episode.number) for episode in told.episodes)
            same = (told.kind, told.k, told.digest, episodes)
            if same not in made:
                made[same] = _in_words(compose, dispatch)
            found.append((dispatch, made[same]))
        return found

    def _write(
        self, connection: sqlite3.Connection, evaluator: Evaluator, outcome: Outcome,
        messages: list[tuple[Dispatch, Message]], known: store.Progress, done: store.Progress,
    ) -> int | None:  # fmt: skip
        alerts, zone = self._settings.alerts, self._settings.project.zone
        follows = {rule: RuleTicks.of(rule, alerts, zone) for rule, _ in alerts.rules.named()}
        with state.transaction(connection):
            if store.progress(connection).revision != known.revision:
                return None
            store.add_runs(connection, outcome.runs, rule_version=RULE_VERSION, now=self._now, follows=follows)
            store.add_runs(
                connection, runs_of(outcome.incomplete), rule_version=RULE_VERSION, now=self._now, follows=follows,
                is_provisional=True,
            )  # fmt: skip
            store.save(connection, evaluator.book, done, self._now)
            if known.evaluated_to and done.evaluated_to and done.evaluated_to.date() > known.evaluated_to.date():
                store.tidy(connection, self._now)
            return sum(
                outbox.enqueue(
                    connection, message_key=dispatch.message_key, conversation=dispatch.conversation,
                    destination=dispatch.destination, severity=dispatch.severity, message=message, due=dispatch.due,
                    now=self._now,
                )
                for dispatch, message in messages
            )  # fmt: skip

    def _timer(self, outcome: Outcome, watermark: datetime | None) -> datetime | None:
        """When to look again though no event comes: data may grow old too."""
        rule = self._settings.alerts.rules.data_stale
        timers = [outcome.next_timer]
        if rule.enabled and watermark is not None:
            grows_old = watermark + timedelta(hours=rule.after_hours, seconds=1)
            timers.append(grows_old if grows_old > self._now else None)
        return min((timer for timer in timers if timer is not None), default=None)

    def _report(self, evaluator: Evaluator, outcome: Outcome, done: store.Progress, queued: int) -> PassReport:
        open_now = sum(1 for instance in evaluator.book.instances.values() if instance.episode is not None)
        return PassReport(
            ticks=len(outcome.ticks), again=len(outcome.again), started=len(outcome.started),
            ended=len(outcome.ended), open=open_now, queued=queued, watermark=done.complete_to,
            evaluated_to=done.evaluated_to, next_timer=done.next_timer,
        )  # fmt: skip


def usual_composer(home: Home, warehouse: Connection) -> Compose:
    """Words with the evidence that the warehouse holds."""
    from matokit_pipelines.alerts.content.composing import compose
    from matokit_pipelines.alerts.content.evidence import gather
    from matokit_pipelines.alerts.content.links import Links

    links = Links.of(home.loaded)
    return lambda announcement, _: compose(announcement, gather(warehouse, announcement, links), links)


def _in_words(compose: Compose, dispatch: Dispatch) -> Message:
    """The message. Where no words can be found, the bare fact: no alert may be lost for its looks."""
    try:
        return compose(dispatch.announcement, dispatch.destination)
    except Exception:
        _LOG.exception("no words were found for %s", dispatch.message_key)
        told = dispatch.announcement
        about = ", ".join(f"{episode.rule} of {episode.subject[:80]}" for episode in told.episodes[:10])
        return Message(
            f"{told.kind}: {told.episodes[0].rule}",
            f"{told.kind}: {about}. The message could not be composed; `matokit alerts list` says more.",
        )
