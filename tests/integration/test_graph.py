"""The Dagster graph: loads without settings, shows every table, runs in process and is seen there as a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from matokit_pipelines import resources, state
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.messages import Message
from matokit_pipelines.errors import CheckFailed, DataIncomplete, SourceError
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.orchestration.assets.extract import MATOMO_EVENTS, PIWIK_PRO_EVENTS
from matokit_pipelines.orchestration.assets.models import MODELS, asset_key
from matokit_pipelines.orchestration.assets.reports import KINDS
from matokit_pipelines.orchestration.assets.serving import SNAPSHOT
from matokit_pipelines.orchestration.days import RANGE_END
from matokit_pipelines.orchestration.definitions import build_definitions, defs
from matokit_pipelines.orchestration.editions import newest, page_of
from matokit_pipelines.orchestration.partitions import calendar_of
from matokit_pipelines.orchestration.pool import WAREHOUSE
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.settings import Settings
from matokit_pipelines.simulator import WebTruth
from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import Truth, generate
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from tests.replay import home_at

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
WEBSITE = """
[[sources]]
name = "website"
kind = "matomo"
url = "{url}"
site_id = "2"
provides = ["web_reports"]
"""


@pytest.fixture(scope="module")
def truth() -> Truth:
    return generate(days=12, events_per_day=50, seed=3, end=NOW)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("DAGSTER_HOME", "")


@pytest.fixture
def server(truth: Truth, quiet: None) -> Iterator[MatomoSimulator]:
    with MatomoSimulator(truth, now=lambda: NOW) as running:
        yield running


def home_for(server: MatomoSimulator, truth: Truth, folder: Path, token: str = "") -> Home:
    environ = {"MATOKIT_INSTALLERS_TOKEN": token or server.token}
    return home_at(folder, server.url, now=NOW, start=truth.start.date(), environ=environ)


def test_the_definitions_load_in_an_empty_folder_without_settings(tmp_path: Path) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))}
    environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    workspace = str(resources.path("workspace.yaml"))
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", workspace],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stdout + done.stderr


@pytest.mark.slow
def test_one_refresh_lands_web_reports_and_derives_them(truth: Truth, quiet: None, tmp_path: Path) -> None:
    """What lands in a refresh is in the snapshot that it publishes: the tables wait for every way in."""
    web = WebTruth.generate(days=8, visits_per_day=20, seed=3, end=NOW)
    with MatomoSimulator(truth, now=lambda: NOW, web=web) as server:
        environ = {"MATOKIT_INSTALLERS_TOKEN": server.token, "MATOKIT_WEBSITE_TOKEN": server.token}
        more = WEBSITE.format(url=server.url)
        home = home_at(
            tmp_path, server.url, now=NOW, start=truth.start.date(), environ=environ, settings=more
        )  # fmt: skip
        outcome = in_process.refresh(home, with_reports=False)
    assert outcome.trouble is None
    with open_current(home.loaded.home) as snapshot:
        found = snapshot.rows("select count(*) as days from web_visits where period = 'day' and nb_visits > 0")
    assert found[0]["days"] >= 6


def test_every_table_is_an_asset_with_description_columns_lineage_and_checks() -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    for name, model in MODELS.items():
        spec = graph.get(asset_key(name))
        assert model.file.description in (spec.description or "")
        assert spec.group_name == name.split(".")[0]
        columns = spec.metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == [column.name for column in model.file.columns]
        assert all(column.description for column in columns)
        expected = {asset_key(read) for read in model.file.reads if not read.startswith(("seeds.", "ledger."))}
        assert spec.parent_keys == expected
        assert {check.asset_key for check in graph.get_check_keys_for_assets({asset_key(name)})} == {asset_key(name)}
    # one way, from the wire to the page
    raw, page = dg.AssetKey(["raw", "matomo_events"]), dg.AssetKey(["reports", "weekly_summary"])
    assert not graph.get(raw).parent_keys
    assert graph.get_ancestor_asset_keys(page) >= {raw, asset_key("marts.component_weekly")}


def test_every_asset_says_what_it_is_and_raw_snapshot_and_page_how_fresh_they_must_be() -> None:
    graph = defs.resolve_asset_graph()
    for node in graph.asset_nodes:
        assert node.group_name in ("extract", "staging", "marts", "serving", "alerts", "reports")
        assert node.kinds
        assert len(node.description or "") > 40
    for key in (MATOMO_EVENTS, PIWIK_PRO_EVENTS, SNAPSHOT, *(kind.page for kind in KINDS)):
        assert graph.get(key).freshness_policy is not None, key


def test_what_writes_to_the_warehouse_shares_a_pool_but_not_in_process(tmp_path: Path) -> None:
    home = GivenHome(home_at(tmp_path, "http://127.0.0.1:9", now=NOW))
    steps = {"matomo_events", "piwik_pro_events", "web_reports", "tables", "alerts", "serving__snapshot"}
    pages = {"pages__dashboards", "pages__index"}  # read the snapshot and the store
    for pool in (WAREHOUSE, None):
        job = build_definitions(home, pool=pool).resolve_job_def("nightly")
        pools = {node.name: node.definition.pool for node in job.nodes}  # type: ignore[attr-defined]
        assert pools == dict.fromkeys(steps, pool) | dict.fromkeys(pages)


def test_a_run_in_process_lands_derives_publishes_renders_and_is_recorded(
    server: MatomoSimulator, truth: Truth, tmp_path: Path
) -> None:
    home = home_for(server, truth, tmp_path)
    outcome = in_process.refresh(home)
    assert outcome.trouble is None
    sent = truth.events.filter(truth.events["category"].is_not_null()).height
    assert outcome.lines[0].startswith(f"installers: {sent:,} new events")
    assert weekly_page(home).is_file()
    assert weekly_page(home).stem == "2026-W46"
    with in_process.instance_of(home.loaded.home) as instance:
        runs = {run.job_name: run.status for run in instance.get_runs()}
        jobs = ("refresh", "weekly_report", "daily_report")  # its records begin after the last month
        assert runs == dict.fromkeys(jobs, dg.DagsterRunStatus.SUCCESS)
        idle = instance.get_latest_materialization_event(PIWIK_PRO_EVENTS)
        assert idle
        assert idle.asset_materialization
        said = idle.asset_materialization.metadata["note"].value
        assert said == "No source of kind piwik_pro is set up, so there is nothing to read."
        done = instance.get_latest_materialization_event(asset_key("staging.installer_events"))
        assert done
        assert done.asset_materialization
        assert done.asset_materialization.metadata["rows_written"].value == sent
    again = in_process.refresh(home)
    assert again.lines[0].startswith("installers: 0 new events")
    assert not any(" page " in line for line in again.lines)


@pytest.mark.slow
def test_a_run_in_process_goes_by_the_clock_of_its_home_and_not_by_the_machines(quiet: None, tmp_path: Path) -> None:
    """As on the demo's clock, which leaps past midnight: its days and reports are partitions, its days are shown."""
    ahead = (datetime.now(UTC) + timedelta(days=40)).replace(hour=23, minute=30)
    truth = generate(days=3, events_per_day=20, seed=3, end=ahead)
    with MatomoSimulator(truth, now=lambda: ahead) as server:
        environ = {"MATOKIT_INSTALLERS_TOKEN": server.token}
        home = home_at(tmp_path, server.url, now=ahead, start=truth.start.date(), environ=environ)
        outcome = in_process.refresh(home)
    assert outcome.trouble is None
    assert [line for line in outcome.lines if line.startswith("Daily page ")]
    with in_process.instance_of(home.loaded.home) as instance:
        [run] = instance.get_runs(dg.RunsFilter(job_name="refresh"))
        [daily] = instance.get_runs(dg.RunsFilter(job_name="daily_report"))
    assert run.tags[RANGE_END] >= f"{ahead:%Y-%m-%d}"
    assert daily.tags["dagster/partition"] == newest("daily", home.loaded.settings, ahead).key


@pytest.mark.slow
@pytest.mark.parametrize("hour", [0, 12])
def test_a_home_whose_records_begin_today_has_no_report_about_the_time_before(
    quiet: None, tmp_path: Path, hour: int
) -> None:
    """On a Monday that is the first of a month, also before the hour of the daily report."""
    now = datetime(2026, 6, 1, hour, 30, tzinfo=ZoneInfo("Europe/Copenhagen")).astimezone(UTC)
    truth = generate(days=3, events_per_day=50, seed=3, end=now)
    with MatomoSimulator(truth, now=lambda: now) as server:
        environ = {"MATOKIT_INSTALLERS_TOKEN": server.token}
        home = home_at(tmp_path, server.url, now=now, start=date(2026, 6, 1), environ=environ)
        outcome = in_process.refresh(home)
    assert outcome.trouble is None
    pages = [line.split()[0] for line in outcome.lines if " page " in line]
    assert pages == (["Daily"] if hour else [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zone", "at", "hour", "morning"),
    [("Pacific/Auckland", "08:00", 20, "2026-06-04"), ("Pacific/Honolulu", "19:00", 5, "2026-06-02")],
)
def test_the_daily_report_of_another_zone_has_a_partition_for_each_of_its_mornings(
    quiet: None, tmp_path: Path, zone: str, at: str, hour: int, morning: str
) -> None:
    """On the first day of records, where the morning is already tomorrow's, or still yesterday's."""
    now = datetime(2026, 6, 3, hour, 30, tzinfo=UTC)
    truth = generate(days=3, events_per_day=50, seed=3, end=now)
    settings = f'[alerts]\ntimezone = "{zone}"\ndaily_at = "{at}"\n'
    with MatomoSimulator(truth, now=lambda: now) as server:
        environ = {"MATOKIT_INSTALLERS_TOKEN": server.token}
        home = home_at(tmp_path, server.url, now=now, start=date(2026, 6, 3), environ=environ, settings=settings)
        outcome = in_process.refresh(home)
    assert outcome.trouble is None
    [daily] = [line for line in outcome.lines if line.startswith("Daily page ")]
    assert Path(daily.split()[-1]).stem == morning


def weekly_page(home: Home) -> Path:
    return page_of(home, newest("weekly", home.loaded.settings, NOW))


@pytest.mark.slow
def test_a_report_that_cannot_be_made_holds_up_no_other_and_no_message(
    server: MatomoSimulator, truth: Truth, tmp_path: Path
) -> None:
    home = home_for(server, truth, tmp_path)
    (home.loaded.home / "reports").mkdir(parents=True)
    (home.loaded.home / "reports" / "weekly").write_text("in the way", encoding="utf-8")
    with state.opened(home.loaded.home) as store, state.transaction(store):
        outbox.enqueue(
            store, message_key="k", conversation="k", destination="files", severity="info",
            message=Message("subject", "text"), due=NOW, now=NOW,
        )  # fmt: skip
    outcome = in_process.refresh(home)
    assert isinstance(outcome.trouble, CheckFailed)
    assert str(outcome.trouble).startswith("The weekly report of 2026-W46 could not be made: the operating system")
    assert len([line for line in outcome.lines if " page " in line]) == 1
    assert (home.loaded.home / "index.html").is_file()
    with state.opened(home.loaded.home) as store:
        assert not outbox.listed(store, ("pending",))
        told = [row.subject for row in outbox.listed(store) if row.message_key.startswith("operators|")]
    assert told == ["The weekly report of 2026-W46 could not be made"]


@pytest.mark.slow
def test_a_page_made_before_its_week_was_complete_is_made_again(
    server: MatomoSimulator, truth: Truth, tmp_path: Path
) -> None:
    home = home_for(server, truth, tmp_path)
    in_process.refresh(home)
    page = weekly_page(home)
    numbers = page.with_suffix(".json")
    early = numbers.read_text(encoding="utf-8").replace(NOW.date().isoformat(), "2026-11-14")
    numbers.write_text(early, encoding="utf-8")
    page.unlink()
    assert any(line.startswith("Weekly page") for line in in_process.refresh(home).lines)
    assert page.is_file()


@pytest.mark.slow
def test_a_source_that_refuses_fails_its_check_and_nothing_else(
    server: MatomoSimulator, truth: Truth, tmp_path: Path
) -> None:
    in_process.refresh(home_for(server, truth, tmp_path), with_reports=False)
    outcome = in_process.refresh(home_for(server, truth, tmp_path, token="0" * 32), with_reports=False)
    assert isinstance(outcome.trouble, SourceError)
    assert "MATOKIT_INSTALLERS_TOKEN" in str(outcome.trouble)
    assert any(line.startswith("Published snapshot") for line in outcome.lines)


@pytest.mark.slow
def test_a_report_that_knows_more_is_named_and_the_rest_goes_on(truth: Truth, tmp_path: Path, quiet: None) -> None:
    lying = Faults(lies={NOW.date() - timedelta(days=2): 5})
    with MatomoSimulator(truth, now=lambda: NOW, faults=lying) as server:
        outcome = in_process.refresh(home_for(server, truth, tmp_path), with_reports=False)
    assert isinstance(outcome.trouble, DataIncomplete)
    assert "2026-11-16" in str(outcome.trouble)
    assert any(line.startswith("Published snapshot") for line in outcome.lines)


@pytest.mark.slow
def test_a_blocking_check_ends_the_run_with_its_sentence_and_keeps_the_snapshot(
    server: MatomoSimulator, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_for(server, truth, tmp_path)
    in_process.refresh(home, with_reports=False)
    current = (home.loaded.home / "serving" / "CURRENT").read_text(encoding="utf-8")
    with home.warehouse.writer() as connection:
        connection.execute("update ledger.windows set received = received + 1")
    with pytest.raises(CheckFailed) as caught:
        in_process.refresh(home, with_reports=False)
    assert str(caught.value).count("\n") == 0
    assert (home.loaded.home / "serving" / "CURRENT").read_text(encoding="utf-8") == current


@pytest.mark.parametrize(("zone", "is_same"), [("", True), ("Europe/Copenhagen", True), ("Asia/Tokyo", False)])
def test_the_mornings_of_the_daily_report_are_days_unless_the_rules_have_a_zone_of_their_own(
    zone: str, is_same: bool
) -> None:
    settings = Settings.model_validate({"project": {"timezone": "Europe/Copenhagen"}, "alerts": {"timezone": zone}})
    calendar = calendar_of(settings, date(2026, 6, 1))
    assert (calendar.mornings is calendar.days) == is_same
    assert calendar.mornings.timezone == (zone or "Europe/Copenhagen")


def test_weeks_are_partitions_that_start_on_mondays() -> None:
    keys = build_definitions().resolve_asset_graph().get(dg.AssetKey(["reports", "weekly_summary"])).partitions_def
    assert keys is not None
    for key in keys.get_partition_keys()[:3]:
        assert date.fromisoformat(key).weekday() == 0
