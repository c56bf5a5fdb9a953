"""Whether tables hold the same rows: their number, and the sum of a hash of each. Prints JSON by table.

Columns are taken in the types that model.yaml gives them, numbers with a point to nine digits, so that another engine
may add in another order. Not here: who made the tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import duckdb

from matokit_pipelines import resources
from matokit_pipelines.warehouse.models import Column, load_models


def text_of(column: Column) -> str:
    """The column, so that equal values have equal hashes."""
    if column.type == "double":
        return f"printf('%.9g', cast({column.name} as double))"
    return f"cast({column.name} as {column.type})"


def sums_of(connection: duckdb.DuckDBPyConnection, tables: dict[str, str]) -> dict[str, list[str]]:
    """By model (name -> where its rows are read from): number of rows, sum of their hashes."""
    models = load_models(resources.path("sql"))
    found: dict[str, list[str]] = {}
    for name, place in tables.items():
        columns = ", ".join(text_of(column) for column in models[name].file.columns)
        rows = connection.execute(f"select count(*), sum(hash({columns})) from {place}").fetchall()[0]
        found[name] = [str(value) for value in rows]
    return found


def main() -> None:
    """Print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("place", type=Path, help="a DuckDB file, or a folder of Parquet files named after the models")
    options.add_argument("models", nargs="+")
    chosen = options.parse_args()
    if chosen.place.is_dir():
        connection = duckdb.connect()
        tables = {name: f"read_parquet('{chosen.place / name}.parquet')" for name in chosen.models}
    else:
        connection = duckdb.connect(str(chosen.place), read_only=True)
        tables = {name: name for name in chosen.models}
    connection.execute("set timezone = 'UTC'")
    print(json.dumps(sums_of(connection, tables)))


if __name__ == "__main__":
    main()
