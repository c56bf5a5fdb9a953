"""Published snapshots: immutable copies of the marts that reports and servers read while the next one is built.

Each snapshot has a file name never used before, because a process that still has an old file open under a reused
name is given the old data for ever. `serving/CURRENT` names the newest. Not here: what the marts hold.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import duckdb
import polars as pl

from matokit_pipelines import __version__, resources
from matokit_pipelines.errors import NothingPublished, SnapshotDamaged, WarehouseDamaged
from matokit_pipelines.warehouse.connection import Warehouse, translated

KEPT = 3
_NAME = re.compile(r"^marts-(\d+)\.duckdb$")
# Of a short question to small tables the planning is most of the cost. These steps of it pay off over large tables
# only; none of them changes which rows come back.
_FOR_LARGE_TABLES = (
    "statistics_propagation,compressed_materialization,join_order,common_subplan,join_elimination,"
    "projection_placement,duplicate_groups,reorder_filter"
)


@dataclass(frozen=True)
class Manifest:
    """What a snapshot says about itself. `watermark`: up to where all sources are known complete, UTC."""

    generation: int
    published_at: datetime
    code_version: str
    rule_version: str
    project_zone: str
    watermark: datetime | None
    rows: Mapping[str, int]


class Snapshot:
    """One open snapshot. Bare table names are marts; the macros of sql/macros.sql are there too."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, manifest: Manifest, path: Path) -> None:
        self._connection = connection
        self.manifest = manifest
        self.path = path

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The rows of one select; parameters are written `$name`. Times are in UTC.

        NothingPublished when a table or column lacks because another version made the snapshot.
        """
        try:
            return select(self._connection, sql, params)
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            if self.manifest.code_version == __version__:
                raise
            raise NothingPublished(
                f"The snapshot in service was made by matokit {self.manifest.code_version}; `matokit build` makes one "
                f"of {__version__}."
            ) from error

    def rows(self, sql: str) -> list[dict[str, object]]:
        """The rows of one statement as dicts, see `rows_of`."""
        return rows_of(self._connection, sql)


def select(connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
    """The rows of one select on any connection, as a frame. Not `pl.DataFrame(relation)`: that leaks at exit."""
    relation = connection.sql(sql, params=dict(params) if params else None)
    frame: pl.DataFrame = relation.pl()
    return frame


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    """The rows of any one statement as dicts, for printing: keeps types that a frame has no place for.

    Of columns of one name the later ones are told apart by a number: `n`, `n_2`, `n_3`.
    """
    cursor: duckdb.DuckDBPyConnection | None = connection.execute(sql)
    if cursor is None:
        return []  # nothing but blanks or comments
    names = _told_apart([column[0] for column in cursor.description or []])
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names with a number after those that came before, which makes none of another column's."""
    given: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(2))
        new = next(one for one in numbered if one not in given and one not in names) if name in given else name
        given[new] = None
    return list(given)


def serving_folder(home: Path) -> Path:
    """Where the snapshots of a home lie."""
    return home / "serving"


def publish(warehouse: Warehouse, *, code_version: str, rule_version: str, project_zone: str) -> Manifest:
    """Copy the committed marts into a new snapshot and make it the current one.

    The warehouse must not be open in this process. A crash leaves the previous snapshot in service.
    """
    folder = serving_folder(warehouse.home)
    with warehouse.exclusive(), translated(folder / "CURRENT"):
        folder.mkdir(parents=True, exist_ok=True)
        generation = _next_generation(folder)
        building = folder / f".tmp-{generation}-{os.getpid()}.duckdb"
        for leftover in folder.glob(".tmp-*"):
            leftover.unlink()
        building.touch()  # DuckDB, which takes no empty file, would not say which folder may not be written to
        building.unlink()
        with translated(warehouse.path):
            manifest = _build(warehouse, building, generation, code_version, rule_version, project_zone)
        target = folder / f"marts-{generation}.duckdb"
        _sync(building)
        building.rename(target)
        _point_to(folder, target.name)
        _prune(folder, target.name)
    return manifest


@contextmanager
def open_current(home: Path) -> Iterator[Snapshot]:
    """The newest snapshot of a home, read-only. NothingPublished when there is none.

    Attached to a database of its own in memory: opened as the database itself, one process could not open it twice,
    since the settings would be locked for all at the first time.
    """
    with open_cursors(home, 0) as opened:
        yield Snapshot(opened.connection, opened.manifest, opened.path)


@dataclass(frozen=True)
class Opened:
    """One open snapshot: its connection, and further ones to the same file for other threads."""

    connection: duckdb.DuckDBPyConnection
    cursors: tuple[duckdb.DuckDBPyConnection, ...]
    manifest: Manifest
    path: Path


@contextmanager
def open_cursors(home: Path, number: int) -> Iterator[Opened]:
    """As `open_current`, with `number` connections more. All are made at once: after that the settings are locked.

    With more connections it is for many short questions at once: each is planned plainly and worked out by one thread.
    """
    path = current_file(home)
    with _readable(path):
        connection = duckdb.connect()
        try:
            file = str(path).replace("'", "''")  # ATTACH takes no parameters; the path is ours
            connection.execute("set timezone = 'UTC'")
            if number:
                connection.execute("set threads = 1")
                connection.execute(f"set disabled_optimizers = '{_FOR_LARGE_TABLES}'")
            connection.execute(f"attach '{file}' as snapshot (read_only)")
            cursors = tuple(connection.cursor() for _ in range(number))
            for one in (connection, *cursors):  # a setting is one connection's
                one.execute("set timezone = 'UTC'")
                one.execute("set search_path = 'snapshot.marts,snapshot.main'")
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            manifest = _read_manifest(connection)
        except BaseException:
            connection.close()
            raise
    try:
        yield Opened(connection, cursors, manifest, path)
    finally:
        for one in (*cursors, connection):
            one.close()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with translated(path):
            yield
    except WarehouseDamaged as error:
        raise SnapshotDamaged(
            f"The snapshot {path} is damaged; run `matokit build`, which publishes a new one from the warehouse."
        ) from error


def current_file(home: Path) -> Path:
    """The file that `serving/CURRENT` names; NothingPublished when nothing was published."""
    pointer = serving_folder(home) / "CURRENT"
    try:
        path = serving_folder(home) / pointer.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError as error:
        raise NothingPublished(f"Nothing has been published in {home} yet; run `matokit run` first.") from error
    if not _NAME.match(path.name) or not path.is_file():
        raise NothingPublished(f"{pointer} names no snapshot that is there; run `matokit build` to publish again.")
    return path


def _build(
    warehouse: Warehouse, target: Path, generation: int, code_version: str, rule_version: str, project_zone: str
) -> Manifest:
    connection = duckdb.connect(target)
    try:
        connection.execute("set timezone = 'UTC'")
        source = str(warehouse.path).replace("'", "''")  # ATTACH takes no parameters; the path is ours
        connection.execute(f"attach '{source}' as warehouse (read_only)")
        connection.execute("create schema marts")
        # sums of counts need rates again, and a reader has no other place to find them
        connection.execute((resources.path("sql") / "macros.sql").read_text(encoding="utf-8"))
        rows: dict[str, int] = {}
        for (table,) in connection.execute(
            "select table_name from duckdb_tables() "
            "where database_name = 'warehouse' and schema_name = 'marts' order by 1"
        ).fetchall():
            name = '"' + table.replace('"', '""') + '"'
            connection.execute(f"create table marts.{name} as select * from warehouse.marts.{name}")
            rows[table] = connection.execute(f"select count(*) from marts.{name}").fetchall()[0][0]
        mark = connection.execute("select watermark from warehouse.ledger.product_watermark").fetchall()[0][0]
        manifest = Manifest(
            generation,
            warehouse.clock.now(),
            code_version,
            rule_version,
            project_zone,
            mark and mark.astimezone(UTC),
            rows,
        )
        values = {**asdict(manifest), "rows": json.dumps(rows)}
        connection.execute(
            "create table main.manifest (generation bigint, published_at timestamptz, code_version varchar, "
            "rule_version varchar, project_zone varchar, watermark timestamptz, rows varchar)"
        )
        connection.execute("insert into main.manifest values (?, ?, ?, ?, ?, ?, ?)", list(values.values()))
        connection.execute("detach warehouse")
        connection.execute("checkpoint")
    finally:
        connection.close()
    return manifest


def _read_manifest(connection: duckdb.DuckDBPyConnection) -> Manifest:
    columns = "generation, published_at, code_version, rule_version, project_zone, watermark, rows"
    row = connection.execute(f"select {columns} from snapshot.main.manifest").fetchall()[0]
    published, mark = row[1].astimezone(UTC), row[5].astimezone(UTC) if row[5] else None
    return Manifest(row[0], published, row[2], row[3], row[4], mark, json.loads(row[6]))


def _next_generation(folder: Path) -> int:
    numbers = [int(match[1]) for file in folder.iterdir() if (match := _NAME.match(file.name))]
    pointer = folder / "CURRENT"
    if pointer.exists() and (match := _NAME.match(pointer.read_text(encoding="utf-8", errors="replace").strip())):
        numbers.append(int(match[1]))
    return max(numbers, default=0) + 1


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point_to(folder: Path, name: str) -> None:
    fresh = folder / "CURRENT.new"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / "CURRENT")
    _sync(folder)


def _prune(folder: Path, current: str) -> None:
    files = sorted(
        (file for file in folder.iterdir() if _NAME.match(file.name)),
        key=lambda file: int(_NAME.match(file.name)[1]),  # type: ignore[index]
    )
    for file in files[:-KEPT]:
        if file.name != current:
            file.unlink()
