"""Counted events beyond the watermark: what is landed there already, and real-time rows, read as a build reads them.

Incomplete by nature; nothing of it is kept. Not here: fetching real-time rows (piwik_pro_pass.py), what is said of them
(alerts/provisional.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.warehouse import schemas, seeds
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.event_columns import NONE, Events, microseconds
from matokit_pipelines.warehouse.models import Part, load_models, run_model
from matokit_pipelines.warehouse.seeds import BuildOptions
from matokit_pipelines.windows import ONE_DAY, local_date, zone_named

ROWS = "raw.piwik_pro_provisional"
_EVIDENCE, _WANTED = "staging.zero_evidence", "staging.installer_events"
_VIEWS = ("staging.landed_events", "staging.event_readings")
_READ = """
    select
        event_ts,
        outcome = 'failure' as failed,
        component,
        architecture,
        commit_sha,
        -- the same identity as that of complete events (sql/alerts/events.sql), so that retries fold
        hash(coalesce(machine_key, 'event-' || left(md5(source || '|' || site_id || '|' || event_id), 16))) as machine
    from staging.installer_events
    where counted and environment = $environment and event_ts >= $start_ts and event_ts < $end_ts
        and not list_contains($without, source)
    order by event_ts, failed, source, site_id, event_id
"""


def events_beyond(
    connection: duckdb.DuckDBPyConnection, options: BuildOptions, environment: str, *, complete_to: datetime,
    until: datetime,
) -> Events:  # fmt: skip
    """The events of `[complete_to, until)` as far as they are known.

    A source with real-time rows speaks by these alone there: the ids of its landed events are other ones.
    """
    window = {"environment": environment, "start_ts": complete_to, "end_ts": until}
    live = connection.execute(
        f"select distinct source from {ROWS} where event_ts >= $start_ts and event_ts < $end_ts order by 1",
        {name: window[name] for name in ("start_ts", "end_ts")},
    ).fetchall()
    sources = [row[0] for row in live]
    rows = connection.execute(_READ, window | {"without": sources}).fetchall()
    if sources:
        with _read_here(connection, options, complete_to, until) as reading:
            rows += reading.execute(_READ, window | {"without": []}).fetchall()
    return _columns(rows)


def merged(earlier: Events, later: Events) -> Events:
    """Two stretches of events as one."""
    columns: dict[str, Any] = {}
    for name, names in (("component", "components"), ("architecture", "architectures"), ("commit", "commits")):
        known = sorted({*getattr(earlier, names), *getattr(later, names)})
        columns[names] = known
        columns[name] = [
            known.index(getattr(part, names)[code]) if code != NONE else NONE
            for part in (earlier, later)
            for code in getattr(part, name).tolist()
        ]
    plain = {
        name: [*getattr(earlier, name).tolist(), *getattr(later, name).tolist()] for name in ("ts", "failed", "machine")
    }
    return Events.of(**plain, **columns)


@contextmanager
def _read_here(
    connection: duckdb.DuckDBPyConnection, options: BuildOptions, start: datetime, end: datetime
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The real-time rows as staging.installer_events of a warehouse in memory, with the evidence of the whole one."""
    root = resources.path("sql")
    models = load_models(root)
    wanted = {name: models[name] for name in (*_VIEWS, _EVIDENCE, _WANTED)}
    zone = zone_named(options.project_zone)
    rows: pl.DataFrame = connection.sql(
        f"select * exclude (seen_at) from {ROWS} where event_ts >= $start_ts and event_ts < $end_ts",
        params={"start_ts": start, "end_ts": end},
    ).pl()
    columns = ", ".join(column.name for column in models[_EVIDENCE].file.columns)
    evidence: pl.DataFrame = connection.sql(f"select {columns} from {_EVIDENCE}").pl()
    with in_memory(end) as here:
        schemas.ensure_schemas(here)
        seeds.write_seeds(here, seeds.load_seeds(root / "seeds", options))
        here.execute((root / "macros.sql").read_text(encoding="utf-8"))
        schemas.ensure_tables(here, wanted)
        here.register("known", evidence)
        here.execute(f"insert into {_EVIDENCE} by name from known")
        here.register("rows", rows)
        here.execute(
            "insert into raw.piwik_pro_events by name select *, event_id as session_id, "
            "$end::timestamptz as landed_at, $end::timestamptz as changed_at from rows",
            {"end": end},
        )
        for view in _VIEWS:
            run_model(here, models[view], None, zone)
        part = Part(local_date(start, zone) - ONE_DAY, local_date(end, zone) + ONE_DAY)
        run_model(here, models[_WANTED], part, zone)
        yield here


def _columns(rows: Sequence[tuple[Any, ...]]) -> Events:
    times, failed, components, architectures, commits, machines = zip(*rows, strict=True) if rows else ((),) * 6
    names = [sorted(set(column) - {None}) for column in (components, architectures, commits)]
    component, architecture, commit = (
        [known.index(value) if value is not None else NONE for value in column]
        for known, column in zip(names, (components, architectures, commits), strict=True)
    )
    return Events.of(
        ts=[microseconds(at) for at in times], failed=failed, machine=machines, component=component,
        components=names[0], architecture=architecture, architectures=names[1], commit=commit, commits=names[2],
    )  # fmt: skip
