"""From model.yaml to tables: making them, and making them anew when their columns changed.

Null-ness and keys are held by checks, not by the tables: a broken row is to be named, not to stop an insert half-way.
Not here: the tables of raw and ledger, which migrations make.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from matokit_pipelines.warehouse.models import LAYERS, Model

SCHEMAS = (*LAYERS, "seeds")
_NAMES = {"timestamptz": "TIMESTAMP WITH TIME ZONE"}


def ddl(model: Model) -> str:
    """The `create table` statement of a model."""
    columns = ", ".join(f"{column.name} {column.type}" for column in model.file.columns)
    return f"create table {model.name} ({columns})"


def columns_in_database(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]] | None:
    """Names and types of the columns of `schema.table` in order; None when there is no such table or view."""
    schema, name = table.split(".", 1)
    found = con.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_catalog = current_database() and table_schema = ? and table_name = ? order by ordinal_position",
        [schema, name],
    ).fetchall()
    return [(str(column), str(kind)) for column, kind in found] or None


def ensure_schemas(con: duckdb.DuckDBPyConnection) -> None:
    """Make the schemas that models and seeds live in."""
    found = {str(row[0]) for row in con.execute("select schema_name from information_schema.schemata").fetchall()}
    for schema in SCHEMAS:
        if schema not in found:
            con.execute(f"create schema {schema}")


def ensure_table(con: duckdb.DuckDBPyConnection, model: Model) -> bool:
    """Make the table of `model`, or make it anew when its columns differ; True when it is now empty for that reason.

    Views are made by running their model.
    """
    if model.file.materialisation == "view":
        return columns_in_database(con, model.name) is None
    wanted = [(column.name, _NAMES.get(column.type, column.type.upper())) for column in model.file.columns]
    if columns_in_database(con, model.name) == wanted:
        return False
    con.execute(f"drop table if exists {model.name}")
    con.execute(ddl(model))
    return True


def drop_unknown(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> list[str]:
    """Remove tables and views that no model describes any more, and name them."""
    found = con.execute(
        "select table_schema || '.' || table_name, table_type from information_schema.tables"
        " where table_catalog = current_database() and table_schema in ('staging', 'marts') order by 1"
    ).fetchall()
    gone: list[str] = []
    for name, kind in found:
        model = models.get(name)
        is_view = kind == "VIEW"
        if model is None or is_view != (model.file.materialisation == "view"):
            con.execute(f"drop {'view' if is_view else 'table'} {name}")
            gone.append(str(name))
    return gone
