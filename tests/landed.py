"""Homes for tests of the alerts: events put straight into the raw table, derived by the product.

Belongs here: landing made-up events with the time at which they came. Does not belong here: a source (simulated.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from matokit_pipelines import settings
from matokit_pipelines.clock import Clock
from matokit_pipelines.warehouse.refresh import Home, derive

SETTINGS = """
[project]
timezone = "Europe/Copenhagen"

[recipients]
on_call = ["email:call@example.org", "files"]
development = ["email:team@example.org"]

[[sources]]
name = "lab"
kind = "matomo"
url = "http://127.0.0.1:9"
site_id = "1"
"""


@dataclass(frozen=True)
class Sent:
    """An installer event: when, which step, whether it failed, on which machine."""

    at: datetime
    component: str = "python_install"
    failed: bool = False
    machine: str = "m0"
    category: str = "Installer"


def series(
    start: datetime, n: int, step: timedelta, *, failed: bool = False, machine: str = "m{}", component: str = "python"
) -> list[Sent]:
    """`n` events, `step` apart; `{}` in `machine` is the number of the event."""
    return [Sent(start + i * step, component, failed, machine.format(i)) for i in range(n)]


def home_at(folder: Path, clock: Clock, more: str = "") -> Home:
    """A home with a Matomo that is never asked."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "matokit.toml"
    file.write_text(SETTINGS + more, encoding="utf-8")
    environ = {"MATOKIT_HOME": str(folder / "home"), "MATOKIT_LAB_TOKEN": "0" * 32}
    return Home.of(settings.load(file, environ, folder), clock)


def land(home: Home, events: Iterable[Sent], *, complete_to: datetime, build: bool = True) -> None:
    """Land events now, say to when data are complete, and derive them."""
    now = home.clock.now()
    rows = [
        {
            "event_id": f"{now.timestamp():.0f}-{number}", "visitor_id": event.machine, "event_ts": event.at,
            "category": event.category, "name": event.component, "value": 0.0 if event.failed else 1.0,
        }
        for number, event in enumerate(events)
    ]  # fmt: skip
    with home.warehouse.writer() as connection:
        if rows:
            landed = pl.DataFrame(rows)
            connection.register("landed_now", landed)
            connection.execute(
                "insert into raw.matomo_events (source, site_id, event_id, visit_id, visitor_id, event_ts, "
                "fold_ambiguous, category, action, name, value, os_raw, architecture_raw, commit_raw, visit_first_ts, "
                "visit_last_ts, landed_at, changed_at) select 'lab', '1', event_id, 1, visitor_id, event_ts, false, "
                "category, 'Event', name, value, 'Darwin24.4.0', 'arm64', 'a1b2c3d', event_ts, event_ts, $now, $now "
                "from landed_now",
                {"now": now},
            )
            connection.execute(
                "insert into ledger.touched_days "
                "select distinct cast(timezone('Europe/Copenhagen', event_ts) as date), $now::timestamptz "
                "from landed_now",
                {"now": now},
            )
            connection.unregister("landed_now")
        connection.execute("delete from ledger.sources")
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url, watermark) "
            "values ('lab', 'matomo', '1', 'UTC', 'http://127.0.0.1:9', $mark)",
            {"mark": complete_to},
        )
        waiting = connection.execute("select 1 from ledger.touched_days limit 1").fetchall()
    if build and waiting:
        derive(home)
