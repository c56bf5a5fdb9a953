"""The monthly compatibility report: the 30 days that end with a month against the 30 before, as numbers.

A pure function of a published snapshot, the month and the time. Not here: the selects (queries.py), the parts that
have a file of their own, what is said about the numbers (words.py) and how they are drawn (charts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from matokit_pipelines.reports.comparison import keys_are_shared, verdict
from matokit_pipelines.reports.monthly import queries
from matokit_pipelines.reports.monthly.adoption import adoption
from matokit_pipelines.reports.monthly.components import worse_components
from matokit_pipelines.reports.monthly.deprecation import deprecation
from matokit_pipelines.reports.monthly.issues import issues
from matokit_pipelines.reports.monthly.judging import tallies, whole
from matokit_pipelines.reports.monthly.new_versions import new_versions
from matokit_pipelines.reports.monthly.periods import periods_of
from matokit_pipelines.reports.monthly.queries import ALL, Counts, Installed, Part, System
from matokit_pipelines.reports.monthly.segments import segments
from matokit_pipelines.reports.monthly.shapes import MonthlyNumbers, PeriodTotal, Totals
from matokit_pipelines.reports.monthly.trend import major_months, trend
from matokit_pipelines.reports.quality import quality
from matokit_pipelines.reports.shapes import Period, Quality, change_of, difference, rates_of
from matokit_pipelines.statistics import rate
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import monday_of


@dataclass(frozen=True)
class Largest:
    """The largest machine key of each week, added up, and the events of these weeks."""

    key_events: int
    events: int

    @property
    def are_shared(self) -> bool:
        """Whether keys cannot be machines (alert-rules, section 2)."""
        return keys_are_shared(self.key_events, self.events)


def monthly_numbers(snapshot: Snapshot, month: date, now: datetime) -> MonthlyNumbers:
    """Everything the report of the month that begins with `month` says, from one snapshot.

    `now` is only printed (and may be any time: old months can be made again). ValueError when `month` is not the first
    day of one.
    """
    manifest = snapshot.manifest
    period, before = periods_of(month, manifest.project_zone)
    known_from = queries.first_known_day(snapshot)
    before_is_known = known_from is not None and known_from <= before.first_day
    now_part, before_part = queries.systems_of_month(snapshot, month)
    installed = queries.installed(snapshot, period.first_day, period.last_day)
    installed_before = queries.installed(snapshot, before.first_day, before.last_day)
    largest = Largest(*queries.largest_machines(snapshot, monday_of(period.first_day), period.last_day))
    shared = largest.are_shared
    months = major_months(snapshot, month, known_from)
    is_complete = manifest.watermark is not None and manifest.watermark >= period.end
    return MonthlyNumbers(
        period=period,
        before=before,
        month=month,
        zone=manifest.project_zone,
        now=now,
        watermark=manifest.watermark,
        generation=manifest.generation,
        published_at=manifest.published_at,
        code_version=manifest.code_version,
        rule_version=manifest.rule_version,
        known_from=known_from,
        totals=_totals((installed, now_part), (installed_before, before_part), before_is_known, shared),
        worse_components=worse_components(now_part, before_part, shared),
        new_versions=new_versions(snapshot, period, known_from, installed, now_part),
        adoption=adoption(snapshot, period, known_from, installed, installed_before),
        segments=segments((installed, now_part), (installed_before, before_part), before_is_known, shared),
        issues=issues(snapshot, period, now_part, shared),
        trend=trend(months),
        deprecation=deprecation(
            months, now_part, queries.releases_until(snapshot, period.last_day),
            is_complete=is_complete, shared_keys=shared,
        ),
        quality=_quality(snapshot, period, before, largest),
    )  # fmt: skip


def _totals(
    last: tuple[Mapping[System, Installed], Part],
    before: tuple[Mapping[System, Installed], Part],
    before_is_known: bool,
    shared: bool,
) -> Totals:
    now_all, before_all = whole(last[1].values()), whole(before[1].values())
    word, how_likely = verdict(tallies(now_all), tallies(before_all), shared_keys=shared)
    is_compared = bool(now_all) or not any(counts.events for counts in last[0].values())
    this, earlier = _total(last[0], now_all, is_compared), _total(before[0], before_all, is_compared)
    return Totals(
        last=this,
        before=earlier,
        before_is_known=before_is_known,
        is_compared=is_compared,
        installations=change_of(this.installations, earlier.installations) if before_is_known else None,
        events=change_of(this.rates.events, earlier.rates.events) if before_is_known else None,
        success_rate=difference(this.rates.success_rate, earlier.rates.success_rate),
        verdict=word,
        chance=how_likely,
    )


def _total(installed: Mapping[System, Installed], components: Mapping[str, Counts], is_compared: bool) -> PeriodTotal:
    counts = sum(installed.values(), start=Installed())
    machines = components.get(ALL, Counts()).machines if is_compared else None
    return PeriodTotal(rates_of(counts.events, counts.successes, counts.failures), counts.installations, machines)


def _quality(snapshot: Snapshot, period: Period, before: Period, largest: Largest) -> Quality:
    """As on every page; but the largest key is known by week, so its share is of the weeks that touch the period."""
    found = quality(snapshot, period, before, largest_machine_events=largest.key_events, shared_keys=largest.are_shared)
    return replace(found, largest_machine=rate(largest.key_events, largest.events))
