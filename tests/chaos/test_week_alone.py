"""A week that nobody looks after: outages, kills and an hour of full disk, and at its end everything is right.

The refresh schedule's tick is driven in process under a clock that runs fast: the sources are asked every five minutes
of it, and read when they hold something new. `MATOKIT_CHAOS=long` lives through the whole week in half an hour; without
it one day is enough.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from filelock import FileLock

from matokit_pipelines.orchestration import in_process
from matokit_pipelines.orchestration.housekeeping import housekeeping
from matokit_pipelines.resources import dagster_home
from matokit_pipelines.settings import load
from matokit_pipelines.simulator import MatomoSimulator, PiwikProSimulator, Truth, generate
from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.piwik_pro_faults import PiwikProFaults
from matokit_pipelines.warehouse import ledger, refresh
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from matokit_pipelines.windows import Window, offset_changes
from tests import simulated
from tests.alone import Alone, LeapingClock, Life, gates_before, live, outages
from tests.piwik_pro import ZONE, is_stored, must_be_stored, with_both_hours_told_apart_or_not

pytestmark = pytest.mark.slow

TICKS_TO_HEAL = 3
IS_LONG = os.environ.get("MATOKIT_CHAOS") == "long"
COPENHAGEN = ZoneInfo(ZONE)
MONDAY = datetime(2026, 10, 26, tzinfo=COPENHAGEN).astimezone(UTC)  # ends a week in which clocks go back
SENT_UNTIL = MONDAY - timedelta(hours=1)
# Events of nine days, of which one is history when the home begins; trouble ends some hours before all is looked at.
BEGIN = MONDAY - timedelta(days=7, hours=3) if IS_LONG else MONDAY - timedelta(hours=22)
TROUBLE_UNTIL = MONDAY - timedelta(hours=2)
END = MONDAY + timedelta(hours=8)  # half an hour after the weekly summary is due
SPEED = 320.0 if IS_LONG else 250.0  # a refresh of some seconds takes about as long as one of a large home
[AUTUMN] = [c.repeated for c in offset_changes(Window(BEGIN, END), COPENHAGEN) if c.repeated]
SETTINGS = """
[project]
timezone = "Europe/Copenhagen"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{installers}"
site_id = "{site}"
start_date = {start}

[[sources]]
name = "lab"
kind = "matomo"
url = "{lab}"
site_id = "1"
start_date = {start}

[http]
read_timeout = 20
budget = 604800
requests = 100000
"""


def home_of(
    folder: Path, urls: dict[str, str], server: PiwikProSimulator, token: str, start: datetime, clock: LeapingClock
) -> Home:
    (folder / "matokit.toml").write_text(
        SETTINGS.format(**urls, site=server.site_id, start=start.date()), encoding="utf-8"
    )
    environ = {
        "MATOKIT_INSTALLERS_CLIENT_ID": server.client_id,
        "MATOKIT_INSTALLERS_CLIENT_SECRET": server.client_secret,
        "MATOKIT_LAB_TOKEN": token,
    }
    return Home.of(load(environ=environ, cwd=folder), clock)


@pytest.mark.slow
def test_a_week_alone_ends_with_everything_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    truth = generate(days=9, events_per_day=300, seed=17, end=SENT_UNTIL)
    ours, theirs = truth.split(0.7)
    clock = LeapingClock(BEGIN, SPEED)
    wire = {"dropped": 0.01, "half": 0.01, "late_share": 0.03, "late_seconds": 2 * 3_600}
    piwik_pro = PiwikProFaults(**wire, processing_delay_s=1_800, vanish_share=0.01, vanish_after_s=3_600)  # type: ignore[arg-type]
    hours = (TROUBLE_UNTIL - BEGIN).total_seconds() / 3_600
    with (
        PiwikProSimulator(ours, now=clock.now, faults=piwik_pro) as installers,
        MatomoSimulator(theirs, now=clock.now, faults=Faults(**wire)) as lab,  # type: ignore[arg-type]
        gates_before(installers=installers.url, lab=lab.url) as gates,
    ):
        urls = {name: gate.url for name, gate in gates.items()}
        home = home_of(tmp_path, urls, installers, lab.token, truth.start - timedelta(days=1), clock)
        dice = random.Random(5)
        full = BEGIN + timedelta(hours=dice.uniform(10, hours - 10))
        trouble = Alone(
            until=TROUBLE_UNTIL,
            outages=outages(dice, BEGIN, hours - 3, list(gates)),
            killed_of_a_hundred=6 if IS_LONG else 12,
            full_disk=Window(full, full + timedelta(hours=1)),
            every=timedelta(minutes=5 if IS_LONG else 15),
        )
        life = live(home, clock, gates, trouble)
        quiet = Alone(until=END, outages=[], killed_of_a_hundred=0, full_disk=Window(END, END), every=trouble.every)
        after = live(home, clock, gates, quiet)
        now = clock.stop()
        for _ in range(TICKS_TO_HEAL):  # the last one may have taken an hour of so fast a clock, or met a dropped line
            in_process.tick(home)
            if not errors_of(home):
                break
        tell(life, after, home)
        expected = must_be_stored(ours, installers, now)
    assert after.ticks["failed"] == 0, after.sentences
    every_event_once(home, theirs, expected)
    nothing_is_open(home, now)
    the_weekly_page_is_there(home)
    nothing_is_left_behind(home)
    trouble_was_had(life)


def tell(life: Life, after: Life, home: Home) -> None:
    """What a person wants to know of the week, shown with `-s` and beside a failure."""
    print(f"\n{dict(life.ticks)} then {dict(after.ticks)}; longest without a tick {life.longest_without_tick}")
    for sentence, count in (life.sentences + after.sentences).most_common(12):
        print(f"{count} x {sentence}")
    for folder in (home.loaded.home, dagster_home(home.loaded.home)):
        print(f"{folder.name}: {size(folder) / 1e6:.1f} MB")


def every_event_once(home: Home, theirs: Truth, expected: Counter[tuple[object, ...]]) -> None:
    found, wanted = (with_both_hours_told_apart_or_not(rows, AUTUMN) for rows in (is_stored(home), expected))
    assert wanted - found == Counter(), "nothing of Piwik PRO is missing"
    assert found - wanted == Counter(), "and nothing is there that is not"
    found, wanted = (
        with_both_hours_told_apart_or_not(rows, AUTUMN)
        for rows in (simulated.landed(home), simulated.stored(theirs.events))
    )
    assert found == wanted, "and nothing of Matomo"
    with home.warehouse.reader() as connection:
        for table in ("raw.piwik_pro_events", "raw.matomo_events"):
            copies = f"select count(*) - count(distinct event_id) from {table}"
            assert connection.execute(copies).fetchall() == [(0,)]
        landed, derived = (
            connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            for table in ("staging.landed_events", "staging.installer_events")
        )
        assert derived == landed


def errors_of(home: Home) -> list[tuple[str]]:
    with home.warehouse.reader() as connection:
        return connection.execute("select last_error from ledger.sources where last_error is not null").fetchall()


def nothing_is_open(home: Home, now: datetime) -> None:
    """What `status` would name."""
    with home.warehouse.reader() as connection:
        sources = connection.execute("select source, watermark, last_error, refused_at from ledger.sources").fetchall()
        assert {source for source, *_ in sources} == {"installers", "lab"}
        for source, watermark, error, refused in sources:
            lag = timedelta(minutes=150 if source == "installers" else 10)
            assert watermark >= now - lag - timedelta(seconds=1), (source, watermark)
            assert (error, refused) == (None, None)
            assert ledger.troubled_windows(connection, source, now) == []
        verdicts = connection.execute("select distinct verdict from ledger.reconciliation").fetchall()
        assert verdicts == [("equal",)]
        assert connection.execute("select count(*) from ledger.touched_days").fetchall() == [(0,)]
        unbalanced = "select count(*) from ledger.windows where received <> duplicates + quarantined + landed"
        assert connection.execute(unbalanced).fetchall() == [(0,)]


def the_weekly_page_is_there(home: Home) -> None:
    folder = home.loaded.home / "reports" / "weekly"
    numbers = json.loads((folder / "2026-W43.json").read_text(encoding="utf-8"))
    assert (folder / "2026-W43.html").stat().st_size > 10_000
    assert datetime.fromisoformat(numbers["watermark"]) >= MONDAY
    with open_current(home.loaded.home) as snapshot:
        assert snapshot.manifest.watermark is not None
        assert snapshot.manifest.watermark >= MONDAY
        for row in snapshot.rows("select source, last_error, windows_incomplete from extraction_status"):
            assert row["last_error"] is None
        assert snapshot.rows("select count(*)::bigint as n from extraction_gaps") == [{"n": 0}]


def nothing_is_left_behind(home: Home) -> None:
    folder = home.loaded.home
    with FileLock(folder / "warehouse.lock", timeout=0):
        pass
    with in_process.instance_of(folder) as instance:
        housekeeping(instance, home)
        assert [run.run_id for run in instance.get_runs() if not run.is_finished] == []
        assert instance.event_log_storage.get_concurrency_run_ids() == set()
    assert list((folder / "serving").glob(".tmp-*")) == []
    assert len(list((folder / "serving").glob("marts-*.duckdb"))) <= 3
    assert list((folder / "tmp").glob("*")) == []
    assert size(dagster_home(folder)) < 80_000_000
    assert size(folder) < 250_000_000
    refresh.build_and_publish(home)  # the last answers of the sources have moved what is known of them
    pieced = marts(home)
    refresh.build_and_publish(home, full=True)
    at_once = marts(home)
    differing = {name for name, rows in at_once.items() if rows != pieced[name]}
    assert differing == set(), "what was pieced together equals what is derived at once"


def trouble_was_had(life: Life) -> None:
    """The week was no quiet one."""
    assert life.ticks["killed"] >= 1
    assert life.ticks["full disk"] >= 1
    assert life.ticks["quiet"] >= 1
    assert life.ticks["refreshed"] >= 1


def marts(home: Home) -> dict[str, list[tuple[object, ...]]]:
    with open_current(home.loaded.home) as snapshot:
        return {
            name: sorted(snapshot.query(f"select * from {name}").rows(), key=repr) for name in snapshot.manifest.rows
        }


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
