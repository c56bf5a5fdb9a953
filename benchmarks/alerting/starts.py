"""How often somebody would be told: starts of alerts out of stretches of equal verdicts, and shares with their bounds.

An alert starts where its condition holds and it does not fire yet; it fires on as long as the raw condition is met and
is over after the hold, counted from the first evaluation that does not meet it. Not here: rules, and how verdicts come
about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp

from matokit_pipelines import statistics

UNMEASURED = timedelta(hours=24)  # without data for so long, an alert is closed


@dataclass(frozen=True)
class Stretch:
    """Evaluations from `first` to `last`, both included, that all said the same of one subject with data."""

    first: datetime
    last: datetime
    raw: bool
    guarded: bool


def starts(stretches: Sequence[Stretch], hold: timedelta, *, guard: bool) -> list[datetime]:
    """The evaluations at which an alert on one subject starts; `stretches` in order of time.

    hold: how long the raw condition is not met until it is over. Between stretches there were no data: the recovery
    stands still, and after 24 hours it is closed. guard: whether a start needs the guard.
    """
    found: list[datetime] = []
    fires, quiet, before = False, timedelta(), None
    for stretch in stretches:
        if before is not None and stretch.first - before > UNMEASURED:
            fires = False
        before = stretch.last
        if stretch.raw:
            quiet = timedelta()
            if not fires and (stretch.guarded or not guard):
                fires = True
                found.append(stretch.first)
        elif fires:
            quiet += stretch.last - stretch.first
            fires = quiet < hold
    return found


def first_caught(stretches: Sequence[Stretch], after: datetime, until: datetime, *, guard: bool) -> datetime | None:
    """The first evaluation in (after, until] at which the condition held for any of the subjects."""
    hits = [
        max(stretch.first, after)
        for stretch in stretches
        if (stretch.guarded if guard else stretch.raw) and stretch.last > after and stretch.first <= until
    ]
    return min(hits, default=None)


def lowest_rate(count: int, weeks: float) -> float:
    """The one-sided 95 % lower bound of a rate a week after `count` in `weeks`, both exact for Poisson counts."""
    if count == 0:
        return 0.0
    low, high = 0.0, float(count)
    for _ in range(60):
        middle = (low + high) / 2
        if _as_many(count, middle) < 0.05:
            low = middle
        else:
            high = middle
    return low / weeks


def _as_many(count: int, mean: float) -> float:
    """P(N >= count) for Poisson N."""
    mass = below = exp(-mean)
    for k in range(1, count):
        mass *= mean / k
        below += mass
    return 1.0 - below


def highest_share(caught: int, tried: int) -> float:
    """The one-sided 95 % upper bound of a share (Wilson 1927)."""
    interval = statistics.wilson(caught, tried, statistics.Z_95_ONE_SIDED)
    return interval[1] if interval else 1.0
