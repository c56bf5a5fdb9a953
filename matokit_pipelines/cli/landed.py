"""The raw tables of all kinds of sources as one, for commands that must work before anything was derived.

Not here: what the events mean (sql/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

_LANDED = """
with landed as (
    select source, event_ts, category, name, commit_raw, vanished_at from raw.matomo_events
    union all
    select source, event_ts, category, name, commit_raw, vanished_at from raw.piwik_pro_events
)
"""


def rows(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    """The rows of one select as dicts."""
    from matokit_pipelines.warehouse.snapshots import select

    return select(connection, sql, params).to_dicts()


def rows_of_landed(
    connection: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    """Like `rows`, with `landed` as a table. `sql` is a select, or a comma, further common tables and a select."""
    return rows(connection, f"{_LANDED}{sql}", params)


def has_table(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Whether a derived table was made already."""
    found = connection.execute(
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]
    ).fetchall()
    return bool(found)
