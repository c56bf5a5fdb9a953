"""The tracking queue when the machine's clock is put back: nothing stands still until it has caught up."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.sources.tracking_hits import Later, Taken
from matokit_pipelines.toolserver.tracking import keeping, rows
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.rows import Claimed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BACK = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)]
LEASE = timedelta(seconds=30)
WAITED = timedelta(seconds=20)  # for the right to write, which SQLite grants within 30 s
DICE = random.Random(1)


@pytest.fixture(params=BACK, ids=str)
def before(request: pytest.FixtureRequest) -> datetime:
    """The time to which the clock is put back at NOW."""
    return NOW - request.param  # type: ignore[no-any-return]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with state.opened(tmp_path) as connection:
        yield connection


def accepted(store: sqlite3.Connection, visitor: str, now: datetime, key: str | None = None) -> int:
    hit = Hit("event", "1", "Shop", "https://matomo.example.org", {"idsite": "1"}, visitor, key=key)
    with state.transaction(store):
        return rows.accept(store, hit, now)[0].id


def claimed(store: sqlite3.Connection, now: datetime) -> Claimed:
    found = rows.claim(store, owner="me", clock=FixedClock(now), lease=LEASE)
    assert isinstance(found, Claimed)
    return found


@pytest.mark.parametrize("ended", [Later("gone", False, is_down=True), Later("it answered 429", False, 429, 900.0)])
def test_neither_a_wait_nor_a_hold_of_the_future_stops_the_queue(
    store: sqlite3.Connection, before: datetime, ended: Later
) -> None:
    first = accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, ended, FixedClock(NOW), DICE)
    second = accepted(store, "b", before)
    assert rows.is_due(store, before)
    assert {claimed(store, before).row.id, claimed(store, before).row.id} == {first, second}
    assert rows.claim(store, owner="me", clock=FixedClock(before), lease=LEASE) is None


def test_a_hold_of_the_future_gives_way_to_one_of_now(store: sqlite3.Connection, before: datetime) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("gone", False, is_down=True), FixedClock(NOW), DICE)
    rows.settle(store, claimed(store, before).row, Later("gone", False, is_down=True), FixedClock(before), DICE)
    accepted(store, "b", before)
    assert not rows.is_due(store, before + timedelta(seconds=4))
    assert rows.is_due(store, before + timedelta(seconds=6))


def test_tidying_forgets_holds_of_the_future(store: sqlite3.Connection, before: datetime) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("gone", False, is_down=True), FixedClock(NOW), DICE)
    keeping.tidy(store, FixedClock(before))
    assert store.execute("select count(*) from tracking_holds").fetchone()[0] == 0


@pytest.mark.parametrize("key", [None, "k"])
def test_who_is_sending_keeps_its_hit_for_a_whole_lease(
    store: sqlite3.Connection, before: datetime, key: str | None
) -> None:
    accepted(store, "a", NOW, key)
    sending = claimed(store, NOW)
    assert rows.claim(store, owner="other", clock=FixedClock(before), lease=LEASE) is None
    assert rows.found_row(store, sending.row.id) is not None
    row, is_ours = rows.settle(store, sending.row, Taken(204), FixedClock(before + timedelta(seconds=29)), DICE)
    assert (row.state, is_ours) == ("done", True)


def test_the_hit_of_a_sender_that_ended_is_taken_over_after_a_lease(
    store: sqlite3.Connection, before: datetime
) -> None:
    number = accepted(store, "a", NOW)
    claimed(store, NOW)
    assert rows.claim(store, owner="other", clock=FixedClock(before), lease=LEASE) is None
    assert claimed(store, before + LEASE).row.id == number


def test_waits_as_long_as_there_are_stay(store: sqlite3.Connection) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("it answered 429", False, 429, 900.0), FixedClock(NOW), DICE)
    assert not rows.is_due(store, NOW + timedelta(seconds=899))
    assert rows.is_due(store, NOW + timedelta(seconds=900))


class Meanwhile(FixedClock):
    """While the first reads it, who holds the right to write then, another comes to wait for that, and time passes."""

    def __init__(self, home: Path, other: Callable[[sqlite3.Connection, FixedClock], object]) -> None:
        super().__init__(NOW)
        self._home, self._other, self._waits = home, other, threading.Event()
        self.thread = threading.Thread(target=self._come)

    def now(self) -> datetime:
        if threading.current_thread() is not self.thread and not self._waits.is_set():
            self.thread.start()
            assert self._waits.wait(10.0)
            self.advance(WAITED)
        return super().now()

    def _come(self) -> None:
        with state.opened(self._home) as store:
            store.set_trace_callback(lambda statement: self._waits.set() if "begin" in statement else None)
            self._other(store, self)


def held_until(store: sqlite3.Connection) -> datetime | None:
    return state.instant(store.execute("select max(until) from tracking_holds").fetchone()[0])


@pytest.mark.parametrize("key", [None, "k"])
def test_who_waited_for_the_right_to_write_leaves_the_lease_of_another_alone(
    store: sqlite3.Connection, tmp_path: Path, key: str | None
) -> None:
    number = accepted(store, "a", NOW, key)
    found: list[object] = []
    clock = Meanwhile(tmp_path, lambda own, same: found.append(rows.claim(own, owner="b", clock=same, lease=LEASE)))
    assert isinstance(rows.claim(store, owner="me", clock=clock, lease=LEASE), Claimed)
    clock.thread.join()
    row = rows.found_row(store, number)
    assert row is not None
    assert (row.lease_owner, row.due_at, found) == ("me", NOW + WAITED + LEASE, [None])


def test_who_waited_for_the_right_to_write_has_a_whole_lease(store: sqlite3.Connection, tmp_path: Path) -> None:
    for visitor in ("a", "b"):
        accepted(store, visitor, NOW)
    clock = Meanwhile(tmp_path, lambda own, same: rows.claim(own, owner="b", clock=same, lease=LEASE))
    rows.claim(store, owner="me", clock=clock, lease=LEASE)
    clock.thread.join()
    assert [row.due_at for row in keeping.listed(store, ["sending"])] == [NOW + WAITED + LEASE] * 2


@pytest.mark.parametrize("is_tidied", [False, True])
def test_who_waited_for_the_right_to_write_leaves_the_hold_of_another_alone(
    store: sqlite3.Connection, tmp_path: Path, is_tidied: bool
) -> None:
    for visitor in ("a", "b"):
        accepted(store, visitor, NOW)
    first, second = claimed(store, NOW), claimed(store, NOW)

    def other(own: sqlite3.Connection, clock: FixedClock) -> None:
        if is_tidied:
            keeping.tidy(own, clock)
        else:
            rows.settle(own, second.row, Later("gone", False, is_down=True), clock, DICE)

    clock = Meanwhile(tmp_path, other)
    rows.settle(store, first.row, Later("it answered 429", False, 429, 60.0), clock, DICE)
    clock.thread.join()
    assert held_until(store) == NOW + WAITED + timedelta(seconds=60)
