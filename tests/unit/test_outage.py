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


def ask(outage: Outage, meets: MatokitError | None = None) -> bool:
    """Whether the server was asked."""
    was_asked = False
    with suppress(LeftAlone, MatokitError), outage.asking():
        was_asked = True
        if meets:
            raise meets
    return was_asked


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.mark.parametrize("silence", [HANGS, SourceUnreachable("Source shop refused the connection.")])
def test_silence_is_told_again_in_the_same_words(clock: FixedClock, silence: MatokitError) -> None:
    outage = Outage(clock)
    ask(outage, silence)
    with pytest.raises(LeftAlone) as caught, outage.asking():
        pytest.fail("the server was asked")
    assert type(caught.value.error) is type(silence)
    assert str(caught.value.error) == str(silence)
    assert outage.seconds == LEFT_ALONE.total_seconds()


def test_who_says_no_is_there(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, SourceAnswered("Source shop answered 404.", 404))
    assert ask(outage)
    ask(outage, HANGS)
    clock.advance(LEFT_ALONE)
    assert ask(outage, SourceAnswered("Source shop answered 404.", 404))
    assert ask(outage)


def test_what_did_not_come_to_asking_says_nothing_of_the_server(clock: FixedClock) -> None:
    outage = Outage(clock)
    ask(outage, HANGS)
    clock.advance(LEFT_ALONE)
    assert ask(outage, SettingsError("There is no token."))
    with outage.asking():  # the next one tries
        assert not ask(outage), "one at a time"
    assert ask(outage)


def test_an_answer_to_a_question_of_before_ends_it(clock: FixedClock) -> None:
    outage = Outage(clock)
    with outage.asking():
        ask(outage, HANGS)
        assert not ask(outage)
    assert ask(outage)


@pytest.mark.parametrize("back", [timedelta(minutes=5), timedelta(days=1)])
def test_a_clock_that_is_put_back_leaves_it_alone_for_no_longer(clock: FixedClock, back: timedelta) -> None:
    outage = Outage(clock)
    ask(outage, HANGS)
    clock.advance(-back)
    assert not ask(outage)
    clock.advance(LEFT_ALONE)
    assert ask(outage)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), min_size=1, max_size=40))
def test_a_silent_server_is_asked_once_a_minute_at_most_and_a_speaking_one_always_soon(
    steps: list[tuple[bool, int]],
) -> None:
    clock = FixedClock(NOW)
    outage, silent_at = Outage(clock), None
    for speaks, seconds in steps:
        was_asked = ask(outage, None if speaks else HANGS)
        assert was_asked == (silent_at is None or clock.now() - silent_at >= LEFT_ALONE)
        if was_asked:
            silent_at = None if speaks else clock.now()
        clock.advance(timedelta(seconds=seconds))
