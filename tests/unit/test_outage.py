"""When a server that did not answer is asked again, whatever its answers and the clock do."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import MatokitError, SettingsError, SourceAnswered, SourceTimedOut, SourceUnreachable
from matokit_pipelines.toolserver.outage import LEFT_ALONE, LeftAlone, Outage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HANGS = SourceTimedOut("Matomo did not answer within 25 s; ask later.")
GONE = SourceUnreachable("Source shop refused the connection.")


def ask(outage: Outage, meets: MatokitError | None = None, question: str = "plain") -> bool:
    """Whether the server was asked."""
    was_asked = False
    with suppress(LeftAlone, MatokitError), outage.asking(question):
        was_asked = True
        if meets:
            raise meets
    return was_asked


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.mark.parametrize("silence", [HANGS, GONE])
def test_silence_is_told_again_in_the_same_words(clock: FixedClock, silence: MatokitError) -> None:
    outage = Outage(clock)
    ask(outage, silence, "one")
    ask(outage, silence, "two")
    with pytest.raises(LeftAlone) as caught, outage.asking("three"):
        pytest.fail("the server was asked")
    assert type(caught.value.error) is type(silence)
    assert str(caught.value.error) == str(silence)
    assert outage.seconds == LEFT_ALONE.total_seconds()


def test_who_says_no_is_there(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, SourceAnswered("Source shop answered 404.", 404))
    assert ask(outage)
    ask(outage, GONE)
    clock.advance(LEFT_ALONE)
    assert ask(outage, SourceAnswered("Source shop answered 404.", 404))
    assert ask(outage)


def test_what_did_not_come_to_asking_says_nothing_of_the_server(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, GONE)
    clock.advance(LEFT_ALONE)
    assert ask(outage, SettingsError("There is no token."))
    with outage.asking("another"):  # the next one tries
        assert not ask(outage), "one at a time"
    assert ask(outage)


def test_an_answer_to_a_question_of_before_ends_it(clock: FixedClock) -> None:
    outage = Outage(clock)
    with outage.asking("of before"):
        ask(outage, GONE)
        assert not ask(outage)
    assert ask(outage)


def test_a_heavy_question_that_did_not_come_to_asking_is_still_tried_by_one_at_a_time(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, HANGS, "heavy")
    clock.advance(LEFT_ALONE)
    assert ask(outage, SettingsError("Too much is being asked."), "heavy")
    with outage.asking("heavy"):
        assert not ask(outage, None, "heavy")
    with outage.asking("heavy"):
        assert ask(outage, None, "heavy"), "it was answered"


def test_one_heavy_question_is_left_alone_by_itself(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, HANGS, "heavy")
    assert outage.seconds == 0
    assert not ask(outage, None, "heavy")
    assert outage.seconds_for("heavy") == LEFT_ALONE.total_seconds()
    assert ask(outage)
    assert not ask(outage, None, "heavy"), "others that are answered prove nothing of it"
    clock.advance(LEFT_ALONE)
    assert ask(outage, HANGS, "heavy")
    assert ask(outage), "its repetition does not count against the server"


def test_a_heavy_question_is_tried_again_by_one_at_a_time(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, HANGS, "heavy")
    clock.advance(LEFT_ALONE)
    with outage.asking("heavy"):
        assert not ask(outage, None, "heavy")
        assert ask(outage)
    assert ask(outage, None, "heavy")
    ask(outage, HANGS, "heavy")
    clock.advance(LEFT_ALONE)
    assert ask(outage, SettingsError("There is no token."), "heavy")
    assert ask(outage, None, "heavy"), "it did not come to asking"


def test_a_time_out_says_nothing_of_a_server_that_answered_others_meanwhile(clock: FixedClock) -> None:
    outage = Outage(clock)
    for heavy in ("one", "two", "three"):
        with suppress(SourceTimedOut), outage.asking(heavy):
            assert ask(outage)
            raise HANGS
    assert ask(outage)


def test_heavy_questions_side_by_side_are_no_silence(clock: FixedClock) -> None:
    outage = Outage(clock)
    with suppress(SourceTimedOut), outage.asking("one"):
        with suppress(SourceTimedOut), outage.asking("two"):
            raise HANGS
        raise HANGS
    assert ask(outage)


def test_the_server_is_left_alone_from_the_second_question_on_that_waits_in_vain(clock: FixedClock) -> None:
    outage = Outage(clock)
    assert [ask(outage, HANGS, f"question {n}") for n in range(10)] == [True, True] + [False] * 8


def test_a_server_that_asks_to_wait_is_there(clock: FixedClock) -> None:
    outage = Outage(clock)
    for one in ("one", "two"):
        with suppress(SourceTimedOut), outage.asking(one):
            outage.heard()
            raise HANGS
    assert ask(outage)


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(days=1)])
def test_a_clock_that_is_put_back_leaves_it_alone_for_no_longer(clock: FixedClock, back: timedelta) -> None:
    outage = Outage(clock)
    ask(outage, HANGS, "heavy")
    ask(outage, GONE)
    clock.advance(-back)
    assert not ask(outage)
    assert not ask(outage, None, "heavy")
    clock.advance(LEFT_ALONE)
    assert ask(outage)
    assert ask(outage, None, "heavy")


@given(st.lists(st.tuples(st.sampled_from("aaabcd"), st.integers(0, 90)), min_size=1, max_size=40))
def test_a_server_that_hangs_is_waited_for_twice_a_minute_at_most_and_a_question_once(
    steps: list[tuple[str, int]],
) -> None:
    clock = FixedClock(NOW)
    outage = Outage(clock)
    waited: list[tuple[str, datetime]] = []
    for question, seconds in steps:
        if ask(outage, HANGS, question):
            waited.append((question, clock.now()))
        clock.advance(timedelta(seconds=seconds))
    for number, (question, at) in enumerate(waited):
        lately = [one for one, when in waited[:number] if at - when < LEFT_ALONE]
        assert question not in lately
        assert len(lately) < 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), min_size=1, max_size=40))
def test_a_server_that_is_gone_is_asked_once_a_minute_at_most_and_a_speaking_one_always_soon(
    steps: list[tuple[bool, int]],
) -> None:
    clock = FixedClock(NOW)
    outage, silent_at = Outage(clock), None
    for speaks, seconds in steps:
        was_asked = ask(outage, None if speaks else GONE)
        assert was_asked == (silent_at is None or clock.now() - silent_at >= LEFT_ALONE)
        if was_asked:
            silent_at = None if speaks else clock.now()
        clock.advance(timedelta(seconds=seconds))
