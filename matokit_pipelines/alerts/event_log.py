"""What the rules read: the counted events of each environment, as far back as a rule asks for them.

`EventLog` is what a rule may ask; `LoadedLog` answers from columns in memory (cases, back-test, simulation) and
warehouse/event_log.py from the warehouse, equally. Not here: the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines.statistics import Counted
from matokit_pipelines.warehouse.event_columns import (
    NONE,
    Bools,
    DayCounts,
    Deployment,
    Events,
    Ints,
    Seen,
    Tries,
    day_number,
    day_of,
    deployments_of,
    local_days,
    microseconds,
)
from matokit_pipelines.windows import start_of_day


class History(Protocol):
    """The events of one environment."""

    def first(self) -> int | None:
        """Time of the first event ever; None without any."""

    def last_before(self, instant: int) -> int | None:
        """Time of the newest event before `instant`; None without one."""

    def between(self, start: int, end: int, component: str | None = None) -> Events:
        """At least all events of `[start, end)`, of `component` where one is named; may hold others as well."""

    def counts(self, start: int, end: int) -> dict[str, Counted]:
        """Events of `[start, end)` and those that failed, by component."""

    def units(
        self, start: int, end: int, component: str | None = None, *, is_shared: bool = False
    ) -> dict[str, Counted]:
        """Units of `[start, end)` by component: first events of a machine and component; all, where keys are not
        machines."""

    def of_commits(self, commits: Collection[str], start: int, end: int) -> Events:
        """The events of these commits in `[start, end)`, and no others."""

    def counts_of_commit(self, commit: str, start: int, end: int) -> tuple[int, int]:
        """(events, failures) of a commit in `[start, end)`."""

    def busiest_machine(self, start: int, end: int) -> tuple[int, int]:
        """Events of `[start, end)`, and how many of them the machine with most of them has at most."""

    def deployments(self, after: int, until: int, reach: int) -> list[Deployment]:
        """Commits first seen in `[after, until)`, in order of their first events, each with the commits before it that
        were seen in the `reach` before."""

    def first_tries(
        self, first_day: date, last_day: date, zone: ZoneInfo, components: Sequence[str], *, is_shared: bool = False
    ) -> Tries:
        """First tries of local days, both included, of the named components; all events where keys are not machines."""

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
        self._seen: list[Seen] | None = None

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

    def counts(self, start: int, end: int) -> dict[str, Counted]:
        return self.events.units(start, end, is_shared=True)

    def units(
        self, start: int, end: int, component: str | None = None, *, is_shared: bool = False
    ) -> dict[str, Counted]:
        return self.between(start, end, component).units(start, end, is_shared=is_shared)

    def of_commits(self, commits: Collection[str], start: int, end: int) -> Events:
        return self.events.taken(self.events.window(start, end)).of_commits(commits)

    def counts_of_commit(self, commit: str, start: int, end: int) -> tuple[int, int]:
        events = self.of_commits([commit], start, end)
        return len(events), int(np.count_nonzero(events.failed))

    def busiest_machine(self, start: int, end: int) -> tuple[int, int]:
        window = self.events.window(start, end)
        return window.stop - window.start, self.events.busiest_machine

    def deployments(self, after: int, until: int, reach: int) -> list[Deployment]:
        if self._seen is None:
            self._seen = _seen(self.events)
        return deployments_of(self._seen, after, until, reach)

    def first_tries(
        self, first_day: date, last_day: date, zone: ZoneInfo, components: Sequence[str], *, is_shared: bool = False
    ) -> Tries:
        events, day = self.events, self._local_days(zone)
        start, end = np.searchsorted(day, [day_number(first_day), day_number(last_day) + 1]).tolist()
        which = np.arange(start, end)
        if not is_shared:
            which = which[self._is_first_of_day(zone)[start:end]]
        wanted = set(components)
        if len(wanted) < len(events.components):
            is_wanted = np.array([name in wanted for name in events.components], dtype=np.bool_)
            which = which[is_wanted[events.component[which]]]
        return Tries(
            events.ts[which], events.failed[which], events.component[which], events.machine[which], day[which],
            events.components,
        )  # fmt: skip

    def day_counts(self, first_day: date, last_day: date, zone: ZoneInfo, *, is_shared: bool = False) -> DayCounts:
        tries = self.first_tries(first_day, last_day, zone, self.events.components, is_shared=is_shared)
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


def _seen(events: Events) -> list[Seen]:
    """When each valid commit was seen first and last, in order."""
    valid = np.flatnonzero(events.commit != NONE)
    codes, firsts = np.unique(events.commit[valid], return_index=True)
    _, lasts = np.unique(events.commit[valid][::-1], return_index=True)
    found = [
        Seen(int(events.ts[valid[first]]), events.commits[code], int(events.ts[valid[len(valid) - 1 - last]]))
        for code, first, last in zip(codes, firsts, lasts, strict=True)
    ]
    return sorted(found, key=lambda seen: (seen.first, seen.commit))
