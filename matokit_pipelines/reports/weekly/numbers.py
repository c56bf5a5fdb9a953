"""The weekly operations summary: one complete ISO week of production against the week before, as numbers.

A pure function of a published snapshot, the week and the time. Not here: the selects (queries.py), what is
said about the numbers (words.py) and how they are drawn (charts.py, rendering.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from matokit_pipelines.reports.comparison import (
    LOW_RATE,
    Tally,
    counted,
    is_new_failing,
    keys_are_shared,
    verdict,
    verdicts_of_rows,
)
from matokit_pipelines.reports.quality import quality, success_days
from matokit_pipelines.reports.shapes import Period, Rates, change_of, difference, period_of, rates_of
from matokit_pipelines.reports.weekly import queries
from matokit_pipelines.reports.weekly.queries import ALL, NO_WEEK, CommitLife, ComponentWeek
from matokit_pipelines.reports.weekly.shapes import (
    Adoption,
    AdoptionWeek,
    Architecture,
    Commit,
    Day,
    Deployment,
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
BASELINE_UNITS = 30  # a commit's baseline takes in earlier commits until it holds so many
BASELINE_REACH = timedelta(days=7)

Weeks = Mapping[date, Mapping[str, ComponentWeek]]


def weekly_numbers(snapshot: Snapshot, monday: date, now: datetime) -> WeeklyNumbers:
    """Everything the summary of the week of `monday` says, from one snapshot.

    `now` is only printed (and may be any time: old weeks can be made again). ValueError when `monday` is none.
    """
    if monday.weekday():
        raise ValueError(f"{monday} is not a Monday")
    manifest = snapshot.manifest
    last, earlier = monday + 6 * ONE_DAY, monday - 7 * ONE_DAY
    period = period_of(week_label(monday), monday, last, manifest.project_zone)
    before = period_of(week_label(earlier), earlier, monday - ONE_DAY, manifest.project_zone)
    weeks = queries.component_weeks(snapshot, monday, BASELINE_WEEKS + 1)
    whole = weeks.get(monday, {}).get(ALL, NO_WEEK)
    shared = keys_are_shared(whole.largest_machine_events, whole.tally.events)
    lives = queries.commits_until(snapshot, period.end)
    commits = queries.commits_on(snapshot, monday, last)
    days = _days(snapshot, earlier, last, manifest.watermark)
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
        totals=_totals(weeks, monday, shared),
        days=days,
        trend=_trend(days),
        deployments=tuple(
            Deployment(life.commit_sha, life.first_seen) for life in lives.values() if life.first_seen >= before.start
        ),
        failing=_failing(snapshot, weeks, monday, shared),
        new_failing=_new_failing(weeks, monday, shared),
        new_os=_new_os(snapshot, monday, last),
        commits=_commits(commits, lives, period, shared),
        events_without_commit=sum(day.rates.events for day in days if day.day >= monday)
        - sum(rates.events for rates in commits.values()),
        adoption=_adoption(snapshot, monday),
        quality=quality(
            snapshot, period, before, largest_machine_events=whole.largest_machine_events, shared_keys=shared
        ),
    )


def _components(weeks: Weeks, monday: date) -> dict[str, ComponentWeek]:
    return {name: week for name, week in weeks.get(monday, {}).items() if name != ALL}


def _tallies(weeks: Weeks, monday: date) -> dict[str, Tally]:
    return {name: week.tally for name, week in _components(weeks, monday).items()}


def _totals(weeks: Weeks, monday: date, shared: bool) -> Totals:
    earlier = monday - 7 * ONE_DAY
    now = weeks.get(monday, {}).get(ALL, NO_WEEK)
    before = weeks.get(earlier, {}).get(ALL, NO_WEEK)
    word, how_likely = verdict(_tallies(weeks, monday), _tallies(weeks, earlier), shared_keys=shared)
    return Totals(
        this_week=WeekTotal(now.rates, now.installations, now.machines),
        week_before=WeekTotal(before.rates, before.installations, before.machines),
        installations=change_of(now.installations, before.installations),
        events=change_of(now.rates.events, before.rates.events),
        machines=change_of(now.machines, before.machines),
        success_rate=difference(now.rates.success_rate, before.rates.success_rate),
        verdict=word,
        chance=how_likely,
    )


def _days(snapshot: Snapshot, first: date, last: date, watermark: datetime | None) -> tuple[Day, ...]:
    counted = success_days(snapshot, first, last)
    zone = zone_named(snapshot.manifest.project_zone)
    days = []
    for day in each_day(first, last):
        row = counted.get(day, {})
        days.append(
            Day(
                day,
                rates_of(row.get("events", 0), row.get("successes", 0), row.get("failures", 0)),
                row.get("installations", 0),
                row.get("machines", 0),
                complete=watermark is not None and watermark >= day_window(day, zone).end,
            )
        )
    return tuple(days)


def _trend(days: tuple[Day, ...]) -> Trend:
    judged = [
        (day.rates.success_rate, day.day) for day in days if day.rates.success_rate is not None and not day.rates.small
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
    rows = []
    for name in first[:TOP_COMPONENTS]:
        week, earlier = now[name], before.get(name, NO_WEEK)
        error_type, error_failures = errors.get(name, (queries.NOT_REPORTED, 0))
        rows.append(
            FailingComponent(
                name,
                week.rates,
                earlier.rates,
                difference(week.rates.success_rate, earlier.rates.success_rate),
                week.machines,
                week.tally.machines_failing,
                error_type,
                error_failures,
                *words[name],
            )
        )
    return Failing(
        components=len(now),
        components_failing=len(failing),
        rows=tuple(rows),
        failures=sum(week.rates.failures for week in now.values()),
        failures_before=sum(week.rates.failures for week in before.values()),
    )


def _new_failing(weeks: Weeks, monday: date, shared: bool) -> tuple[NewFailing, ...]:
    earlier = [weeks.get(monday - 7 * n * ONE_DAY, {}) for n in range(1, BASELINE_WEEKS + 1)]
    if not any(earlier):
        return ()  # records begin with this week: nothing was seen failing before, nor working
    found = []
    for name, week in _components(weeks, monday).items():
        history = [one.get(name, NO_WEEK).tally for one in earlier]
        if is_new_failing(week.tally, history[0], sum(history, start=Tally()), shared_keys=shared):
            counts = (week.rates.failures, week.rates.events, week.tally.machines_failing, history[0].events)
            found.append(NewFailing(name, *counts))
    return tuple(sorted(found, key=lambda row: (-row.failures, row.component)))


def _new_os(snapshot: Snapshot, first: date, last: date) -> tuple[NewOs, ...]:
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


def _commits(
    seen: Mapping[str, Rates], lives: Mapping[str, CommitLife], period: Period, shared: bool
) -> tuple[Commit, ...]:
    """The commits seen in the week, the newest first, each over its life against those before it."""
    rows = []
    for life in sorted((lives[name] for name in seen), key=lambda one: (one.first_seen, one.commit_sha), reverse=True):
        against = _predecessors(life, lives)
        baseline: dict[str, Tally] = {}
        for other in against:
            for component, tally in other.components.items():
                baseline[component] = baseline.get(component, Tally()) + tally
        rates = [other.rates for other in against]
        pooled = rates_of(*(sum(column) for column in _columns(rates)))
        word, how_likely = verdict(life.components, baseline, shared_keys=shared)
        rows.append(
            Commit(
                life.commit_sha,
                life.first_seen,
                life.first_seen >= period.start,
                seen[life.commit_sha],
                life.rates,
                life.machines,
                _units(life.components, shared),
                tuple(other.commit_sha for other in against),
                pooled,
                _units(baseline, shared),
                difference(life.rates.success_rate, pooled.success_rate),
                word,
                how_likely,
            )
        )
    return tuple(rows)


def _units(components: Mapping[str, Tally], shared: bool) -> int:
    return sum(counted(tally, shared_keys=shared).units for tally in components.values())


def _columns(rates: list[Rates]) -> tuple[list[int], list[int], list[int]]:
    return [one.events for one in rates], [one.successes for one in rates], [one.failures for one in rates]


def _predecessors(life: CommitLife, lives: Mapping[str, CommitLife]) -> list[CommitLife]:
    """The previous commit, then earlier ones until they hold thirty units; none last seen over seven days before.

    Rule `commit_regression` (alert-rules, section 3), as far as totals by commit allow it.
    """
    found: list[CommitLife] = []
    units = 0
    following = lives.get(life.predecessor_sha or "")
    while following is not None and units < BASELINE_UNITS and following not in found:
        if following.last_seen < life.first_seen - BASELINE_REACH:
            break
        found.append(following)
        units += sum(tally.units for tally in following.components.values())
        following = lives.get(following.predecessor_sha or "")
    return found


def _adoption(snapshot: Snapshot, monday: date) -> Adoption:
    mondays = [monday - 7 * n * ONE_DAY for n in reversed(range(ADOPTION_WEEKS))]
    counted: dict[str, dict[date, int]] = {}
    for week, architecture, installations in queries.installations_by_architecture(
        snapshot, mondays[0], monday + 6 * ONE_DAY
    ):
        counted.setdefault(architecture or "unknown", {})[week] = installations
    totals = {week: sum(weeks.get(week, 0) for weeks in counted.values()) for week in mondays}
    rows = []
    for name, by_week in counted.items():
        shares = tuple(Share(by_week.get(week, 0), rate(by_week.get(week, 0), totals[week])) for week in mondays)
        rows.append(
            Architecture(
                name,
                shares,
                difference(shares[-1].share, shares[-2].share),
                difference(shares[-1].share, shares[0].share),
            )
        )
    rows.sort(key=lambda row: (-sum(share.installations for share in row.shares), row.architecture))
    return Adoption(tuple(AdoptionWeek(week, totals[week]) for week in mondays), tuple(rows))
