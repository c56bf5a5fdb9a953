"""Success and share of major versions over months, each the 30 days that end with it. Not here: words and drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from matokit_pipelines.reports.monthly import queries
from matokit_pipelines.reports.monthly.periods import TREND_MONTHS, days_of_month, months_until
from matokit_pipelines.reports.monthly.queries import Installed
from matokit_pipelines.reports.monthly.shapes import MajorTrend, MajorVersion, Month, MonthShare, OtherVersions
from matokit_pipelines.reports.monthly.vendor import vendor_support
from matokit_pipelines.reports.monthly.versions import major_of
from matokit_pipelines.reports.shapes import Queryable, difference, rates_of
from matokit_pipelines.statistics import rate

ROWS = 8
Major = tuple[str, str]  # family, major version


@dataclass(frozen=True)
class MajorMonth:
    """What each major version did in one month's 30 days."""

    month: Month
    majors: Mapping[Major, Installed]

    @property
    def installations(self) -> int:
        """Of all versions."""
        return sum(found.installations for found in self.majors.values())

    def of(self, major: Major) -> Installed:
        """One version's; nothing where it was not seen."""
        return self.majors.get(major, Installed())


def major_months(snapshot: Queryable, month: date, known_from: date | None) -> list[MajorMonth]:
    """Six months that end with `month`, oldest first."""
    found = []
    for one in months_until(month, TREND_MONTHS):
        first, last = days_of_month(one)
        is_known = known_from is not None and known_from <= first
        majors: dict[Major, Installed] = {}
        if is_known or one == month:
            for system, counts in queries.installed(snapshot, first, last).items():
                name = (system.os_family, major_of(system.os_family, system.os_release))
                majors[name] = majors.get(name, Installed()) + counts
        installations = sum(counts.installations for counts in majors.values())
        shown = installations if is_known or one == month else None
        found.append(MajorMonth(Month(one, first, last, is_known, shown), majors))
    return found


def trend(months: list[MajorMonth]) -> MajorTrend:
    """The versions with most installations in the newest month; versions gone by then are among the others."""
    names = {name for one in months for name in one.majors}
    newest = months[-1]
    ordered = sorted(names, key=lambda name: (-newest.of(name).installations, -_all(months, name), name))
    rows, rest = ordered[:ROWS], ordered[ROWS:]
    return MajorTrend(
        tuple(one.month for one in months),
        next((one.month.month for one in months if one.month.installations), None),
        tuple(_major(months, name) for name in rows),
        OtherVersions(len(rest), tuple(_others(one, rest) for one in months)) if rest else None,
    )


def month_share(month: MajorMonth, counts: Installed) -> MonthShare:
    """What is said of some versions in one month."""
    if month.month.installations is None:
        return MonthShare(None, None, None)
    rates = rates_of(counts.events, counts.successes, counts.failures)
    return MonthShare(counts.installations, rate(counts.installations, month.installations), rates)


def _major(months: list[MajorMonth], name: Major) -> MajorVersion:
    shares = tuple(month_share(month, month.of(name)) for month in months)
    first = next((share.share for share in shares[:-1] if share.share is not None), None)  # one month is no change
    change = difference(shares[-1].share, first)
    return MajorVersion(*name, shares, change, vendor_support().get(name))


def _others(month: MajorMonth, names: list[Major]) -> MonthShare:
    return month_share(month, sum((month.of(name) for name in names), start=Installed()))


def _all(months: list[MajorMonth], name: Major) -> int:
    return sum(month.of(name).installations for month in months)
