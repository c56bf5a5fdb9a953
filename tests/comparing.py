"""Rows that the product gives beside rows of plain Python, cell by cell.

Not here: what any of them means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.reports.shapes import Queryable
from matokit_pipelines.warehouse.models import load_models
from matokit_pipelines.warehouse.snapshots import select

Rows = list[dict[str, Any]]
MODELS = load_models(resources.path("sql"))


class Marts:
    """A built warehouse asked as a snapshot is."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        return select(self._connection, sql, params)


def assert_rows(found: pl.DataFrame, expected: Rows, about: str) -> None:
    """The same columns, rows and order."""
    assert found.height == len(expected), about
    assert not expected or found.columns == list(expected[0]), about
    for line, (ours, theirs) in enumerate(zip(found.to_dicts(), expected, strict=True)):
        for column, cell in theirs.items():
            assert same(ours[column], cell), f"{about}, line {line}, {column}: {ours} is not {theirs}"


def assert_rows_by_key(marts: Queryable, name: str, expected: Rows, where: str = "") -> None:
    """A mart has these rows and no other; only the columns that are expected are looked at."""
    columns = ", ".join(expected[0]) if expected else "*"
    key = [column.name for column in MODELS[f"marts.{name}"].file.columns if column.key]
    found = marts.query(f"select {columns} from marts.{name} {where}").to_dicts()
    ours, theirs = ({tuple(row[column] for column in key): row for row in rows} for rows in (found, expected))
    assert len(ours) == len(found), f"{name}: a key is there twice"
    assert ours.keys() == theirs.keys(), f"{name}: {sorted(map(str, ours.keys() ^ theirs.keys()))[:5]} in one of both"
    for at, row in theirs.items():
        for column, cell in row.items():
            assert same(ours[at][column], cell), f"{name} {at} {column}: {ours[at]} is not {row}"


def same(found: Any, expected: Any) -> bool:
    """Equal, apart from the last digits of a fraction; null is neither 0 nor false."""
    if isinstance(expected, float):
        return isinstance(found, float) and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)
    return type(found) is type(expected) and bool(found == expected)
