"""The SQLite store: made and migrated once, whole transactions only, and its troubles in words."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines import state
from matokit_pipelines.errors import StateError


def tables(folder: Path) -> set[str]:
    with state.opened(folder) as connection:
        return {row["name"] for row in connection.execute("select name from sqlite_master where type = 'table'")}


def test_a_store_is_made_where_there_is_none_and_the_same_when_opened_again(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    first = tables(home)
    assert {"progress", "instances", "episodes", "evaluations", "silences", "outbox"} <= first
    assert tables(home) == first


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    found: list[set[str]] = []
    threads = [threading.Thread(target=lambda: found.append(tables(tmp_path))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(one == found[0] for one in found)


def test_a_reader_goes_on_beside_a_writer(tmp_path: Path) -> None:
    with state.opened(tmp_path) as writer, state.opened(tmp_path) as reader:
        with state.transaction(writer):
            writer.execute("insert into progress values ('a', '1')")
            assert reader.execute("select count(*) from progress").fetchone()[0] == 0
        assert reader.execute("select count(*) from progress").fetchone()[0] == 1


def test_a_transaction_is_made_wholly_or_not_at_all(tmp_path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        with state.transaction(connection):
            connection.execute("insert into progress values ('a', '1')")
            raise ZeroDivisionError

    with state.opened(tmp_path) as connection:
        with pytest.raises(ZeroDivisionError):
            half_done(connection)
        assert connection.execute("select count(*) from progress").fetchone()[0] == 0


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with state.opened(tmp_path) as connection:
        connection.execute("pragma user_version = 99")
    with pytest.raises(StateError, match="newer version of matokit"), state.opened(tmp_path):
        pass


def test_a_damaged_store_is_a_sentence(tmp_path: Path) -> None:
    state.file_of(tmp_path).write_bytes(b"not a database at all, but long enough to be read as one" * 40)
    with pytest.raises(StateError, match="is damaged; move it aside"), state.opened(tmp_path):
        pass


def test_a_store_that_another_process_holds_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "BUSY_SECONDS", 0.05)
    with state.opened(tmp_path) as holder:
        holder.execute("begin immediate")
        with (
            pytest.raises(StateError, match="in use by another process"),
            state.opened(tmp_path) as other,
            state.transaction(other),
        ):
            pass
        holder.execute("rollback")


def test_a_home_that_is_a_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    with pytest.raises(StateError, match="cannot be used"), state.opened(tmp_path / "home"):
        pass


def test_a_row_that_breaks_a_rule_of_the_tables_is_refused(tmp_path: Path) -> None:
    with state.opened(tmp_path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "insert into outbox (message_key, conversation, destination, severity, payload, state, created_at, "
            "next_at) values ('k', 'c', 'files', 'critical', '{}', 'lost', 'x', 'x')"
        )


INSTANTS = st.datetimes(
    datetime(1970, 1, 1), datetime(2199, 1, 1),  # noqa: DTZ001 - made aware below
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=13)), timezone(timedelta(hours=-9, minutes=-30))]),
)  # fmt: skip


@settings(deadline=None)
@given(INSTANTS, INSTANTS)
def test_instants_come_back_and_sort_as_text(one: datetime, other: datetime) -> None:
    first, second = state.moment(one), state.moment(other)
    assert first is not None
    assert second is not None
    assert state.instant(first) == one
    assert (first < second) == (one < other)


def test_no_instant_stays_none() -> None:
    assert state.moment(None) is None
    assert state.instant(None) is None
