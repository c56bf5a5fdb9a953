"""Truth against what was found: every simulated event, and how it was read.

Compares what the simulator knows with what the tables say; neither knows of the other. Not here: running anything, and
how planted incidents are looked for (sightings.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb
import polars as pl

from matokit_pipelines.cli.sightings import Sighting, look_for
from matokit_pipelines.simulator.incidents import Incident
from matokit_pipelines.warehouse.snapshots import select

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
    """What was sent to one source that counts. `zone`: its site's; `must`: by row of `events`, whether its service
    showed it when the reading began; `may`: whether it shows it by now."""

    source: str
    kind: Literal["piwik_pro", "matomo"]
    zone: str
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
        sightings=look_for(incidents, connection),
    )


def _score(part: Sent, unseen: pl.DataFrame, connection: duckdb.DuckDBPyConnection) -> SourceScore:
    is_event = part.events["category"].is_not_null()
    sent = _as_kept(part.events.filter(part.must & is_event), part)
    since = _as_kept(part.events.filter(part.may & ~part.must & is_event), part)
    landed = _as_kept(select(connection, _LANDED, {"source": part.source}), part)
    meant = _unmistakable(sent, unseen).filter(pl.col("in_scope"))
    read = _as_kept(select(connection, _READ, {"source": part.source}), part)
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


def _as_kept(frame: pl.DataFrame, by: Sent) -> pl.DataFrame:
    """What a service keeps of what was sent; the rest is not ours to get back.

    Matomo trims texts and keeps three decimals of a value; Piwik PRO keeps values from 0 to 1e11, cannot tell an
    empty text from none, and gives times as wall clocks of the site, on which autumn's repeated hour stands twice.
    """
    texts = [name for name in _SENT if frame.schema[name] == pl.String]
    if by.kind == "matomo":
        return frame.with_columns(pl.col(texts).str.strip_chars(), pl.col("value").round(3))
    value = pl.when(pl.col("value").is_between(0, GREATEST_VALUE)).then("value")
    clock = pl.col("event_ts").dt.convert_time_zone(by.zone).dt.replace_time_zone(None)
    return frame.with_columns(
        pl.when(pl.col(texts) != "").then(pl.col(texts)).name.keep(), value=value, event_ts=clock
    )  # fmt: skip
