"""The counted events of the warehouse as alert rules ask for them; SQL in sql/alerts.

Read as far back as somebody asks, and no further: most evaluations end with the last day. Answers are those of
LoadedLog (alerts/event_log.py) over the same events. Not here: what the rules make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from matokit_pipelines import resources
from matokit_pipelines.warehouse.event_columns import (
    DAY,
    HOUR,
    DayCounts,
    Deployment,
    Events,
    Tries,
    day_number,
    deployments_of,
    instant_of,
    microseconds,
)

AHEAD = 12 * HOUR  # read so much more than asked for, as neighbouring rules ask for a little more
APART = 2 * DAY  # what lies further from all that was read is a piece of its own
PIECES = 16  # pieces that are kept


class WarehouseLog:
    """The events behind an open connection, by environment. What was read is kept while this lives."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._histories: dict[str, WarehouseHistory] = {}

    def of(self, environment: str) -> WarehouseHistory:
        if environment not in self._histories:
            self._histories[environment] = WarehouseHistory(self._connection, environment)
        return self._histories[environment]


class WarehouseHistory:
    """The events of one environment. `zone` of its answers by day has to be that of the project."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, environment: str) -> None:
        self._connection = connection
        self._environment = environment
        self._whole = _Stretch(0, 0, Events.none())
        self._parts: dict[str, _Stretch] = {}
        self._pieces: list[_Stretch] = []
        self._first: int | None = None
        self._knows_first = False
        self._seen: list[tuple[int, str]] | None = None

    def first(self) -> int | None:
        if not self._knows_first:
            self._first, self._knows_first = _moment(self._rows("first_event")[0][0]), True
        return self._first

    def last_before(self, instant: int) -> int | None:
        return _moment(self._rows("last_event", before_ts=instant_of(instant))[0][0])

    def between(self, start: int, end: int, component: str | None = None) -> Events:
        if component is not None:
            return self._of_component(start, end, component)
        whole = self._whole
        if whole.holds(start, end):
            return whole.events
        for piece in self._pieces:
            if piece.holds(start, end):
                return piece.events
        if whole.is_read and (end < whole.start - APART or start > whole.end):
            if end < whole.start:
                return self._piece(start, end)
            whole = _Stretch(0, 0, Events.none())
        first = min(start - AHEAD, whole.start) if whole.is_read else start - HOUR
        last = max(end, whole.end) if whole.is_read else end
        self._whole = _Stretch(first, last, self._read(first, last, None))
        return self._whole.events

    def _piece(self, start: int, end: int) -> Events:
        piece = _Stretch(start, end, self._read(start, end, None))
        self._pieces = [*self._pieces[1 - PIECES :], piece]
        return piece.events

    def _of_component(self, start: int, end: int, component: str) -> Events:
        whole = self._whole
        if whole.holds(start, end):
            names = whole.events.components
            return whole.events.of_component(names.index(component)) if component in names else Events.none()
        part = self._parts.get(component)
        if part is None or not part.holds(start, end):
            first, last = (min(start, part.start), max(end, part.end)) if part else (start, max(end, whole.end))
            part = self._parts[component] = _Stretch(first, last, self._read(first, last, component))
        return part.events

    def deployments(self, after: int, until: int) -> list[Deployment]:
        if self._seen is None:
            self._seen = [(microseconds(first), commit) for first, commit in self._rows("commits")]
        return deployments_of(self._seen, after, until)

    def first_tries(
        self, first_day: date, last_day: date, zone: ZoneInfo, components: Sequence[str], *, is_shared: bool = False
    ) -> Tries:
        found = self._columns(
            "all_tries" if is_shared else "first_tries", first_day=first_day, last_day=last_day,
            components=list(components),
        )  # fmt: skip
        return Tries(
            found["ts"], found["failed"], found["component"].astype(np.int32), found["machine"],
            found["day"].astype(np.int64), tuple(components),
        )  # fmt: skip

    def day_counts(self, first_day: date, last_day: date, zone: ZoneInfo, *, is_shared: bool = False) -> DayCounts:
        rows = self._rows(
            "all_tries_by_day" if is_shared else "first_tries_by_day", first_day=first_day, last_day=last_day
        )
        names = tuple(sorted({row[1] for row in rows}))
        places = {name: place for place, name in enumerate(names)}
        first = day_number(first_day)
        units = np.zeros((day_number(last_day) - first + 1, len(names)), dtype=np.int64)
        failures = units.copy()
        for day, component, counted, failed in rows:
            units[day - first, places[component]] = counted
            failures[day - first, places[component]] = failed
        return DayCounts(first, units, failures, names)

    def _read(self, start: int, end: int, component: str | None) -> Events:
        window = {"start_ts": instant_of(start), "end_ts": instant_of(end), "component": component}
        named = self._rows("names", **window)
        components, architectures, commits = (sorted({row[place] for row in named} - {None}) for place in range(3))
        found = self._columns("events", components=components, architectures=architectures, commits=commits, **window)
        return Events.of(
            ts=found["ts"], failed=found["failed"], machine=found["machine"], component=found["component"],
            components=components, architecture=found["architecture"], architectures=architectures,
            commit=found["commit"], commits=commits,
        )  # fmt: skip

    def _rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        query = _query(name)
        return self._connection.execute(query, {"environment": self._environment, **parameters}).fetchall()

    def _columns(self, name: str, **parameters: Any) -> dict[str, NDArray[Any]]:
        """The columns of a query; none of those asked for is ever null."""
        query = _query(name)
        found = self._connection.execute(query, {"environment": self._environment, **parameters}).fetchnumpy()
        return {name: np.ma.getdata(column) for name, column in found.items()}


class _Stretch:
    """All events of `[start, end)` of an environment, or of one of its components."""

    def __init__(self, start: int, end: int, events: Events) -> None:
        self.start, self.end, self.events = start, end, events

    @property
    def is_read(self) -> bool:
        return self.end > self.start

    def holds(self, start: int, end: int) -> bool:
        return self.is_read and self.start <= start and end <= self.end


def _moment(value: datetime | None) -> int | None:
    return None if value is None else microseconds(value.astimezone(UTC))


@lru_cache(maxsize=16)
def _query(name: str) -> str:
    return (resources.path("sql") / "alerts" / f"{name}.sql").read_text(encoding="utf-8")
