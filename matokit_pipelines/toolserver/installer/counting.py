"""Counts of a span and of the one before, by any cut, from the marts; whole rows of figures made of them.

A unit is the first try of a machine at a component: of the week where the span is an ISO week, of the 30 days where
they end with a month (as the reports count), else of each day, since other spans have no table of their own. Not here:
sentences.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from matokit_pipelines.reports.comparison import SMALL_NUMBER, Tally, Verdict, verdict
from matokit_pipelines.statistics import rate, wilson
from matokit_pipelines.toolserver.installer.asking import Span
from matokit_pipelines.toolserver.installer.ground import Ground
from matokit_pipelines.toolserver.installer.queries import query
from matokit_pipelines.toolserver.installer.words import shown
from matokit_pipelines.warehouse.serving import Reader

By = Literal["none", "component", "architecture", "os", "os_release", "environment"]
Parts = dict[str, dict[str, Tally]]  # part -> component -> counts; one part "" where nothing is cut
MOST_BYTES = 7_000  # of the rows of an answer: a model reads every byte
_WRITTEN = json.JSONEncoder(ensure_ascii=False).encode
_OF_WEEKS = ("none", "component", "architecture")
_OF_COMPONENTS = ("none", "component", "environment")


@dataclass(frozen=True)
class Cut:
    """What is counted, None for all of it."""

    environment: str = "production"
    component: str | None = None
    architecture: str | None = None
    family: str | None = None
    release: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        """As the selects name them."""
        return vars(self).copy()

    @property
    def is_of_system(self) -> bool:
        return bool(self.family or self.release)

    @property
    def words(self) -> str:
        """`In production, for python_install on arm64`, without what is not cut."""
        where = "In all environments" if self.environment == "all" else f"In {self.environment}"
        what = f", for {shown(self.component)}" if self.component else ""
        system = " ".join(shown(one) for one in (self.family or self.release, self.architecture) if one)
        comma = "," if what or system else ""
        return f"{where}{what}{f' on {system}' if system else ''}{comma}"


@dataclass(frozen=True)
class Counts:
    """Of the span and of the one before."""

    now: Parts
    before: Parts
    shared_keys: bool

    @property
    def total(self) -> tuple[Tally, Tally]:
        return whole(self.now), whole(self.before)

    def judged(self) -> tuple[Verdict, float | None]:
        """All of it against all of it before, allowing for another mix of components."""
        return verdict(by_component(self.now), by_component(self.before), shared_keys=self.shared_keys)


def counts(reader: Reader, ground: Ground, cut: Cut, by: By, span: Span, since: date | None = None) -> Counts:
    """One select. since: the first day that is read, that of the span before unless told otherwise."""
    params = {"by": by, "first": span.first, "last": span.last, "before_first": since or span.before.first}
    shared = ground.keys_are_shared(span.first, span.last, cut.environment)
    if span.is_iso_week and by in _OF_WEEKS and not cut.is_of_system:
        return _read(reader, "counts_of_weeks", cut, params, shared)
    if span.ends_a_month:
        return _read(reader, "counts_of_month", cut, params, shared)
    if by in _OF_COMPONENTS and not cut.is_of_system and not cut.architecture:
        return _read(reader, "counts_by_component", cut, params, shared)
    return _read(reader, "counts_by_system", cut, params, shared)


def _read(reader: Reader, name: str, cut: Cut, params: Mapping[str, Any], shared: bool) -> Counts:
    sql = query(name)
    asked = {key: value for key, value in (cut.params | dict(params)).items() if f"${key}" in sql}
    now: Parts = defaultdict(dict)
    before: Parts = defaultdict(dict)
    for row in reader.rows(sql, asked):
        tally = Tally(row["events"], row["failures"], row["units"], row["unit_failures"], row["machines_failing"])
        (now if row["is_now"] else before)[row["part"]][row["component"]] = tally
    return Counts(dict(now), dict(before), shared)


def whole(parts: Parts) -> Tally:
    """All parts together."""
    return summed(tally for part in parts.values() for tally in part.values())


def summed(tallies: Iterable[Tally]) -> Tally:
    """As adding them up one by one, without a tally for each step."""
    events = failures = units = unit_failures = machines = 0
    for one in tallies:
        events += one.events
        failures += one.failures
        units += one.units
        unit_failures += one.unit_failures
        machines = max(machines, one.machines_failing)  # distinct machines do not add up
    return Tally(events, failures, units, unit_failures, machines)


def by_component(parts: Parts) -> dict[str, Tally]:
    """The components of all parts together."""
    if len(parts) == 1:
        return dict(next(iter(parts.values())))
    found: dict[str, list[Tally]] = defaultdict(list)
    for part in parts.values():
        for component, tally in part.items():
            found[component].append(tally)
    return {component: summed(tallies) for component, tallies in found.items()}


def figures(tally: Tally) -> dict[str, Any]:
    """Counts before the rate; the rate null without events."""
    good = tally.events - tally.failures
    bounds = wilson(good, tally.events)
    low, high = bounds or (None, None)
    return {
        "events": tally.events, "successes": good, "failures": tally.failures,
        "success_rate": rounded(rate(good, tally.events)), "success_rate_low": rounded(low),
        "success_rate_high": rounded(high), "few_events": tally.events < SMALL_NUMBER,
    }  # fmt: skip


def compared(now: Tally, before: Tally, judged: tuple[Verdict, float | None] | None) -> dict[str, Any]:
    """What a row says of the span before; `judged` None where nothing can be said of chance."""
    old, new = (rate(one.events - one.failures, one.events) for one in (before, now))
    word, chance = judged or (None, None)
    return {
        "previous_events": before.events, "previous_failures": before.failures, "previous_success_rate": rounded(old),
        "change_points": None if old is None or new is None else round(100 * (new - old), 2),
        "verdict": word, "chance": None if chance is None else float(f"{chance:.2g}"),
    }  # fmt: skip


def rounded(share: float | None) -> float | None:
    """To four digits: a hundredth of a percent."""
    return None if share is None else round(share, 4)


def fitted(rows: Iterable[Mapping[str, Any]], limit: int, most: int = MOST_BYTES) -> tuple[list[dict[str, Any]], int]:
    """`(rows, how many more there are)`: at most `limit`, and no more than fit."""
    found: list[dict[str, Any]] = []
    left, size = 0, 0
    for row in rows:
        if left or len(found) == limit:
            left += 1
            continue
        size += len(_WRITTEN(row))
        if found and size > most:
            left += 1
            continue
        found.append(dict(row))
    return found, left
