"""What Dagster keeps on disk stays small however long a home runs."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.orchestration import housekeeping, in_process
from matokit_pipelines.resources import dagster_home
from tests.replay import home_at
from tests.simulated import home_of, simulator, small_truth

pytestmark = pytest.mark.slow

TICKS_A_DAY = 288
GROWTH_A_DAY = 10_000_000  # bytes, at most


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.fixture(autouse=True)
def no_other_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")


@dg.op
def nothing() -> None:
    return None


@dg.op
def broken() -> None:
    raise dg.Failure("It fails.")


def job(name: str, what: dg.OpDefinition) -> dg.JobDefinition:
    @dg.job(name=name, executor_def=dg.in_process_executor)
    def made() -> None:
        what()

    return made


def test_finished_runs_go_by_number_and_age_and_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "REFRESHES_KEPT", 3)
    monkeypatch.setattr(housekeeping, "SMALL_KEPT", 1)
    home = home_at(tmp_path, "http://127.0.0.1:9", now=FixedClock(datetime.now(UTC)))
    with in_process.instance_of(home.loaded.home) as instance:
        refreshes = [job("refresh", nothing).execute_in_process(instance=instance).run_id for _ in range(7)]
        small = [
            job(name, nothing).execute_in_process(instance=instance).run_id
            for name in ("deliver", "evaluate_alerts") * 3
        ]
        nightly = job("nightly", nothing).execute_in_process(instance=instance).run_id
        failed = job("refresh", broken).execute_in_process(instance=instance, raise_on_error=False).run_id
        going_on = instance.create_run_for_job(job("refresh", nothing)).run_id
        done = housekeeping.housekeeping(instance, home)
        assert done.runs == 4 + 4
        left = {run.run_id for run in instance.get_runs()}
        assert left == {*refreshes[4:], *small[-2:], nightly, failed, going_on}
        folder = Path(instance.root_directory)
        for run_id in refreshes[:4]:
            assert list(folder.rglob(f"*{run_id}*")) == []
        with sqlite3.connect(folder / "history" / "runs.db") as runs:
            tags = "select count(*) from run_tags where run_id not in (select run_id from runs)"
            assert runs.execute(tags).fetchall() == [(0,)]
        now = datetime.now(UTC)
        assert housekeeping.delete_old_runs(instance, now=now + timedelta(days=29)) == 0
        assert housekeeping.delete_old_runs(instance, now=now + timedelta(days=31)) == 1
        assert instance.get_run_by_id(failed) is None
        housekeeping.delete_old_runs(instance, now=now + timedelta(days=91))
        assert [run.run_id for run in instance.get_runs()] == [going_on], "a run that is going on is left alone"


def test_refreshes_that_are_kept_hold_up_none_that_are_older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REFRESHES_KEPT", "SHOWING_KEPT", "AT_ONCE"):
        monkeypatch.setattr(housekeeping, name, 2)
    home = home_at(tmp_path, "http://127.0.0.1:9", now=FixedClock(datetime.now(UTC)))
    with in_process.instance_of(home.loaded.home) as instance:

        def refreshed(**tags: str) -> str:
            return job("refresh", nothing).execute_in_process(instance=instance, tags=tags).run_id

        _ = [refreshed() for _ in range(3)]
        showing = [refreshed(**{housekeeping.KEPT_TAG: "yes"}) for _ in range(5)]
        newest = [refreshed() for _ in range(2)]
        assert housekeeping.housekeeping(instance, home).runs == 6
        assert {run.run_id for run in instance.get_runs()} == {*showing[-2:], *newest}


@pytest.mark.slow
def test_a_day_of_refreshes_adds_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the steady state: as many runs go as come. MATOKIT_CHAOS=long measures a whole day of them."""
    is_long = os.environ.get("MATOKIT_CHAOS") == "long"
    kept, measured = (housekeeping.REFRESHES_KEPT, TICKS_A_DAY) if is_long else (6, 12)
    monkeypatch.setattr(housekeeping, "REFRESHES_KEPT", kept)
    truth = small_truth(seed=4, days=3, events_per_day=300)
    clock = FixedClock(truth.end - timedelta(days=1, hours=1))
    with simulator(truth, now=clock.now) as server:
        home = home_of(tmp_path, server, truth, now=clock)
        before = 0
        for number in range(kept + 2 + measured):
            clock.advance(timedelta(minutes=5))
            in_process.refresh(home)
            if number == kept + 1:
                before = size(dagster_home(home.loaded.home))
        after = size(dagster_home(home.loaded.home))
    growth = (after - before) / measured * TICKS_A_DAY
    assert growth < GROWTH_A_DAY, f"{growth / 1e6:.1f} MB a day, {after / 1e6:.1f} MB in all"
