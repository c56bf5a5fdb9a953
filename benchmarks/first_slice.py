"""What the first slice costs, side by side with the least that the same work could cost, in one run.

Extract: our whole pass against fetching the same pages and parsing them as JSON. Derive: a full build and one touched
day against one grouped scan of the raw table. Medians of several rounds, taken in turns; peak memory of the process.
Runs on loopback only: `python benchmarks/first_slice.py [--days 30] [--events-per-day 3000] [--rounds 3]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
import requests

from matokit_pipelines.clock import SystemClock
from matokit_pipelines.settings import load
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import Truth, generate
from matokit_pipelines.sources.matomo import VISIT_COLUMNS
from matokit_pipelines.warehouse.build import build
from matokit_pipelines.warehouse.refresh import Home, build_options, derive, extract
from matokit_pipelines.windows import each_day

SCAN = "select name, count(*) from raw.matomo_events group by name"


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def home_in(folder: Path, server: MatomoSimulator, truth: Truth) -> Home:
    """A fresh home that reads the simulated server."""
    (folder / "matokit.toml").write_text(
        f'[project]\ntimezone = "{truth.zone}"\n[[sources]]\nname = "installers"\nkind = "matomo"\n'
        f'url = "{server.url}"\nsite_id = "1"\nstart_date = {truth.start.date()}\n',
        encoding="utf-8",
    )
    environ = {"MATOKIT_HOME": str(folder), "MATOKIT_INSTALLERS_TOKEN": server.token}
    return Home.of(load(environ=environ, cwd=folder), SystemClock())


def fetch_only(server: MatomoSimulator, truth: Truth) -> int:
    """The floor of an extract: the same day slices, fetched and parsed, nothing kept."""
    visits = 0
    with requests.Session() as session:
        for day in each_day(truth.start.date(), truth.end.date() - timedelta(days=1)):
            params = {
                "module": "API", "method": "Live.getLastVisitsDetails", "format": "json", "idSite": "1",
                "period": "day", "date": day.isoformat(), "filter_limit": "-1", "showColumns": VISIT_COLUMNS,
                "hideColumns": "url,title,subtitle,icon,iconSVG",
            }  # fmt: skip
            answer = session.post(
                f"{server.url}/index.php", params=params, data={"token_auth": server.token}, timeout=60
            )
            visits += len(json.loads(answer.content))
    return visits


def scan(connection: duckdb.DuckDBPyConnection) -> None:
    """The floor of a derivation: one grouped look at the raw table."""
    connection.execute(SCAN).fetchall()


def row(name: str, ours: list[float], floor: list[float]) -> None:
    """One line of the table."""
    mine, least = statistics.median(ours), statistics.median(floor)
    print(f"{name:<34}{mine:>9.2f} s{least:>9.3f} s{mine / least:>9.1f}x")


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--days", type=int, default=30)
    options.add_argument("--events-per-day", type=float, default=3000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    truth = generate(days=chosen.days, events_per_day=chosen.events_per_day, seed=1, end=datetime.now(UTC))
    pulls: list[float] = []
    floors: list[float] = []
    fulls: list[float] = []
    days: list[float] = []
    scans: list[float] = []
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC)) as server:
        fetch_only(server, truth)  # the server sorts its log at the first request
        for _ in range(chosen.rounds):
            with tempfile.TemporaryDirectory() as folder:
                home = home_in(Path(folder), server, truth)
                floors.append(seconds(partial(fetch_only, server, truth)))
                pulls.append(seconds(partial(extract, home)))
                with home.warehouse.reader() as connection:
                    scans.append(seconds(partial(scan, connection)))
                fulls.append(seconds(partial(derive, home)))
                with home.warehouse.writer() as connection:
                    day = truth.end.date() - timedelta(days=2)
                    one_day = partial(
                        build, connection, options=build_options(home.loaded), now=datetime.now(UTC), days=[day]
                    )
                    days.append(seconds(one_day))
    print(f"{truth.events.height:,} rows of log in {chosen.days} days, medians of {chosen.rounds} rounds\n")
    print(f"{'':<34}{'ours':>11}{'floor':>11}{'ratio':>10}")
    row("extract, beside fetch and parse", pulls, floors)
    row("full build, beside one scan", fulls, scans)
    row("one touched day, beside one scan", days, scans)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this process, the simulated server included: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
