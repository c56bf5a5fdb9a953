"""What the rules read: the counted events of each environment, as far back as a rule asks for them.

`EventLog` is what a rule may ask; `LoadedLog` answers from columns in memory (cases, back-test, simulation) and
warehouse/event_log.py from the warehouse, equally. Not here: the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from matokit_pipelines.alerts.events import NONE, Bools, Codes, Events, Ints, Keys
from matokit_pipelines.windows import ONE_DAY, each_day, local_date, start_of_day

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (instant - EPOCH) // ONE_MICROSECOND


def instant_of(value: int) -> datetime:
    """Microseconds since 1970 as an instant in UTC."""
    return EPOCH + timedelta(microseconds=int(value))


@dataclass(frozen=True)
class Deployment:
    """A valid commit with its first event; `earlier`: commits first seen before it, the newest first.

    Ties of the first event are settled by the commit's name, as in staging.commit_baselines.
    """

    commit: str
    first_seen: int
    earlier: tuple[str, ...]


@dataclass(frozen=True)
class Tries:
    """The first event of each machine at each component on each local day, or all events, in time order; `day` counts
    from 1970."""

    ts: Ints
    failed: Bools
    component: Codes
    machine: Keys
    day: Ints
    components: tuple[str, ...]


@dataclass(frozen=True)
class DayCounts:
    """First tries by local day and component: rows are the days from `first_day` (counted from 1970) on."""

    first_day: int
    units: NDArray[np.int64]
    failures: NDArray[np.int64]
    components: tuple[str, ...]


class History(Protocol):
    """The events of one environment."""

    def first(self) -> int | None:
        """Time of the first event ever; None without any."""

    def last_before(self, instant: int) -> int | None:
        """Time of the newest event before `instant`; None without one."""

    def between(self, start: int, end: int, component: str | None = None) -> Events:
        """At least all events of `[start, end)`, of `component` where one is named; may hold others as well."""

    def deployments(self, after: int, until: int) -> list[Deployment]:
        """Commits first seen in `[after, until)`, in order of their first events."""

    def first_tries(
        self, first_day: date, last_day: date, zone: ZoneInfo, components: list[str] | None, *, is_shared: bool = False
    ) -> Tries:
        """First tries of local days, both included, of the named components or of all; all events where keys are not
        machines."""

    def day_counts(self, first_day: date, last_day: date, zone: ZoneInfo, *, is_shared: bool = False) -> DayCounts:
        """The same, counted by local day and component."""


class EventLog(Protocol):
    """The counted events of every environment that is alerted on."""

    def of(self, environment: str) -> History:
        """The events of one environment; none for one that has none."""


class LoadedLog:
    """Events in memory, by environment: `LoadedLog({"production": Events.of(ts=..., ...)})`."""

    def __init__(self, environments: Mapping[str, Events]) -> None:
        self._histories = {name: LoadedHistory(events) for name, events in environments.items()}

    def of(self, environment: str) -> LoadedHistory:
        if environment not in self._histories:
            self._histories[environment] = LoadedHistory(Events.none())
        return self._histories[environment]


class LoadedHistory:
    """The events of one environment, all in memory."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self._days: dict[str, Ints] = {}
        self._firsts: dict[str, Bools] = {}
        self._seen: list[tuple[int, str]] | None = None

    def first(self) -> int | None:
        return int(self.events.ts[0]) if len(self.events) else None

    def last_before(self, instant: int) -> int | None:
        place = self.events.place(instant)
        return int(self.events.ts[place - 1]) if place else None

    def between(self, start: int, end: int, component: str | None = None) -> Events:
        if component is None:
            return self.events
        names = self.events.components
        return self.events.of_component(names.index(component)) if component in names else Events.none()

    def deployments(self, after: int, until: int) -> list[Deployment]:
        if self._seen is None:
            self._seen = _first_seen(self.events)
        return deployments_of(self._seen, after, until)

    def first_tries(
        self, first_day: date, last_day: date, zone: ZoneInfo, components: list[str] | None, *, is_shared: bool = False
    ) -> Tries:
        events, day = self.events, self._local_days(zone)
        start, end = np.searchsorted(day, [day_number(first_day), day_number(last_day) + 1]).tolist()
        which = np.arange(start, end)
        if not is_shared:
            which = which[self._is_first_of_day(zone)[start:end]]
        if components is not None:
            wanted = set(components)
            codes = [code for code, name in enumerate(events.components) if name in wanted]
            which = which[np.isin(events.component[which], codes)]
        return Tries(
            events.ts[which], events.failed[which], events.component[which], events.machine[which], day[which],
            events.components,
        )  # fmt: skip

    def day_counts(self, first_day: date, last_day: date, zone: ZoneInfo, *, is_shared: bool = False) -> DayCounts:
        tries = self.first_tries(first_day, last_day, zone, None, is_shared=is_shared)
        days, names = day_number(last_day) - day_number(first_day) + 1, len(tries.components)
        cell = (tries.day - day_number(first_day)) * names + tries.component
        units = np.bincount(cell, minlength=days * names).reshape(days, names)
        failures = np.bincount(cell[tries.failed], minlength=days * names).reshape(days, names)
        return DayCounts(day_number(first_day), units, failures, tries.components)

    def _local_days(self, zone: ZoneInfo) -> Ints:
        """The local day of each event, counted from 1970."""
        if zone.key not in self._days:
            self._days[zone.key] = local_days(self.events.ts, zone)
        return self._days[zone.key]

    def _is_first_of_day(self, zone: ZoneInfo) -> Bools:
        if zone.key not in self._firsts:
            numbers, place = np.unique(self._local_days(zone), return_inverse=True)
            starts = np.array([microseconds(start_of_day(day_of(number), zone)) for number in numbers], dtype=np.int64)
            self._firsts[zone.key] = self.events.previous < starts[place]
        return self._firsts[zone.key]


def day_number(day: date) -> int:
    """A day, counted from 1970."""
    return (day - EPOCH.date()).days


def day_of(number: int) -> date:
    """The day of that number."""
    return EPOCH.date() + timedelta(days=int(number))


def local_days(ts: Ints, zone: ZoneInfo) -> Ints:
    """The day in `zone` of each instant, ascending, counted from 1970."""
    if not len(ts):
        return np.zeros(0, dtype=np.int64)
    days = list(each_day(local_date(instant_of(ts[0]), zone), local_date(instant_of(ts[-1]), zone)))
    starts = np.array([microseconds(start_of_day(day + ONE_DAY, zone)) for day in days])
    return day_number(days[0]) + np.searchsorted(starts, ts, side="right")


def _first_seen(events: Events) -> list[tuple[int, str]]:
    """(first event, commit), in order."""
    valid = np.flatnonzero(events.commit != NONE)
    codes, places = np.unique(events.commit[valid], return_index=True)
    return sorted(
        (int(events.ts[valid[place]]), events.commits[code]) for code, place in zip(codes, places, strict=True)
    )


def deployments_of(seen: list[tuple[int, str]], after: int, until: int) -> list[Deployment]:
    """The commits of `seen` (first event, commit; in order) first seen in `[after, until)`."""
    return [
        Deployment(commit, first, tuple(name for _, name in reversed(seen[:place])))
        for place, (first, commit) in enumerate(seen)
        if after <= first < until
    ]
