"""Releases that fail more than all others together, with the components that are worst on them. Not here: words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from matokit_pipelines.reports.monthly import queries
from matokit_pipelines.reports.monthly.judging import Judged, against_others, pooled, whole
from matokit_pipelines.reports.monthly.queries import ALL, Counts, Part, System
from matokit_pipelines.reports.monthly.shapes import Issue, Issues, WorstComponent
from matokit_pipelines.reports.shapes import Period, Queryable, Rates, rates_of
from matokit_pipelines.windows import ONE_DAY

ROWS = 5
COMPONENTS = 3
ERROR_DAYS_SHARED = 25  # of the 30 days whose error types a snapshot knows, so many must be of the period

Release = tuple[str, str]
Errors = Mapping[tuple[str, str, str], tuple[str, int]]


def issues(snapshot: Queryable, period: Period, part: Part, shared_keys: bool) -> Issues:
    """The releases with most failures beyond those expected first. Events that name no system make no issue."""
    releases = pooled(part, _release)
    judged = against_others(releases, shared_keys=shared_keys)
    total = whole(releases.values())
    worse = [name for name, found in judged.items() if found.verdict == "worse" and name[1] != "unknown"]
    worse.sort(key=lambda name: (-judged[name].excess, name))
    first, last, errors = _errors(snapshot, period) if worse else (None, None, {})
    has_errors = last is not None
    return Issues(
        versions=sum(1 for components in releases.values() if components.get(ALL, Counts()).events),
        judged=sum(1 for found in judged.values() if found.verdict != "too few"),
        rows=tuple(
            _issue(name, judged[name], releases[name], total, errors if has_errors else None) for name in worse[:ROWS]
        ),
        more=max(0, len(worse) - ROWS),
        errors_first_day=first,
        errors_last_day=last,
    )


def _release(system: System) -> Release:
    return system.os_family, system.os_release


def _issue(
    name: Release, found: Judged, own: Mapping[str, Counts], total: Mapping[str, Counts], errors: Errors | None
) -> Issue:
    everything = own.get(ALL, Counts())
    return Issue(
        *name,
        _rates(everything),
        _rates(total[ALL] - everything),
        found.tries,
        found.failed,
        found.failed / found.tries,
        found.expected or 0.0,
        everything.machines,
        everything.machines_failing,
        found.chance or 0.0,
        _worst(name, own, total, errors),
    )


def _worst(
    name: Release, own: Mapping[str, Counts], total: Mapping[str, Counts], errors: Errors | None
) -> tuple[WorstComponent, ...]:
    """The components with most failures beyond what they have on the other releases: more than one, or the first."""
    ranked = []
    for component, counts in own.items():
        if component == ALL or not counts.failures:
            continue
        others = total[component] - counts
        usual = (others.failures + 0.5) / (others.events + 1)
        ranked.append((counts.failures - counts.events * usual, component, counts, others))
    ranked.sort(key=lambda one: (-one[0], one[1]))
    shown = [one for place, one in enumerate(ranked[:COMPONENTS]) if one[0] > 1 or not place]
    rows = []
    for _, component, counts, others in shown:
        error_type, times = (None, None) if errors is None else errors.get((*name, component), (None, None))
        rows.append(WorstComponent(component, _rates(counts), _rates(others), error_type, times))
    return tuple(rows)


def _errors(snapshot: Queryable, period: Period) -> tuple[date | None, date | None, Errors]:
    """`(first day, last day, errors)`; none where the snapshot's own 30 days are mostly others than the period's."""
    last, errors = queries.error_types(snapshot)
    if last is None:
        return None, None, {}
    first = last - (queries.ERROR_WINDOW_DAYS - 1) * ONE_DAY
    common = (min(last, period.last_day) - max(first, period.first_day)).days + 1
    return (first, last, errors) if common >= ERROR_DAYS_SHARED else (None, None, {})


def _rates(counts: Counts) -> Rates:
    return rates_of(counts.events, counts.successes, counts.failures)
