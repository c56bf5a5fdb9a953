"""Planted incidents, looked for among the alerts: which one told of it, when, and when it was over.

Not here: what was planted (simulator/incidents.py), evaluating and telling (demo_alerts.py), what tables show
(sightings.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.book import Dispatch
from matokit_pipelines.alerts.verdicts import ALL
from matokit_pipelines.simulator.incidents import Incident

# Which rules an incident of a kind is for; of the others none is expected: more machines, a new system and an older
# commit that comes back break nothing.
RULES: Mapping[str, tuple[str, ...]] = {
    "component": ("new_failure_pattern", "slow_regression", "component_failure_rate", "success_drop_7d"),
    "commit": ("commit_regression",),
    "architecture": ("arch_gap",),
    "outage": ("overall_success_rate", "high_volume_failures"),
    "silence": ("no_events",),
}
_HORIZON = timedelta(hours=72)  # in which the slower rules see what began


@dataclass(frozen=True)
class AlertSighting:
    """One planted incident and the alerts that are for it, the one that was told of first before the others.

    told_at: when somebody first heard of it; over_at: when they heard that all of it is over. An incident that breaks
    nothing has no alert, and is found when there is none of its own.
    """

    incident: Incident
    episodes: tuple[Episode, ...]
    told_at: datetime | None
    over_at: datetime | None

    @property
    def breaks(self) -> bool:
        """Whether an alert is expected."""
        return self.incident.kind in RULES

    @property
    def found(self) -> bool:
        return self.told_at is not None if self.breaks else not self.episodes


def look_for(
    incidents: Sequence[Incident], episodes: Sequence[Episode], told: Sequence[Dispatch]
) -> tuple[AlertSighting, ...]:
    """Every incident among the episodes, which are in order of start."""
    return tuple(_sighting(incident, incidents, episodes, told) for incident in incidents)


def unexplained(incidents: Sequence[Incident], episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """Episodes at a time at which nothing planted was broken, nor just before."""
    return tuple(e for e in episodes if not any(_lies_in(e, i) for i in incidents if i.kind in RULES))


def _sighting(
    incident: Incident, incidents: Sequence[Incident], episodes: Sequence[Episode], told: Sequence[Dispatch]
) -> AlertSighting:
    if incident.kind not in RULES:
        own = [e for e in unexplained(incidents, episodes) if incident.start <= e.started_at < incident.end]
        return AlertSighting(incident, tuple(own), None, None)
    rules = RULES[incident.kind]
    mine = [e for e in episodes if e.rule in rules and _is_about(e, incident) and _lies_in(e, incident)]
    first_told = {id(e): _first(told, e, is_over=False) for e in mine}
    mine.sort(key=lambda e: (first_told[id(e)] is None, first_told[id(e)] or e.started_at))
    over = [_first(told, e, is_over=True) for e in mine]
    known = [at for at in over if at is not None]
    over_at = max(known) if known and len(known) == len(over) else None
    return AlertSighting(incident, tuple(mine), first_told[id(mine[0])] if mine else None, over_at)


def _is_about(episode: Episode, incident: Incident) -> bool:
    return episode.subject in (ALL, incident.subject)


def _lies_in(episode: Episode, incident: Incident) -> bool:
    return incident.start <= episode.started_at < incident.end + _HORIZON


def _first(told: Sequence[Dispatch], episode: Episode, *, is_over: bool) -> datetime | None:
    """When a message first told of an episode, or that it is over."""
    key = (episode.fingerprint, episode.number)
    at = [
        dispatch.due
        for dispatch in told
        for one in dispatch.announcement.episodes
        if (one.fingerprint, one.number) == key and (not is_over or one.ended_at is not None)
    ]
    return min(at, default=None)
