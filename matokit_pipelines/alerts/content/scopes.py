"""Which events surround an alert: the stretch it looks at, what it is held against, and what of them is its subject.

Not here: reading them (evidence.py), words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Announcement, Episode
from matokit_pipelines.alerts.verdicts import ALL, Verdict
from matokit_pipelines.windows import ONE_DAY, Window, day_window, local_date

BY_COMPONENT = frozenset(
    {"new_failure_pattern", "component_failure_rate", "new_component_failure", "success_drop_7d", "slow_regression"}
)
IMMEDIATE = frozenset({"overall_success_rate", "new_failure_pattern", "high_volume_failures"})
HEALTH = ("component_failure_rate", "new_component_failure", "success_drop_7d")
WITHOUT_EVENTS = frozenset({"no_events", "data_stale"})
DIGEST_SCOPES = 10  # so many of a digest are looked into; the others are lines
_BEFORE_CHART = {"at_once": ONE_DAY, "later": 7 * ONE_DAY}


@dataclass(frozen=True)
class Scope:
    """What surrounds the episodes of one rule (in the health digest: of one component).

    key: under which its facts are found; now and other: the window of the rule and what it is held against, null
    where the rule has none; chart: what the drawing shows; started_at: the earliest start. Lists: None is all.
    """

    key: str
    rule: str
    environments: tuple[str, ...]
    started_at: datetime
    until: datetime
    now: Window | None
    other: Window | None
    chart: Window
    components: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None
    commits: tuple[str, ...] | None = None
    previous: tuple[str, ...] | None = None


def scopes_of(announcement: Announcement, settings: AlertSettings, zone: ZoneInfo) -> tuple[Scope, ...]:
    """The scopes of an announcement, in its order: one a rule; in the digest of the daily rules one a component."""
    groups: dict[str, list[Episode]] = {}
    for episode in announcement.episodes:
        groups.setdefault(scope_key(announcement, episode), []).append(episode)
    found = [_scope(key, announcement, episodes, settings, zone) for key, episodes in groups.items()]
    return tuple(found[:DIGEST_SCOPES])


def scope_key(announcement: Announcement, episode: Episode) -> str:
    """Under which the facts of an episode are found."""
    return f"subject:{episode.subject}" if announcement.digest == "health" else episode.rule


def telling(announcement: Announcement, episode: Episode) -> Verdict:
    """The verdict that an announcement tells of: the newest with data while it lasts, the worst when it is over."""
    if announcement.kind in ("resolved", "past"):
        return episode.worst
    if announcement.kind == "reminder" and episode.last.state == "ok":
        return episode.last
    holds = episode.last.raw and episode.last.state == "ok"
    return episode.last if holds else episode.worst


def is_stale(announcement: Announcement, verdict: Verdict) -> bool:
    """Whether a reminder's verdict is older than the data: equal evaluations are one, told apart by its first."""
    older = announcement.complete_to - verdict.at
    return announcement.kind == "reminder" and verdict.rule in IMMEDIATE and older > timedelta(minutes=10)


def moment_of(verdict: Verdict, name: str) -> datetime | None:
    """An instant among a verdict's inputs, written in ISO or as seconds since 1970; None when there is none."""
    value = verdict.inputs.get(name)
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _scope(
    key: str, announcement: Announcement, episodes: list[Episode], settings: AlertSettings, zone: ZoneInfo
) -> Scope:
    first, started = episodes[0], min(episode.began_at or episode.started_at for episode in episodes)
    verdict = telling(announcement, first)
    if is_stale(announcement, verdict):
        verdict = replace(verdict, at=_on_grid(announcement.complete_to))
    now, other = _windows(first, verdict, settings, zone)
    subjects = tuple(dict.fromkeys(episode.subject for episode in episodes if episode.subject != ALL))
    until = max(announcement.complete_to, verdict.at)
    lead = _BEFORE_CHART["at_once" if first.rule in IMMEDIATE or first.rule in WITHOUT_EVENTS else "later"]
    start = min(started, now.start if now else started) - lead
    if until - start > 28 * ONE_DAY:
        start = until - 28 * ONE_DAY
    by_component = first.rule in BY_COMPONENT and all(episode.subject != ALL for episode in episodes)
    previous = tuple(
        text for text in (str(telling(announcement, one).inputs.get("previous") or "") for one in episodes) if text
    )
    return Scope(
        key=key,
        rule=first.rule,
        environments=tuple(dict.fromkeys(episode.environment for episode in episodes)),
        started_at=started,
        until=until,
        now=now,
        other=other,
        chart=Window(start, until),
        components=subjects if by_component else None,
        architectures=subjects if first.rule == "arch_gap" and subjects else None,
        commits=subjects if first.rule == "commit_regression" else None,
        previous=previous if first.rule == "commit_regression" else None,
    )


def _windows(
    episode: Episode, verdict: Verdict, settings: AlertSettings, zone: ZoneInfo
) -> tuple[Window | None, Window | None]:
    """`(now, other)` of the rule at `verdict`. The commit's own start is found by its first event, not here."""
    at, rules, began = verdict.at, settings.rules, min(episode.started_at, verdict.at)
    match episode.rule:
        case "overall_success_rate":
            overall = rules.overall_success_rate
            return _back(at, began, hours=overall.window_hours, days=overall.baseline_days)
        case "new_failure_pattern":
            start = at - timedelta(hours=rules.new_failure_pattern.window_hours)
            before = timedelta(hours=rules.new_failure_pattern.before_hours)
            return Window(start, at), Window(start - before, start)
        case "high_volume_failures":
            volume = rules.high_volume_failures
            return _back(at, began, hours=volume.window_hours, days=volume.baseline_days)
        case "arch_gap":
            day = day_window(_day_before(at, zone), zone)
            return day, day
        case "commit_regression":
            hours = timedelta(hours=rules.commit_regression.hours_after)
            return Window(at - hours, at), Window(at - hours - rules.commit_regression.baseline_days * ONE_DAY, at)
        case "slow_regression":
            began = min(episode.began_at or episode.started_at, at)
            return Window(began, at), Window(began - 7 * ONE_DAY, began)
        case "no_events" | "data_stale":
            return None, None
        case _:
            return _back(at, began, hours=24, days=rules.success_drop_7d.before_days)


def _on_grid(at: datetime) -> datetime:
    """The evaluation time at or before an instant."""
    return at - timedelta(seconds=at.timestamp() % 300)


def _back(at: datetime, began: datetime, *, hours: int, days: int) -> tuple[Window, Window]:
    """The last hours, and the days before those at which it began: what is usual holds none of its failures."""
    start, usual = at - timedelta(hours=hours), began - timedelta(hours=hours)
    return Window(start, at), Window(usual - days * ONE_DAY, usual)


def _day_before(at: datetime, zone: ZoneInfo) -> date:
    """The last complete local day at `at`."""
    return local_date(at, zone) - ONE_DAY
