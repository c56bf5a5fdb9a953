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


def make_empty(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make a table anew: deleting all rows of a large one would keep them until the end of the transaction."""
    con.execute(f"drop table if exists {model.name}")
    con.execute(ddl(model))


def columns_in_database(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    """Names and types of the columns, in order, of every `schema.table` in our schemas."""
    found = con.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns()"
        " where database_name = current_database() and list_contains(?, schema_name) order by column_index",
        [list(SCHEMAS)],
    ).fetchall()
    tables: dict[str, list[tuple[str, str]]] = {}
    for schema, table, column, kind in found:
        tables.setdefault(f"{schema}.{table}", []).append((str(column), str(kind)))
    return tables


def ensure_schemas(con: duckdb.DuckDBPyConnection) -> None:
    """Make the schemas that models and seeds live in."""
    for schema in SCHEMAS:
        con.execute(f"create schema if not exists {schema}")


def ensure_tables(con: duckdb.DuckDBPyConnection, models: Mapping[str, Model]) -> set[str]:
    """Make the tables of `models`, or make them anew where their columns differ; names those that are now empty.

    A view that is not there is named too; running its model makes it.
    """
    there = columns_in_database(con)
    made: set[str] = set()
    for model in models.values():
        wanted = [(column.name, _NAMES.get(column.type, column.type.upper())) for column in model.file.columns]
        is_view = model.file.materialisation == "view"
        if model.name in there and (is_view or there[model.name] == wanted):
            continue
        made.add(model.name)
        if not is_view:
            make_empty(con, model)
    return made


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
