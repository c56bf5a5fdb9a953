"""The selects behind the monthly report: marts of one published snapshot in, small typed pieces out.

Production only. Not here: comparisons and the choice of what is shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from matokit_pipelines.reports.monthly.versions import MACOS
from matokit_pipelines.reports.quality import ENVIRONMENT
from matokit_pipelines.reports.shapes import Queryable

ALL = "all"
ERROR_WINDOW_DAYS = 30


class System(NamedTuple):
    """A segment: release of an operating system on an architecture."""

    os_family: str
    os_release: str
    architecture: str


@dataclass(frozen=True)
class Counts:
    """What was counted of one part. Machines and units add up over systems (a machine key holds its system), units
    also over components; machines do not add up over components."""

    events: int = 0
    successes: int = 0
    failures: int = 0
    machines: int = 0
    machines_failing: int = 0
    units: int = 0
    unit_failures: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(self.row(), other.row(), strict=True)))

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(mine - theirs for mine, theirs in zip(self.row(), other.row(), strict=True)))

    def row(self) -> tuple[int, ...]:
        """The counts in the order of the fields."""
        counts = (self.events, self.successes, self.failures, self.machines, self.machines_failing)
        return (*counts, self.units, self.unit_failures)


@dataclass(frozen=True)
class Installed:
    """Installations and events of one segment over some days."""

    installations: int = 0
    events: int = 0
    successes: int = 0
    failures: int = 0

    def __add__(self, other: Installed) -> Installed:
        return Installed(
            self.installations + other.installations,
            self.events + other.events,
            self.successes + other.successes,
            self.failures + other.failures,
        )


@dataclass(frozen=True)
class FirstSeen:
    os_family: str
    os_release: str
    first_seen: datetime
    first_date: date


Part = dict[System, dict[str, Counts]]  # segment -> component, `all` included -> counts


def first_known_day(snapshot: Queryable) -> date | None:
    """From which day on events are known completely; None when that is not known."""
    found: date | None = snapshot.query("select first_known_day from project_day").item()
    return found


def installed(snapshot: Queryable, first: date, last: date) -> dict[System, Installed]:
    """What each segment with events in scope did on these days, by name."""
    rows = snapshot.query(
        """
        select os_family, os_release, architecture,
               cast(sum(installations) as bigint) as installations, cast(sum(events) as bigint) as events,
               cast(sum(successes) as bigint) as successes, cast(sum(failures) as bigint) as failures
        from segment_daily
        where environment = $environment
          and event_date between $first and $last
        group by os_family, os_release, architecture
        order by os_family, os_release, architecture
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return {System(*row[:3]): Installed(*row[3:]) for row in rows.iter_rows()}


def installations_by_day(snapshot: Queryable, first: date, last: date) -> dict[date, int]:
    """Installations of all segments on those days that have any."""
    rows = snapshot.query(
        """
        select event_date, cast(sum(installations) as bigint) as installations
        from segment_daily
        where environment = $environment
          and event_date between $first and $last
        group by event_date
        order by event_date
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return dict(rows.iter_rows())


def installations_by_week(snapshot: Queryable, first: date, last: date) -> list[tuple[date, bool, str, int]]:
    """`(monday, is a Mac, architecture, installations)`, ordered."""
    rows = snapshot.query(
        """
        select cast(date_trunc('week', event_date) as date) as monday, os_family = $macos as is_mac, architecture,
               cast(sum(installations) as bigint) as installations
        from segment_daily
        where environment = $environment
          and event_date between $first and $last
        group by monday, is_mac, architecture
        order by monday, is_mac, architecture
        """,
        {"environment": ENVIRONMENT, "macos": MACOS, "first": first, "last": last},
    )
    return [(monday, is_mac, architecture, count) for monday, is_mac, architecture, count in rows.iter_rows()]


def systems_of_month(snapshot: Queryable, month: date) -> tuple[Part, Part]:
    """`(the 30 days that end with the month, the 30 before)`: segment -> component (`all` included) -> counts."""
    rows = snapshot.query(
        """
        select part, os_family, os_release, architecture, component,
               events, successes, failures, machines, machines_failing, units, unit_failures
        from system_monthly
        where environment = $environment
          and month = $month
        order by part, os_family, os_release, architecture, component
        """,
        {"environment": ENVIRONMENT, "month": month},
    )
    parts: dict[str, Part] = {"last": defaultdict(dict), "before": defaultdict(dict)}
    for part, family, release, architecture, component, *counts in rows.iter_rows():
        parts[part][System(family, release, architecture)][component] = Counts(*counts)
    return dict(parts["last"]), dict(parts["before"])


def releases_until(snapshot: Queryable, last: date) -> list[FirstSeen]:
    """Releases with a counted production event until `last`, the first seen first."""
    rows = snapshot.query(
        """
        select os_family, os_release, first_seen, first_date
        from os_first_seen
        where environment = $environment
          and first_date <= $last
        order by first_seen, os_family, os_release
        """,
        {"environment": ENVIRONMENT, "last": last},
    )
    return [FirstSeen(*row) for row in rows.iter_rows()]


def largest_machines(snapshot: Queryable, first_monday: date, last: date) -> tuple[int, int]:
    """`(events of each week's largest machine key, added up; events)` of the weeks that begin on these days."""
    rows = snapshot.query(
        """
        select coalesce(cast(sum(largest_machine_events) as bigint), 0) as largest,
               coalesce(cast(sum(events) as bigint), 0) as events
        from component_weekly
        where environment = $environment
          and architecture = $all
          and component = $all
          and week_start between $first and $last
        """,
        {"environment": ENVIRONMENT, "all": ALL, "first": first_monday, "last": last},
    )
    largest, events = rows.row(0)
    return int(largest), int(events)


def error_types(snapshot: Queryable) -> tuple[date | None, dict[tuple[str, str, str], tuple[str, int]]]:
    """`(last day, errors)` of the 30 days that the snapshot itself ends with.

    `errors`: (family, release, component) -> its most frequent error type and how often, ties by name.
    """
    last: date | None = snapshot.query("select last_complete_day from project_day").item()
    rows = snapshot.query(
        """
        select os_family, os_release, component, error_type, cast(sum(failures) as bigint) as failures
        from error_system_window
        where environment = $environment
          and window_days = $days
        group by os_family, os_release, component, error_type
        order by os_family, os_release, component, failures desc, error_type
        """,
        {"environment": ENVIRONMENT, "days": ERROR_WINDOW_DAYS},
    )
    found: dict[tuple[str, str, str], tuple[str, int]] = {}
    for family, release, component, error_type, failures in rows.iter_rows():
        found.setdefault((family, release, component), (error_type, failures))
    return last, found
