"""The state of one alert: golden cases, clocks that stand still, and what holds for every course of evaluations."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.alerts.lifecycle import (
    GRID,
    Instance,
    Step,
    Timing,
    deadline,
    on_grid,
    run_lifecycle,
    step,
)
from matokit_pipelines.alerts.verdicts import Verdict

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "alert-cases.json").read_text(encoding="utf-8"))
START = datetime(2026, 3, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def verdict(letter: str, tick: int, failures: int = 5, rule: str = "overall_success_rate") -> Verdict:
    """T raw and guard, R raw only, F neither, N no data, E not evaluable."""
    at = START + tick * GRID
    if letter in "NE":
        return Verdict(rule, "*", "production", at, "no_data" if letter == "N" else "not_evaluable")
    return Verdict(rule, "*", "production", at, "ok", letter in "TR", letter == "T", {"n": 20, "failures": failures})


def through(letters: str, timing: Timing | None = None, every: int = 1) -> list[Step]:
    """The steps of evaluations `every` ticks apart."""
    instance, steps = Instance("overall_success_rate", "*", "production"), []
    for number, letter in enumerate(letters):
        found = verdict(letter, number * every)
        steps.append(step(instance, found, timing or Timing(), now=found.at))
        instance = steps[-1].instance
    return steps


@pytest.mark.parametrize("case", CASES["lifecycle"], ids=lambda case: case["id"])
def test_golden_life_cycles(case: dict[str, Any]) -> None:
    told, state = run_lifecycle(case["ticks"], case["config"])
    assert told == case["expect"]["notifications"], case["why"]
    assert state == case["expect"]["final_state"], case["why"]


def test_there_are_golden_life_cycles() -> None:
    assert len(CASES["lifecycle"]) >= 12


@pytest.mark.parametrize(
    ("ticks", "config", "told", "state"),
    [
        ("T40 F30", {"silences": [[0, 240]]}, [], "inactive"),  # ends with the silence, when it recovers already
        ("T100", {"silences": [[100, 300]]}, [(0, "firing"), (300, "reminder")], "firing"),
        ("T40 N60 T10", {}, [(0, "firing"), (500, "reminder")], "firing"),  # nothing is told without data
        ("T10 F5", {"repeat_min": 30}, [(0, "firing"), (30, "reminder")], "recovering"),
        ("T100", {"repeat_min": 0}, [(0, "firing")], "firing"),
        ("T1 F1", {"keep_min": 0}, [(0, "firing"), (5, "resolved")], "inactive"),
        ("T1 N1 T1", {"for_min": 10}, [], "pending"),  # the time without data does not count
        ("T1 N1 T2", {"for_min": 10}, [(15, "firing")], "firing"),
        ("T1 R1 T2", {"for_min": 10}, [], "pending"),
        ("T1 N300", {"for_min": 10}, [], "inactive"),
        ("N300", {}, [], "inactive"),
        ("T1 F3 N290", {}, [(0, "firing"), (1455, "resolved_no_data")], "inactive"),
        ("T2 F5 R1 F14", {}, [(0, "firing"), (100, "resolved")], "inactive"),
    ],
)
def test_life_cycles_beside_the_golden_ones(
    ticks: str, config: dict[str, Any], told: list[tuple[int, str]], state: str
) -> None:
    found, last = run_lifecycle(ticks, config)
    assert ([(entry["minute"], entry["kind"]) for entry in found], last) == (told, state)


def test_a_course_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match='"X3" is no run'):
        run_lifecycle("T1 X3", {})
    with pytest.raises(ValueError, match="unknown settings of a life cycle: keep_minutes"):
        run_lifecycle("T1", {"keep_minutes": 5})


def test_not_evaluable_keeps_the_state_for_as_long_as_it_takes() -> None:
    steps = through("T" + "E" * 400)
    assert steps[-1].instance.phase == "firing"
    assert not any(taken.ended for taken in steps)


def test_an_evaluation_taken_in_twice_changes_nothing() -> None:
    once = through("TTF")[-1].instance
    for tick in range(3):
        assert step(once, verdict("T", tick), Timing(), now=START + HOUR) == Step(once)


def test_an_episode_remembers_its_start_its_worst_and_its_newest_figures() -> None:
    instance = Instance("overall_success_rate", "*", "production")
    for tick, failures in enumerate((8, 15, 9)):
        instance = step(instance, verdict("T", tick, failures), Timing(), now=START).instance
    episode = instance.episode
    assert episode is not None
    assert [found.inputs["failures"] for found in (episode.first, episode.worst, episode.last)] == [8, 15, 9]
    assert episode.started_at == START


@pytest.mark.parametrize(
    ("recovering", "worst"),
    [((17, 6), (17, 6)), ((1, 1), (9, 3)), ((9, 2), (9, 3)), ((6, 3), (6, 3))],
    ids=["worse", "larger share of fewer failures", "better", "fewer events"],
)
def test_the_worst_may_lie_where_the_condition_no_longer_holds(
    recovering: tuple[int, int], worst: tuple[int, int]
) -> None:
    """A condition may end though as many fail, such as when the time before is no longer good."""
    instance = Instance("new_failure_pattern", "conda", "production")
    for tick, (letter, n, failures) in enumerate([("T", 9, 3), ("F", *recovering), ("F", 40, 1)]):
        found = replace(verdict(letter, tick, failures, "new_failure_pattern"), inputs={"n": n, "failures": failures})
        instance = step(instance, found, Timing(), now=START).instance
    assert instance.episode is not None
    assert (instance.episode.worst.inputs["n"], instance.episode.worst.inputs["failures"]) == worst


def test_with_a_hold_the_episode_began_when_it_was_first_met() -> None:
    started = [taken.started for taken in through("FTTTT", Timing(hold=timedelta(minutes=10)))]
    assert [bool(found) for found in started] == [False, False, False, True, False]
    assert started[3] is not None
    assert started[3].started_at == START + GRID


def test_a_daily_rule_is_over_at_the_second_run_in_a_row_that_finds_nothing() -> None:
    day = 24 * 12
    daily = Timing(keep=None)
    assert [taken.instance.phase for taken in through("TFF", daily, day)] == ["firing", "recovering", "inactive"]
    flapping = through("TFTFF", daily, day)
    assert [bool(taken.ended) for taken in flapping] == [False, False, False, False, True]
    assert flapping[-1].instance.episodes == 1


def test_the_state_stands_still_while_no_evaluation_runs() -> None:
    instance = through("TF")[-1].instance
    late = Verdict("overall_success_rate", "*", "production", START + 50 * HOUR, "no_data")
    assert step(instance, late, Timing(), now=late.at).ended is not None  # a day without data, told at once
    assert instance.phase == "recovering"


@settings(deadline=None)
@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda when: when.replace(tzinfo=UTC)))  # noqa: DTZ001
def test_the_grid(when: datetime) -> None:
    point = on_grid(when)
    assert point - when < GRID
    assert point >= when
    assert point.timestamp() % 300 == 0


LETTERS = st.lists(st.tuples(st.sampled_from("TRFN"), st.integers(1, 60)), max_size=30)
SILENCES = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 600)), max_size=4)


@settings(max_examples=300, deadline=None)
@given(LETTERS, SILENCES, st.sampled_from([0, 5, 15]), st.sampled_from([0, 20, 60]), st.sampled_from([0, 30, 240]))
def test_every_course_tells_each_episode_once(
    letters: list[tuple[str, int]], silences: list[tuple[int, int]], hold: int, keep: int, repeat: int
) -> None:
    """No two beginnings in one episode, one end at most for each beginning, reminders only in between, and nothing
    but ends within a silence."""
    config = {
        "for_min": hold, "keep_min": keep, "repeat_min": repeat,
        "silences": [[start, start + length] for start, length in silences],
    }  # fmt: skip
    course = " ".join(f"{letter}{count}" for letter, count in letters)
    told, state = run_lifecycle(course, config)
    assert (told, state) == run_lifecycle(course, config)
    is_open, last = False, -1
    for entry in told:
        assert entry["minute"] >= last
        last = entry["minute"]
        silenced = any(start <= last < start + length for start, length in silences)
        if entry["kind"] == "firing":
            assert not is_open
            assert not silenced
            is_open = True
        elif entry["kind"] == "reminder":
            assert is_open
            assert repeat
            assert not silenced
        else:
            assert is_open
            is_open = False
    if state == "inactive":
        assert not is_open


@settings(max_examples=200, deadline=None)
@given(LETTERS, st.sampled_from([0, 5, 15]), st.sampled_from([0, 20, 60]))
def test_from_deadline_to_deadline_is_the_same_as_tick_by_tick(
    letters: list[tuple[str, int]], hold: int, keep: int
) -> None:
    """What makes a long back-test quick: within an unchanged verdict the state changes at its deadlines alone."""
    timing = Timing(hold * timedelta(minutes=1), keep * timedelta(minutes=1))
    slow = quick = Instance("overall_success_rate", "*", "production")
    tick = 0
    for letter, count in letters:
        for number in range(tick, tick + count):
            slow = step(slow, verdict(letter, number), timing, now=START).instance
        last = START + (tick + count - 1) * GRID
        at: datetime | None = START + tick * GRID
        while at is not None and at <= last:
            quick = step(quick, verdict(letter, tick), timing, now=START, at=at).instance
            at = deadline(quick, verdict(letter, tick), timing)
        quick = step(quick, verdict(letter, tick), timing, now=START, at=last).instance
        tick += count
        assert (quick.phase, quick.episodes, quick.measured_at) == (slow.phase, slow.episodes, slow.measured_at)
