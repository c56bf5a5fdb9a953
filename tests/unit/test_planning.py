"""What a pass reads: everything since the beginning, nothing closed twice, and closed days against their reports."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.ledger import Reconciled
from matokit_pipelines.warehouse.planning import (
    LOOK_BACK,
    OVERLAP,
    READS_OF_A_DIFFERING_DAY,
    RECONCILED_DAYS,
    Step,
    asked,
    days_to_reconcile,
    latest_night,
    plan,
    stretches,
    verdict_of,
)
from matokit_pipelines.windows import Window, day_window, gap_free_end, joined, local_date, start_of_day

zones = st.sampled_from([ZoneInfo(name) for name in ("UTC", "Europe/Copenhagen", "America/New_York", "Asia/Kathmandu")])
BASE = datetime(2026, 10, 20, tzinfo=UTC)  # clocks change on the 25th (Europe) and on 1 November (America)
minutes = st.integers(0, 20 * 24 * 60)


def at(minute: int) -> datetime:
    return BASE + timedelta(minutes=minute)


@given(zones, minutes, minutes, st.lists(st.tuples(minutes, minutes), max_size=6), st.one_of(st.none(), minutes))
def test_plan_leaves_no_gap(
    zone: ZoneInfo, one: int, two: int, covered: list[tuple[int, int]], looked_back: int | None
) -> None:
    since = start_of_day(local_date(at(min(one, two)), zone), zone)
    now = at(max(one, two) + 1)
    known = joined(Window(at(min(w)), min(at(max(w)), now)) for w in covered if at(min(w)) < now)
    steps = plan(
        known, since=since, now=now, zone=zone, looked_back_at=None if looked_back is None else at(looked_back)
    )
    assert gap_free_end([*known, *(step.window for step in steps)], since) == now
    slices = [step for step in steps if step.day]
    assert len({step.day for step in slices}) == len(slices)
    for step in slices:
        assert step.day is not None
        assert step.window == day_window(step.day, zone)
        assert step.window.end <= now, "only closed days may be read as slices"
        assert gap_free_end(known, step.window.start) < step.window.end, "what is covered is not read again"
    [last] = [step for step in steps if not step.day]
    assert last is steps[-1]
    assert last.window.end == now
    assert last.window.start <= now - OVERLAP


@given(zones, st.lists(st.integers(1, 3 * 24 * 60), min_size=1, max_size=12))
def test_passes_over_weeks_read_each_closed_day_once_at_most(zone: ZoneInfo, gaps: list[int]) -> None:
    since = start_of_day(local_date(BASE, zone), zone)
    covered: list[Window] = []
    slices: Counter[date | None] = Counter()
    now, looked_back_at = BASE, None
    for gap in gaps:
        now += timedelta(minutes=gap)
        for step in plan(covered, since=since, now=now, zone=zone, looked_back_at=looked_back_at):
            covered = joined([*covered, step.window])
            slices[step.day] += bool(step.day)
            if step.tier == "look_back" or looked_back_at is None:
                looked_back_at = now
        assert gap_free_end(covered, since) == now
    assert max(slices.values(), default=0) <= 1


@given(zones, st.lists(st.integers(5, 300), min_size=30, max_size=60))
def test_last_two_days_are_read_again_once_a_night(zone: ZoneInfo, gaps: list[int]) -> None:
    since = start_of_day(local_date(BASE, zone), zone)
    covered: list[Window] = []
    now = BASE + timedelta(days=5)
    looked_back_at = now
    nights: Counter[datetime] = Counter()
    for gap in gaps:
        for step in plan(covered, since=since, now=now, zone=zone, looked_back_at=looked_back_at):
            covered = joined([*covered, step.window])
            if step.tier == "look_back":
                assert step.window.start <= now - LOOK_BACK
                looked_back_at = now
                nights[latest_night(now, zone)] += 1
        now += timedelta(minutes=gap)
    assert set(nights.values()) <= {1}
    assert len(nights) >= (now - BASE - timedelta(days=5)).days - 1


def test_first_pass_reads_history_by_days_and_today_by_cursor() -> None:
    zone = ZoneInfo("Europe/Copenhagen")
    now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    steps = plan([], since=start_of_day(date(2026, 10, 24), zone), now=now, zone=zone, looked_back_at=None)
    assert [(step.tier, step.day) for step in steps] == [
        ("history", date(2026, 10, 24)),
        ("history", date(2026, 10, 25)),
        ("recent", None),
    ]
    assert steps[-1].window == Window(datetime(2026, 10, 25, 22, tzinfo=UTC), now)


def test_beginning_that_is_still_to_come_reads_nothing_by_days() -> None:
    now = datetime(2026, 10, 26, 12, tzinfo=UTC)
    [step] = plan([], since=now + timedelta(days=3), now=now, zone=ZoneInfo("UTC"), looked_back_at=None)
    assert step.day is None


@given(zones, minutes, minutes, minutes)
def test_asked_days_are_whole_and_today_goes_by_cursor(zone: ZoneInfo, one: int, two: int, now: int) -> None:
    first, last = sorted((local_date(at(one), zone), local_date(at(two), zone)))
    today = local_date(at(now), zone)
    if first > today:
        with pytest.raises(SettingsError, match="has not begun"):
            asked(first, last, now=at(now), zone=zone)
        return
    steps: list[Step] = asked(first, last, now=at(now), zone=zone)
    end = min(at(now), day_window(last, zone).end)
    assert gap_free_end([step.window for step in steps], start_of_day(first, zone)) >= end
    assert all(step.window.end <= at(now) for step in steps)


@pytest.mark.parametrize(
    ("reported", "extracted", "truncated", "verdict"),
    [
        (5, 5, 0, "equal"), (0, 0, 0, "equal"), (0, 5, 0, "not_archived"), (4, 5, 0, "report_behind"),
        (6, 5, 0, "differs"), (6, 5, 1, "truncated"), (7, 5, 1, "differs"), (655, 505, 150, "truncated"),
    ],
)  # fmt: skip
def test_verdicts(reported: int, extracted: int, truncated: int, verdict: str) -> None:
    assert verdict_of(reported, extracted, truncated) == verdict


NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def entry(day: date, verdict: str, hours_ago: float, reads: int = 0) -> dict[date, Reconciled]:
    return {day: Reconciled(day, 1, 1, 0, verdict, reads, NOW - timedelta(hours=hours_ago))}


@pytest.mark.parametrize(
    ("known", "due"),
    [
        ({}, True),
        (entry(date(2026, 11, 19), "equal", 1), False),
        (entry(date(2026, 11, 19), "equal", 10), True),  # before 03:00 of this night
        (entry(date(2026, 11, 19), "differs", 0.5), False),
        (entry(date(2026, 11, 19), "differs", 2), True),
        (entry(date(2026, 11, 19), "not_archived", 2), True),
        (entry(date(2026, 11, 19), "differs", 2, READS_OF_A_DIFFERING_DAY), False),
    ],
)
def test_when_a_closed_day_is_compared_again(known: dict[date, Reconciled], due: bool) -> None:
    found = days_to_reconcile(known, since=datetime(2026, 11, 19, tzinfo=UTC), now=NOW, zone=UTC_ZONE)
    assert found == ([date(2026, 11, 19)] if due else [])


def test_old_days_are_compared_once_and_the_last_seven_nightly() -> None:
    days = [date(2026, 11, 1) + timedelta(days=n) for n in range(19)]
    known = {day: Reconciled(day, 1, 1, 0, "equal", 0, NOW - timedelta(days=1)) for day in days}
    due = days_to_reconcile(known, since=datetime(2026, 11, 1, tzinfo=UTC), now=NOW, zone=UTC_ZONE)
    assert due == days[-RECONCILED_DAYS:]


def test_reports_are_asked_for_the_due_days_and_no_other() -> None:
    due = [date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 19)]
    assert stretches(due, 31) == [(date(2026, 11, 1), date(2026, 11, 3)), (date(2026, 11, 19), date(2026, 11, 19))]
    assert stretches(due, 2) == [
        (date(2026, 11, 1), date(2026, 11, 2)),
        (date(2026, 11, 3), date(2026, 11, 3)),
        (date(2026, 11, 19), date(2026, 11, 19)),
    ]
    assert stretches([], 31) == []
