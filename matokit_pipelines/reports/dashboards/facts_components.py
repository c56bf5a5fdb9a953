"""The facts of the dashboard of components: windows for its tables, error types and days for those that lead a choice.

Not here: components beside CI (facts_commits.py).
"""

from __future__ import annotations

import polars as pl

from matokit_pipelines.reports.dashboards.facts_names import (
    CHOICES,
    ERROR_TYPES,
    SYSTEM,
    Limits,
    Made,
    added,
    beyond,
    indexed,
    leaders,
    placed,
    shortened,
)
from matokit_pipelines.reports.dashboards.facts_systems import LONGEST_WINDOW, Systems
from matokit_pipelines.reports.dashboards.widgets import WINDOWS
from matokit_pipelines.reports.shapes import Queryable

LINES = 5  # components with a line in widget 3.3
BARS = 10  # components with a bar in widget 3.2
_GROUP = ["window", "environment"]
_KEYS = [*_GROUP, "architecture", "os"]
_COUNTS = ["events", "failures", "machines", "machines_failing"]

_WINDOWS = """
select
    cast(window_days as bigint) as "window",
    environment,
    architecture,
    os_family,
    os_release,
    component,
    events,
    failures,
    machines,
    machines_failing
from marts.system_window
where component <> 'all'
    and window_days in (select unnest($windows))
"""

ERRORS = """
select
    cast(window_days as bigint) as "window",
    environment,
    architecture,
    os_family,
    os_release,
    component,
    error_type,
    failures
from marts.error_system_window
where component <> 'all'
    and window_days in (select unnest($windows))
"""

_DAYS = """
select
    last_complete_day - event_date as day,
    environment,
    architecture,
    os_family,
    os_release,
    component,
    events,
    failures
from marts.system_daily
cross join marts.project_day
where event_date between last_complete_day - cast($days as integer) + 1 and last_complete_day
    and component in (select unnest($components))
"""


def component_analysis(snapshot: Queryable, systems: Systems, limits: Limits) -> Made | None:
    """`components` holds each with a place of its own and the others together, which have no machines: a machine that
    tried two of them would be counted twice. `errors` and `component_days` hold only what a choice can show.

    None when the days would have more rows than the limits allow.
    """
    counts = systems.indexed(snapshot.query(_WINDOWS, {"windows": list(WINDOWS)}))
    counts = added(counts, [*_KEYS, "component"], _COUNTS)
    kept = _kept(counts, limits.components)
    named = counts.join(kept, on=kept.columns, how="semi")
    rest = counts.join(kept, on=kept.columns, how="anti")
    lines = leaders(named, _GROUP, "events", "component", LINES)
    if limits.rows is not None and _expected_days(named, lines) > limits.rows:
        return None
    days = _days(snapshot, systems, lines)
    errors, error_types = _errors(snapshot, systems, kept)
    names = kept["component"].unique().sort().to_list()
    together = added(rest, _KEYS, ["events", "failures"]).with_columns(pl.lit(None, pl.String).alias("component"))
    tables = {
        "components": pl.concat([named, together], how="diagonal"),
        "errors": errors,
        "component_days": days,
    }
    order = [*_KEYS, "component"]
    found = {
        name: indexed(table, "component", names, len(names)).sort(
            [column for column in (*order, "error_type", "day") if column in table.columns]
        )
        for name, table in tables.items()
    }
    found["components_beyond"] = beyond(rest, _GROUP, "component")
    return Made(found, {"component": shortened(names), "error_type": shortened(error_types)})


def _kept(counts: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Window, environment and component of those with a place of their own: the five with most events, then those with
    most failures."""
    sums = added(counts, [*_GROUP, "component"], ["events", "failures"])
    by_events = placed(sums, _GROUP, ["events"], ["component"]).with_columns((pl.col("place") >= LINES).alias("later"))
    ordered = by_events.sort("later", "failures", "events", "component", descending=[False, True, True, False])
    place = pl.int_range(pl.len()).over(_GROUP)
    return ordered.filter(place < limit).select(*_GROUP, "component").sort(*_GROUP, "component")


def _expected_days(counts: pl.DataFrame, lines: list[pl.DataFrame]) -> int:
    """How many rows `_days` would give, or a few more: a cell has at most a row a day and at most one an event."""
    cells = pl.concat([counts.join(top, on=top.columns, how="semi") for top in lines])
    days = cells.group_by("environment", *SYSTEM, "component").agg(pl.min_horizontal("window", "events").max())
    return int(days["window"].sum())


def _days(snapshot: Queryable, systems: Systems, lines: list[pl.DataFrame]) -> pl.DataFrame:
    """Days of the components that have most events in some choice, as far back as the window of that choice."""
    lines = [
        top.group_by(*choice, "environment", "component").agg(pl.col("window").max())
        for choice, top in zip(CHOICES, lines, strict=True)
    ]
    wanted = sorted({name for top in lines for name in top["component"]})
    rows = snapshot.query(_DAYS, {"days": LONGEST_WINDOW, "components": wanted})
    keys = ["environment", "architecture", "os", "component", "day"]
    days = added(systems.indexed(rows), keys, ["events", "failures"])
    shown = [
        days.join(top, on=[*choice, "environment", "component"]).filter(pl.col("day") < pl.col("window"))
        for choice, top in zip(CHOICES, lines, strict=True)
    ]
    return pl.concat([part.select(days.columns) for part in shown]).unique()


def _errors(snapshot: Queryable, systems: Systems, kept: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Failures by error type of the components that have most of them in some choice, and the error types."""
    rows = systems.indexed(snapshot.query(ERRORS, {"windows": list(WINDOWS)}))
    rows = rows.join(kept, on=kept.columns, how="semi")
    tops = leaders(rows, _GROUP, "failures", "component", BARS)
    shown = pl.concat([rows.join(top, on=top.columns, how="semi") for top in tops]).unique()
    return error_types_indexed(shown, [*_KEYS, "component"])


def error_types_indexed(rows: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, list[str]]:
    """Failures by key and place of the error type, and the error types with a place of their own: those with most
    failures in the longest window."""
    longest = rows.filter(pl.col("window") == LONGEST_WINDOW)
    ranked = placed(added(longest, ["error_type"], ["failures"]), [], ["failures"], ["error_type"])
    names = sorted(ranked["error_type"].head(ERROR_TYPES))
    keys = [*keys, "error_type"]
    return added(indexed(rows, "error_type", names, len(names)), keys, ["failures"]).sort(keys), names
