"""One component in full: where it fails, since when, what changed before, what CI says, and its last two weeks.

What surrounds it is found as it is for alerts (alerts/content/evidence.py). Not here: which components are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from matokit_pipelines.alerts.content import evidence
from matokit_pipelines.alerts.content.evidence import Ci, Counts, Facts
from matokit_pipelines.alerts.content.scopes import Scope
from matokit_pipelines.alerts.content.surroundings import is_green
from matokit_pipelines.reports.daily.shapes import (
    NO_FAILURES,
    Began,
    CiComparison,
    CommitSeen,
    Component,
    ErrorType,
    Failures,
    Health,
    Stretch,
    System,
    failures_of,
)
from matokit_pipelines.reports.quality import ENVIRONMENT
from matokit_pipelines.warehouse.health_reading import HealthReading
from matokit_pipelines.windows import ONE_DAY, Window

SYSTEMS, ERRORS = 8, 4
_Trends = Mapping[tuple[str, datetime], Failures]


def health_of(
    reading: HealthReading,
    components: Sequence[Component],
    start: datetime,
    end: datetime,
    edges: Sequence[datetime],
    regressions: Mapping[str, datetime],
) -> tuple[Health, ...]:
    """These components in full, of the window `[start, end)`. `edges`: of the days of the trend, the last is `end`."""
    if not components:
        return ()
    trends = _trends(reading, [one.component for one in components], edges)
    return tuple(_health(reading, one, start, end, edges, trends, regressions) for one in components)


def _health(
    reading: HealthReading,
    row: Component,
    start: datetime,
    end: datetime,
    edges: Sequence[datetime],
    trends: _Trends,
    regressions: Mapping[str, datetime],
) -> Health:
    scope = _scope(row.component, start, end)
    facts = evidence.with_parts(reading.connection, Facts(scope))
    began = evidence.failures_began(reading.connection, scope)
    commits = _commits(reading, scope, began)
    systems = [part for part in facts.systems.rows if part.now.failures][:SYSTEMS]
    errors = facts.errors.rows[:ERRORS]
    shas = dict.fromkeys([one.commit_sha for one in commits] + ([began.commit] if began and began.commit else []))
    return Health(
        row=row,
        trend=tuple(
            Stretch(first, last, trends.get((row.component, first), NO_FAILURES)) for first, last in pairwise(edges)
        ),
        systems=tuple(System(part.name, part.detail, _failures(part.now)) for part in systems),
        systems_more=max(0, facts.systems.failing - len(systems)),
        errors=tuple(ErrorType("" if one.name == "not_reported" else one.name, one.now.failures) for one in errors),
        errors_more=max(0, facts.errors.failing - len(errors)),
        began=Began(began.at, began.commit, began.os_release, began.architecture) if began else None,
        commits=commits,
        ci=_in_ci(reading, scope, list(shas)),
        started_at=regressions.get(row.component),
    )


def _scope(component: str, start: datetime, end: datetime) -> Scope:
    return Scope(
        key=component,
        rule="component_failure_rate",
        environments=(ENVIRONMENT,),
        started_at=start,
        until=end,
        now=Window(start, end),
        other=Window(start, start),  # what is usual is known already
        chart=Window(start, end),
        components=(component,),
    )


def _commits(reading: HealthReading, scope: Scope, began: evidence.Began | None) -> tuple[CommitSeen, ...]:
    """Those first seen in the 48 hours before failures began; where that is not known, before the window and in it."""
    change = replace(scope, started_at=began.at, until=began.at + timedelta(microseconds=1)) if began else scope
    seen = evidence.commits_seen(reading.connection, change, began)
    counted = evidence.commits_counted(reading.connection, scope, seen)
    return tuple(
        CommitSeen(one.sha, one.first_seen, one.previous, _failures(one.now) if one.now else NO_FAILURES)
        for one in counted
    )


def _in_ci(reading: HealthReading, scope: Scope, commits: Sequence[str]) -> CiComparison:
    components = scope.components or ()
    [last_day] = evidence.ci_results(reading.connection, scope, components, (), within=ONE_DAY)
    [week] = evidence.ci_results(reading.connection, scope, components, commits)
    together = Ci(last_day.component, last_day.now, week.commits)
    return CiComparison(_failures(last_day.now), _failures(week.commits), is_green(together))


def _trends(
    reading: HealthReading, components: Sequence[str], edges: Sequence[datetime]
) -> dict[tuple[str, datetime], Failures]:
    rows = reading.rows(
        "trends",
        {
            "environment": ENVIRONMENT,
            "components": list(components),
            "edges": list(edges),
            "start_ts": edges[0],
            "end_ts": edges[-1],
        },
    )
    return {(row["component"], row["start_ts"]): failures_of(row["failures"], row["events"]) for row in rows}


def _failures(counts: Counts) -> Failures:
    return failures_of(counts.failures, counts.events)
