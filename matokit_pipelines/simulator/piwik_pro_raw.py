"""The raw endpoints: events, sessions and real-time events as pages of rows.

Belongs here: which rows a page has, their order, and their JSON. Does not belong here: what a column holds
(piwik_pro_columns), what may be asked (piwik_pro_requests) and aggregates (piwik_pro_query).
"""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator.hashing import mixed
from matokit_pipelines.simulator.piwik_pro_answers import JSON, PiwikProError
from matokit_pipelines.simulator.piwik_pro_columns import Column, Rows, Values
from matokit_pipelines.simulator.piwik_pro_faults import Assumptions, Dice, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_filters import mask
from matokit_pipelines.simulator.piwik_pro_requests import (
    Endpoint,
    Page,
    Wanted,
    Window,
    dimension_of,
    page_of,
    raw_columns,
    window_of,
)
from matokit_pipelines.simulator.piwik_pro_sessions import Ints
from matokit_pipelines.simulator.piwik_pro_store import Site, Snapshot, oldest_wall, seen, seen_live
from matokit_pipelines.simulator.piwik_pro_transformations import transformed
from matokit_pipelines.simulator.wire import Answer

FORMATS = ("json", "json-kv", "csv")
_DEFAULTS: dict[Endpoint, tuple[str, ...]] = {
    "events": ("session_id", "event_id", "visitor_id", "timestamp"),
    "sessions": ("session_id", "visitor_id", "timestamp"),
    "real-time-events": ("timestamp",),
}
_ORDER, _REPEATED = 31, 7


@dataclass
class Raw:
    """Answers raw requests from snapshots; safe for threads (`turn` guards the dice)."""

    site: Site
    columns: Mapping[str, Column]
    faults: PiwikProFaults
    assumed: Assumptions
    dice: Dice
    turn: threading.Lock
    _shuffles: int = field(default=0, init=False)

    def answer(self, endpoint: Endpoint, body: Mapping[str, Any], snapshot: Snapshot, now: int) -> Answer:
        """A page. Raises PiwikProError."""
        live = endpoint == "real-time-events"
        if live and not self.assumed.real_time:
            raise PiwikProError(403, "Real-time data is not part of the plan.")
        asked = raw_columns(body, self.columns, endpoint, self.assumed)
        page = page_of(body, FORMATS, self.assumed)
        window = window_of(body, self.site.zone, now, live, self.assumed)
        rows = self.rows(endpoint, snapshot, window, now)
        find = partial(dimension_of, self.columns, endpoint=endpoint)
        rows = rows.at(mask(body.get("filters"), rows, lambda wanted, where: find(wanted, where), reports=False))
        with self.turn:
            places, count = self._page(rows, page, window, endpoint, json.dumps(body.get("filters")))
        defaults = [*_DEFAULTS[endpoint], *(["visitor_id"] if live and self.assumed.real_time_identifiers else [])]
        shown = [Wanted(name, None, self.columns[name]) for name in defaults] + asked
        return written(rows.at(places), shown, page, count)

    def rows(self, endpoint: Endpoint, snapshot: Snapshot, window: Window, now: int) -> Rows:
        """All rows of a window that are in sight at `now` (epoch seconds)."""
        if endpoint == "real-time-events":
            event = seen_live(snapshot, window.start, window.end, now, self.faults)
            return Rows(snapshot, self.site, self.assumed, event, None)
        start = max(window.start, oldest_wall(self.faults, self.site.zone, now))
        copy = seen(snapshot, start, max(start, window.end), now)
        if endpoint == "sessions":
            copy = copy[snapshot.copies["index"].to_numpy()[copy] == 0]
        return Rows(snapshot, self.site, self.assumed, snapshot.event[copy], copy)

    def _page(
        self, rows: Rows, page: Page, window: Window, endpoint: Endpoint, filters: str
    ) -> tuple[NDArray[Any], int]:
        """The places of a page's rows in the order of this request, and the count as told."""
        order = self._order(rows)
        offset, count = page.offset, len(rows)
        if endpoint == "events":
            zone = self.site.zone
            start, end = (_instant(edge, zone) for edge in (window.start, window.end))
            count = self.dice.miscount((window, filters), start, end, count)
            full = len(order) > offset
            if full and self.dice.happens("short_page"):
                return order[:0], count
            if full and offset and self.dice.happens("repeated_rows"):
                offset -= min(offset, _REPEATED)
        return order[offset : offset + page.limit], count

    def _order(self, rows: Rows) -> Ints:
        which = rows.event if rows.copy is None else rows.copy
        if self.assumed.order == "pinned":
            return np.argsort(mixed(which.astype(np.uint64), _ORDER + self.faults.seed))
        self._shuffles += 1
        return np.random.default_rng([self.faults.seed, self._shuffles]).permutation(len(which))


def _instant(wall: int, zone: ZoneInfo) -> float:
    """Epoch seconds of a wall clock, the first of two."""
    return datetime.fromtimestamp(wall, UTC).replace(tzinfo=zone).timestamp()


def written(rows: Rows, shown: list[Wanted], page: Page, count: int) -> Answer:
    """The page in the format asked for."""
    labels = [one.name if page.by_name else one.label for one in shown]
    columns = [_values(one, rows) for one in shown]
    if page.format == "csv":
        return _csv(labels, columns)
    texts = [column.json(rows.assumed) for column in columns]
    keys = page.format == "json-kv"
    if keys:
        texts = [json.dumps(label) + ":" + text for label, text in zip(labels, texts, strict=True)]
    opening, closing = ("{", "}") if keys else ("[", "]")
    frame = pl.DataFrame({str(number): text for number, text in enumerate(texts)})
    lines = frame.select(opening + pl.concat_str(pl.all(), separator=",") + closing).to_series()
    data = b"[" + ",".join(_spoilt(lines, rows, labels)).encode() + b"]" if len(rows) else b"[]"
    return Answer(200, JSON, _framed(data, {"columns": labels, "count": count}, rows.assumed))


def _framed(data: bytes, meta: Mapping[str, Any], assumed: Assumptions) -> bytes:
    """Rows and meta as one object, in the order and with the blanks assumed."""
    told = json.dumps(meta, ensure_ascii=False, separators=(",", ":")).encode()
    if assumed.frame == "meta_first":
        return b'{"meta":' + told + b',"data":' + data + b"}"
    body = b'{"data":' + data + b',"meta":' + told + b"}"
    return json.dumps(json.loads(body), ensure_ascii=False, indent=1).encode() if assumed.frame == "spaced" else body


def _values(one: Wanted, rows: Rows) -> Values:
    if one.column is None:
        raise PiwikProError(400, f'Dimension "{one.id}" does not exist.')
    return transformed(one.column.values(rows), one.transformation)


def _spoilt(lines: pl.Series, rows: Rows, labels: list[str]) -> pl.Series:
    """The rows, odd ones (fault `odd_rows`) as an object, too short, too long or with an unreadable timestamp."""
    odd = rows.snapshot.events["odd"].to_numpy()[rows.event]
    places = np.flatnonzero(odd)
    if not len(places):
        return lines
    changed = []
    for place in places.tolist():
        row = json.loads(lines[place])
        way = int(odd[place])
        cells = list(row.values()) if isinstance(row, dict) else row
        if way == 4:
            cells[labels.index("timestamp")] = "2026-13-45T99:99:99"
        spoilt: Any = {1: dict(zip(labels, cells, strict=True)), 2: cells[:-1], 3: [*cells, "more"], 4: cells}[way]
        changed.append(json.dumps(spoilt, ensure_ascii=False, separators=(",", ":")))
    return lines.scatter(places, pl.Series(changed))


def _csv(labels: list[str], columns: list[Values]) -> Answer:
    """Comma separated, CRLF, enumerated values by their label, null as nothing; assumed, for nobody shows it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(labels)
    writer.writerows(
        zip(*([_cell(value, column) for value in column.series().to_list()] for column in columns), strict=True)
    )
    return Answer(200, "text/csv", out.getvalue().encode())


def _cell(value: Any, column: Values) -> Any:
    if column.kind == "enum":
        return column.labels.get(value, "")
    return int(value) if isinstance(value, float) and value.is_integer() else value
