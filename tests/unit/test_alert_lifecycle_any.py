"""What holds for any course of many alerts: nothing is told twice, nothing out of order, and it does not matter in how
many pieces it is evaluated, nor whether tick by tick."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.alerts import shapes
from matokit_pipelines.alerts.book import Book, Dispatch
from matokit_pipelines.alerts.evaluator import Evaluator
from matokit_pipelines.alerts.lifecycle import GRID
from matokit_pipelines.alerts.silences import Silence
from matokit_pipelines.alerts.tracing import Run, by_fingerprint
from matokit_pipelines.alerts.verdicts import Verdict
from matokit_pipelines.delivery_settings import RecipientSettings

START = datetime(2026, 3, 27, 12, tzinfo=UTC)  # a Friday; summer time begins on the Sunday
TICKS = 900
MINUTE = timedelta(minutes=1)
ZONE = ZoneInfo("Europe/Copenhagen")
RECIPIENTS = RecipientSettings(on_call=("email:call@example.org", "slack:#a"), development=("slack:#a",))
ABOUT = [
    ("overall_success_rate", "*"),
    ("high_volume_failures", "*"),
    ("new_failure_pattern", "python"),
    ("new_failure_pattern", "packages"),
    ("slow_regression", "python"),
    ("commit_regression", "abc1234"),
    ("component_failure_rate", "python"),
    ("arch_gap", "x86_64"),
]
SETTINGS = AlertSettings.model_validate(
    {"quiet_hours": {"begin": "21:00", "end": "06:00"}, "rules": {"slow_regression": {"for": 10, "keep_firing": 20}}}
)
DAILY = {"component_failure_rate": 5, "arch_gap": 22}  # hours of UTC; an hour more until summer time begins


def runs_of(courses: Sequence[list[tuple[str, int]]]) -> dict[str, list[Run]]:
    found: list[Run] = []
    for (rule, subject), letters in zip(ABOUT, courses, strict=True):
        if rule in DAILY:
            found += once_a_day(rule, subject, [letter for letter, _ in letters])
            continue
        tick = 0
        for letter, count in letters:
            last = min(tick + count, TICKS) - 1
            if letter != "-" and tick <= last:  # a rule may say nothing of a subject
                found.append(run(rule, subject, letter, START + tick * GRID, START + last * GRID, tick))
            tick += count
    return by_fingerprint(found)


def once_a_day(rule: str, subject: str, letters: Sequence[str]) -> list[Run]:
    found = []
    for number, letter in enumerate(letters):
        day = START.astimezone(ZONE).date() + timedelta(days=1 + number)
        at = datetime(day.year, day.month, day.day, 0 if rule == "arch_gap" else 7, tzinfo=ZONE).astimezone(UTC)
        if letter != "-" and at <= START + (TICKS - 1) * GRID:
            found.append(run(rule, subject, letter, at, at, number))
    return found


def run(rule: str, subject: str, letter: str, first: datetime, last: datetime, seed: int) -> Run:
    state: Any = "no_data" if letter == "N" else "ok"
    inputs = {"n": 20, "failures": seed % 20} if state == "ok" else {}
    return Run(Verdict(rule, subject, "production", first, state, letter in "TR", letter == "T", inputs), first, last)


def singly(runs: dict[str, list[Run]]) -> dict[str, list[Run]]:
    """Every evaluation a run of its own."""
    return {
        fingerprint: [
            Run(one.verdict, at, at)
            for one in found
            for at in (one.first + number * GRID for number in range((one.last - one.first) // GRID + 1))
        ]
        for fingerprint, found in runs.items()
    }


def cut(runs: dict[str, list[Run]], after: datetime, until: datetime) -> dict[str, list[Run]]:
    parts = {
        fingerprint: [part for one in found if (part := one.within(after + GRID, until)) is not None]
        for fingerprint, found in runs.items()
    }
    return {fingerprint: found for fingerprint, found in parts.items() if found}


def remembered(book: Book) -> Book:
    """The book as it comes back from the store."""
    again = Book()
    for fingerprint, instance in book.instances.items():
        if instance.phase != "inactive" or instance.episodes:
            again.instances[fingerprint] = shapes.instance_of(shapes.of_instance(instance))
    for key, matter in book.matters.items():
        again.matters[key] = shapes.matter_of(shapes.of_matter(matter))
    again.ended = {fingerprint: list(spans) for fingerprint, spans in book.ended.items()}
    again.threads = [shapes.thread_of(shapes.of_thread(thread)) for thread in book.threads]
    again.sent = list(book.sent)
    return again


def in_pieces(runs: dict[str, list[Run]], edges: Sequence[int], silences: Sequence[Silence]) -> list[Dispatch]:
    """Evaluated up to each of the edges in turn, everything but the book forgotten in between."""
    book, after, found = Book(), START - GRID, []
    for edge in [*sorted(set(edges)), TICKS - 1]:
        until = START + edge * GRID
        evaluator = Evaluator(SETTINGS, RECIPIENTS, zone=ZONE, book=remembered(book), evaluated_to=after)
        found += evaluator.advance(cut(runs, after, until), until=until, silences=silences)
        book, after = evaluator.book, until
    return found


def told(dispatches: Sequence[Dispatch]) -> list[tuple[Any, ...]]:
    return [
        (
            entry.announcement.at, entry.message_key, entry.conversation, entry.due, entry.severity,
            tuple((episode.fingerprint, episode.number, episode.started_at, episode.ended_at, episode.end_reason)
                  for episode in entry.announcement.episodes),
        )
        for entry in dispatches
    ]  # fmt: skip


COURSE = st.lists(st.tuples(st.sampled_from("TTRFFN-"), st.integers(1, 200)), min_size=1, max_size=12)
COURSES = st.lists(COURSE, min_size=len(ABOUT), max_size=len(ABOUT))
SILENCES = st.lists(
    st.builds(
        lambda begin, length, matchers: Silence(
            begin, matchers, START + begin * MINUTE, START + (begin + length) * MINUTE, "a", "b", START
        ),
        st.integers(0, TICKS * 5), st.integers(1, 900),
        st.sampled_from([{"rule": "*"}, {"component": "python"}, {"rule": "overall*"}, {"commit": "abc*"}]),
    ),
    max_size=3,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(COURSES, SILENCES, st.lists(st.integers(0, TICKS - 2), max_size=6))
def test_in_one_go_or_in_pieces_the_same_is_told(
    courses: list[list[tuple[str, int]]], silences: list[Silence], edges: list[int]
) -> None:
    runs = runs_of(courses)
    assert told(in_pieces(runs, [], silences)) == told(in_pieces(runs, edges, silences))


@settings(max_examples=40, deadline=None)
@given(COURSES, SILENCES)
def test_in_runs_or_tick_by_tick_the_same_is_told(
    courses: list[list[tuple[str, int]]], silences: list[Silence]
) -> None:
    runs = runs_of(courses)
    assert told(in_pieces(runs, [], silences)) == told(in_pieces(singly(runs), [], silences))


@settings(max_examples=80, deadline=None)
@given(COURSES, SILENCES)
def test_each_episode_is_told_once_and_ended_once_in_its_conversation(
    courses: list[list[tuple[str, int]]], silences: list[Silence]
) -> None:
    dispatches = in_pieces(runs_of(courses), [], silences)
    keys = [entry.message_key for entry in dispatches]
    assert len(keys) == len(set(keys))
    course: dict[tuple[str, str, int], list[Dispatch]] = defaultdict(list)
    for entry in dispatches:
        for episode in entry.announcement.episodes:
            course[entry.destination, episode.fingerprint, episode.number].append(entry)
    for (_, fingerprint, number), entries in course.items():
        kinds = [entry.announcement.kind for entry in entries]
        episodes = [
            next(e for e in entry.announcement.episodes if (e.fingerprint, e.number) == (fingerprint, number))
            for entry in entries
        ]
        assert kinds[0] in ("firing", "joined", "digest", "past")
        assert set(kinds[1:]) <= {"reminder", "resolved"}
        assert "resolved" not in kinds[:-1]
        assert (kinds[-1] in ("resolved", "past")) == (episodes[-1].ended_at is not None) or kinds == ["digest"]
        assert len({entry.conversation for entry in entries}) == 1
        ks = [entry.announcement.k for entry in entries if entry.announcement.kind == "reminder"]
        assert ks == sorted(set(ks))
        for entry in entries[1:]:
            assert entry.announcement.at > entries[0].announcement.at
            if entry.announcement.kind == "reminder":
                assert not any(
                    held.fits(*fingerprint.split("|")[:2]) and held.is_active(entry.announcement.at)
                    for held in silences
                )
