"""The columns of reports and raw data: their names, types and values, and how they are written.

Belongs here: what a column holds for chosen rows, and how it is written as JSON. Does not belong here: which rows
are chosen (piwik_pro_raw), transformations (piwik_pro_transformations) and metrics (piwik_pro_query).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator.hashing import mixed, spread
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions
from matokit_pipelines.simulator.piwik_pro_sessions import Ints
from matokit_pipelines.simulator.piwik_pro_store import Site, Snapshot

Kind = Literal["str", "int", "float", "enum", "hex", "id", "datetime", "date"]
_AS_INTEGER, _LIVE_IDS = 21, 22
EVENT_TYPES = {
    1: "Page view",
    2: "Outlink",
    3: "Download",
    4: "Search",
    5: "Custom event",
    17: "Broken event",
    18: "Excluded event",
}


@dataclass(frozen=True)
class Rows:
    """Chosen rows: copies of events, events of the real-time store, or copies of sessions (by their first copy).

    copy is None in the real-time store, which knows no sessions.
    """

    snapshot: Snapshot
    site: Site
    assumed: Assumptions
    event: Ints
    copy: Ints | None

    def __len__(self) -> int:
        return len(self.event)

    def at(self, places: NDArray[Any]) -> Rows:
        """Some of these rows, by place or by mask."""
        return replace(self, event=self.event[places], copy=None if self.copy is None else self.copy[places])


@dataclass(frozen=True)
class Values:
    """A column of chosen rows. codes point into `values`, or are None when `values` is the column itself.

    labels: for enumerated values, what is written beside the id. choice: among two ways to write a whole number.
    """

    kind: Kind
    values: pl.Series
    codes: NDArray[np.int64] | None = None
    labels: Mapping[Any, str] = field(default_factory=dict)
    choice: NDArray[np.bool_] | None = None

    def series(self) -> pl.Series:
        """The values, one a row."""
        return self.values if self.codes is None else self.values.gather(self.codes)

    def mapped(self, change: Callable[[pl.Series], pl.Series], kind: Kind) -> Values:
        """Another column made from this one, value by value."""
        return Values(kind, change(self.values), self.codes)

    def test(self, check: Callable[[pl.Series], pl.Series]) -> NDArray[np.bool_]:
        """Which rows pass a check of their value."""
        passed = check(self.values).fill_null(False).to_numpy()
        return passed if self.codes is None else passed[self.codes]

    def plain(self) -> list[Any]:
        """The values as JSON holds them, enumerated ones as pairs."""
        whole = self.series().to_list()
        if self.kind != "enum":
            return whole
        return [None if value is None else [value, self.labels[value]] for value in whole]

    def json(self, assumed: Assumptions) -> pl.Series:
        """The values written as JSON, one text a row."""
        written = self._written(assumed)
        if self.kind == "float":
            # Whole numbers are written as 1 in some rows and as 1.0 in others.
            short = written.str.strip_suffix(".0")
            if assumed.values_as == "int":
                written = short
            elif assumed.values_as == "mixed" and self.choice is not None:
                both = pl.concat([written, short])
                places = self.codes if self.codes is not None else np.arange(len(written))
                return both.gather(places + self.choice * len(written))
        return written if self.codes is None else written.gather(self.codes)

    def _written(self, assumed: Assumptions) -> pl.Series:
        if self.kind in ("int", "float"):
            return self.values.cast(pl.String).fill_null("null")
        if self.kind == "id":
            text = self.values.cast(pl.String)
            return '"' + text + '"' if assumed.ids_as_text else text
        if self.kind in ("hex", "datetime", "date"):
            return '"' + self.values + '"'
        nothing = "[null,null]" if assumed.null_enum == "pair" and self.kind == "enum" else "null"
        pairs = [
            [value, self.labels[value]] if self.kind == "enum" and value is not None else value for value in self.values
        ]
        texts = [
            nothing if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            for value in pairs
        ]
        return pl.Series(texts, dtype=pl.String)


@dataclass(frozen=True)
class Column:
    """A dimension. scope: of what it is a property; raw, query, live: where it may be asked for."""

    id: str
    name: str
    kind: Kind
    scope: Literal["event", "session"]
    values: Callable[[Rows], Values]
    raw: bool = True
    query: bool = True
    live: bool = True
    nullable: bool = False


def _text(name: str) -> Callable[[Rows], Values]:
    def values(rows: Rows) -> Values:
        stored = rows.snapshot.coded(name)
        return Values("str", stored.values.fill_null(""), stored.codes[rows.event])

    return values


def _same(kind: Kind, value: Any, label: str | None = None) -> Callable[[Rows], Values]:
    """The same value in each row."""

    def values(rows: Rows) -> Values:
        of_type = pl.String if isinstance(value, str) or value is None else pl.Int64
        labels = {} if label is None else {value: label}
        return Values(kind, pl.Series([value], dtype=of_type), np.zeros(len(rows), dtype=np.int64), labels)

    return values


def _event_type(rows: Rows) -> Values:
    stored = rows.snapshot.coded("kind")
    return Values("enum", stored.values, stored.codes[rows.event], EVENT_TYPES)


def _value(rows: Rows) -> Values:
    stored = rows.snapshot.coded("value")
    choice = spread(rows.event.astype(np.uint64), _AS_INTEGER) < 0.5
    return Values("float", stored.values, stored.codes[rows.event], choice=choice)


def _visitor(rows: Rows) -> Values:
    stored = rows.snapshot.coded("visitor")
    return Values("hex", stored.values, stored.codes[rows.event])


def _timestamp(rows: Rows) -> Values:
    wall = rows.snapshot.events["wall"].to_numpy()[rows.event]
    seconds, codes = np.unique(wall, return_inverse=True)
    texts = pl.from_epoch(pl.Series(seconds), "s").dt.strftime("%Y-%m-%dT%H:%M:%S")
    return Values("datetime", texts, codes.astype(np.int64))


def _event_id(rows: Rows) -> Values:
    if rows.copy is not None:
        return Values("id", pl.Series(rows.snapshot.raw_ids(rows.copy, rows.assumed.ids_survive)))
    ids = rows.snapshot.event_ids[rows.event]
    return Values("id", pl.Series(ids if rows.assumed.real_time_ids_equal else mixed(ids, _LIVE_IDS)))


def _session_id(rows: Rows) -> Values:
    first = rows.snapshot.copies["first"].to_numpy()[rows.copy]
    return Values("id", pl.Series(rows.snapshot.event_ids[first]))


def _event_index(rows: Rows) -> Values:
    return Values("int", pl.Series(rows.snapshot.copies["index"].to_numpy()[rows.copy]))


def _of_session(
    measure: Callable[[pl.DataFrame, Rows], pl.Series], kind: Kind, **more: Any
) -> Callable[[Rows], Values]:
    """A property of a session: `measure` gets all copies that share a session with the rows."""

    def values(rows: Rows) -> Values:
        snapshot = rows.snapshot
        mine = snapshot.session[rows.copy]
        wanted = np.unique(mine)
        member = np.flatnonzero(np.isin(snapshot.session, wanted) & ~snapshot.copies["excluded"].to_numpy())
        frame = pl.DataFrame({"session": snapshot.session[member], "event": snapshot.event[member]})
        frame = frame.with_columns(index=pl.Series(snapshot.copies["index"].to_numpy()[member])).sort(
            "session", "index"
        )
        return Values(kind, measure(frame, rows), np.searchsorted(wanted, mine), **more)

    return values


def _total(frame: pl.DataFrame, rows: Rows) -> pl.Series:
    return frame.group_by("session").len().sort("session")["len"].cast(pl.Int64)


def _customs(frame: pl.DataFrame, rows: Rows) -> pl.Series:
    custom = pl.Series(rows.snapshot.events["kind"].to_numpy()[frame["event"].to_numpy()] == 5)
    return (
        frame.with_columns(custom=custom)
        .group_by("session")
        .agg(pl.col("custom").sum())
        .sort("session")["custom"]
        .cast(pl.Int64)
    )


def _seconds(frame: pl.DataFrame, rows: Rows) -> pl.Series:
    ts = pl.Series(rows.snapshot.events["ts"].to_numpy()[frame["event"].to_numpy()])
    spans = frame.with_columns(ts=ts).group_by("session").agg(pl.col("ts").max() - pl.col("ts").min())
    return spans.sort("session")["ts"]


def _returning(frame: pl.DataFrame, rows: Rows) -> pl.Series:
    events = rows.snapshot.events
    known = events.group_by("visitor").agg(known=pl.col("ts").min())
    first = frame.group_by("session").agg(pl.col("event").first()).sort("session")["event"]
    mine = events[first.to_numpy()].select("visitor", "ts").join(known, on="visitor", how="left", maintain_order="left")
    return (mine["ts"] > mine["known"]).cast(pl.Int64)


def _last_sent(name: str) -> Callable[[pl.DataFrame, Rows], pl.Series]:
    """A dimension of the session's scope: what its last event that had one said."""

    def measure(frame: pl.DataFrame, rows: Rows) -> pl.Series:
        sent = rows.snapshot.events[name].gather(frame["event"].to_numpy())
        told = frame.with_columns(sent=sent).group_by("session").agg(pl.col("sent").drop_nulls().last())
        return told.sort("session")["sent"].fill_null("")

    return measure


def catalogue(site: Site) -> dict[str, Column]:
    """All dimensions of a site by id. Personal data is among them: a client shows by not asking that it keeps none."""
    columns = [
        Column("session_id", "Session ID", "id", "session", _session_id, query=False, live=False),
        Column("event_id", "Event ID", "id", "event", _event_id, query=False),
        Column("visitor_id", "Visitor ID", "hex", "session", _visitor),
        Column("timestamp", "Timestamp", "datetime", "event", _timestamp),
        Column("event_type", "Event type", "enum", "event", _event_type),
        Column("event_index", "Event index", "int", "event", _event_index, query=False, live=False),
        Column("custom_event_category", "Custom event category", "str", "event", _text("category")),
        Column("custom_event_action", "Custom event action", "str", "event", _text("action")),
        Column("custom_event_name", "Custom event name", "str", "event", _text("name")),
        Column("custom_event_value", "Custom event value", "float", "event", _value, nullable=True),
        Column("event_url", "Page URL", "str", "event", _text("url")),
        Column("event_title", "Page title", "str", "event", _same("str", "")),
        Column("website_name", "Site or app name", "enum", "session", _same("enum", site.id, site.name)),
        Column("operating_system", "Operating system", "enum", "session", _same("enum", None), nullable=True),
        Column("browser_name", "Browser name", "enum", "session", _same("enum", None), nullable=True),
        Column("device_type", "Device type", "enum", "session", _same("enum", 0, "Desktop"), nullable=True),
        Column("resolution", "Resolution", "str", "session", _same("str", "")),
        Column("source", "Source", "str", "session", _same("str", "direct")),
        Column("referrer_type", "Referrer type", "enum", "session", _same("enum", 1, "Direct entry")),
        Column("ipv4_address", "IPv4 address", "str", "session", _same("str", "192.0.2.7")),
        Column("user_id", "User ID", "str", "session", _same("str", "person@example.org")),
        Column("cookie_id", "Cookie ID", "hex", "session", _visitor),
        Column("location_city_name", "City", "str", "session", _same("str", "Lyngby")),
        Column("location_country_name", "Country", "enum", "session", _same("enum", "DK", "Denmark"), nullable=True),
        Column("location_organization", "Organization", "str", "session", _same("str", "A university")),
        Column("session_total_events", "Events in session", "int", "session", _of_session(_total, "int"), live=False),
        Column("session_total_custom_events", "Custom events in session", "int", "session",
             _of_session(_customs, "int"), live=False),
        Column("session_total_time", "Session time", "int", "session", _of_session(_seconds, "int"), live=False),
        Column(
            "visitor_returning", "Visitor returning", "enum", "session",
            _of_session(_returning, "enum", labels={0: "New", 1: "Returning"}), live=False,
        ),
    ]  # fmt: skip
    return {column.id: column for column in columns} | _custom(site)


def _custom(site: Site) -> dict[str, Column]:
    """The custom dimensions; a slot that nothing is sent to exists too, and is empty."""
    found: dict[str, Column] = {}
    for scope in ("event", "session"):
        for slot in range(1, 201):
            name = f"{scope.capitalize()} custom dimension {slot}"
            empty = _same("str", "")
            live = scope == "event"
            found[f"{scope}_custom_dimension_{slot}"] = Column(
                f"{scope}_custom_dimension_{slot}", name, "str", "event" if live else "session", empty, live=live
            )
    for dimension in site.dimensions:
        name = f"dimension{dimension.tracking_id}"
        of = _text(name) if dimension.scope == "event" else _of_session(_last_sent(name), "str")
        found[dimension.column_id] = replace(found[dimension.column_id], values=of)
    return found
