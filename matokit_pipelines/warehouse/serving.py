"""The snapshot in service, kept open for many readers at once, and changed for the next one under their hands.

The pointer is looked at four times a second at most. A new file is opened and asked once before it takes the place of
the old one, which stays open until its last reader is done. A file that does not open leaves the old one in service.
Not here: what is asked (toolserver/, reports/).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from matokit_pipelines.clock import Clock
from matokit_pipelines.errors import MatokitError, NothingPublished, SnapshotDamaged
from matokit_pipelines.warehouse.snapshots import Manifest, Opened, current_file, open_cursors

_LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.25
# a block whose checksum is wrong raises the bare one
_DAMAGE = {
    duckdb.Error, duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException
}  # fmt: skip
_INSTANT = duckdb.sqltypes.TIMESTAMP_TZ
MOST_PARSED = 500


class _Cursor:
    """A cursor and what it has parsed: the same few questions come again and again."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._parsed: dict[str, Any] = {}

    def execute(self, sql: str, params: Mapping[str, Any] | None) -> duckdb.DuckDBPyConnection:
        """Ask one select; the connection holds its rows."""
        statement = self._parsed.get(sql)
        if statement is None:
            if len(self._parsed) >= MOST_PARSED:
                self._parsed.clear()
            statement = self._parsed[sql] = self._connection.extract_statements(sql)[0]
        return self._connection.execute(statement, dict(params) if params else None)


class _Held:
    """One open snapshot and how many read it now."""

    def __init__(self, opened: Opened, closing: ExitStack) -> None:
        self.manifest = opened.manifest
        self.path = opened.path
        self.close = closing.close
        self.readers = 0
        self.is_retired = False
        self.idle: queue.SimpleQueue[_Cursor] = queue.SimpleQueue()
        for cursor in opened.cursors:
            self.idle.put(_Cursor(cursor))


class SnapshotStore:
    """The newest snapshot of a home, for any number of threads.

    `trouble`: why what was published last is not in service, in a sentence; None when all is well. Each change of it
    is in the log.
    """

    def __init__(self, home: Path, clock: Clock, *, readers: int = 4, look_seconds: float = LOOK_SECONDS) -> None:
        self._home = home
        self._readers = readers
        self._clock = clock
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._held: _Held | None = None
        self._looked: datetime | None = None
        self.trouble: str | None = None

    @property
    def generation(self) -> int:
        """The number of the snapshot in service, as of the last look; 0 when there is none. Costs nothing."""
        held = self._held
        return held.manifest.generation if held else 0

    @property
    def manifest(self) -> Manifest:
        """What the snapshot in service says about itself; NothingPublished when there is none."""
        with self.reading() as reader:
            return reader.manifest

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of one select from one snapshot; see `Reader.rows`."""
        with self.reading() as reader:
            return reader.rows(sql, params)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One snapshot for several questions, the same one for all of them. NothingPublished, SnapshotDamaged."""
        held = self._taken()
        try:
            cursor = held.idle.get()  # the one that waits longest is next
            try:
                yield Reader(cursor, held.manifest)
            finally:
                held.idle.put(cursor)
        finally:
            self._given_back(held)

    def look(self) -> None:
        """Look at the pointer, unless that was done just now. Raises nothing; see `trouble`."""
        self._look()

    def close(self) -> None:
        """Close what nobody reads any more; what is being read is closed by its last reader."""
        with self._lock:
            held, self._held = self._held, None
        if held:
            self._retire(held)

    # -- changing -----------------------------------------------------------------------------------------------------

    def _taken(self) -> _Held:
        self._look()
        with self._lock:
            if self._held is None:
                raise NothingPublished(
                    self.trouble or f"Nothing is published in {self._home}; run `matokit run` first."
                )
            self._held.readers += 1
            return self._held

    def _given_back(self, held: _Held) -> None:
        with self._lock:
            held.readers -= 1
            done = held.is_retired and held.readers == 0
        if done:
            held.close()

    def _look(self) -> None:
        if self._held is None:  # the first readers wait for the one that opens
            with self._opening:
                if self._held is None and self._is_time():
                    self._change()
        elif self._is_time() and self._opening.acquire(blocking=False):  # later ones go on with the old
            try:
                self._change()
            finally:
                self._opening.release()

    def _is_time(self) -> bool:
        """Whether nobody looked a moment ago; who is told so looks."""
        now = self._clock.now()
        with self._lock:
            looked = self._looked
            if looked is not None and abs((now - looked).total_seconds()) < self._look_seconds:
                return False
            self._looked = now
            return True

    def _change(self) -> None:
        held = self._held
        try:
            if held is not None and held.path == current_file(self._home):
                self._tell(None)
                return
            fresh = self._opened()
        except MatokitError as error:
            self._tell(str(error))
            return
        with self._lock:
            self._held = fresh
        self._tell(None)
        if held:
            self._retire(held)

    def _tell(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            if trouble:
                _LOG.warning("What was published last is not in service: %s", trouble)
            else:
                _LOG.info("What was published last is in service again")
        self.trouble = trouble

    def _opened(self) -> _Held:
        with ExitStack() as stack:
            opened = stack.enter_context(open_cursors(self._home, self._readers))
            try:
                opened.connection.execute("select generation from main.manifest").fetchall()
            except duckdb.Error as error:
                raise SnapshotDamaged(
                    f"The snapshot {opened.path} is damaged; run `matokit build`, which publishes a new one."
                ) from error
            return _Held(opened, stack.pop_all())

    def _retire(self, held: _Held) -> None:
        with self._lock:
            held.is_retired = True
            done = held.readers == 0
        if done:
            held.close()


class Reader:
    """One snapshot, read by one thread. Bare table names are marts; the macros of sql/macros.sql are there too."""

    def __init__(self, cursor: _Cursor, manifest: Manifest) -> None:
        self._cursor = cursor
        self.manifest = manifest

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows of one select as dicts; parameters are written `$name`. Instants are aware and in UTC.

        NothingPublished when a table lacks because another version made the snapshot, SnapshotDamaged when the file
        does not give its rows.
        """
        try:
            asked = self._cursor.execute(sql, params)
            rows = asked.fetchall()
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise NothingPublished(
                f"The snapshot in service was made by matokit {self.manifest.code_version} and lacks a table; "
                "`matokit build` makes a new one."
            ) from error
        except duckdb.Error as error:
            if type(error) not in _DAMAGE:
                raise
            raise SnapshotDamaged(
                f"Snapshot {self.manifest.generation} cannot be read ({type(error).__name__}); run `matokit build`, "
                "which publishes a new one."
            ) from error
        columns = asked.description or []
        names = [column[0] for column in columns]
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for name in [column[0] for column in columns if column[1] == _INSTANT]:
            for one in found:
                one[name] = _in_utc(one[name])
        return found

    def has(self, table: str) -> bool:
        """Whether the snapshot holds that mart."""
        return table in self.manifest.rows


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)
