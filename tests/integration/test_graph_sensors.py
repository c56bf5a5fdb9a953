"""What the sensors tell the operators: one sentence for a run that failed or was killed, one a day for old data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import passes
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.delivery import outbox
from matokit_pipelines.delivery.files import open_notices
from matokit_pipelines.errors import CheckFailed
from matokit_pipelines.orchestration import sensors
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.orchestration.sensors import run_failure_sensor, run_recovery_sensor, staleness_sensor
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.refresh import Home, derive
from matokit_pipelines.warehouse.snapshots import publish
from tests.replay import home_at

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"


@dg.op
def breaks(context: dg.OpExecutionContext) -> None:
    said = context.run.tags["says"]
    raise (CheckFailed(said) if said.startswith("The check") else ValueError(said))


@dg.job(executor_def=dg.in_process_executor)
def refresh() -> None:
    breaks()


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_at(tmp_path, "http://127.0.0.1:9", now=NOW)


def after(failed: dg.ExecuteInProcessResult, instance: dg.DagsterInstance, home: Home) -> None:
    """A tick of the failure sensor on that run."""
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure_sensor", dagster_event=failed.get_run_failure_event(), dagster_instance=instance,
        dagster_run=failed.dagster_run, resources={"home": GivenHome(home)},
    ).for_run_failure()  # fmt: skip
    list(run_failure_sensor(context) or [])


def broken(instance: dg.DagsterInstance, says: str, **tags: str) -> dg.ExecuteInProcessResult:
    return refresh.execute_in_process(instance=instance, raise_on_error=False, tags={"says": says, **tags})


def test_our_own_errors_are_told_in_their_own_words(instance: dg.DagsterInstance, home: Home) -> None:
    failed = broken(instance, "The check keys failed for 3 rows; nothing was changed. Run `matokit build --full`.")
    after(failed, instance, home)
    [notice] = open_notices(home.loaded.home)
    assert notice.subject == "The job refresh failed"
    assert notice.text == (
        "The check keys failed for 3 rows; nothing was changed. Run `matokit build --full` "
        f"(run {failed.run_id[:8]} of refresh, step breaks)."
    )
    after(failed, instance, home)
    assert len(open_notices(home.loaded.home)) == 1


def test_a_job_that_fails_alike_again_is_told_of_once(instance: dg.DagsterInstance, home: Home) -> None:
    for _ in range(3):
        after(broken(instance, "The check keys failed for 3 rows; nothing was changed."), instance, home)
    after(broken(instance, "The check sums failed for 1 row; nothing was changed."), instance, home)
    assert sorted(notice.text.partition(";")[0] for notice in open_notices(home.loaded.home)) == [
        "The check keys failed for 3 rows",
        "The check sums failed for 1 row",
    ]


def test_other_errors_are_told_without_their_text_which_may_hold_a_secret(
    instance: dg.DagsterInstance, home: Home
) -> None:
    after(broken(instance, f"http://x/?token_auth={SECRET}"), instance, home)
    [notice] = open_notices(home.loaded.home)
    assert SECRET not in notice.text
    assert notice.text.startswith("A step failed with ValueError (run ")
    assert "\n" not in notice.text


def test_a_run_without_a_failing_step_was_killed(instance: dg.DagsterInstance, home: Home) -> None:
    run = instance.create_run_for_job(refresh, status=dg.DagsterRunStatus.STARTED)
    event = instance.report_run_failed(run, message="signal 9")
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure_sensor", dagster_event=event, dagster_instance=instance, dagster_run=run,
        resources={"home": GivenHome(home)},
    ).for_run_failure()  # fmt: skip
    list(run_failure_sensor(context) or [])
    [notice] = open_notices(home.loaded.home)
    assert notice.text.startswith("The process of a run was killed, or could not be started (run ")


def test_a_run_that_was_tried_again_is_told_of_once(instance: dg.DagsterInstance, home: Home) -> None:
    after(broken(instance, "again", **{sensors.RETRY_TAG: "1"}), instance, home)
    assert open_notices(home.loaded.home) == []


def test_a_success_of_the_same_job_closes_its_notices(instance: dg.DagsterInstance, home: Home) -> None:
    failed = broken(instance, "once")
    after(failed, instance, home)
    assert len(open_notices(home.loaded.home)) == 1
    context = dg.build_run_status_sensor_context(
        sensor_name="run_recovery_sensor", dagster_event=failed.get_run_failure_event(), dagster_instance=instance,
        dagster_run=failed.dagster_run, resources={"home": GivenHome(home)},
    )  # fmt: skip
    run_recovery_sensor(context)
    assert open_notices(home.loaded.home) == []
    after(failed, instance, home)  # a second tick on the same failure opens nothing
    assert open_notices(home.loaded.home) == []


def watched(home: Home, now: datetime, instance: dg.DagsterInstance) -> str:
    """What the staleness sensor says at a moment."""
    at = Home.of(home.loaded, FixedClock(now), wait_seconds=5)
    context = dg.build_sensor_context(instance=instance, resources={"home": GivenHome(at)})
    said = staleness_sensor(context)
    assert isinstance(said, dg.SkipReason)
    return said.skip_message or ""


def test_old_data_are_told_of_once_a_day_until_they_are_fresh(instance: dg.DagsterInstance, home: Home) -> None:
    assert watched(home, NOW, instance) == "Nothing is published yet."
    complete_to(home, NOW)
    assert watched(home, NOW + timedelta(hours=6), instance).startswith("All is complete to 2026-11-18 12:00 UTC")
    assert open_notices(home.loaded.home) == []
    for hours in (7, 8, 9):  # to 22:00 in Copenhagen
        assert watched(home, NOW + timedelta(hours=hours), instance).startswith("Nothing after 2026-11-18 12:00 UTC")
    [first] = open_notices(home.loaded.home)
    assert "7 hours ago" in first.text
    watched(home, NOW + timedelta(hours=12), instance)  # the next day there
    assert [notice.key for notice in open_notices(home.loaded.home)] == ["stale-2026-11-19", "stale-2026-11-18"]
    complete_to(home, NOW + timedelta(hours=11))
    watched(home, NOW + timedelta(hours=12), instance)
    assert open_notices(home.loaded.home) == []


def queued(home: Home) -> list[str]:
    """Keys of what is to be told."""
    with state.opened(home.loaded.home) as store:
        return [row.message_key for row in outbox.listed(store)]


def test_a_failure_is_told_to_the_operators_by_a_message_once(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    named = home_at(
        tmp_path,
        "http://127.0.0.1:9",
        now=NOW,
        settings='[recipients]\noperators = ["email:ops@example.org", "console"]',
    )
    failed = broken(instance, "The check keys failed for 3 rows; nothing was changed.")
    for _ in range(2):
        after(failed, instance, named)
    after(broken(instance, "The check keys failed for 3 rows; nothing was changed."), instance, named)
    told = {f"operators|failed-refresh-{failed.run_id}|{to}" for to in ("email:ops@example.org", "console")}
    assert set(queued(named)) == told
    assert len(queued(named)) == 2


def test_a_store_that_cannot_be_used_still_leaves_the_notice(instance: dg.DagsterInstance, home: Home) -> None:
    home.loaded.home.mkdir(parents=True, exist_ok=True)
    state.file_of(home.loaded.home).write_text("this is no database, and long enough to be taken for one" * 40)
    after(broken(instance, "once"), instance, home)
    assert len(open_notices(home.loaded.home)) == 1


def test_old_data_are_told_by_the_sensor_only_where_no_evaluation_does(
    instance: dg.DagsterInstance, home: Home
) -> None:
    complete_to(home, NOW)
    watched(home, NOW + timedelta(hours=6, minutes=20), instance)  # an evaluation may be on its way
    assert len(open_notices(home.loaded.home)) == 1
    assert queued(home) == []
    watched(home, NOW + timedelta(hours=7), instance)
    assert queued(home) == ["operators|stale-2026-11-18|files"]
    derive(home)
    passes.run_pass(Home.of(home.loaded, FixedClock(NOW + timedelta(hours=7)), wait_seconds=5))
    assert [key for key in queued(home) if key.startswith("data_stale|")] != []
    before = queued(home)
    watched(home, NOW + timedelta(hours=12), instance)  # the next day: the alert goes on, and reminds by itself
    assert queued(home) == before


def test_the_staleness_sensor_reads_no_warehouse(instance: dg.DagsterInstance, home: Home) -> None:
    complete_to(home, NOW)
    with home.warehouse.exclusive():
        (home.loaded.home / "warehouse.duckdb").rename(home.loaded.home / "away.duckdb")
    assert watched(home, NOW, instance).startswith("All is complete")


def complete_to(home: Home, mark: datetime) -> None:
    """Publish a snapshot that is complete to `mark`."""
    warehouse = Warehouse(home.loaded.home, home.clock, wait_seconds=5)
    with warehouse.writer() as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("delete from ledger.sources")
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url, watermark, last_read_at) "
            "values ('installers', 'matomo', '1', 'UTC', 'http://127.0.0.1:9', ?, ?)",
            [mark, mark],
        )
    publish(warehouse, code_version="0", rule_version="0", project_zone="Europe/Copenhagen")
