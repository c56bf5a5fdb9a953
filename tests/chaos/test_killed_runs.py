"""`matokit run` killed in the middle: the next run ends right, and no dead run is shown as going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines import resources
from matokit_pipelines.errors import REFUSED
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.orchestration.definitions import build_definitions
from matokit_pipelines.orchestration.pool import WAREHOUSE, end_dead_runs
from matokit_pipelines.orchestration.resources import GivenHome
from matokit_pipelines.orchestration.schedules import going_on
from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import generate
from tests.replay import home_at

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)
COMMAND = [sys.executable, "-m", "matokit_pipelines.cli.main"]


def environ(folder: Path, token: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MATOKIT_", "MATOMO_", "DAGSTER_"))}
    return clean | {"MATOKIT_HOME": str(folder), "MATOKIT_INSTALLERS_TOKEN": token, "DAGSTER_DISABLE_TELEMETRY": "1"}


@pytest.mark.slow
def test_after_kills_the_next_run_ends_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    truth = generate(days=8, events_per_day=40, seed=2, end=NOW)
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC), faults=Faults(slow=1.0, slow_seconds=0.3)) as server:
        given = {"MATOKIT_HOME": str(tmp_path), "MATOKIT_INSTALLERS_TOKEN": server.token}
        home = home_at(tmp_path, server.url, now=NOW, start=truth.start.date(), environ=given)
        for seconds in (2.0, 3.0, 4.0):
            victim = subprocess.Popen([*COMMAND, "run"], env=environ(tmp_path, server.token), cwd=tmp_path)
            time.sleep(seconds)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        done = subprocess.run(
            [*COMMAND, "run"], env=environ(tmp_path, server.token), cwd=tmp_path, timeout=90, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Published snapshot" in done.stdout
    with in_process.instance_of(home.loaded.home) as instance:
        assert not [run for run in instance.get_runs() if not run.is_finished]
    sent = truth.events.filter(truth.events["category"].is_not_null()).height
    with home.warehouse.reader() as connection:
        assert connection.execute("select count(*) from raw.matomo_events").fetchall() == [(sent,)]


def test_a_killed_run_holds_no_slot_and_the_schedule_is_not_kept_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    truth = generate(days=3, events_per_day=20, seed=2, end=NOW)
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC), faults=Faults(slow=1.0, slow_seconds=1.0)) as server:
        given = {"MATOKIT_HOME": str(tmp_path), "MATOKIT_INSTALLERS_TOKEN": server.token}
        home = home_at(tmp_path, server.url, now=NOW, start=truth.start.date(), environ=given)
        victim = subprocess.Popen([*COMMAND, "run"], env=environ(tmp_path, server.token), cwd=tmp_path)
        with in_process.instance_of(home.loaded.home) as instance:
            run = in_the_middle_of(victim, server, instance)
            assert going_on(instance, "refresh")
            end_dead_runs(instance)  # of a process that lives
            assert instance.get_run_by_id(run).status == dg.DagsterRunStatus.STARTED  # type: ignore[union-attr]
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            assert instance.event_log_storage.get_concurrency_run_ids() == set()
            end_dead_runs(instance)
            assert instance.get_run_by_id(run).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
            assert going_on(instance, "refresh") is None


def test_slots_of_runs_that_are_over_are_freed_and_those_of_others_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    home = home_at(tmp_path, "http://127.0.0.1:9", now=NOW)
    job = build_definitions(GivenHome(home)).resolve_job_def("refresh")
    with in_process.instance_of(home.loaded.home) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(WAREHOUSE)
        run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert storage.claim_concurrency_slot(WAREHOUSE, run.run_id, "tables").is_claimed
        end_dead_runs(instance)
        assert storage.get_concurrency_info(WAREHOUSE).active_run_ids == {run.run_id}
        instance.report_run_failed(run)
        end_dead_runs(instance)
        assert storage.get_concurrency_info(WAREHOUSE).active_run_ids == set()


def in_the_middle_of(victim: subprocess.Popen[bytes], server: MatomoSimulator, instance: dg.DagsterInstance) -> str:
    """The id of the run that `victim` is in, once it asks its source for something."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and victim.poll() is None:
        runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        if runs and server.requests.total:
            return runs[0].run_id
        time.sleep(0.1)
    raise AssertionError("the run never began")


@pytest.mark.parametrize("damage", ["storage", "settings"])
def test_damaged_files_of_dagster_are_one_sentence(tmp_path: Path, damage: str) -> None:
    home_at(tmp_path, "http://127.0.0.1:9", now=NOW)
    folder = resources.dagster_home(tmp_path)
    resources.put_dagster_settings(tmp_path)
    if damage == "settings":
        (folder / "dagster.yaml").write_text("storage: [", encoding="utf-8")
    else:
        (folder / "history" / "runs").mkdir(parents=True)
        (folder / "history" / "runs.db").write_bytes(b"not a database" * 100)
        (folder / "history" / "runs" / "index.db").write_bytes(b"not a database" * 100)
    done = subprocess.run(
        [*COMMAND, "run"], env=environ(tmp_path, "0" * 32), cwd=tmp_path, timeout=90, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == (REFUSED if damage == "storage" else 2), done.stderr
    assert done.stderr.count("\n") == 1
    assert str(folder) in done.stderr
