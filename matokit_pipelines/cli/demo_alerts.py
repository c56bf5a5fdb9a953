"""The alerts of the demo: all past evaluations in one go, each told at its own time, and what came of it.

The evaluator and the life cycle are those that run live; only the clock is another one. Not here: rules and messages
(alerts/), the stage (demo_stage.py), the comparison with what was planted (alert_sightings.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from matokit_pipelines.cli.demo_stage import ZONE

if TYPE_CHECKING:
    import duckdb

    from matokit_pipelines.alerts.announcements import Episode
    from matokit_pipelines.alerts.book import Dispatch
    from matokit_pipelines.alerts.evaluator import Evaluator
    from matokit_pipelines.alerts.tracing import Run
    from matokit_pipelines.cli.alert_sightings import AlertSighting
    from matokit_pipelines.cli.demo_stage import Services, StageClock
    from matokit_pipelines.cli.frame import Frame
    from matokit_pipelines.delivery.messages import Message
    from matokit_pipelines.simulator import Truth
    from matokit_pipelines.warehouse.refresh import Home

LEARNING = timedelta(days=7)  # before the first evaluation, where there are as many days
OUR_OWN = ("slow_regression", "no_events", "data_stale")
A_MOMENT = timedelta(seconds=5)
_STRUCK = {
    "dropped_before": ("dropped connection", "dropped connections"),
    "dropped_after": ("answer that was lost", "answers that were lost"),
    "limited": ("time of too many requests", "times of too many requests"),
    "error": ("failure of Slack", "failures of Slack"),
}
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Rehearsal:
    """What the past brought: how many evaluations, the episodes by start, with the guard and by the triggers alone,
    and what was told by now."""

    ticks: int
    since: datetime
    until: datetime
    episodes: tuple[Episode, ...]
    raw: tuple[Episode, ...]
    dispatches: tuple[Dispatch, ...]


def rehearse(home: Home, truth: Truth, clock: StageClock, progress: Progress) -> Rehearsal:
    """Evaluate every tick of the past, keep where each alert stands, and deliver each message at its time."""
    with home.warehouse.reader() as connection:
        evaluator, runs, ticks = _evaluated(connection, home, truth)
        told = tuple(evaluator.advance(runs, until=ticks[-1]))
        messages = _composed(connection, home, told, progress)
    _keep(home, evaluator, runs, told, messages, clock.now())
    _deliver(home, clock, told, progress)
    raw = _by_triggers_alone(home, runs, ticks[-1])
    due = tuple(dispatch for dispatch in told if dispatch.due <= clock.now())
    return Rehearsal(len(ticks), ticks[0], ticks[-1], evaluator.episodes(), raw, due)


def _evaluated(
    connection: duckdb.DuckDBPyConnection, home: Home, truth: Truth
) -> tuple[Evaluator, dict[str, list[Run]], list[datetime]]:
    from matokit_pipelines.alerts.evaluation import evaluate_runs, ticks_between
    from matokit_pipelines.alerts.evaluator import Evaluator
    from matokit_pipelines.alerts.tracing import runs_found
    from matokit_pipelines.warehouse.event_log import WarehouseLog

    settings, zone = home.loaded.settings, home.loaded.settings.project.zone
    evaluator = Evaluator(settings.alerts, settings.recipients, zone=zone)
    mark: datetime = connection.execute("select watermark from ledger.product_watermark").fetchall()[0][0]
    until = evaluator.newest_tick(mark)
    ticks = ticks_between(truth.start + min(LEARNING, (until - truth.start) / 2), until)
    found = evaluate_runs(WarehouseLog(connection), ticks, settings.alerts, zone=zone, watermark=mark)
    return evaluator, runs_found(found), ticks


def _composed(
    connection: duckdb.DuckDBPyConnection, home: Home, told: Sequence[Dispatch], progress: Progress
) -> list[Message]:
    """A message for each dispatch; what several destinations are told alike is composed once."""
    from matokit_pipelines.alerts.passes import usual_composer

    compose = usual_composer(home, connection)
    made: dict[object, Message] = {}
    messages = []
    for number, dispatch in enumerate(told, 1):
        announcement = dispatch.announcement
        episodes = tuple((episode.fingerprint, episode.number) for episode in announcement.episodes)
        same = (announcement.kind, announcement.k, announcement.digest, announcement.at, episodes)
        if same not in made:
            made[same] = compose(announcement, dispatch.destination)
        messages.append(made[same])
        progress("composing", number, len(told))
    return messages


def _keep(
    home: Home,
    evaluator: Evaluator,
    runs: dict[str, list[Run]],
    told: Sequence[Dispatch],
    messages: Sequence[Message],
    now: datetime,
) -> None:
    """What a pass would have kept, in one transaction."""
    from matokit_pipelines import state
    from matokit_pipelines.alerts import store
    from matokit_pipelines.alerts.evaluation import RULE_VERSION
    from matokit_pipelines.alerts.tracing import RuleTicks
    from matokit_pipelines.delivery.outbox import enqueue

    settings, zone = home.loaded.settings, home.loaded.settings.project.zone
    follows = {name: RuleTicks.of(name, settings.alerts, zone) for name, _ in settings.alerts.rules.named()}
    done = store.Progress(
        evaluated_to=evaluator.evaluated_to,
        landed_to=now,
        next_timer=evaluator.next_timer(now, evaluator.evaluated_to or now),
        complete_to=evaluator.evaluated_to,
    )
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        for dispatch, message in zip(told, messages, strict=True):
            enqueue(
                connection, message_key=dispatch.message_key, conversation=dispatch.conversation,
                destination=dispatch.destination, severity=dispatch.severity, message=message, due=dispatch.due,
                now=dispatch.announcement.at,
            )  # fmt: skip
        store.add_runs(connection, runs, rule_version=RULE_VERSION, now=now, follows=follows)
        store.save(connection, evaluator.book, done, now)


def _deliver(home: Home, clock: StageClock, told: Sequence[Dispatch], progress: Progress) -> None:
    """Send each message at its time, by the clock of the past; what a service puts off is sent as soon as it may be."""
    from matokit_pipelines.delivery.draining import drain

    end = clock.now()
    begin = min((dispatch.due for dispatch in told), default=end)
    sent = 0
    with clock.in_the_past(begin) as past:
        while past.now() <= end:
            report = drain(home.loaded, clock)
            sent += report.sent
            progress("telling", sent, len(told))
            if report.next_due is None:
                return
            past.advance(max(report.next_due - past.now(), A_MOMENT))


def _by_triggers_alone(home: Home, runs: dict[str, list[Run]], until: datetime) -> tuple[Episode, ...]:
    from matokit_pipelines.alerts.evaluator import replay

    settings = home.loaded.settings
    return replay(runs, settings.alerts, zone=settings.project.zone, until=until, is_raw=True).episodes


# -- what it came to --------------------------------------------------------------------------------------------------


def sightings(done: Rehearsal, truth: Truth) -> tuple[AlertSighting, ...]:
    """Every planted incident since the first evaluation, and the alert that is for it."""
    from matokit_pipelines.cli.alert_sightings import look_for

    planted = [incident for incident in truth.incidents if incident.start >= done.since]
    return look_for(planted, done.episodes, done.dispatches)


@dataclass(frozen=True)
class Arrived:
    """What came to the simulated Slack and mail server. missing, twice: messages that did not come, or came again."""

    slack: int
    threads: int
    mails: int
    missing: int
    twice: int

    @property
    def is_whole(self) -> bool:
        """A mail may come twice when a connection is lost after it was taken; a message on Slack never does."""
        return not self.missing and not self.twice


def arrived(done: Rehearsal, services: Services) -> Arrived:
    """Hold what was told against what arrived."""
    posted = [message for message in services.slack.messages if message.message_key]
    keys = Counter(message.message_key for message in posted)
    wanted = {d.message_key for d in done.dispatches if d.destination.startswith("slack:")}
    mails = sum(d.destination.startswith("email:") for d in done.dispatches)
    missing = len(wanted - keys.keys()) + max(0, mails - len(services.mail.kept))
    twice = sum(count > 1 for count in keys.values()) + len(keys.keys() - wanted)
    threads = sum(message.thread_ts is None for message in posted)
    return Arrived(len(posted), threads, len(services.mail.kept), missing, twice)


def show(frame: Frame, done: Rehearsal, seen: Sequence[AlertSighting], services: Services, messages: str) -> Arrived:
    """The scoreboard of the alerts."""
    from matokit_pipelines.cli.alert_sightings import unexplained

    days = round((done.until - done.since) / timedelta(days=1))
    frame.say(
        f"Alerts      {done.ticks:,} evaluations over {days} days: the plain thresholds would have woken somebody "
        f"{_times(_woken(done.raw))}, matokit did {_times(_told_at_once(done.dispatches))}"
    )
    frame.say(
        f"            with what waits for the morning: {_starts(_printed(done.raw)):,} alerts by the eight plain "
        f"thresholds, {_starts(done.episodes):,} by the eleven rules of matokit"
    )
    for sighting in seen:
        mark = "✓" if sighting.found else "–"
        frame.say(
            f"            {mark} {_when(sighting.incident.start)}  {sighting.incident.name}: {_in_words(sighting)}"
        )
    others = unexplained([sighting.incident for sighting in seen], done.episodes)
    if others:
        named = ", ".join(f"{episode.rule} {_when(episode.started_at)}" for episode in others[:3])
        frame.say(
            f"            and {len(others)} for which nothing was planted: {named}{' …' if len(others) > 3 else ''}"
        )
    came, struck = arrived(done, services), services.slack.dice.struck
    frame.say(
        f"Told        {came.slack} messages in {came.threads} threads of a simulated Slack, each once, and "
        f"{came.mails} mails; all of them in {messages}"
    )
    faults = [f"{struck[name]} {words[struck[name] > 1]}" for name, words in _STRUCK.items() if struck[name]]
    if faults:
        frame.say(f"            through {', '.join(faults)}")
    if not came.is_whole:
        frame.say(f"            but {came.missing} did not come, and {came.twice} came twice")
    return came


def _in_words(sighting: AlertSighting) -> str:
    rules = list(dict.fromkeys(episode.rule for episode in sighting.episodes))
    if not sighting.breaks:
        return f"{', '.join(rules)}, which nobody needed" if rules else "no alert, as it should be"
    if not rules:
        return "no alert"
    then = f", then {', '.join(rules[1:])}" if rules[1:] else ""
    told = f"told {_when(sighting.told_at)}" if sighting.told_at else "told nobody yet"
    over = f"over {_when(sighting.over_at)}" if sighting.over_at else "goes on"
    return f"{rules[0]} {told}{then}; {over}"


def _printed(episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """Those of the eight rules of the plan; the further ones of matokit are not meant to go without a guard."""
    return tuple(episode for episode in episodes if episode.rule not in OUR_OWN)


def _woken(episodes: Sequence[Episode]) -> int:
    return len({(e.rule, e.started_at) for e in episodes if e.severity == "critical"})


def _told_at_once(told: Sequence[Dispatch]) -> int:
    """Messages that begin a critical alert, each counted once however many destinations it went to."""
    beginning = [d for d in told if d.announcement.kind in ("firing", "past") and d.severity == "critical"]
    return len({d.message_key.removesuffix(d.destination) for d in beginning})


def _starts(episodes: Sequence[Episode]) -> int:
    return len({(e.rule, e.started_at) for e in episodes})


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(ZoneInfo(ZONE)):%a %d %b %H:%M}"
