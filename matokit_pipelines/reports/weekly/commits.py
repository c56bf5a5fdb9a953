"""Commits of a week as numbers: what they counted in it, and the verdict of marts.commit_regression on each.

Not here: how a verdict is found (warehouse/commit_verdicts.py), the selects (queries.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matokit_pipelines.reports.shapes import Period, Queryable, difference, rates_of
from matokit_pipelines.reports.weekly import queries
from matokit_pipelines.reports.weekly.shapes import AffectedComponent, Commit, Commits, Deployment
from matokit_pipelines.statistics import rate

COMMITS_SHOWN = 100
DEPLOYMENTS_SHOWN = 40
AFFECTED_SHOWN = 3


def commits_of(snapshot: Queryable, period: Period, events: int) -> Commits:
    """The commits that the production events of a week name; `events`: how many there are in all."""
    found = queries.commits_on(snapshot, period.first_day, period.last_day)
    worse = queries.made_worse(snapshot, period.first_day, period.last_day)
    shown, others = found[:COMMITS_SHOWN], found[COMMITS_SHOWN:]
    rows = [_commit(row, worse.get(row["commit_sha"], ()), period) for row in shown]
    rows.sort(key=lambda commit: (commit.first_seen, commit.commit_sha), reverse=True)
    return Commits(
        rows=tuple(rows),
        others=len(others),
        others_events=sum(row["events"] for row in others),
        events_without=events - sum(row["events"] for row in found),
    )


def deployments_of(snapshot: Queryable, before: Period, period: Period) -> tuple[Deployment, ...]:
    """Commits first seen in the two weeks, in order; of very many those with most events."""
    found = queries.deployments(snapshot, before.start, period.end)
    if len(found) > DEPLOYMENTS_SHOWN:
        most = sorted(found, key=lambda one: (-one[2], one[1], one[0]))[:DEPLOYMENTS_SHOWN]
        found = sorted(most, key=lambda one: (one[1], one[0]))
    return tuple(Deployment(commit, seen) for commit, seen, _ in found)


def _commit(row: Mapping[str, Any], worse: Sequence[tuple[str, int, int]], period: Period) -> Commit:
    first_day = rates_of(*(row[f"first_day_{count}"] for count in ("events", "successes", "failures")))
    seen, well = row["predecessor_events"], row["predecessor_successes"]
    predecessor = rates_of(seen, well, seen - well)
    is_compared, is_judged = not first_day.small and not predecessor.small, row["verdict"] != "too few"
    return Commit(
        commit_sha=row["commit_sha"],
        first_seen=row["first_seen"],
        is_new=row["first_seen"] >= period.start,
        this_week=rates_of(row["events"], row["successes"], row["failures"]),
        compared_until=row["compared_until"],
        is_final=row["is_final"],
        first_day=first_day,
        predecessor_sha=row["predecessor_sha"],
        predecessor=predecessor,
        success_rate=difference(first_day.success_rate, predecessor.success_rate) if is_compared else None,
        units=row["units"],
        unit_failures=row["unit_failures"],
        unit_failure_share=rate(row["unit_failures"], row["units"]) if is_judged else None,
        baseline_units=row["baseline_units"],
        baseline_unit_failures=row["baseline_unit_failures"],
        baseline_commits=row["baseline_commits"],
        expected_share=row["expected_share"] if is_judged else None,
        verdict=row["verdict"],
        chance=_chance(row),
        affected=tuple(AffectedComponent(*one) for one in worse[:AFFECTED_SHOWN]),
        more_affected=max(0, len(worse) - AFFECTED_SHOWN),
    )


def _chance(row: Mapping[str, Any]) -> float | None:
    """The smaller of the two sides; None for a verdict that rests on too few."""
    sides = [row[name] for name in ("chance_worse", "chance_better") if row[name] is not None]
    return min(sides) if sides and row["verdict"] != "too few" else None
