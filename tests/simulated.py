"""A small simulated site, and what must be stored of it, worked out from what was sent.

Belongs here: truths shared by tests, and their reading as rows. Does not belong here: recorded answers (replay.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from matokit_pipelines.clock import Clock, FixedClock
from matokit_pipelines.simulator import Faults, MatomoSimulator, Truth, generate
from matokit_pipelines.warehouse.refresh import Home
from tests.replay import home_at, rows_of

NOW = datetime(2026, 10, 27, 12, tzinfo=UTC)  # the hour that Europe repeats lies two days back
SENT = ("event_ts", "category", "action", "name", "value", "dimension1", "dimension2", "dimension3")
STORED = (
    "select event_ts, category, action, name, value, os_raw, architecture_raw, commit_raw from raw.matomo_events "
    "where vanished_at is null"
)
PATIENCE = "[http]\nattempts = 8\nfirst_wait = 0.0\nlongest_wait = 0.0"


@lru_cache(maxsize=4)
def small_truth(seed: int = 3, days: int = 4, events_per_day: float = 60) -> Truth:
    """A few days of a small site, ending at NOW."""
    return generate(days=days, events_per_day=events_per_day, seed=seed, end=NOW)


def stored(events: pl.DataFrame) -> Counter[tuple[Any, ...]]:
    """The rows that must be landed: events only, text trimmed, values with three decimals, null apart from 0."""

    def kept(value: Any) -> Any:
        if isinstance(value, str):
            return value.strip()
        return round(value, 3) if isinstance(value, float) else value

    rows = events.filter(pl.col("category").is_not_null()).select(SENT).rows()
    return Counter(tuple(kept(value) for value in row) for row in rows)


def landed(home: Home) -> Counter[tuple[Any, ...]]:
    """The rows that were."""
    return Counter(rows_of(home, STORED))


def simulator(truth: Truth, *, now: Callable[[], datetime] | None = None, **faults: Any) -> MatomoSimulator:
    """The site on loopback, with faults."""
    return MatomoSimulator(truth, now=now or (lambda: truth.end), faults=Faults(**faults))


def home_of(
    folder: Path, server: MatomoSimulator, truth: Truth, *, now: datetime | Clock | None = None, **more: Any
) -> Home:
    """A home that reads the site from the truth's first day on."""
    clock = now or FixedClock(truth.end)
    start = (truth.start - timedelta(days=1)).date()
    environ = {"MATOKIT_INSTALLERS_TOKEN": server.token}
    return home_at(folder, server.url, now=clock, start=start, settings=PATIENCE, environ=environ, **more)
