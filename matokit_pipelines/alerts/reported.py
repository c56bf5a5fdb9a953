"""Which alerts the daily component health report tells in place of a message, and whether it did.

The report evaluates the three daily rules itself, on the data there are at its hour; what is evaluated later, with
complete data, may find more. So what a report told is noted as it is queued, and an alert that it did not tell gets its
message after all. Not here: the report (reports/daily/), when a message goes out (announcing.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.business_days import Calendar
from matokit_pipelines.alerts.evaluation import DAILY
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.settings import Settings
from matokit_pipelines.windows import local_date

PATIENCE = timedelta(hours=2)  # for which an alert waits for the report of its morning
KEPT = timedelta(days=90)
ENVIRONMENT = "production"  # the report's
_NAME = "daily_told:"  # of rows of `progress`, with the day


@dataclass(frozen=True)
class InReport:
    """rules: those whose alerts the report tells. tells: whether it told of an episode; None while no report of its
    morning was sent."""

    rules: frozenset[str]
    tells: Callable[[Episode], bool | None]

    @classmethod
    def of(cls, connection: sqlite3.Connection, settings: Settings) -> InReport:
        """By the settings of a home: rules that are told daily, to nobody who does not get the report."""
        readers = set(settings.recipients.of(settings.reports.daily_to)) if settings.reports.daily_to else set()
        rules = set()
        for name in DAILY:
            rule = getattr(settings.alerts.rules, name)
            if rule.when == "daily" and set(settings.recipients.of(rule.destinations)) <= readers:
                rules.add(name)
        zone = Calendar.of(settings.alerts, settings.project.zone).zone
        return cls(frozenset(rules), lambda episode: _tells(connection, episode, zone))

    def covers(self, episode: Episode) -> bool:
        """Whether the report is where this episode is told."""
        return episode.rule in self.rules and episode.environment == ENVIRONMENT


def note_told(connection: sqlite3.Connection, day: str, document: Mapping[str, Any]) -> None:
    """Keep what the report of a morning told as it was sent first, by its JSON. Call inside the transaction that queues
    it; `day`: its period, `2026-11-20`."""
    sure = [one for one in document.get("triggers", ()) if one["is_sure"] and not one["silenced_until"]]
    told = {
        "triggers": [[one["rule"], one["subject"] or ALL] for one in sure],
        "more": bool(document.get("triggers_more")),
    }
    connection.execute(
        "insert into progress (name, value) values (?, ?) on conflict (name) do nothing",
        [f"{_NAME}{day}", json.dumps(told, ensure_ascii=False)],
    )
    old = f"{_NAME}{date.fromisoformat(day) - KEPT}"
    connection.execute("delete from progress where name >= ? and name < ?", [_NAME, old])


def _tells(connection: sqlite3.Connection, episode: Episode, zone: ZoneInfo) -> bool | None:
    day = local_date(episode.started_at, zone)
    row = connection.execute("select value from progress where name = ?", [f"{_NAME}{day}"]).fetchone()
    if row is None:
        return None
    told = json.loads(row[0])
    return bool(told["more"]) or [episode.rule, episode.subject] in told["triggers"]
