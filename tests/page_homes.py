"""Homes whose every page is made, for tests and pictures of pages: fixed events, settings and clock, so fixed pages.

Belongs here: landing events without a service, open alerts, and which pages there are. Not here: what must hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Book, Matter
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.evaluation import RULE_VERSION, evaluate_runs, ticks_between
from matokit_pipelines.alerts.evaluator import Evaluator
from matokit_pipelines.alerts.lifecycle import Telling
from matokit_pipelines.alerts.period import alerts_of
from matokit_pipelines.alerts.tracing import RuleTicks, runs_found
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.reports.daily.pages import write_daily
from matokit_pipelines.reports.dashboards.pages import write_dashboards
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.reports.index.pages import write_index
from matokit_pipelines.reports.monthly.pages import write_monthly
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.settings import Loaded, load
from matokit_pipelines.simulator import generate
from matokit_pipelines.warehouse.event_log import WarehouseLog
from matokit_pipelines.warehouse.refresh import Home, build_and_publish
from matokit_pipelines.warehouse.snapshots import Snapshot, open_current
from matokit_pipelines.windows import last_complete_month, last_complete_week, local_date, start_of_day
from tests.dashboard_marts import landed, landed_truth

ZONE = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 11, 22, 7, 10, tzinfo=UTC)  # 08:10 in Copenhagen, a Sunday
SEED = 7
HOSTILE = "</script><!channel>=1+1"
SETTINGS = """
[project]
timezone = "Europe/Copenhagen"
repository_url = "https://git.example.org/install-scripts"
[links]
public_url = "https://matokit.example.org"
runbook_url = "https://wiki.example.org/runbook"
[[sources]]
name = "installers"
kind = "matomo"
url = "https://matomo.example.org"
site_id = "1"
start_date = 2026-08-01
"""


@dataclass(frozen=True)
class Site:
    """A home and the pages in it, by name."""

    home: Home
    pages: Mapping[str, Path]

    @property
    def folder(self) -> Path:
        return self.home.loaded.home


def settings_of(folder: Path) -> Loaded:
    """A home that holds its settings and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "matokit.toml"
    file.write_text(SETTINGS, encoding="utf-8")
    return load(file, environ={"MATOKIT_HOME": str(folder)}, cwd=folder)


def home_of(folder: Path, rows: pl.DataFrame | None, *, now: datetime = NOW, stale: bool = False) -> Home:
    """A home that holds these landed rows, derived and published at `now`; nothing was read yet without rows."""
    home = Home.of(settings_of(folder), FixedClock(now))
    with home.warehouse.writer() as connection:
        if rows is not None:
            first = rows["event_ts"].min()
            connection.execute(
                "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, proven_to, watermark, "
                "last_read_at) values ('installers', 'matomo', '1', ?, 'https://matomo.example.org', ?, ?, ?, ?)",
                [str(ZONE), first, now, now - timedelta(hours=9 if stale else 0, minutes=10), now],
            )
            connection.register("given", rows.to_arrow())
            connection.execute("insert into raw.matomo_events by name select * from given")
            connection.unregister("given")
    build_and_publish(home)
    return home


def usual(days: int = 90, events_per_day: float = 120, now: datetime = NOW) -> pl.DataFrame:
    """Simulated machines with planted incidents, up to `now`."""
    return landed_truth(generate(days=days, events_per_day=events_per_day, seed=SEED, end=now, zone=str(ZONE)))


def hostile(now: datetime = NOW) -> pl.DataFrame:
    """Names as long and as odd as a sender can make them, some of them failing, on each of three weeks."""
    names = [HOSTILE, "a" * 150, "Visual Studio Code installation with a very long readable name " * 2, "'; drop table"]
    return landed(
        [
            {
                "event_ts": now - timedelta(days=day, minutes=7 * n + 13 * place + 60),
                "visitor_id": f"visitor-{place}-{n}",
                "visit_id": 1000 * day + 100 * place + n,
                "category": ("Installer", "Installer_CI")[day % 2],
                "name": name if n % 3 else f"{name}_network_error",
                "value": 2.0 if n % 3 else 1.0,
                "os_raw": name,
                "architecture_raw": name[:40],
                "commit_raw": f"abcde{place}{day % 7}",
            }
            for day in range(21)
            for place, name in enumerate(names)
            for n in range(5)
        ]
    )


def one_event(now: datetime = NOW) -> pl.DataFrame:
    """A single one, six days back."""
    return landed([{"event_ts": now - timedelta(days=6)}])


def open_alerts(home: Home, subjects: Iterable[tuple[str, str, str]], *, silent: str = "") -> None:
    """Put alerts into the store that are open, each `(rule, subject, severity)`; `silent`: a pattern of subjects."""
    now = home.clock.now()
    book = Book()
    for place, (rule, subject, severity) in enumerate(subjects):
        began = now - timedelta(hours=3 + place, minutes=20)
        inputs = {"n": 90 - place, "failures": 38 - place, "chance": 0.0001}
        verdict = Verdict(rule, subject, "production", began, "ok", True, True, inputs)
        episode = Episode(rule, subject, "production", 1, severity, began, began, verdict, verdict, verdict)
        book.keep(Matter(episode, Telling(told_at=began + timedelta(minutes=25))))
    with state.opened(home.loaded.home) as connection:
        with state.transaction(connection):
            store.save(connection, book, store.Progress(evaluated_to=now - timedelta(minutes=10)), now)
        if silent:
            silences.add(
                connection, matchers={"subject": silent}, begins_at=now, ends_at=now + timedelta(hours=4),
                author="operator", reason="maintenance", now=now,
            )  # fmt: skip


def evaluated(home: Home, days: int) -> None:
    """Evaluate every tick of the last days as live, and keep what came of it; nobody is told."""
    settings, zone, now = home.loaded.settings, home.loaded.settings.project.zone, home.clock.now()
    evaluator = Evaluator(settings.alerts, settings.recipients, zone=zone)
    with home.warehouse.reader() as warehouse:
        mark = warehouse.execute("select watermark from ledger.product_watermark").fetchall()[0][0]
        until = evaluator.newest_tick(mark)
        ticks = ticks_between(until - timedelta(days=days), until)
        runs = runs_found(evaluate_runs(WarehouseLog(warehouse), ticks, settings.alerts, zone=zone, watermark=mark))
    evaluator.advance(runs, until=until)
    follows = {name: RuleTicks.of(name, settings.alerts, zone) for name, _ in settings.alerts.rules.named()}
    done = store.Progress(evaluated_to=evaluator.evaluated_to, landed_to=now, complete_to=evaluator.evaluated_to)
    with state.opened(home.loaded.home) as connection, state.transaction(connection):
        store.add_runs(connection, runs, rule_version=RULE_VERSION, now=now, follows=follows)
        store.save(connection, evaluator.book, done, now)


ALERTS = (
    ("component_failure_rate", "python_install", "critical"),
    ("overall_success_rate", ALL, "critical"),
    ("arch_gap", "x86_64", "warning"),
)


def _weekly(home: Home, snapshot: Snapshot) -> Iterator[tuple[str, Path]]:
    monday, now = last_complete_week(home.clock.now(), ZONE), home.clock.now()
    with state.opened(home.loaded.home) as connection:
        alerts = alerts_of(connection, start_of_day(monday, ZONE), start_of_day(monday + timedelta(days=7), ZONE), now)
    yield "weekly", write_weekly(snapshot, monday, now, *_to(home), alerts).html


def _daily(home: Home, snapshot: Snapshot) -> Iterator[tuple[str, Path]]:
    now = home.clock.now()
    yield "daily", write_daily(home, local_date(now, ZONE), now, *_to(home))[0].html


def _monthly(home: Home, snapshot: Snapshot) -> Iterator[tuple[str, Path]]:
    now = home.clock.now()
    yield "monthly", write_monthly(snapshot, last_complete_month(now, ZONE), now, *_to(home)).html


def _dashboards(home: Home, snapshot: Snapshot) -> Iterator[tuple[str, Path]]:
    pages = write_dashboards(snapshot, home.clock.now(), home.loaded.home / "dashboards", Links.of(home.loaded))
    yield from ((page.stem, page) for page in pages)


def _to(home: Home) -> tuple[Path, Links]:
    return home.loaded.home / "reports", Links.of(home.loaded)


# What makes pages of a snapshot, and the names of all pages: a new page is one line in each.
WRITERS = (_weekly, _daily, _monthly, _dashboards)
DASHBOARDS = tuple(dict.fromkeys(widget.dashboard for widget in load_widgets().values()))
PAGES = ("weekly", "daily", "monthly", *DASHBOARDS, "index")


def with_pages(home: Home) -> Site:
    """The home with all its pages; the index, which lists the others, is made last."""
    with open_current(home.loaded.home) as snapshot:
        pages = dict(page for write in WRITERS for page in write(home, snapshot))
    pages["index"] = write_index(home.loaded.home, home.loaded, home.clock.now())
    return Site(home, pages)
