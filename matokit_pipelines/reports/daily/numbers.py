"""The daily component health report as numbers: the window, its components and triggers, what is left out.

A pure function of a reading of the warehouse, the day, the watermark and what the alerts know. Not here: the SQL
(sql/reports/component_health/), single components in full (health.py), the rules (triggers.py), words and pages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from statistics import median
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines import __version__
from matokit_pipelines.alert_settings import AlertSettings, clock_time
from matokit_pipelines.alerts.business_days import Calendar, at_local
from matokit_pipelines.alerts.evaluation import DAILY
from matokit_pipelines.alerts.guard import Context
from matokit_pipelines.reports.comparison import Tally, verdict, verdicts_of_rows
from matokit_pipelines.reports.daily.health import health_of
from matokit_pipelines.reports.daily.shapes import (
    NO_FAILURES,
    Burst,
    Component,
    DailyNumbers,
    Met,
    Standing,
    Totals,
    Trigger,
    failures_of,
)
from matokit_pipelines.reports.daily.triggers import rules_off, silenced_until, triggers_at
from matokit_pipelines.reports.quality import ENVIRONMENT, source_states
from matokit_pipelines.reports.shapes import LeftOut, Period, Quality
from matokit_pipelines.statistics import Counted, rate
from matokit_pipelines.warehouse.alert_evidence import Row
from matokit_pipelines.warehouse.event_columns import microseconds
from matokit_pipelines.warehouse.health_reading import HealthReading
from matokit_pipelines.windows import ONE_DAY

LISTED_PERCENT = 10  # a component is listed when more than this share of its events failed
IN_FULL, AS_ROWS, TRIGGERS = 20, 50, 40
TREND_DAYS, WEEK, FOUR_WEEKS = 14, 7, 28
BURST_TIMES, BURST_EVENTS, BURST_DAYS = 4, 50, 7
_NONE = Counted(0, 0)
_NO_TOTALS = Totals(NO_FAILURES, 0, 0, NO_FAILURES, NO_FAILURES, 0, 0, 0, 0, 0, 0, "too few", None)


@dataclass(frozen=True)
class Mornings:
    """The hour of the report on each day, in its own zone: days between two of them have 23, 24 or 25 hours."""

    day: date
    settings: AlertSettings
    zone: ZoneInfo

    def before(self, days: int) -> datetime:
        """So many days before the report, UTC."""
        return at_local(self.day - days * ONE_DAY, clock_time(self.settings.daily_at), self.zone)

    def edges(self, first: int, last: int) -> list[datetime]:
        """Each morning from `first` to `last` days before the report, in order."""
        return [self.before(days) for days in range(first, last - 1, -1)]

    def period(self, label: str, first: int, last: int) -> Period:
        """From `first` to `last` days before the report."""
        days = (self.day - first * ONE_DAY, self.day - last * ONE_DAY)
        return Period(label, *days, self.before(first), self.before(last))


def window_end(day: date, watermark: datetime | None, settings: AlertSettings, zone: ZoneInfo) -> datetime | None:
    """Where the window of the morning of `day` ends: at its hour, or to the second where the data do; None without
    data in it. `zone`: the project's."""
    mornings = Mornings(day, settings, Calendar.of(settings, zone).zone)
    if watermark is None:
        return None
    end = min(mornings.before(0), watermark).replace(microsecond=0)
    return end if end > mornings.before(1) else None


def daily_numbers(
    reading: HealthReading,
    day: date,
    now: datetime,
    watermark: datetime | None,
    settings: AlertSettings,
    zone: ZoneInfo,
    standing: Standing,
) -> DailyNumbers:
    """Everything the report of the morning of `day` says.

    `zone`: the project's; the report's own clock is that of the alerts. `watermark` ends the window where it is
    earlier; `now` is only printed, so old reports can be made again.
    """
    mornings = Mornings(day, settings, Calendar.of(settings, zone).zone)
    period = mornings.period(day.isoformat(), 1, 0)
    empty = DailyNumbers(
        period=period,
        compared_from=mornings.before(FOUR_WEEKS + 1),
        window_end=window_end(day, watermark, settings, zone),
        zone=mornings.zone.key,
        now=now,
        watermark=watermark,
        code_version=__version__,
        rule_version=reading.rule_version,
        limit=LISTED_PERCENT / 100,
        totals=_NO_TOTALS,
        components=(),
        others=(),
        others_more=0,
        met=Met(0, 0, 0),
        triggers=(),
        triggers_more=0,
        ended=(),
        rules_off=rules_off(settings),
        burst=None,
        quality=_quality(reading, mornings, period, period.start, shared=False),
        worth_sending=False,
    )
    return empty if empty.window_end is None else _filled(reading, empty, mornings, zone, standing)


def _filled(
    reading: HealthReading, empty: DailyNumbers, mornings: Mornings, zone: ZoneInfo, standing: Standing
) -> DailyNumbers:
    start, end = empty.period.start, empty.window_end
    assert end is not None  # asked before
    shared = _keys_are_shared(reading, end, zone)
    whole, rows = _counted(reading, mornings, start, end)
    tallies, before = _tallies(reading, rows, start, end, mornings.before(FOUR_WEEKS + 1))
    triggers = triggers_at(reading.log, end, start, mornings.settings, zone, standing)
    components = _components(rows, tallies, before, triggers, standing, end, shared)
    full = components[:IN_FULL]
    met = [one for one in triggers if one.is_met]
    told = [one for one in met if one.silenced_until is None]
    over = sum(one.is_news_of_an_end for one in triggers)
    totals = _totals(whole, rows, tallies, before, components, triggers, shared)
    return replace(
        empty,
        totals=totals,
        components=health_of(reading, full, start, end, [*mornings.edges(TREND_DAYS, 1), end], standing.regressions),
        others=tuple(components[IN_FULL : IN_FULL + AS_ROWS]),
        others_more=max(0, len(components) - IN_FULL - AS_ROWS),
        met=Met(
            more_than_chance=sum(one.is_sure for one in told),
            could_be_chance=sum(not one.is_sure for one in told),
            silenced=len(met) - len(told),
            over=over,
        ),
        triggers=tuple(met[:TRIGGERS]),
        triggers_more=max(0, len(met) - TRIGGERS),
        ended=tuple(one for one in triggers if not one.is_met)[:TRIGGERS],
        burst=_burst(reading, mornings, totals.counts.events),
        quality=_quality(reading, mornings, empty.period, end, shared=shared),
        worth_sending=bool(totals.listed or told or over),
    )


def _keys_are_shared(reading: HealthReading, end: datetime, zone: ZoneInfo) -> bool:
    """Whether keys are no machines, by what the rules say of the week before."""
    tick = microseconds(end)
    ticks = np.array([tick], dtype=np.int64)
    return Context(reading.log.of(ENVIRONMENT), ENVIRONMENT, ticks, zone).is_shared(tick)


def _counted(reading: HealthReading, mornings: Mornings, start: datetime, end: datetime) -> tuple[Row, list[Row]]:
    """`(everything, each component)` of the window, the 7 and the 28 days before."""
    rows = reading.rows(
        "components",
        {
            "environment": ENVIRONMENT,
            "weeks_ts": mornings.before(FOUR_WEEKS + 1),
            "week_ts": mornings.before(WEEK + 1),
            "start_ts": start,
            "end_ts": end,
        },
    )
    return rows[0], rows[1:]


def _tallies(
    reading: HealthReading, rows: Sequence[Row], start: datetime, end: datetime, weeks: datetime
) -> tuple[dict[str, Tally], dict[str, Tally]]:
    """Events and first tries of each component: in the window, and in the 28 days before it."""
    history = reading.log.of(ENVIRONMENT)
    units = history.units(microseconds(start), microseconds(end))
    usual = history.units(microseconds(weeks), microseconds(start))
    now, before = {}, {}
    for row in rows:
        name = row["component"]
        first, old = units.get(name, _NONE), usual.get(name, _NONE)
        now[name] = Tally(row["events"], row["failures"], first.units, first.failures, row["machines_failing"])
        before[name] = Tally(row["weeks_events"], row["weeks_failures"], old.units, old.failures)
    return now, before


def _components(
    rows: Sequence[Row],
    tallies: Mapping[str, Tally],
    before: Mapping[str, Tally],
    triggers: Sequence[Trigger],
    standing: Standing,
    end: datetime,
    shared: bool,
) -> list[Component]:
    """Those above the limit, and those of which a trigger is met more than chance: these first, then those of enough
    events."""
    guarded: dict[str, tuple[str, ...]] = {}
    for one in triggers:
        if one.is_sure and one.subject is not None and one.subject in tallies:
            guarded[one.subject] = (*guarded.get(one.subject, ()), one.rule)
    wanted = [row for row in rows if _is_listed(row) or row["component"] in guarded]
    words = verdicts_of_rows(
        {row["component"]: tallies[row["component"]] for row in wanted}, before, shared_keys=shared
    )
    found = [
        Component(
            component=row["component"],
            counts=failures_of(row["failures"], row["events"]),
            machines=row["machines"],
            machines_failing=row["machines_failing"],
            week=failures_of(row["week_failures"], row["week_events"]),
            four_weeks=failures_of(row["weeks_failures"], row["weeks_events"]),
            verdict=words[row["component"]][0],
            chance=words[row["component"]][1],
            is_listed=_is_listed(row),
            rules=guarded.get(row["component"], ()),
            silenced_until=silenced_until(standing.silences, DAILY, row["component"], end),
        )
        for row in wanted
    ]
    return sorted(found, key=_worst_first)


def _is_listed(row: Row) -> bool:
    return bool(100 * row["failures"] > LISTED_PERCENT * row["events"])


def _worst_first(one: Component) -> tuple[bool | int | str, ...]:
    counts = one.counts
    return (
        one.silenced_until is not None, not one.rules, counts.small, -counts.failures, -counts.events, one.component,
    )  # fmt: skip


def _totals(
    whole: Row,
    rows: Sequence[Row],
    tallies: Mapping[str, Tally],
    before: Mapping[str, Tally],
    components: Sequence[Component],
    triggers: Sequence[Trigger],
    shared: bool,
) -> Totals:
    word, chance = verdict(tallies, before, shared_keys=shared)
    listed = [one for one in components if one.is_listed]
    told = [one for one in listed if one.silenced_until is None]
    return Totals(
        counts=failures_of(whole["failures"], whole["events"]),
        machines=whole["machines"],
        machines_failing=whole["machines_failing"],
        week=failures_of(whole["week_failures"], whole["week_events"]),
        four_weeks=failures_of(whole["weeks_failures"], whole["weeks_events"]),
        components=len(rows),
        components_failing=sum(1 for row in rows if row["failures"]),
        listed=len(told),
        listed_enough=sum(1 for one in told if not one.counts.small),
        sure=len(_sure(components, triggers, tallies)),
        listed_silenced=len(listed) - len(told),
        verdict=word,
        chance=chance,
    )


def _sure(components: Sequence[Component], triggers: Sequence[Trigger], in_window: Collection[str]) -> set[str]:
    """Components of which a trigger is met more than chance, and nobody wants it silent; also those whose 24 hours hold
    events, but not the window."""
    found = {one.component for one in components if one.rules and one.silenced_until is None}
    told = [one for one in triggers if one.is_sure and one.silenced_until is None]
    return found | {one.subject for one in told if one.subject is not None and one.subject not in in_window}


def _burst(reading: HealthReading, mornings: Mornings, events: int) -> Burst | None:
    """Whether the window holds many times what is usual: the median of the 28 days before, those with events."""
    edges = mornings.edges(FOUR_WEEKS + 1, 1)
    loads = reading.rows(
        "loads", {"environment": ENVIRONMENT, "edges": edges, "start_ts": edges[0], "end_ts": edges[-1]}
    )
    if len(loads) < BURST_DAYS or events < BURST_EVENTS:
        return None
    usual = round(median(row["events"] for row in loads))
    return Burst(events, usual, events / usual, len(loads)) if events >= BURST_TIMES * usual else None


def _quality(reading: HealthReading, mornings: Mornings, period: Period, end: datetime, *, shared: bool) -> Quality:
    """What is known of the data of the window, and of the 7 days before, with which it is compared."""
    window = {"start_ts": period.start, "end_ts": end}
    landed = reading.rows("landed", window)
    [doubts] = reading.rows("doubts", {"environment": ENVIRONMENT, **window})
    left_out = tuple(LeftOut(row["left_out_reason"], row["landed"]) for row in landed if row["left_out_reason"])
    counted = sum(row["landed"] for row in landed if row["left_out_reason"] is None)
    events = doubts["events"]
    return Quality(
        landed=counted + sum(one.rows for one in left_out),
        counted=counted,
        left_out=left_out,
        inferred_events=doubts["inferred_events"],
        inferred=rate(doubts["inferred_events"], events),
        ambiguous_events=doubts["ambiguous_events"],
        ambiguous=rate(doubts["ambiguous_events"], events),
        largest_machine_events=doubts["largest_machine_events"],
        largest_machine=rate(doubts["largest_machine_events"], events),
        shared_keys=shared,
        sources=source_states(reading, period, mornings.period("before", WEEK + 1, 1)),
    )
