"""Windows of a Piwik PRO pass: nothing left out, no edge in a repeated hour, pages that fit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse import piwik_pro_planning as planning
from matokit_pipelines.windows import Window, offset_changes, outside_repeated_hours, wall_clock

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
ZONES = [
    ZoneInfo(name) for name in ("Europe/Copenhagen", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kolkata", "UTC")
]
HOUR = timedelta(hours=1)
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)  # when clocks in Copenhagen go back from three to two
moments = st.integers(0, 364 * 86_400).map(lambda s: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=s))


@st.composite
def stretches(draw: st.DrawFn) -> Window:
    start = draw(moments)
    return Window(start, start + timedelta(seconds=draw(st.integers(1, 20 * 86_400))))


def is_unambiguous(instant: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall clock of the instant names it alone, asked of the zone itself."""
    wall = wall_clock(instant, zone)
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC) == wall.replace(tzinfo=zone, fold=1).astimezone(UTC)


def assert_whole(parts: list[Window], of: Window) -> None:
    assert parts[0].start == of.start
    assert parts[-1].end == of.end
    assert all(left.end == right.start for left, right in pairwise(parts))
    assert all(part.start < part.end for part in parts)


@given(stretches(), st.sampled_from(ZONES))
def test_a_window_outside_repeated_hours_is_the_least_around_it(window: Window, zone: ZoneInfo) -> None:
    around = outside_repeated_hours(window, zone)
    assert around.start <= window.start
    assert window.end <= around.end
    for edge, asked in ((around.start, window.start), (around.end, window.end)):
        if edge == asked:
            assert is_unambiguous(edge, zone) or any(
                change.repeated and edge in (change.repeated.start, change.repeated.end)
                for change in offset_changes(window, zone)
            )
        else:
            assert not is_unambiguous(asked, zone)
            assert abs(edge - asked) < timedelta(hours=2)


def test_the_repeated_hour_of_copenhagen() -> None:
    [change] = offset_changes(Window(AUTUMN, AUTUMN + HOUR), COPENHAGEN)
    assert change.at == AUTUMN
    assert change.repeated == Window(AUTUMN - HOUR, AUTUMN + HOUR)
    inside = Window(AUTUMN - HOUR / 2, AUTUMN + HOUR / 2)
    assert outside_repeated_hours(inside, COPENHAGEN) == change.repeated
    [spring] = offset_changes(
        Window(datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 6, tzinfo=UTC)), COPENHAGEN
    )
    assert spring.repeated is None
    assert spring.at == datetime(2026, 3, 29, 1, tzinfo=UTC)


few = st.lists(stretches(), max_size=2)


@given(st.lists(stretches(), max_size=6), few, few, moments, st.sampled_from(ZONES))
def test_a_pass_reads_all_that_is_not_covered_and_the_newest_six_hours(
    covered: list[Window], troubled: list[Window], given_up: list[Window], now: datetime, zone: ZoneInfo
) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    if now <= since:
        return
    steps = planning.due(covered, troubled, given_up, since=since, now=now, zone=zone)
    read = [step.window for step in steps]
    left_open = planning.gaps([*covered, *given_up, *read], since, now)
    assert left_open == []
    assert planning.gaps([*read, *given_up], max(since, now - planning.RECENT), now) == []
    assert all(step.window.start < step.window.end for step in steps)
    for step in steps:
        assert step.window == outside_repeated_hours(step.window, zone)


@given(stretches(), st.sampled_from(ZONES), st.integers(10, 2_000), st.data())
def test_windows_are_cut_so_that_a_page_holds_each(
    window: Window, zone: ZoneInfo, page: int, data: st.DataObject
) -> None:
    window = outside_repeated_hours(window, zone)
    hours = {
        wall_clock(window.start + n * HOUR, zone).replace(minute=0, second=0)
        for n in range(int((window.end - window.start) / HOUR) + 2)
    }
    counts = {hour: data.draw(st.integers(0, 3 * page)) for hour in sorted(hours)[:24]}
    parts = planning.by_pages(window, counts, zone, page)
    assert_whole(parts, window)
    for part in parts:
        assert part == outside_repeated_hours(part, zone)
        assert part.end - part.start <= planning.LONGEST + 2 * HOUR


def test_a_small_site_is_read_a_month_at_a_time_and_a_large_one_an_hour() -> None:
    window = Window(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    assert len(planning.by_pages(window, {}, COPENHAGEN, 100_000)) == 2
    day = Window(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC))
    counts = {wall_clock(day.start + n * HOUR, COPENHAGEN): 80_000 for n in range(24)}
    assert len(planning.by_pages(day, counts, COPENHAGEN, 100_000)) == 24
    counts = {wall_clock(day.start + n * HOUR, COPENHAGEN): 160_000 for n in range(24)}
    assert len(planning.by_pages(day, counts, COPENHAGEN, 100_000)) == 48


@given(stretches(), st.integers(0, 10_000_000), st.sampled_from(ZONES))
def test_a_window_can_be_split_down_to_a_second(window: Window, rows: int, zone: ZoneInfo) -> None:
    window = outside_repeated_hours(window, zone)
    assert_whole(planning.split(window, rows, 100_000, zone), window)
    second = Window(window.start, window.start + timedelta(seconds=1))
    assert planning.split(second, rows, 100_000, zone) == [second]
    assert_whole(planning.narrowed(window, zone), window)


def test_a_window_that_does_not_add_up_is_narrowed_to_days_then_hours() -> None:
    week = Window(datetime(2026, 5, 1, 22, tzinfo=UTC), datetime(2026, 5, 8, 22, tzinfo=UTC))
    days = planning.narrowed(week, COPENHAGEN)
    assert len(days) == 7
    hours = planning.narrowed(days[3], COPENHAGEN)
    assert len(hours) == 24
    assert planning.narrowed(hours[5], COPENHAGEN) == [hours[5]]


@given(moments, st.sampled_from(ZONES))
def test_the_look_back_ends_where_the_newest_hours_begin(now: datetime, zone: ZoneInfo) -> None:
    since = datetime(2020, 1, 1, tzinfo=UTC)
    windows = planning.look_back(now, since, zone)
    recent = [s.window for s in planning.due([Window(since, now)], [], [], since=since, now=now, zone=zone)]
    assert windows[0].start == planning.final_before(now, zone)
    assert planning.gaps([*windows, *recent], windows[0].start, now) == []


def test_days_to_come_are_refused() -> None:
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with pytest.raises(SettingsError, match="has not begun yet in Europe/Copenhagen"):
        planning.asked(date(2026, 5, 2), date(2026, 5, 3), now=now, zone=COPENHAGEN)
    [step] = planning.asked(date(2026, 4, 30), date(2026, 5, 1), now=now, zone=COPENHAGEN)
    assert step.window == Window(datetime(2026, 4, 29, 22, tzinfo=UTC), now)
