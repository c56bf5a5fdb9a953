"""Truth against what was found: every simulated event, how it was read, and every planted incident.

Compares what the simulator knows with what the tables say; neither knows of the other. Not here: running anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import polars as pl

from matokit_pipelines.simulator.incidents import Incident
from matokit_pipelines.simulator.truth import Truth
from matokit_pipelines.statistics import Counted, chance
from matokit_pipelines.warehouse.snapshots import select

MORE_THAN_CHANCE = 0.01
_SENT = ["event_ts", "visitor_id", "category", "action", "name", "value", "dimension1", "dimension2", "dimension3"]
_MEANT = ["environment", "component", "outcome", "counted", "architecture", "os_family", "commit_sha"]
_LANDED = """
select event_ts, visitor_id, category, action, name, value, os_raw as dimension1, architecture_raw as dimension2,
       commit_raw as dimension3
from raw.matomo_events where vanished_at is null
"""
_READ = """
select r.event_ts, r.visitor_id, r.category, r.action, r.name, r.value, r.os_raw as dimension1,
       r.architecture_raw as dimension2, r.commit_raw as dimension3, s.environment, s.component, s.outcome, s.counted,
       s.architecture, s.os_family, s.commit_sha
from raw.matomo_events r join staging.installer_events s
  on s.source = r.source and s.site_id = r.site_id and s.event_id = r.event_id
where r.vanished_at is null and s.left_out_reason is distinct from 'out_of_scope'
"""


@dataclass(frozen=True)
class Sighting:
    """One planted incident: whether the tables show it, and what they show."""

    incident: Incident
    found: bool
    shown: str


@dataclass(frozen=True)
class Scoreboard:
    """Counts of truth and of what was found in it."""

    sent: int
    landed: int
    exact: int
    meant: int
    understood: int
    sightings: tuple[Sighting, ...]

    @property
    def is_whole(self) -> bool:
        """Whether every event was found and understood, nothing twice and nothing else. Incidents are apart: in few
        events even a real change cannot be told from chance."""
        return self.sent == self.landed == self.exact and self.meant == self.understood


def compare(truth: Truth, connection: duckdb.DuckDBPyConnection) -> Scoreboard:
    """Hold a built warehouse against the truth it was read from."""
    sent = truth.events.filter(pl.col("category").is_not_null())
    landed = select(connection, _LANDED)
    meant = sent.filter(pl.col("in_scope"))
    return Scoreboard(
        sent=sent.height,
        landed=landed.height,
        exact=_in_both(sent, landed, _SENT),
        meant=meant.height,
        understood=_in_both(meant, select(connection, _READ), _SENT + _MEANT),
        sightings=tuple(_sighting(incident, connection) for incident in truth.incidents),
    )


def _in_both(left: pl.DataFrame, right: pl.DataFrame, columns: list[str]) -> int:
    """How many rows two frames share, equal rows counted as often as both have them."""
    counts = [_tidy(frame, columns).group_by(columns).len(name) for frame, name in ((left, "a"), (right, "b"))]
    both = counts[0].join(counts[1], on=columns, how="inner", nulls_equal=True)
    return int(both.select(pl.min_horizontal("a", "b").sum()).item() or 0)


def _tidy(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Matomo trims texts and keeps three decimals of a value; that much is not ours to get back."""
    texts = [name for name in columns if frame.schema[name] == pl.String]
    return frame.select(columns).with_columns(pl.col(texts).str.strip_chars(), pl.col("value").round(3))


def _sighting(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Sighting:
    found, shown = _LOOKS[incident.kind](incident, connection)
    return Sighting(incident, found, shown)


# -- one look a kind of incident ------------------------------------------------------------------------------------

_RATES = """
select coalesce(sum(events), 0)::bigint as events, coalesce(sum(failures), 0)::bigint as failures
from {table} where environment = 'production' and event_date between $first and $last and {filter}
"""
_TABLES = {
    "component": ("marts.component_daily", "component = $subject"),
    "all": ("marts.success_rate_daily", "$subject is not null"),
    "architecture": ("marts.architecture_daily", "architecture = $subject"),
    "rest": ("marts.architecture_daily", "architecture <> $subject"),
}
_BY_CHANCE = ", which in so few events could be chance"
Look = tuple[bool, str]


def _rates(connection: duckdb.DuckDBPyConnection, of: str, first: date, last: date, subject: str) -> Counted:
    table, where = _TABLES[of]
    rows = select(
        connection, _RATES.format(table=table, filter=where), {"first": first, "last": last, "subject": subject}
    )
    return Counted(rows["failures"].item(), rows["events"].item())


def _days(incident: Incident) -> tuple[date, date]:
    days = [date.fromisoformat(day) for day in incident.expectation["days"]]
    return days[0], days[-1]


def _judged(now: Counted, before: Counted) -> Look:
    """Worse than before by more than chance; success rates in words."""
    worse = bool(now.units and before.units) and chance(now, before) < MORE_THAN_CHANCE
    return worse, f"success {_percent(before)} → {_percent(now)}" + _BY_CHANCE * (not worse)


def _percent(counted: Counted) -> str:
    return f"{100 * (1 - counted.failures / counted.units):.0f} %" if counted.units else "—"


def _component(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    first, last = _days(incident)
    before = _rates(connection, "component", first - timedelta(days=14), first - timedelta(days=1), incident.subject)
    return _judged(_rates(connection, "component", first, last, incident.subject), before)


_HOURS = """
select count(*) as events, count(*) filter (outcome = 'failure') as failures
from staging.installer_events
where environment = 'production' and counted and event_ts >= $start and event_ts < $finish
"""


def _outage(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    def between(start: datetime, finish: datetime) -> Counted:
        rows = select(connection, _HOURS, {"start": start, "finish": finish})
        return Counted(rows["failures"].item(), rows["events"].item())

    before = between(incident.start - timedelta(days=3), incident.start)
    return _judged(between(incident.start, incident.end), before)


def _architecture(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    first, last = _days(incident)
    found, _ = _judged(
        now := _rates(connection, "architecture", first, last, incident.subject),
        rest := _rates(connection, "rest", first, last, incident.subject),
    )
    shown = f"success {_percent(now)} on {incident.subject}, {_percent(rest)} on the others"
    return found, shown + _BY_CHANCE * (not found)


def _commit(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    rows = select(
        connection,
        "select commit_sha, predecessor_sha, units, unit_failures from marts.commit_performance",
    ).to_dicts()
    known: Mapping[str, dict[str, Any]] = {row["commit_sha"]: row for row in rows}
    bad = known.get(incident.subject)
    before = known.get(incident.expectation["predecessor"])
    if not bad or not before:
        return False, "not seen"
    return _judged(Counted(bad["unit_failures"], bad["units"]), Counted(before["unit_failures"], before["units"]))


def _rollback(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    first, last = _days(incident)
    rows = select(
        connection,
        "select event_date, commit_sha, sum(events)::bigint as events from staging.events_daily "
        "where environment = 'production' and commit_sha is not null and event_date between $first and $last "
        "group by event_date, commit_sha order by event_date, events desc, commit_sha",
        {"first": first - timedelta(days=1), "last": last},
    )
    leaders = rows.group_by("event_date", maintain_order=True).first()["commit_sha"].to_list()
    was, now = incident.expectation["from"], incident.expectation["to"]
    return leaders[:1] == [was] and leaders[-1:] == [now], f"{was} gives way to the older {now}"


def _burst(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    day, _ = _days(incident)
    now = _rates(connection, "all", day, day, "").units
    usual = [_rates(connection, "all", day - timedelta(weeks=w), day - timedelta(weeks=w), "").units for w in (1, 2, 3)]
    seen = [events for events in usual if events]
    return bool(seen) and now > 2 * max(seen), f"{now:,} events, {max(seen, default=0):,} a week before"


_LONGEST_GAP = """
with production as (
    select event_ts, lag(event_ts) over (order by event_ts, event_id) as before
    from staging.installer_events
    where environment = 'production' and left_out_reason is distinct from 'out_of_scope'
)
select max(date_diff('second', before, event_ts)) as gap from production where event_ts >= $start and before <= $finish
"""


def _silence(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    gap = select(connection, _LONGEST_GAP, {"start": incident.start, "finish": incident.end})["gap"].item()
    hours = gap / 3600 if gap else 0.0
    return hours >= (incident.end - incident.start).total_seconds() / 3600, f"{hours:.0f} hours without an event"


def _new_os(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    rows = select(
        connection,
        "select first_date from marts.os_first_seen where environment = 'production' and os_release = $release",
        {"release": incident.subject},
    )["first_date"].to_list()
    return rows == [_days(incident)[0]], f"{incident.subject} first seen {rows[0] if rows else 'never'}"


_LOOKS: Mapping[str, Callable[[Incident, duckdb.DuckDBPyConnection], Look]] = {
    "component": _component,
    "commit": _commit,
    "rollback": _rollback,
    "architecture": _architecture,
    "outage": _outage,
    "burst": _burst,
    "silence": _silence,
    "new_os": _new_os,
}
