"""What the store of the alerts adds to the daily report: what fires already, what got worse slowly, what is silenced.

Not here: the three daily rules, which the report evaluates itself (triggers.py).
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.evaluation import DAILY
from matokit_pipelines.alerts.rules.slow_regression import RULE
from matokit_pipelines.reports.daily.shapes import Standing
from matokit_pipelines.reports.quality import ENVIRONMENT


def standing_in(home_folder: Path, at: datetime) -> Standing:
    """What the store of a home knows of `at` (UTC); nothing where it has none."""
    if not state.file_of(home_folder).exists():
        return Standing()
    with state.opened(home_folder) as connection:
        return standing_at(connection, at)


def standing_at(connection: sqlite3.Connection, at: datetime) -> Standing:
    """What is known of `at` (UTC)."""
    episodes = [
        matter.episode
        for matter in store.history(connection, since=at)
        if matter.episode.environment == ENVIRONMENT and matter.episode.started_at <= at
    ]
    return Standing(
        regressions={one.subject: one.began_at for one in episodes if one.rule == RULE and one.began_at is not None},
        firing={(one.rule, one.subject): one.started_at for one in episodes if one.rule in DAILY},
        silences=tuple(silence for silence in silences.every(connection) if silence.is_active(at)),
    )
