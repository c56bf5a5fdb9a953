"""Alerts on events that are not complete yet: told at once and marked so, confirmed by complete data or taken back.

They have the fingerprint of the alert they come before; its number of the episode is theirs. Complete data that begin
the alert confirm it, whatever they say of the figures; hours without that end it as not confirmed. Not here: which
events there are beyond the watermark (warehouse/provisional.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.lifecycle import Instance, on_grid, worse_of
from matokit_pipelines.alerts.verdicts import Verdict

RULES = ("overall_success_rate", "high_volume_failures")


def take_in(
    book: Book, verdicts: Sequence[Verdict], settings: AlertSettings, severities: Mapping[str, str], now: datetime
) -> tuple[list[Episode], list[Episode]]:
    """Begin, carry on and take back; gives the episodes that began and ended."""
    started, ended = [], []
    for verdict in verdicts:
        known = book.instances.get(verdict.fingerprint)
        if verdict.fingerprint in book.provisional:
            _carry_on(book, verdict)
        elif verdict.guarded and (known is None or known.phase in ("inactive", "pending")):
            started.append(_begin(book, known, verdict, severities[verdict.rule], now))
    for fingerprint in sorted(book.provisional):
        episode = book.provisional[fingerprint].episode
        if episode is not None and now >= unconfirmed_at(episode, settings):
            ended.append(_take_back(book, episode, now))
    return started, ended


def unconfirmed_at(episode: Episode, settings: AlertSettings) -> datetime:
    """When an episode is taken back if nothing has confirmed it."""
    return episode.detected_at + timedelta(hours=settings.provisional.confirm_hours)


def confirmed(book: Book, matter: Matter, episode: Episode) -> Matter:
    """What becomes of a provisional matter when complete data begin the same alert: the thread goes on."""
    book.provisional.pop(episode.fingerprint, None)
    book.changed_instances.add(episode.fingerprint)
    return replace(matter, episode=episode, is_confirmed=matter.telling.told_at is not None)


def _begin(book: Book, known: Instance | None, verdict: Verdict, severity: str, now: datetime) -> Episode:
    main = known or Instance(verdict.rule, verdict.subject, verdict.environment)
    number = main.episodes + 1
    episode = Episode(
        verdict.rule, verdict.subject, verdict.environment, number, severity, verdict.at, now, verdict, verdict,
        verdict, is_provisional=True,
    )  # fmt: skip
    book.put(replace(main, episodes=number))
    book.provisional[episode.fingerprint] = Instance(
        verdict.rule, verdict.subject, verdict.environment, "firing", number, verdict.at, verdict.at, episode=episode
    )
    book.keep(Matter(episode))
    return episode


def _carry_on(book: Book, verdict: Verdict) -> None:
    instance = book.provisional[verdict.fingerprint]
    episode = instance.episode
    if episode is None or verdict.state != "ok":
        return
    episode = replace(episode, last=verdict, worst=worse_of(episode.worst, verdict))
    at = max(verdict.at, instance.at or verdict.at)
    book.provisional[verdict.fingerprint] = replace(instance, at=at, measured_at=at, episode=episode)
    book.changed_instances.add(verdict.fingerprint)
    matter = book.matters.get((episode.fingerprint, episode.number))
    if matter is not None:
        book.keep(replace(matter, episode=episode))


def _take_back(book: Book, episode: Episode, now: datetime) -> Episode:
    over = replace(episode, ended_at=on_grid(now), end_reason="not_confirmed")
    matter = book.matters.get((over.fingerprint, over.number))
    book.keep(replace(matter, episode=over) if matter else Matter(over, is_done=True))
    del book.provisional[over.fingerprint]
    book.changed_instances.add(over.fingerprint)
    return over
