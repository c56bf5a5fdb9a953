"""Many made-up events read as a build reads them, tables that are not needed left out: for cases of alert rules.

Not here: single events explained in words (reading.py), what the rules make of them (alerts).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.warehouse import schemas, seeds
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.models import Model, Part, in_order, load_models, run_model
from matokit_pipelines.warehouse.seeds import BuildOptions
from matokit_pipelines.windows import local_date, zone_named

WANTED = "staging.installer_events"
_ANY_TIME = datetime(2026, 1, 15, 12, tzinfo=UTC)
LANDED: dict[str, pl.DataType | type[pl.DataType]] = {
    "event_ts": pl.Datetime("us", "UTC"), "category": pl.String, "name": pl.String, "value": pl.Float64,
    "os_raw": pl.String, "architecture_raw": pl.String, "commit_raw": pl.String,
}  # fmt: skip
READ = ("event_ts", "environment", "component", "outcome", "architecture", "commit_sha", "counted")


class EventReader:
    """The tables that staging.installer_events rests on, in memory, for one project zone; nothing is kept."""

    def __init__(self, zone: str) -> None:
        options, root = BuildOptions(project_zone=zone), resources.path("sql")
        self._zone = zone_named(zone)
        self._models = list(_needed())
        self._connection = in_memory(_ANY_TIME)
        schemas.ensure_schemas(self._connection)
        seeds.write_seeds(self._connection, seeds.load_seeds(root / "seeds", options))
        self._connection.execute((root / "macros.sql").read_text(encoding="utf-8"))
        schemas.ensure_tables(self._connection, {model.name: model for model in self._models})

    def close(self) -> None:
        self._connection.close()

    def read(self, landed: pl.DataFrame) -> pl.DataFrame:
        """Rows with the columns of LANDED in, rows with those of READ out, in the same order.

        Evidence on value 0 is what the events give each other, as if no others had ever landed.
        """
        if not len(landed):
            return pl.DataFrame(schema=dict.fromkeys(READ, pl.Null))
        _land(self._connection, landed)
        times = landed["event_ts"].to_list()
        part = Part(local_date(min(times), self._zone), local_date(max(times), self._zone))
        for model in self._models:
            if model.file.materialisation == "view":  # a table, so that what several models read is computed once
                self._connection.execute(f"create or replace table {model.name} as {model.query}")
                continue
            schemas.make_empty(self._connection, model)
            run_model(self._connection, model, part, self._zone)
        found: pl.DataFrame = self._connection.sql(f"select {', '.join(READ)} from {WANTED} order by event_id").pl()
        return found


@lru_cache(maxsize=1)
def _needed() -> tuple[Model, ...]:
    """The models that the wanted one reads, in order, itself last."""
    models = load_models(resources.path("sql"))
    wanted = {WANTED}
    for model in reversed(in_order(models)):
        if model.name in wanted:
            wanted |= set(model.file.reads) & set(models)
    return tuple(model for model in in_order(models) if model.name in wanted)


def _land(connection: duckdb.DuckDBPyConnection, landed: pl.DataFrame) -> None:
    """The events as the only ones landed, with their place as id."""
    given = landed.select(list(LANDED)).cast(LANDED).with_row_index("place")  # type: ignore[arg-type]
    constant = dict(_constants())
    connection.execute("delete from raw.matomo_events")
    connection.register("landed_now", given)
    try:
        connection.execute(
            f"insert into raw.matomo_events (event_id, {', '.join([*LANDED, *constant])})"
            f" select printf('%09d', place), {', '.join(LANDED)}, {', '.join(f'${name}' for name in constant)}"
            " from landed_now",
            constant,
        )
    finally:
        connection.unregister("landed_now")


def _constants() -> Iterator[tuple[str, object]]:
    """What every landed row has beside the event itself."""
    yield from {"source": "cases", "site_id": "1", "visit_id": 1, "visitor_id": "1", "fold_ambiguous": False}.items()
    yield "action", "Event"
    yield from dict.fromkeys(("visit_first_ts", "visit_last_ts", "landed_at", "changed_at"), _ANY_TIME).items()
