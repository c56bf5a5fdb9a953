"""Evaluations made again for events that came late: they may begin alerts, never take one back, and change nothing
where they say the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts.announcements import Episode
from matokit_pipelines.alerts.evaluator import Evaluator, Outcome
from matokit_pipelines.alerts.event_log import EventLog, LoadedLog
from matokit_pipelines.alerts.lifecycle import GRID, grid_between
from matokit_pipelines.alerts.tracing import Run, runs_of
from matokit_pipelines.alerts.verdicts import Verdict

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
NO_EVENTS = LoadedLog({})
SUBJECT = "python"


class Told:
    """A judge that reads verdicts from a text, one letter a tick; the text may be changed between runs."""

    def __init__(self, letters: str) -> None:
        self.letters = letters

    def __call__(self, log: EventLog, ticks: Sequence[datetime], *, singly: bool) -> dict[str, list[Run]]:
        return runs_of([self._verdict(tick) for tick in ticks])

    def _verdict(self, at: datetime) -> Verdict:
        place = (at - START) // GRID
        letter = self.letters[place] if 0 <= place < len(self.letters) else "F"
        state: Any = "no_data" if letter == "N" else "ok"
        return Verdict("slow_regression", SUBJECT, "production", at, state, letter in "TR", letter == "T")


def evaluator(judge: Told) -> Evaluator:
    return Evaluator(AlertSettings(), zone=ZoneInfo("UTC"), judge=judge)


def run(used: Evaluator, tick: int, *, late: int | None = None) -> Outcome:
    """A run with data complete to a tick; `late`: an event right before that tick came since the last run."""
    at = START + tick * GRID
    late_from = None if late is None else START + late * GRID - timedelta(seconds=1)
    return used.run(NO_EVENTS, now=at, watermark=at, late_from=late_from)


def begun(judge: Told, tick: int = 40) -> Evaluator:
    used = evaluator(judge)
    run(used, 0)
    run(used, tick)
    return used


def spans(episodes: Sequence[Episode]) -> list[tuple[int, int | None, bool]]:
    """(first tick, tick at which it was over, late)."""
    return [
        (
            (one.started_at - START) // GRID,
            None if one.ended_at is None else (one.ended_at - START) // GRID,
            one.is_late,
        )
        for one in episodes
    ]


def kinds(outcome: Outcome) -> list[str]:
    return [entry.announcement.kind for entry in outcome.dispatches]


def test_late_events_begin_an_alert_where_none_was() -> None:
    judge = Told("F" * 60)
    used = begun(judge)
    judge.letters = "F" * 10 + "T" * 50
    found = run(used, 41, late=10)
    assert spans(found.started) == [(10, None, True)]
    assert kinds(found) == ["firing"]


def test_late_events_show_a_period_that_is_over_in_one_message() -> None:
    judge = Told("F" * 60)
    used = begun(judge)
    judge.letters = "F" * 10 + "T" * 5 + "F" * 45
    found = run(used, 41, late=10)
    assert spans(found.ended) == [(10, 27, True)]
    assert kinds(found) == ["past"]


def test_late_events_show_that_what_seemed_to_recover_went_on() -> None:
    judge = Told("T" * 30 + "F" * 30)
    used = begun(judge)
    judge.letters = "T" * 38 + "F" * 60
    assert kinds(run(used, 41, late=31)) == []
    assert used.book.instances[f"slow_regression|{SUBJECT}|production"].clear_from == START + 38 * GRID
    assert kinds(run(used, 42)) == []  # as known first, it would be over now
    assert kinds(run(used, 50)) == ["resolved"]


def test_late_events_take_no_alert_back() -> None:
    judge = Told("F" * 39 + "T" * 20)
    used = begun(judge)
    judge.letters = "F" * 100
    assert kinds(run(used, 41, late=30)) == []
    [episode] = used.episodes() or [used.book.instances[f"slow_regression|{SUBJECT}|production"].episode]
    assert episode is not None
    assert episode.corrected
    assert kinds(run(used, 53)) == ["resolved"]


def test_a_period_before_a_known_one_that_goes_over_into_it_is_the_same_one() -> None:
    judge = Told("F" * 20 + "T" * 5 + "F" * 40)
    used = begun(judge)
    judge.letters = "F" * 10 + "T" * 15 + "F" * 40
    found = run(used, 41, late=5)
    assert (found.started, kinds(found)) == ((), [])


def test_a_period_well_before_a_known_one_is_another_one() -> None:
    judge = Told("F" * 30 + "T" * 5 + "F" * 40)
    used = begun(judge, 50)
    judge.letters = "F" * 5 + "T" * 3 + "F" * 22 + "T" * 5 + "F" * 40
    found = run(used, 51, late=3)
    assert spans(found.ended) == [(5, 20, True)]
    assert found.ended[0].number == 2
    assert kinds(found) == ["past"]
    assert kinds(run(used, 52, late=3)) == []


def test_nothing_is_made_again_beyond_the_horizon_or_before_the_first_evaluation_knows_of_it() -> None:
    judge = Told("F" * 60)
    used = begun(judge, 400)
    judge.letters = "T" * 20 + "F" * 400
    assert run(used, 401, late=5).again == ()
    fresh = evaluator(judge)
    assert run(fresh, 10, late=2).again == ()


def test_while_data_are_complete_to_less_than_before_nothing_is_made_again_beyond_that() -> None:
    judge = Told("F" * 60)
    used = begun(judge)
    assert run(used, 30, late=25).again == tuple(grid_between(START + 24 * GRID, START + 30 * GRID))


LETTERS = st.lists(st.tuples(st.sampled_from("TRFFN"), st.integers(1, 40)), min_size=1, max_size=10).map(
    lambda parts: "".join(letter * count for letter, count in parts)
)
RUNS = st.lists(st.tuples(st.integers(1, 60), st.one_of(st.none(), st.integers(0, 200))), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(LETTERS, RUNS)
def test_the_same_evaluations_made_again_change_nothing(letters: str, steps: list[tuple[int, int | None]]) -> None:
    judge = Told(letters)
    once, again = begun(judge, 5), begun(judge, 5)
    tick = 5
    for length, late in steps:
        tick += length
        one, other = run(once, tick), run(again, tick, late=None if late is None else min(late, tick))
        assert other.dispatches == one.dispatches
        assert (other.started, other.ended) == (one.started, one.ended)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(LETTERS, st.integers(1, 60), st.integers(0, 280)), min_size=1, max_size=8))
def test_whatever_later_data_say_each_episode_is_told_once_and_none_overlap(
    steps: list[tuple[str, int, int]],
) -> None:
    judge = Told("F")
    used = begun(judge, 1)
    tick, told, episodes = 1, [], {}
    for letters, length, back in steps:
        judge.letters = letters
        tick += length
        found = run(used, tick, late=max(tick - back, 0))
        told += [
            (entry.announcement.kind, entry.message_key, entry.announcement.episodes) for entry in found.dispatches
        ]
        for one in (*found.started, *found.ended):
            assert episodes.get(one.number, one).started_at == one.started_at
            episodes[one.number] = one
    keys = [key for _, key, _ in told]
    assert len(keys) == len(set(keys))
    for number in episodes:
        of_it = [kind for kind, _, subjects in told if number in [one.number for one in subjects]]
        assert of_it in ([], ["firing"], ["joined"], ["firing", "resolved"], ["joined", "resolved"], ["past"])
    ordered = sorted(episodes.values(), key=lambda one: one.started_at)
    for one, following in pairwise(ordered):
        assert one.ended_at is not None
        assert one.ended_at <= following.started_at
