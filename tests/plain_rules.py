"""Alert rules once more, slow and plain, from the words of their document: lists of events in, verdicts out.

Held against the product's rules by tests. Shares the probabilities of statistics.py with them (which have exact tests
of their own) and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import log
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.statistics import Counted, beta_below, chance, mix_adjusted_chance

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Event:
    """One counted event."""

    at: datetime
    component: str
    machine: str
    failed: bool
    commit: str | None = None
    architecture: str = "arm64"


@dataclass(frozen=True)
class Answer:
    """What a rule says of a subject: raw and guarded, and numbers by the names that verdicts use."""

    raw: bool
    guarded: bool
    numbers: dict[str, Any]


def ordered(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.at, event.failed))


def within(events: Iterable[Event], start: datetime, end: datetime) -> list[Event]:
    return [event for event in events if start <= event.at < end]


def failures(events: Iterable[Event]) -> int:
    return sum(event.failed for event in events)


def share(part: int, whole: int) -> Fraction:
    return Fraction(100 * part, whole)


def units(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The first event of each machine at each component, by component."""
    seen: set[tuple[str, str]] = set()
    found: dict[str, list[Event]] = {}
    for event in ordered(events):
        if (event.machine, event.component) not in seen:
            seen.add((event.machine, event.component))
            found.setdefault(event.component, []).append(event)
    return found


def tallied(found: dict[str, list[Event]]) -> dict[str, Counted]:
    return {name: Counted(failures(tries), len(tries)) for name, tries in found.items()}


def total(parts: dict[str, Counted]) -> Counted:
    return Counted(sum(part.failures for part in parts.values()), sum(part.units for part in parts.values()))


def failing(events: Iterable[Event]) -> int:
    return len({event.machine for event in events if event.failed})


def is_shared(events: list[Event], at: datetime) -> bool:
    week = within(events, at - 7 * DAY, at)
    by_machine = [sum(other.machine == event.machine for other in week) for event in week]
    return len(week) >= 30 and 10 * max(by_machine) > 3 * len(week)


def overall_success_rate(events: list[Event], at: datetime) -> Answer | None:
    """None without an event in the window."""
    now = within(events, at - 2 * HOUR, at)
    if not now:
        return None
    n, bad = len(now), failures(now)
    raw = n > 10 and share(n - bad, n) < 75
    parts = tallied(units(now))
    before = tallied(units(within(events, at - 2 * HOUR - 7 * DAY, at - 2 * HOUR)))
    seen = total(parts)
    unlikely = total(before).units >= 10 and (mix_adjusted_chance(parts, before) or (1.0, 1.0))[0] < 0.001
    sure = beta_below(0.75, seen.units - seen.failures + 0.5, seen.failures + 0.5) > 0.95
    guard = failing(now) >= 2 and (unlikely or sure)
    return Answer(raw, raw and guard, {"n": n, "failures": bad, "units": seen.units, "machines_failing": failing(now)})


def new_failure_pattern(events: list[Event], at: datetime) -> dict[str, Answer]:
    """By component with an event in the 28 hours."""
    start = at - 4 * HOUR
    found = {}
    for name in {event.component for event in within(events, start - DAY, at)}:
        own = [event for event in events if event.component == name]
        now, before = within(own, start, at), within(own, start - DAY, start)
        raw = bool(now and before) and share(len(now) - failures(now), len(now)) < 80
        raw = raw and share(len(before) - failures(before), len(before)) > 95
        seen = total(tallied(units(now)))
        for days in (1, 2, 4, 7, 14, 28):
            usual = total(tallied(units(within(own, start - days * DAY, start))))
            if usual.units >= 30:
                break
        guard = failing(now) >= 3 and usual.units >= 10 and chance(seen, usual) < 0.001
        numbers = {
            "n": len(now), "failures": failures(now), "before_n": len(before), "before_failures": failures(before),
            "baseline_units": usual.units, "baseline_failures": usual.failures,
        }  # fmt: skip
        found[name] = Answer(raw, raw and guard, numbers if now else {})
    return found


def success_drop(events: list[Event], at: datetime) -> dict[str, Answer]:
    """By component seen in eight days, and "*"."""
    names = {event.component for event in within(events, at - 8 * DAY, at)}
    return {"*": _drop(events, at)} | {
        name: _drop([event for event in events if event.component == name], at) for name in names
    }


def _drop(own: list[Event], at: datetime) -> Answer:
    start = at - DAY
    now, before = within(own, start, at), within(own, start - 7 * DAY, start)
    if not now or not before:
        return Answer(False, False, {"n": len(now), "before_n": len(before)})
    raw = share(failures(now), len(now)) - share(failures(before), len(before)) > 15
    usual = tallied(units(before))
    if total(usual).units < 10:
        usual = tallied(units(within(own, start - 28 * DAY, start)))
    both = mix_adjusted_chance(tallied(units(now)), usual) if len({e.component for e in own}) > 1 else None
    rarity = both[0] if both else chance(total(tallied(units(now))), total(usual))
    guard = failing(now) >= 3 and total(usual).units >= 10 and rarity < 0.01
    return Answer(raw, raw and guard, {"n": len(now), "before_n": len(before), "before_failures": failures(before)})


def commit_regression(events: list[Event], at: datetime) -> dict[str, Answer | None]:
    """By commit first seen in the last 24 hours; None where there is nothing before it to compare with."""
    firsts: dict[str, datetime] = {}
    for event in ordered(events):
        if event.commit:
            firsts.setdefault(event.commit, event.at)
    order = sorted(firsts, key=lambda commit: (firsts[commit], commit))
    found: dict[str, Answer | None] = {}
    for place, commit in enumerate(order):
        t0 = firsts[commit]
        if not t0 < at <= t0 + DAY:
            continue
        found[commit] = _commit(events, commit, t0, order[:place][::-1], at) if place else None
    return found


def _commit(events: list[Event], commit: str, t0: datetime, earlier: list[str], at: datetime) -> Answer | None:
    now = [event for event in within(events, t0, at) if event.commit == commit]
    before = [event for event in within(events, t0 - 7 * DAY, at) if event.commit == earlier[0]]
    if not before:
        return None
    raw = share(failures(now), len(now)) - share(failures(before), len(before)) > 10
    usual: dict[str, Counted] = {}
    for count in range(1, len(earlier) + 1):
        chosen = [event for event in within(events, t0 - 7 * DAY, t0) if event.commit in earlier[:count]]
        usual = tallied(units(chosen))
        if total(usual).units >= 30:
            break
    parts = tallied(units(now))
    seen, base = total(parts), total(usual)
    guard = failing(now) >= 3 and seen.units >= 10 and base.units >= 10
    if guard:
        pool = (base.failures + 0.5) / (base.units + 1)
        none = Counted(0, 0)
        expected = (
            sum(
                part.units * (usual.get(name, none).failures + 2 * pool) / (usual.get(name, none).units + 2)
                for name, part in parts.items()
            )
            / seen.units
        )
        rarity = chance(seen, base, expected)
        guard = rarity < 0.01 and 100 * (seen.failures / seen.units - expected) > 5
    numbers = {"n": len(now), "failures": failures(now), "before_n": len(before), "before_failures": failures(before)}
    return Answer(raw, raw and guard, numbers)


def slow_regression(events: list[Event], at: datetime, zone: ZoneInfo) -> dict[str, Answer | None]:
    """By component of which enough is known at `at`; None where nothing came for a week."""
    days = {event: event.at.astimezone(zone).date() for event in events}
    day_of: Callable[[Event], date] = days.__getitem__
    tries: list[Event] = []
    for day in sorted({day_of(event) for event in events}):
        of_day = units(event for event in events if day_of(event) == day)
        tries += [first for firsts in of_day.values() for first in firsts]
    tries = ordered(tries)
    beginning = min((day_of(event) for event in events), default=at.date())

    @cache
    def usual(name: str | None, day: date) -> Counted:
        chosen = [
            event
            for event in tries
            if name in (None, event.component) and day - 29 * DAY <= day_of(event) <= day - 2 * DAY
        ]
        return Counted(failures(chosen), len(chosen))

    def threshold(day: date) -> float:
        length = min(28, max(1, (day - 2 * DAY - beginning).days + 1))
        return max(4.0, log(max(1.0, usual(None, day).units * 7 / length)))

    found: dict[str, Answer | None] = {}
    today = at.astimezone(zone).date()
    for name in {event.component for event in tries}:
        if usual(name, today).units < 10:
            continue
        own = [event for event in tries if event.component == name and event.at < at]
        if not within(own, at - 7 * DAY, at):
            found[name] = None
            continue
        value, crossed, borne_out, machines, began = 0.0, False, False, set[str](), None
        for event in own:
            of_component, day = usual(name, day_of(event)), day_of(event)
            step = 0.0
            if of_component.units >= 10:
                q0 = min(0.6, max(0.01, (of_component.failures + 0.5) / (of_component.units + 5)))
                q1 = min(q0 + 0.15, 0.95)
                step = log(q1 / q0) if event.failed else log((1 - q1) / (1 - q0))
            value = max(0.0, min(value + step, threshold(day) + 3))
            if value == 0.0:
                crossed, borne_out, machines, began = False, False, set(), None
                continue
            began = began or event.at
            machines |= {event.machine} if event.failed else set()
            crossed = crossed or value > threshold(day)
            borne_out = borne_out or (value > threshold(day) and len(machines) >= 3)
        found[name] = Answer(crossed, borne_out, {"evidence": value, "began_at": began})
    return found


def utc(minutes: int) -> datetime:
    """So many minutes after the first of March."""
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)
