"""The selects behind the weekly summary: marts of one published snapshot in, small typed pieces out.

Production only, except what is left out of the counts. Not here: comparisons and the choice of what is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import polars as pl

from matokit_pipelines.reports.comparison import SMALL_NUMBER, Tally
from matokit_pipelines.reports.weekly_shapes import Gap, KnownLoss, LeftOut, Period, Rates, SourceState
from matokit_pipelines.statistics import rate, wilson
from matokit_pipelines.windows import ONE_DAY, day_window, zone_named

ENVIRONMENT = "production"
ALL = "all"
NOT_REPORTED = "not_reported"
GAPS_NAMED = 3


class Queryable(Protocol):
    """What a report needs of a snapshot."""

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The rows of one select; parameters are written `$name`."""


@dataclass(frozen=True)
class ComponentWeek:
    """One row of `component_weekly` over all architectures; the row of all components together is named `all`."""

    tally: Tally
    rates: Rates
    machines: int
    installations: int
    largest_machine_events: int


NO_WEEK = ComponentWeek(Tally(), Rates(0, 0, 0, None, None, None, True), 0, 0, 0)


@dataclass(frozen=True)
class CommitLife:
    """One production commit from its first to its last event, with what its components counted."""

    commit_sha: str
    first_seen: datetime
    last_seen: datetime
    predecessor_sha: str | None
    rates: Rates
    machines: int
    components: Mapping[str, Tally]


def rates_of(events: int, successes: int, failures: int) -> Rates:
    """Rates from counts, for sums over rows of a mart."""
    bounds = wilson(successes, events)
    low, high = bounds if bounds else (None, None)
    return Rates(events, successes, failures, rate(successes, events), low, high, events < SMALL_NUMBER)


def component_weeks(snapshot: Queryable, monday: date, weeks: int) -> dict[date, dict[str, ComponentWeek]]:
    """`weeks` weeks that end with the one of `monday`: week -> component (`all` included) -> what was counted."""
    rows = snapshot.query(
        """
        select week_start, component, events, successes, failures, units, unit_failures, machines,
               machines_failing, installations, largest_machine_events
        from component_weekly
        where environment = $environment
          and architecture = $all
          and week_start between $first and $last
        order by week_start, component
        """,
        {"environment": ENVIRONMENT, "all": ALL, "first": monday - 7 * (weeks - 1) * ONE_DAY, "last": monday},
    )
    found: dict[date, dict[str, ComponentWeek]] = defaultdict(dict)
    for row in rows.iter_rows(named=True):
        found[row["week_start"]][row["component"]] = ComponentWeek(
            Tally(row["events"], row["failures"], row["units"], row["unit_failures"], row["machines_failing"]),
            rates_of(row["events"], row["successes"], row["failures"]),
            row["machines"],
            row["installations"] or 0,
            row["largest_machine_events"],
        )
    return dict(found)


def success_days(snapshot: Queryable, first: date, last: date) -> dict[date, dict[str, int]]:
    """Production days with events: `events, successes, failures, installations, machines` and doubtful readings."""
    rows = snapshot.query(
        """
        select event_date, events, successes, failures, installations, machines, inferred_events, ambiguous_events
        from success_rate_daily
        where environment = $environment
          and event_date between $first and $last
        order by event_date
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return {row.pop("event_date"): row for row in rows.to_dicts()}


def error_types(snapshot: Queryable, first: date, last: date) -> dict[str, tuple[str, int]]:
    """Component -> its most frequent error type (`not_reported` where none was sent) and how often, ties by name."""
    rows = snapshot.query(
        """
        select component, error_type, cast(sum(failures) as bigint) as failures
        from error_daily
        where environment = $environment
          and event_date between $first and $last
        group by component, error_type
        order by component, failures desc, error_type
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    found: dict[str, tuple[str, int]] = {}
    for component, error_type, failures in rows.iter_rows():
        found.setdefault(component, (error_type, failures))
    return found


def new_os_versions(snapshot: Queryable, first: date, last: date) -> list[dict[str, Any]]:
    """Versions first seen in production on these days, with what they counted on these days; oldest first."""
    return snapshot.query(
        """
        with counted as (
            select os_family, os_release,
                   cast(sum(events) as bigint) as events,
                   cast(sum(successes) as bigint) as successes,
                   cast(sum(failures) as bigint) as failures
            from os_daily
            where environment = $environment
              and event_date between $first and $last
            group by os_family, os_release
        )
        select seen.os_family, seen.os_release, seen.first_seen, seen.machines_first_week as machines,
               coalesce(counted.events, 0) as events, coalesce(counted.successes, 0) as successes,
               coalesce(counted.failures, 0) as failures
        from os_first_seen as seen
        left join counted
          on counted.os_family is not distinct from seen.os_family
         and counted.os_release is not distinct from seen.os_release
        where seen.environment = $environment
          and seen.first_date between $first and $last
        order by seen.first_seen, seen.os_family, seen.os_release
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    ).to_dicts()


def commits_until(snapshot: Queryable, end: datetime) -> dict[str, CommitLife]:
    """Every commit first seen in production before `end`, by name."""
    components: dict[str, dict[str, Tally]] = defaultdict(dict)
    for row in snapshot.query(
        """
        select commit_sha, component, events, failures, units, unit_failures
        from component_commit
        where environment = $environment
          and component <> 'all'
        order by commit_sha, component
        """,
        {"environment": ENVIRONMENT},
    ).iter_rows(named=True):
        tally = Tally(row["events"], row["failures"], row["units"], row["unit_failures"])
        components[row["commit_sha"]][row["component"]] = tally
    rows = snapshot.query(
        """
        select commit_sha, first_seen, last_seen, predecessor_sha, events, successes, failures, machines
        from commit_performance
        where first_seen < $end
        order by first_seen, commit_sha
        """,
        {"end": end},
    )
    return {
        row["commit_sha"]: CommitLife(
            row["commit_sha"],
            row["first_seen"],
            row["last_seen"],
            row["predecessor_sha"],
            rates_of(row["events"], row["successes"], row["failures"]),
            row["machines"],
            components.get(row["commit_sha"], {}),
        )
        for row in rows.iter_rows(named=True)
    }


def commits_on(snapshot: Queryable, first: date, last: date) -> dict[str, Rates]:
    """The commits that production events of these days name, by name, with what they counted on these days."""
    rows = snapshot.query(
        """
        select commit_sha, cast(sum(events) as bigint) as events, cast(sum(successes) as bigint) as successes,
               cast(sum(failures) as bigint) as failures
        from commit_daily
        where environment = $environment
          and event_date between $first and $last
        group by commit_sha
        order by commit_sha
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return {name: rates_of(events, successes, failures) for name, events, successes, failures in rows.iter_rows()}


def installations_by_architecture(snapshot: Queryable, first: date, last: date) -> list[tuple[date, str, int]]:
    """`(monday, architecture, installations)` of production, ordered."""
    rows = snapshot.query(
        """
        select cast(date_trunc('week', event_date) as date) as monday, architecture,
               cast(sum(installations) as bigint) as installations
        from architecture_daily
        where environment = $environment
          and event_date between $first and $last
        group by monday, architecture
        order by monday, architecture
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    return [(monday, architecture, count) for monday, architecture, count in rows.iter_rows()]


def landed_rows(snapshot: Queryable, first: date, last: date) -> tuple[int, tuple[LeftOut, ...]]:
    """`(counted rows, left out by reason)` of these days over all environments; the largest reason first."""
    rows = snapshot.query(
        """
        select left_out_reason, cast(sum(landed) as bigint) as "rows"
        from data_quality_daily
        where event_date between $first and $last
        group by left_out_reason
        order by "rows" desc, left_out_reason
        """,
        {"first": first, "last": last},
    )
    counted = sum(landed for reason, landed in rows.iter_rows() if reason is None)
    return counted, tuple(LeftOut(reason, landed) for reason, landed in rows.iter_rows() if reason is not None)


def source_states(snapshot: Queryable, week: Period, week_before: Period) -> tuple[SourceState, ...]:
    """What is known of each source that counts, by name; a mirror does not."""
    gaps = known_gaps(snapshot, week)
    losses, losses_before = known_losses(snapshot, week), known_losses(snapshot, week_before)
    rows = snapshot.query(
        """
        select source, watermark, proven_from, windows_incomplete, truncated, quarantined, open_differences, last_error
        from extraction_status
        where mirror_of is null
        order by source
        """
    )
    return tuple(
        SourceState(
            row["source"],
            row["watermark"],
            row["proven_from"],
            losses.get(row["source"], KnownLoss()),
            losses_before.get(row["source"], KnownLoss()),
            KnownLoss(row["truncated"], row["open_differences"]),
            row["windows_incomplete"],
            row["quarantined"],
            row["last_error"],
            gaps.get(row["source"], ())[:GAPS_NAMED],
            max(0, len(gaps.get(row["source"], ())) - GAPS_NAMED),
        )
        for row in rows.iter_rows(named=True)
    )


def known_gaps(snapshot: Queryable, period: Period) -> dict[str, tuple[Gap, ...]]:
    """By source the windows that do not add up and reach into the period, in order."""
    rows = snapshot.query(
        """
        select source, window_start, window_end, announced, received
        from extraction_gaps
        where window_start < $end and window_end > $start
        order by source, window_start, window_end
        """,
        {"start": period.start, "end": period.end},
    )
    found: dict[str, tuple[Gap, ...]] = {}
    for source, *gap in rows.iter_rows():
        found[source] = (*found.get(source, ()), Gap(*gap))
    return found


def known_losses(snapshot: Queryable, period: Period) -> dict[str, KnownLoss]:
    """What is missing of each source on those days of its site that the period touches; sources without loss lack.

    A site may cut its days in another zone than the project, so its first and last day can reach out of the period.
    """
    rows = snapshot.query(
        """
        select days.source, status.zone, days.site_date, days.truncated,
               coalesce(days.verdict = 'differs', false) as differs
        from extraction_days as days
        inner join extraction_status as status on status.source = days.source
        where days.site_date between $first and $last
        order by days.source, days.site_date
        """,
        {"first": period.first_day - ONE_DAY, "last": period.last_day + ONE_DAY},
    )
    found: dict[str, KnownLoss] = {}
    for source, zone, day, truncated, differs in rows.iter_rows():
        window = day_window(day, zone_named(zone))
        if window.start < period.end and window.end > period.start and (truncated or differs):
            known = found.get(source, KnownLoss())
            found[source] = KnownLoss(known.truncated + truncated, known.open_differences + differs)
    return found
