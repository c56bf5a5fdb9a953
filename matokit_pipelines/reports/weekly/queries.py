"""The selects behind the weekly summary: marts of one published snapshot in, small typed pieces out.

Production only, except what is left out of the counts. Not here: comparisons and the choice of what is shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from matokit_pipelines.reports.comparison import Tally
from matokit_pipelines.reports.shapes import Queryable, Rates, rates_of
from matokit_pipelines.windows import ONE_DAY

ENVIRONMENT = "production"
ALL = "all"
NOT_REPORTED = "not_reported"


@dataclass(frozen=True)
class ComponentWeek:
    """One row of `component_weekly` over all architectures; the row of all components together is named `all`."""

    tally: Tally
    rates: Rates
    machines: int
    installations: int
    largest_machine_events: int


NO_WEEK = ComponentWeek(Tally(), Rates(0, 0, 0, None, None, None, True), 0, 0, 0)


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


def deployments(snapshot: Queryable, start: datetime, end: datetime) -> list[tuple[str, datetime, int]]:
    """`(commit, first production event, events ever)` of commits first seen in `[start, end)`, in order."""
    rows = snapshot.query(
        """
        select commit_sha, first_seen, events
        from commit_performance
        where first_seen >= $start and first_seen < $end
        order by first_seen, commit_sha
        """,
        {"start": start, "end": end},
    )
    return [(commit, seen, events) for commit, seen, events in rows.iter_rows()]


def commits_on(snapshot: Queryable, first: date, last: date) -> list[dict[str, Any]]:
    """The commits that production events of these days name, most events first: what they counted on these days
    (`events, successes, failures`), when they were first seen, and what marts.commit_regression says of them."""
    return snapshot.query(
        """
        with counted as (
            select commit_sha, cast(sum(events) as bigint) as events, cast(sum(successes) as bigint) as successes,
                   cast(sum(failures) as bigint) as failures
            from commit_daily
            where environment = $environment
              and event_date between $first and $last
            group by commit_sha
        )
        select counted.commit_sha, counted.events, counted.successes, counted.failures, lives.first_seen,
               judged.predecessor_sha, judged.compared_until, coalesce(judged.is_final, false) as is_final,
               coalesce(judged.events, 0) as first_day_events, coalesce(judged.successes, 0) as first_day_successes,
               coalesce(judged.failures, 0) as first_day_failures,
               coalesce(judged.predecessor_events, 0) as predecessor_events,
               coalesce(judged.predecessor_successes, 0) as predecessor_successes,
               coalesce(judged.units, 0) as units, coalesce(judged.unit_failures, 0) as unit_failures,
               coalesce(judged.baseline_units, 0) as baseline_units,
               coalesce(judged.baseline_unit_failures, 0) as baseline_unit_failures,
               coalesce(judged.baseline_commits, 0) as baseline_commits, judged.expected_share,
               coalesce(judged.verdict, 'too few') as verdict, judged.chance_worse, judged.chance_better
        from counted
        inner join commit_performance as lives on lives.commit_sha = counted.commit_sha
        left join commit_regression as judged on judged.commit_sha = counted.commit_sha
        order by counted.events desc, lives.first_seen desc, counted.commit_sha
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    ).to_dicts()


def made_worse(snapshot: Queryable, first: date, last: date) -> dict[str, list[tuple[str, int, int]]]:
    """Commit of these days -> `(component, events, failures)` of what it made worse by more than chance in its first
    24 hours, the most surprising first."""
    rows = snapshot.query(
        """
        select judged.commit_sha, judged.component, judged.events, judged.failures
        from commit_regression_components as judged
        where judged.verdict = 'worse'
          and judged.commit_sha in (
            select commit_sha
            from commit_daily
            where environment = $environment
              and event_date between $first and $last
          )
        order by judged.commit_sha, judged.chance_worse, judged.component
        """,
        {"environment": ENVIRONMENT, "first": first, "last": last},
    )
    found: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for commit, component, events, failures in rows.iter_rows():
        found[commit].append((component, events, failures))
    return dict(found)


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
