"""Makes the home folders under tests/fixtures/homes, one for each released state of the tables.

Run `python -m tests.homes VERSION`: a small simulated history of a Piwik PRO, a Matomo and a mirror of the latter
(every era of events, rebuilt sessions, a window whose count never settles), read, derived, published, rendered and
alerted about, packed as VERSION.tar.gz with what it must still say later in VERSION.json. Not for tests of
today's behaviour.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from matokit_pipelines import settings, state
from matokit_pipelines.alerts import silences
from matokit_pipelines.alerts.passes import run_pass
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery.draining import drain
from matokit_pipelines.reports.weekly.pages import write_weekly
from matokit_pipelines.simulator import (
    Assumptions,
    MatomoSimulator,
    PiwikProFaults,
    PiwikProSimulator,
    WebTruth,
    generate,
)
from matokit_pipelines.toolserver.tracking import rows as tracking_rows
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import last_complete_week

HOMES = Path(__file__).parent / "fixtures" / "homes"
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
KEPT = ("matokit.toml", "warehouse.duckdb", "serving", "reports", "state.sqlite")
_SETTINGS = """[project]
timezone = "Europe/Copenhagen"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{installers.url}"
site_id = "{installers.site_id}"
real_time = true
start_date = {start}

[[sources]]
name = "lab"
kind = "matomo"
url = "{lab.url}"
site_id = "1"
start_date = {start}

[[sources]]
name = "lab_copy"
kind = "piwik_pro"
url = "{lab_copy.url}"
site_id = "{lab_copy.site_id}"
mirror_of = "lab"
start_date = {start}

[[sources]]
name = "website"
kind = "matomo"
url = "{lab.url}"
site_id = "2"
provides = ["web_reports"]

[web_reports]
first_time_periods = 500

[alerts.rules.high_volume_failures] # so that something fires
failures_above = 0
window_hours = 24
guard = {{ enabled = false }}
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
            "from staging.landed_events"
        ).fetchall()[0]
        windows = connection.execute("select count(*), sum(received)::bigint from ledger.windows").fetchall()[0]
        outcomes = connection.execute(
            "select environment, outcome, counted, count(*) from staging.installer_events group by all order by all"
        ).fetchall()
        web = _web(connection)
    told = {"alerts": alerts(home)} if state.file_of(home.loaded.home).exists() else {}
    return (
        told
        | web
        | {
            "raw": [one[0], one[1], one[2], one[3].isoformat(), one[4].isoformat()],
            "windows": list(windows),
            "outcomes": [list(row) for row in outcomes],
        }
    )


def _web(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What is remembered of web reports; nothing where none was ever read."""
    queries = {
        "web_periods": "select period, state, count(*), min(period_start)::varchar, sum(visits)::bigint "
        "from ledger.web_periods group by all order by all",
        "web_visits": "select period, sum(nb_visits)::bigint, sum(nb_actions)::bigint from marts.web_visits "
        "group by all order by all",
    }
    if not connection.execute("select count(*) from ledger.web_periods").fetchall()[0][0]:
        return {}
    return {name: [list(row) for row in connection.execute(query).fetchall()] for name, query in queries.items()}


def alerts(home: Home) -> dict[str, Any]:
    """What is remembered of alerts and of deliveries."""
    queries = {
        "episodes": "select rule, subject, number, started_at, told_at from episodes order by rule, subject, number",
        "evaluations": "select rule, count(*), sum(ticks) from evaluations group by rule order by rule",
        "silences": "select matchers, begins_at, ends_at, author, reason from silences order by id",
        "outbox": "select message_key, destination, state from outbox order by id",
        "tracking": "select id, lane, payload, state, idempotency_key from tracking_queue order by id",
    }
    with state.opened(home.loaded.home) as connection:
        found = {name: [list(row) for row in connection.execute(query)] for name, query in queries.items()}
    return {name: rows for name, rows in found.items() if rows or name != "tracking"}  # older homes know of none


def make(version: str) -> Path:
    """Pack a home made by the code as it is now."""
    truth = generate(days=10, events_per_day=25, seed=11, end=NOW)
    ours, theirs = truth.split(0.7)
    web = WebTruth.generate(days=10, visits_per_day=12, seed=11, end=NOW)
    lying = NOW - timedelta(days=4)
    faults = PiwikProFaults(late_share=0.1, rebuild_overlap_s=7_200, lying_count=((lying, lying + timedelta(hours=1)),))
    at_noon = {"now": lambda: NOW, "assumed": Assumptions(rate_limit=False)}
    with (
        tempfile.TemporaryDirectory() as name,
        PiwikProSimulator(ours, faults=faults, **at_noon) as installers,
        MatomoSimulator(theirs, now=lambda: NOW, web=web) as lab,
        PiwikProSimulator(theirs, **at_noon) as lab_copy,
    ):
        folder = Path(name)
        start = truth.start.date()
        text = _SETTINGS.format(installers=installers, lab=lab, lab_copy=lab_copy, start=start)
        (folder / "matokit.toml").write_text(text, encoding="utf-8")
        secrets = {"MATOKIT_LAB_TOKEN": lab.token, "MATOKIT_WEBSITE_TOKEN": lab.token}
        for source, server in (("INSTALLERS", installers), ("LAB_COPY", lab_copy)):
            secrets[f"MATOKIT_{source}_CLIENT_ID"] = server.client_id
            secrets[f"MATOKIT_{source}_CLIENT_SECRET"] = server.client_secret
        home = open_home(folder, secrets)
        extract(home)
        build_and_publish(home)
        with open_current(folder) as snapshot:
            write_weekly(snapshot, last_complete_week(NOW, home.loaded.settings.project.zone), NOW, folder / "reports")
        alert(home)
        track(home)
        known = facts(home)
        packed = HOMES / f"{version}.tar.gz"
        HOMES.mkdir(parents=True, exist_ok=True)
        with tarfile.open(packed, "w:gz") as archive:
            for entry in KEPT:
                archive.add(folder / entry, arcname=entry)
    packed.with_name(f"{version}.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return packed


def track(home: Home) -> None:
    """Accept two hits that nobody sends."""
    with state.opened(home.loaded.home) as connection:
        for number in (1, 2):
            fields = {"e_c": "Download", "e_a": "Click", "_id": "0123456789abcdef", "e_v": str(number)}
            visitor, key = "0123456789abcdef", f"home-{number}"
            hit = Hit("event", "2", "website", "http://127.0.0.1:9/matomo.php", fields, visitor=visitor, key=key)
            tracking_rows.accept(connection, hit, NOW)


def alert(home: Home) -> None:
    """Evaluate twice under a silence of one component, and send what is to be sent."""
    with state.opened(home.loaded.home) as connection:
        ends = NOW + timedelta(days=1)
        silences.add(
            connection, matchers={"component": "conda_*"}, begins_at=NOW, ends_at=ends, author="lab",
            reason="moving servers", now=NOW,
        )  # fmt: skip
    run_pass(home)
    run_pass(replace(home, clock=FixedClock(NOW + timedelta(minutes=10))))
    drain(home.loaded, FixedClock(NOW))


if __name__ == "__main__":
    sys.stdout.write(f"{make(sys.argv[1])}\n")
