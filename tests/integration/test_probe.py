"""The probe: what makes a refresh due, what a question costs, and that asking never does worse than reading always."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import SettingsError
from matokit_pipelines.simulator import MatomoSimulator, PiwikProSimulator, Truth
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, PiwikProFaults
from matokit_pipelines.warehouse import probe, refresh
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import open_current
from tests import piwik_pro, simulated
from tests.often import times
from tests.replay import rows_of

pytestmark = pytest.mark.slow

TRUTH = simulated.small_truth(days=3, events_per_day=80)
NO_LIMIT = Assumptions(rate_limit=False)
FIVE_MINUTES = timedelta(minutes=5)
Server = MatomoSimulator | PiwikProSimulator


@contextmanager
def serving(
    kind: str, clock: FixedClock, faults: dict[str, Any] | None = None, truth: Truth = TRUTH
) -> Iterator[Server]:
    """The site of `truth`, as one of the two kinds shows it."""
    given: Server
    if kind == "matomo":
        given = simulated.simulator(truth, now=clock.now, **(faults or {}))
    else:
        given = PiwikProSimulator(truth, now=clock.now, faults=PiwikProFaults(**(faults or {})), assumed=NO_LIMIT)
    with given as server:
        yield server


def home_of(folder: Path, server: Server, clock: FixedClock) -> Home:
    folder.mkdir(exist_ok=True)
    if isinstance(server, MatomoSimulator):
        return simulated.home_of(folder, server, TRUTH, now=clock)
    return piwik_pro.home_of(folder, server, clock, TRUTH.start - timedelta(days=1))


def asked(home: Home) -> tuple[str | None, str | None]:
    """(why a pass is due, why the source could not be asked)."""
    [source] = home.loaded.settings.sources
    with home.warehouse.writer() as connection:
        question, error = probe.ask(home, connection, source, 1)
    return question.finding, error


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Home, FixedClock, Server]]]:
    """Homes read, derived and published at an hour at which nothing is due, one a kind."""
    made: dict[str, tuple[Home, FixedClock, Server]] = {}
    held = []

    def of(kind: str) -> tuple[Home, FixedClock, Server]:
        if kind not in made:
            clock = FixedClock(TRUTH.end)
            serves = serving(kind, clock)
            server = serves.__enter__()
            held.append(serves)
            home = home_of(tmp_path_factory.mktemp(kind), server, clock)
            for _ in range(2):  # the second reads what a whole night needs
                assert [result.error for result in refresh.extract(home)] == [None]
            refresh.build_and_publish(home)
            made[kind] = home, clock, server
        return made[kind]

    yield of
    for serves in held:
        serves.__exit__(None, None, None)


@pytest.mark.parametrize("kind", ["matomo", "piwik_pro"])
def test_a_quiet_source_is_asked_in_two_requests_and_its_watermark_moves_on(
    ready: Callable[[str], tuple[Home, FixedClock, Server]], kind: str
) -> None:
    home, clock, server = ready(kind)
    before = rows_of(home, "select watermark from ledger.sources")[0][0]
    requests = server.requests.total
    clock.advance(FIVE_MINUTES)
    found = probe.probe(home)
    assert found == probe.Due(False, "No source holds anything new.", before + FIVE_MINUTES)
    assert server.requests.total - requests <= 2
    assert rows_of(home, "select watermark from ledger.sources")[0][0] == before + FIVE_MINUTES
    tier, status, received, balance = rows_of(
        home,
        "select tier, status, received, received - duplicates - quarantined - landed from ledger.windows "
        "order by window_id desc limit 1",
    )[0]
    assert (tier, status, balance) == ("probe", "complete", 0)
    assert received == rows_of(home, "select expected from ledger.windows order by window_id desc limit 1")[0][0]


@pytest.mark.parametrize("kind", ["matomo", "piwik_pro"])
def test_one_that_came_for_one_that_went_is_noticed(
    ready: Callable[[str], tuple[Home, FixedClock, Server]], kind: str
) -> None:
    """A count would say that nothing is new."""
    home, _, _ = ready(kind)
    table = "raw.matomo_events" if kind == "matomo" else "raw.piwik_pro_events"
    by = "visit_last_ts" if kind == "matomo" else "event_ts"
    newest = f"(select event_id from {table} order by {by} desc, event_id limit 1)"
    with home.warehouse.writer() as connection:
        [[event_id]] = connection.execute(newest).fetchall()
        connection.execute(f"update {table} set event_id = '1' where event_id = ?", [event_id])
    try:
        assert asked(home) == ("holds something else than what is stored", None)
    finally:
        with home.warehouse.writer() as connection:
            connection.execute(f"update {table} set event_id = ? where event_id = '1'", [event_id])


def test_a_home_that_was_never_read_is_due_and_none_without_a_source(tmp_path: Path) -> None:
    clock = FixedClock(TRUTH.end)
    with serving("matomo", clock) as server:
        home = home_of(tmp_path, server, clock)
        assert probe.probe(home).is_due
        assert server.requests.total == 0
        empty = replace(home.loaded, settings=home.loaded.settings.model_copy(update={"sources": ()}))
        assert not probe.probe(replace(home, loaded=empty)).is_due


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("touched", "Events were landed and not derived yet."),
        ("models", "Settings or tables are other ones than those the marts were derived with."),
        ("snapshot", "There is no snapshot to read."),
        ("hour", "The snapshot says less than is known to be complete."),
    ],
)
def test_what_the_home_itself_says_makes_a_refresh_due(
    ready: Callable[[str], tuple[Home, FixedClock, Server]], what: str, sentence: str
) -> None:
    home, _, _ = ready("matomo")
    pointer = home.loaded.home / "serving" / "CURRENT"
    changes = {
        "touched": "insert into ledger.touched_days select date '2026-10-26', now()",
        "models": "update ledger.model_state set state_hash = 'x' || state_hash where model = 'staging.machine_days'",
        "hour": "update ledger.sources set watermark = watermark + interval 61 minutes",
    }
    back = {
        "touched": "delete from ledger.touched_days",
        "models": "update ledger.model_state set state_hash = state_hash[2:] where model = 'staging.machine_days'",
        "hour": "update ledger.sources set watermark = watermark - interval 61 minutes",
    }
    if what == "snapshot":
        pointer.rename(pointer.with_name("AWAY"))
    else:
        with home.warehouse.writer() as connection:
            connection.execute(changes[what])
    try:
        assert probe.probe(home) == probe.Due(True, sentence)
    finally:
        if what == "snapshot":
            pointer.with_name("AWAY").rename(pointer)
        else:
            with home.warehouse.writer() as connection:
                connection.execute(back[what])


def test_other_settings_make_a_refresh_due(ready: Callable[[str], tuple[Home, FixedClock, Server]]) -> None:
    home, _, _ = ready("matomo")
    events = home.loaded.settings.events.model_copy(update={"zero_value": "unknown"})
    loaded = replace(home.loaded, settings=home.loaded.settings.model_copy(update={"events": events}))
    assert probe.probe(replace(home, loaded=loaded)).is_due


def test_a_day_that_became_complete_makes_a_refresh_due(
    ready: Callable[[str], tuple[Home, FixedClock, Server]], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _, _ = ready("matomo")
    with open_current(home.loaded.home) as snapshot:
        now = snapshot.manifest
    assert now.watermark is not None
    just_before_midnight = replace(now, watermark=datetime(2026, 10, 26, 22, 55, tzinfo=UTC))
    monkeypatch.setattr(probe, "_published", lambda home: just_before_midnight)
    with home.warehouse.writer() as connection:
        kept = connection.execute("select watermark from ledger.sources").fetchall()[0][0]
        for mark, due in (
            (datetime(2026, 10, 26, 22, 59, tzinfo=UTC), False),
            (datetime(2026, 10, 26, 23, 1, tzinfo=UTC), True),
        ):
            connection.execute("update ledger.sources set watermark = ?", [mark])
            assert (probe._due_by_snapshot(home, connection) is not None) is due
        connection.execute("update ledger.sources set watermark = ?", [kept])


def test_a_warehouse_at_work_makes_nothing_due(ready: Callable[[str], tuple[Home, FixedClock, Server]]) -> None:
    home, _, server = ready("matomo")
    requests = server.requests.total
    found: list[probe.Due] = []
    with home.warehouse.exclusive():
        asking = threading.Thread(target=lambda: found.append(probe.probe(home)))
        asking.start()
        asking.join(timeout=20)
    assert not found[0].is_due
    assert found[0].reason == "Another process is writing to the warehouse; the next tick asks again."
    assert server.requests.total == requests


def test_a_source_that_refuses_is_noted_and_asked_again_only_when_that_may_help(tmp_path: Path) -> None:
    clock = FixedClock(TRUTH.end)
    with serving("matomo", clock) as server:
        home = home_of(tmp_path, server, clock)
        refresh.extract(home)
        refresh.build_and_publish(home)
        wrong = replace(home, loaded=replace(home.loaded, environ={"MATOKIT_INSTALLERS_TOKEN": "f" * 32}))
        clock.advance(FIVE_MINUTES)
        requests = server.requests.total
        first = probe.probe(wrong)
        assert not first.is_due
        assert "refuses the token of source installers" in first.reason
        assert "f" * 32 not in first.reason
        asked_once = server.requests.total
        assert asked_once - requests <= 2
        clock.advance(FIVE_MINUTES)
        again = probe.probe(wrong)
        assert not again.is_due
        assert "is not tried again before" in again.reason
        assert server.requests.total == asked_once
        assert "is not tried again before" in rows_of(home, "select last_error from ledger.sources")[0][0]
        assert probe.probe(home).is_due, "other credentials are tried at once"
        assert refresh.extract(home)[0].error is None
        refresh.build_and_publish(home)
        clock.advance(FIVE_MINUTES)
        found = probe.probe(home)
        assert (found.is_due, found.reason) == (False, "No source holds anything new.")


@pytest.mark.parametrize("kind", ["matomo", "piwik_pro"])
def test_a_source_that_is_down_costs_no_run_and_is_due_when_it_is_back(tmp_path: Path, kind: str) -> None:
    clock = FixedClock(TRUTH.end - timedelta(days=1))
    with serving(kind, clock) as server:
        home = home_of(tmp_path, server, clock)
        refresh.extract(home)
        refresh.build_and_publish(home)
        port = int(server.url.rsplit(":", 1)[1])
    reasons = []
    for _ in range(5):  # two hours: a tier becomes due meanwhile, and would cost a pass that fails
        clock.advance(timedelta(minutes=24))
        found = probe.probe(home)
        assert not found.is_due or "complete" in found.reason, found.reason
        reasons.append(found.reason)
    assert "could not be read" in reasons[-1]
    with (
        MatomoSimulator(TRUTH, now=clock.now, port=port)
        if kind == "matomo"
        else PiwikProSimulator(TRUTH, now=clock.now, port=port)
    ):
        assert probe.probe(home).is_due
        assert refresh.extract(home)[0].error is None


def test_settings_that_a_refresh_refuses_are_refused(ready: Callable[[str], tuple[Home, FixedClock, Server]]) -> None:
    home, _, _ = ready("matomo")
    project = home.loaded.settings.project.model_copy(update={"timezone": "Asia/Tokyo"})
    moved = replace(home.loaded, settings=home.loaded.settings.model_copy(update={"project": project}))
    with pytest.raises(SettingsError, match="cuts its days in"):
        probe.probe(replace(home, loaded=moved))


# -- asking never does worse than reading always ---------------------------------------------------------------------

ROWS = "select event_id, event_ts, name, value from raw.{}_events where vanished_at is null and {} >= ?"
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def rows(home: Home, kind: str, since: datetime = EVER) -> Counter[tuple[Any, ...]]:
    """Stored events of `since` and later: of visits that ended then, where visits are what is read."""
    return Counter(rows_of(home, ROWS.format(kind, "visit_last_ts" if kind == "matomo" else "event_ts"), since))


def faults_of(kind: str, seed: int, wire: float, late: float) -> dict[str, Any]:
    common = {"seed": seed, "dropped": wire, "half": wire, "late_share": late, "late_seconds": 5 * 3_600}
    if kind == "matomo":
        return common
    return common | {"vanish_share": late / 4, "vanish_after_s": 3_600, "processing_delay_s": 1_800}


def history(kind: str, steps: list[int], seed: int, wire: float, late: float, folder: Path) -> int:
    """Two homes over the same hours: one reads at each step, one only when its question says so. Gives how often the
    second did not read."""
    clock = FixedClock(TRUTH.start + timedelta(hours=20))
    spared = 0
    with serving(kind, clock, faults_of(kind, seed, wire, late)) as server:
        always, when_due = (home_of(folder / name, server, clock) for name in ("always", "when_due"))
        for minutes in [0, *steps]:
            clock.advance(timedelta(minutes=minutes))
            began = clock.now()
            assert refresh.extract(always)[0].error is None
            due, error = asked(when_due)
            assert error is None or wire
            if due:
                assert refresh.extract(when_due)[0].error is None
            spared += due is None
            if error is None:
                recent = clock.now() - (timedelta(minutes=55) if kind == "matomo" else timedelta(hours=6))
                assert rows(always, kind, recent) == rows(when_due, kind, recent), "what is new is stored"
            marks = [rows_of(home, "select watermark from ledger.sources")[0][0] for home in (always, when_due)]
            waited = clock.now() - began  # a pass waits before it reads again what lacks rows; the second reads later
            assert marks[1] - waited <= marks[0] <= clock.now()
        for _ in range(3):  # the nights after: what came late by then is there
            clock.advance(timedelta(hours=24))
            assert refresh.extract(always)[0].error is None
            while asked(when_due)[1]:  # a dropped answer; the next tick asks again
                clock.advance(FIVE_MINUTES)
            assert refresh.extract(when_due)[0].error is None
        assert refresh.extract(always)[0].error is None
        assert rows(always, kind) == rows(when_due, kind)
    return spared


STEPS = st.lists(st.sampled_from([5, 5, 5, 10, 20, 65, 400]), min_size=6, max_size=14)
SHARES = st.sampled_from([0.0, 0.1])
HISTORY = {"steps": STEPS, "seed": st.integers(0, 999), "wire": SHARES, "late": SHARES}


@pytest.mark.parametrize("kind", ["matomo", "piwik_pro"])
def test_asking_lands_the_same_rows_as_reading_always(kind: str) -> None:
    spared: list[int] = []

    @settings(max_examples=times(8, 25), deadline=None, suppress_health_check=list(HealthCheck))
    @given(**HISTORY)
    def histories(**drawn: Any) -> None:
        with tempfile.TemporaryDirectory() as name:
            spared.append(history(kind, **drawn, folder=Path(name)))

    histories()
    assert sum(spared) > len(spared), "quiet steps must be spared a pass"
