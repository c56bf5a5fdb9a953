"""What a warehouse gathers and nobody needs any more: many readings of one stretch of time, files left behind.

No answer changes by it: what is proven, covered, given up or troubled stays exactly what it was, and so do the sums of
what was received. Not here: Dagster's own records (orchestration/housekeeping.py), snapshots (publishing keeps three).
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from matokit_pipelines.warehouse.landing import transaction
from matokit_pipelines.warehouse.piwik_pro_planning import LAG
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.snapshots import serving_folder
from matokit_pipelines.windows import Window, joined

READINGS_KEPT = timedelta(days=90)
PROBES_KEPT = timedelta(days=2)  # a probe lands nothing, so its reading tells nothing but how far all is proven
NEWEST_KEPT = 10  # readings of each tier, however old: what is due is decided by them

# Complete readings by age, but for those of which an answer could change: a source's first one and the newest of each
# tier, and those that touch a window which once did not add up (whether it still does is told by single readings).
_OLD = """
with ranked as (
    select
        *,
        row_number() over (partition by source, tier order by window_id desc) as newest,
        row_number() over (partition by source, tier order by started_at desc, window_id) as latest,
        row_number() over (partition by source order by started_at, window_id) as oldest
    from ledger.windows
    where status <> 'incomplete'
)
select
    window_id, source, site_id, zone, coalesce(dimensions, ''), tier = 'asked' as is_asked, status,
    window_start, window_end, started_at
from ranked
where newest > $kept and latest > $kept and oldest > 1
  and started_at < case when tier = 'probe' then $probes_before else $before end
  and not exists (
    from ledger.windows as trouble
    where trouble.source = ranked.source and trouble.status = 'incomplete'
      and trouble.window_start < ranked.window_end and trouble.window_end > ranked.window_start
  )
order by window_start, window_id
"""
# One reading in place of those in $ids, of the window from $start to $end. It keeps the greatest of their numbers, so
# that the order of readings stays; sums stay sums. A count of all of it was never announced.
_ONE_READING = """
select
    max(window_id) as window_id, any_value(source) as source, any_value(site_id) as site_id,
    case when any_value(tier = 'asked') then 'asked' else 'history' end as tier,
    $start::timestamptz as window_start, $end::timestamptz as window_end, any_value(zone) as zone,
    sum(received) as received, sum(duplicates) as duplicates, sum(quarantined) as quarantined,
    sum(landed) as landed, sum(inserted) as inserted, sum(changed) as changed, sum(vanished) as vanished,
    sum(truncated) as truncated, min(proof) as proof, any_value(status) as status,
    $started::timestamptz as started_at, greatest(max(finished_at), $started::timestamptz) as finished_at,
    any_value(dimensions) as dimensions
from ledger.windows
where list_contains($ids, window_id)
"""


class _Reading(NamedTuple):
    window_id: int
    source: str
    site_id: str
    zone: str
    dimensions: str
    is_asked: bool
    status: str
    window_start: datetime
    window_end: datetime
    started_at: datetime

    @property
    def kind(self) -> tuple[object, ...]:
        """Readings of one kind can stand for each other."""
        return (self.source, self.site_id, self.zone, self.dimensions, self.is_asked, self.status)

    @property
    def settled(self) -> Window | None:
        """What it proves whatever a source's lag; None when that is nothing."""
        end = min(self.window_end, self.started_at - LAG)
        return Window(self.window_start, end) if end > self.window_start else None


@dataclass(frozen=True)
class Tidied:
    """What was put away: readings of windows merged into others, and files."""

    readings: int
    files: int


def tidy_warehouse(home: Home) -> Tidied:
    """Merge old readings, remove what killed processes left behind, and give space inside the file back.

    Waits for the warehouse's lock. A home without a warehouse has nothing to tidy.
    """
    if not home.warehouse.path.exists():
        return Tidied(0, 0)
    with home.warehouse.exclusive():
        files = _remove_left_over(home.loaded.home)
        with home.warehouse.writer() as connection:
            readings = merge_readings(connection, home.clock.now())
            connection.execute("checkpoint")
    return Tidied(readings, files)


def merge_readings(connection: duckdb.DuckDBPyConnection, now: datetime) -> int:
    """Put few readings in place of many old ones that prove the same; returns how many fewer there are."""
    names = {"kept": NEWEST_KEPT, "before": now - READINGS_KEPT, "probes_before": now - PROBES_KEPT}
    old = [_Reading(*row) for row in connection.execute(_OLD, names).fetchall()]
    groups: defaultdict[tuple[object, ...], list[_Reading]] = defaultdict(list)
    for reading in old:
        groups[reading.kind].append(reading)
    with transaction(connection):
        return sum(_merge(connection, readings) for readings in groups.values())


def _merge(connection: duckdb.DuckDBPyConnection, readings: list[_Reading]) -> int:
    """One reading for each stretch that readings of one kind settle without a gap, in place of all that lie in it.

    A reading that reaches beyond (it went up to its own moment) stays.
    """
    fewer = 0
    for stretch in joined(window for reading in readings if (window := reading.settled)):
        inside = [r for r in readings if stretch.start <= r.window_start and r.window_end <= stretch.end]
        if len(inside) < 2:
            continue
        ids = [reading.window_id for reading in inside]
        started = max(r.started_at for r in readings if (w := r.settled) and stretch.start <= w.start < stretch.end)
        names = {"ids": ids, "start": stretch.start, "end": stretch.end, "started": started}
        connection.execute(f"create or replace temp table one_reading as {_ONE_READING}", names)
        connection.execute("delete from ledger.windows where list_contains($ids, window_id)", {"ids": ids})
        connection.execute("insert into ledger.windows by name from one_reading")
        fewer += len(ids) - 1
    return fewer


def _remove_left_over(home: Path) -> int:
    """Pages and spilled rows of processes that were killed, snapshots that were never finished. The lock is held, so
    none of them is in use."""
    found = [*_inside(home / "tmp"), *serving_folder(home).glob(".tmp-*"), *home.glob(".new-warehouse.duckdb*")]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def _inside(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()
