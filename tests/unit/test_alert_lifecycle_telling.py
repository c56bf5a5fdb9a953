"""What is told of many alerts at once: who shares a message or a thread, what waits for whom, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.book import Dispatch
from matokit_pipelines.alerts.conversations import MOST_AN_HOUR
from matokit_pipelines.alerts.evaluation import stale_verdict
from matokit_pipelines.alerts.evaluator import Evaluator, Outcome, replay
from matokit_pipelines.alerts.event_log import EventLog, LoadedLog
from matokit_pipelines.alerts.lifecycle import GRID
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.alerts.tracing import Run, by_fingerprint
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.delivery_settings import RecipientSettings

START = datetime(2026, 3, 10, 8, tzinfo=UTC)  # a Tuesday; 09:00 in Copenhagen
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
CALL, TEAM, SLACK = "email:call@example.org", "email:team@example.org", "slack:#alerts"
RECIPIENTS = RecipientSettings(on_call=(CALL, SLACK), development=(TEAM, SLACK))
MINUTE = timedelta(minutes=1)


def course(rule: str, subject: str, letters: str, failures: int = 5, begin: datetime = START) -> list[Run]:
    """Run-length coded evaluations such as "F2 T10 N3" from `begin` on."""
    found, tick = [], 0
    for word in letters.split():
        letter, count = word[0], int(word[1:])
        at = begin + tick * GRID
        state: Any = "no_data" if letter == "N" else "ok"
        inputs = {"n": 20, "failures": failures} if state == "ok" else {}
        verdict = Verdict(rule, subject, "production", at, state, letter in "TR", letter == "T", inputs)
        found.append(Run(verdict, at, at + (count - 1) * GRID))
        tick += count
    return found


def once_a_day(rule: str, subject: str, letters: str, first: datetime) -> list[Run]:
    """One evaluation a day, such as "TTF"."""
    days = [first + number * timedelta(days=1) for number in range(len(letters))]
    return [course(rule, subject, f"{letter}1", begin=at)[0] for letter, at in zip(letters, days, strict=True)]


def told(
    *courses: list[Run], hours: int = 12, silences: Sequence[Silence] = (), **settings: Any
) -> list[tuple[int, str, tuple[str, ...], str, str]]:
    """(minute, kind, subjects, destination, conversation) of what would have been told, in order."""
    return [shown(entry) for entry in dispatched(*courses, hours=hours, silences=silences, **settings)]


def dispatched(
    *courses: list[Run], hours: int = 12, silences: Sequence[Silence] = (), **settings: Any
) -> tuple[Dispatch, ...]:
    runs = by_fingerprint(run for found in courses for run in found)
    alerts = AlertSettings.model_validate(settings)
    until = START + timedelta(hours=hours)
    return replay(runs, alerts, RECIPIENTS, zone=COPENHAGEN, until=until, silences=silences).dispatches


def shown(entry: Dispatch) -> tuple[int, str, tuple[str, ...], str, str]:
    subjects = tuple(episode.subject for episode in entry.announcement.episodes)
    minute = (entry.announcement.at - START) // MINUTE
    return minute, entry.announcement.kind, subjects, entry.destination, entry.conversation


def silence(begin: int, end: int, **matchers: str) -> Silence:
    """From minute to minute."""
    return Silence(1, matchers, START + begin * MINUTE, START + end * MINUTE, "somebody", "a test", START)


def test_subjects_that_start_together_share_a_message_worst_first_and_end_in_its_thread() -> None:
    mild = course("slow_regression", "a", "F1 T6 F30", failures=4)
    bad = course("slow_regression", "b", "F1 T6 F30", failures=9)
    thread = f"slow_regression|b|production|1|{TEAM}"
    mails = [entry for entry in told(mild, bad) if entry[3] == TEAM]
    assert mails == [(5, "firing", ("b", "a"), TEAM, thread), (95, "resolved", ("b", "a"), TEAM, thread)]


def test_later_subjects_join_the_thread_for_half_an_hour() -> None:
    courses = [course("slow_regression", name, f"F{wait} T30 F30") for name, wait in (("a", 1), ("b", 6), ("c", 7))]
    kinds = [(entry[0], entry[1], entry[2]) for entry in told(*courses) if entry[3] == TEAM]
    assert kinds[:3] == [(5, "firing", ("a",)), (30, "joined", ("b",)), (35, "firing", ("c",))]


def test_grouping_can_be_switched_off() -> None:
    courses = [course("slow_regression", name, f"F{wait} T30 F30") for name, wait in (("a", 1), ("b", 2))]
    kinds = [entry[1] for entry in told(*courses, grouping=0) if entry[3] == TEAM]
    assert kinds[:2] == ["firing", "firing"]


def test_the_overall_alert_takes_others_into_its_thread_for_those_who_got_it() -> None:
    overall = course("overall_success_rate", "*", "F1 T40 F30")
    volume = course("high_volume_failures", "*", "F1 T10 F90")
    pattern = course("new_failure_pattern", "python", "F2 T10 F90")
    found = told(overall, volume, pattern, hours=3)
    firsts = [(entry[1], entry[3], entry[4].split("|")[0]) for entry in found if entry[1] in ("firing", "joined")]
    assert firsts == [
        ("firing", CALL, "overall_success_rate"),
        ("firing", SLACK, "overall_success_rate"),
        ("joined", CALL, "overall_success_rate"),
        ("joined", SLACK, "overall_success_rate"),
        ("firing", TEAM, "new_failure_pattern"),  # the team did not get the overall alert
        ("joined", SLACK, "overall_success_rate"),
    ]


def test_nothing_is_inhibited_once_the_overall_alert_is_over() -> None:
    overall = course("overall_success_rate", "*", "T1 F60")
    volume = course("high_volume_failures", "*", "F20 T10 F30")
    assert [entry[1] for entry in told(overall, volume) if entry[3] == CALL] == [
        "firing", "resolved", "firing", "resolved",
    ]  # fmt: skip


def test_reminders_of_what_shares_a_thread_are_one() -> None:
    courses = [course("new_failure_pattern", name, f"F{wait} T140") for name, wait in (("a", 1), ("b", 3))]
    found = [entry for entry in dispatched(*courses) if entry.announcement.kind == "reminder"]
    minutes = [(shown(entry)[0], entry.announcement.k, shown(entry)[2]) for entry in found if entry.destination == TEAM]
    assert minutes == [(245, 1, ("a", "b")), (485, 2, ("a", "b"))]
    keys = [entry.message_key for entry in found if entry.destination == TEAM]
    assert keys[0] == f"new_failure_pattern|a|production|1|reminder:1|{TEAM}"


def test_what_an_overall_alert_explains_is_not_reminded_of() -> None:
    overall, volume = (course(rule, "*", "F1 T60") for rule in ("overall_success_rate", "high_volume_failures"))
    reminded = [entry for entry in dispatched(overall, volume, hours=5) if entry.announcement.kind == "reminder"]
    assert {entry.announcement.episodes[0].rule for entry in reminded} == {"overall_success_rate"}


def test_warnings_wait_for_the_next_opening_in_one_digest_those_that_are_over_too() -> None:
    over = course("commit_regression", "abc1234", "F1 T6 F280")
    lasting = course("commit_regression", "def5678", "F20 T300")
    found = [entry for entry in dispatched(over, lasting, hours=24) if entry.destination == TEAM]
    assert [shown(entry)[1:3] for entry in found] == [("digest", ("abc1234", "def5678"))]
    [digest] = found
    assert digest.announcement.at == datetime(2026, 3, 11, 7, 30, tzinfo=UTC)
    assert digest.announcement.digest == "warnings"
    assert [episode.ended_at is not None for episode in digest.announcement.episodes] == [True, False]


def test_the_end_of_what_a_digest_told_comes_in_its_thread_and_the_end_of_what_was_over_does_not() -> None:
    over = course("commit_regression", "abc1234", "F1 T6 F400")
    lasting = course("commit_regression", "def5678", "F20 T300 F80")
    found = [entry for entry in dispatched(over, lasting, hours=33) if entry.destination == TEAM]
    assert [(shown(entry)[1], shown(entry)[2]) for entry in found] == [
        ("digest", ("abc1234", "def5678")), ("resolved", ("def5678",)),
    ]  # fmt: skip
    assert found[1].conversation == found[0].conversation == f"commit_regression|abc1234|production|1|{TEAM}"


def test_a_digest_goes_to_each_destination_with_its_own_rules() -> None:
    commit = course("commit_regression", "abc1234", "F1 T300")
    gap = course("arch_gap", "x86_64", "T1", begin=datetime(2026, 3, 10, 23, tzinfo=UTC))
    found = dispatched(
        commit,
        gap,
        hours=24,
        rules={"commit_regression": {"destinations": [TEAM]}, "arch_gap": {"destinations": [CALL]}},
    )
    assert {(entry.destination, entry.announcement.episodes[0].rule) for entry in found} == {
        (TEAM, "commit_regression"), (CALL, "arch_gap"),
    }  # fmt: skip


def test_the_daily_rules_are_one_message_of_their_run() -> None:
    run = datetime(2026, 3, 11, 6, tzinfo=UTC)  # 07:00 in Copenhagen
    found = dispatched(
        once_a_day("component_failure_rate", "python", "TTFF", run),
        once_a_day("success_drop_7d", "*", "TFFF", run),
        hours=24 * 5,
    )
    mails = [entry for entry in found if entry.destination == CALL]
    assert [(entry.announcement.at, entry.announcement.kind, len(entry.announcement.episodes)) for entry in mails] == [
        (run, "digest", 2),
        (run + timedelta(days=2), "resolved", 1),
        (run + timedelta(days=3), "resolved", 1),
    ]
    assert mails[0].announcement.digest == "health"
    assert {entry.severity for entry in mails} == {"daily"}


def test_a_commit_names_the_daily_rules_that_it_explains() -> None:
    run = datetime(2026, 3, 11, 6, tzinfo=UTC)
    commit = course("commit_regression", "abc1234", "F1 T300")
    found = dispatched(commit, once_a_day("component_failure_rate", "python", "TT", run), hours=24)
    digests = {entry.announcement.digest: entry.announcement for entry in found if entry.destination == SLACK}
    assert digests["warnings"].explains == ("component_failure_rate",)
    assert digests["health"].explains == ()


def test_quiet_hours_hold_back_what_is_not_critical_until_one_digest() -> None:
    night = datetime(2026, 3, 10, 22, tzinfo=UTC)  # 23:00 in Copenhagen
    quiet = {"begin": "22:00", "end": "07:00"}
    gone = course("slow_regression", "a", "T6 F60", begin=night)
    lasting = course("slow_regression", "b", "F12 T200", begin=night)
    critical = course("overall_success_rate", "*", "T6 F60", begin=night)
    found = [
        entry
        for entry in dispatched(gone, lasting, critical, hours=26, quiet_hours=quiet)
        if entry.destination in (TEAM, CALL)
    ]
    assert [(entry.announcement.kind, entry.destination, shown(entry)[2]) for entry in found] == [
        ("firing", CALL, ("*",)), ("resolved", CALL, ("*",)), ("digest", TEAM, ("a", "b")),
    ]  # fmt: skip
    assert found[-1].announcement.at == datetime(2026, 3, 11, 6, tzinfo=UTC)


def test_a_quiet_end_is_told_after_quiet_hours() -> None:
    evening = datetime(2026, 3, 10, 20, tzinfo=UTC)
    warning = course("slow_regression", "a", "T6 F60", begin=evening)
    found = dispatched(warning, hours=26, quiet_hours={"begin": "22:00", "end": "07:00"})
    [end] = [entry for entry in found if entry.announcement.kind == "resolved" and entry.destination == TEAM]
    assert (end.announcement.at, end.due) == (evening + 90 * MINUTE, datetime(2026, 3, 11, 6, tzinfo=UTC))


def test_a_silence_holds_back_the_beginning_until_it_ends_and_never_the_end() -> None:
    lasting = course("overall_success_rate", "*", "T40 F20")
    kinds = [entry[:2] for entry in told(lasting, silences=[silence(0, 62, rule="overall_*")]) if entry[3] == CALL]
    assert kinds == [(65, "firing"), (260, "resolved")]  # the evaluation at 60 lies within it
    told_before = [entry[:2] for entry in told(lasting, silences=[silence(10, 600, subject="*")]) if entry[3] == CALL]
    assert told_before == [(0, "firing"), (260, "resolved")]


def test_what_lived_wholly_in_a_silence_is_told_by_nobody_a_digest_included() -> None:
    assert told(course("overall_success_rate", "*", "T3 F30"), silences=[silence(0, 300, subject="?")]) == []
    warning = course("commit_regression", "abc1234", "T3 F280")
    assert told(warning, hours=24, silences=[silence(0, 1500, commit="abc*")]) == []


def test_a_silence_of_a_component_is_about_rules_by_component() -> None:
    held = silence(0, 900, component="pyth*")
    pattern, slow, whole = (
        course(rule, subject, "T30")
        for rule, subject in (
            ("new_failure_pattern", "python"), ("slow_regression", "packages"), ("overall_success_rate", "*"),
        )
    )  # fmt: skip
    rules = {entry[4].split("|")[0] for entry in told(pattern, slow, whole, silences=[held])}
    assert rules == {"slow_regression", "overall_success_rate"}


def test_a_flood_of_invented_names_does_not_flood_anybody() -> None:
    names = [f"invented_{number}" for number in range(600)]
    courses = [course("new_failure_pattern", name, f"F{number // 10} T12 F80") for number, name in enumerate(names)]
    found = [entry for entry in dispatched(*courses, hours=14) if entry.destination == TEAM]
    for entry in found:
        window = [
            other
            for other in found
            if other.announcement.kind != "reminder"
            and timedelta() <= other.announcement.at - entry.announcement.at < timedelta(hours=1)
        ]
        assert len(window) <= MOST_AN_HOUR
    told_of = [
        episode.subject
        for entry in found
        for episode in entry.announcement.episodes
        if entry.announcement.kind in ("firing", "joined", "past")
    ]
    assert sorted(told_of) == sorted(names)  # held back, none forgotten


def test_the_gap_of_the_last_complete_day_stands_until_the_next_midnight() -> None:
    midnight = datetime(2026, 3, 10, 23, tzinfo=UTC)
    found = dispatched(once_a_day("arch_gap", "x86_64", "TF", midnight), hours=48)
    mails = [(entry.announcement.kind, entry.announcement.at) for entry in found if entry.destination == TEAM]
    # one hour after the first midnight that finds nothing
    assert mails == [("digest", midnight + 8.5 * timedelta(hours=1)), ("resolved", midnight + timedelta(hours=25))]


def test_a_subject_that_a_rule_says_nothing_of_any_more_is_closed_as_not_measurable() -> None:
    gone = course("slow_regression", "python", "T3")
    other = course("slow_regression", "packages", "F500")
    found = [entry for entry in dispatched(gone, other, hours=30) if entry.destination == TEAM]
    assert [(shown(entry)[0], entry.announcement.episodes[0].end_reason) for entry in found] == [
        (0, None), (10 + 24 * 60, "no_longer_measurable"),
    ]  # fmt: skip


def test_keys_name_the_alert_its_episode_the_occasion_and_the_destination() -> None:
    twice = course("overall_success_rate", "*", "T1 F20 T1 F20")
    keys = [entry.message_key for entry in dispatched(twice) if entry.destination == CALL]
    assert keys == [
        f"overall_success_rate|*|production|{number}|{kind}|{CALL}"
        for number in (1, 2)
        for kind in ("firing", "resolved")
    ]


@pytest.mark.parametrize("letters", ["F2 T6 N52", "F2 T6 F3 N49"], ids=["fires", "recovers"])
def test_what_began_before_the_data_end_is_told_at_once_though_one_run_finds_both(letters: str) -> None:
    """Nothing is told without data, but a beginning that nobody could tell of: it would be told a day later."""

    def judge(log: EventLog, ticks: Sequence[datetime], *, singly: bool) -> dict[str, list[Run]]:
        runs = (run.within(ticks[0], ticks[-1]) for run in course("overall_success_rate", "*", letters) if ticks)
        return by_fingerprint(run for run in runs if run)

    def kinds(outcome: Outcome) -> list[str]:
        return [entry.announcement.kind for entry in outcome.dispatches if entry.destination == CALL]

    evaluator, log = Evaluator(AlertSettings(), RECIPIENTS, zone=COPENHAGEN, judge=judge), LoadedLog({})
    told = [
        kinds(evaluator.run(log, now=START + tick * GRID, watermark=START + tick * GRID)) for tick in (0, 40, 50, 59)
    ]
    assert told == [[], ["firing"], [], []]


def test_what_a_silence_holds_by_the_time_of_the_data_alone_keeps_no_timer() -> None:
    at = START + timedelta(hours=3)  # the silence is over on the wall, while data are complete to within it
    runs = by_fingerprint(course("overall_success_rate", "*", "F1 T60"))
    evaluator = Evaluator(AlertSettings(), RECIPIENTS, zone=COPENHAGEN)
    evaluator.advance(runs, until=START + timedelta(hours=1))
    held = silence(50, 120, rule="overall_success_rate")
    inside, beyond = START + timedelta(hours=1), START + timedelta(hours=2)
    assert evaluator.next_timer(at, inside, [held]) is None
    assert evaluator.next_timer(at, beyond, [held]) == START + timedelta(hours=4, minutes=5)  # the reminder


def test_old_data_of_a_rule_that_is_switched_off_are_no_longer_told_of() -> None:
    settings = AlertSettings()
    evaluator = Evaluator(settings, RECIPIENTS, zone=COPENHAGEN)
    old, log = START - timedelta(hours=8), LoadedLog({})
    stale = stale_verdict(old, START, settings)
    first = evaluator.run(log, now=START, watermark=old, stale=stale)
    assert [entry.announcement.kind for entry in first.dispatches] == ["firing"]
    kinds = []
    for hour in range(1, 49):
        now = START + timedelta(hours=hour)
        outcome = evaluator.run(log, now=now, watermark=now)
        kinds += [
            (hour, entry.announcement.kind, entry.announcement.episodes[0].end_reason) for entry in outcome.dispatches
        ]
    assert kinds == [(24, "resolved", "no_longer_measurable")]
    assert evaluator.book.matters == {}
