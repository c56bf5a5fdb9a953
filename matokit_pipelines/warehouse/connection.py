"""Opening the warehouse: one process at a time, under a lock that names its holder.

A DuckDB file open for writing refuses every other process, readers included, with an error at once; the lock lets
processes wait for each other instead. Never open, copy or hash the file with ordinary file calls while this process
has it open: closing that descriptor drops the process's POSIX locks, a second writer gets in and rows vanish.
Not here: what is written.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import DiskFull, WarehouseDamaged, WarehouseError, WarehouseLocked
from matokit_pipelines.warehouse import migrations

FILE_NAME = "warehouse.duckdb"
COMMAND_WAIT_SECONDS = 30.0
RUN_WAIT_SECONDS = 600.0
# How much a journal may hold before DuckDB works it into the file, which rewrites what was landed last: at its default
# of 16 MB nearly each page of 100,000 rows did that, for a third of the cost of a first reading.
JOURNAL = "128MB"
MEMORY = "1GB"  # what a build holds at once; beyond it DuckDB uses the temporary folder, not the machine's memory
_FULL = ("no space left", "file too large", "disk quota", "could not allocate block", "out of disk")
_DAMAGED = (
    "not a valid duckdb database",
    "corrupt",
    "checksum",
    "deserialize",
    "serialization",
    "failed to load metadata",
    "unexpected end of file",
    "could not read enough bytes",
    "older version of duckdb",
    "newer version of duckdb",
)


class Warehouse:
    """The DuckDB file of one home folder. `exclusive` holds the lock, `writer` also opens the file."""

    def __init__(self, home: Path, clock: Clock, *, wait_seconds: float = COMMAND_WAIT_SECONDS) -> None:
        self.home = home
        self.path = home / FILE_NAME
        self.clock = clock
        self.wait_seconds = wait_seconds
        self._lock = FileLock(home / "warehouse.lock", thread_local=False)
        self._holder = home / "warehouse.holder"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the writer's lock; may be nested. WarehouseLocked names the holder when the wait is over."""
        with translated(self.path):
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=self.wait_seconds, poll_interval=0.1)
            except Timeout as error:
                raise WarehouseLocked(
                    f"{self._holder_in_words()} has been writing to {self.path} for over "
                    f"{self.wait_seconds:.0f} s; wait for it to end and try again."
                ) from error
        try:
            if self._lock.lock_counter == 1:
                self._write_holder()
            yield
        finally:
            if self._lock.lock_counter == 1:
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    @contextmanager
    def writer(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file opened for writing, migrated, in UTC. Uncommitted work is rolled back on the way out."""
        with self.exclusive(), translated(self.path):
            if not self.path.exists():
                self._make_file()
            settings: dict[str, str | bool | int | float | list[str]] = {
                "temp_directory": str(self.home / "tmp"),
                "checkpoint_threshold": JOURNAL,
                "memory_limit": MEMORY,
            }
            connection = duckdb.connect(self.path, config=settings)
            try:
                prepare(connection, self.clock.now())
                yield connection
            finally:
                with suppress(duckdb.Error):  # a database that a full disk invalidated cannot close cleanly
                    connection.close()

    @contextmanager
    def reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file opened for reading only, under the lock: a reader refuses the writer as well.

        A file of an older version is brought up to date first.
        """
        if not self.path.exists():
            raise WarehouseError(f"There is no warehouse at {self.path} yet; run `matokit extract` first.")
        with self.exclusive(), translated(self.path):
            connection = duckdb.connect(self.path, read_only=True)
            try:
                if not migrations.is_current(connection):
                    connection.close()
                    with self.writer():
                        pass
                    connection = duckdb.connect(self.path, read_only=True)
                # read-only is about the file; without these a query could still write or read others
                for setting in ("timezone = 'UTC'", "enable_external_access = false", "lock_configuration = true"):
                    connection.execute(f"set {setting}")
                yield connection
            finally:
                connection.close()

    def _make_file(self) -> None:
        """Make the file under another name first: a crash or a full disk would leave one that cannot be opened."""
        building = self.home / ".new-warehouse.duckdb"
        for leftover in (building, building.with_name(building.name + ".wal")):
            leftover.unlink(missing_ok=True)
        connection = duckdb.connect(building)
        try:
            prepare(connection, self.clock.now())
            connection.execute("checkpoint")
        except BaseException:
            with suppress(duckdb.Error):
                connection.close()
            raise
        connection.close()
        journal = self.path.with_name(self.path.name + ".wal")
        if journal.exists():  # of a file that somebody moved away without it; it would be applied to the new one
            journal.replace(journal.with_name(journal.name + ".orphan"))
        building.rename(self.path)

    def _write_holder(self) -> None:
        since: datetime = self.clock.now()
        holder = {"pid": os.getpid(), "command": " ".join(sys.argv)[:200], "since": since.isoformat(timespec="seconds")}
        with suppress(OSError):  # a full disk must not keep a reader out
            self._holder.write_text(json.dumps(holder), encoding="utf-8")

    def _holder_in_words(self) -> str:
        try:
            holder = json.loads(self._holder.read_text(encoding="utf-8"))
            return f'Process {holder["pid"]} ("{holder["command"]}", since {holder["since"]})'
        except (OSError, ValueError, KeyError):
            return "Another process"


def in_memory(now: datetime) -> duckdb.DuckDBPyConnection:
    """A warehouse that keeps nothing: for `try`, `explain` and tests."""
    connection = duckdb.connect()
    prepare(connection, now)
    return connection


def prepare(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Bring a fresh connection to UTC and its file to the current version of the raw and ledger tables."""
    connection.execute("set timezone = 'UTC'")
    migrations.migrate(connection, now)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what DuckDB and the operating system say about `path` into sentences."""
    try:
        yield
    except duckdb.Error as error:
        raise _in_words(path, error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise disk_full(path) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise WarehouseError(f"{path.parent} may not be written to; give this user the right to.") from error
        raise


def _in_words(path: Path, error: duckdb.Error) -> Exception:
    said = str(error).lower()
    if any(mark in said for mark in _FULL):
        return disk_full(path)
    if "could not set lock" in said or "conflicting lock" in said:
        return WarehouseLocked(f"Another program has {path} open; close it and try again.")
    if "permission denied" in said or "read-only file system" in said:
        return WarehouseError(f"{path} may not be opened by this user; give it the right to read and write there.")
    if any(mark in said for mark in _DAMAGED) or isinstance(error, duckdb.FatalException):
        return WarehouseDamaged(
            f"{path} is damaged or not a warehouse; move it aside and run `matokit extract` and `matokit build`, "
            "which read everything again from the sources (published pages stay readable meanwhile)."
        )
    return error


def disk_full(path: Path) -> DiskFull:
    """The error for a disk that takes no more, at `path`."""
    return DiskFull(
        f"The disk that holds {path.parent} takes no more data; free some space and run the same command again "
        "(nothing that was landed before is lost)."
    )
