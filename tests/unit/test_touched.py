"""What a build derives at once: parts of days hold every day once, weeks are whole and none comes twice."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.warehouse.models import Part
from matokit_pipelines.warehouse.touched import ROWS_A_PART, cut, months_on, whole_months, whole_weeks
from matokit_pipelines.windows import each_day, runs_of_days

DAY = date(2026, 1, 1)
days = st.sets(st.integers(0, 400).map(lambda n: DAY + timedelta(days=n)), min_size=1, max_size=60)
counts = st.dictionaries(st.integers(0, 400).map(lambda n: DAY + timedelta(days=n)), st.integers(0, 2 * ROWS_A_PART))


@given(days, counts)
def test_cut_parts_hold_each_day_once_and_no_more_rows_than_memory_takes(days: set[date], counts: dict) -> None:
    parts = cut([Part(*run) for run in runs_of_days(days)], counts)
    held = [day for part in parts for day in each_day(part.first, part.last)]
    assert held == sorted(days)
    for part in parts:
        rows = [counts.get(day, 0) for day in each_day(part.first, part.last)]
        assert len([n for n in rows if n]) <= 1 or sum(rows) <= ROWS_A_PART


@given(days)
def test_weeks_are_whole_hold_every_day_and_come_once(days: set[date]) -> None:
    weeks = whole_weeks([Part(*run) for run in runs_of_days(days)])
    held = [day for part in weeks for day in each_day(part.first, part.last)]
    assert set(held) >= days
    assert len(held) == len(set(held))
    for part in weeks:
        assert (part.first.weekday(), part.last.weekday()) == (0, 6)
    assert all(any(day - timedelta(days=6) <= other <= day + timedelta(days=6) for other in days) for day in held)


@given(days, st.integers(-40, 500).map(lambda n: DAY + timedelta(days=n)))
def test_months_are_whole_complete_reach_two_months_on_and_come_once(days: set[date], until: date) -> None:
    months = whole_months([Part(*run) for run in runs_of_days(days)], until)
    held = [day for part in months for day in each_day(part.first, part.last)]
    reached = {months_on(day, n) for day in days for n in range(3)}
    complete = {month for month in reached if months_on(month, 1) - timedelta(days=1) <= until}
    assert {day.replace(day=1) for day in held} >= complete
    assert len(held) == len(set(held))
    assert all(day <= until for day in held)
    for part in months:
        assert part.first <= part.last
        assert (part.first.day, (part.last + timedelta(days=1)).day) == (1, 1)


def test_a_month_on_is_the_first_of_a_month_also_over_a_new_year() -> None:
    assert [months_on(date(2026, 11, 30), n) for n in (0, 1, 2, 14)] == [
        date(2026, 11, 1),
        date(2026, 12, 1),
        date(2027, 1, 1),
        date(2028, 1, 1),
    ]
