"""What a build derives at once: parts of days hold every day once, weeks are whole and none comes twice."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.warehouse.models import Part
from matokit_pipelines.warehouse.touched import ROWS_A_PART, cut, whole_weeks
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
