"""Versions whose support may be worth ending, by a written rule; a recommendation, never an order.

- consider: under 2 % of installations in each of the last three months, and either success more than 10 points below
  the other versions, more than chance, or no longer maintained by the vendor according to the shipped table;
- watch: under 5 %, and less than in the month before, twice running;
- never with fewer than 30 installations in those months, for a version first seen after the first of them, or with days
  of them missing.

A month is the 30 days that end with it. Not here: the words (words.py), the table (vendor.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from itertools import pairwise

from matokit_pipelines.reports.comparison import Verdict
from matokit_pipelines.reports.monthly.judging import Judged, against_others, pooled
from matokit_pipelines.reports.monthly.periods import RULE_MONTHS
from matokit_pipelines.reports.monthly.queries import ALL, Counts, FirstSeen, Installed, Part, System
from matokit_pipelines.reports.monthly.shapes import Deprecation, Recommendation
from matokit_pipelines.reports.monthly.trend import Major, MajorMonth, month_share
from matokit_pipelines.reports.monthly.vendor import table_date, vendor_support
from matokit_pipelines.reports.monthly.versions import is_version, major_of
from matokit_pipelines.reports.shapes import difference, rates_of

LITTLE, WATCHED = 50, 20  # under 2 % and under 5 % of installations: one of so many
GAP = 10  # points below the others, as one of so many
EVIDENCE = 30  # installations in the three months
ROWS = 10
OLD_TABLE = timedelta(days=366)
NOT_JUDGED = Judged("too few", None, 0, 0, None)


def deprecation(
    months: list[MajorMonth], part: Part, seen: Iterable[FirstSeen], *, is_complete: bool, shared_keys: bool
) -> Deprecation:
    """Recommendations of the last of `months`: those to consider first, then by installations and name."""
    last = months[-RULE_MONTHS:]
    is_known = is_complete and all(one.month.is_known for one in last)
    day = last[-1].month.last_day
    rows: list[Recommendation] = []
    if is_known:
        majors = pooled(part, _major)
        judged = against_others(majors, shared_keys=shared_keys)
        firsts = _first_days(seen)
        for name in sorted({name for one in last for name in one.majors}):
            was_there = name in firsts and firsts[name] <= last[0].month.last_day
            if was_there and is_version(*name):
                machines = majors.get(name, {}).get(ALL, Counts()).machines
                found = recommendation(name, last, judged.get(name, NOT_JUDGED), machines, day)
                rows += [found] if found else []
    rows.sort(key=lambda row: (row.kind, -row.installations, row.os_family, row.major))
    return Deprecation(
        is_known=is_known,
        months=tuple(one.month for one in last),
        rows=tuple(rows[:ROWS]),
        more=max(0, len(rows) - ROWS),
        table_date=table_date(),
        is_table_old=day - table_date() > OLD_TABLE,
    )


def recommendation(
    name: Major, months: list[MajorMonth], judged: Judged, machines: int, day: date
) -> Recommendation | None:
    """What the rule says of one version in three months at the end of `day`; None when nothing."""
    counts = [one.of(name) for one in months]
    installations = sum(one.installations for one in counts)
    if installations < EVIDENCE or not all(one.installations for one in months):
        return None
    newest = months[-1]
    others = sum((found for other, found in newest.majors.items() if other != name), start=Installed())
    support = vendor_support().get(name)
    is_failing = judged.verdict == "worse" and is_far_below(counts[-1], others)
    is_unmaintained = support is not None and support.has_ended(day)
    if all(is_under(LITTLE, one, name) for one in months) and (is_failing or is_unmaintained):
        kind = "consider"
    elif is_under(WATCHED, newest, name) and is_falling(months, name):
        kind = "watch"
    else:
        return None
    rates = rates_of(counts[-1].events, counts[-1].successes, counts[-1].failures)
    rest = rates_of(others.events, others.successes, others.failures)
    word: Verdict = judged.verdict
    return Recommendation(
        kind,
        *name,
        tuple(month_share(month, count) for month, count in zip(months, counts, strict=True)),
        installations,
        machines,
        rates,
        rest,
        difference(rest.success_rate, rates.success_rate),
        word,
        judged.chance,
        is_failing,
        is_unmaintained,
        support,
    )


def is_under(one_of: int, month: MajorMonth, name: Major) -> bool:
    """Whether the version has less than this part of the month's installations; in whole numbers, so exact."""
    return one_of * month.of(name).installations < month.installations


def is_falling(months: list[MajorMonth], name: Major) -> bool:
    """Whether its share was smaller each month than in the month before."""
    return all(
        later.of(name).installations * earlier.installations < earlier.of(name).installations * later.installations
        for earlier, later in pairwise(months)
    )


def is_far_below(own: Installed, others: Installed) -> bool:
    """Whether the success rate is more than 10 points below that of the others; in whole numbers, so exact."""
    return GAP * (others.successes * own.events - own.successes * others.events) > own.events * others.events


def _major(system: System) -> Major:
    return system.os_family, major_of(system.os_family, system.os_release)


def _first_days(seen: Iterable[FirstSeen]) -> Mapping[Major, date]:
    found: dict[Major, date] = {}
    for one in seen:
        found.setdefault((one.os_family, major_of(one.os_family, one.os_release)), one.first_date)
    return found
