"""The counted events of the warehouse as alert rules ask for them; SQL in sql/alerts.

Read as far back as somebody asks, and no further: most evaluations end with the last day. Answers are those of
LoadedLog (alerts/event_log.py) over the same events. Not here: what the rules make of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
from numpy.typing import NDArray

from matokit_pipelines import resources
from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import (
    DAY,
    HOUR,
    DayCounts,
    Deployment,
    Events,
    Seen,
    Tries,
    day_number,
    deployments_of,
    instant_of,
    microseconds,
)
from matokit_pipelines.windows import ONE_DAY

FIRST_LOOK = 30 * HOUR  # read so much more than asked for at first: most rules look at the last day
FURTHER = 12 * HOUR  # and so much more when more is needed, as neighbouring rules ask for a little more again
APART = 2 * DAY  # what lies further from all that was read is a piece of its own
PIECES = 16  # pieces that are kept
ONE_BY_ONE = 2  # so many components of a stretch are counted one by one; then all are counted together
COUNTED_TIMES = 3  # so often something is counted by SQL; from then on the events are read, and counted here


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
        self._seen: list[Seen] | None = None
        self._asked: dict[str | None, int] = {}
        self._units: dict[tuple[int, int], dict[str | None, dict[str, Counted]]] = {}
        self._counts: dict[tuple[int, int], dict[str, Counted]] = {}

    def first(self) -> int | None:
        if not self._knows_first:
            self._first, self._knows_first = self._moment("first_event"), True
        return self._first

    def last_before(self, instant: int) -> int | None:
        return self._moment("last_event", before_ts=instant_of(instant))

    def between(self, start: int, end: int, component: str | None = None) -> Events:
        if component is not None:
            return self._of_component(start, end, component)
        whole = self._whole
        if whole.holds(start, end):
            return whole.events
        for piece in self._pieces:
            if piece.holds(start, end):
                return piece.events
        if whole.is_read and end < whole.start - APART:
            return self._piece(start, end)
        if whole.is_read and start <= whole.end:
            start, end = min(start - FURTHER, whole.start), max(end, whole.end)
        else:
            start -= FIRST_LOOK
        self._whole = _Stretch(start, end, self._read(start, end))
        return self._whole.events

    def _piece(self, start: int, end: int) -> Events:
        piece = _Stretch(start, end, self._read(start, end))
        self._pieces = [*self._pieces[1 - PIECES :], piece]
        return piece.events

    def _of_component(self, start: int, end: int, component: str) -> Events:
        whole, part = self._whole, self._parts.get(component)
        if whole.holds(start, end):
            names = whole.events.components
            return whole.events.of_component(names.index(component)) if component in names else Events.none()
        if part is None or not part.holds(start, end):
            first, last = (min(start, part.start), max(end, part.end)) if part else (start, max(end, whole.end))
            part = self._parts[component] = _Stretch(first, last, self._read(first, last, component))
        return part.events

    def counts(self, start: int, end: int) -> dict[str, Counted]:
        if self._whole.holds(start, end):
            return self._whole.events.units(start, end, is_shared=True)
        if (start, end) not in self._counts:
            rows = self._rows("counts", start_ts=instant_of(start), end_ts=instant_of(end))
            self._counts[start, end] = {name: Counted(failures, events) for name, events, failures in rows}
        return self._counts[start, end]

    def units(
        self, start: int, end: int, component: str | None = None, *, is_shared: bool = False
    ) -> dict[str, Counted]:
        part = self._parts.get(component) if component else None
        is_read = self._whole.holds(start, end) or (part is not None and part.holds(start, end))
        if is_read or is_shared:
            return self.between(start, end, component).units(start, end, is_shared=is_shared)
        known = self._units.setdefault((start, end), {})
        if component not in known and None not in known:
            if self._is_asked_often(component):
                return self.between(start, end, component).units(start, end)
            wanted = component if len(known) < ONE_BY_ONE else None
            rows = self._rows("units", start_ts=instant_of(start), end_ts=instant_of(end), component=wanted)
            known[wanted] = {name: Counted(failures, units) for name, units, failures in rows}
        found = known.get(component, known.get(None, {}))
        return {name: units for name, units in found.items() if component in (None, name)}

    def of_commits(self, commits: Collection[str], start: int, end: int) -> Events:
        if self._whole.holds(start, end):
            events = self._whole.events
            return events.taken(events.window(start, end)).of_commits(commits)
        return self._read(start, end, commits=sorted(commits))

    def counts_of_commit(self, commit: str, start: int, end: int) -> tuple[int, int]:
        window = {"start_ts": instant_of(start), "end_ts": instant_of(end)}
        events, failures = self._rows("counts_of_commit", commit=commit, **window)[0]
        return int(events), int(failures)

    def busiest_machine(self, start: int, end: int) -> tuple[int, int]:
        if not self._whole.holds(start, end) and not self._is_asked_often("machines"):
            window = (instant_of(start), instant_of(end))
            days = {"first_day": (window[0] - ONE_DAY).date(), "last_day": (window[1] + ONE_DAY).date()}
            events, at_most = self._rows("busiest_machine", start_ts=window[0], end_ts=window[1], **days)[0]
            return int(events), int(at_most)
        found = self.between(start, end)
        part = found.window(start, end)
        return part.stop - part.start, found.busiest_machine

    def _is_asked_often(self, what: str | None) -> bool:
        """Whether to read events, which serves all further questions, rather than to have them counted once more."""
        self._asked[what] = self._asked.get(what, 0) + 1
        return self._asked[what] > COUNTED_TIMES

    def deployments(self, after: int, until: int, reach: int) -> list[Deployment]:
        if self._seen is None:
            self._seen = [Seen(_at(first), commit, _at(last)) for first, commit, last in self._rows("commits")]
        return deployments_of(self._seen, after, until, reach)

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

    def _read(self, start: int, end: int, component: str | None = None, commits: Sequence[str] = ()) -> Events:
        """The events of `[start, end)`, of a component or of some commits where they are named."""
        window = {"start_ts": instant_of(start), "end_ts": instant_of(end), "component": component}
        named = self._rows("names", **window)
        components, architectures, shas = (sorted({row[place] for row in named} - {None}) for place in range(3))
        found = self._columns(
            "events", components=components, architectures=architectures, commits=shas, of_commits=list(commits),
            **window,
        )  # fmt: skip
        return Events.of(
            ts=found["ts"], failed=found["failed"], machine=found["machine"], component=found["component"],
            components=components, architecture=found["architecture"], architectures=architectures,
            commit=found["commit"], commits=shas,
        )  # fmt: skip

    def _moment(self, name: str, **parameters: Any) -> int | None:
        value: datetime | None = self._rows(name, **parameters)[0][0]
        return None if value is None else _at(value)

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


def _at(value: datetime) -> int:
    return microseconds(value.astimezone(UTC))


@lru_cache(maxsize=16)
def _query(name: str) -> str:
    return (resources.path("sql") / "alerts" / f"{name}.sql").read_text(encoding="utf-8")
