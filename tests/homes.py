"""Makes the home folders under tests/fixtures/homes, one for each released state of the tables.

Run `python -m tests.homes VERSION`: a small simulated history (two sources of oddities: every era, late rows, a
truncated visit), read, derived, published and rendered, packed as VERSION.tar.gz with what it must still say later in
VERSION.json. Not for tests of today's behaviour.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matokit_pipelines import settings
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.reports.rendering import write_weekly
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import generate
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import last_complete_week

HOMES = Path(__file__).parent / "fixtures" / "homes"
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
KEPT = ("matokit.toml", "warehouse.duckdb", "serving", "reports")
_SETTINGS = """[project]
timezone = "Europe/Copenhagen"

[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
start_date = {start}
"""


def open_home(folder: Path, environ: dict[str, str] | None = None) -> Home:
    """The home in `folder`, at the moment it was made."""
    given = {"MATOKIT_HOME": str(folder)} | (environ or {})
    return Home.of(settings.load(folder / "matokit.toml", given, folder), FixedClock(NOW))


def facts(home: Home) -> dict[str, Any]:
    """What a home must go on saying, whatever version reads it: counts of landed rows and of what they mean."""
    with home.warehouse.reader() as connection:
        one = connection.execute(
            "select count(*), count(distinct event_id), sum(coalesce(value, -7))::bigint, min(event_ts), max(event_ts) "
            "from raw.matomo_events"
        ).fetchall()[0]
        windows = connection.execute("select count(*), sum(received)::bigint from ledger.windows").fetchall()[0]
        outcomes = connection.execute(
            "select environment, outcome, counted, count(*) from staging.installer_events group by all order by all"
        ).fetchall()
    return {
        "raw": [one[0], one[1], one[2], one[3].isoformat(), one[4].isoformat()],
        "windows": list(windows),
        "outcomes": [list(row) for row in outcomes],
    }


def make(version: str) -> Path:
    """Pack a home made by the code as it is now."""
    truth = generate(days=10, events_per_day=25, seed=11, end=NOW)
    with tempfile.TemporaryDirectory() as name, MatomoSimulator(truth, now=lambda: NOW) as server:
        folder = Path(name)
        text = _SETTINGS.format(url=server.url, start=truth.start.date())
        (folder / "matokit.toml").write_text(text, encoding="utf-8")
        home = open_home(folder, {"MATOKIT_INSTALLERS_TOKEN": server.token})
        extract(home)
        build_and_publish(home)
        with open_current(folder) as snapshot:
            write_weekly(snapshot, last_complete_week(NOW, home.loaded.settings.project.zone), NOW, folder / "reports")
        known = facts(home)
        packed = HOMES / f"{version}.tar.gz"
        HOMES.mkdir(parents=True, exist_ok=True)
        with tarfile.open(packed, "w:gz") as archive:
            for entry in KEPT:
                archive.add(folder / entry, arcname=entry)
    packed.with_name(f"{version}.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return packed


if __name__ == "__main__":
    sys.stdout.write(f"{make(sys.argv[1])}\n")
