"""What a Piwik PRO account has stored of one site: events, and which copies of them can be seen when.

Belongs here: stored values, the snapshots that answers are made from, and what a moment makes visible. Does not
belong here: the grouping itself (piwik_pro_sessions), columns (piwik_pro_columns) and requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator.hashing import mixed, spread
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_sessions import COPY, Ints, Rules, copies

PAGE_VIEW, CUSTOM_EVENT, BROKEN, EXCLUDED = 1, 5, 17, 18
GREATEST_VALUE = 1e11
NOBODY = "0" * 16
REAL_TIME_SECONDS = 3_600
_TEXTS = ("category", "action", "name", "url")
_EVENT_IDS, _DELAYS, _LATE, _VANISH, _REAL_TIME, _OTHER_IDS = 11, 12, 13, 14, 15, 16


@dataclass(frozen=True)
class Dimension:
    """A custom dimension: senders address it by tracking_id, columns are named after scope and slot."""

    tracking_id: int
    slot: int
    name: str
    scope: str = "event"
    active: bool = True
    case_sensitive: bool = True

    @property
    def column_id(self) -> str:
        """The column of a report that holds it."""
        return f"{self.scope}_custom_dimension_{self.slot}"


SAME_SLOTS = (
    Dimension(1, 1, "Operating system"),
    Dimension(2, 2, "Architecture"),
    Dimension(3, 3, "Commit"),
)
OTHER_SLOTS = (
    Dimension(1, 1, "Operating system", scope="session"),
    Dimension(2, 1, "Architecture"),
    Dimension(3, 2, "Commit"),
)


@dataclass(frozen=True)
class Site:
    """The site, and what it was set up with."""

    id: str
    name: str
    zone: ZoneInfo
    created: datetime
    dimensions: tuple[Dimension, ...] = SAME_SLOTS


def stored_value(sent: float | None) -> float | None:
    """What is kept of a sent value: itself from 0 to 1e11, nothing of any other."""
    return sent if sent is not None and 0 <= sent <= GREATEST_VALUE else None


def schema(dimensions: Sequence[Dimension]) -> dict[str, Any]:
    """Columns of stored events.

    ts and at: epoch seconds of the event and of its arrival; wall: the site's wall clock as if it were UTC; kind: the
    event type; reason: why it is broken or excluded; odd: 0, or how its row is spoilt; gone: when it was taken out.
    """
    texts = ["visitor", *_TEXTS, *(f"dimension{d.tracking_id}" for d in dimensions), "reason"]
    numbers = dict.fromkeys(("ts", "at", "wall", "gone"), pl.Int64)
    return numbers | dict.fromkeys(texts, pl.String) | {"value": pl.Float64, "kind": pl.Int8, "odd": pl.Int8}


def sent_events(events: pl.DataFrame, site: Site, faults: PiwikProFaults, assumed: Assumptions) -> pl.DataFrame:
    """Stored events of the sent columns of a truth (event_ts to url), columns as `schema`."""
    moment = pl.col("event_ts")
    wall = moment.dt.convert_time_zone(site.zone.key).dt.replace_time_zone(None).dt.epoch("s")
    readable = pl.col("value").is_between(0, GREATEST_VALUE)
    broken = (assumed.odd_value == "broken") & pl.col("value").is_not_null() & ~readable
    dimensions = [_dimension(d, events.columns, assumed) for d in site.dimensions]
    frame = events.select(
        *_TEXTS,
        *dimensions,
        ts=moment.dt.epoch("s"),
        wall=wall,
        visitor=pl.col("visitor_id").fill_null(NOBODY),
        value=pl.when(readable).then("value"),
        kind=pl.when(broken).then(BROKEN).when(pl.col("category").is_null()).then(PAGE_VIEW).otherwise(CUSTOM_EVENT),
        reason=pl.when(broken).then(pl.lit("The value of the event is out of range")),
        odd=pl.lit(0),
        gone=pl.lit(None, dtype=pl.Int64),
    )
    late = spread(np.arange(frame.height, dtype=np.uint64), _LATE + faults.seed) < faults.late_share
    frame = frame.with_columns(at=pl.col("ts") + pl.Series(late).cast(pl.Int64) * faults.late_seconds)
    frame = frame.select(pl.col(name).cast(kind) for name, kind in schema(site.dimensions).items())
    return pl.concat([frame, _odd(frame, faults.odd_rows)])


def _dimension(dimension: Dimension, there: Sequence[str], assumed: Assumptions) -> pl.Expr:
    name = f"dimension{dimension.tracking_id}"
    if name not in there or not dimension.active:
        return pl.lit(None, dtype=pl.String).alias(name)
    return pl.col(name).str.to_lowercase() if assumed.folds and not dimension.case_sensitive else pl.col(name)


def _odd(frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """`count` further events at the times of others, each of a visitor of its own, spoilt in four ways by turns."""
    places = np.linspace(0, frame.height - 1, count, dtype=np.int64) if frame.height else np.zeros(0, dtype=np.int64)
    visitors = [f"0ddba11{number:09x}" for number in range(len(places))]
    ways = pl.Series(np.arange(len(places)) % 4 + 1, dtype=pl.Int8)
    return (
        frame[places]
        .with_columns(visitor=pl.Series(visitors, dtype=pl.String), odd=ways, kind=CUSTOM_EVENT)
        .cast({"kind": pl.Int8})
    )


@dataclass(frozen=True)
class Coded:
    """A column of few different values: `codes` point into `values`."""

    codes: NDArray[np.int64]
    values: pl.Series


def coded(column: pl.Series) -> Coded:
    """The column with each different value once, null among them."""
    values = column.unique(maintain_order=True)
    known = pl.DataFrame({"value": values, "code": np.arange(len(values))})
    joined = pl.DataFrame({"value": column}).join(
        known, on="value", how="left", nulls_equal=True, maintain_order="left"
    )
    return Coded(joined["code"].to_numpy(), values)


@dataclass(frozen=True)
class Snapshot:
    """All that is stored at one time; never changed, so that answers may be made from it by many threads.

    events: as `schema`, one row an event ever received. copies: as `piwik_pro_sessions.COPY`, in the order of the
    wall clock of their events.
    """

    events: pl.DataFrame
    copies: pl.DataFrame
    salt: int
    _coded: dict[str, Coded] = field(default_factory=dict)

    @cached_property
    def event_ids(self) -> NDArray[np.uint64]:
        """By event: its id, any number of 64 bits."""
        return mixed(np.arange(self.events.height, dtype=np.uint64), _EVENT_IDS + self.salt)

    @cached_property
    def event(self) -> Ints:
        """By copy: its event."""
        return self.copies["event"].to_numpy()

    @cached_property
    def session(self) -> Ints:
        """By copy: the number of its session's copy."""
        return self.copies["session"].to_numpy()

    @cached_property
    def wall(self) -> Ints:
        """By copy: the wall clock of its event, ascending."""
        return self.events["wall"].to_numpy()[self.event]

    @cached_property
    def sight(self) -> tuple[Ints, Ints]:
        """By copy: the first second in which it can be seen, and the first in which it no longer can."""
        gone = self.events["gone"].fill_null(2**62).to_numpy()[self.event]
        until = np.minimum(self.copies["until"].to_numpy(), gone)
        # What the limits of a session exclude is never seen.
        return self.copies["since"].to_numpy(), np.where(self.copies["excluded"].to_numpy(), 0, until)

    @cached_property
    def by_wall(self) -> tuple[Ints, Ints]:
        """(wall clock, event) of all events, ascending by both."""
        wall = self.events["wall"].to_numpy()
        order = np.argsort(wall, kind="stable")
        return wall[order], order

    def coded(self, name: str) -> Coded:
        """A column of `events` in few values; made when it is first asked for."""
        if name not in self._coded:
            self._coded[name] = coded(self.events[name])
        return self._coded[name]

    def raw_ids(self, copy: Ints, survive: bool) -> NDArray[np.uint64]:
        """Event ids of these copies; others for the second and later copies of an event unless ids `survive`."""
        ids = self.event_ids[self.event[copy]]
        if survive:
            return ids
        turn = self.copies["copy"].to_numpy()[copy]
        return np.where(turn == 0, ids, mixed(ids + turn.astype(np.uint64), _OTHER_IDS))


class Store:
    """Takes events in and gives snapshots. `take` and `snapshot` are not safe for threads: their server takes turns."""

    def __init__(self, events: pl.DataFrame, site: Site, faults: PiwikProFaults, assumed: Assumptions) -> None:
        self.site, self.faults, self.assumed = site, faults, assumed
        self.rules = Rules(
            idle=assumed.session_idle_s,
            longest=assumed.session_max_duration_s,
            most=assumed.session_max_event_count,
            excludes=assumed.session_limit_exceeded_action == "split_and_exclude",
            overlap=faults.rebuild_overlap_s,
        )
        self._coming: list[dict[str, Any]] = []
        stored = sent_events(events, site, faults, assumed)
        self._snapshot = self._of(stored, pl.DataFrame(schema=COPY), np.ones(stored.height, dtype=np.bool_))

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event, columns as `schema`; what is missing is null."""
        self._coming.append({name: event.get(name) for name in schema(self.site.dimensions)})

    def snapshot(self) -> Snapshot:
        """Everything taken in so far."""
        if self._coming:
            before = self._snapshot
            fresh = pl.DataFrame(self._coming, schema=schema(self.site.dimensions))
            self._coming = []
            events = pl.concat([before.events, fresh], rechunk=True)
            touched = events["visitor"].is_in(fresh["visitor"].unique().implode()).to_numpy()
            self._snapshot = self._of(events, before.copies.filter(~pl.Series(touched[before.event])), touched)
        return self._snapshot

    def exclude(self, which: pl.Expr, now: int) -> int:
        """Take the events for which `which` (of the columns of `schema`) holds out of sight; returns how many."""
        before = self.snapshot()
        hit = before.events.select(which.fill_null(False) & pl.col("gone").is_null()).to_series()
        gone = pl.when(pl.lit(hit)).then(now).otherwise("gone")
        self._snapshot = Snapshot(before.events.with_columns(gone=gone), before.copies, before.salt)
        return int(hit.sum())

    def _of(self, events: pl.DataFrame, kept: pl.DataFrame, touched: NDArray[np.bool_]) -> Snapshot:
        """A snapshot in which the copies of `touched` events are made anew beside those `kept`."""
        counted = touched & events["kind"].is_in([PAGE_VIEW, CUSTOM_EVENT]).to_numpy()
        event = np.flatnonzero(counted)
        visitor = coded(events["visitor"]).codes
        ts, at = events["ts"].to_numpy(), events["at"].to_numpy()
        made = copies(event, visitor[event], ts[event], at[event], self.rules, self._delay)
        free = kept["session"].max()
        first = int(free) + 1 if isinstance(free, int) else 0
        both = pl.concat([kept, made.with_columns(pl.col("session") + first)])
        both = self._without_vanished(both)
        wall = events["wall"].to_numpy()[both["event"].to_numpy()]
        return Snapshot(events, both[np.argsort(wall, kind="stable")], self.faults.seed)

    def _delay(self, first: Ints) -> Ints:
        share = spread(first.astype(np.uint64), _DELAYS + self.faults.seed)
        return np.floor(share * (self.faults.processing_delay_s + 1)).astype(np.int64)

    def _without_vanished(self, copied: pl.DataFrame) -> pl.DataFrame:
        """The copies with an end where the fault `vanish_share` takes the event out."""
        if self.faults.vanish_share <= 0:
            return copied
        event = copied["event"].to_numpy().astype(np.uint64)
        hit = pl.lit(pl.Series(spread(event, _VANISH + self.faults.seed) < self.faults.vanish_share))
        end = pl.col("since").min().over("event") + self.faults.vanish_after_s
        shorter = pl.when(hit).then(pl.min_horizontal("until", end)).otherwise("until")
        return copied.with_columns(until=shorter).filter(pl.col("since") < pl.col("until"))


def wall_of(ts: int, zone: ZoneInfo) -> int:
    """The wall clock in `zone` at `ts` (epoch seconds), as if it were UTC."""
    return int(datetime.fromtimestamp(ts, zone).replace(tzinfo=UTC).timestamp())


def oldest_wall(faults: PiwikProFaults, zone: ZoneInfo, now: int) -> int:
    """Wall clock before which everything has vanished by retention; the least number when nothing vanishes."""
    if faults.retention_days is None:
        return -(2**62)
    first = datetime.fromtimestamp(now, zone).replace(day=1, hour=0, minute=0, second=0, tzinfo=UTC)
    return int((first - timedelta(days=faults.retention_days)).replace(day=1).timestamp())


def seen(snapshot: Snapshot, start: int, end: int, now: int) -> Ints:
    """Copies in sight at `now` whose events lie in [start, end) of the wall clock; wall clock order."""
    low, high = (int(np.searchsorted(snapshot.wall, edge, side="left")) for edge in (start, end))
    since, until = snapshot.sight
    return low + np.flatnonzero((since[low:high] <= now) & (now < until[low:high]))


def seen_live(snapshot: Snapshot, start: int, end: int, now: int, faults: PiwikProFaults) -> Ints:
    """Events in the real-time store at `now` that lie in [start, end) of the wall clock."""
    wall, event = snapshot.by_wall
    low, high = (int(np.searchsorted(wall, edge, side="left")) for edge in (start, end))
    found = event[low:high]
    frame = snapshot.events[found]
    luck = spread(found.astype(np.uint64), _REAL_TIME + faults.seed)
    there = frame["at"].to_numpy() + np.floor(luck * (faults.real_time_delay_s + 1)).astype(np.int64)
    kept = (there <= now) & (frame["ts"].to_numpy() > now - REAL_TIME_SECONDS)
    kept &= frame["kind"].is_in([PAGE_VIEW, CUSTOM_EVENT]).to_numpy()
    # The luck that delays an event is not the luck that loses it.
    return found[kept & (spread(found.astype(np.uint64), _REAL_TIME + 77 + faults.seed) >= faults.real_time_missing)]
