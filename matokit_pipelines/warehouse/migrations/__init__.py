"""Versions of the raw and ledger tables: `NNNN_name.sql` beside this file, each applied once, in order.

Not here: staging and marts, which are made from `sql/` and rebuilt when their definition changes.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from matokit_pipelines.errors import WarehouseError

_HERE = Path(__file__).parent


def scripts() -> list[tuple[int, str, Path]]:
    """`(version, name, file)` of every migration, in order; versions run from 1 without a gap."""
    found = sorted(_HERE.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [(int(file.stem[:4]), file.stem[5:], file) for file in found]


def is_current(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a file has the newest raw and ledger tables."""
    rows = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'main' and table_name = 'schema_version'"
    ).fetchall()
    if not rows:
        return False
    return bool(connection.execute("select max(version) from schema_version").fetchall()[0][0] == scripts()[-1][0])


def migrate(connection: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """Apply what is missing, each version in its own transaction; returns the version reached.

    WarehouseError when the file was made by a newer version of this software.
    """
    connection.execute(
        "create table if not exists schema_version "
        "(version integer not null, name varchar not null, applied_at timestamptz not null)"
    )
    at = connection.execute("select coalesce(max(version), 0) from schema_version").fetchall()[0][0]
    known = scripts()
    if at > known[-1][0]:
        raise WarehouseError(
            f"The warehouse was written by a newer matokit (tables version {at}, this one knows {known[-1][0]}); "
            "install that version again."
        )
    for version, name, file in known:
        if version > at:
            connection.execute("begin")
            connection.execute(file.read_text(encoding="utf-8"))
            connection.execute("insert into schema_version values (?, ?, ?)", [version, name, now])
            connection.execute("commit")
    return known[-1][0]
