"""What `doctor` sees in the warehouse: events of each source, what could not be read, zones, copies of one another.

Not here: reading or deriving any of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from matokit_pipelines.cli.findings import Finding
from matokit_pipelines.cli.frame import counted, shortened
from matokit_pipelines.cli.landed import has_table, rows, rows_of_landed
from matokit_pipelines.cli.web_words import lines
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.web_facts import web_facts

if TYPE_CHECKING:
    import duckdb

COMPARED_DAYS = 7
MOST_COMPARED = 1_000_000  # events; a second's work
SHARED_BY_CHANCE_SECONDS = 17  # apart, nothing is the same event: what is equal then is equal by chance
MANY_SHARED = 0.05  # of the smaller source
FEWEST_SHARED = 10
_COUNTS = """
select known.source, count(landed.source) filter (landed.vanished_at is null) as events,
       count(landed.source) filter (landed.vanished_at is not null) as vanished,
       (select count(*) from raw.quarantine as q where q.source = known.source) as quarantined
from ledger.sources as known left join landed using (source) group by known.source order by known.source
"""
_REASONS = """
select reason, count(*) as pieces from raw.quarantine where source = $source group by reason
order by pieces desc, reason limit 3
"""
_REACH = """
, reach as (  -- where both hold anything
    select max(since) as since, min(until) as until from (
        select min(event_ts) as since, max(event_ts) as until from landed
        where vanished_at is null and source in ($one, $other) group by source
    )
)
select until, greatest(since, until - to_days($days)) as since,
       (select count(*) from landed, reach where source in ($one, $other)
        and event_ts between reach.until - to_days($days) and reach.until) as events
from reach
"""
_SHARED = """
, compared as (
    select source, date_trunc('second', event_ts) as second, coalesce(trim(category), '') as category,
           coalesce(trim(name), '') as name, coalesce(trim(commit_raw), '') as commit_text, count(*) as events
    from landed
    where vanished_at is null and source in ($one, $other)
        and event_ts >= date_trunc('second', $since::timestamptz)
        and event_ts < date_trunc('second', $until::timestamptz) + interval 1 second
    group by all
),
ones as (select * from compared where source = $one),
others as (select * from compared where source = $other),
apart as (select * replace (second + to_seconds($apart) as second) from others)
select (select coalesce(sum(events), 0) from ones)::bigint as of_one,
       (select coalesce(sum(events), 0) from others)::bigint as of_other,
       (select coalesce(sum(least(ones.events, others.events)), 0)
        from ones join others using (second, category, name, commit_text))::bigint as shared,
       (select coalesce(sum(least(ones.events, apart.events)), 0)
        from ones join apart using (second, category, name, commit_text))::bigint as by_chance
"""


@dataclass(frozen=True)
class Shared:
    """Events of two sources in the newest time that both hold, in both of them, and in both by chance."""

    of_one: int
    of_other: int
    shared: int
    by_chance: int
    time: timedelta

    @property
    def is_much(self) -> bool:
        smaller = min(self.of_one, self.of_other)
        return self.shared - self.by_chance >= max(FEWEST_SHARED, MANY_SHARED * smaller)

    @property
    def when(self) -> str:
        hours = math.ceil(self.time / timedelta(hours=1))
        return f"in the last {f'{hours} h' if hours < 48 else f'{math.ceil(hours / 24)} days'} that both hold"


def check_tables(home: Home, zones: Mapping[str, str]) -> Iterator[Finding]:
    """Everything about the warehouse. `zones`: of the sites that answered, by source."""
    with home.warehouse.reader() as connection:
        found = {row["source"]: row for row in rows_of_landed(connection, _COUNTS)}
        events = sum(row["events"] for row in found.values())
        yield Finding("good", "warehouse", f"{counted(events, 'event')} in {home.warehouse.path}")
        yield from _each_source(home, connection, zones)
        yield from _web_reports(home, connection)
        yield from _unknown_environment(connection)
        yield from _copies(home, connection, {name: row["events"] for name, row in found.items()})
        zone = connection.execute("select zone from ledger.project").fetchall()
        if zone and zone[0][0] != home.zone_name:
            yield Finding(
                "failed", "project.timezone",
                f"this home cuts its days in {zone[0][0]}; put that back, or run `matokit build --full`.", 2,
            )  # fmt: skip


def _each_source(home: Home, connection: duckdb.DuckDBPyConnection, zones: Mapping[str, str]) -> Iterator[Finding]:
    configured = {source.name: source for source in home.loaded.settings.sources}
    read = "select source, zone, site_id from ledger.sources where last_read_at is not null"
    known = {name: (zone, site) for name, zone, site in connection.execute(read).fetchall()}
    for row in rows_of_landed(connection, _COUNTS):
        what = f"source {row['source']}"
        gone = f", {row['vanished']:,} more were taken back by the server" if row["vanished"] else ""
        source = configured.get(row["source"])
        mirror = f"; a mirror of {source.mirror_of}, compared and never counted" if source and source.mirror_of else ""
        yield Finding("good", what, f"{counted(row['events'], 'event')} landed{gone}{mirror}")
        if row["quarantined"]:
            reasons = rows(connection, _REASONS, {"source": row["source"]})
            said = ", ".join(f"{entry['reason']} ({entry['pieces']:,})" for entry in reasons)
            yield Finding(
                "note", what, f"{counted(row['quarantined'], 'piece')} in quarantine: {said}; see raw.quarantine"
            )
        if source is None:
            yield Finding("note", what, "is in no settings any more; what was landed of it still counts")
    for name, (was, site) in sorted(known.items()):
        if name in configured and configured[name].site_id != site:
            yield Finding(
                "failed", f"source {name}",
                f"was read from site {site} until now and would be from {configured[name].site_id}; put that back, or "
                "give the source another name.", 2,
            )  # fmt: skip
        elif (now := zones.get(name, was)) != was:
            yield Finding(
                "failed", f"source {name}",
                f"its site is in {now} now and was read in {was} until now; put the site's zone back, or give the "
                "source another name.", 2,
            )  # fmt: skip


def _web_reports(home: Home, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Up to which day the web reports of each source are complete, and what of them is not sure."""
    settings, now = home.loaded.settings, home.clock.now()
    for facts in web_facts(connection, settings.sources, settings.web_reports, now):
        said = [line.strip().removeprefix(f"{facts.source}: ").rstrip(".") for line in lines(facts, now)]
        yield Finding("note" if facts.error or facts.unknown else "good", f"source {facts.source}", "; ".join(said))


def _unknown_environment(connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    """Events of categories that tell neither CI nor people are in no figure of production."""
    if not has_table(connection, "staging", "installer_events"):
        return
    found = connection.execute(
        "select category_raw, count(*) from staging.installer_events "
        "where counted and environment = 'unknown' group by 1 order by 2 desc, 1 limit 5"
    ).fetchall()
    if found:
        said = ", ".join(f"{shortened(category)} ({counted(events, 'event')})" for category, events in found)
        yield Finding(
            "note", "environment", f"unknown for {said}: in no figure of production; events.environments can name it"
        )


def _copies(home: Home, connection: duckdb.DuckDBPyConnection, events: Mapping[str, int]) -> Iterator[Finding]:
    """Two sources that count hold many of the same events; a mirror holds none of its source."""
    sources = [source for source in home.loaded.settings.sources if events.get(source.name)]
    counting = [source.name for source in sources if source.mirror_of is None]
    for one, other in combinations(counting, 2):
        found = _shared(connection, one, other)
        if not found.is_much:
            continue
        of_copy, copy, original = min((found.of_other, other, one), (found.of_one, one, other), key=lambda e: e[0])
        yield Finding(
            "note", f"sources {one} and {other}",
            f"{found.shared:,} of {counted(of_copy, 'event')} of {copy} {found.when} are in {original} too, with the "
            f"same second, category, name and commit, and are counted twice; if {copy} receives a copy, set "
            f'mirror_of = "{original}" for it',
        )  # fmt: skip
    for source in sources:
        if source.mirror_of is None or not events.get(source.mirror_of):
            continue
        found = _shared(connection, source.name, source.mirror_of)
        if found.of_one and not found.shared:
            yield Finding(
                "note", f"source {source.name}",
                f"none of its {counted(found.of_one, 'event')} {found.when} is in {source.mirror_of}, which it is said "
                "to mirror, and none is counted; correct its mirror_of, or take it out",
            )  # fmt: skip


def _shared(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> Shared:
    """The newest days that both hold, or as much of them as can be compared in a moment."""
    both = {"one": one, "other": other}
    reach = rows_of_landed(connection, _REACH, both | {"days": COMPARED_DAYS})[0]
    time = (reach["until"] - reach["since"]) * min(1.0, MOST_COMPARED / max(1, reach["events"]))
    params = both | {"since": reach["until"] - time, "until": reach["until"], "apart": SHARED_BY_CHANCE_SECONDS}
    row = rows_of_landed(connection, _SHARED, params)[0]
    return Shared(**row, time=max(time, timedelta(0)))
