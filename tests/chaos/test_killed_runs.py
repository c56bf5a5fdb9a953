"""`matokit run` killed in the middle: the next run ends right, and no dead run is shown as going on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from matokit_pipelines import resources
from matokit_pipelines.errors import REFUSED
from matokit_pipelines.orchestration import in_process
from matokit_pipelines.simulator.faults import Faults
from matokit_pipelines.simulator.matomo_server import MatomoSimulator
from matokit_pipelines.simulator.truth import generate
from tests.replay import home_at

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
