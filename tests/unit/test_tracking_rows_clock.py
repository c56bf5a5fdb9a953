"""The tracking queue when the machine's clock is put back: nothing stands still until it has caught up."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from matokit_pipelines import state
from matokit_pipelines.sources.tracking_hits import Later, Taken
from matokit_pipelines.toolserver.tracking import keeping, rows
from matokit_pipelines.toolserver.tracking.hits import Hit
from matokit_pipelines.toolserver.tracking.rows import Claimed

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BACK = [timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)]
LEASE = timedelta(seconds=30)
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
    found = rows.claim(store, owner="me", now=now, lease=LEASE)
    assert isinstance(found, Claimed)
    return found


@pytest.mark.parametrize("ended", [Later("gone", False, is_down=True), Later("it answered 429", False, 429, 900.0)])
def test_neither_a_wait_nor_a_hold_of_the_future_stops_the_queue(
    store: sqlite3.Connection, before: datetime, ended: Later
) -> None:
    first = accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, ended, NOW, DICE)
    second = accepted(store, "b", before)
    assert rows.is_due(store, before)
    assert {claimed(store, before).row.id, claimed(store, before).row.id} == {first, second}
    assert rows.claim(store, owner="me", now=before, lease=LEASE) is None


def test_a_hold_of_the_future_gives_way_to_one_of_now(store: sqlite3.Connection, before: datetime) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("gone", False, is_down=True), NOW, DICE)
    rows.settle(store, claimed(store, before).row, Later("gone", False, is_down=True), before, DICE)
    accepted(store, "b", before)
    assert not rows.is_due(store, before + timedelta(seconds=4))
    assert rows.is_due(store, before + timedelta(seconds=6))


def test_tidying_forgets_holds_of_the_future(store: sqlite3.Connection, before: datetime) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("gone", False, is_down=True), NOW, DICE)
    keeping.tidy(store, before)
    assert store.execute("select count(*) from tracking_holds").fetchone()[0] == 0


@pytest.mark.parametrize("key", [None, "k"])
def test_who_is_sending_keeps_its_hit_for_a_whole_lease(
    store: sqlite3.Connection, before: datetime, key: str | None
) -> None:
    accepted(store, "a", NOW, key)
    sending = claimed(store, NOW)
    assert rows.claim(store, owner="other", now=before, lease=LEASE) is None
    assert rows.found_row(store, sending.row.id) is not None
    row, is_ours = rows.settle(store, sending.row, Taken(204), before + timedelta(seconds=29), DICE)
    assert (row.state, is_ours) == ("done", True)


def test_the_hit_of_a_sender_that_ended_is_taken_over_after_a_lease(
    store: sqlite3.Connection, before: datetime
) -> None:
    number = accepted(store, "a", NOW)
    claimed(store, NOW)
    assert rows.claim(store, owner="other", now=before, lease=LEASE) is None
    assert claimed(store, before + LEASE).row.id == number


def test_waits_as_long_as_there_are_stay(store: sqlite3.Connection) -> None:
    accepted(store, "a", NOW)
    rows.settle(store, claimed(store, NOW).row, Later("it answered 429", False, 429, 900.0), NOW, DICE)
    assert not rows.is_due(store, NOW + timedelta(seconds=899))
    assert rows.is_due(store, NOW + timedelta(seconds=900))
