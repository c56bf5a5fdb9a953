"""Everything that Piwik PRO does to its readers, at once and at random, and passes killed in the middle of it.

At the end exactly what was sent is landed, each event once, values and times exact.

The clock runs on between the requests, so a seed fixes the faults, not the edges of all windows: whether the last ten
readings of new hours were quiet, one more or less, decides whether a day is planned by the rows of its hours or cut
once it turns out too large, and so when a window is first asked for. What must hold holds either way; what a history
brought to light has a test without luck in integration/test_piwik_pro_proof.py.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import generate
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_server import PiwikProSimulator
from matokit_pipelines.simulator.piwik_pro_store import OTHER_SLOTS, SAME_SLOTS
from matokit_pipelines.warehouse import ledger, refresh
from matokit_pipelines.windows import Window, offset_changes
from tests.often import times
from tests.piwik_pro import (
    ZONE,
    FastClock,
    environ_of,
    extract_in_process,
    home_again,
    home_of,
    is_stored,
    must_be_stored,
    with_both_hours_told_apart_or_not,
)

pytestmark = pytest.mark.slow

END = datetime(2026, 10, 26, 9, tzinfo=UTC)  # the hour that Europe repeats lies a day back
DAYS = 3
SPEED = 900.0
HISTORIES = times(4, 11)  # a lot
[AUTUMN] = [c.repeated for c in offset_changes(Window(END - timedelta(days=3), END), ZoneInfo(ZONE)) if c.repeated]


def trouble(dice: random.Random, seed: int) -> PiwikProFaults:
    """All faults on, each as strong as the dice say."""
    lying = END - timedelta(hours=dice.uniform(10, 60))
    return PiwikProFaults(
        seed=seed,
        dropped=dice.uniform(0, 0.08),
        half=dice.uniform(0, 0.08),
        html=dice.uniform(0, 0.05),
        server_error=dice.uniform(0, 0.08),
        maintenance=dice.uniform(0, 0.03),
        rate_limited=dice.uniform(0, 0.03),
        token_expires_early=dice.uniform(0, 0.1),
        short_page=dice.uniform(0, 0.1),
        repeated_rows=dice.uniform(0, 0.1),
        lying_count=((lying, lying + timedelta(minutes=dice.choice([1, 30, 90]))),) if dice.random() < 0.4 else (),
        moving_count_once=dice.random() < 0.5,
        odd_rows=dice.choice([0, 4, 9]),
        processing_delay_s=dice.choice([0, 600, 7_200]),
        late_share=dice.uniform(0, 0.2),
        late_seconds=dice.choice([600, 7_200, 6 * 3_600]),
        rebuild_overlap_s=dice.choice([600, 3_600, 3 * 3_600]),
        vanish_share=dice.uniform(0, 0.05),
        vanish_after_s=dice.choice([3_600, 24 * 3_600]),
        real_time_missing=0.1,
    )


def account(dice: random.Random) -> Assumptions:
    """The account set up, and what nobody documents answered, as the dice say."""
    return Assumptions(
        token_lifetime_s=dice.choice([180, 1_800]),
        session_idle_s=1_800,
        values_as=dice.choice(["mixed", "float", "int"]),
        null_enum=dice.choice(["null", "pair"]),
        ids_as_text=dice.random() < 0.8,
        real_time=dice.random() < 0.5,
        real_time_ids_equal=dice.random() < 0.5,
        query_cache_s=dice.choice([0, 600]),
        query_meta_columns=dice.random() < 0.8,
    )


def everything(seed: int, folder: Path) -> int:
    """One history: passes at random times, some killed at a random request; returns how many were."""
    dice = random.Random(seed)
    truth = generate(days=DAYS, events_per_day=dice.choice([30, 80, 150]), seed=seed, end=END)
    faults = trouble(dice, seed)
    clock = FastClock.starting(truth.start + timedelta(hours=dice.uniform(1, 30)), SPEED)
    victim: list[tuple[int, int]] = []  # process, and the request at which it dies

    def strike(number: int, path: str) -> None:
        if victim and number >= victim[0][1]:
            os.kill(victim.pop()[0], signal.SIGKILL)

    with PiwikProSimulator(
        truth, now=lambda: clock.now(), faults=faults, assumed=account(dice), on_request=strike,
        dimensions=dice.choice([SAME_SLOTS, OTHER_SLOTS]),
    ) as server:  # fmt: skip
        real_time = f"real_time = {dice.choice(['true', 'false'])}"
        page = f"page_size = {dice.choice([40, 100, 100_000])}"
        home_of(
            folder,
            server,
            clock,
            truth.start - timedelta(days=1),
            source=f"{real_time}\n{page}",
            http="requests = 1000000",
        )
        killed = 0
        while clock.now() < END + timedelta(days=2):
            dies_at = server.requests.total + dice.randint(2, 40) if dice.random() < 0.5 else None
            child = extract_in_process(folder, environ_of(server), clock)
            if dies_at and child.pid:
                victim.append((child.pid, dies_at))
            child.join(120)
            victim.clear()
            assert child.exitcode is not None, "a pass must end"
            killed += child.exitcode == -signal.SIGKILL
            clock = clock.set_ahead(timedelta(hours=dice.uniform(0.1, 16)))
        for _ in range(2):  # what vanished last is seen by the nightly look-back
            clock = clock.set_ahead(timedelta(hours=20))
            home = home_again(folder, environ_of(server), clock)
            [result] = refresh.extract(home)
            assert result.error is None, str(result.error)
        odd_in_sight = int(server.in_sight(clock.now(), odd=True).sum())
        expected = must_be_stored(truth, server, clock.now())
    found = is_stored(home)
    found, expected = (with_both_hours_told_apart_or_not(rows, AUTUMN) for rows in (found, expected))
    assert expected - found == Counter(), "nothing is missing"
    with home.warehouse.reader() as connection:
        unproven = ledger.troubled_windows(connection, "installers", clock.now())
        for at, *_ in found - expected:  # what vanished where no count can be trusted is kept
            assert any(at in window for window in unproven)
        rows = connection.execute("select count(*), count(distinct event_id) from raw.piwik_pro_events").fetchall()
        assert rows[0][0] == rows[0][1], "each event once"
        unsure = (
            "select count(*) from raw.piwik_pro_events where fold_ambiguous and not (event_ts >= ? and event_ts < ?)"
        )
        assert connection.execute(unsure, [AUTUMN.start, AUTUMN.end]).fetchall() == [(0,)]
        unbalanced = "select count(*) from ledger.windows where received <> duplicates + quarantined + landed"
        assert connection.execute(unbalanced).fetchall() == [(0,)]
        state = ledger.state(connection, "installers")
        assert state is not None
        assert state.watermark is not None
        assert state.watermark >= END
        if not faults.lying_count:
            assert ledger.troubled_windows(connection, "installers", clock.now()) == []
        elif faults.lying_count[0][0] > truth.start:
            assert result.unproven > 0 or ledger.troubled_windows(connection, "installers", clock.now())
        kept = "select count(*) from raw.piwik_pro_events where visitor_id like '0ddba11%' and vanished_at is null"
        odd = connection.execute(f"select ({kept}) + (select count(*) from raw.quarantine)").fetchall()[0][0]
        assert odd >= odd_in_sight
        assert FixedClock(clock.now()).now() >= state.watermark
    return killed


@pytest.mark.parametrize("lot", range(6))
def test_everything_at_once_many_histories(lot: int) -> None:
    """Lots of other histories each time; about a third of their passes are killed in the middle."""
    killed: list[int] = []

    @settings(max_examples=HISTORIES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(1_000 * lot, 1_000 * (lot + 1) - 1))
    def histories(seed: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            killed.append(everything(seed, Path(folder)))

    histories()
    assert len(killed) >= HISTORIES - 1
    assert sum(killed) >= len(killed)
