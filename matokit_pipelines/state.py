"""The SQLite store: connection and migrations. It holds what must survive and be shared at once: alerts and the outbox.

A DuckDB file held by one process refuses every other one, so what several processes change in small steps lives here.
Not here: what the tables mean (alerts/, delivery/).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from matokit_pipelines.errors import StateError

FILE = "state.sqlite"
BUSY_SECONDS = 30.0
_MIGRATIONS = Path(__file__).parent / "state_migrations"


def file_of(home: Path) -> Path:
    """Where the store of a home lies."""
    return home / FILE


@contextmanager
def opened(home: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the home's store, brought up to date; made when there is none.

    Autocommit: several statements belong into `transaction`. StateError when the file cannot be used.
    """
    connection = _connect(home)
    try:
        yield connection
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):  # not the file's fault, but a defect
            raise
        raise _in_words(home, error) from error
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; holds the right to write from the start, so that what is read stays true."""
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("rollback")
        raise
    connection.execute("commit")


def moment(value: datetime | None) -> str | None:
    """An instant as the store keeps it: UTC, to the microsecond, sortable as text."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instant(text: str | None) -> datetime | None:
    """What `moment` wrote."""
    return None if text is None else datetime.fromisoformat(text)


def _connect(home: Path) -> sqlite3.Connection:
    path = file_of(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _in_words(home, error) from error
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise _in_words(home, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    files = sorted(_MIGRATIONS.glob("*.sql"))
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > len(files):
        raise StateError(f"{FILE} was written by a newer version of matokit; install that one.")
    if version == len(files):
        return
    with transaction(connection):
        version = connection.execute("pragma user_version").fetchone()[0]
        for number, file in enumerate(files[version:], start=version + 1):
            for statement in file.read_text(encoding="utf-8").split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"pragma user_version = {number}")


def _in_words(home: Path, error: Exception) -> StateError:
    said = str(error).lower()
    if "locked" in said or "busy" in said:
        return StateError(f"{file_of(home)} is in use by another process for too long; try again.")
    if "full" in said:
        return StateError(f"The disk with {file_of(home)} is full; make room and try again.")
    if "not a database" in said or "malformed" in said:
        return StateError(f"{file_of(home)} is damaged; move it aside: alerts begin anew, no event is lost.")
    return StateError(f"{file_of(home)} cannot be used ({error}); give this user the right to write it.")
