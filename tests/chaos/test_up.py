"""`matokit up` with a refresh every minute, its processes killed one after the other: it heals, and nothing is lost.

Three minutes; MATOKIT_CHAOS_MINUTES=30 (make chaos) for the long form, in which the same happens at random moments.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from matokit_pipelines.cli.up import only_one
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.resources import dagster_home, put_dagster_settings
from matokit_pipelines.simulator import Faults, MatomoSimulator, Truth, generate
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from tests.chaos.watching_up import COMMANDS, Process, Up, clean_environment, eventually, is_gone, processes, runs
from tests.replay import home_at, rows_of
from tests.simulated import PATIENCE, landed, stored

pytestmark = pytest.mark.slow

LOG = logging.getLogger("up")
MINUTES = float(os.environ.get("MATOKIT_CHAOS_MINUTES", "3"))
LONGEST_GAP_SECONDS = 240.0
EVERY_MINUTE = f"{PATIENCE}\n[orchestration]\nrefresh_minutes = 1"
AFTERNOON = datetime(2026, 11, 18, 13, tzinfo=UTC)
STATUS = dg.DagsterRunStatus
ENDED = (STATUS.FAILURE, STATUS.SUCCESS)  # the latter when it was struck in its last moment


def watched_site() -> Truth:
    """Some four events a minute and more, from three days ago until well after the end of the test.

    Their hours are those of a Wednesday around noon whatever the hour is now: at night a minute may bring no event, and
    then no refresh is due that could be struck.
    """
    truth = generate(days=4, events_per_day=6_000, seed=8, end=AFTERNOON, eras=False, incidents=False)
    by = (datetime.now(UTC) + timedelta(minutes=MINUTES + 120)).replace(microsecond=0) - truth.end
    events = truth.events.with_columns(pl.col("event_ts") + by)
    return replace(truth, events=events, start=truth.start + by, end=truth.end + by)


@contextmanager
def site_and_home(folder: Path, truth: Truth) -> Iterator[tuple[Home, dict[str, str]]]:
    """A Matomo in which events go on arriving, slow enough that a refresh takes a while; a home that reads it."""
    faults = Faults(slow=1.0, slow_seconds=0.4, seed=3, dropped=0.02)
    with MatomoSimulator(truth, now=lambda: datetime.now(UTC), faults=faults) as server:
        given = {"MATOKIT_HOME": str(folder / "home"), "MATOKIT_INSTALLERS_TOKEN": server.token}
        first = (truth.start - timedelta(days=1)).date()
        home = home_at(
            folder, server.url, now=SystemClock(), start=first, settings=EVERY_MINUTE, environ=given, wait_seconds=60
        )
        yield home, clean_environment(**given)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, looked at from outside once `up` has made it."""
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    folder = dagster_home(tmp_path / "home")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    folder.mkdir(parents=True)
    put_dagster_settings(tmp_path / "home")
    with dg.DagsterInstance.from_config(str(folder)) as found:
        yield found


def refreshed(instance: dg.DagsterInstance, since: datetime) -> datetime | None:
    """When the first good refresh began that was begun after `since`."""
    good = [r.start_time for r in runs(instance, STATUS.SUCCESS) if r.start_time and r.start_time > since.timestamp()]
    return datetime.fromtimestamp(good[0], UTC) if good else None


def ready(up: Up, since: float = 0.0) -> None:
    for text in ("The code server is ready", "The web page is at", "The daemon looks after"):
        eventually(lambda text=text: up.said(text, since), 180, text)


def strike(up: Up, role: str, instance: dg.DagsterInstance) -> None:
    """Kill the process of a role (a run: one that is at work), and wait until another one is there."""
    if role == "run":
        strike_run(up, instance)
        return
    victim = eventually(lambda: up.pids(role), 60, f"a {role}")[0]
    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    LOG.info("killed the %s, process %d", role, victim)
    eventually(lambda: up.said(f"The {role} was ended by SIGKILL; started again in 1 s", begun), 30, "told")
    back = {"web server": "The web page is at", "code server": "The code server is ready", "daemon": "The daemon looks"}
    eventually(lambda: up.said(back[role], begun), 120, f"the {role} is back")
    assert is_gone(victim)
    assert len(up.pids(role)) == 1
    eventually(lambda: up.locations() == {"matokit": "RepositoryLocation"}, 120, "the web page shows the graph")
    LOG.info("the %s was back after %.1f s", role, time.monotonic() - begun)


def strike_run(up: Up, instance: dg.DagsterInstance) -> None:
    def at_work() -> tuple[str, list[int]] | None:
        started, pids = runs(instance, STATUS.STARTED), up.pids("run")
        return (started[-1].dagster_run.run_id, pids) if started and pids else None

    run_id, victims = eventually(at_work, 180, "a refresh at work")
    for victim in victims:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    LOG.info("killed run %s, processes %s", run_id, victims)
    eventually(lambda: status_of(instance, run_id) in ENDED, 60, "the killed run is told as ended")
    LOG.info("run %s ended as %s, told in %.1f s", run_id, status_of(instance, run_id), time.monotonic() - begun)


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run_id)
    assert found is not None
    return found.status


def ended(up: Up, number: int) -> int:
    """Ask `up` to end; its exit code, once none of its processes is left."""
    family: list[Process] = up.family()
    begun = time.monotonic()
    up.process.send_signal(number)
    code = up.process.wait(25)
    LOG.info("ended with %d after %.1f s", code, time.monotonic() - begun)
    assert time.monotonic() - begun < 20
    pids = {process.pid for process in family}
    assert not [process for process in processes() if process.pid in pids]
    return code


def nothing_is_held(home: Home, instance: dg.DagsterInstance) -> None:
    """No run shown as going on, no slot of a pool claimed, no lock held."""
    assert runs(instance, STATUS.STARTED, STATUS.STARTING, STATUS.CANCELING) == []
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        assert storage.get_concurrency_info(pool).claimed_slots == []
        assert storage.get_concurrency_info(pool).pending_steps == []
    with only_one(home.loaded.home):
        pass
    home.warehouse.wait_seconds = 0.5
    with home.warehouse.exclusive():
        pass


def everything_is_stored(home: Home, truth: Truth, until: datetime) -> int:
    """Each event that the site showed before `until` lies in the warehouse exactly once, and nothing else does."""
    have = landed(home)
    due = stored(truth.events.filter(truth.events["event_ts"] <= until))
    assert Counter({row: n for row, n in have.items() if row[0] <= until}) == due
    assert have <= stored(truth.events)
    counts = rows_of(home, "select count(*), count(distinct event_id) from raw.matomo_events where vanished_at is null")
    assert counts == [(have.total(), have.total())]
    return due.total()


@pytest.mark.slow
def test_each_process_killed_once_it_heals_and_nothing_is_lost(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    dice = random.Random(os.urandom(8) if MINUTES > 3 else 4)
    roles = dice.sample(sorted(COMMANDS), len(COMMANDS))
    moments = sorted(dice.uniform(0.1, 0.85) * 60 * MINUTES for _ in roles)
    LOG.info("to be killed: %s", [(role, round(moment)) for role, moment in zip(roles, moments, strict=True)])
    truth = watched_site()
    with site_and_home(tmp_path, truth) as (home, environ):
        up = Up(tmp_path, environ)
        try:
            ready(up)
            assert up.locations() == {"matokit": "RepositoryLocation"}
            begun = datetime.now(UTC)
            eventually(lambda: refreshed(instance, begun - timedelta(minutes=5)), 240, "a first refresh")
            start = time.monotonic()
            for role, moment in zip(roles, moments, strict=True):
                time.sleep(max(0.0, start + moment - time.monotonic()))
                strike(up, role, instance)
            time.sleep(max(0.0, start + 60 * MINUTES - time.monotonic()))
            last = eventually(
                lambda: refreshed(instance, datetime.now(UTC) - timedelta(seconds=90)), 240, "a later one"
            )
            assert ended(up, signal.SIGTERM) == 0
        finally:
            up.close()
        good = [r.end_time for r in runs(instance, STATUS.SUCCESS) if r.end_time]
        gaps = [later - earlier for earlier, later in pairwise(good)]
        LOG.info("%d good refreshes, gaps %s", len(good), [round(gap) for gap in gaps])
        assert max(gaps) < LONGEST_GAP_SECONDS
        nothing_is_held(home, instance)
        LOG.info("%d events were shown, all stored once", everything_is_stored(home, truth, last))
        with open_current(home.loaded.home) as snapshot:
            assert snapshot.manifest.watermark is not None
            assert snapshot.manifest.watermark > last - timedelta(minutes=15)


@pytest.mark.slow
def test_killed_itself_it_leaves_nothing_and_the_next_one_goes_on(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    truth = watched_site()
    with site_and_home(tmp_path, truth) as (home, environ):
        up = Up(tmp_path, environ)
        try:
            ready(up)
            run = eventually(lambda: runs(instance, STATUS.STARTED), 180, "a refresh at work")[0].dagster_run
            pids = [process.pid for process in up.family()]
        finally:
            up.close()
        assert len(pids) >= 7
        up = Up(tmp_path, environ)
        try:
            ready(up)
            assert all(is_gone(pid) for pid in pids)
            assert status_of(instance, run.run_id) in ENDED
            begun = datetime.now(UTC)
            last = eventually(lambda: refreshed(instance, begun), 240, "a refresh after it")
            assert ended(up, signal.SIGINT) == 130
        finally:
            up.close()
        nothing_is_held(home, instance)
        everything_is_stored(home, truth, last)
