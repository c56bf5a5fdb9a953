"""What surrounds an alert, as facts: where it fails, since which event, what changed, how CI fares, what is missing.

All facts lie before the time to which the data are complete. A fact that could not be read is missing and said to be;
an alert never waits for it. Not here: the stretches looked at (scopes.py), words (stories.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from matokit_pipelines.alerts.announcements import Announcement
from matokit_pipelines.alerts.content.links import Links
from matokit_pipelines.alerts.content.scopes import Scope, scopes_of
from matokit_pipelines.errors import MatokitError
from matokit_pipelines.warehouse.alert_evidence import Connection, Row, rows, troubled
from matokit_pipelines.windows import ONE_DAY, Window, local_date

CI_DAYS = 7
COMMITS_BEFORE = timedelta(hours=48)
SUCCESSES_IN_A_ROW = 10  # as many tell the time before a change from the luck within it
_SLOTS = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 180, 360, 720, 1440))
_MOST_SLOTS = 64


@dataclass(frozen=True)
class Counts:
    """Events and how many of them failed."""

    events: int
    failures: int


@dataclass(frozen=True)
class Part:
    """One component, system, version, architecture or kind of error: now, and in what it is held against."""

    name: str
    detail: str
    now: Counts
    other: Counts


@dataclass(frozen=True)
class Parts:
    """The parts with most failures first; `failing`: how many have any, those left out included."""

    rows: tuple[Part, ...] = ()
    failing: int = 0


@dataclass(frozen=True)
class Commit:
    """A commit by its first event; `previous`: the one first seen before it; `now`: events of the scope since then."""

    sha: str
    first_seen: datetime
    previous: str | None
    now: Counts | None = None


@dataclass(frozen=True)
class Began:
    """The first failure after the last run of successes."""

    at: datetime
    component: str
    commit: str | None
    os_release: str
    architecture: str


@dataclass(frozen=True)
class Ci:
    """What CI says of one component in the last days; `commits`: of the commits that are in question alone."""

    component: str
    now: Counts
    commits: Counts


@dataclass(frozen=True)
class Slot:
    """One bar of the timeline."""

    start: datetime
    events: int
    failures: int


@dataclass(frozen=True)
class Facts:
    """What was found for one scope; `machines`: of its window, `machines_failing`: those with a failure."""

    scope: Scope
    total: Part | None = None
    machines: int = 0
    machines_failing: int = 0
    components: Parts = Parts()
    systems: Parts = Parts()
    os_releases: Parts = Parts()
    architectures: Parts = Parts()
    errors: Parts = Parts()
    commits: tuple[Commit, ...] = ()
    began: Began | None = None
    ci: tuple[Ci, ...] = ()
    slots: tuple[Slot, ...] = ()
    slot_length: timedelta = _SLOTS[0]
    last_event: datetime | None = None


@dataclass(frozen=True)
class Source:
    """A source: complete to when (UTC), its last error, events it withheld on the days in question."""

    name: str
    complete_to: datetime | None
    error: str | None
    withheld: int


@dataclass(frozen=True)
class Evidence:
    """Facts by the key of their scope; what the data lack. `unread`: why facts could not be read."""

    facts: Mapping[str, Facts] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    troubled: tuple[tuple[str, Window], ...] = ()
    unread: tuple[str, ...] = ()


NOTHING = Evidence()


def gather(connection: Connection, announcement: Announcement, links: Links) -> Evidence:
    """The facts around `announcement`, read from the warehouse. What cannot be read is named in `unread`."""
    found: dict[str, Facts] = {}
    unread: list[str] = []
    for scope in scopes_of(announcement, links.alerts, links.zone):
        try:
            found[scope.key] = _facts(connection, scope, announcement)
        except MatokitError as error:
            unread.append(str(error))
    sources: tuple[Source, ...] = ()
    gaps: tuple[tuple[str, Window], ...] = ()
    try:
        sources, gaps = _sources(connection, announcement, found.values(), links)
    except MatokitError as error:
        unread.append(str(error))
    return Evidence(found, sources, gaps, tuple(dict.fromkeys(unread)))


def _facts(connection: Connection, scope: Scope, announcement: Announcement) -> Facts:
    facts = Facts(scope)
    if scope.rule == "data_stale":
        return facts
    facts = _with_timeline(connection, facts)
    if scope.rule == "no_events":
        asked = {
            "start_ts": scope.until - 28 * ONE_DAY,
            "end_ts": scope.until,
            "environments": list(scope.environments),
        }
        return replace(facts, last_event=rows(connection, "last_event", asked)[0]["event_ts"])
    began = failures_began(connection, scope)
    commits = commits_seen(connection, scope, began)
    scope = _with_commit(scope, commits)
    if announcement.kind in ("resolved", "past"):
        return replace(facts, scope=scope, commits=commits)
    facts = with_parts(connection, replace(facts, scope=scope))
    named = scope.components or tuple(part.name for part in facts.components.rows[:3] if part.now.failures)
    return replace(
        facts,
        commits=commits_counted(connection, scope, commits),
        began=began,
        ci=ci_results(connection, scope, named, [commit.sha for commit in commits]),
    )


def _with_commit(scope: Scope, commits: Sequence[Commit]) -> Scope:
    """A commit is looked at from its first event on, and held against the week before that event until now."""
    if not scope.commits or scope.now is None or scope.other is None:
        return scope
    first = min((commit.first_seen for commit in commits if commit.sha in scope.commits), default=scope.now.start)
    first = min(first, scope.now.end)
    days = scope.now.start - scope.other.start
    return replace(scope, now=Window(first, scope.now.end), other=Window(first - days, scope.now.end))


def with_parts(connection: Connection, facts: Facts) -> Facts:
    """The facts with their parts: where it fails within the window of the scope, and what it is held against."""
    scope = facts.scope
    if scope.now is None or scope.other is None:
        return facts
    asked = {
        "environments": list(scope.environments),
        "now_start": scope.now.start,
        "now_end": scope.now.end,
        "now_components": _list(scope.components),
        "now_architectures": _list(scope.architectures),
        "now_commits": _list(scope.commits),
        "other_start": scope.other.start,
        "other_end": scope.other.end,
        "other_components": _list(scope.components),
        "other_not_architectures": [*scope.architectures, "unknown"] if scope.architectures else None,
        "other_commits": _list(scope.previous),
    }
    found: dict[str, list[Row]] = {}
    for row in rows(connection, "parts", asked):
        found.setdefault(row["part"], []).append(row)

    def of(part: str) -> Parts:
        return Parts(tuple(map(_part, found[part])), found[part][0]["failing"]) if part in found else Parts()

    return replace(
        facts,
        total=_part(found["all"][0]) if "all" in found else None,
        machines=found["all"][0]["machines"] if "all" in found else 0,
        machines_failing=found["all"][0]["machines_failing"] if "all" in found else 0,
        components=of("component"),
        systems=of("system"),
        os_releases=of("os_release"),
        architectures=of("architecture"),
        errors=of("error_type"),
    )


def _part(row: Row) -> Part:
    now, other = Counts(row["events"], row["failures"]), Counts(row["other_events"], row["other_failures"])
    return Part(row["name"], row["detail"], now, other)


def _with_timeline(connection: Connection, facts: Facts) -> Facts:
    """Bars without a gap, each on a multiple of its length in UTC."""
    scope = facts.scope
    length = next((one for one in _SLOTS if scope.chart.end - scope.chart.start <= _MOST_SLOTS * one), _SLOTS[-1])
    seconds = int(length.total_seconds())
    start = scope.chart.start - timedelta(seconds=scope.chart.start.timestamp() % seconds)
    asked = {
        "start_ts": start,
        "end_ts": scope.chart.end,
        "slot_seconds": seconds,
        "environments": list(scope.environments),
        "components": _list(scope.components),
        "architectures": _list(scope.architectures),
        "commits": None,
    }
    found = {row["slot"]: row for row in rows(connection, "timeline", asked)}
    many = -int((start - scope.chart.end).total_seconds() // seconds)
    slots = [
        Slot(start + place * length, found[place]["events"], found[place]["failures"])
        if place in found
        else Slot(start + place * length, 0, 0)
        for place in range(many)
    ]
    return replace(facts, slots=tuple(slots), slot_length=length)


def commits_seen(connection: Connection, scope: Scope, began: Began | None) -> tuple[Commit, ...]:
    """Those first seen in the 48 hours before the start, or before failures began, and since, newest first; of a
    commit's own alert that one."""
    start = min(scope.started_at, began.at) if began else scope.started_at
    asked = {
        "environments": list(scope.environments),
        "start_ts": start - COMMITS_BEFORE,
        "end_ts": scope.until,
        "commits": _list(scope.commits),
    }
    found = rows(connection, "commits", asked)
    return tuple(Commit(row["commit_sha"], row["first_ts"], row["previous_sha"]) for row in found)


def commits_counted(connection: Connection, scope: Scope, commits: tuple[Commit, ...]) -> tuple[Commit, ...]:
    """The commits with the events of the scope since the first of them was seen."""
    if not commits or scope.now is None:
        return commits
    asked = {
        "environments": list(scope.environments),
        "start_ts": min(scope.now.start, min(commit.first_seen for commit in commits)),
        "end_ts": scope.now.end,
        "components": _list(scope.components),
        "architectures": _list(scope.architectures),
        "commits": [commit.sha for commit in commits],
    }
    found = {row["commit_sha"]: row for row in rows(connection, "commit_counts", asked)}
    none = Counts(0, 0)
    return tuple(
        replace(one, now=Counts(found[one.sha]["events"], found[one.sha]["failures"]) if one.sha in found else none)
        for one in commits
    )


def failures_began(connection: Connection, scope: Scope) -> Began | None:
    """The first failure after the last run of successes, of the week before the start of the scope until its end."""
    if scope.commits or scope.now is None:
        return None
    asked = {
        "environments": list(scope.environments),
        "start_ts": scope.started_at - (7 if scope.components else 2) * ONE_DAY,
        "end_ts": scope.now.end,
        "components": _list(scope.components),
        "architectures": _list(scope.architectures),
        "run": SUCCESSES_IN_A_ROW,
    }
    return next(
        (
            Began(row["event_ts"], row["component"], row["commit_sha"], row["os_release"], row["architecture"])
            for row in rows(connection, "failures_began", asked)
        ),
        None,
    )


def ci_results(
    connection: Connection,
    scope: Scope,
    components: Sequence[str],
    commits: Sequence[str],
    *,
    within: timedelta = CI_DAYS * ONE_DAY,
) -> tuple[Ci, ...]:
    """What CI says of these components, and of them with these commits, `within` the time before the scope's end."""
    if not components:
        return ()
    asked = {
        "start_ts": scope.until - within,
        "end_ts": scope.until,
        "components": list(components),
        "commits": list(commits),
    }
    found = {row["component"]: row for row in rows(connection, "ci", asked)}
    none = {"events": 0, "failures": 0, "commit_events": 0, "commit_failures": 0}
    return tuple(
        Ci(name, Counts(row["events"], row["failures"]), Counts(row["commit_events"], row["commit_failures"]))
        for name, row in ((name, found.get(name, none)) for name in components)
    )


def _sources(
    connection: Connection, announcement: Announcement, facts: Iterable[Facts], links: Links
) -> tuple[tuple[Source, ...], tuple[tuple[str, Window], ...]]:
    starts = [one.scope.now.start for one in facts if one.scope.now] or [announcement.complete_to - ONE_DAY]
    window = Window(min(starts), max(announcement.complete_to, min(starts)))
    days = {
        "first_day": local_date(window.start, links.zone),
        "last_day": local_date(window.end, links.zone),
    }
    found = rows(connection, "sources", days)
    sources = tuple(Source(row["source"], row["watermark"], row["last_error"], int(row["withheld"])) for row in found)
    return sources, tuple(troubled(connection, announcement.at, window))


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return list(values) if values else None
