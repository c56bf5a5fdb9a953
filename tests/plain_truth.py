"""Generated truth as plain events with days and machines, and the arithmetic of rates and chance, said a second time.

Belongs here: what tests in plain Python share. Does not belong here: any one number of a page or a table
(plain_numbers, plain_marts), SQL, and anything of the warehouse or the statistics of the product.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import exp, lgamma, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from matokit_pipelines.simulator import Truth

Row = dict[str, Any]
RUN_STARTS = {"orchestrator_start", "installation_start", "overall_installation_start"}
Machine = tuple[str | None, ...]


@dataclass(frozen=True)
class Event:
    """One event in scope, as it was meant."""

    at: datetime
    day: date
    source: str
    machine: Machine
    environment: str
    component: str
    outcome: str
    counted: bool
    is_test: bool
    is_run_start: bool
    error_type: str
    architecture: str
    os_family: str
    os_release: str
    commit: str | None
    seconds: float | None

    @property
    def failed(self) -> bool:
        return self.outcome == "failure"


@dataclass(frozen=True)
class Site:
    """What was sent, from which day on it was read, the last day that has wholly passed, and the watermark."""

    events: Sequence[Event]
    first_known: date
    last: date
    watermark: datetime

    def days(self, count: int) -> list[date]:
        """The `count` days that end with the last complete one."""
        return [self.last - timedelta(days=n) for n in range(count - 1, -1, -1)]

    def within(self, count: int, environment: str | None = None) -> list[Event]:
        """Counted events of these days."""
        first = self.days(count)[0]
        return [e for e in self.counted(environment) if first <= e.day <= self.last]

    def counted(self, environment: str | None = None) -> list[Event]:
        """Counted events of all days, the running one included."""
        return [e for e in self.events if e.counted and environment in (None, e.environment)]

    def zero(self, day: date) -> int | None:
        """What a day without events counts: nothing, or nobody knows."""
        return 0 if day >= self.first_known else None


def events_of(parts: Mapping[str, Truth]) -> list[Event]:
    """The events in scope of the truths sent to each source, by the source's name."""
    return [
        event_of(row, source, ZoneInfo(truth.zone))
        for source, truth in parts.items()
        for row in truth.events.iter_rows(named=True)
        if row["in_scope"]
    ]


def event_of(row: Row, source: str, zone: ZoneInfo) -> Event:
    """One row of a truth."""
    is_code, is_marker = row["form"] == "code", row["form"] == "marker"
    return Event(
        at=row["event_ts"],
        day=row["event_ts"].astimezone(zone).date(),
        source=source,
        machine=(source, row["visitor_id"], row["os_family"], row["os_version"], row["architecture"]),
        environment=row["environment"],
        component=row["component"],
        outcome=row["outcome"],
        counted=row["counted"],
        is_test=row["form"] == "test",
        is_run_start=row["outcome"] == "started" and (is_code or (is_marker and row["name"] in RUN_STARTS)),
        error_type=row["error_type"] or "not_reported",
        architecture=row["architecture"],
        os_family=row["os_family"],
        os_release=row["os_release"],
        commit=row["commit_sha"],
        seconds=row["duration_s"],
    )


# -- arithmetic -----------------------------------------------------------------------------------------------------


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def bounds(successes: int, events: int) -> tuple[float | None, float | None]:
    """The rates p from which the one seen is 1.96 standard errors away: the roots of (s/n - p)² = z² p (1-p) / n."""
    if not events:
        return None, None
    seen, spread = successes / events, 1.96**2 / events
    half, free = (2 * seen + spread) / 2, seen**2
    root = sqrt(max(0.0, half**2 - (1 + spread) * free))
    return (half - root) / (1 + spread), (half + root) / (1 + spread)


def tally(events: Iterable[Event]) -> tuple[int, int, int]:
    """Events, successes, failures."""
    outcomes = Counter(e.outcome for e in events)
    return outcomes["success"] + outcomes["failure"], outcomes["success"], outcomes["failure"]


def rates(events: Iterable[Event]) -> Row:
    """Counts, success rate and its interval under the names that tables use."""
    n, successes, failures = tally(events)
    low, high = bounds(successes, n)
    return {
        "events": n,
        "successes": successes,
        "failures": failures,
        "success_rate": share(successes, n),
        "success_rate_low": low,
        "success_rate_high": high,
    }


def grouped(events: Iterable[Event], key: Callable[[Event], Any]) -> dict[Any, list[Event]]:
    groups: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return dict(groups)


def chances(now: Sequence[Event], before: Sequence[Event], *, mixed: bool) -> tuple[float, float]:
    """How likely so many failed units or more, and so many or fewer, are when nothing has changed.

    mixed: units are of several components, and each is expected to fail as often as before.
    """
    failed_before = [e for e in before if e.failed]
    expected = len(failed_before) / len(before)
    if mixed:
        pool = (len(failed_before) + 0.5) / (len(before) + 1)
        tried, failed = (Counter(e.component for e in units) for units in (before, failed_before))
        expected = sum((failed[e.component] + 2 * pool) / (tried[e.component] + 2) for e in now) / len(now)
    weight = min(len(before), 400)
    return tails(sum(e.failed for e in now), len(now), 0.5 + weight * expected, 0.5 + weight * (1 - expected))


def tails(f: int, n: int, a: float, b: float) -> tuple[float, float]:
    """P(F >= f) and P(F <= f) of a beta-binomial."""

    def beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    mass = [
        exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + beta(k + a, n - k + b) - beta(a, b))
        for k in range(n + 1)
    ]
    return sum(mass[f:]), sum(mass[: f + 1])


# -- commits in production ------------------------------------------------------------------------------------------


def named(site: Site) -> list[Event]:
    """Counted production events that name a commit, in order."""
    return sorted((e for e in site.counted("production") if e.commit), key=lambda e: e.at)


def deployments(site: Site) -> list[tuple[datetime, str]]:
    """First production event and name of each commit, in order, ties by name."""
    first: dict[str, datetime] = {}
    for event in named(site):
        first.setdefault(str(event.commit), event.at)
    return sorted((at, commit) for commit, at in first.items())


def first_tries(events: Iterable[Event]) -> list[Event]:
    """Of each machine at each component the first try; the events come in order."""
    found: dict[tuple[Machine, str], Event] = {}
    for event in events:
        found.setdefault((event.machine, event.component), event)
    return list(found.values())


@dataclass(frozen=True)
class Units:
    """First tries now, and those they are held against."""

    now: list[Event]
    before: list[Event]
    mixed: bool

    @property
    def chances(self) -> tuple[float, float] | None:
        """How likely so many failures or more, and so many or fewer, were had nothing changed."""
        return chances(self.now, self.before, mixed=self.mixed) if self.now and self.before else None

    @property
    def verdict(self) -> str:
        """Ten units are needed on both sides; below one in a hundred it is more than chance."""
        if min(len(self.now), len(self.before)) < 10 or self.chances is None:
            return "too few"
        worse, better = self.chances
        return "worse" if worse < 0.01 else "better" if better < 0.01 else "could be chance"


@dataclass(frozen=True)
class Deployed:
    """A commit's first day in production beside what came before it."""

    commit: str
    predecessor: str | None
    start: datetime
    end: datetime
    units: Units


def judged(site: Site) -> list[Deployed]:
    """Each commit against the one before it in the week before, and earlier ones until there are 30 units."""
    events, line = named(site), deployments(site)
    found = []
    for place, (start, commit) in enumerate(line):
        end = min(start + timedelta(days=1), site.watermark)
        now = first_tries(e for e in events if e.commit == commit and start <= e.at < end)
        earlier: set[str | None] = set()
        before: list[Event] = []
        for _, name in reversed(line[:place]):
            earlier.add(name)
            before = first_tries(e for e in events if e.commit in earlier and start - timedelta(days=7) <= e.at < start)
            if len(before) >= 30:
                break
        if start < site.watermark:
            found.append(
                Deployed(commit, line[place - 1][1] if place else None, start, end, Units(now, before, mixed=True))
            )
    return found
