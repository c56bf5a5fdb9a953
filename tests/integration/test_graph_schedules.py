"""What the schedules decide at a tick: refresh only when something is due, reports when their data are complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.orchestration import editions, in_process, schedules
from matokit_pipelines.orchestration.days import RANGE_END, RANGE_START
from matokit_pipelines.orchestration.definitions import build_definitions
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.settings import OrchestrationSettings
from matokit_pipelines.simulator import MatomoSimulator, generate
from matokit_pipelines.warehouse.probe import Due
from matokit_pipelines.warehouse.refresh import Home
from tests.replay import home_at

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
MONDAY = date(2026, 11, 9)
FIRST_TICK = datetime(2026, 11, 16, 6, 30, tzinfo=UTC)  # 07:30 in Copenhagen


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("DAGSTER_HOME", "")


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home whose one source was read up to NOW."""
    truth = generate(days=12, events_per_day=20, seed=3, end=NOW)
    with MatomoSimulator(truth, now=lambda: NOW) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        home = home_at(
            tmp_path_factory.mktemp("home"), server.url, now=NOW, start=truth.start.date(),
            environ={"MATOKIT_INSTALLERS_TOKEN": server.token},
        )  # fmt: skip
        in_process.refresh(home)
        yield home


def at(home: Home, now: datetime) -> Home:
    """The same home at another moment."""
    return Home.of(home.loaded, FixedClock(now), wait_seconds=5)


def evaluated(name: str, home: Home, instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str | None]:
    """What a schedule asks for at a tick, and why it asks for nothing."""
    definitions = build_definitions(GivenHome(home))
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=home.clock.now(), resources={"home": GivenHome(home)},
        repository_def=definitions.get_repository_def(),
    )  # fmt: skip
    data = schedule.evaluate_tick(context)
    return list(data.run_requests or []), data.skip_message


def told(monkeypatch: pytest.MonkeyPatch, is_due: bool, reason: str) -> None:
    monkeypatch.setattr(schedules, "probe", lambda home: Due(is_due, reason))


def test_nothing_due_is_no_run_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, False, "No source holds anything new.")
    home = home_at(tmp_path, "http://127.0.0.1:9", now=NOW)
    with dg.DagsterInstance.local_temp() as instance:
        assert evaluated("refresh_schedule", home, instance) == ([], "No source holds anything new.")


def test_a_refresh_that_is_due_is_asked_for_with_its_reason_and_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, True, "2026-11-17 is complete.")
    home = home_at(tmp_path, "http://127.0.0.1:9", now=datetime(2026, 11, 17, 23, 30, tzinfo=UTC))
    with dg.DagsterInstance.local_temp() as instance:
        [request], skipped = evaluated("refresh_schedule", home, instance)
    assert skipped is None
    assert request.tags[schedules.REASON_TAG] == "2026-11-17 is complete."
    # half past midnight in Copenhagen
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-11-18", "2026-11-18")


@pytest.mark.parametrize("job", ["refresh", "nightly", "backfill", "__ASSET_JOB"])
def test_a_tick_while_another_run_is_at_it_starts_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    told(monkeypatch, True, "Nothing was read yet.")
    home = home_at(tmp_path, "http://127.0.0.1:9", now=NOW)
    definitions = build_definitions(GivenHome(home))
    with dg.DagsterInstance.local_temp() as instance:
        run = instance.create_run_for_job(definitions.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED)
        requests, skipped = evaluated("refresh_schedule", home, instance)
        assert (requests, skipped) == ([], f"Run {run.run_id[:8]} of {job} is going on.")
        instance.report_run_failed(run)
        assert len(evaluated("refresh_schedule", home, instance)[0]) == 1


def test_the_real_probe_asks_for_a_run_in_a_new_home_and_for_none_when_all_is_read(
    tmp_path: Path, refreshed: Home
) -> None:
    new = home_at(tmp_path, "http://127.0.0.1:9", now=NOW)
    with dg.DagsterInstance.local_temp() as instance:
        [request], _ = evaluated("refresh_schedule", new, instance)
        assert request.tags[schedules.REASON_TAG] == "Nothing was read yet."
        requests, skipped = evaluated("refresh_schedule", refreshed, instance)
    assert requests == []
    assert skipped == "No source holds anything new."


def test_the_night_is_a_refresh_in_any_case_shown_for_the_look_back(
    refreshed: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch, False, "No source holds anything new.")
    with dg.DagsterInstance.local_temp() as instance:
        [request], _ = evaluated("nightly_schedule", refreshed, instance)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == ("2026-11-11", "2026-11-18")


def test_a_week_waits_for_its_last_events_and_for_three_hours_at_most(
    refreshed: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = datetime(2026, 11, 15, 20, tzinfo=UTC)  # three hours of Sunday are missing
    monkeypatch.setattr(editions, "complete_to", lambda home: known)
    monkeypatch.setattr(editions, "is_made", lambda home, edition, known: False)

    def decided(minutes: int) -> tuple[list[dg.RunRequest], str | None]:
        with dg.DagsterInstance.local_temp() as instance:
            return evaluated("weekly_report_schedule", at(refreshed, FIRST_TICK + timedelta(minutes=minutes)), instance)

    requests, skipped = decided(0)
    assert requests == []
    assert (
        skipped == "The weekly report of 2026-W46 waits for its last events: all is complete to 2026-11-15 20:00 UTC."
    )
    assert decided(165)[0] == []
    [late], _ = decided(180)
    assert late.partition_key == MONDAY.isoformat()
    known = datetime(2026, 11, 15, 23, tzinfo=UTC)  # midnight in Copenhagen
    [at_once], _ = decided(0)
    assert at_once.partition_key == MONDAY.isoformat()


def test_a_page_that_is_made_is_not_made_again(refreshed: Home) -> None:
    with dg.DagsterInstance.local_temp() as instance:
        requests, skipped = evaluated("weekly_report_schedule", at(refreshed, NOW), instance)
    assert (requests, skipped) == ([], "The weekly report of 2026-W46 is made.")


def test_nothing_published_makes_no_page(tmp_path: Path) -> None:
    home = home_at(tmp_path, "http://127.0.0.1:9", now=FIRST_TICK)
    with dg.DagsterInstance.local_temp() as instance:
        assert evaluated("weekly_report_schedule", home, instance)[0] == []


@pytest.mark.parametrize(("minutes", "cron"), [(1, "*/1 * * * *"), (5, "*/5 * * * *"), (60, "0 * * * *")])
def test_minutes_as_cron(minutes: int, cron: str) -> None:
    assert schedules.every(OrchestrationSettings(refresh_minutes=minutes).refresh_minutes) == cron


def test_all_schedules_are_on_from_the_start_and_keep_the_projects_clock(refreshed: Home) -> None:
    definitions = build_definitions(GivenHome(refreshed))
    found = {schedule.name: schedule for schedule in definitions.schedules or []}
    others = {"refresh_schedule", "nightly_schedule", "housekeeping_schedule"}
    assert set(found) == others | {f"{report}_report_schedule" for report in ("weekly", "daily", "monthly")}
    for schedule in found.values():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "Europe/Copenhagen"
