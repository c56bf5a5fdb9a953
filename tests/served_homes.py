"""A home that has everything the tool server can be asked about: installer events, web reports, alerts, pages.

Belongs here: making it in seconds, and copying its snapshot into the place of the newest. Not here: what must hold.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.simulator import MatomoSimulator, WebTruth, generate
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests import page_homes
from tests.dashboard_marts import landed_truth
from tests.serving import ENVIRON

_NAME = re.compile(r"^marts-(\d+)\.duckdb$")
ZONE = "Europe/Copenhagen"
SETTINGS = """
[project]
timezone = "{zone}"
[toolserver]
default_site = "website"
{toolserver}
[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
[[sources]]
name = "website"
kind = "matomo"
url = "{url}"
site_id = "2"
provides = ["web_reports"]
[web_reports]
days = {days}
weeks = 4
months = 2
first_time_periods = 100
"""


@dataclass(frozen=True)
class Full:
    """A home, and the environment under which a server of it starts."""

    home: Home
    environ: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.home.loaded.home

    @property
    def loaded(self) -> Loaded:
        return self.home.loaded


def full_home(
    folder: Path,
    *,
    now: datetime | None = None,
    days: int = 21,
    events_per_day: float = 150,
    toolserver: str = "",
    url: str = "",
    component: str = "",
) -> Full:
    """Derived and published at `now` (else: the last whole minute). `url`: of the Matomo its settings name afterwards.

    The Matomo from which it was read is gone then: whoever asks live finds nobody, unless `url` names one.
    `component`: what the machines' commonest step is called instead.
    """
    now = (now or datetime.now(UTC)).replace(second=0, microsecond=0)
    truth = generate(days=days, events_per_day=events_per_day, seed=7, end=now, zone=ZONE)
    web = WebTruth.generate(days=days, visits_per_day=80, seed=5, end=now, zone=ZONE)
    with MatomoSimulator(truth, now=lambda: now, web=web) as matomo:
        environ = {
            **ENVIRON,
            "MATOKIT_INSTALLERS_TOKEN": matomo.token,
            "MATOKIT_WEBSITE_TOKEN": matomo.token,
            "MATOKIT_HOME": str(folder / "home"),
        }
        home = Home.of(_settings(folder, environ, matomo.url, toolserver, days), FixedClock(now))
        rows = landed_truth(truth)
        if component:
            rows = rows.with_columns(name=pl.col("name").str.replace("^python_install", component))
        _land(home, rows, now)
        for result in extract(home, only="website"):
            assert result.error is None, result.error
        build_and_publish(home)
    page_homes.open_alerts(home, page_homes.ALERTS)
    left = _settings(folder, environ, url or "http://127.0.0.1:9", toolserver, days)
    return Full(Home.of(left, FixedClock(now)), environ)


def _settings(folder: Path, environ: dict[str, str], url: str, toolserver: str, days: int) -> Loaded:
    folder.mkdir(parents=True, exist_ok=True)
    text = SETTINGS.format(zone=ZONE, url=url, toolserver=toolserver, days=days)
    (folder / "matokit.toml").write_text(text, encoding="utf-8")
    return load(folder / "matokit.toml", environ, folder)


def _land(home: Home, rows: pl.DataFrame, now: datetime) -> None:
    first = rows["event_ts"].min()
    with home.warehouse.writer() as connection:
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, proven_to, watermark, "
            "last_read_at) values ('installers', 'matomo', '1', ?, 'http://127.0.0.1:9', ?, ?, ?, ?)",
            [ZONE, first, now, now - timedelta(minutes=10), now],
        )
        connection.register("given", rows.to_arrow())
        connection.execute("insert into raw.matomo_events by name select * from given")
        connection.unregister("given")


def publish_copy(home: Path) -> int:
    """Put a copy of the newest snapshot in service as the next generation, as a build would; the number of it."""
    serving = home / "serving"
    current = (serving / "CURRENT").read_text(encoding="utf-8").strip()
    numbers = sorted(int(match[1]) for file in serving.iterdir() if (match := _NAME.match(file.name)))
    generation = numbers[-1] + 1
    fresh = serving / f".tmp-{generation}.duckdb"
    shutil.copyfile(serving / current, fresh)
    connection = duckdb.connect(fresh)
    try:
        connection.execute("update main.manifest set generation = ?", [generation])
    finally:
        connection.close()
    point_to(home, fresh.rename(serving / f"marts-{generation}.duckdb").name)
    for old in numbers[:-2]:
        (serving / f"marts-{old}.duckdb").unlink()
    return generation


def point_to(home: Path, name: str) -> None:
    """Make the file of that name in `serving/` the newest snapshot."""
    fresh = home / "serving" / "CURRENT.new"
    fresh.write_text(name + "\n", encoding="utf-8")
    fresh.replace(home / "serving" / "CURRENT")
