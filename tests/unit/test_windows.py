"""Windows, days in a zone, wall clocks, periods: nothing is lost or counted twice at an edge."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.windows import (
    Window,
    day_window,
    days_window,
    each_day,
    gap_free_end,
    instants_of_wall_clock,
    joined,
    last_complete_day,
    last_complete_week,
    local_date,
    monday_of,
    parse_day,
    parse_week,
    runs_of_days,
    start_of_day,
    week_label,
    zone_named,
)

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Copenhagen",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "America/Santiago",
    )
]
zones = st.sampled_from(ZONES)
days = st.dates(date(2024, 1, 1), date(2027, 12, 31))
instants = st.integers(1_704_067_200, 1_830_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
minutes = st.integers(0, 60)
START = datetime(2026, 3, 1, tzinfo=UTC)
windows = st.tuples(minutes, minutes).map(
    lambda pair: Window(START + timedelta(minutes=min(pair)), START + timedelta(minutes=max(pair)))
)


def seconds_of(found: list[Window]) -> set[int]:
    """The minutes that windows cover."""
    return {m for m in range(61) if any(START + timedelta(minutes=m) in window for window in found)}


@given(days, zones)
def test_days_touch_and_never_overlap(day: date, zone: ZoneInfo) -> None:
    today, tomorrow = day_window(day, zone), day_window(day + timedelta(days=1), zone)
    assert today.end == tomorrow.start
    assert timedelta(hours=23) <= today.end - today.start <= timedelta(hours=25)


@given(instants, zones)
def test_every_instant_lies_in_the_day_it_is_said_to(instant: datetime, zone: ZoneInfo) -> None:
    assert instant in day_window(local_date(instant, zone), zone)
    assert local_date(start_of_day(local_date(instant, zone), zone), zone) == local_date(instant, zone)
    assert day_window(last_complete_day(instant, zone), zone).end <= instant


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2026, 10, 25), "Europe/Copenhagen", 25),
        (date(2026, 3, 29), "Europe/Copenhagen", 23),
        (date(2026, 3, 8), "America/New_York", 23),
        (date(2026, 4, 5), "Australia/Lord_Howe", 24.5),
        (date(2026, 9, 6), "America/Santiago", 23),  # midnight itself is skipped
    ],
)
def test_days_on_which_clocks_change(day: date, zone: str, hours: float) -> None:
    window = day_window(day, ZoneInfo(zone))
    assert window.end - window.start == timedelta(hours=hours)
    assert days_window(day, day, ZoneInfo(zone)) == window


@given(instants, zones)
def test_wall_clock_gives_its_instant_back(instant: datetime, zone: ZoneInfo) -> None:
    wall = int(instant.astimezone(zone).replace(tzinfo=UTC).timestamp())
    found = instants_of_wall_clock(wall, zone)
    assert instant in found
    assert list(found) == sorted(set(found))
    assert all(int(i.astimezone(zone).replace(tzinfo=UTC).timestamp()) == wall for i in found)


def test_wall_clock_that_never_was_gives_one_instant() -> None:
    skipped = int(datetime(2026, 3, 29, 2, 30, tzinfo=UTC).timestamp())
    assert instants_of_wall_clock(skipped, ZoneInfo("Europe/Copenhagen")) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC),)


@given(st.lists(windows, max_size=8))
def test_joined_windows_cover_the_same_without_touching(found: list[Window]) -> None:
    whole = joined(found)
    assert seconds_of(whole) == seconds_of(found)
    assert all(sooner.end < later.start for sooner, later in pairwise(whole))


@given(st.lists(windows, max_size=8), minutes)
def test_gap_free_end_is_the_first_instant_that_nothing_covers(found: list[Window], minute: int) -> None:
    start = START + timedelta(minutes=minute)
    covered = seconds_of(found)
    expected = next(m for m in range(minute, 62) if m not in covered)
    assert gap_free_end(found, start) == START + timedelta(minutes=expected)
    assert gap_free_end(joined(found), start) == gap_free_end(found, start)


@given(st.lists(days, max_size=12))
def test_runs_of_days_hold_each_day_once(some: list[date]) -> None:
    runs = runs_of_days(some)
    assert [day for run in runs for day in each_day(*run)] == sorted(set(some))
    assert all(later[0] - sooner[1] > timedelta(days=1) for sooner, later in pairwise(runs))


@given(days)
def test_week_label_names_the_week_it_is_read_from(day: date) -> None:
    assert parse_week(week_label(monday_of(day))) == monday_of(day)
    assert monday_of(day).weekday() == 0


def test_last_complete_week_ends_with_the_zones_sunday() -> None:
    monday_morning = datetime(2026, 11, 15, 23, 30, tzinfo=UTC)
    assert last_complete_week(monday_morning, ZoneInfo("Europe/Copenhagen")) == date(2026, 11, 9)
    assert last_complete_week(monday_morning, ZoneInfo("UTC")) == date(2026, 11, 2)


@pytest.mark.parametrize("text", ["2026-W54", "2026-W00", "0000-W01", "9999-W52", "2026W01", "week 3", ""])
def test_weeks_that_are_none(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a week; .*\.$"):
        parse_week(text)


def test_days_and_zones_that_are_none() -> None:
    for day in ("20.11.2026", "0001-01-01", "9999-12-31", "2026-02-30", ""):
        with pytest.raises(SettingsError, match=r"is not a day.*\.$"):
            parse_day(day)
    for name in ("Europe/Kopenhagen", "", "../etc", "Europe"):
        with pytest.raises(SettingsError, match="is not a time zone"):
            zone_named(name)


def test_windows_need_aware_times_in_order() -> None:
    with pytest.raises(ValueError, match="aware"):
        Window(START.replace(tzinfo=None), START)
    with pytest.raises(ValueError, match="before it starts"):
        Window(START, START - timedelta(seconds=1))
    berlin = START.astimezone(ZoneInfo("Europe/Berlin"))
    assert Window(berlin, berlin) == Window(START, START)
    assert START not in Window(START, START)
