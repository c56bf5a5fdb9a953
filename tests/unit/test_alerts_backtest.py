"""The figures of a back-test, and its raw and guarded lanes over made-up events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.backtest import Figures, backtest, figures
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.cli.alerts_backtest_page import headline, period_in_words, rows
from matokit_pipelines.warehouse.event_columns import Events, microseconds
from matokit_pipelines.windows import Window

ZONE = ZoneInfo("Europe/Copenhagen")
START = datetime(2026, 10, 24, 22, tzinfo=UTC)  # the local day on which clocks go back, 25 hours
PERIOD = Window(START, START + timedelta(days=7, hours=1))
HOUR = timedelta(hours=1)


def episode(subject: str, start: float, end: float | None, rule: str = "new_failure_pattern") -> Episode:
    """One from `start` to `end`, hours after the period began."""
    at = START + start * HOUR
    verdict = Verdict(rule, subject, "production", at, "ok", True, True)
    ended = None if end is None else START + end * HOUR
    return Episode(rule, subject, "production", 1, "critical", at, at, verdict, verdict, verdict, ended_at=ended)


def test_subjects_that_start_together_are_one_start_and_hours_are_counted_once() -> None:
    found = [episode("a", 1, 3), episode("b", 1, 2), episode("c", 2, 5), episode("a", 10, 11)]
    assert figures(found, PERIOD) == Figures(starts=3, episodes=4, hours=5.0)
    assert figures([], PERIOD) == Figures(0, 0, 0.0)


def test_what_goes_on_is_counted_to_the_end_of_the_period() -> None:
    assert figures([episode("a", 166, None)], PERIOD).hours == 3.0
    assert figures([episode("a", 166, 400)], PERIOD).hours == 3.0


def events(broken_from: float, broken_to: float) -> LoadedLog:
    """40 events an hour from 40 machines for six weeks, one in forty fails; in between, hours after START, half."""
    first = START - timedelta(days=35)
    minutes = np.arange(0, 42 * 24 * 60, 1.5)
    ts = microseconds(first) + (minutes * 60e6).astype(np.int64)
    number = np.arange(len(ts))
    is_broken = (ts >= microseconds(START + broken_from * HOUR)) & (ts < microseconds(START + broken_to * HOUR))
    failed = np.where(is_broken, number % 2 == 0, number % 40 == 0)
    return LoadedLog(
        {
            "production": Events.of(
                ts=ts, failed=failed, machine=number % 1_000, component=number % 3, components=("a", "b", "c"),
                architecture=number % 2, architectures=("arm64", "x86_64"), commit=0 * number, commits=("abcdef0",),
            )
        }
    )  # fmt: skip


def test_an_outage_starts_once_in_both_lanes_and_a_quiet_week_not_at_all() -> None:
    found = backtest(events(30, 34), PERIOD, AlertSettings(), zone=ZONE, only=["overall_success_rate"])
    [rule] = found.rules
    for lane in (rule.raw, rule.guarded):
        [one] = lane
        assert START + 30 * HOUR < one.started_at <= START + 32 * HOUR
        assert one.ended_at is not None
        assert one.ended_at <= START + 37 * HOUR
    assert found.ticks == (PERIOD.end - PERIOD.start) / timedelta(minutes=5)
    assert headline(found) == "1 alert by the thresholds alone, and as many with the guard."
    calm = backtest(events(-1, -1), PERIOD, AlertSettings(), zone=ZONE, only=["overall_success_rate"])
    assert (calm.rules[0].raw, calm.rules[0].guarded) == ((), ())


def test_what_fires_already_when_the_period_begins_is_left_out() -> None:
    found = backtest(events(-3, 6), PERIOD, AlertSettings(), zone=ZONE, only=["overall_success_rate"])
    assert (found.rules[0].raw, found.rules[0].guarded) == ((), ())


def test_data_stale_and_rules_that_are_off_are_in_no_back_test() -> None:
    settings = AlertSettings.model_validate({"rules": {"arch_gap": {"enabled": False}}})
    found = backtest(events(0, 0), Window(START, START + HOUR), settings, zone=ZONE)
    assert {rule.rule for rule in found.rules} >= {"overall_success_rate", "no_events"}
    assert not {"data_stale", "arch_gap"} & {rule.rule for rule in found.rules}
    assert all(row["raw_per_week"] == 0 for row in rows(found))


def test_whole_days_are_named_as_days_over_a_change_of_clocks() -> None:
    whole = period_in_words(PERIOD, ZONE).replace("\u00a0", " ")
    assert whole == "Sun 25 Oct to Sat 31 Oct 2026"
    part = period_in_words(Window(START, START + 5 * HOUR), ZONE).replace("\u00a0", " ")
    assert part == "Sun 25 Oct 00:00 to Sun 25 Oct 2026 04:00"
