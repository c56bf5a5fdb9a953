"""The weekly operations summary: one complete ISO week of production against the week before, as numbers.

A pure function of a published snapshot, the week and the time. Not here: the selects (queries.py), what is
said about the numbers (words.py) and how they are drawn (charts.py, rendering.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime

from matokit_pipelines.alerts.period import AlertsOfPeriod
from matokit_pipelines.reports.comparison import (
    LOW_RATE,
    SMALL_NUMBER,
    Tally,
    Verdict,
    is_new_failing,
    keys_are_shared,
    verdict,
    verdicts_of_rows,
)
from matokit_pipelines.reports.quality import quality, success_days
from matokit_pipelines.reports.shapes import Period, change_of, difference, period_of, rates_of
from matokit_pipelines.reports.weekly import queries
from matokit_pipelines.reports.weekly.commits import commits_of, deployments_of
from matokit_pipelines.reports.weekly.queries import ALL, NO_WEEK, ComponentWeek
from matokit_pipelines.reports.weekly.records import Records, records_of
from matokit_pipelines.reports.weekly.shapes import (
    Adoption,
    AdoptionWeek,
    Architecture,
    Day,
    Failing,
    FailingComponent,
    NewFailing,
    NewOs,
    Share,
    Totals,
    Trend,
    WeeklyNumbers,
    WeekTotal,
)
from matokit_pipelines.statistics import rate
from matokit_pipelines.warehouse.snapshots import Snapshot
from matokit_pipelines.windows import ONE_DAY, day_window, each_day, week_label, zone_named

ADOPTION_WEEKS = 8
BASELINE_WEEKS = 4
TOP_COMPONENTS = 3
WORSE_NAMED = 5
ARCHITECTURES_SHOWN = 6
NEW_OS_SHOWN = 20

Weeks = Mapping[date, Mapping[str, ComponentWeek]]


def week_of(monday: date, zone: str) -> Period:
    """The ISO week of `monday` in the project's zone. ValueError when `monday` is none."""
    if monday.weekday():
        raise ValueError(f"{monday} is not a Monday")
    return period_of(week_label(monday), monday, monday + 6 * ONE_DAY, zone)


def weekly_numbers(
    snapshot: Snapshot, monday: date, now: datetime, alerts: AlertsOfPeriod | None = None
) -> WeeklyNumbers:
    """Everything the summary of the week of `monday` says, from one snapshot and the alerts of that week.

    `now` is only printed (and may be any time: old weeks can be made again). ValueError when `monday` is none.
    """
    manifest = snapshot.manifest
    last, earlier = monday + 6 * ONE_DAY, monday - 7 * ONE_DAY
    period, before = week_of(monday, manifest.project_zone), week_of(earlier, manifest.project_zone)
    weeks = queries.component_weeks(snapshot, monday, BASELINE_WEEKS + 1)
    whole = weeks.get(monday, {}).get(ALL, NO_WEEK)
    shared = keys_are_shared(whole.largest_machine_events, whole.tally.events)
    known = quality(snapshot, period, before, largest_machine_events=whole.largest_machine_events, shared_keys=shared)
    records = records_of(known.sources, manifest.project_zone)
    new_os = _new_os(snapshot, monday, last) if records.began_before(monday) else ()
    days = _days(snapshot, earlier, last, records)
    return WeeklyNumbers(
        period=period,
        week_before=before,
        zone=manifest.project_zone,
        now=now,
        watermark=manifest.watermark,
        generation=manifest.generation,
        published_at=manifest.published_at,
        code_version=manifest.code_version,
        rule_version=manifest.rule_version,
        totals=_totals(weeks, monday, records, shared),
        days=days,
        trend=_trend(days),
        deployments=deployments_of(snapshot, before, period),
        failing=_failing(snapshot, weeks, monday, shared),
        new_failing=_new_failing(weeks, monday, records, shared),
        new_os_is_known=records.began_before(monday),
        new_os=new_os[:NEW_OS_SHOWN],
        more_new_os=max(0, len(new_os) - NEW_OS_SHOWN),
        commits=commits_of(snapshot, period, whole.rates.events),
        adoption=_adoption(snapshot, monday, records),
        alerts=alerts,
        quality=known,
    )


def _components(weeks: Weeks, monday: date) -> dict[str, ComponentWeek]:
    return {name: week for name, week in weeks.get(monday, {}).items() if name != ALL}


def _tallies(weeks: Weeks, monday: date) -> dict[str, Tally]:
    return {name: week.tally for name, week in _components(weeks, monday).items()}


def _totals(weeks: Weeks, monday: date, records: Records, shared: bool) -> Totals:
    earlier = monday - 7 * ONE_DAY
    now = weeks.get(monday, {}).get(ALL, NO_WEEK)
    before = weeks.get(earlier, {}).get(ALL, NO_WEEK)
    word, how_likely = verdict(_tallies(weeks, monday), _tallies(weeks, earlier), shared_keys=shared)
    is_known = records.hold_all_since(earlier)
    return Totals(
        this_week=WeekTotal(now.rates, now.installations, now.machines),
        week_before=WeekTotal(before.rates, before.installations, before.machines),
        before_is_known=is_known,
        installations=change_of(now.installations, before.installations) if is_known else None,
        events=change_of(now.rates.events, before.rates.events) if is_known else None,
        machines=change_of(now.machines, before.machines) if is_known else None,
        success_rate=difference(now.rates.success_rate, before.rates.success_rate),
        verdict=word,
        chance=how_likely,
    )


def _days(snapshot: Snapshot, first: date, last: date, records: Records) -> tuple[Day, ...]:
    counted, watermark = success_days(snapshot, first, last), snapshot.manifest.watermark
    zone = zone_named(snapshot.manifest.project_zone)
    days = []
    for day in each_day(first, last):
        row = counted.get(day, {})
        is_complete = watermark is not None and watermark >= day_window(day, zone).end
        if not row and not records.hold(day):
            days.append(Day(day, None, None, None, complete=False))
            continue
        rates = rates_of(row.get("events", 0), row.get("successes", 0), row.get("failures", 0))
        days.append(Day(day, rates, row.get("installations", 0), row.get("machines", 0), complete=is_complete))
    return tuple(days)


def _trend(days: tuple[Day, ...]) -> Trend:
    judged = [
        (day.rates.success_rate, day.day)
        for day in days
        if day.rates and day.rates.success_rate is not None and not day.rates.small
    ]
    lowest = min(judged, key=lambda one: (one[0], -one[1].toordinal()), default=(None, None))
    return Trend(len(judged), sum(1 for found, _ in judged if found < LOW_RATE), lowest[1], lowest[0])


def _failing(snapshot: Snapshot, weeks: Weeks, monday: date, shared: bool) -> Failing:
    now, before = _components(weeks, monday), _components(weeks, monday - 7 * ONE_DAY)
    words = verdicts_of_rows(_tallies(weeks, monday), _tallies(weeks, monday - 7 * ONE_DAY), shared_keys=shared)
    errors = queries.error_types(snapshot, monday, monday + 6 * ONE_DAY)
    failing = [name for name, week in now.items() if week.rates.failures]
    # A rate of fewer than ten events never stands first.
    first = sorted(failing, key=lambda name: (now[name].rates.small, -now[name].rates.failures, name))
    worse = [name for name in first if words[name][0] == "worse"]
    named = {*first[:TOP_COMPONENTS], *worse[:WORSE_NAMED]}
    rows = {
        name: _failing_component(name, now[name], before.get(name, NO_WEEK), errors.get(name), words[name])
        for name in named
    }
    return Failing(
        components=len(now),
        components_failing=len(failing),
        rows=tuple(rows[name] for name in first[:TOP_COMPONENTS]),
        worse=tuple(rows[name] for name in worse[:WORSE_NAMED]),
        more_worse=max(0, len(worse) - WORSE_NAMED),
        failures=sum(week.rates.failures for week in now.values()),
        failures_before=sum(week.rates.failures for week in before.values()),
    )


def _failing_component(
    name: str,
    week: ComponentWeek,
    earlier: ComponentWeek,
    error: tuple[str, int] | None,
    judged: tuple[Verdict, float | None],
) -> FailingComponent:
    error_type, error_failures = error or (queries.NOT_REPORTED, 0)
    return FailingComponent(
        name,
        week.rates,
        earlier.rates,
        difference(week.rates.success_rate, earlier.rates.success_rate),
        week.machines,
        week.tally.machines_failing,
        error_type,
        error_failures,
        *judged,
    )


def _new_failing(weeks: Weeks, monday: date, records: Records, shared: bool) -> tuple[NewFailing, ...]:
    earlier = [weeks.get(monday - 7 * n * ONE_DAY, {}) for n in range(1, BASELINE_WEEKS + 1)]
    if not any(earlier):
        return ()  # records begin with this week: nothing was seen failing before, nor working
    found = []
    for name, week in _components(weeks, monday).items():
        history = [one.get(name, NO_WEEK).tally for one in earlier]
        # What did not run in a week before that is not recorded whole may have run, and failed, unseen.
        if history[0].events < SMALL_NUMBER and not records.hold_all_since(monday - 7 * ONE_DAY):
            continue
        if is_new_failing(week.tally, history[0], sum(history, start=Tally()), shared_keys=shared):
            counts = (week.rates.failures, week.rates.events, week.tally.machines_failing, history[0].events)
            found.append(NewFailing(name, *counts))
    return tuple(sorted(found, key=lambda row: (-row.failures, row.component)))


def _new_os(snapshot: Snapshot, first: date, last: date) -> tuple[NewOs, ...]:
    """By first event."""
    return tuple(
        NewOs(
            row["os_family"] or "unknown",
            row["os_release"] or "unknown",
            row["first_seen"],
            row["machines"],
            rates_of(row["events"], row["successes"], row["failures"]),
        )
        for row in queries.new_os_versions(snapshot, first, last)
    )


def _adoption(snapshot: Snapshot, monday: date, records: Records) -> Adoption:
    mondays = [monday - 7 * n * ONE_DAY for n in reversed(range(ADOPTION_WEEKS))]
    counted: dict[str, Counter[date]] = {}
    for week, architecture, installations in queries.installations_by_architecture(
        snapshot, mondays[0], monday + 6 * ONE_DAY
    ):
        counted.setdefault(architecture or "unknown", Counter())[week] = installations
    totals = {
        week: sum(weeks[week] for weeks in counted.values()) if records.hold(week + 6 * ONE_DAY) else None
        for week in mondays
    }
    whole = [place for place, week in enumerate(mondays[:-1]) if totals[week] and records.hold_all_since(week)]
    since = min(whole, default=None)
    ranked = sorted(counted, key=lambda name: (-sum(counted[name].values()), name))
    others = ranked[ARCHITECTURES_SHOWN:]
    rows = [_architecture(name, counted[name], totals, since) for name in ranked[:ARCHITECTURES_SHOWN]]
    if others:
        pooled = sum((counted[name] for name in others), start=Counter[date]())
        rows.append(_architecture(f"{len(others)} others", pooled, totals, since))
    return Adoption(
        tuple(AdoptionWeek(week, totals[week]) for week in mondays),
        None if since is None else mondays[since],
        tuple(rows),
    )


def _architecture(
    name: str, by_week: Mapping[date, int], totals: Mapping[date, int | None], since: int | None
) -> Architecture:
    shares = tuple(
        Share(None, None) if whole is None else Share(by_week.get(week, 0), rate(by_week.get(week, 0), whole))
        for week, whole in totals.items()
    )
    return Architecture(
        name,
        shares,
        None if since is None else difference(shares[-1].share, shares[-2].share),
        None if since is None else difference(shares[-1].share, shares[since].share),
    )
