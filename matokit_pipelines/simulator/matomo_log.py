"""What a Matomo server has stored: actions in order of arrival, gathered into visits.

Belongs here: the rules of visits, ids, stored values and texts (docs: the log of Matomo 5.2). Does not belong here:
parameters, answers and reports.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matokit_pipelines.simulator.matomo_web_visits import UNKNOWN, Came, Conversion

DAY = 86_400
VISIT_GAP = 1_800
DIMENSION_LENGTH = 255
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$")


class Action(NamedTuple):
    """One stored action. ts: epoch seconds; wall: the site's wall clock as if it were UTC; value null = not sent.

    An action without category is a page view.
    """

    page_id: int
    ts: int
    wall: int
    category: str | None
    action: str | None
    name: str | None
    value: float | int | None
    dimensions: tuple[str | None, str | None, str | None]
    url: str | None


@dataclass(slots=True, eq=False)
class Visit:
    """One visit. first, last: epoch seconds; number: the visitor's how-manieth; seen: the visitor's first second."""

    id: int
    visitor: str
    first: int
    last: int
    last_day: int
    duration: int
    actions: list[Action]
    number: int
    seen: int
    before: int | None
    events: int = 0
    came: Came = UNKNOWN
    conversions: tuple[Conversion, ...] = ()


class Arrival(NamedTuple):
    """An action on its way: when it reaches the server (epoch seconds), who sent it, and what is stored."""

    at: int
    visitor: str
    ts: int
    wall: int
    category: str | None
    action: str | None
    name: str | None
    value: float | int | None
    dimensions: tuple[str | None, str | None, str | None]
    url: str | None


def stored_value(sent: str | float | None, version: str = "5.2.0") -> float | int | None:
    """What Matomo keeps of a sent event value: three decimals, 0 for text, nothing for nothing."""
    if sent is None or sent == "":
        return None
    if isinstance(sent, str):
        text = sent.strip()
        if "," in text and not version.startswith("5.0"):
            text = text.split(",", 1)[0]
        number = float(text) if _NUMBER.match(text) else 0.0
    else:
        number = float(sent)
    kept = round(number, 3)
    return int(kept) if kept == int(kept) else kept


def stored_text(sent: str | None) -> str | None:
    """Trimmed; nothing left is nothing sent."""
    return (sent.strip() or None) if sent is not None else None


def stored_dimension(sent: str | None) -> str | None:
    """Trimmed and cut to 255 characters; null (not sent) and empty stay apart."""
    return sent.strip()[:DIMENSION_LENGTH] if sent is not None else None


def stored_url(sent: str | None) -> str | None:
    """Without its fragment."""
    return (sent.split("#", 1)[0] or None) if sent is not None else None


def arrivals(events: pl.DataFrame, zone: str, late: tuple[float, int, int] = (0.0, 0, 0)) -> list[Arrival]:
    """Arrivals of the sent columns of a truth, in order of arrival.

    late: (share, seconds, seed): that share of the events reaches the server only so many seconds after event_ts.
    """
    moment = pl.col("event_ts")
    times = events.select(
        ts=moment.dt.epoch("s"),
        wall=moment.dt.convert_time_zone(zone).dt.replace_time_zone(None).dt.epoch("s"),
    )
    at = times["ts"].to_numpy().copy()
    share, seconds, seed = late
    if share > 0:
        at[np.random.default_rng(seed).random(len(at)) < share] += seconds
    texts = [[stored_text(text) for text in _shared(events[name])] for name in ("category", "action", "name")]
    dimensions = zip(*([stored_dimension(d) for d in _shared(events[f"dimension{i}"])] for i in (1, 2, 3)), strict=True)
    values = [stored_value(value) for value in events["value"].to_list()]
    urls = [stored_url(url) for url in _shared(events["url"])]
    rows = zip(
        at.tolist(),
        _shared(events["visitor_id"]),
        times["ts"].to_list(),
        times["wall"].to_list(),
        *texts,
        values,
        dimensions,
        urls,
        strict=True,
    )
    return sorted((Arrival(*row) for row in rows), key=lambda arrival: arrival.at)


def _shared(column: pl.Series) -> list[str]:
    """The column as a list in which equal texts are one object: a million rows repeat few texts."""
    seen: dict[str, str] = {}
    return [seen.setdefault(text, text) for text in column.to_list()]


class MatomoLog:
    """The visits of one site, as far as they have arrived.

    `advance(now)` takes in what has arrived by then (time does not run backwards); `version` changes with
    every action stored, so that answers may be kept until it does.
    """

    def __init__(self, coming: list[Arrival], zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.visits: list[Visit] = []
        self.days: dict[int, list[tuple[Visit, Action]]] = {}
        # Of a day: the visits that converted something in it, once for each conversion.
        self.converted: dict[int, list[Visit]] = {}
        # Page views whose tracker sent no load times.
        self.untimed: set[int] = set()
        self.version = 0
        self._coming = coming
        self._next = 0
        self._visitors: dict[str, list[Visit]] = {}
        self._order: tuple[int, NDArray[np.int64], NDArray[np.int64]] | None = None

    def advance(self, now: int) -> None:
        """Take in everything that has arrived by `now` (epoch seconds, inclusive)."""
        while self._next < len(self._coming) and self._coming[self._next].at <= now:
            self.take(self._coming[self._next])
            self._next += 1

    def take(self, arrival: Arrival) -> Visit:
        """Store one action: into a running visit of the visitor, or as a new visit. Returns the visit."""
        self.version += 1
        action = Action(self.version, *arrival[2:])
        visit = self._visit_of(arrival) or self._new_visit(arrival)
        if not visit.actions or arrival.ts >= visit.actions[-1].ts:
            visit.actions.append(action)
        else:
            # Answers list actions in true time order, late ones between the others.
            visit.actions.insert(bisect_right(visit.actions, arrival.ts, key=lambda known: known.ts), action)
        if arrival.ts > visit.last:
            visit.last, visit.last_day = arrival.ts, arrival.wall // DAY
        if len(visit.actions) > 1:
            visit.duration = max(0, arrival.ts - visit.first) + 1
        if action.category is not None:
            visit.events += 1
        self.days.setdefault(arrival.wall // DAY, []).append((visit, action))
        return visit

    def ping(self, visitor: str, ts: int) -> None:
        """A heartbeat: lengthens the newest visit, not its last action."""
        visits = self._visitors.get(visitor)
        if visits and visits[-1].last >= ts - VISIT_GAP:
            visits[-1].duration = max(visits[-1].duration, ts - visits[-1].first + 1)

    def order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(last action, visit id) of all visits, ascending by both; kept until something is stored."""
        if self._order is None or self._order[0] != self.version:
            last = np.fromiter((visit.last for visit in self.visits), dtype=np.int64, count=len(self.visits))
            ids = np.arange(1, len(last) + 1)
            by = np.lexsort((ids, last))
            self._order = (self.version, last[by], ids[by])
        return self._order[1], self._order[2]

    def wall(self, ts: int) -> int:
        """The site's wall clock at `ts`, as if it were UTC."""
        local = datetime.fromtimestamp(ts, self.zone)
        offset = local.utcoffset()
        return ts + (int(offset.total_seconds()) if offset else 0)

    def _visit_of(self, arrival: Arrival) -> Visit | None:
        for visit in reversed(self._visitors.get(arrival.visitor, ())):
            near = visit.last >= arrival.ts - VISIT_GAP and visit.first <= arrival.ts + VISIT_GAP
            if near and visit.last_day == arrival.wall // DAY:
                return visit
        return None

    def _new_visit(self, arrival: Arrival) -> Visit:
        known = self._visitors.setdefault(arrival.visitor, [])
        visit = Visit(
            id=len(self.visits) + 1,
            visitor=arrival.visitor,
            first=arrival.ts,
            last=arrival.ts,
            last_day=arrival.wall // DAY,
            duration=0,
            actions=[],
            number=len(known) + 1,
            seen=known[0].first if known else arrival.ts,
            before=known[-1].first if known else None,
        )
        known.append(visit)
        self.visits.append(visit)
        return visit


def fingerprint(*parts: object) -> str:
    """16 hexadecimal digits made from these parts: a visitor without an id, a visit's configuration."""
    return hashlib.md5("|".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()[:16]
