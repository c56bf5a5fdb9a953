"""Days in the graph: a backfill of thirty is one run that reads each page once; a refresh is shown for what it touched.

The run is made in process with the very tags that Dagster's daemon gives to a single-run backfill; that the web page's
own mutation leads there is held by the slow test at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines import resources, settings
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.orchestration.assets.extract import MATOMO_EVENTS, PIWIK_PRO_EVENTS, RAW
from matokit_pipelines.orchestration.assets.models import BY_DAY, EVENTS, MODELS, asset_key
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.days import RANGE_END, RANGE_START
from matokit_pipelines.orchestration.definitions import build_definitions
from matokit_pipelines.orchestration.jobs import BACKFILL
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.simulator import Assumptions, MatomoSimulator, PiwikProSimulator, generate
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import each_day
from tests.replay import rows_of

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 10, 12), date(2026, 11, 10)  # thirty days, one of them of 25 hours
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SETTINGS = """[project]
timezone = "Europe/Copenhagen"

[[sources]]
name = "installers"
kind = "piwik_pro"
url = "{installers.url}"
site_id = "{installers.site_id}"
start_date = 2026-10-09

[[sources]]
name = "lab"
kind = "matomo"
url = "{lab.url}"
site_id = "1"
start_date = 2026-10-09
"""


class Site:
    """A home that was refreshed once, and the two services it reads."""

    def __init__(self, folder: Path, installers: PiwikProSimulator, lab: MatomoSimulator) -> None:
        self.installers, self.lab = installers, lab
        (folder / "matokit.toml").write_text(SETTINGS.format(installers=installers, lab=lab), encoding="utf-8")
        self.environ = {
            "MATOKIT_HOME": str(folder),
            "MATOKIT_LAB_TOKEN": lab.token,
            "MATOKIT_INSTALLERS_CLIENT_ID": installers.client_id,
            "MATOKIT_INSTALLERS_CLIENT_SECRET": installers.client_secret,
        }
        self.clock = FixedClock(NOW)
        self.home = Home.of(settings.load(folder / "matokit.toml", self.environ, folder), self.clock)

    def pages(self) -> Counter[tuple[str, str]]:
        """Every page of raw data that was asked for, and how often."""
        asked = [*self.installers.requests.recent, *self.lab.requests.recent]
        wanted = ("Live.getLastVisitsDetails", "/api/analytics/v1/events/")
        return Counter((name, str(sorted(shown.items(), key=str))) for name, shown in asked if name in wanted)

    def forget(self) -> None:
        """Count pages anew."""
        self.installers.requests.recent.clear()
        self.lab.requests.recent.clear()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    truth = generate(days=39, events_per_day=30, seed=5, end=NOW)
    ours, theirs = truth.split(0.7)
    with (
        PiwikProSimulator(ours, now=lambda: NOW, assumed=Assumptions(rate_limit=False)) as installers,
        MatomoSimulator(theirs, now=lambda: NOW) as lab,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        patch.setenv("DAGSTER_HOME", "")
        made = Site(tmp_path_factory.mktemp("home"), installers, lab)
        in_process.refresh(made.home, with_reports=False)
        yield made


def shown(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    """The partitions of an asset that have a materialisation."""
    return set(instance.get_materialized_partitions(key))


def test_a_first_refresh_is_shown_for_each_day_it_touched(site: Site) -> None:
    with in_process.instance_of(site.home.loaded.home) as instance:
        [(days,)] = [rows_of(site.home, "select list(distinct event_date order by 1) from staging.installer_events")][0]
        every = {day.isoformat() for day in days}
        assert shown(instance, asset_key(EVENTS)) == every
        assert shown(instance, SNAPSHOT) == every | {"2026-11-18"}
        for kind in RAW:  # days without an event were read too, from the start_date on
            assert shown(instance, RAW[kind]) == {day.isoformat() for day in each_day(date(2026, 10, 9), NOW.date())}
        for name in MODELS:  # every table was derived, so every table is shown
            assert instance.get_latest_materialization_event(asset_key(name)), name


def test_thirty_days_are_one_run_that_reads_each_page_once(site: Site) -> None:
    definitions = build_definitions(GivenHome(site.home))
    days = [day.isoformat() for day in each_day(FIRST, LAST)]
    before = rows_of(site.home, "select count(*), sum(hash(event_id))::varchar from staging.installer_events")
    site.forget()
    site.clock.advance(timedelta(minutes=5))
    with in_process.instance_of(site.home.loaded.home) as instance:
        runs = instance.get_runs_count()
        run = definitions.resolve_job_def(BACKFILL.name).execute_in_process(
            instance=instance, run_config=QUIET, tags={RANGE_START: days[0], RANGE_END: days[-1]}
        )
        assert run.success
        assert instance.get_runs_count() == runs + 1
        for key in (MATOMO_EVENTS, PIWIK_PRO_EVENTS, SNAPSHOT, *(asset_key(table) for table in BY_DAY)):
            events = [e for e in run.get_asset_materialization_events() if e.asset_key == key]
            assert sorted(e.partition or "" for e in events) == days, key
        whole = {e.asset_key.to_user_string() for e in run.get_asset_materialization_events() if e.partition is None}
        assert "marts/component_window" in whole or "marts/component_weekly" in whole
    pages = site.pages()
    assert pages
    assert set(pages.values()) == {1}, [page for page, times in pages.items() if times > 1]
    asked = rows_of(
        site.home,
        "select source, min(window_start), max(window_end), count(*), count(distinct window_start) from ledger.windows "
        "where tier = 'asked' group by source order by source",
    )
    for source, start, end, readings, distinct in asked:
        assert start == datetime(2026, 10, 11, 22, tzinfo=UTC), source
        assert end == datetime(2026, 11, 10, 23, tzinfo=UTC)
        assert readings == distinct
    assert [row[0] for row in asked] == ["installers", "lab"]
    assert rows_of(site.home, "select count(*), sum(hash(event_id))::varchar from staging.installer_events") == before


def test_metadata_are_numbers_and_moments_that_the_web_page_can_draw(site: Site) -> None:
    with in_process.instance_of(site.home.loaded.home) as instance:

        def told(key: dg.AssetKey) -> dict[str, object]:
            event = instance.get_latest_materialization_event(key)
            assert event
            assert event.asset_materialization
            return dict(event.asset_materialization.metadata)

        raw, table, served = told(MATOMO_EVENTS), told(asset_key(EVENTS)), told(SNAPSHOT)
    [(landed,)] = rows_of(site.home, "select count(*) from raw.matomo_events")
    [(events,)] = rows_of(site.home, "select count(*) from staging.installer_events")
    assert raw["rows"] == dg.MetadataValue.int(landed)
    assert table["rows"] == dg.MetadataValue.int(events)
    assert isinstance(raw["days_touched"], dg.IntMetadataValue)
    assert isinstance(raw["windows_open"], dg.IntMetadataValue)
    for said in (raw, table, served):
        assert isinstance(said["complete_to"], dg.TimestampMetadataValue)
    sentence = str(served["is it all right"].value)  # type: ignore[attr-defined]
    assert sentence.startswith("Yes: ")


def test_the_web_pages_own_backfill_of_thirty_days_is_one_run(site: Site, tmp_path: Path) -> None:
    """The daemon, a code server and the launcher as under `matokit up`; asked for as the page does."""
    from dagster._core.execution.asset_backfill import AssetBackfillData
    from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

    definitions = build_definitions(GivenHome(site.home))
    graph = definitions.resolve_asset_graph()
    selection = BACKFILL.selection.resolve(graph)
    days = [day.isoformat() for day in each_day(FIRST, LAST)]
    folder = resources.dagster_home(site.home.loaded.home)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))}
    environ |= site.environ | {"DAGSTER_HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "1"}
    environ["MATOKIT_CONFIG"] = str(site.home.loaded.file)
    with in_process.instance_of(site.home.loaded.home) as instance:
        asked = PartitionBackfill.from_asset_partitions(
            asset_graph=graph,
            backfill_id=uuid.uuid4().hex[:8],
            tags={},
            backfill_timestamp=time.time(),
            asset_selection=list(selection),
            partition_names=days,
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=None,
            description=None,
            run_config=None,
        )
        assert isinstance(asked.asset_backfill_data, AssetBackfillData)
        instance.add_backfill(asked)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(folder / "workspace.yaml")],
            env=environ, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 150
            while time.monotonic() < deadline:
                known = instance.get_backfill(asked.backfill_id)
                if known and known.status != BulkActionStatus.REQUESTED:
                    break
                time.sleep(1)
        finally:
            daemon.terminate()
            daemon.wait(timeout=30)
        assert known
        assert known.status == BulkActionStatus.COMPLETED_SUCCESS, known.error
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": asked.backfill_id}))
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
        assert runs[0].asset_selection == selection
