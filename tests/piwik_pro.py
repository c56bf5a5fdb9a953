"""Homes that read a simulated Piwik PRO, a clock that runs fast, passes as processes of their own that can be killed.

Belongs here: what several tests of the second source share, and what must be stored of a truth. Does not belong here:
the simulation.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import polars as pl

from matokit_pipelines.clock import Clock
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import Truth
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.piwik_pro_store import stored_value
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import Window

ZONE = "Europe/Copenhagen"
SENT = ("event_ts", "category", "action", "name", "value", "dimension1", "dimension2", "dimension3")
STORED = (
    "select event_ts, category, action, name, value, os_raw, architecture_raw, commit_raw, fold_ambiguous, site_time "
    "from raw.piwik_pro_events where vanished_at is null and visitor_id not like '0ddba11%'"
)
SETTINGS = """
[project]
timezone = "{zone}"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{url}"
site_id = "{site}"
start_date = {start}
{source}

[http]
attempts = 12
first_wait = 0.0
longest_wait = 0.0
budget = 604800
{http}
"""


@dataclass(frozen=True)
class FastClock:
    """The machine's clock, `speed` times as fast, from `base` on; the same in every process of this machine."""

    base: datetime
    begun: float
    speed: float

    @classmethod
    def starting(cls, at: datetime, speed: float) -> FastClock:
        return cls(at, time.monotonic(), speed)

    def now(self) -> datetime:
        return self.base + timedelta(seconds=(time.monotonic() - self.begun) * self.speed)

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)

    def set_ahead(self, by: timedelta) -> FastClock:
        return replace(self, base=self.base + by)


def home_of(
    folder: Path, server: PiwikProSimulator, clock: Clock, start: datetime, *, source: str = "", http: str = ""
) -> Home:
    """A home that reads the simulated site from the day of `start` on."""
    text = SETTINGS.format(zone=ZONE, url=server.url, site=server.site_id, start=start.date(), source=source, http=http)
    (folder / "matokit.toml").write_text(text, encoding="utf-8")
    return home_again(folder, environ_of(server), clock)


def environ_of(server: PiwikProSimulator) -> dict[str, str]:
    return {
        "MATOKIT_INSTALLERS_CLIENT_ID": server.client_id,
        "MATOKIT_INSTALLERS_CLIENT_SECRET": server.client_secret,
    }


def home_again(folder: Path, environ: Mapping[str, str], clock: Clock) -> Home:
    return Home.of(load(environ=environ, cwd=folder), clock)


def extract_in_process(folder: Path, environ: dict[str, str], clock: FastClock) -> ForkServerProcess:
    """One pass in a process of its own, started; its exit code is 0, or 1 when the source could not be read."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.piwik_pro"])
    process = context.Process(target=_extract, args=(folder, environ, clock))
    process.start()
    return process


def _extract(folder: Path, environ: dict[str, str], clock: FastClock) -> None:
    [result] = refresh.extract(home_again(folder, environ, clock))
    if result.error:
        raise SystemExit(str(result.error))


def must_be_stored(truth: Truth, server: PiwikProSimulator, at: datetime) -> Counter[tuple[Any, ...]]:
    """The rows that must be landed at last: every custom event as it was sent, but those taken out again by `at`."""
    events = truth.events.filter(server.in_sight(at))
    events = events.with_columns(value=pl.col("value").map_elements(stored_value, return_dtype=pl.Float64))
    kept = events.filter(pl.col("category").is_not_null())
    return Counter(
        tuple("" if value is None and name != "value" else value for name, value in zip(SENT, row, strict=True))
        for row in kept.select(SENT).rows()
    )


def is_stored(home: Home) -> Counter[tuple[Any, ...]]:
    """The rows that are."""
    with home.warehouse.reader() as connection:
        return Counter(tuple(row[:8]) for row in connection.execute(STORED).fetchall())


def with_both_hours_told_apart_or_not(rows: Counter[tuple[Any, ...]], repeated: Window) -> Counter[tuple[Any, ...]]:
    """The rows with times of the repeated hour as its first pass: what cannot be told apart is not compared."""
    half = (repeated.end - repeated.start) / 2
    merged: Counter[tuple[Any, ...]] = Counter()
    for (at, *rest), count in rows.items():
        merged[(at - half if repeated.start + half <= at < repeated.end else at, *rest)] += count
    return merged
