"""What the warehouse knows around an alert: the queries of `sql/alerts_evidence/`, each bound to a stretch of time.

Rows out, in UTC. Not here: which stretch and scope an alert has, and what follows from the rows (alerts).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import duckdb

from matokit_pipelines import resources
from matokit_pipelines.errors import WarehouseError
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.windows import Window

Connection = duckdb.DuckDBPyConnection
Row = Mapping[str, Any]


def rows(connection: Connection, query: str, parameters: Mapping[str, object]) -> list[Row]:
    """The rows of `sql/alerts_evidence/<query>.sql`, instants in UTC. WarehouseError when they cannot be had."""
    try:
        cursor = connection.execute(_sql(query), dict(parameters))
        names = [column[0] for column in cursor.description or ()]
        found = cursor.fetchall()
    except duckdb.Error as error:
        said = str(error).splitlines()[0][:200]
        raise WarehouseError(f"What surrounds an alert ({query}) could not be read: {said}") from error
    return [dict(zip(names, map(_in_utc, row), strict=True)) for row in found]


def troubled(connection: Connection, now: datetime, window: Window) -> list[tuple[str, Window]]:
    """(source, stretch) of readings that did not add up within `window`. WarehouseError as above."""
    try:
        names = [row[0] for row in connection.execute("select source from ledger.sources order by source").fetchall()]
        found = [(name, one) for name in names for one in ledger.troubled_windows(connection, name, now)]
    except duckdb.Error as error:
        said = str(error).splitlines()[0][:200]
        raise WarehouseError(f"The windows that do not add up could not be read: {said}") from error
    return [
        (name, Window(max(one.start, window.start), min(one.end, window.end)))
        for name, one in found
        if one.start < window.end and one.end > window.start
    ]


@lru_cache(maxsize=32)
def _sql(query: str) -> str:
    return (resources.path("sql") / "alerts_evidence" / f"{query}.sql").read_text(encoding="utf-8")


def _in_utc(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
