"""Alerts on real-time events: told at once and marked, confirmed by complete data in the same thread, or taken back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from matokit_pipelines import state
from matokit_pipelines.alerts import silences, store
from matokit_pipelines.alerts.passes import is_due, run_pass
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.warehouse.provisional import events_beyond
from matokit_pipelines.warehouse.refresh import Home, build_options
from tests.landed import Sent, home_at, land, series

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ENABLED = "[alerts.provisional]\nenabled = true\n"
CALL = "email:call@example.org"
OVERALL = "overall_success_rate|*|production|1"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    made = home_at(folder, FixedClock(NOON), ENABLED)
    land(made, series(NOON - 7 * DAY, 420, timedelta(minutes=24), machine="w{}"), complete_to=NOON)
    run_pass(made)
    return folder


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def home(begun: Path, tmp_path: Path, clock: FixedClock) -> Home:
    shutil.copytree(begun, tmp_path / "copy")
    return home_at(tmp_path / "copy", clock, ENABLED)


def see(home: Home, events: Sequence[Sent], source: str = "installers") -> None:
    """Real-time rows of a Piwik PRO, as its pass lands them."""
    rows = pl.DataFrame(
        [
            {
                "event_id": str(number), "visitor_id": event.machine, "event_ts": event.at, "category": event.category,
                "name": event.component, "value": 0.0 if event.failed else 1.0,
            }
            for number, event in enumerate(events)
        ]
    )  # fmt: skip
    with home.warehouse.writer() as connection:
        connection.register("seen", rows)
        connection.execute(
            "insert into raw.piwik_pro_provisional by name select $source as source, 'site' as site_id, event_id, "
            "visitor_id, '' as site_time, event_ts, false as fold_ambiguous, category, 'Event' as action, name, value, "
            "'Darwin24.4.0' as os_raw, 'arm64' as architecture_raw, 'a1b2c3d' as commit_raw, $now as seen_at from seen",
            {"source": source, "now": home.clock.now()},
        )
        connection.unregister("seen")


def queued(home: Home) -> list[str]:
    with state.opened(home.loaded.home) as connection:
        rows = connection.execute("select message_key, conversation from outbox order by id").fetchall()
    mine = [row for row in rows if row["message_key"].startswith("overall") and row["message_key"].endswith(CALL)]
    assert {row["conversation"] for row in mine} <= {f"{OVERALL}|{CALL}"}
    return [row["message_key"].split("|")[4] for row in mine]


def outage(minutes: int = 30) -> list[Sent]:
    return series(NOON + 10 * MINUTE, minutes, MINUTE, machine="f{}", failed=True)


def test_events_that_are_not_complete_are_told_of_as_provisional(home: Home, clock: FixedClock) -> None:
    clock.advance(45 * MINUTE)
    see(home, outage())
    report = run_pass(home)
    assert report.started >= 1
    assert queued(home) == ["firing"]
    with state.opened(home.loaded.home) as connection:
        [matter] = [one for one in store.open_matters(connection) if one.episode.rule == "overall_success_rate"]
        rows = connection.execute("select count(*) from evaluations where is_provisional = 1 and is_raw = 1").fetchone()
    assert matter.episode.is_provisional
    assert matter.episode.first.inputs["failures"] == 30
    assert rows[0] >= 1


def test_complete_data_confirm_it_in_its_thread_and_end_it(home: Home, clock: FixedClock) -> None:
    clock.advance(45 * MINUTE)
    see(home, outage())
    run_pass(home)
    clock.advance(HOUR)
    land(home, outage(), complete_to=NOON + 40 * MINUTE)
    run_pass(home)
    assert queued(home) == ["firing", "confirmed"]
    run_pass(home)
    clock.advance(4 * HOUR)
    land(home, series(NOON + 2 * HOUR, 200, MINUTE, machine="g{}"), complete_to=clock.now())
    run_pass(home)
    assert queued(home) == ["firing", "confirmed", "resolved"]
    with state.opened(home.loaded.home) as connection:
        found = [one.episode for one in store.history(connection, since=NOON, rule="overall_success_rate")]
    assert [(one.number, one.is_provisional, one.end_reason) for one in found] == [(1, False, "recovered")]


def test_without_confirmation_it_is_taken_back_when_its_time_is_over(home: Home, clock: FixedClock) -> None:
    clock.advance(45 * MINUTE)
    see(home, outage())
    run_pass(home)
    land(home, [], complete_to=NOON + 4 * HOUR)  # complete data hold none of it
    clock.advance(3 * HOUR)
    run_pass(home)
    assert queued(home) == ["firing"]
    clock.advance(61 * MINUTE)
    land(home, [], complete_to=clock.now())
    assert is_due(home.loaded.home, home.loaded.settings, clock.now(), NOON) is not None
    run_pass(home)
    assert queued(home) == ["firing", "resolved"]
    with state.opened(home.loaded.home) as connection:
        [found] = [one.episode for one in store.history(connection, since=NOON, rule="overall_success_rate")]
    assert found.end_reason == "not_confirmed"
    later = outage(25)
    land(home, [Sent(event.at + 5 * HOUR, event.component, True, event.machine) for event in later],
         complete_to=NOON + 6 * HOUR)  # fmt: skip
    clock.advance(HOUR)
    run_pass(home)
    with state.opened(home.loaded.home) as connection:
        numbers = [one.episode.number for one in store.history(connection, since=NOON, rule="overall_success_rate")]
    assert numbers == [1, 2]


def test_one_that_was_silenced_is_told_by_complete_data_as_any_other(home: Home, clock: FixedClock) -> None:
    with state.opened(home.loaded.home) as connection:
        silences.add(
            connection, matchers={"rule": "overall*"}, begins_at=NOON - HOUR, ends_at=NOON + 50 * MINUTE, author="a",
            reason="b", now=NOON,
        )  # fmt: skip
    clock.advance(45 * MINUTE)
    see(home, outage())
    run_pass(home)
    clock.advance(2 * HOUR)
    land(home, outage(), complete_to=NOON + 55 * MINUTE)
    run_pass(home)
    assert queued(home) == ["firing"]


def test_switched_off_nobody_looks_at_them(begun: Path, tmp_path: Path, clock: FixedClock) -> None:
    shutil.copytree(begun, tmp_path / "copy")
    home = home_at(tmp_path / "copy", clock)
    clock.advance(45 * MINUTE)
    see(home, outage())
    run_pass(home)
    assert queued(home) == []


def test_a_source_with_real_time_rows_speaks_by_them_alone_beyond_the_watermark(home: Home, clock: FixedClock) -> None:
    clock.advance(45 * MINUTE)
    land(home, outage(5), complete_to=NOON)  # landed early, of another source
    see(home, outage(7))
    see(home, [Sent(NOON + MINUTE, "python_install_network_error", True, "x")], source="lab")

    with home.warehouse.reader() as connection:
        found = events_beyond(
            connection, build_options(home.loaded), "production", complete_to=NOON, until=clock.now()
        )  # fmt: skip
    assert (len(found), int(found.failed.sum())) == (8, 8)  # the five that the other source landed are not added
