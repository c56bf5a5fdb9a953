"""Alerts as the tools tell of them, from the SQLite store of a home; read only. A home without a store has none.

Not here: what alerts are (alerts/), the answers (alerts.py, explaining.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from matokit_pipelines import state
from matokit_pipelines.alerts import period, silences, store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content import wording
from matokit_pipelines.alerts.content.endings import still_fails
from matokit_pipelines.alerts.content.headlines import headline, with_usual_of
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.alerts.why import ENDED, GOES_ON
from matokit_pipelines.delivery.escaping import cut, one_line
from matokit_pipelines.toolserver.installer.answering import stamp
from matokit_pipelines.toolserver.installer.doubts import is_stale
from matokit_pipelines.toolserver.installer.words import instant
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.windows import Window

ORDER = ("critical", "warning", "daily")
TELLS_WHY = "commit_regression"  # where several alerts are open it names what the others follow from


@dataclass(frozen=True)
class Known:
    """Alerts, how far rules were evaluated (UTC, None: never), and the silences in force now."""

    matters: tuple[Matter, ...]
    evaluated_to: datetime | None
    silent: tuple[Silence, ...]
    connection: sqlite3.Connection | None


@contextmanager
def known(kit: Kit, *, since: datetime | None = None) -> Iterator[Known]:
    """The open alerts, and with `since` those too that ended after it. StateError when the store cannot be read."""
    home, now = kit.loaded.home, kit.clock.now()
    if not state.file_of(home).exists():
        yield Known((), None, (), None)
        return
    with state.opened(home) as connection:
        found = store.open_matters(connection) if since is None else store.history(connection, since=since)
        evaluated = store.progress(connection).evaluated_to
        yield Known(tuple(found), evaluated, tuple(silences.every(connection, over_since=now)), connection)


def is_silenced(matter: Matter, found: Known, now: datetime) -> bool:
    """Whether a silence in force holds its messages back."""
    if matter.episode.ended_at is not None:
        return False
    complete_to = found.evaluated_to or now
    return bool(silences.silencing(list(found.silent), matter.episode, now=now, complete_to=complete_to))


def gravest_first(matters: tuple[Matter, ...], found: Known, now: datetime) -> list[Matter]:
    """Open ones that nothing silences first, then by severity, the newest first."""
    return sorted(
        matters,
        key=lambda matter: (
            matter.episode.ended_at is not None,
            is_silenced(matter, found, now),
            ORDER.index(matter.episode.severity) if matter.episode.severity in ORDER else len(ORDER),
            matter.episode.rule != TELLS_WHY,
            -matter.episode.started_at.timestamp(),
            matter.episode.rule,
            matter.episode.subject,
        ),
    )


def row_of(matter: Matter, found: Known, kit: Kit, links: Links, now: datetime) -> dict[str, Any]:
    """One alert with its reason in a sentence."""
    episode = matter.episode
    silenced = is_silenced(matter, found, now)
    return {
        "id": episode.id, "state": "past" if episode.ended_at else "open", "rule": episode.rule,
        "subject": subject_of(episode), "environment": episode.environment, "severity": episode.severity,
        "since": stamp(episode.started_at), "ended_at": stamp(episode.ended_at),
        "sentence": sentence_of(matter, kit, links, now, silenced=silenced),
        "told_at": stamp(matter.telling.told_at), "is_silenced": silenced, "is_provisional": episode.is_provisional,
        "link": links.dashboard(episode.rule),
    }  # fmt: skip


def sentence_of(matter: Matter, kit: Kit, links: Links, now: datetime, *, silenced: bool) -> str:
    """The alert's own headline with its rule, since when, and how it ended."""
    episode = matter.episode
    judged = episode.last if episode.ended_at is None else episode.worst
    shown = headline(with_usual_of(judged, episode.first), links, now)
    name = wording.RULE_NAMES.get(episode.rule, episode.rule)
    began = instant(episode.started_at)
    marks = ", provisional" if episode.is_provisional else ""
    if episode.ended_at is None:
        lasts = wording.lasting(now - episode.started_at)
        quiet = "; its messages are silenced" if silenced else ""
        return _ended(f"{name[:1].upper()}{name[1:]} since {began} ({lasts}{marks}): {shown}{quiet}")
    lasted = wording.lasting(episode.ended_at - episode.started_at)
    why = GOES_ON if still_fails(episode, kit.loaded.settings.alerts) else ENDED.get(episode.end_reason or "", "over")
    worst = f"{name[:1].upper()}{name[1:]} from {began} for {lasted}{marks}, at the worst: {shown}; {why}"
    return _ended(worst)


def _ended(text: str) -> str:
    """On one line, not too long, with its full stop."""
    shown = cut(one_line(text), 400)
    return shown if shown.endswith(("…", ".")) else f"{shown}."


def subject_of(episode: Episode) -> str:
    """The component, architecture or commit; everything."""
    return "everything" if episode.subject == ALL else wording.name(episode.subject)


def watching(found: Known, kit: Kit, now: datetime) -> str | None:
    """Why nothing open does not mean that all is well; None when rules are watched."""
    if not kit.loaded.settings.alerts.enabled:
        return "Alerts are switched off."
    if found.evaluated_to is None:
        return "The alert rules were never evaluated."
    if is_stale(found.evaluated_to, kit.loaded, now):
        return (
            f"The alert rules were last evaluated for {instant(found.evaluated_to)}, "
            f"{wording.lasting(now - found.evaluated_to)} ago."
        )
    return None


def known_from(found: Known, now: datetime) -> datetime | None:
    """From when anything is known of alerts, UTC; None: nothing is."""
    return None if found.connection is None else period.known_from(found.connection, now)


def known_part(found: Known, window: Window, now: datetime) -> tuple[period.Known, datetime | None, datetime | None]:
    """How much of a stretch of time is known of alerts, from when and to when anything is, UTC."""
    if found.connection is None:
        return "nothing", None, None
    return period.known_part(found.connection, window.start, window.end, now)


def back(now: datetime, days: int) -> datetime:
    return now - timedelta(days=days)
