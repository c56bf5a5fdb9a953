"""Shares of processor architectures by week, of Macs and of all systems. Not here: words and drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from matokit_pipelines.reports.monthly import queries
from matokit_pipelines.reports.monthly.periods import weeks_until
from matokit_pipelines.reports.monthly.queries import Installed, System
from matokit_pipelines.reports.monthly.shapes import Adoption, Architecture, Share
from matokit_pipelines.reports.monthly.versions import MACOS
from matokit_pipelines.reports.shapes import Period, Queryable, difference
from matokit_pipelines.statistics import rate
from matokit_pipelines.windows import ONE_DAY

Weekly = Mapping[str, Mapping[date, int]]  # architecture -> monday -> installations


def adoption(
    snapshot: Queryable,
    period: Period,
    known_from: date | None,
    installed: Mapping[System, Installed],
    before: Mapping[System, Installed],
) -> Adoption:
    """Thirteen whole weeks, the period and the days before; weeks that are not wholly recorded have no shares."""
    weeks = weeks_until(period.last_day)
    known = [week for week in weeks if known_from is not None and week >= known_from]
    rows = queries.installations_by_week(snapshot, weeks[0], weeks[-1] + 6 * ONE_DAY)
    macs: dict[str, dict[date, int]] = {}
    systems: dict[str, dict[date, int]] = {}
    for monday, is_mac, architecture, count in rows:
        for into in (systems, macs) if is_mac else (systems,):
            by_week = into.setdefault(architecture, {})
            by_week[monday] = by_week.get(monday, 0) + count
    families = {system.os_family for system in (*installed, *before)}
    return Adoption(
        tuple(weeks),
        _architectures(weeks, known, macs, _counts(installed, [MACOS]), _counts(before, [MACOS])),
        _architectures(weeks, known, systems, _counts(installed, families), _counts(before, families)),
    )


def _counts(installed: Mapping[System, Installed], families: Iterable[str]) -> dict[str, int]:
    wanted = set(families)
    found: dict[str, int] = {}
    for system, counts in installed.items():
        if system.os_family in wanted:
            found[system.architecture] = found.get(system.architecture, 0) + counts.installations
    return found


def _architectures(
    weeks: list[date], known: list[date], weekly: Weekly, last: Mapping[str, int], before: Mapping[str, int]
) -> tuple[Architecture, ...]:
    totals = {week: sum(by_week.get(week, 0) for by_week in weekly.values()) for week in known}
    rows = []
    for name in sorted({*weekly, *last, *before}):
        counts = weekly.get(name, {})
        shares = tuple(_share(counts.get(week, 0), totals.get(week)) for week in weeks)
        since = next((week for week, share in zip(weeks, shares, strict=True) if share.share is not None), None)
        first = shares[weeks.index(since)].share if since else None
        now, earlier = (_share(part.get(name, 0), sum(part.values())) for part in (last, before))
        rows.append(
            Architecture(
                name,
                shares,
                now,
                earlier,
                difference(now.share, earlier.share),
                difference(shares[-1].share, first),
                since,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-(row.last.installations or 0), row.architecture)))


def _share(count: int, everything: int | None) -> Share:
    return Share(None, None) if everything is None else Share(count, rate(count, everything))
