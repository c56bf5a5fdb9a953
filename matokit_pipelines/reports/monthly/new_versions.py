"""Releases and major versions seen for the first time in the period, with how far they have spread.

Not here: the words about them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.reports.monthly import queries
from matokit_pipelines.reports.monthly.queries import ALL, Counts, FirstSeen, Installed, Part, System
from matokit_pipelines.reports.monthly.shapes import NewMajor, NewVersion, NewVersions
from matokit_pipelines.reports.monthly.versions import is_version, major_of
from matokit_pipelines.reports.shapes import Period, Queryable, rates_of
from matokit_pipelines.statistics import rate

ROWS = 10
Name = tuple[str, str]  # family and release, or family and major version


def new_versions(
    snapshot: Queryable,
    period: Period,
    known_from: date | None,
    installed: Mapping[System, Installed],
    part: Part,
) -> NewVersions:
    """New in the period, those with most installations first. Nothing is new when records began within the period."""
    if known_from is None or known_from >= period.first_day:
        return NewVersions(False, (), 0, ())
    seen = queries.releases_until(snapshot, period.last_day)
    days = queries.installations_by_day(snapshot, period.first_day, period.last_day)
    counts, machines = _by_release(installed, part)
    rows = [_version(one, counts, machines, days) for one in seen if one.first_date >= period.first_day]
    rows.sort(key=lambda row: (-row.installations, row.first_seen, row.os_family, row.os_release))
    return NewVersions(True, tuple(rows[:ROWS]), max(0, len(rows) - ROWS), _majors(seen, period, rows, days))


def _by_release(installed: Mapping[System, Installed], part: Part) -> tuple[dict[Name, Installed], dict[Name, int]]:
    counts: dict[Name, Installed] = {}
    for system, found in installed.items():
        name = (system.os_family, system.os_release)
        counts[name] = counts.get(name, Installed()) + found
    machines: dict[Name, int] = {}
    for system, components in part.items():
        name = (system.os_family, system.os_release)
        machines[name] = machines.get(name, 0) + components.get(ALL, Counts()).machines
    return counts, machines


def _version(
    one: FirstSeen, counts: Mapping[Name, Installed], machines: Mapping[Name, int], days: Mapping[date, int]
) -> NewVersion:
    """Machines are not known (None) while the month is not whole: then none of them are."""
    name = (one.os_family, one.os_release)
    found = counts.get(name, Installed())
    return NewVersion(
        one.os_family,
        one.os_release,
        one.first_seen,
        machines.get(name, 0) if machines else None,
        found.installations,
        _share_since(found.installations, one.first_date, days),
        rates_of(found.events, found.successes, found.failures),
    )


def _share_since(installations: int, first: date, days: Mapping[date, int]) -> float | None:
    """Of all installations from the first day on. Installations without a counted event may lie before it."""
    everything = sum(count for day, count in days.items() if day >= first)
    share = rate(installations, everything)
    return None if share is None else min(1.0, share)


def _majors(
    seen: list[FirstSeen], period: Period, rows: list[NewVersion], days: Mapping[date, int]
) -> tuple[NewMajor, ...]:
    """Major versions of known systems with ten events or more: fewer make no headline."""
    old = {(one.os_family, _major(one)) for one in seen if one.first_date < period.first_day}
    firsts: dict[Name, FirstSeen] = {}
    for one in seen:
        firsts.setdefault((one.os_family, _major(one)), one)
    parts_of: dict[Name, list[NewVersion]] = {}
    for row in rows:
        parts_of.setdefault((row.os_family, major_of(row.os_family, row.os_release)), []).append(row)
    found = []
    for (family, major), first in firsts.items():
        if (family, major) in old or not is_version(family, major):
            continue
        parts = parts_of.get((family, major), [])
        rates = rates_of(
            sum(row.rates.events for row in parts),
            sum(row.rates.successes for row in parts),
            sum(row.rates.failures for row in parts),
        )
        if rates.events >= SMALL_NUMBER:
            count = sum(row.installations for row in parts)
            share = _share_since(count, first.first_date, days)
            machines = None if any(row.machines is None for row in parts) else sum(row.machines or 0 for row in parts)
            found.append(NewMajor(family, major, first.first_seen, machines, count, share, rates))
    return tuple(sorted(found, key=lambda row: (-row.installations, row.os_family, row.major))[:ROWS])


def _major(one: FirstSeen) -> str:
    return major_of(one.os_family, one.os_release)
