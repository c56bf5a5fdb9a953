"""Reading for the daily component health report: its window is cut to the second, so it looks at single events.

Queries of `sql/reports/component_health/`, the marts by their bare names, and the events as the rules read them. Not
here: the numbers made of them (reports/daily/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache

import duckdb
import polars as pl

from matokit_pipelines import __version__, resources
from matokit_pipelines.errors import WarehouseError
from matokit_pipelines.warehouse.alert_evidence import Connection, Row
from matokit_pipelines.warehouse.arrivals import product_watermark
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.event_log import WarehouseLog
from matokit_pipelines.warehouse.refresh import rule_version
from matokit_pipelines.warehouse.snapshots import select


class HealthReading:
    """An open warehouse, for one report. `log`: the events as alert rules read them."""

    def __init__(self, connection: Connection) -> None:
        connection.execute("use marts")
        self.connection = connection
        self.log = WarehouseLog(connection)

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The rows of one select over marts, see reports.shapes.Queryable. WarehouseError when they cannot be had."""
        try:
            return select(self.connection, sql, params)
        except duckdb.Error as error:
            raise _unreadable("The tables of the daily report", error) from error

    def rows(self, query: str, parameters: Mapping[str, object]) -> list[Row]:
        """The rows of `sql/reports/component_health/<query>.sql`, instants in UTC. WarehouseError as above."""
        try:
            cursor = self.connection.execute(_sql(query), dict(parameters))
            names = [column[0] for column in cursor.description or ()]
            found = cursor.fetchall()
        except duckdb.Error as error:
            raise _unreadable(f"The events of the daily report ({query})", error) from error
        return [dict(zip(names, map(_in_utc, row), strict=True)) for row in found]

    @property
    def watermark(self) -> datetime | None:
        """Up to when the sources that count are complete together, UTC."""
        return product_watermark(self.connection)

    @property
    def rule_version(self) -> str:
        """The version of the rules by which the events were read."""
        return rule_version(self.connection)

    @property
    def is_derived(self) -> bool:
        """Whether everything that landed is in the tables."""
        return not self.connection.execute("select 1 from ledger.touched_days limit 1").fetchall()


@contextmanager
def health_reading(warehouse: Warehouse) -> Iterator[HealthReading]:
    """The warehouse opened for reading. WarehouseError when there is none, WarehouseLocked while another writes."""
    with warehouse.reader() as connection:
        yield HealthReading(connection)


@lru_cache(maxsize=16)
def _sql(query: str) -> str:
    return (resources.path("sql") / "reports" / "component_health" / f"{query}.sql").read_text(encoding="utf-8")


def _in_utc(value: object) -> object:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _unreadable(what: str, error: duckdb.Error) -> WarehouseError:
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return WarehouseError(
            f"{what} lack a table or a column, as the tables of another version of matokit do; `matokit build` makes "
            f"those of {__version__}."
        )
    said = str(error).splitlines()[0][:200]
    return WarehouseError(f"{what} could not be read: {said}; run `matokit build` and try again.")
