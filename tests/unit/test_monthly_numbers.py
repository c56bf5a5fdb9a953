"""The numbers of the monthly report, against plain counting of the same made-up tries and against the product's SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.reports.monthly.numbers import monthly_numbers
from matokit_pipelines.reports.monthly.periods import days_of_month, months_until, periods_of, weeks_until
from matokit_pipelines.reports.monthly.shapes import MonthlyNumbers, Share
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.snapshots import Manifest, Snapshot
from tests.dashboard_marts import landed
from tests.monthly_marts import COLUMNS, FIRST, LAST, MONTH, NOW, ZONE, Try, snapshot_of, tries

COMPONENTS = {"python_install": 0.05, "latex_install": 0.2, "system_check": 0.01}
SYSTEMS = (
    ("macOS", "macOS 15.1", "arm64"),
    ("macOS", "macOS 15.1", "x86_64"),
    ("macOS", "macOS 14.2", "arm64"),
    ("Windows", "Windows 11", "x86_64"),
    ("Linux", "Ubuntu 22.04", "x86_64"),
    ("Linux", "Ubuntu 22.04", "arm64"),
)


def some_months(seed: int = 5, days: int = 190, runs: int = 6) -> list[Try]:
    """Runs of several components, some of them tried again, on machines that come back."""
    random, events = Random(seed), []
    for age in range(days):
        for run in range(random.randrange(runs + 1)):
            system, machine = random.choice(SYSTEMS), f"m{random.randrange(40)}"
            for place, (component, share) in enumerate(COMPONENTS.items()):
                worse = 0.95 if system[1] == "macOS 14.2" and component == "latex_install" and age < 30 else share
                for attempt in range(1 + (random.random() < 0.2)):
                    failed = random.random() < worse
                    order = 100 * run + 10 * place + attempt
                    cause = random.choice(["network", "disk", None]) if failed else None
                    events.append(Try(LAST - timedelta(days=age), machine, failed, component, *system, cause, order))
    return events


@pytest.fixture(scope="module")
def numbers() -> MonthlyNumbers:
    with snapshot_of(some_months()) as snapshot:
        return monthly_numbers(snapshot, MONTH, NOW)


def within(events: Iterable[Try], first: date, last: date) -> list[Try]:
    return [one for one in events if first <= one.day <= last]


def installations(events: Iterable[Try]) -> int:
    return len({(one.key, one.day) for one in events})


PERIOD = within(some_months(), FIRST, LAST)
BEFORE = within(some_months(), date(2026, 9, 2), date(2026, 10, 1))


def test_totals_are_those_of_the_thirty_days_and_the_thirty_before(numbers: MonthlyNumbers) -> None:
    for total, events in ((numbers.totals.last, PERIOD), (numbers.totals.before, BEFORE)):
        assert total.rates.events == len(events)
        assert total.rates.failures == sum(one.failed for one in events)
        assert total.installations == installations(events)
        assert total.machines == len({one.key for one in events})
    change = numbers.totals.installations
    assert change is not None
    assert change.absolute == installations(PERIOD) - installations(BEFORE)


def test_segments_are_counted_and_sorted_by_events(numbers: MonthlyNumbers) -> None:
    counts = Counter(one.system for one in PERIOD)
    assert [(row.os_family, row.os_release, row.architecture) for row in numbers.segments.rows] == [
        system for system, _ in sorted(counts.items(), key=lambda one: -one[1])
    ]
    for row in numbers.segments.rows:
        mine = [one for one in PERIOD if one.system == (row.os_family, row.os_release, row.architecture)]
        then = [one for one in BEFORE if one.system == (row.os_family, row.os_release, row.architecture)]
        assert (row.rates.events, row.rates.failures) == (len(mine), sum(one.failed for one in mine))
        assert (row.before.events, row.before.failures) == (len(then), sum(one.failed for one in then))
        assert row.installations == installations(mine)


def test_segments_add_up_to_the_totals(numbers: MonthlyNumbers) -> None:
    rows = numbers.segments.rows
    assert sum(row.rates.events for row in rows) == numbers.totals.last.rates.events
    assert sum(row.installations for row in rows) == numbers.totals.last.installations


def test_a_month_of_the_trend_is_its_last_thirty_days(numbers: MonthlyNumbers) -> None:
    assert [one.month for one in numbers.trend.months] == list(months_until(MONTH, 6))
    for place, month in enumerate(numbers.trend.months):
        events = within(some_months(), month.last_day - timedelta(days=29), month.last_day)
        assert month.installations == installations(events)
        for row in numbers.trend.rows:
            mine = [one for one in events if f"{one.os_release} ".startswith((f"{row.major} ", f"{row.major}."))]
            share = row.months[place]
            assert share.installations == installations(mine)
            assert share.share == pytest.approx(installations(mine) / installations(events))
            assert share.rates is not None
            assert share.rates.failures == sum(one.failed for one in mine)


def test_the_newest_month_of_the_trend_is_the_period(numbers: MonthlyNumbers) -> None:
    assert numbers.trend.months[-1].installations == numbers.totals.last.installations
    assert sum(row.months[-1].installations or 0 for row in numbers.trend.rows) == numbers.totals.last.installations


def test_adoption_is_by_whole_weeks_of_macs_and_of_all(numbers: MonthlyNumbers) -> None:
    assert len(numbers.adoption.weeks) == 13
    assert numbers.adoption.weeks[-1] == date(2026, 10, 19)
    for place, monday in enumerate(numbers.adoption.weeks):
        week = within(some_months(), monday, monday + timedelta(days=6))
        for rows, events in (
            (numbers.adoption.systems, week),
            (numbers.adoption.macs, [one for one in week if one.os_family == "macOS"]),
        ):
            for row in rows:
                mine = installations(one for one in events if one.architecture == row.architecture)
                assert row.weeks[place] == Share(mine, mine / installations(events))


def test_an_issue_is_a_version_that_fails_more_than_the_others(numbers: MonthlyNumbers) -> None:
    (issue,) = numbers.issues.rows
    assert issue.os_release == "macOS 14.2"
    mine = [one for one in PERIOD if one.os_release == "macOS 14.2"]
    assert issue.rates.failures == sum(one.failed for one in mine)
    assert issue.others.events == len(PERIOD) - len(mine)
    assert issue.machines_failing == len({one.key for one in mine if one.failed})
    first = {}
    for one in sorted(mine, key=lambda one: (one.day, one.place)):
        first.setdefault((one.key, one.component), one.failed)
    assert (issue.tries, issue.failed_tries) == (len(first), sum(first.values()))


def test_expected_is_what_the_others_have_at_the_same_mix(numbers: MonthlyNumbers) -> None:
    """The formula of alert-rules, section 2, on first tries counted anew."""
    (issue,) = numbers.issues.rows
    mine: dict[tuple[object, ...], bool] = {}
    others: dict[tuple[object, ...], bool] = {}
    for one in sorted(PERIOD, key=lambda one: (one.day, one.place)):
        into = mine if one.os_release == "macOS 14.2" else others
        into.setdefault((one.key, one.component), one.failed)
    pool = (sum(others.values()) + 0.5) / (len(others) + 1)
    expected = 0.0
    for _, component in mine:
        tried = [failed for (_, name), failed in others.items() if name == component]
        expected += (sum(tried) + 2 * pool) / (len(tried) + 2)
    assert issue.expected_share == pytest.approx(expected / len(mine))


def test_the_worst_component_is_the_one_with_most_failures_beyond_the_others(numbers: MonthlyNumbers) -> None:
    worst = numbers.issues.rows[0].components[0]
    assert worst.component == "latex_install"
    mine = [one for one in PERIOD if one.os_release == "macOS 14.2" and one.component == "latex_install"]
    assert (worst.rates.events, worst.rates.failures) == (len(mine), sum(one.failed for one in mine))
    seen = within(some_months(), date(2026, 10, 3), date(2026, 11, 1))
    causes = Counter(
        one.error_type or "not_reported"
        for one in seen
        if one.failed and one.os_release == "macOS 14.2" and one.component == "latex_install"
    )
    assert worst.error_type == min(causes, key=lambda name: (-causes[name], name))
    assert worst.error_failures == max(causes.values())


def test_error_types_of_other_days_are_not_named() -> None:
    with snapshot_of(some_months(), watermark=datetime(2026, 12, 3, tzinfo=UTC)) as snapshot:
        later = monthly_numbers(snapshot, MONTH, NOW)
    assert later.issues.rows
    assert later.issues.errors_last_day is None
    assert all(one.error_type is None for row in later.issues.rows for one in row.components)


def test_a_version_that_runs_the_fragile_step_more_often_is_no_issue() -> None:
    """It fails far more in all, and no more than the others at any component."""
    others = tries(200, 2, component="safe") + tries(40, 12, component="fragile", name="f")
    mine = tries(40, 12, component="fragile", name="x", os_release="macOS 26.0")
    with snapshot_of(others + mine) as snapshot:
        assert monthly_numbers(snapshot, MONTH, NOW).issues.rows == ()


def test_failures_of_one_machine_are_no_issue() -> None:
    names = [f"step{n}" for n in range(30)]
    mine = [Try(LAST, "x", True, name, os_release="macOS 26.0", place=place) for place, name in enumerate(names)]
    others = [Try(LAST, f"m{n}", False, name) for n in range(8) for name in names]
    with snapshot_of(others + mine) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert not numbers.quality.shared_keys
    assert numbers.issues.judged == 2
    assert numbers.issues.rows == ()


def test_keys_that_are_no_machines_are_told_and_half_the_events_compared() -> None:
    mine = [Try(LAST, "one", n < 60, os_release="macOS 26.0", place=n) for n in range(100)]
    with snapshot_of(tries(100, 2) + mine) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert numbers.quality.shared_keys
    assert numbers.quality.largest_machine == pytest.approx(0.5)
    (issue,) = numbers.issues.rows
    assert (issue.tries, issue.failed_tries) == (50, 30)


def test_new_versions_have_how_far_they_spread_since_their_first_day() -> None:
    start = date(2026, 10, 22)
    events = tries(50, day=FIRST) + tries(20, day=start, name="b") + tries(30, day=LAST, name="c")
    events += tries(6, day=start, name="x", os_release="macOS 26.0")
    events += tries(4, day=LAST, name="y", os_release="macOS 26.1")
    with snapshot_of(events + tries(5, day=date(2026, 9, 1), name="a")) as snapshot:
        new = monthly_numbers(snapshot, MONTH, NOW).new_versions
    assert [(row.os_release, row.installations, row.machines, row.share) for row in new.rows] == [
        ("macOS 26.0", 6, 6, 6 / 60),
        ("macOS 26.1", 4, 4, 4 / 34),
    ]
    (major,) = new.majors
    assert (major.major, major.installations, major.share) == ("macOS 26", 10, 10 / 60)
    assert major.first_seen == datetime(2026, 10, 22, 12, tzinfo=ZONE)


def test_a_new_release_of_an_old_major_is_no_new_major() -> None:
    events = tries(20, day=date(2026, 9, 1)) + tries(20, name="x", os_release="macOS 15.2")
    with snapshot_of(events) as snapshot:
        new = monthly_numbers(snapshot, MONTH, NOW).new_versions
    assert [row.os_release for row in new.rows] == ["macOS 15.2"]
    assert new.majors == ()


def test_nothing_is_new_when_records_begin_in_the_period() -> None:
    with snapshot_of(tries(20), known_from=FIRST) as snapshot:
        assert not monthly_numbers(snapshot, MONTH, NOW).new_versions.is_known
    with snapshot_of(tries(20), known_from=FIRST - timedelta(days=1)) as snapshot:
        assert [row.os_release for row in monthly_numbers(snapshot, MONTH, NOW).new_versions.rows] == ["macOS 15.1"]


def test_counts_are_not_compared_with_days_that_are_not_recorded() -> None:
    events = tries(20) + tries(5, day=date(2026, 9, 20), name="b")
    with snapshot_of(events, known_from=date(2026, 9, 15)) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert numbers.totals.installations is None
    assert numbers.totals.events is None
    assert all(row.installations_change is None for row in numbers.segments.rows)
    assert [one.installations for one in numbers.trend.months] == [None] * 5 + [20]
    assert {row.share_change for row in numbers.trend.rows} == {None}
    assert numbers.trend.since == MONTH


def test_a_month_that_is_not_whole_has_totals_and_no_comparison() -> None:
    with snapshot_of(some_months(), watermark=datetime(2026, 10, 31, 12, tzinfo=UTC)) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert numbers.totals.last.rates.events == len(PERIOD)
    assert (numbers.totals.is_compared, numbers.totals.last.machines) == (False, None)
    assert (numbers.totals.verdict, numbers.issues.rows) == ("too few", ())


def test_a_month_without_events_has_no_rate() -> None:
    with snapshot_of([]) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert numbers.totals.last.rates.success_rate is None
    assert (numbers.totals.last.installations, numbers.totals.last.machines) == (0, 0)
    assert numbers.segments.rows == numbers.issues.rows == numbers.trend.rows == numbers.adoption.systems == ()


def test_many_segments_are_bounded_and_add_up() -> None:
    events = [Try(LAST, f"m{n}", n % 7 == 0, os_family="unknown", os_release=f"system {n:04d}") for n in range(10_000)]
    with snapshot_of(events) as snapshot:
        numbers = monthly_numbers(snapshot, MONTH, NOW)
    assert numbers.segments.count == 10_000
    assert numbers.segments.others is not None
    assert numbers.segments.others.segments + len(numbers.segments.rows) == 10_000
    shown = sum(row.rates.events for row in numbers.segments.rows)
    assert shown + numbers.segments.others.rates.events == 10_000
    assert len(numbers.new_versions.rows) + numbers.new_versions.more == 10_000
    assert numbers.trend.others is not None
    assert numbers.trend.others.versions + len(numbers.trend.rows) == 10_000


# -- which days ------------------------------------------------------------------------------------------------------


def test_only_the_first_day_of_a_month_names_it() -> None:
    with pytest.raises(ValueError, match="not the first day"):
        periods_of(date(2026, 10, 2), "UTC")


@given(st.dates(date(2001, 1, 1), date(2199, 12, 1)).map(lambda day: day.replace(day=1)))
def test_the_days_of_a_month_are_thirty_and_so_are_those_before(month: date) -> None:
    period, before = periods_of(month, "Europe/Copenhagen")
    assert (period.last_day + timedelta(days=1)).day == 1
    assert month <= period.last_day < month + timedelta(days=31)
    assert (period.last_day - period.first_day).days == (before.last_day - before.first_day).days == 29
    assert before.last_day + timedelta(days=1) == period.first_day
    assert before.end == period.start
    weeks = weeks_until(period.last_day)
    assert len(weeks) == 13
    assert all(week.weekday() == 0 for week in weeks)
    assert timedelta(days=6) <= period.last_day - weeks[-1] < timedelta(days=13)
    months = list(months_until(month, 6))
    assert months[-1] == month
    assert all(days_of_month(one)[1] < other <= one + timedelta(days=31) for one, other in pairwise(months))


def test_days_of_23_and_25_hours_are_whole_days() -> None:
    october, _ = periods_of(date(2026, 10, 1), "Europe/Copenhagen")
    march, _ = periods_of(date(2026, 3, 1), "Europe/Copenhagen")
    assert october.end - october.start == timedelta(days=30, hours=1)
    assert march.end - march.start == timedelta(days=30, hours=-1)


# -- the product's own SQL -------------------------------------------------------------------------------------------

OS_TEXTS = {"macOS": "{0}.1 (X)", "Windows": "Windows Microsoft {0} Pro", "Linux": "Linux {0} (x)"}


def sent(one: Try, place: int) -> dict[str, object]:
    """A try as an installer sends it."""
    cause = f"_{one.error_type}_error" if one.error_type else "_unknown_error"
    return {
        "event_ts": datetime(one.day.year, one.day.month, one.day.day, 10, tzinfo=UTC) + timedelta(seconds=place),
        "visitor_id": one.machine,
        "category": "Installer_PROD",
        "name": one.component + (cause if one.failed else ""),
        "value": 0.0 if one.failed else 2.0,
        "os_raw": OS_TEXTS[one.os_family].format(one.os_release),
        "architecture_raw": one.architecture,
    }


@pytest.fixture(scope="module")
def derived() -> Iterable[duckdb.DuckDBPyConnection]:
    """The same tries, landed and derived by the product."""
    con = in_memory(NOW)
    con.execute(
        "insert into ledger.sources (source, kind, site_id, zone, url, proven_from, watermark) "
        "values ('installers', 'matomo', '1', 'Europe/Copenhagen', 'https://matomo.example.org', ?, ?)",
        [datetime(2026, 1, 1, tzinfo=ZONE), NOW - timedelta(minutes=15)],
    )
    events = sorted(some_months(days=100), key=lambda one: (one.day, one.place))
    rows = landed([sent(one, place) for place, one in enumerate(events)])
    con.register("given", rows.to_arrow())
    con.execute("insert into raw.matomo_events by name select * from given")
    con.unregister("given")
    build(con, options=BuildOptions(), now=NOW)
    con.execute("set search_path = 'marts'")
    yield con
    con.close()


def rows_of(query: Callable[[str], list[tuple[object, ...]]], table: str) -> set[tuple[object, ...]]:
    names = ", ".join(part.split()[0] for part in COLUMNS[table].split(","))
    where = f" where environment = 'production'{' and month = date ' + repr(str(MONTH)) if 'monthly' in table else ''}"
    where += " and architecture = 'all' and component = 'all'" if table == "component_weekly" else ""
    where += " and window_days = 30" if table == "error_system_window" else ""
    return set(query(f"select {names} from {table}{where}"))


@pytest.mark.parametrize(
    "table", ["segment_daily", "system_monthly", "os_first_seen", "component_weekly", "error_system_window"]
)
def test_the_product_derives_what_the_made_up_tables_hold(derived: duckdb.DuckDBPyConnection, table: str) -> None:
    known = [
        one if not one.failed or one.error_type else Try(**{**vars(one), "error_type": "unknown"})
        for one in some_months(days=100)
    ]
    with snapshot_of(known) as made_up:
        expected = rows_of(lambda sql: made_up.query(sql).rows(), table)
    found = rows_of(lambda sql: derived.sql(sql).pl().rows(), table)
    if table == "os_first_seen":  # the time of day is made up
        expected, found = ({(*row[:3], row[4]) for row in rows} for rows in (expected, found))
    assert expected
    assert found == expected


def test_the_report_of_derived_events_is_that_of_the_made_up_tables(derived: duckdb.DuckDBPyConnection) -> None:
    manifest = Manifest(7, NOW, "0.4.0", "1", str(ZONE), NOW - timedelta(minutes=15), {})
    found = monthly_numbers(Snapshot(derived, manifest, Path("marts.duckdb")), MONTH, NOW)
    with snapshot_of(some_months(days=100)) as made_up:
        expected = monthly_numbers(made_up, MONTH, NOW)
    assert found.totals == expected.totals
    assert found.segments == expected.segments
    assert found.adoption == expected.adoption
    assert found.trend == expected.trend
    assert found.worse_components == expected.worse_components
    assert [row.chance for row in found.issues.rows] == [row.chance for row in expected.issues.rows]
