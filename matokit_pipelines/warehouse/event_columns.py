"""Counted events of one environment as columns in time order, and the counts that alert rules take from them.

Half-open windows in microseconds since 1970 (UTC). Not here: reading them (event_log.py), what a rule makes of the
counts (alerts/rules).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matokit_pipelines.statistics import Counted
from matokit_pipelines.windows import ONE_DAY, each_day, local_date, start_of_day

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Bools = NDArray[np.bool_]
Keys = NDArray[np.uint64]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR, DAY = 3600 * 10**6, 86_400 * 10**6
NEVER = np.iinfo(np.int64).min  # the time of an event before, where there is none
NONE = -1  # the code of a commit that is not known
_SPREAD, _SPREAD_OTHER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


@dataclass(frozen=True)
class Events:
    """Columns of equal length, ascending in `ts`; of the same instant, successes stand first.

    ts: microseconds. failed. component, architecture: codes, places in the names. commit: the same, or -1 without a
    valid commit. machine: identity of the machine; an event without one has an identity of its own.
    """

    ts: Ints
    failed: Bools
    component: Codes
    architecture: Codes
    commit: Codes
    machine: Keys
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    commits: tuple[str, ...]

    @classmethod
    def of(
        cls,
        *,
        ts: ArrayLike,
        failed: ArrayLike,
        machine: ArrayLike,
        component: ArrayLike,
        components: Sequence[str],
        architecture: ArrayLike,
        architectures: Sequence[str],
        commit: ArrayLike,
        commits: Sequence[str],
    ) -> Events:
        """Events in any order; of the same instant, successes stand first. ValueError when lengths differ."""
        names = (tuple(components), tuple(architectures), tuple(commits))
        given = cls(
            np.asarray(ts, dtype=np.int64), np.asarray(failed, dtype=np.bool_),
            np.asarray(component, dtype=np.int32), np.asarray(architecture, dtype=np.int32),
            np.asarray(commit, dtype=np.int32), np.asarray(machine, dtype=np.uint64), *names,
        )  # fmt: skip
        columns = (given.failed, given.component, given.architecture, given.commit, given.machine)
        if any(column.shape != given.ts.shape for column in columns):
            raise ValueError("columns of events differ in length")
        times, is_failed = given.ts, given.failed
        is_after = (times[1:] > times[:-1]) | ((times[1:] == times[:-1]) & (is_failed[1:] >= is_failed[:-1]))
        return given if is_after.all() else given.taken(np.lexsort((is_failed, times)))

    @classmethod
    def none(cls) -> Events:
        """No events at all."""
        return cls.of(
            ts=[], failed=[], machine=[], component=[], components=(), architecture=[], architectures=(), commit=[],
            commits=(),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.ts)

    def taken(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Events:
        """Some of the events, in order, with the same names."""
        return Events(
            self.ts[which], self.failed[which], self.component[which], self.architecture[which], self.commit[which],
            self.machine[which], self.components, self.architectures, self.commits,
        )  # fmt: skip

    @cached_property
    def previous(self) -> Ints:
        """Time of the event before of the same machine and component; NEVER where there is none among these.

        An event is the first of its machine and component in a window exactly when this lies before its start.
        """
        found = np.full(len(self), NEVER, dtype=np.int64)
        order, is_same = self._by_machine_and_component
        found[order[1:][is_same]] = self.ts[order[:-1][is_same]]
        return found

    @cached_property
    def _by_machine_and_component(self) -> tuple[Ints, Bools]:
        """An order that puts events of one machine and component together, by time; whether each is as its last."""
        mixed = self.machine * _SPREAD + self.component.astype(np.uint64) * _SPREAD_OTHER
        order = np.argsort(mixed, kind="stable")
        is_same = self._is_as_before(order)
        if (is_same != (mixed[order[1:]] == mixed[order[:-1]])).any():  # two share a mixed number: slower and sure
            order = np.lexsort((self.component, self.machine))
            is_same = self._is_as_before(order)
        return order, is_same

    def _is_as_before(self, order: Ints) -> Bools:
        same_machine = self.machine[order[1:]] == self.machine[order[:-1]]
        same_component = self.component[order[1:]] == self.component[order[:-1]]
        return np.asarray(same_machine & same_component, dtype=np.bool_)

    @cached_property
    def failures_up_to(self) -> Ints:
        """Failures among the first i events, for i from 0 to all."""
        return np.concatenate([[0], np.cumsum(self.failed, dtype=np.int64)])

    def place(self, instant: int) -> int:
        """How many events lie before `instant`."""
        return int(np.searchsorted(self.ts, instant))

    def window(self, start: int, end: int) -> slice:
        """The events of `[start, end)`."""
        return slice(self.place(start), self.place(end))

    def counts(self, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
        """(events, failures) of each window."""
        first, last = np.searchsorted(self.ts, starts), np.searchsorted(self.ts, ends)
        return last - first, self.failures_up_to[last] - self.failures_up_to[first]

    def of_component(self, code: int) -> Events:
        """The events of one component, in order."""
        known = self._parts.get(code)
        if known is None:
            order, edges = self._by_component
            known = self._parts[code] = self.taken(order[edges[code] : edges[code + 1]])
            # what came before at the same component is the same, however the events are cut into components
            known.__dict__["previous"] = self.previous[order[edges[code] : edges[code + 1]]]
        return known

    @cached_property
    def _parts(self) -> dict[int, Events]:
        return {}

    @cached_property
    def _by_component(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.component, kind="stable")
        return order, np.searchsorted(self.component[order], np.arange(len(self.components) + 1))

    @cached_property
    def _component_keys(self) -> tuple[Ints, Ints, int, int]:
        """Component and time in one sorted number, failures up to each, the first time and the span of a component."""
        base = int(self.ts[0]) if len(self) else 0
        span = int(self.ts[-1]) - base + 2 if len(self) else 2
        order, _ = self._by_component
        keys = self.component[order].astype(np.int64) * span + (self.ts[order] - base)
        return keys, np.concatenate([[0], np.cumsum(self.failed[order], dtype=np.int64)]), base, span

    def counts_by_component(self, codes: Ints, starts: Ints, ends: Ints) -> tuple[Ints, Ints]:
        """(events, failures) of component `codes[i]` in `[starts[i], ends[i])`."""
        keys, failures, base, span = self._component_keys
        first = np.searchsorted(keys, codes * span + np.clip(starts - base, 0, span - 1))
        last = np.searchsorted(keys, codes * span + np.clip(ends - base, 0, span - 1))
        return last - first, failures[last] - failures[first]

    def units(self, start: int, end: int, *, is_shared: bool = False) -> dict[str, Counted]:
        """Units of `[start, end)` and those that failed, of each component that has one.

        A unit is the first event of a machine and component in the window; `is_shared`, where keys are not machines,
        an event. For events that hold the whole window.
        """
        window = self.window(start, end)
        component, failed = self.component[window], self.failed[window]
        if not is_shared:
            is_unit = self.previous[window] < start
            component, failed = component[is_unit], failed[is_unit]
        units = np.bincount(component, minlength=len(self.components))
        failures = np.bincount(component[failed], minlength=len(self.components))
        return {
            self.components[code]: Counted(int(failures[code]), int(units[code]))
            for code in np.flatnonzero(units).tolist()
        }

    def of_commits(self, commits: Collection[str]) -> Events:
        """The events of these commits, in order; what came before at the same machine is that of these commits too."""
        codes = [code for code, name in enumerate(self.commits) if name in commits]
        return self.taken(np.isin(self.commit, codes))

    @cached_property
    def busiest_machine(self) -> int:
        """Events of the machine that has most of them."""
        if not len(self):
            return 0
        ordered = np.sort(self.machine)
        edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        return int(np.diff(edges).max())


@dataclass(frozen=True)
class Seen:
    """When a commit was seen first and last."""

    first: int
    commit: str
    last: int


@dataclass(frozen=True)
class Deployment:
    """A valid commit with its first event; `previous`: the commit first seen before it, None for the first of all;
    `earlier`: that one and those before it, the newest first, as far as they were seen in the time looked at.

    Ties of the first event are settled by the commit's name, as in staging.commit_baselines.
    """

    commit: str
    first_seen: int
    previous: str | None
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
    units: Ints
    failures: Ints
    components: tuple[str, ...]


def deployments_of(seen: Sequence[Seen], after: int, until: int, reach: int) -> list[Deployment]:
    """The commits of `seen` (in order of first events) first seen in `[after, until)`; earlier ones seen in the
    `reach` before."""
    return [
        Deployment(
            one.commit,
            one.first,
            seen[place - 1].commit if place else None,
            tuple(other.commit for other in reversed(seen[:place]) if other.last >= one.first - reach),
        )
        for place, one in enumerate(seen)
        if after <= one.first < until
    ]


def microseconds(instant: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def instant_of(value: int) -> datetime:
    """Microseconds since 1970 as an instant in UTC."""
    return EPOCH + timedelta(microseconds=int(value))


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
