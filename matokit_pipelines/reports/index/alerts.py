"""The alerts that are open, from the SQLite store of a home. Not here: what they are (alerts/)."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.book import Matter
from matokit_pipelines.alerts.content.links import WIDGETS
from matokit_pipelines.alerts.content.wording import RULE_NAMES
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.errors import StateError
from matokit_pipelines.reports.index.ages import age
from matokit_pipelines.reports.index.shapes import OpenAlert, OpenAlerts

LISTED = 50  # anybody can invent subjects
_ORDER = ("critical", "warning", "info")
NOTHING = OpenAlerts((), 0, 0, 0, None)


def open_alerts(home: Path, now: datetime, *, stale_after: timedelta, is_on: bool = True) -> OpenAlerts:
    """What fires or recovers at `now`. A home without a store has none; a store that cannot be read says why.

    `stale_after`: how old the newest evaluation may be; `is_on`: whether the settings want alerts.
    """
    found = _read(home, now)
    is_behind = found.evaluated_to is not None and now - found.evaluated_to > stale_after
    return replace(found, is_behind=is_behind, is_on=is_on)


def _read(home: Path, now: datetime) -> OpenAlerts:
    if not state.file_of(home).exists():
        return NOTHING
    try:
        with state.opened(home) as connection:
            return _open(connection, home, now)
    except StateError as error:
        return OpenAlerts((), 0, 0, 0, None, damage=str(error))


def _open(connection: sqlite3.Connection, home: Path, now: datetime) -> OpenAlerts:
    evaluated_to = store.progress(connection).evaluated_to
    in_force = silences.every(connection, over_since=now)
    rows = [_row(matter, in_force, home, now, evaluated_to or now) for matter in store.open_matters(connection)]
    rows.sort(key=lambda row: (row.is_silenced, _severity(row.severity), row.since, row.rule, row.subject))
    silenced = sum(row.is_silenced for row in rows)
    return OpenAlerts(tuple(rows[:LISTED]), max(0, len(rows) - LISTED), len(rows) - silenced, silenced, evaluated_to)


def _row(matter: Matter, in_force: list[Silence], home: Path, now: datetime, evaluated_to: datetime) -> OpenAlert:
    episode = matter.episode
    page, widget = WIDGETS.get(episode.rule, ("", ""))
    events, failures = (episode.last.inputs.get(name) for name in ("n", "failures"))
    return OpenAlert(
        rule=episode.rule,
        name=RULE_NAMES.get(episode.rule, episode.rule),
        subject=episode.subject,
        environment=episode.environment,
        severity=episode.severity,
        since=episode.started_at,
        lasts=age(episode.started_at, now),
        events=events if isinstance(events, int) else None,
        failures=failures if isinstance(failures, int) else None,
        told_at=matter.telling.told_at,
        is_provisional=episode.is_provisional,
        is_silenced=bool(silences.silencing(in_force, episode, now=now, complete_to=evaluated_to)),
        page=page if (home / "dashboards" / f"{page}.html").is_file() else "",
        widget=widget,
    )


def _severity(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
