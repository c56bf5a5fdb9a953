"""The alert rules against a slow and plain reading of their document, on events at random; evaluation in pieces and as
runs; when each rule is evaluated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.evaluation import (
    EVALUATED,
    Run,
    evaluate,
    evaluate_runs,
    findings_at,
    stale_verdict,
    ticks_between,
    ticks_of,
)
from matokit_pipelines.alerts.event_log import LoadedLog
from matokit_pipelines.alerts.rules import watching
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.warehouse.event_columns import Events, microseconds
from tests import plain_rules
from tests.plain_rules import Event, utc

COPENHAGEN, UTC_ZONE = ZoneInfo("Europe/Copenhagen"), ZoneInfo("UTC")
DAYS = 40
COMPONENTS = ("conda", "packages", "*", "latex")
COMMITS = (None, "aaaaaaa", "bbbbbbb", "ccccccc", "ddddddd")
SETTINGS = AlertSettings()


def log_of(events: Sequence[Event]) -> LoadedLog:
    def places(names: Sequence[str | None], known: Sequence[str]) -> list[int]:
        return [known.index(name) if name is not None else -1 for name in names]

    components = sorted({event.component for event in events})
    commits = sorted({event.commit for event in events if event.commit})
    architectures = sorted({event.architecture for event in events})
    machines = sorted({event.machine for event in events})
    columns = Events.of(
        ts=[microseconds(event.at) for event in events],
        failed=[event.failed for event in events],
        machine=[machines.index(event.machine) for event in events],
        component=places([event.component for event in events], components),
        components=components,
        architecture=places([event.architecture for event in events], architectures),
        architectures=architectures,
        commit=places([event.commit for event in events], commits),
        commits=commits,
    )
    return LoadedLog({"production": columns})


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Some weeks of events with a bad stretch: bursts of machines, retries, commits that overlap."""
    chosen = random.Random(draw(st.integers(0, 2**32)))
    a_day, machines = draw(st.sampled_from((3, 20, 60))), draw(st.sampled_from((2, 30, 5_000)))
    usual, bad = draw(st.sampled_from((0.0, 0.02, 0.1))), draw(st.sampled_from((0.3, 0.8, 1.0)))
    begin = draw(st.integers(0, (DAYS - 1) * 1440))
    end = begin + draw(st.sampled_from((60, 300, 1440, 6000)))
    names = COMPONENTS[: draw(st.integers(1, len(COMPONENTS)))]
    found = []
    for _ in range(a_day * DAYS):
        at, machine, component = chosen.randrange(DAYS * 1440), chosen.randrange(machines), chosen.choice(names)
        is_bad = begin <= at < end and component == names[0]
        place = 1 + at * (len(COMMITS) - 1) // (DAYS * 1440)
        commit = COMMITS[max(0, place - chosen.choice((0, 0, 0, 1)))]
        for attempt in range(chosen.choice((1, 1, 1, 4))):
            failed = chosen.random() < (bad if is_bad else usual)
            found.append(Event(utc(at + 3 * attempt), component, f"m{machine}", failed, commit))
            if not failed:
                break
    return found


def interesting(events: Sequence[Event], count: int, seed: int) -> list[datetime]:
    """Ticks near failures, and a few others."""
    chosen = random.Random(seed)
    near = [event.at for event in events if event.failed] or [utc(0)]
    edges = [chosen.choice(near) + timedelta(minutes=chosen.choice((0, 5, 60, 120, 240, 1440))) for _ in range(count)]
    return sorted({datetime.fromtimestamp(edge.timestamp() // 300 * 300, UTC) for edge in [*edges, utc(30 * 1440)]})


def by_subject(verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    return {verdict.subject: verdict for verdict in verdicts}


def assert_same(verdict: Verdict, answer: plain_rules.Answer) -> None:
    assert (verdict.raw, verdict.guarded) == (answer.raw, answer.guarded)
    assert {name: verdict.inputs[name] for name in answer.numbers} == answer.numbers


def named(component: str) -> str:
    return "component_*" if component == "*" else component


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_overall_success_rate_as_it_reads(events: list[Event], seed: int) -> None:
    log = log_of(events)
    for tick in interesting(events, 8, seed):
        if plain_rules.is_shared(events, tick):
            continue
        [verdict] = findings_at("overall_success_rate", log, [tick], SETTINGS, UTC_ZONE)
        answer = plain_rules.overall_success_rate(events, tick)
        assert verdict.state == ("no_data" if answer is None else "ok")
        if answer is not None:
            assert_same(verdict, answer)


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_new_failure_pattern_as_it_reads(events: list[Event], seed: int) -> None:
    log = log_of(events)
    for tick in interesting(events, 8, seed):
        if plain_rules.is_shared(events, tick):
            continue
        verdicts = by_subject(findings_at("new_failure_pattern", log, [tick], SETTINGS, UTC_ZONE))
        answers = plain_rules.new_failure_pattern(events, tick)
        assert set(verdicts) == {named(name) for name in answers}
        for name, answer in answers.items():
            assert_same(verdicts[named(name)], answer)
            assert verdicts[named(name)].state == ("ok" if answer.numbers else "no_data")


@settings(max_examples=20, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_success_drop_as_it_reads(events: list[Event], seed: int) -> None:
    log = log_of(events)
    for tick in interesting(events, 6, seed):
        if plain_rules.is_shared(events, tick):
            continue
        verdicts = by_subject(findings_at("success_drop_7d", log, [tick], SETTINGS, UTC_ZONE))
        whole = verdicts.pop("*")
        answers = plain_rules.success_drop(events, tick)
        answers.pop("*")  # of everything, or of the component that is named so
        assert_same(whole, plain_rules._drop(events, tick))
        if "*" in {event.component for event in plain_rules.within(events, tick - timedelta(days=8), tick)}:
            answers["*"] = plain_rules._drop([event for event in events if event.component == "*"], tick)
        assert set(verdicts) == {named(name) for name in answers}
        for name, answer in answers.items():
            assert_same(verdicts[named(name)], answer)


@settings(max_examples=25, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_commit_regression_as_it_reads(events: list[Event], seed: int) -> None:
    log = log_of(events)
    firsts = {event.commit: event.at for event in reversed(plain_rules.ordered(events)) if event.commit}
    near = [first + timedelta(minutes=minutes) for first in firsts.values() for minutes in (0, 5, 300, 1440, 1445)]
    for tick in sorted({*near, *interesting(events, 3, seed)}):
        if plain_rules.is_shared(events, tick):
            continue
        verdicts = by_subject(findings_at("commit_regression", log, [tick], SETTINGS, UTC_ZONE))
        answers = plain_rules.commit_regression(events, tick)
        assert set(verdicts) == set(answers)
        for name, answer in answers.items():
            assert verdicts[name].state == ("not_evaluable" if answer is None else "ok")
            if answer is not None:
                assert_same(verdicts[name], answer)


@settings(max_examples=15, deadline=None)
@given(histories(), st.integers(0, 2**32), st.sampled_from((COPENHAGEN, UTC_ZONE)))
def test_slow_regression_as_it_reads(events: list[Event], seed: int, zone: ZoneInfo) -> None:
    events = events[:900]
    log = log_of(events)
    for tick in interesting(events, 2, seed):
        start = datetime.combine(tick.astimezone(zone).date(), datetime.min.time(), tzinfo=zone).astimezone(UTC)
        if plain_rules.is_shared(events, start):
            continue
        verdicts = by_subject(findings_at("slow_regression", log, [tick], SETTINGS, zone))
        answers = plain_rules.slow_regression(events, tick, zone)
        known = {name for name, verdict in verdicts.items() if verdict.inputs["expected_share"] is not None}
        assert known == {named(name) for name in answers}
        for name, answer in answers.items():
            verdict = verdicts[named(name)]
            assert verdict.state == ("no_data" if answer is None else "ok")
            if answer is not None:
                assert (verdict.raw, verdict.guarded) == (answer.raw, answer.guarded)
                assert verdict.inputs["evidence"] == pytest.approx(answer.numbers["evidence"], abs=1e-9)
                began = answer.numbers["began_at"]
                assert verdict.inputs.get("began_at") == (began.isoformat() if began else None)


def said(verdicts: Sequence[Verdict]) -> list[tuple[object, ...]]:
    return [
        (one.at, one.rule, one.subject, one.environment, one.state, one.raw, one.guarded, dict(one.inputs))
        for one in verdicts
    ]


@settings(max_examples=8, deadline=None)
@given(histories(), st.integers(2, 38), st.integers(1, 40))
def test_in_one_go_in_pieces_and_one_by_one_it_is_the_same(events: list[Event], day: int, size: int) -> None:
    ticks = ticks_between(utc(day * 1440), utc(day * 1440 + 600))
    whole = said(evaluate(log_of(events), ticks, SETTINGS, zone=COPENHAGEN))
    log = log_of(events)
    pieces = [ticks[start : start + size] for start in range(0, len(ticks), size)]
    assert whole == said([verdict for piece in pieces for verdict in evaluate(log, piece, SETTINGS, zone=COPENHAGEN)])
    assert [(verdict[0], verdict[1], verdict[2]) for verdict in whole] == sorted(
        (verdict[0], verdict[1], verdict[2]) for verdict in whole
    )


@settings(max_examples=8, deadline=None)
@given(histories(), st.integers(2, 36))
def test_runs_are_the_verdicts_folded(events: list[Event], day: int) -> None:
    log, ticks = log_of(events), ticks_between(utc(day * 1440), utc(day * 1440 + 3000))
    verdicts = evaluate(log, ticks, SETTINGS, zone=COPENHAGEN)
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.fingerprint, []).append(verdict)
    for runs in _by_fingerprint(evaluate_runs(log, ticks, SETTINGS, zone=COPENHAGEN)):
        left = found.pop(runs[0].first.fingerprint)
        for run in runs:
            part, left = left[: run.ticks], left[run.ticks :]
            assert [run.first, run.last] == [part[0], part[-1]]
            assert {(one.state, one.raw, one.guarded) for one in part} == {
                (run.first.state, run.first.raw, run.first.guarded)
            }
            assert run.worst in part
        assert left == []
    assert found == {}


def _by_fingerprint(runs: Sequence[Run]) -> list[list[Run]]:
    by_one = sorted(runs, key=lambda run: (run.first.fingerprint, run.first.at))
    return [list(group) for _, group in groupby(by_one, key=lambda run: run.first.fingerprint)]


def test_neighbouring_runs_differ() -> None:
    events = [Event(utc(1440 + 7 * number), "conda", f"m{number}", number % 3 == 0) for number in range(900)]
    runs = evaluate_runs(log_of(events), ticks_between(utc(2880), utc(5760)), SETTINGS, zone=UTC_ZONE)
    for of_one in _by_fingerprint(runs):
        for before, after in pairwise(of_one):
            is_same = (before.first.state, before.first.raw, before.first.guarded) == (
                after.first.state, after.first.raw, after.first.guarded,
            )  # fmt: skip
            assert not is_same or after.first_tick - before.last_tick > timedelta(minutes=5)


def test_a_flood_of_names_is_judged_like_each_of_them() -> None:
    chosen = random.Random(7)
    events = [
        Event(utc(1440 + chosen.randrange(2880)), f"name{number % 3_000}", f"m{number}", chosen.random() < 0.5)
        for number in range(9_000)
    ]
    log, ticks = log_of(events), ticks_between(utc(2880), utc(4320))
    names, edges = 3_000, 9
    assert names * len(ticks) > max(watching.ROWS_AT_EASE, len(events) * edges)  # rows span several ticks
    rule = {"new_failure_pattern"}
    runs = evaluate_runs(log, ticks, SETTINGS, zone=UTC_ZONE, only=rule)
    for tick in ticks[::71]:
        alone = evaluate(log, [tick], SETTINGS, zone=UTC_ZONE, only=rule)
        assert {(one.subject, one.state, one.raw, one.guarded) for one in alone} == {
            (run.first.subject, run.first.state, run.first.raw, run.first.guarded)
            for run in runs
            if run.first_tick <= tick <= run.last_tick
        }


def test_ticks_are_points_of_the_grid_after_one_instant_to_another() -> None:
    assert ticks_between(utc(0), utc(10)) == [utc(5), utc(10)]
    assert ticks_between(utc(1), utc(4)) == []
    assert ticks_between(utc(4), utc(5)) == [utc(5)]
    assert ticks_between(utc(5), utc(0)) == []


@pytest.mark.parametrize(
    ("rule", "due"),
    [
        ("component_failure_rate", ["2026-03-28T06:00:00", "2026-03-29T05:00:00", "2026-03-30T05:00:00"]),
        ("arch_gap", ["2026-03-27T23:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"]),
    ],
)
def test_daily_rules_follow_the_local_clock_over_summer_time(rule: str, due: list[str]) -> None:
    ticks = ticks_between(datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC))
    found = ticks_of(rule, ticks, SETTINGS, COPENHAGEN)
    assert [tick.replace(tzinfo=None).isoformat() for tick in found] == due
    assert len(ticks_of("no_events", ticks, SETTINGS, COPENHAGEN)) == len(ticks)


def test_the_daily_time_may_lie_off_the_grid_and_in_a_zone_of_its_own() -> None:
    ticks = ticks_between(utc(0), utc(1440))
    settings = AlertSettings(daily_at="07:03", timezone="America/New_York")
    assert ticks_of("success_drop_7d", ticks, settings, COPENHAGEN) == [datetime(2026, 3, 1, 12, 5, tzinfo=UTC)]


def test_what_is_off_or_not_wanted_or_beyond_the_watermark_is_not_judged() -> None:
    log, ticks = log_of([Event(utc(7), "conda", "m", False)]), ticks_between(utc(0), utc(60))
    off = AlertSettings.model_validate({"rules": {"no_events": {"enabled": False}, "data_stale": {"enabled": False}}})
    rules = {verdict.rule for verdict in evaluate(log, ticks, off, zone=UTC_ZONE, watermark=utc(60), now=utc(61))}
    assert rules == {"overall_success_rate", "new_failure_pattern", "high_volume_failures", "slow_regression"}
    found = evaluate(
        log, ticks, SETTINGS, zone=UTC_ZONE, watermark=utc(12), now=utc(61), only={"no_events", "data_stale"}
    )
    assert [(verdict.rule, verdict.at) for verdict in found] == [
        ("no_events", utc(5)), ("no_events", utc(10)), ("data_stale", utc(61)),
    ]  # fmt: skip
    assert evaluate(log, ticks, AlertSettings(enabled=False), zone=UTC_ZONE, now=utc(61)) == []
    assert evaluate(log, [], SETTINGS, zone=UTC_ZONE) == []


def test_each_environment_is_judged_by_itself() -> None:
    events = [Event(utc(7 + number), "conda", f"m{number}", True) for number in range(12)]
    production = log_of(events).of("production").events
    log = LoadedLog({"production": production, "staging": production.taken(slice(0, 5))})
    both = AlertSettings(environments=("production", "staging", "ci"))
    found = evaluate(log, [utc(60)], both, zone=UTC_ZONE, only={"overall_success_rate"})
    assert [(verdict.environment, verdict.state, verdict.inputs["n"]) for verdict in found] == [
        ("ci", "no_data", 0), ("production", "ok", 12), ("staging", "ok", 5),
    ]  # fmt: skip


def test_an_empty_log_is_no_data_and_never_fires() -> None:
    found = [
        verdict for rule in EVALUATED for verdict in findings_at(rule, LoadedLog({}), [utc(1440)], SETTINGS, COPENHAGEN)
    ]
    assert {(verdict.rule, verdict.state) for verdict in found} == {
        ("overall_success_rate", "no_data"), ("high_volume_failures", "no_data"), ("arch_gap", "no_data"),
        ("success_drop_7d", "no_data"), ("no_events", "not_evaluable"),
    }  # fmt: skip
    assert not any(verdict.raw or verdict.guarded for verdict in found)


def test_stale_goes_by_the_wall_clock() -> None:
    assert stale_verdict(utc(0), utc(361), SETTINGS).raw
    assert not stale_verdict(utc(0), utc(360), SETTINGS).raw
    assert stale_verdict(None, utc(0), SETTINGS).state == "not_evaluable"


def test_a_thorough_evaluation_tells_the_guard_where_the_trigger_is_not_met() -> None:
    events = [Event(utc(number), "conda", f"m{number}", number < 2) for number in range(60)]
    [brief] = evaluate(log_of(events), [utc(60)], SETTINGS, zone=UTC_ZONE, only={"overall_success_rate"})
    assert brief.inputs == {"n": 60, "failures": 2, "guard": "not_asked"}
    [told] = findings_at("overall_success_rate", log_of(events), [utc(60)], SETTINGS, UTC_ZONE)
    assert told.inputs["machines_failing"] == 2
    assert (told.inputs["guard"], told.inputs["why_not"], told.guarded) == ("not_met", "baseline", False)
