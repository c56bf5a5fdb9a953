"""Pass after pass over a living site: the watermark keeps its promise, late events are found, nothing comes twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import REFUSED, WarehouseLocked
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.refresh import Home
from tests.simulated import home_of, landed, rows_of, simulator, small_truth, stored

pytestmark = pytest.mark.slow

TRUTH = small_truth()
CONSERVATION = "select count(*) from ledger.windows where received <> duplicates + quarantined + landed"
TABLES = (
    "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('raw', 'staging', 'marts') "
    "order by 1"
)


def everything(home: Home) -> dict[str, Counter[tuple[Any, ...]]]:
    """All rows of raw, staging and marts."""
    tables = [name for (name,) in rows_of(home, TABLES)]
    assert "marts.success_rate_daily" in tables
    return {name: Counter(rows_of(home, f"select * from {name}")) for name in tables}


@pytest.mark.parametrize("seed", range(4))
def test_what_lies_before_the_watermark_is_landed(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    clock = FixedClock(TRUTH.start + timedelta(hours=dice.randint(1, 30)))
    with simulator(TRUTH, now=clock.now, seed=seed, dropped=0.05, half=0.05, sqlstate=0.03) as server:
        home = home_of(tmp_path, server, TRUTH, now=clock, source="page_size = 9")
        while clock.now() < TRUTH.end:
            [result] = refresh.extract(home)
            assert result.error is None
            assert result.watermark is not None
            assert result.watermark >= clock.now() - timedelta(minutes=11)
            expected = stored(TRUTH.events.filter(TRUTH.events["event_ts"] < result.watermark))
            found = landed(home)
            assert not expected - found
            assert result.vanished == 0
            clock.advance(timedelta(minutes=dice.randint(3, 1_500)))
        refresh.extract(home)
    assert landed(home) == stored(TRUTH.events)
    assert rows_of(home, CONSERVATION) == [(0,)]


def test_late_events_are_found_by_looking_back_at_night(tmp_path: Path) -> None:
    clock = FixedClock(TRUTH.end - timedelta(hours=30))
    with simulator(TRUTH, now=clock.now, late_share=0.2, late_seconds=5 * 3_600) as server:
        home = home_of(tmp_path, server, TRUTH, now=clock)
        for _ in range(16):
            refresh.extract(home)
            clock.advance(timedelta(hours=3))
        refresh.extract(home)
    assert landed(home) == stored(TRUTH.events)


def test_second_pass_writes_no_row_and_touches_no_day(tmp_path: Path) -> None:
    with simulator(TRUTH, seed=5, dropped=0.05) as server:
        home = home_of(tmp_path, server, TRUTH)
        refresh.extract(home)
        first = refresh.build_and_publish(home)
        before = everything(home)
        [again] = refresh.extract(home)
        assert (again.inserted, again.changed, again.vanished) == (0, 0, 0)
        assert again.received > 0, "the last hour is read again"
        assert rows_of(home, "select * from ledger.touched_days") == []
        second = refresh.build_and_publish(home)
        everywhere = refresh.extract(home, days=(TRUTH.start.date(), TRUTH.end.date()))
    assert first.manifest is not None
    assert second.result.days == ()
    assert second.result.rows.keys() <= {"marts.extraction_status"}, "it counts passes; nothing else is written"
    after = everything(home)
    assert {name for name in before if before[name] != after[name]} <= {"marts.extraction_status"}
    assert (everywhere[0].inserted, everywhere[0].changed, everywhere[0].vanished) == (0, 0, 0)
    assert rows_of(home, "select * from ledger.touched_days") == []


def test_full_build_gives_what_steps_gave(tmp_path: Path) -> None:
    """Landed in pieces with late and changed rows in between, derived step by step: equal to deriving all at once."""
    clock = FixedClock(TRUTH.start + timedelta(hours=20))
    with simulator(TRUTH, now=clock.now, late_share=0.15, late_seconds=9 * 3_600) as server:
        home = home_of(tmp_path, server, TRUTH, now=clock)
        for _ in range(5):
            refresh.extract(home)
            refresh.build_and_publish(home)
            clock.advance(timedelta(hours=19))
    steps = everything(home)
    refresh.build_and_publish(home, full=True)
    assert everything(home) == steps


HOLD = """
import sys, time
from pathlib import Path
from matokit_pipelines.clock import SystemClock
from matokit_pipelines.warehouse.connection import Warehouse
with Warehouse(Path(sys.argv[1]), SystemClock()).writer() as con:
    con.execute("create table if not exists main.held (n integer)")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_second_process_waits_or_names_the_holder(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    impatient = Warehouse(tmp_path, FixedClock(TRUTH.end), wait_seconds=0.3)
    with pytest.raises(WarehouseLocked) as caught, impatient.writer():
        pass
    assert str(child.pid) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert caught.value.exit_code == REFUSED
    threading.Timer(0.5, child.stdin.close).start()
    with Warehouse(tmp_path, FixedClock(TRUTH.end), wait_seconds=20).writer() as con:  # waits for the end
        assert con.execute("select count(*) from main.held").fetchall() == [(0,)]
    assert child.wait(timeout=10) == 0


def test_two_refreshes_at_once_both_end_well(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def run(home: Home) -> None:
        try:
            refresh.extract(home)
            refresh.build_and_publish(home)
        except BaseException as error:
            errors.append(error)

    with simulator(TRUTH) as server:
        homes = [home_of(tmp_path, server, TRUTH, wait_seconds=60) for _ in range(2)]
        threads = [threading.Thread(target=run, args=(home,)) for home in homes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert errors == []
    assert landed(homes[0]) == stored(TRUTH.events)
