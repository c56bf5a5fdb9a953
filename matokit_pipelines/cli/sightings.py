"""Planted incidents, looked for in the tables: is each one in the right table, on the right day?

One look a kind of incident, over marts only. Not here: what was planted (simulator/incidents.py), the scores of
events (scoreboard.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb

from matokit_pipelines.simulator.incidents import COMPONENT, Incident
from matokit_pipelines.statistics import Counted, chance
from matokit_pipelines.warehouse.snapshots import select

MORE_THAN_CHANCE = 0.01
_BY_CHANCE = ", which in so few events could be chance"
Look = tuple[bool, str]


@dataclass(frozen=True)
class Sighting:
    """One planted incident: whether `table` shows it on its day, and what it shows."""

    incident: Incident
    table: str
    found: bool
    shown: str


def look_for(incidents: Sequence[Incident], connection: duckdb.DuckDBPyConnection) -> tuple[Sighting, ...]:
    """Every incident in the table that its plan names."""
    return tuple(
        Sighting(incident, incident.expectation["table"], *_LOOKS[incident.kind](incident, connection))
        for incident in incidents
    )


# -- success rates by day -------------------------------------------------------------------------------------------

_RATES = """
select coalesce(sum(events), 0)::bigint as events, coalesce(sum(failures), 0)::bigint as failures
from {table} where environment = 'production' and event_date between $first and $last and {filter}
"""
_TABLES = {
    "component": ("marts.component_daily", "component = $subject"),
    "others": ("marts.component_daily", "component <> $subject"),
    "all": ("marts.success_rate_daily", "$subject is not null"),
    "architecture": ("marts.architecture_daily", "architecture = $subject"),
    "rest": ("marts.architecture_daily", "architecture <> $subject"),
}


def _rates(connection: duckdb.DuckDBPyConnection, of: str, first: date, last: date, subject: str = "") -> Counted:
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


def _outage(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    """Over the components but the one that is broken by itself on those days."""
    day, _ = _days(incident)
    return _judged(
        _rates(connection, "others", day, day, COMPONENT),
        _rates(connection, "others", day - timedelta(days=14), day - timedelta(days=1), COMPONENT),
    )


def _architecture(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    day, _ = _days(incident)
    found, _ = _judged(
        now := _rates(connection, "architecture", day, day, incident.subject),
        rest := _rates(connection, "rest", day, day, incident.subject),
    )
    shown = f"success {_percent(now)} on {incident.subject}, {_percent(rest)} on the others"
    return found, shown + _BY_CHANCE * (not found)


# -- commits --------------------------------------------------------------------------------------------------------

_REGRESSION = """
select regression.*, by_day.event_date as deployed_on
from marts.commit_regression as regression
left join (
    select commit_sha, min(event_date) as event_date from marts.commit_daily where environment = 'production' group by 1
) as by_day using (commit_sha)
where regression.commit_sha = $commit
"""


def _commit(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    rows = select(connection, _REGRESSION, {"commit": incident.subject}).to_dicts()
    if not rows:
        return False, "not seen"
    row, (first, _) = rows[0], _days(incident)
    found = (
        row["verdict"] == "worse"
        and row["deployed_on"] == first
        and row["predecessor_sha"] == incident.expectation["predecessor"]
    )
    now = Counted(row["unit_failures"], row["units"])
    before = Counted(row["baseline_unit_failures"], row["baseline_units"])
    shown = f"first tries {_percent(before)} → {_percent(now)} with {incident.subject}"
    return found, shown + (f", {row['verdict']}" if not found else "")


_CHANGES = """
select event_date from marts.commit_leader_changes
where from_commit = $was and to_commit = $now and is_rollback order by event_date
"""


def _rollback(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    first, last = _days(incident)
    was, now = incident.expectation["from"], incident.expectation["to"]
    found = select(connection, _CHANGES, {"was": was, "now": now})["event_date"].to_list()
    return any(first <= day <= last for day in found), f"{was} gives way to the older {now}"


# -- how much, and what is new --------------------------------------------------------------------------------------


def _burst(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    day, _ = _days(incident)
    now = _rates(connection, "all", day, day).units
    usual = [_rates(connection, "all", day - timedelta(weeks=w), day - timedelta(weeks=w)).units for w in (1, 2, 3)]
    seen = [events for events in usual if events]
    return bool(seen) and now > 2 * max(seen), f"{now:,} events, {max(seen, default=0):,} a week before"


_LAST_AND_FIRST = """
with series as (
    select event_date, first_event_at, lag(last_event_at) over (order by event_date) as last_before
    from marts.environment_daily where environment = 'production'
)
select max(date_diff('second', last_before, first_event_at)) as gap
from series where event_date = $day and last_before >= $start - interval 1 day
"""


def _silence(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    _, last = _days(incident)
    gap = select(connection, _LAST_AND_FIRST, {"day": last, "start": incident.start})["gap"].item()
    hours = gap / 3600 if gap else 0.0
    return hours >= (incident.end - incident.start).total_seconds() / 3600, f"{hours:.0f} hours without an event"


def _new_os(incident: Incident, connection: duckdb.DuckDBPyConnection) -> Look:
    rows: list[Any] = select(
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
