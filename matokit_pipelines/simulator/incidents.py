"""Planted changes: what breaks, when, and how a scoreboard can find it in tables.

Belongs here: the plan of incidents relative to the end of the data, and their effect on the model. Does not belong
here: the model itself (machines) and what is sent (sending).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines.simulator import platforms
from matokit_pipelines.simulator.commits import BadCommit
from matokit_pipelines.simulator.machines import STEPS, Effect, Fleet, Floats, Ints

# Mean success over the steps; a drop in points is turned into a factor on the success of each try with it.
OVERALL = 0.966
COMMIT_POINTS, ARCHITECTURE_POINTS, OUTAGE_SHARE = 0.20, 0.25, 0.45
COMPONENT, COMPONENT_FROM, COMPONENT_TO = "packages", 0.97, 0.70
BURST_FACTOR = 4.0
NEW_OS_SHARE = 0.10


@dataclass(frozen=True)
class Incident:
    """One planted change over [start, end), UTC. `subject` is the value to look for in its table's column.

    expectation: `days` (ISO dates in the project's zone), `table` and `column` of the mart that shows it,
    `direction` (down, up, new, none, change), `events` (in-scope production events it touched, measured on
    the generated rows), and what belongs to the kind: before, after, points, factor, from, to.
    """

    kind: str
    name: str
    start: datetime
    end: datetime
    subject: str
    expectation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Place:
    kind: str
    day: int  # from the Monday of the last complete week
    hour: int
    hours: float


_PLACES = (
    _Place("burst", -7, 0, 24),
    _Place("commit", -6, 7, 72),
    _Place("rollback", -3, 7, 17),
    _Place("new_os", 0, 0, 24),
    _Place("component", 1, 9, 48),
    _Place("architecture", 2, 0, 24),
    _Place("silence", 3, 15, 18),
    _Place("outage", 4, 10, 4),
)


def last_week(end: datetime, zone: str) -> date:
    """The Monday of the last Monday-to-Sunday week of `zone` that is over at `end`."""
    today = end.astimezone(ZoneInfo(zone)).date()
    return today - timedelta(days=today.weekday() + 7)


def plan(start: datetime, end: datetime, zone: str) -> list[Incident]:
    """The incidents that fit wholly into [start, end), in order of start, without their expectations.

    Five of the eight lie in the last complete week. If a short stretch holds none of them, the outage and the
    component move to the day before the last one.
    """
    monday = last_week(end, zone)
    found = [_place(place, monday + timedelta(days=place.day), end, zone) for place in _PLACES]
    fits = [incident for incident in found if incident.start >= start and incident.end <= end]
    kinds = {incident.kind for incident in fits}
    if "commit" not in kinds:
        fits = [incident for incident in fits if incident.kind != "rollback"]
    if not fits:
        yesterday = end.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
        near = [_place(place, yesterday, end, zone) for place in _PLACES if place.kind in ("outage", "component")]
        fits = [incident for incident in near if incident.start >= start and incident.end <= end]
    return sorted(fits, key=lambda incident: incident.start)


_NAMES = {
    "burst": "Start of term: four times the machines",
    "commit": "A commit that makes every step worse",
    "rollback": "The commit before the bad one leads again",
    "new_os": "A new operating system version",
    "outage": "Four hours in which each step fails more often",
    "architecture": "A day on which x86_64 fails more often",
    "silence": "Eighteen hours without an event",
    "component": "The packages step breaks for a fixed share of machines",
}
_SUBJECTS = {"component": COMPONENT, "architecture": "x86_64", "new_os": platforms.NEW_OS_RELEASE}


def _place(place: _Place, day: date, end: datetime, zone: str) -> Incident:
    local = datetime.combine(day, time(place.hour), ZoneInfo(zone))
    utc = ZoneInfo("UTC")
    until = _later(local, place.hours)
    if place.kind == "component":  # in short data it may still be broken at their end
        until = min(until, end.astimezone(local.tzinfo))
    subject = _SUBJECTS.get(place.kind, "all")
    return Incident(place.kind, _NAMES[place.kind], local.astimezone(utc), until.astimezone(utc), subject)


def _later(local: datetime, hours: float) -> datetime:
    # Whole days are days of the wall clock; shorter stretches are elapsed hours.
    if hours % 24 == 0:
        return local + timedelta(hours=hours)
    return (local.astimezone(ZoneInfo("UTC")) + timedelta(hours=hours)).astimezone(local.tzinfo)


def of_kind(incidents: Sequence[Incident], kind: str) -> Incident | None:
    """The incident of that kind, if planted."""
    return next((incident for incident in incidents if incident.kind == kind), None)


def stretches(incidents: Sequence[Incident], kind: str) -> list[tuple[float, float]]:
    """(from, until) in epoch seconds of the incidents of a kind."""
    return [(i.start.timestamp(), i.end.timestamp()) for i in incidents if i.kind == kind]


def bad_commit(incidents: Sequence[Incident]) -> BadCommit | None:
    """Publication and rollback of the bad commit, if planted."""
    found = of_kind(incidents, "commit")
    return None if found is None else BadCommit(found.start.timestamp(), found.end.timestamp())


def bring_new_os(machines: Fleet, incidents: Sequence[Incident], rng: np.random.Generator) -> None:
    """From its day on a tenth of the Macs run the new version: changes `machines.text` in place.

    At least one production machine of the day itself does, so that the day is when it is first seen.
    """
    for since, until in stretches(incidents, "new_os"):
        macs = (machines.start >= since) & platforms.IS_MAC[machines.text]
        chosen = macs & (rng.random(len(machines)) < NEW_OS_SHARE)
        first = np.flatnonzero(
            (machines.start >= since) & (machines.start < until - 7200) & (machines.environment == 0)
        )
        chosen[first[:1]] = True
        machines.text[chosen] = rng.choice(platforms.NEW_OS_TEXTS, size=int(chosen.sum()))


def effect(machines: Fleet, commit: Ints, wrong: int | None, incidents: Sequence[Incident]) -> Effect:
    """What the planted changes leave of the chances of success.

    commit: each machine's commit number; wrong: the number of the bad one.
    """
    x86 = platforms.IS_X86[machines.spelling]
    parts: list[Callable[[Floats, int, Ints, Floats], Floats]] = []
    for since, until in stretches(incidents, "outage"):
        parts.append(_during(since, until, 1 - OUTAGE_SHARE, None))
    for since, until in stretches(incidents, "architecture"):
        parts.append(_during(since, until, 1 - ARCHITECTURE_POINTS / OVERALL, x86))
    for since, until in stretches(incidents, "component"):
        lost = machines.luck < 1 - COMPONENT_TO / COMPONENT_FROM
        broken = next(index for index, step in enumerate(STEPS) if step.name == COMPONENT)
        parts.append(_during(since, until, 0.0, lost, broken))
    if wrong is not None:
        parts.append(_during(-np.inf, np.inf, 1 - COMMIT_POINTS / OVERALL, commit == wrong))

    def worse(chance: Floats, step: int, who: Ints, when: Floats) -> Floats:
        for part in parts:
            chance = part(chance, step, who, when)
        return chance

    return worse


def _during(since: float, until: float, factor: float, whom: np.ndarray | None, only: int | None = None) -> Effect:
    def apply(chance: Floats, step: int, who: Ints, when: Floats) -> Floats:
        if only is not None and step != only:
            return chance
        hit = (when >= since) & (when < until)
        if whom is not None:
            hit &= whom[who]
        return np.where(hit, chance * factor, chance)

    return apply
