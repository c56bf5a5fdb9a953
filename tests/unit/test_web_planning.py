"""Which periods of web reports are due, in which order, and what a reading is worth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.toolserver_settings import WebReportSettings
from matokit_pipelines.warehouse.web_planning import (
    PERIODS,
    Known,
    Ledger,
    PeriodName,
    Span,
    asked_for,
    beyond,
    due,
    kept,
    last_complete_day,
    span_of,
    state_of,
    zero_by_days,
)
from matokit_pipelines.windows import ONE_DAY, start_of_day

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
UTC_ZONE = ZoneInfo("UTC")
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
KEPT = WebReportSettings(days=30, weeks=5, months=2, first_time_periods=10)
LONG_AGO = date(2020, 1, 1)
Periods = dict[tuple[PeriodName, date], Known]


def final(at: datetime = NOON, visits: int | None = 5) -> Known:
    return Known("final", visits, at)


def due_at(now: datetime, known: Ledger, zone: ZoneInfo = UTC_ZONE, first_day: date = LONG_AGO) -> list[Span]:
    return due(KEPT, known, now=now, zone=zone, first_day=first_day)


def test_the_running_periods_come_first_then_the_newest_history_and_not_more_than_so_many() -> None:
    spans = due_at(NOON, {})
    assert [span.key for span in spans[:4]] == [
        ("day", date(2026, 11, 20)),
        ("week", date(2026, 11, 16)),
        ("month", date(2026, 11, 1)),
        ("day", date(2026, 11, 19)),
    ]
    assert len(spans) == 10


def test_a_week_or_month_of_the_past_comes_after_all_its_days() -> None:
    spans = kept(WebReportSettings(days=400, weeks=60, months=25), TODAY, LONG_AGO)
    place = {span.key: number for number, span in enumerate(spans)}
    for span in spans:
        if span.period != "day" and span.end < TODAY and span.start > TODAY - 399 * ONE_DAY:
            assert all(place["day", day] < place[span.key] for day in span.days)


def test_nothing_before_the_first_day_is_asked_for_and_nothing_twice() -> None:
    spans = kept(KEPT, TODAY, date(2026, 11, 18))
    assert {span.key for span in spans} == {
        ("day", date(2026, 11, 20)), ("day", date(2026, 11, 19)), ("day", date(2026, 11, 18)),
        ("week", date(2026, 11, 16)), ("month", date(2026, 11, 1)),
    }  # fmt: skip
    assert len(spans) == 5


def everything(at: datetime) -> Periods:
    """All that is kept was read at `at`."""
    zone = UTC_ZONE
    return {
        span.key: Known(state_of(span, 5, is_proven=False, asked_at=at, zone=zone), 5, at)
        for span in kept(KEPT, at.date(), LONG_AGO)
    }


def test_running_periods_are_read_again_each_hour_and_recent_ones_once_a_day() -> None:
    known = everything(NOON)
    assert due_at(NOON + timedelta(minutes=59), known) == []
    assert {span.key for span in due_at(NOON + timedelta(minutes=60), known)} == {
        ("day", TODAY), ("week", date(2026, 11, 16)), ("month", date(2026, 11, 1)),
    }  # fmt: skip
    # the next day: yesterday has ended, the two days before are read once more, the fourth is not
    tomorrow = due_at(NOON + timedelta(days=1), known)
    days = {span.start for span in tomorrow if span.period == "day"}
    assert days == {TODAY + ONE_DAY, TODAY, TODAY - ONE_DAY, TODAY - 2 * ONE_DAY}


def test_a_day_that_has_just_ended_is_provisional_until_it_has_settled() -> None:
    day = span_of("day", date(2026, 11, 19))
    over = day.over_at(COPENHAGEN)
    assert over == datetime(2026, 11, 19, 23, tzinfo=UTC)
    worth = [
        state_of(day, 5, is_proven=False, asked_at=over + timedelta(hours=hours), zone=COPENHAGEN)
        for hours in (-1, 0, 2.9, 3, 100)
    ]
    assert worth == ["provisional", "provisional", "provisional", "final", "final"]
    known = {day.key: Known("provisional", 5, over + timedelta(minutes=5))}
    at = over + timedelta(hours=3)
    assert day in due(KEPT, known, now=at, zone=COPENHAGEN, first_day=LONG_AGO)


@pytest.mark.parametrize(
    ("days_ago", "is_proven", "worth"),
    [(0, False, "provisional"), (1, False, "unknown"), (1, True, "final"), (300, False, "unknown")],
)
def test_zero_is_worth_nothing_unless_it_is_proven_but_for_today(days_ago: int, is_proven: bool, worth: str) -> None:
    span = span_of("day", TODAY - days_ago * ONE_DAY)
    assert state_of(span, 0, is_proven=is_proven, asked_at=NOON, zone=UTC_ZONE) == worth


def test_a_running_week_without_visits_is_unknown_until_its_days_say_so() -> None:
    week = span_of("week", TODAY)
    assert state_of(week, 0, is_proven=False, asked_at=NOON, zone=UTC_ZONE) == "unknown"
    assert state_of(week, 0, is_proven=True, asked_at=NOON, zone=UTC_ZONE) == "provisional"


def test_days_prove_a_week_only_when_each_is_proven_itself() -> None:
    week = span_of("week", TODAY)
    proven: Periods = {("day", day): Known("final", 0, NOON, True) for day in week.days if day < TODAY}
    proven["day", TODAY] = Known("provisional", 0, NOON)
    assert zero_by_days(week, proven, TODAY, LONG_AGO) is True
    assert zero_by_days(week, {}, TODAY, LONG_AGO) is None
    assert zero_by_days(week, {}, TODAY, TODAY + ONE_DAY) is True  # before the site
    assert zero_by_days(week, proven | {span_of("day", week.start).key: final()}, TODAY, LONG_AGO) is False
    assert (
        zero_by_days(week, proven | {span_of("day", week.start).key: Known("unknown", None, NOON)}, TODAY, LONG_AGO)
        is False
    )


def test_unknown_periods_are_asked_for_again_often_then_daily_then_weekly() -> None:
    def again(ended_days_ago: int, hours: float) -> bool:
        span = span_of("day", TODAY - ended_days_ago * ONE_DAY)
        known = everything(NOON) | {span.key: Known("unknown", None, NOON - timedelta(hours=hours))}
        return span in due_at(NOON, known)

    assert again(2, 1)
    assert not again(2, 0.9)
    assert again(20, 24)
    assert not again(20, 23)
    settings = WebReportSettings(days=300, weeks=0, months=0)
    old = span_of("day", TODAY - 100 * ONE_DAY)
    for days, expected in ((8, True), (6, False)):
        known = {old.key: Known("unknown", None, NOON - timedelta(days=days))}
        assert (old in due(settings, known, now=NOON, zone=UTC_ZONE, first_day=old.start)) is expected


def test_old_unknown_periods_are_bounded_and_the_longest_not_asked_come_first() -> None:
    settings = WebReportSettings(days=300, weeks=0, months=0, first_time_periods=3)
    starts = [TODAY - days * ONE_DAY for days in range(10, 30)]
    known: Periods = {
        ("day", start): Known("unknown", None, NOON - timedelta(days=2, minutes=number))
        for number, start in enumerate(starts)
    }
    spans = due(settings, known, now=NOON, zone=UTC_ZONE, first_day=starts[-1])
    assert [span.start for span in spans if span.key in known] == starts[-1:-4:-1]


def test_what_is_beyond_the_settings_is_put_away() -> None:
    known = everything(NOON)
    known["day", date(2026, 1, 1)] = final()
    known["week", date(2026, 1, 5)] = final()
    assert beyond(KEPT, known, TODAY, LONG_AGO) == [("day", date(2026, 1, 1)), ("week", date(2026, 1, 5))]
    assert beyond(KEPT, everything(NOON), TODAY, LONG_AGO) == []


def test_days_asked_for_bring_the_weeks_and_months_that_hold_them() -> None:
    spans = asked_for(KEPT, (date(2026, 11, 8), date(2026, 11, 9)), TODAY, LONG_AGO)
    assert {span.key for span in spans} == {
        ("day", date(2026, 11, 8)), ("day", date(2026, 11, 9)), ("week", date(2026, 11, 2)),
        ("week", date(2026, 11, 9)), ("month", date(2026, 11, 1)),
    }  # fmt: skip


def test_a_clock_that_was_put_back_makes_readings_of_the_future_due() -> None:
    known = everything(NOON)
    assert due_at(NOON - timedelta(minutes=1), known)


@settings(max_examples=25, deadline=None)
@given(
    days=st.integers(1, 60),
    weeks=st.integers(0, 12),
    months=st.integers(0, 6),
    most=st.integers(1, 40),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    gaps=st.lists(st.integers(1, 60 * 26), min_size=1, max_size=10),
    zone=st.sampled_from(["UTC", "Europe/Copenhagen", "America/New_York", "Pacific/Auckland"]),
    zeros=st.sets(st.integers(0, 60)),
)
def test_passes_at_any_pace_read_everything_bounded_and_come_to_rest(
    days: int, weeks: int, months: int, most: int, start: datetime, gaps: list[int], zone: str, zeros: set[int]
) -> None:
    """A machine of passes: new periods are bounded each time, what is final rests, everything kept is reached."""
    kept_settings = WebReportSettings(days=days, weeks=weeks, months=months, first_time_periods=most)
    place, now = ZoneInfo(zone), start
    known: dict[tuple[PeriodName, date], Known] = {}
    first_day = (start - timedelta(days=50)).date()
    for gap in [*gaps, *[60] * 12]:
        spans = due(kept_settings, known, now=now, zone=place, first_day=first_day)
        assert len({span.key for span in spans}) == len(spans)
        today = now.astimezone(place).date()
        new = [span for span in spans if span.key not in known]
        assert len(new) <= max(most, len(PERIODS))
        for span in spans:
            assert span.start <= today
            visits = 0 if span.period == "day" and span.start.toordinal() % 61 in zeros else 7
            state = state_of(span, visits, is_proven=False, asked_at=now, zone=place)
            assert state != "final" or now >= start_of_day(span.end + ONE_DAY, place)
            known[span.key] = Known(state, None if state == "unknown" else visits, now)
        left = due(kept_settings, known, now=now, zone=place, first_day=first_day)
        assert all(span.key not in known or known[span.key].state == "unknown" for span in left)
        for key in beyond(kept_settings, known, today, first_day):
            del known[key]
        now += timedelta(minutes=gap)
    today = now.astimezone(place).date()
    if most >= 10:
        missing = [span for span in kept(kept_settings, today, first_day) if span.key not in known]
        assert all(span.end >= today - ONE_DAY for span in missing)  # begun since the last pass
    newest = last_complete_day(known)
    assert newest is None or newest < today
