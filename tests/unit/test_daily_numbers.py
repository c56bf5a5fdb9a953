"""The numbers of the daily report against a plain count of the same events; windows over changes of the clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.reports.comparison import SMALL_NUMBER
from matokit_pipelines.reports.daily.numbers import AS_ROWS, IN_FULL, Mornings, window_end
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Failures, Standing
from tests import plain_rules
from tests.daily_scenes import DAY, END, START, history, morning, tries
from tests.weekly_marts import Event, Source

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
HOUR = timedelta(hours=1)


def before(days: int) -> datetime:
    """Seven o'clock so many days before the window: clocks were changed in between."""
    return datetime.combine(DAY - timedelta(days=days + 1), time(7), COPENHAGEN).astimezone(UTC)


def some_events(seed: int) -> list[Event]:
    """Forty days of a few components, systems and commits on machines that come back, with events at every edge."""
    random = Random(seed)
    events = []
    for name, usual in (("python_install", 0.05), ("latex", 0.2), ("conda", 0.0), ("rare", 0.3)):
        for back in range(40):
            for _ in range(random.randrange(1 if name == "rare" else 8)):
                at = END - timedelta(days=back, seconds=random.randrange(86_400))
                wrong = usual + (0.5 if name == "python_install" and back == 0 else 0)
                failed = random.random() < wrong
                events.append(
                    Event(
                        at, name, "failure" if failed else "success", f"m{random.randrange(30)}",
                        environment="ci" if random.random() < 0.2 else "production",
                        error_type=random.choice(["timeout", "network", None]) if failed else None,
                        architecture=random.choice(["arm64", "x86_64"]),
                        os_release=random.choice(["macOS 14.2", "Windows 11"]),
                        commit_sha=f"{back // 3:07x}",
                        confidence=random.choice(["certain", "inferred"]),
                    )
                )  # fmt: skip
    for edge in (START, END, before(7), before(28)):
        for shift in (timedelta(microseconds=-1), timedelta(), timedelta(microseconds=1)):
            events.append(Event(edge + shift, "latex", "failure", "edge", commit_sha=None))
    events.append(Event(END - HOUR, "latex", "success", "left-out", left_out_reason="test"))
    return events


def within(events: Iterable[Event], start: datetime, end: datetime, environment: str = "production") -> list[Event]:
    return [
        one
        for one in events
        if start <= one.event_ts < end and one.environment == environment and one.left_out_reason is None
    ]


def failed(events: Iterable[Event]) -> int:
    return sum(one.outcome == "failure" for one in events)


def counts(found: Failures) -> tuple[int, int]:
    return found.failures, found.events


def counted(events: Sequence[Event]) -> tuple[int, int]:
    return failed(events), len(events)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_totals_and_components_are_those_of_a_plain_count(seed: int) -> None:
    events = some_events(seed)
    numbers = morning(events)
    now = within(events, START, END)
    assert counts(numbers.totals.counts) == counted(now)
    assert counts(numbers.totals.week) == counted(within(events, before(7), START))
    assert counts(numbers.totals.four_weeks) == counted(within(events, before(28), START))
    assert numbers.totals.machines == len({one.machine_key for one in now})
    assert numbers.totals.machines_failing == len({one.machine_key for one in now if one.outcome == "failure"})
    by_name: dict[str, list[Event]] = {}
    for one in now:
        by_name.setdefault(one.component, []).append(one)
    assert numbers.totals.components == len(by_name)
    assert numbers.totals.components_failing == sum(failed(own) > 0 for own in by_name.values())
    wanted = {name for name, own in by_name.items() if 100 * failed(own) > 10 * len(own)}
    rows = [one.row for one in numbers.components]
    assert {row.component for row in rows if row.is_listed} == wanted
    assert numbers.totals.listed == len(wanted)
    assert numbers.totals.listed_enough == sum(len(by_name[name]) >= SMALL_NUMBER for name in wanted)
    for row in rows:
        own = by_name[row.component]
        assert counts(row.counts) == counted(own)
        assert row.machines == len({one.machine_key for one in own})
        assert row.machines_failing == len({one.machine_key for one in own if one.outcome == "failure"})
        for days, found in ((7, row.week), (28, row.four_weeks)):
            earlier = within(events, before(days), START)
            assert counts(found) == counted([one for one in earlier if one.component == row.component])
    assert numbers.quality.counted == len([e for e in events if START <= e.event_ts < END and not e.left_out_reason])
    assert [(one.reason, one.rows) for one in numbers.quality.left_out] == [("test", 1)]
    assert numbers.quality.inferred_events == sum(one.confidence == "inferred" for one in now)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_component_in_full_is_that_of_a_plain_count(seed: int) -> None:
    events = some_events(seed)
    for one in morning(events).components:
        own = [event for event in events if event.component == one.row.component]
        now = within(own, START, END)
        systems = {(row.os_release, row.architecture): counts(row.counts) for row in one.systems}
        bad = {(e.os_release, e.architecture) for e in now if e.outcome == "failure"}
        assert set(systems) == bad
        for key, found in systems.items():
            assert found == counted([e for e in now if (e.os_release, e.architecture) == key])
        assert sum(row.failures for row in one.errors) == failed(now)
        for stretch in one.trend:
            assert counts(stretch.counts) == counted(within(own, stretch.start, stretch.end))
        assert (one.trend[-1].start, one.trend[-1].end, len(one.trend)) == (START, END, 14)
        ci = within(own, END - timedelta(days=1), END, "ci")
        assert counts(one.ci.last_day) == counted(ci)
        shas = {row.commit_sha for row in one.commits} | ({one.began.commit_sha} if one.began else set())
        week = within(own, END - timedelta(days=7), END, "ci")
        assert counts(one.ci.commits) == counted([e for e in week if e.commit_sha in shas - {None}])
        _holds_began(one, own)
        _holds_commits(one, events)


def _holds_began(one, own: Sequence[Event]) -> None:
    """The last failure after ten successes or more in a row, from a week before the window on."""
    row, began = 0, None
    for event in sorted(within(own, START - timedelta(days=7), END), key=lambda e: e.event_ts):
        if event.outcome == "failure" and row >= 10:
            began = event
        row = 0 if event.outcome == "failure" else row + 1
    assert (one.began is None) == (began is None)
    if began is not None:
        assert (one.began.at, one.began.commit_sha) == (began.event_ts, began.commit_sha)


def _holds_commits(one, events: Sequence[Event]) -> None:
    """Commits by their first production event, in the 48 hours before failures began."""
    firsts: dict[str, datetime] = {}
    for event in events:
        if event.environment == "production" and event.commit_sha and event.left_out_reason is None:
            firsts[event.commit_sha] = min(firsts.get(event.commit_sha, event.event_ts), event.event_ts)
    first, last = (one.began.at, one.began.at) if one.began else (START, END)
    wanted = {sha for sha, seen in firsts.items() if first - 48 * HOUR <= seen <= last and seen < END}
    assert {row.commit_sha for row in one.commits} == wanted
    assert all(row.first_seen == firsts[row.commit_sha] for row in one.commits)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_triggers_are_those_of_the_plain_rules(seed: int) -> None:
    events = [one for one in some_events(seed) if one.environment == "production" and one.left_out_reason is None]
    given = [
        plain_rules.Event(e.event_ts, e.component, str(e.machine_key), e.outcome == "failure", e.commit_sha)
        for e in events
    ]
    found = {(one.subject or "*"): one for one in morning(events).triggers if one.rule == "success_drop_7d"}
    theirs = plain_rules.success_drop(given, END)
    assert {name for name, one in found.items() if one.is_met} == {name for name, one in theirs.items() if one.raw}
    assert {name for name, one in found.items() if one.is_guarded} == {n for n, one in theirs.items() if one.guarded}


def test_an_old_morning_is_made_again_as_it_was() -> None:
    events = some_events(4)
    later = [*events, *tries("latex", 40, 30, start=END)]
    first, again = morning(events), morning(later, watermark=END + timedelta(days=30))
    assert replace(again, watermark=first.watermark, quality=first.quality) == first


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 10, 25), 25), (date(2026, 3, 29), 23), (date(2026, 10, 26), 24)]
)
def test_a_window_over_a_change_of_the_clock_goes_from_seven_to_seven(day: date, hours: int) -> None:
    mornings = Mornings(day, AlertSettings(), COPENHAGEN)
    start, end = mornings.before(1), mornings.before(0)
    assert end - start == hours * HOUR
    assert {at.astimezone(COPENHAGEN).hour for at in mornings.edges(28, 0)} == {7}
    every_hour = [Event(start + place * HOUR, "latex", machine_key=f"m{place}") for place in range(-1, hours + 1)]
    numbers = morning(every_hour, day=day, watermark=end + HOUR)
    assert numbers.totals.counts.events == hours


def test_the_clock_is_that_of_the_alerts() -> None:
    settings = AlertSettings(timezone="America/New_York", daily_at="06:30")
    numbers = morning([Event(START, "latex")], settings=settings, watermark=END + 24 * HOUR)
    assert numbers.period.end == datetime(2026, 11, 20, 11, 30, tzinfo=UTC)
    assert numbers.zone == "America/New_York"


def test_the_window_is_cut_to_the_second() -> None:
    cut = END - timedelta(seconds=90, microseconds=-250_000)
    events = [*tries("latex", 20), Event(cut, "late"), Event(END - timedelta(seconds=89), "later")]
    numbers = morning(events, watermark=cut)
    assert numbers.window_end == END - timedelta(seconds=90)
    assert numbers.totals.counts.events == 20
    assert window_end(DAY, START, AlertSettings(), COPENHAGEN) is None
    assert window_end(DAY, START + timedelta(seconds=1), AlertSettings(), COPENHAGEN) == START + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("events", "failures"),
    [([Event(START, "latex")], 0), ([Event(START, "latex", "failure")], 1), (tries("latex", 30, 30), 30)],
)
def test_one_event_and_only_failures(events: list[Event], failures: int) -> None:
    numbers = morning(events)
    assert counts(numbers.totals.counts) == (failures, len(events))
    assert numbers.totals.four_weeks.failure_rate is None
    assert numbers.totals.verdict == "too few"
    assert numbers.totals.listed == (failures > 0)


def test_an_empty_window_has_no_rates() -> None:
    numbers = morning([])
    assert numbers.totals.counts.failure_rate is None
    assert not numbers.components
    assert not numbers.triggers
    assert not numbers.worth_sending


def test_ten_thousand_components_are_bounded_and_counted() -> None:
    _holds_bounds(failing=300)


@pytest.mark.slow
def test_ten_thousand_failing_components_are_bounded_and_counted() -> None:
    _holds_bounds(failing=10_000)


def _holds_bounds(failing: int) -> None:
    numbers = morning(
        Event(START + timedelta(seconds=4 * place + n), f"c{place:05d}", outcome, f"m{place}-{n}")
        for place in range(10_000)
        for n, outcome in enumerate(["failure" if place < failing else "success"] * 2)
    )
    assert (numbers.totals.components, numbers.totals.listed) == (10_000, failing)
    assert (len(numbers.components), len(numbers.others)) == (IN_FULL, AS_ROWS)
    assert numbers.others_more == failing - IN_FULL - AS_ROWS
    met = numbers.met.more_than_chance + numbers.met.could_be_chance
    assert len(numbers.triggers) + numbers.triggers_more == met >= failing


def test_a_slow_regression_says_when_it_began() -> None:
    began = START - timedelta(days=3)
    numbers = morning([*history("latex", 20), *tries("latex", 20, 9)], standing=Standing(regressions={"latex": began}))
    assert numbers.components[0].started_at == began


def test_keys_that_are_no_machines_are_told() -> None:
    events = [replace(one, machine_key="everybody") for one in [*history("latex", 20), *tries("latex", 40, 20)]]
    numbers: DailyNumbers = morning(events)
    assert numbers.quality.shared_keys
    assert numbers.quality.largest_machine == 1.0
    assert any(one.is_guarded for one in numbers.triggers)


def test_what_sources_lack_is_of_the_window_and_the_week_before() -> None:
    loss = Source(watermark=END, truncated=((DAY, 3), (DAY - timedelta(days=4), 5), (DAY - timedelta(days=40), 9)))
    [source] = morning(tries("latex", 20), sources=(loss,)).quality.sources
    assert (source.in_period.truncated, source.in_period_before.truncated, source.ever.truncated) == (3, 5, 17)
