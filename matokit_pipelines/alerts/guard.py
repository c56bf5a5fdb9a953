"""What the guard asks: how many machines failed, how many first tries, and whether keys are machines at all.

A unit is the first event of a machine and component in a window; where keys are not machines it is an event. Not
here: what a rule makes of it (rules/), the probabilities (statistics.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines.alerts.event_log import History
from matokit_pipelines.alerts.findings import Asked
from matokit_pipelines.statistics import Counted, chance, expected_share
from matokit_pipelines.warehouse.event_columns import DAY, Events, Ints

SHARED_WEEK = 7 * DAY
SHARED_TENTHS = 3  # of a week's events: more than that by one key, and keys are not machines
JUDGED_FROM = 30  # events a week; among fewer, a machine that tries again easily makes a third of them


@dataclass
class Context:
    """What a rule is evaluated on: the ticks (microseconds, ascending), the events of one environment, the zone of
    the project. is_thorough: ask the guard everywhere, and to its end. shared: what is known of keys already."""

    history: History
    environment: str
    ticks: Ints
    zone: ZoneInfo
    is_thorough: bool = False
    shared: dict[int, bool] = field(default_factory=dict)

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last tick."""
        return int(self.ticks[0]), int(self.ticks[-1])

    def is_shared(self, tick: int) -> bool:
        """Whether one machine key holds more than 30 % of the week before `tick`: keys are not machines then."""
        known = self.shared.get(tick)
        if known is None:
            known = self.shared[tick] = _is_shared(self.history, tick)
        return known


def _is_shared(history: History, tick: int) -> bool:
    start = tick - SHARED_WEEK
    count, at_most = history.busiest_machine(start, tick)
    if count < JUDGED_FROM or 10 * at_most <= SHARED_TENTHS * count:
        return False
    events = history.between(start, tick)
    return 10 * events.taken(events.window(start, tick)).busiest_machine > SHARED_TENTHS * count


def total(parts: Mapping[str, Counted]) -> Counted:
    """All parts together."""
    return Counted(sum(part.failures for part in parts.values()), sum(part.units for part in parts.values()))


def halved(units: Counted, *, is_shared: bool) -> Counted:
    """Where keys are not machines: half the failures, rounded down, of half the events, rounded up."""
    return Counted(units.failures // 2, (units.units + 1) // 2) if is_shared else units


def failing_machines(events: Events, start: int, end: int) -> int:
    """Machines with at least one failure in `[start, end)`."""
    window = events.window(start, end)
    return len(np.unique(events.machine[window][events.failed[window]]))


def note_now(asked: Asked, failing: int, now: Counted, least: int, *, is_shared: bool) -> bool:
    """The first part of every guard: enough failing machines. Whether to look at further parts."""
    asked.inputs.update(machines_failing=failing, units=now.units, unit_failures=now.failures)
    if is_shared:
        asked.inputs["shared_key"] = True
    return asked.need(is_shared or failing >= least, "machines")


def note_baseline(asked: Asked, baseline: Counted) -> None:
    """What the guard holds the present against."""
    asked.inputs.update(baseline_units=baseline.units, baseline_failures=baseline.failures)


def rarity(
    asked: Asked,
    now: Counted,
    baseline: Counted,
    parts: tuple[Mapping[str, Counted], Mapping[str, Counted]] | None = None,
) -> tuple[float, float]:
    """(how rare so many failures would be by chance, the share of failures to be expected).

    parts: units now and before by component, where they are to be held against each other mix adjusted.
    """
    share: float | None = baseline.failures / baseline.units if baseline.units else None
    if parts is not None:
        share = expected_share({name: part.units for name, part in parts[0].items()}, dict(parts[1]))
    probability = chance(now, baseline, share)
    asked.inputs.update(chance=probability, expected_share=share)
    return probability, share if share is not None else 0.0
