"""`matokit up` with a refresh every minute: an incident sent with `matokit track` arrives as a message on Slack.

Some four minutes: the incident is sent back-dated, so that the data of most of it are complete at once. With
MATOKIT_CHAOS=long it is sent as it happens, and its quarter of an hour is waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

import dagster as dg
import pytest

from matokit_pipelines.clock import SystemClock
from matokit_pipelines.orchestration.assets.alerts import ALERTS
from matokit_pipelines.simulator import MatomoSimulator, generate
from matokit_pipelines.simulator.slack import SlackSimulator
from matokit_pipelines.simulator.slack_store import Posted
from matokit_pipelines.warehouse.refresh import Home
from tests.chaos.test_up import ended, instance, ready, refreshed
from tests.chaos.watching_up import Up, clean_environment, eventually, runs
from tests.replay import home_at
from tests.simulated import PATIENCE

pytestmark = pytest.mark.slow

__all__ = ["instance"]
LOG = logging.getLogger("up")
IS_LONG = os.environ.get("MATOKIT_CHAOS") == "long"
SECONDS = 120.0  # from the refresh that first covers an incident to its message
COMMIT = "abcdef1"
SETTINGS = """{patience}

[orchestration]
refresh_minutes = 1

[slack]
api_url = "{slack.api_url}"

[recipients]
on_call = ["slack:#alerts"]
development = ["slack:#alerts"]
"""


@contextmanager
def watched_home(folder: Path, slack: SlackSimulator) -> Iterator[tuple[Home, dict[str, str]]]:
    """A home that reads a Matomo in which events go on arriving, and tells a Slack."""
    end = datetime.now(UTC) + timedelta(hours=3)
    truth = generate(days=9, events_per_day=1_500, seed=8, end=end, eras=False, incidents=False)
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC)) as server:
        given = {
            "MATOKIT_HOME": str(folder / "home"),
            "MATOKIT_INSTALLERS_TOKEN": server.token,
            "MATOKIT_SLACK_TOKEN": slack.token,
        }
        settings = SETTINGS.format(patience=PATIENCE, slack=slack)
        first = (truth.start - timedelta(days=1)).date()
        yield (
            home_at(
                folder, server.url, now=SystemClock(), start=first, settings=settings, environ=given, wait_seconds=60
            ),
            clean_environment(**given),
        )


def track(folder: Path, environ: dict[str, str], *words: str) -> str:
    """What `matokit track` says."""
    command = [sys.executable, "-m", "matokit_pipelines.cli.main", "track", *words]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def up_to(found: dg.DagsterInstance, since: datetime) -> float:
    """Up to where data were complete at the newest evaluation that was made after `since`, epoch seconds; 0: none."""
    event = found.get_latest_materialization_event(ALERTS)
    if event is None or event.asset_materialization is None or event.timestamp < since.timestamp():
        return 0.0
    mark = event.asset_materialization.metadata.get("complete_to")
    return float(str(mark.value)) if mark else 0.0


def told(slack: SlackSimulator) -> list[Posted]:
    """Messages that an alert on many failures began with."""
    return [one for one in slack.messages if (one.message_key or "").startswith("high_volume_failures|*|production|")]


@pytest.mark.slow
def test_an_incident_sent_at_one_end_is_told_at_the_other(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    with SlackSimulator() as slack, watched_home(tmp_path, slack) as (home, environ):
        up = Up(tmp_path, environ)
        try:
            ready(up)
            begun = datetime.now(UTC)
            eventually(lambda: refreshed(instance, begun - timedelta(minutes=5)), 240, "a first refresh")
            eventually(lambda: up_to(instance, begun - timedelta(minutes=5)), 60, "a first evaluation")
            assert told(slack) == []
            sent = datetime.now(UTC)
            over = ("--over", "1" if IS_LONG else "55")
            words = ("--name", "python_install", "--outcome", "failure", "--commit", COMMIT, "--os", "macOS 15.1")
            said = track(tmp_path, environ, *words, "--count", "90", "--machines", "30", *over)
            LOG.info("%s", said.strip())
            # the tick after it where it is not back-dated
            covers = ceil(sent.timestamp() / 300) * 300.0 if IS_LONG else sent.timestamp() - 900
            eventually(lambda: up_to(instance, sent) >= covers, 1_500, "an evaluation that covers it")
            evaluated = datetime.now(UTC)
            [message, *_] = eventually(lambda: told(slack), SECONDS, "its message")
            LOG.info(
                "told %.0f s after the evaluation that covers it was seen",
                (datetime.now(UTC) - evaluated).total_seconds(),
            )
            assert "fail" in message.body["text"]
            eventually(lambda: not runs_of(instance, "deliver", dg.DagsterRunStatus.STARTED), 60, "deliveries are over")
            for record in sorted(instance.get_run_records(), key=lambda record: record.create_timestamp):
                times = (record.create_timestamp.timestamp(), record.start_time or 0.0, record.end_time or 0.0)
                shown = [f"{datetime.fromtimestamp(time, UTC):%H:%M:%S}" for time in times]
                LOG.info("%s: created %s, began %s, ended %s", record.dagster_run.job_name, *shown)
            for one in slack.messages:
                LOG.info("%s: %s", datetime.fromtimestamp(float(one.ts), UTC), one.message_key)
            keys = Counter(one.message_key for one in slack.messages if one.message_key)
            assert set(keys.values()) == {1}, keys
            tags = [run.tags for run in instance.get_runs(dg.RunsFilter(job_name="deliver"))]
            assert any("high_volume_failures" in tag["rule"] and "slack:#alerts" in tag["destination"] for tag in tags)
            assert ended(up, signal.SIGTERM) == 0
        finally:
            up.close()
        assert runs(instance, dg.DagsterRunStatus.FAILURE) == []
        assert home.loaded.settings.orchestration.refresh_minutes == 1


def runs_of(found: dg.DagsterInstance, job: str, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
    return list(found.get_runs(dg.RunsFilter(job_name=job, statuses=list(statuses))))
