"""Shapes that all reports share: rates, periods, changes and what is known of the data behind a page.

Shares are between 0 and 1, changes of shares are differences of them, instants are aware and in UTC, a `date` is a
day in the project's zone, None is "nothing to say". Not here: how the numbers are found or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.statistics import rate, wilson
from matokit_pipelines.windows import days_window, zone_named


class Queryable(Protocol):
    """What a report needs of a snapshot."""

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> pl.DataFrame:
        """The rows of one select; parameters are written `$name`."""


@dataclass(frozen=True)
class Rates:
    """Counted events with their outcome; a success rate with its 95 % Wilson interval. `small`: fewer than ten."""

    events: int
    successes: int
    failures: int
    success_rate: float | None
    success_rate_low: float | None
    success_rate_high: float | None
    small: bool


@dataclass(frozen=True)
class Period:
    """What a report is about: days of the project's zone, both included, and `[start, end)` in UTC.

    `label`: how a person names it (`2026-W46`, `2026-10`); a day has 23, 24 or 25 hours.
    """

    label: str
    first_day: date
    last_day: date
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Change:
    """This period less the one before; `percent` as a share of the one before, None when that was 0."""

    absolute: int
    percent: float | None


@dataclass(frozen=True)
class LeftOut:
    reason: str
    rows: int


@dataclass(frozen=True)
class KnownLoss:
    """What is known to be missing of a source: events cut off there, and closed days that differ from its report."""

    truncated: int = 0
    open_differences: int = 0


@dataclass(frozen=True)
class Gap:
    """A window of a source (UTC) that does not add up: rows announced (None: not said) and rows received."""

    start: datetime
    end: datetime
    announced: int | None
    received: int


@dataclass(frozen=True)
class SourceState:
    """What is known of one source's completeness, now.

    `in_period` and `in_period_before` are of the site's days that these periods touch, `gaps` and `more_gaps` (too
    many to name) of the windows that reach into the period; `ever`, `windows_incomplete` and `quarantined` of all that
    was read.
    """

    source: str
    watermark: datetime | None
    proven_from: datetime | None
    in_period: KnownLoss
    in_period_before: KnownLoss
    ever: KnownLoss
    windows_incomplete: int
    quarantined: int
    last_error: str | None
    gaps: tuple[Gap, ...] = ()
    more_gaps: int = 0


@dataclass(frozen=True)
class Quality:
    """`landed = counted + left out` over all environments; the shares are of the period's production events."""

    landed: int
    counted: int
    left_out: tuple[LeftOut, ...]
    inferred_events: int
    inferred: float | None
    ambiguous_events: int
    ambiguous: float | None
    largest_machine_events: int
    largest_machine: float | None
    shared_keys: bool
    sources: tuple[SourceState, ...]


def rates_of(events: int, successes: int, failures: int) -> Rates:
    """Rates from counts, for sums over rows of a mart."""
    bounds = wilson(successes, events)
    low, high = bounds if bounds else (None, None)
    return Rates(events, successes, failures, rate(successes, events), low, high, events < SMALL_NUMBER)


def period_of(label: str, first: date, last: date, zone: str) -> Period:
    """The period of these days of `zone`."""
    window = days_window(first, last, zone_named(zone))
    return Period(label, first, last, window.start, window.end)


def change_of(now: int, before: int) -> Change:
    """One count against another."""
    return Change(now - before, (now - before) / before if before else None)


def difference(now: float | None, before: float | None) -> float | None:
    """`now - before`; None when one of them is."""
    return None if now is None or before is None else now - before
