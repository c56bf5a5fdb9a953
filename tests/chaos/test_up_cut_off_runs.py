"""Runs that ended with their code server are marked as failed; runs that wait, and those of others, are left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import GRPC_INFO_TAG

from matokit_pipelines.orchestration import in_process, up_cut_off_runs
from matokit_pipelines.orchestration.pool import WAREHOUSE, living

pytestmark = pytest.mark.slow


@dg.job
def nothing() -> None:
    """A job to have runs of."""


def test_only_what_cannot_be_alive_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    launched = {GRPC_INFO_TAG: '{"host": "127.0.0.1", "port": 1}'}
    status = dg.DagsterRunStatus
    cases = {
        status.STARTED: launched,
        status.STARTING: launched,
        status.CANCELING: launched,
        status.NOT_STARTED: {},
        status.SUCCESS: launched,
    }
    command = [sys.executable, "-m", up_cut_off_runs.__name__, str(tmp_path)]
    with in_process.instance_of(tmp_path) as instance, living(instance) as ours:
        runs = {s: instance.create_run_for_job(nothing, status=s, tags=tags).run_id for s, tags in cases.items()}
        running = instance.create_run_for_job(nothing, status=status.STARTED, tags=ours).run_id
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(WAREHOUSE)
        claim = storage.claim_concurrency_slot(WAREHOUSE, runs[status.STARTED], "tables")
        assert claim.is_claimed
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "Runs cut off and marked as failed: 3\n"
        found = {s: instance.get_run_by_id(run) for s, run in runs.items()}
        assert {s for s, run in found.items() if run and run.status == status.FAILURE} == {
            status.STARTED, status.STARTING, status.CANCELING,
        }  # fmt: skip
        assert [run.status for s, run in found.items() if run and run.status == s] == [
            status.NOT_STARTED,
            status.SUCCESS,
        ]
        spared = instance.get_run_by_id(running)
        assert spared is not None
        assert spared.status == status.STARTED
        assert up_cut_off_runs.end_cut_off_runs(instance) == 0
        assert instance.event_log_storage.get_concurrency_info(WAREHOUSE).claimed_slots == []
