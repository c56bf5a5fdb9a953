"""When people are told: openings of business days, quiet hours and daily runs, over changes of the clocks."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.business_days import Calendar, at_local, next_opening
from matokit_pipelines.errors import SettingsError

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "alert-cases.json").read_text(encoding="utf-8"))
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def calendar(**values: Any) -> Calendar:
    return Calendar.of(AlertSettings.model_validate(values), COPENHAGEN)


@pytest.mark.parametrize("case", CASES["business_day"], ids=lambda case: case["id"])
def test_golden_openings(case: dict[str, Any]) -> None:
    found = next_opening(
        instant(case["raised_at"]), ZoneInfo(case["tz"]), time.fromisoformat(case["opening"]),
        holidays=[date.fromisoformat(day) for day in case["holidays"]],
    )  # fmt: skip
    assert found == instant(case["expect"])


def test_there_are_golden_openings() -> None:
    assert len(CASES["business_day"]) >= 6


def test_an_opening_in_the_hour_that_spring_skips_is_an_hour_later_on_the_clock() -> None:
    sunday = instant("2026-03-28T23:00:00Z")
    found = next_opening(sunday, COPENHAGEN, time(2, 30), days=["sunday"])
    assert found == instant("2026-03-29T01:30:00Z")
    assert found.astimezone(COPENHAGEN).time() == time(3, 30)


def test_an_opening_in_the_hour_that_autumn_repeats_comes_once() -> None:
    first = instant("2026-10-25T00:30:00Z")
    before, again = first - timedelta(minutes=1), first + timedelta(minutes=59)
    assert next_opening(before, COPENHAGEN, time(2, 30), days=["sunday"]) == first
    assert next_opening(again, COPENHAGEN, time(2, 30), days=["sunday"]) == instant("2026-11-01T01:30:00Z")


def test_public_holidays_of_a_country_are_no_business_days() -> None:
    christmas_eve = instant("2026-12-24T12:00:00Z")
    assert calendar(holiday_country="DK").next_opening(christmas_eve) == instant("2026-12-28T07:30:00Z")
    assert calendar().next_opening(christmas_eve) == instant("2026-12-25T07:30:00Z")


def test_a_part_of_a_country_has_its_own_holidays() -> None:
    womens_day = instant("2027-03-07T12:00:00Z")
    assert calendar(holiday_country="DE-BE").next_opening(womens_day) == instant("2027-03-09T07:30:00Z")
    assert calendar(holiday_country="DE-BY").next_opening(womens_day) == instant("2027-03-08T07:30:00Z")


def test_a_country_nobody_knows_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match=r'holidays of "XQ" are not known'):
        calendar(holiday_country="XQ").next_opening(instant("2026-03-10T12:00:00Z"))


def test_no_business_day_at_all_is_a_sentence() -> None:
    every_monday = [date(2026, 3, 9) + timedelta(weeks=number) for number in range(70)]
    with pytest.raises(SettingsError, match="no business day"):
        next_opening(instant("2026-03-09T12:00:00Z"), UTC_ZONE, time(8, 30), days=["monday"], holidays=every_monday)


UTC_ZONE = ZoneInfo("UTC")


def test_quiet_hours_over_midnight() -> None:
    quiet = calendar(quiet_hours={"begin": "22:00", "end": "07:00"})
    assert quiet.quiet_until(instant("2026-03-10T20:59:00Z")) is None
    assert quiet.quiet_until(instant("2026-03-10T21:00:00Z")) == instant("2026-03-11T06:00:00Z")
    assert quiet.quiet_until(instant("2026-03-11T05:59:00Z")) == instant("2026-03-11T06:00:00Z")
    assert quiet.quiet_until(instant("2026-03-11T06:00:00Z")) is None


def test_quiet_hours_within_a_day_and_over_the_start_of_summer_time() -> None:
    midday = calendar(quiet_hours={"begin": "12:00", "end": "13:00"})
    assert midday.quiet_until(instant("2026-03-10T11:30:00Z")) == instant("2026-03-10T12:00:00Z")
    night = calendar(quiet_hours={"begin": "22:00", "end": "07:00"})
    assert night.quiet_until(instant("2026-03-28T22:00:00Z")) == instant("2026-03-29T05:00:00Z")


def test_there_are_no_quiet_hours_by_default() -> None:
    assert all(calendar().quiet_until(instant("2026-03-10T00:00:00Z") + timedelta(hours=h)) is None for h in range(24))


def test_the_zone_of_the_alerts_goes_before_that_of_the_project() -> None:
    tokyo = calendar(timezone="Asia/Tokyo")
    assert tokyo.next_opening(instant("2026-03-10T00:00:00Z")) == instant("2026-03-10T23:30:00Z")


def test_daily_runs_are_23_24_or_25_hours_apart() -> None:
    daily = calendar(daily_at="07:00")
    runs = [instant("2026-03-27T12:00:00Z")]
    while len(runs) < 5:
        runs.append(daily.next_daily(runs[-1]))
    assert [run.astimezone(COPENHAGEN).time() for run in runs[1:]] == [time(7)] * 4
    assert runs[2] - runs[1] == timedelta(hours=23)


@settings(deadline=None)
@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
    st.times().map(lambda clock: clock.replace(microsecond=0)),
    st.sets(st.sampled_from(["monday", "wednesday", "saturday"]), min_size=1),
    st.sampled_from(["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_the_next_opening_is_later_on_a_business_day_and_none_is_passed_over(
    when: datetime, opening: time, days: set[str], zone_name: str
) -> None:
    after, zone = when.replace(tzinfo=UTC), ZoneInfo(zone_name)
    found = next_opening(after, zone, opening, days=days)
    assert found > after
    day = found.astimezone(zone).date()
    assert day.strftime("%A").lower() in days or at_local(day - timedelta(days=1), opening, zone) == found
    between = after.astimezone(zone).date()
    while between < day:
        at = at_local(between, opening, zone)
        assert not (after < at < found and between.strftime("%A").lower() in days)
        between += timedelta(days=1)
