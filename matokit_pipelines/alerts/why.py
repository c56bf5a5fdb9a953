"""Why an alert fired, or why it did not: what was evaluated at a time, and what became of it.

From what every pass keeps; where nothing is kept of a time, from an evaluation made now. The conditions are in
why_words.py; here is what followed: episodes, silences, digests, threads, deliveries. Not here: printing (cli/).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.endings import reason_of, still_fails
from matokit_pipelines.alerts.conversations import OVERALL
from matokit_pipelines.alerts.store import Evaluation
from matokit_pipelines.alerts.tracing import RuleTicks
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.alerts.why_words import day_and_clock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.outbox import Row

MOST_RUNS = 5_000  # looked through, the newest first; more subjects than that could only be invented
ENDED = {
    "recovered": "it recovered",
    "no_longer_measurable": "it could no longer be measured",
    "not_confirmed": "complete data did not confirm it",
}

GOES_ON = "its condition ended, failures go on"


@dataclass(frozen=True)
class Kept:
    """What is known of one subject at a time. exact: whether the numbers of `verdict` are those of that very time.

    run: the stored run that the time lies in; None for an evaluation made now. again: the numbers were counted again,
    as only those of the run's ends are stored.
    """

    verdict: Verdict
    run: Evaluation | None
    exact: bool
    again: bool = False

    def counted_again(self, now: Verdict | None) -> Kept:
        """With the numbers of an evaluation made now, where it says the same as the stored one."""
        stored = self.verdict
        if now is None or (now.state, now.raw, now.guarded) != (stored.state, stored.raw, stored.guarded):
            return self
        return Kept(now, self.run, exact=True, again=True)


def kept_at(
    connection: sqlite3.Connection, rule: str, subject: str | None, at: datetime, ticks: RuleTicks
) -> list[Kept]:
    """What is stored of the evaluation that was in force at `at`, of every subject or one; those that fired first.

    `ticks`: when the rule is evaluated. A subject of which that evaluation said nothing is left out.
    """
    newest: dict[str, Evaluation] = {}
    for run in store.evaluations(connection, rule, subject, until=at, most=MOST_RUNS):
        if run.is_provisional or run.newest.fingerprint in newest:
            continue
        if run.last_tick >= at or ticks.next(run.last_tick) > at:
            newest[run.newest.fingerprint] = run
    found = [_at(run, at) for run in newest.values()]
    return sorted(found, key=lambda kept: (not kept.verdict.guarded, not kept.verdict.raw, kept.verdict.subject))


def _at(run: Evaluation, at: datetime) -> Kept:
    """The numbers of the first or the last evaluation of the run, whichever is nearer."""
    if run.last_tick <= at or run.first_tick == run.last_tick:
        return Kept(run.newest, run, exact=True)
    if run.first_tick == at:
        first = run.newest
        verdict = Verdict(
            first.rule, first.subject, first.environment, at, first.state, first.raw, first.guarded, run.first_inputs
        )
        return Kept(verdict, run, exact=True)
    return Kept(run.newest, run, exact=False)


def how_known(kept: Kept, zone: ZoneInfo) -> str:
    """Where the numbers are from, in one sentence."""
    run = kept.run
    if run is None:
        return "Nothing is stored of this time, so it was evaluated now, on the data as they are known today."
    if run.ticks == 1:
        return f"Evaluated {day_and_clock(run.evaluated_at, zone)}, by the rules of version {run.rule_version}."
    same = (
        f"The same from {day_and_clock(run.first_tick, zone)} to {day_and_clock(run.last_tick, zone)}, "
        f"{wording.many(run.ticks, 'evaluation')}"
    )
    if kept.again:
        return f"{same}; the numbers of this time were counted now, on the data as they are known today."
    return f"{same}." if kept.exact else f"{same}; the numbers are those of the last."


def aftermath(
    connection: sqlite3.Connection, kept: Kept, settings: AlertSettings, zone: ZoneInfo, now: datetime
) -> list[str]:
    """What became of it by `now`: the episode, whether it was told, and what held it back. In sentences."""
    verdict = kept.verdict
    known = [
        matter
        for matter in store.history(connection, since=_LONG_AGO, rule=verdict.rule, subject=verdict.subject)
        if matter.episode.environment == verdict.environment and matter.episode.started_at <= verdict.at
    ]
    found = list(_silences(connection, verdict, known[-1] if known else None, zone))
    if known and _holds_on(known[-1], verdict.at):
        return [*found, *_episode(connection, known[-1], verdict, settings, zone, now)]
    if verdict.guarded and kept.run is None:
        found.append("No pass evaluated this time, so nothing came of it.")
    elif verdict.guarded:
        least = getattr(settings.rules, verdict.rule).for_minutes
        pending = f"It has to hold for {wording.many(least, 'minute')} before it fires (`for`)."
        found.append(pending if least else "No pass has followed it up yet.")
    if known and (ended := known[-1].episode.ended_at):
        found.append(f"It last fired until {wording.clock(ended, zone, now)}.")
    return found


_LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


def _holds_on(matter: Matter, at: datetime) -> bool:
    return matter.episode.ended_at is None or matter.episode.ended_at >= at


def _silences(connection: sqlite3.Connection, verdict: Verdict, matter: Matter | None, zone: ZoneInfo) -> Iterator[str]:
    """Those in force then, and those that withheld a message of the episode."""
    withheld = set(matter.silenced_by) if matter and _holds_on(matter, verdict.at) else set()
    for silence in silences.every(connection):
        fits = silence.fits(verdict.rule, verdict.subject)
        if silence.id in withheld or (fits and silence.is_active(verdict.at)):
            until = day_and_clock(silence.until, zone)
            what = "withheld messages of it" if silence.id in withheld else "was in force"
            yield f"Silence {silence.id} by {silence.author} ({silence.reason}) {what}, until {until}."


def _episode(
    connection: sqlite3.Connection,
    matter: Matter,
    verdict: Verdict,
    settings: AlertSettings,
    zone: ZoneInfo,
    now: datetime,
) -> Iterator[str]:
    episode = matter.episode
    began = wording.clock(episode.started_at, zone, now)
    late = f", found {wording.clock(episode.detected_at, zone, now)} in data that came late" if episode.is_late else ""
    if episode.ended_at is None:
        yield f"It fires since {began}{late}."
        if not verdict.raw and verdict.state == "ok":
            keep = getattr(settings.rules, verdict.rule).keep_firing
            yield f"It is recovering: over when the trigger was not met for {wording.many(keep, 'minute')}."
    else:
        why = ENDED.get(episode.end_reason or "", "it is over")
        if still_fails(episode, settings):
            why = f"{GOES_ON} ({reason_of(episode, settings).removesuffix('; failures go on')})"
        yield f"It fired from {began} to {wording.clock(episode.ended_at, zone, now)}{late}; {why}."
    yield from _told(connection, matter, zone, now)


def _told(connection: sqlite3.Connection, matter: Matter, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """When and where it was told, or what it waits for."""
    if matter.digest and matter.due:
        name = "the digest of warnings"
        if matter.digest == "health":
            name = "the daily component health report, or a message in its place"
        yield f"It waits for {name}, due {wording.clock(matter.due, zone, now)}."
    told = matter.telling.told_at
    if told is None:
        if not matter.digest:
            yield "Nobody was told: a silence withheld it." if matter.silenced_by else "Nobody was told yet."
        return
    if matter.in_report:
        day = wording.day(matter.episode.started_at, zone)
        yield f"It was told in the daily component health report of {day}, so it has no message of its own."
        return
    yield f"It was told {wording.clock(told, zone, now)}."
    rows = outbox.listed(connection)[::-1]
    for destination, conversation in matter.conversations.items():
        mine = f"{matter.episode.fingerprint}|{matter.episode.number}|"
        if not conversation.startswith(mine):
            whose = "inhibited: a line" if conversation.startswith(f"{OVERALL}|") else "a line"
            yield f"  {destination}: {whose} in the thread of {_about(conversation)}."
        for row in (row for row in rows if row.conversation == conversation):
            if conversation.startswith(mine) or row.message_key.startswith(mine):
                yield f"  {destination}: {_delivery(row, zone, now)}."


def _about(conversation: str) -> str:
    """Whose conversation it is: rule and subject."""
    rule, _, rest = conversation.partition("|")
    subject = wording.name(rest.rsplit("|", 3)[0])
    return rule if subject == "*" else f"{rule} of {subject}"


def _delivery(row: Row, zone: ZoneInfo, now: datetime) -> str:
    """One message of the outbox: of which kind, and how far."""
    kind = row.message_key.rsplit("|", 2)[1]
    if row.state == "sent" and row.sent_at is not None:
        return f"{kind} sent {wording.clock(row.sent_at, zone, now)}"
    why = f" ({row.error.rstrip('.')})" if row.error else ""
    if row.state == "dead":
        return f"{kind} given up{why}; `matokit outbox retry {row.id}` tries again"
    return f"{kind} due {wording.clock(row.next_at, zone, now)}{why}"


def in_force(at: datetime, ticks: RuleTicks) -> datetime:
    """The newest evaluation of a rule that was not after `at`."""
    day = timedelta(days=2)
    found = ticks.next(at - day)
    while (following := ticks.next(found)) <= at:
        found = following
    return found
