"""What the facts in the dashboards' pages weigh: bytes in the page and seconds to make them, at three sites.

`simulated`: 5,000 events a day for 130 days from the simulator, landed and derived as always. The other two are marts
made up by SQL, without events under them: `names` with 10,000 components at 5,000 events a day, `vendor` with 1,000,000
events a day on 240 systems in four environments, with 2,000 commits in 90 days, where every cell that can be filled is.
`python benchmarks/dashboards.py [--sites simulated names vendor] [--json FILE]`. Not here: drawing the pages.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from matokit_pipelines.reports.dashboards.facts import BUDGET, facts, packed
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.simulator import generate
from tests.comparing import Marts
from tests.dashboard_marts import WATERMARK, built, landed_truth

ZONE = "Europe/Copenhagen"
LAST_DAY = date(2026, 10, 26)
EVENTS_A_DAY = 5_000


@dataclass(frozen=True)
class Site:
    """How much of everything a made-up site has; `rows_a_day`: cells of a day that hold events, at most."""

    components: int
    environments: int
    releases: int
    architectures: int
    commits: int
    rows_a_day: int
    events_a_cell: int


SITES = {
    "names": Site(10_000, 3, 20, 2, 60, rows_a_day=EVENTS_A_DAY, events_a_cell=1),
    "vendor": Site(60, 4, 80, 3, 2_000, rows_a_day=60 * 4 * 80 * 3, events_a_cell=17),
}

# Every cell has a number; which cells of a day hold events, and how many fail, follows from it alone.
_SYSTEM_DAILY = """
create table marts.system_daily as
with cells as (
    select
        days.ago,
        case
            when $rows >= $cells then places.place
            else cast(hash(days.ago, places.place) % $cells as bigint)
        end as cell
    from range(180) as days (ago)
    cross join range(least($rows, $cells)) as places (place)
),

told as (
    select
        ago,
        cell % $components as component,
        cell // $components % $environments as environment,
        cell // ($components * $environments) % $releases as release,
        cell // ($components * $environments * $releases) as architecture,
        1 + cast(hash('events', ago, cell) % (2 * $events - 1) as bigint) as events,
        cast(hash('failures', ago, cell) % 100 as bigint) as chance
    from cells
),

summed as (
    select
        ago,
        component,
        environment,
        release,
        architecture,
        sum(events) as events,
        sum(case when chance < 10 then 1 + events // 10 else 0 end) as failures
    from told
    group by all
)

select
    cast($last as date) - cast(ago as integer) as event_date,
    ['production', 'ci', 'test', 'development', 'staging', 'unknown'][1 + environment] as environment,
    'component_' || left(md5('component-' || component), 12) as component,
    ['macOS', 'Linux', 'Windows'][1 + release % 3] as os_family,
    'System ' || release as os_release,
    ['arm64', 'x86_64', 'x86'][1 + architecture] as architecture,
    cast(events as bigint) as events,
    cast(least(events, failures) as bigint) as failures
from summed;
"""

_OTHERS = """
create table marts.project_day as
select cast($last as date) as last_complete_day, date '2026-01-01' as first_known_day;

create table marts.segment_daily as
select
    event_date, environment, os_family, os_release, architecture, cast(sum(events) as bigint) as events,
    cast(sum(failures) as bigint) as failures, cast(count(*) // 9 as bigint) as unknown_events,
    cast(sum(events) // 8 + 1 as bigint) as installations
from marts.system_daily
group by all;

create table marts.architecture_daily as
select event_date, environment, architecture, cast(sum(installations) as bigint) as installations
from marts.segment_daily
group by all;

create table marts.success_rate_daily as
select event_date, environment, cast(sum(events) as bigint) as events
from marts.segment_daily
group by all;

create table marts.os_first_seen as
select environment, os_family, os_release, timezone('UTC', cast(min(event_date) as timestamp)) as first_seen,
    min(event_date) as first_date
from marts.segment_daily
group by all;

create table marts.system_window as
select
    lengths.window_days, environment, component, os_family, os_release, architecture,
    cast(sum(events) as bigint) as events, cast(sum(failures) as bigint) as failures,
    cast(sum(events) // 2 + 1 as bigint) as machines, cast(sum(failures) // 2 as bigint) as machines_failing
from marts.system_daily
inner join (select unnest([1, 7, 30, 90]) as window_days) as lengths
    on event_date > cast($last as date) - lengths.window_days
group by all;

create table marts.error_system_window as
select
    window_days, environment, component, os_family, os_release, architecture,
    ['network', 'disk', 'permission', 'unknown', 'not_reported'][
        1 + cast(hash(component, os_release, kind) % 5 as integer)
    ] as error_type,
    cast(sum(case when kind = 0 then failures - failures // 3 else failures // 3 end) as bigint) as failures
from marts.system_window
cross join range(2) as kinds (kind)
where failures > 0
group by all
having sum(case when kind = 0 then failures - failures // 3 else failures // 3 end) > 0;

create table marts.commit_system_daily as
with deployed as (
    select segment.*, span, cast((event_date - date '2026-01-01') * $commits // 90 as bigint) - span * 3 as number
    from marts.segment_daily as segment
    cross join range(4) as spans (span)
)

select
    event_date, environment, os_family, os_release, architecture, left(md5('commit-' || number), 7) as commit_sha,
    cast(sum(1 + events // (2 + span)) as bigint) as events, cast(sum(failures // (2 + span)) as bigint) as failures
from deployed
group by all;

create table marts.commit_performance as
select commit_sha, timezone('UTC', cast(min(event_date) as timestamp)) as first_seen,
    timezone('UTC', cast(max(event_date) as timestamp)) as last_seen
from marts.commit_system_daily
where environment = 'production'
group by commit_sha;

create table marts.commit_regression as
select commit_sha, case when hash(commit_sha) % 20 = 0 then 'worse' else 'could be chance' end as verdict
from marts.commit_performance;

create table marts.ci_vs_production as
select
    window_days, component, cast(sum(events) filter (where environment = 'ci') as bigint) as ci_events,
    cast(sum(events - failures) filter (where environment = 'ci') as bigint) as ci_successes,
    (hash(component) % 1000) / 1000.0 as chance_worse,
    case when hash(component) % 50 = 0 then 'worse' else 'could be chance' end as verdict
from marts.system_window
group by all;
"""


def synthesised(site: Site) -> Marts:
    """Marts of a made-up site, as far as facts read them."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("create schema marts")
    values = {
        "components": site.components, "environments": site.environments, "releases": site.releases,
        "cells": site.components * site.environments * site.releases * site.architectures,
        "rows": site.rows_a_day, "events": site.events_a_cell, "last": LAST_DAY, "commits": site.commits,
    }  # fmt: skip
    for statement in connection.extract_statements(_SYSTEM_DAILY + _OTHERS):
        wanted = {name: values[name] for name in statement.named_parameters}
        connection.execute(statement, wanted).fetchall()
    return Marts(connection)


def simulated() -> Marts:
    """Marts of the simulator's site."""
    truth = generate(days=130, events_per_day=EVENTS_A_DAY, seed=3, end=WATERMARK, zone=ZONE)
    return built(landed_truth(truth), datetime(2026, 1, 1, tzinfo=UTC))


def measured(marts: Marts) -> list[dict[str, Any]]:
    """Per dashboard: bytes of the packed facts, seconds to make them, seconds of a core of these, rows of their tables,
    names with a place of their own."""
    found = []
    for dashboard in dict.fromkeys(widget.dashboard for widget in load_widgets().values()):
        start, busy = time.perf_counter(), time.process_time()
        made = facts(marts, dashboard, zone=ZONE)
        text = packed(made)
        found.append({
            "dashboard": dashboard,
            "bytes": len(text),
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - busy,
            "rows": sum(len(next(iter(table.values()))) for table in made["tables"].values()),
            "names": {name: len(names) for name, names in made["names"].items() if names},
        })  # fmt: skip
    return found


def main() -> None:
    """Measure and print; a page beyond its budget ends the benchmark with an error."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sites", nargs="+", default=["simulated", *SITES], choices=["simulated", *SITES])
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    figures = {}
    for name in chosen.sites:
        start = time.perf_counter()
        marts = simulated() if name == "simulated" else synthesised(SITES[name])
        print(f"{name}: marts made in {time.perf_counter() - start:.0f} s", flush=True)
        figures[name] = measured(marts)
        for row in figures[name]:
            names = ", ".join(f"{count} {kind}" for kind, count in row["names"].items())
            taken = f"{row['seconds']:6.2f} s  {row['cpu']:6.2f} s of a core"
            print(
                f"  {row['dashboard']:22} {row['bytes']:>8,} bytes  {taken}  {row['rows']:>7,} rows  {names}",
                flush=True,
            )
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if any(row["bytes"] > BUDGET for rows in figures.values() for row in rows):
        raise SystemExit(f"The facts of a page hold more than {BUDGET:,} bytes.")


if __name__ == "__main__":
    main()
