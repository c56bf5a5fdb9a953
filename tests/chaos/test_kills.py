"""Killed at thirty random points of extract and build: the snapshot stays readable, the next pass ends right."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import MatomoSimulator
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from tests.simulated import home_of, landed, rows_of, simulator, small_truth, stored

pytestmark = pytest.mark.slow

TRUTH = small_truth()
KILLS = 30
ROOT = str(Path(__file__).parents[2])
# The whole refresh as a process of its own, told when to begin, so that starting Python is not what gets killed.
PASS = """
import sys
from datetime import datetime
from pathlib import Path
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse import refresh
import matokit_pipelines.warehouse.build
print("ready", flush=True)
now = FixedClock(datetime.fromisoformat(sys.stdin.readline().strip()))
home = refresh.Home.of(load(cwd=Path(sys.argv[1])), now, wait_seconds=20)
results = refresh.extract(home)
refresh.build_and_publish(home)
print("end", flush=True)
"""


def start(home: Home, server: MatomoSimulator) -> subprocess.Popen[str]:
    """A refresh in a child process, which begins when it is told what time it is."""
    environ = {**os.environ, "PYTHONPATH": ROOT, "MATOKIT_INSTALLERS_TOKEN": server.token}
    command = [sys.executable, "-c", PASS, str(home.loaded.home.parent)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)


def let_go(child: subprocess.Popen[str], now: datetime) -> float:
    """Let a child begin; the moment it did."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write(now.isoformat() + "\n")
    child.stdin.flush()
    return time.monotonic()


def watch(home: Home, generations: list[int]) -> None:
    """What a reader sees now: a whole snapshot, never older than before."""
    with open_current(home.loaded.home) as snapshot:
        rows = snapshot.query("select coalesce(sum(events), 0)::bigint as events from success_rate_daily")
        assert (
            snapshot.manifest.rows["success_rate_daily"]
            == snapshot.query("select count(*) as n from success_rate_daily")["n"].item()
        )
        assert rows["events"].item() >= 0
        generations.append(snapshot.manifest.generation)


@pytest.mark.slow
def test_killed_at_thirty_points_it_ends_right(tmp_path: Path) -> None:
    dice = random.Random(11)
    clock = FixedClock(TRUTH.start + (TRUTH.end - TRUTH.start) / 4)
    generations: list[int] = []
    with simulator(TRUTH, now=clock.now, seed=2, dropped=0.03, half=0.03) as server:
        home = home_of(tmp_path, server, TRUTH, now=clock, source="page_size = 20")
        measured = start(home, server)
        begun = let_go(measured, clock.now())
        spare = start(home, server)
        assert measured.wait(timeout=60) == 0
        duration = time.monotonic() - begun
        step = (TRUTH.end - clock.now()) / KILLS
        killed = 0
        for _ in range(KILLS):
            clock.advance(step)
            child = spare
            begun = let_go(child, clock.now())
            spare = start(home, server)
            delay = dice.uniform(0, duration)
            while time.monotonic() - begun < delay and child.poll() is None:
                watch(home, generations)
                time.sleep(0.02)
            killed += child.poll() is None
            child.kill()
            child.communicate(timeout=20)
            watch(home, generations)
        spare.kill()
        spare.communicate(timeout=20)
        [result] = refresh.extract(home)
        refresh.build_and_publish(home)
    assert killed >= KILLS // 2, "the delays must hit"
    assert result.error is None
    assert generations == sorted(generations)
    assert landed(home) == stored(TRUTH.events)
    unbalanced = "select count(*) from ledger.windows where received <> duplicates + quarantined + landed"
    assert rows_of(home, unbalanced) == [(0,)]
    assert rows_of(home, "select * from ledger.touched_days") == []
    assert generations
    published = marts(home)
    refresh.build_and_publish(home, full=True)
    assert marts(home) == published, "what was pieced together equals what is derived at once"
    assert list((home.loaded.home / "serving").glob(".tmp-*")) == []


def marts(home: Home) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the snapshot in service."""
    with open_current(home.loaded.home) as snapshot:
        return {
            name: sorted(snapshot.query(f"select * from {name}").rows(), key=repr) for name in snapshot.manifest.rows
        }


PUBLISHER = """
import sys
from pathlib import Path
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.snapshots import publish
warehouse = Warehouse(Path(sys.argv[1]), SystemClock())
for n in range(12):
    with warehouse.writer() as con:
        con.execute("create or replace table marts.success_rate_daily as select ? as n from range(1000)", [n])
    publish(warehouse, code_version="x", rule_version=str(n), project_zone="UTC")
"""


@pytest.mark.slow
def test_reader_beside_a_publisher_is_never_torn_nor_stale(tmp_path: Path) -> None:
    """A process that publishes again and again; the reader looks at each moment and holds old snapshots meanwhile."""
    with simulator(TRUTH) as server:
        home = home_of(tmp_path, server, TRUTH)
        refresh.extract(home)
        refresh.build_and_publish(home)
    command = [sys.executable, "-c", PUBLISHER, str(home.loaded.home)]
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ROOT})
    seen: list[int] = []
    while child.poll() is None:
        with open_current(home.loaded.home) as held, open_current(home.loaded.home) as snapshot:
            version = snapshot.manifest.rule_version
            if len(version) < 3:
                rows = snapshot.query("select n, count(*) as count from success_rate_daily group by n").rows()
                assert rows == [(int(version), 1000)]
            assert snapshot.manifest.generation >= held.manifest.generation
            seen.append(snapshot.manifest.generation)
    assert child.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    with open_current(home.loaded.home) as last:
        assert last.manifest.rule_version == "11", "the newest is seen, not one that an open handle keeps alive"
