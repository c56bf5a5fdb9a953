"""A home with millions of landed events and nothing derived yet, made by SQL in order of time, as landing leaves it.

50,000 events a day: runs of an installer on machines that send 8.6 events each, twelve components, five systems, two
architectures, a commit every three days, 3.4 % failures. Everything follows from numbers, so two homes of one size are
the same. Prints what it made as JSON. Not here: deriving (ours.py), and data with a known truth (the simulator).
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.refresh import Home

ZONE = "Europe/Copenhagen"
EVENTS_A_DAY = 50_000
RUNNING_DAY = date(2026, 11, 20)  # read until noon; the day before it is the newest complete one
WATERMARK = datetime.combine(RUNNING_DAY, datetime.min.time(), ZoneInfo(ZONE)) + timedelta(hours=12)
DAYS_A_CHUNK = 10

_EVENTS = """
insert into raw.piwik_pro_events by name
with numbered as (
    select
        days.day_number,
        places.place_of_day,
        days.day_number * $events_a_day + places.place_of_day as event_number,
        -- a run has 7 or 8 events
        places.place_of_day * 10 // 78 as run_of_day,
        places.place_of_day - (places.place_of_day * 10 // 78 * 78 + 9) // 10 as place_of_run
    from range($first_number, $end_number) as days (day_number)
    cross join range($events_a_day) as places (place_of_day)
),

runs as (
    select
        numbered.*,
        day_number * 10000 + run_of_day as run_number,
        -- one run in ten is of a machine that ran a week before, which makes 8.6 events a machine
        case
            when day_number >= 7 and hash(day_number, run_of_day) % 10 = 0 then (day_number - 7) * 10000 + run_of_day
            else day_number * 10000 + run_of_day
        end as machine
    from numbered
),

drawn as (
    select
        runs.*,
        cast(hash('event', event_number) % 1000 as integer) as chance,
        cast(hash('value', event_number) % 100 as integer) as value_chance,
        cast(hash('machine', machine) % 100 as integer) as machine_chance,
        cast(hash('system', machine) % 20 as integer) as system_chance,
        day_number // 3 as commit_number,
        (day_number // 3) % 10 = 9 as is_basic,
        -- one event in twelve tries again what the event before it tried
        case when place_of_run > 1 and hash('again', event_number) % 12 = 0 then place_of_run - 1 else place_of_run end
            as place_of_step,
        cast($first_day as date) + cast(day_number as integer) as local_day,
        -- between seven in the morning and ten in the evening
        25200 + cast(hash('start', run_number) % 54000 as integer) + place_of_run * 25
            + cast(hash('wait', event_number) % 20 as integer) as local_second
    from runs
),

named as (
    select
        drawn.*,
        cast(local_day as timestamp) + to_seconds(cast(local_second as bigint)) as local_time,
        place_of_run = 0 as is_start,
        chance < 34 and place_of_run > 0 as is_failure,
        case
            when place_of_run = 0 then 'installation_start'
            else ['python_install', 'python_first_year_setup', 'vscode_install', 'vscode_extensions_install',
                'homebrew_install', 'conda_install', 'git_check', 'disk_check', 'network_check', 'latex_install',
                'jupyter_install', 'cleanup'][1 + (cast(hash('from', machine) % 5 as integer) + place_of_step) % 12]
        end as step
    from drawn
)

select
    'installers' as source,
    '0a1b2c3d-0000-4000-8000-000000000001' as site_id,
    cast(1000000000000000000 + event_number * 17 as varchar) as event_id,
    cast(2000000000000000000 + run_number * 17 as varchar) as session_id,
    cast(place_of_run as integer) as event_index,
    case when machine_chance = 99 and system_chance = 0 then '' else left(md5('machine-' || machine), 16) end
        as visitor_id,
    strftime(local_time, '%Y-%m-%dT%H:%M:%S') as site_time,
    timezone($zone, local_time) as event_ts,
    false as fold_ambiguous,
    case
        when machine_chance < 88 then 'Installer'
        when machine_chance < 95 then 'Installer_CI'
        when machine_chance < 98 then 'Installer_DEV'
        else 'Installer_TEST'
    end as category,
    'Event' as action,
    case
        when is_failure and not is_basic
            then step || ['_permission_error', '_network_error', '_disk_error', '_missing_dependency', '_unknown_error',
                '_already_exists', '_version_error'][1 + value_chance % 7]
        else step
    end as name,
    case
        when is_start then 1.0
        when is_basic then case when is_failure then 0.0 else 1.0 end
        when is_failure then 0.0
        when value_chance < 2 then 0.0
        when value_chance < 5 then 1.0
        when value_chance < 7 then null
        when value_chance < 10 then 2.5 + chance % 60
        else 2.0 + cast(hash('seconds', event_number) % 240 as double)
    end as value,
    case
        when system_chance < 9 then 'Darwin15.1.1'
        when system_chance < 13 then case when day_number * 2 > $days then 'Darwin26.1' else 'Darwin14.2.1' end
        when system_chance < 15 then 'Windows 10.0.22631 (Microsoft Windows 11 Pro)'
        when system_chance < 17 then 'Linux Ubuntu 22.04 (jammy)'
        else 'macOS13.6.1 (Ventura)'
    end as os_raw,
    case when system_chance % 4 = 1 then 'x86_64' else 'arm64' end as architecture_raw,
    case when value_chance = 50 then 'unknown' else left(md5('commit-' || commit_number), 7) end as commit_raw,
    '' as duration_raw,
    '' as error_type_raw,
    '' as exit_code_raw,
    '' as run_id_raw,
    '' as sender_event_id_raw,
    '' as contract_raw,
    timezone($zone, local_time) + interval 4 minutes as landed_at,
    timezone($zone, local_time) + interval 4 minutes as changed_at,
    cast(null as timestamptz) as vanished_at
from named
where timezone($zone, local_time) < $watermark
order by event_ts, event_id
"""

_LEDGER = """
insert into ledger.sources (source, kind, site_id, zone, url, proven_from, proven_to, watermark, final_before,
    last_read_at, read_since)
select 'installers', 'piwik_pro', '0a1b2c3d-0000-4000-8000-000000000001', $zone, 'http://127.0.0.1:9', $start,
    $watermark, $watermark, $watermark - interval 3 days, $watermark, $start;

insert into ledger.windows (source, site_id, tier, window_start, window_end, zone, expected, received, duplicates,
    quarantined, landed, inserted, changed, vanished, truncated, proof, status, started_at, finished_at)
select source, site_id, 'history', timezone($zone, cast(site_date as timestamp)),
    least($watermark, timezone($zone, cast(site_date + 1 as timestamp))), $zone, events, events, 0, 0, events, events,
    0, 0, 0, 'count', 'complete', last_landed, last_landed
from days_landed
order by site_date;

insert into ledger.reconciliation
select source, site_id, site_date, events, events, 0, 'equal', 1, last_landed
from days_landed
where site_date < $running_day
order by site_date;

insert into ledger.touched_days
select site_date, last_landed
from days_landed
order by site_date;
"""

_DAYS_LANDED = """
create temp table days_landed as
select
    source,
    site_id,
    cast(left(site_time, 10) as date) as site_date,
    count(*) as events,
    max(landed_at) as last_landed
from raw.piwik_pro_events
group by all
"""


def home_in(folder: Path) -> Home:
    """The home of `folder`, which holds its settings; its clock stands at the watermark."""
    environ = {"MATOKIT_HOME": str(folder), "MATOKIT_CONFIG": str(folder / "matokit.toml")}
    return Home.of(load(environ=environ, cwd=folder), FixedClock(WATERMARK))


def days_of(millions: float) -> int:
    """How many complete days hold so many million events."""
    return round(millions * 1_000_000 / EVENTS_A_DAY)


def land(folder: Path, millions: float) -> dict[str, object]:
    """Make the home; returns its events, days and megabytes."""
    days = days_of(millions)
    first_day = RUNNING_DAY - timedelta(days=days)
    folder.mkdir(parents=True)
    (folder / "matokit.toml").write_text(
        f'[project]\ntimezone = "{ZONE}"\n[[sources]]\nname = "installers"\nkind = "piwik_pro"\n'
        f'url = "http://127.0.0.1:9"\nsite_id = "0a1b2c3d-0000-4000-8000-000000000001"\nstart_date = {first_day}\n',
        encoding="utf-8",
    )
    home = home_in(folder)
    with home.warehouse.writer() as connection:
        ledger.project_zone(connection, ZONE)
        for number in range(0, days + 1, DAYS_A_CHUNK):
            _land_days(connection, first_day, number, min(number + DAYS_A_CHUNK, days + 1), days)
        connection.execute(_DAYS_LANDED)
        values = {"zone": ZONE, "watermark": WATERMARK.astimezone(UTC), "running_day": RUNNING_DAY}
        values["start"] = datetime.combine(first_day, datetime.min.time(), ZoneInfo(ZONE))
        for statement in connection.extract_statements(_LEDGER):
            wanted = {name: values[name] for name in statement.named_parameters}
            connection.execute(statement, wanted).fetchall()
        connection.execute("checkpoint")
        events = connection.execute("select count(*) from raw.piwik_pro_events").fetchall()[0][0]
    return {"events": events, "days": days, "megabytes": home.warehouse.path.stat().st_size / 1e6}


def _land_days(connection: duckdb.DuckDBPyConnection, first_day: date, first: int, end: int, days: int) -> None:
    """The days of the numbers `first` up to `end`, not included, counted from `first_day`."""
    values = {
        "events_a_day": EVENTS_A_DAY, "first_number": first, "end_number": end, "first_day": first_day, "days": days,
        "zone": ZONE, "watermark": WATERMARK,
    }  # fmt: skip
    connection.execute(_EVENTS, values).fetchall()


def main() -> None:
    """Make it, and print what it is."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("millions", type=float)
    chosen = options.parse_args()
    print(json.dumps(land(chosen.folder, chosen.millions)))


if __name__ == "__main__":
    main()
