"""Truth against what was found: every simulated event, how it was read, and every planted incident.

Compares what the simulator knows with what the tables say; neither knows of the other. Not here: running anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

import duckdb
import polars as pl

from matokit_pipelines.simulator.incidents import Incident
from matokit_pipelines.statistics import Counted, chance
from matokit_pipelines.warehouse.snapshots import select

MORE_THAN_CHANCE = 0.01
_SENT = ["event_ts", "visitor_id", "category", "action", "name", "value", "dimension1", "dimension2", "dimension3"]
_MEANT = ["environment", "component", "outcome", "counted", "architecture", "os_family", "commit_sha"]
_LANDED = """
select event_ts, visitor_id, category, action, name, value, os_raw as dimension1, architecture_raw as dimension2,
       commit_raw as dimension3
from staging.landed_events where source = $source and vanished_at is null
"""
_READ = """
select r.event_ts, r.visitor_id, r.category, r.action, r.name, r.value, r.os_raw as dimension1,
       r.architecture_raw as dimension2, r.commit_raw as dimension3, s.environment, s.component, s.outcome, s.counted,
       s.architecture, s.os_family, s.commit_sha
from staging.landed_events r join staging.installer_events s
  on s.source = r.source and s.site_id = r.site_id and s.event_id = r.event_id
where r.source = $source and r.vanished_at is null and s.left_out_reason is distinct from 'out_of_scope'
"""
_MIRRORS = """
select source, mirror_of, count(*) as days, count(*) filter (verdict = 'equal') as equal
from marts.mirror_daily where verdict <> 'open' group by source, mirror_of order by source
"""
GREATEST_VALUE = 1e11  # what Piwik PRO keeps of a value


@dataclass(frozen=True)
class Sent:
    """What was sent to one source that counts. `must`: by row of `events`, whether its service showed it when the
    reading began; `may`: whether it shows it by now."""

    source: str
    kind: Literal["piwik_pro", "matomo"]
    events: pl.DataFrame
    must: pl.Series
    may: pl.Series


@dataclass(frozen=True)
class SourceScore:
    """One source: events that its service showed, those landed, those of them exactly as sent, and those to come."""

    source: str
    kind: str
    shown: int
    landed: int
    exact: int
    to_come: int
    meant: int
    understood: int


@dataclass(frozen=True)
class MirrorScore:
    """One mirror: closed days compared with the source it mirrors, and those on which both hold the same events."""

    source: str
    mirror_of: str
    days: int
    equal: int


@dataclass(frozen=True)
class Sighting:
    """One planted incident: whether the tables show it, and what they show."""

    incident: Incident
    found: bool
    shown: str


@dataclass(frozen=True)
class Scoreboard:
    """Truth and what was found of it."""

    sources: tuple[SourceScore, ...]
    mirrors: tuple[MirrorScore, ...]
    sightings: tuple[Sighting, ...]

    @property
    def meant(self) -> int:
        return sum(source.meant for source in self.sources)

    @property
    def understood(self) -> int:
        return sum(source.understood for source in self.sources)

    @property
    def is_whole(self) -> bool:
        """Whether every event was found and understood, nothing twice and nothing else, and mirrors agree. Incidents
        are apart: in few events even a real change cannot be told from chance."""
        complete = all(source.shown == source.landed == source.exact for source in self.sources)
        return complete and self.meant == self.understood and all(m.days == m.equal for m in self.mirrors)


def compare(parts: Sequence[Sent], incidents: Sequence[Incident], connection: duckdb.DuckDBPyConnection) -> Scoreboard:
    """Hold a built warehouse against the truth it was read from."""
    unseen = pl.concat([part.events.filter(~part.must) for part in parts])
    mirrors = select(connection, _MIRRORS).to_dicts()
    return Scoreboard(
        sources=tuple(_score(part, unseen, connection) for part in parts),
        mirrors=tuple(MirrorScore(**row) for row in mirrors),
        sightings=tuple(_sighting(incident, connection) for incident in incidents),
    )


def _score(part: Sent, unseen: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> SourceScore:
    is_event = part.events["category"].is_not_null()
    sent = _as_kept(part.events.filter(part.must & is_event), part.kind)
    since = _as_kept(part.events.filter(part.may & ~part.must & is_event), part.kind)
    landed = _as_kept(select(connection, _LANDED, {"source": part.source}), part.kind)
    meant = _unmistakable(sent, unseen).filter(pl.col("in_scope"))
    read = _as_kept(select(connection, _READ, {"source": part.source}), part.kind)
    return SourceScore(
        source=part.source,
        kind=part.kind,
        shown=sent.height,
        landed=landed.height - _in_both(since, landed, _SENT),
        exact=_in_both(sent, landed, _SENT),
        to_come=int((is_event & ~part.must).sum()),
        meant=meant.height,
        understood=_in_both(meant, read, _SENT + _MEANT),
    )


def _unmistakable(sent: pl.DataFrame, unseen: pl.DataFrame) -> pl.DataFrame:
    """The events whose meaning does not hang on others that are still to come: a bare 0 or 1 is read by what else was
    sent for its commit."""
    key = ["environment", "commit_sha"]
    bare = (pl.col("value") <= 1) & pl.col("error_type").is_null()
    sure = sent.filter(~bare.fill_null(False))
    return pl.concat([sure, sent.filter(bare).join(unseen.select(key).unique(), on=key, how="anti", nulls_equal=True)])


def _in_both(left: pl.DataFrame, right: pl.DataFrame, columns: list[str]) -> int:
    """How many rows two frames share, equal rows counted as often as both have them."""
    counts = [frame.group_by(columns).len(name) for frame, name in ((left, "a"), (right, "b"))]
    both = counts[0].join(counts[1], on=columns, how="inner", nulls_equal=True)
    return int(both.select(pl.min_horizontal("a", "b").sum()).item() or 0)


def _as_kept(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """What a service keeps of what was sent; the rest is not ours to get back.

    Matomo trims texts and keeps three decimals of a value; Piwik PRO keeps values from 0 to 1e11 and cannot tell an
    empty text from none.
    """
    texts = [name for name in _SENT if frame.schema[name] == pl.String]
    if kind == "matomo":
        return frame.with_columns(pl.col(texts).str.strip_chars(), pl.col("value").round(3))
    value = pl.when(pl.col("value").is_between(0, GREATEST_VALUE)).then("value")
    return frame.with_columns(pl.when(pl.col(texts) != "").then(pl.col(texts)).name.keep(), value=value)


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
