"""When a request may begin: never more than so many in any minute, and as late as a server asks for."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.sources.http import HttpSession
from matokit_pipelines.sources.pacing import LONGEST_WAIT, SHORTEST_WAIT, UNTOLD_WAIT, Pace, RateLimit, told_wait
from tests.answering import Asked, Told, answering

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(seconds=60)


class Jumpy(FixedClock):
    """A clock that oversleeps or wakes early, by turns, as told."""

    def __init__(self, errors: list[float]) -> None:
        super().__init__(NOW)
        self.errors = errors

    def sleep(self, seconds: float) -> None:
        share = self.errors.pop() if self.errors else 1.0
        super().sleep(max(seconds * share, 0.001))


def most_in_a_minute(begun: list[datetime]) -> int:
    return max((sum(start <= other <= start + MINUTE for other in begun) for start in begun), default=0)


@settings(deadline=None)
@given(
    st.integers(1, 7),
    st.lists(st.floats(0, 200), min_size=1, max_size=60),
    st.lists(st.floats(0.05, 3), max_size=60),
)
def test_no_minute_holds_more_than_allowed(most: int, pauses: list[float], errors: list[float]) -> None:
    clock = Jumpy(errors)
    pace = Pace(most, clock)
    begun = []
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        pace.wait_for_turn()
        begun.append(clock.now())
    assert most_in_a_minute(begun) <= most


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 40), min_size=1, max_size=40))
def test_nobody_waits_who_need_not(most: int, pauses: list[float]) -> None:
    clock = FixedClock(NOW)
    pace = Pace(most, clock)
    begun: list[datetime] = []
    for pause in pauses:
        clock.advance(timedelta(seconds=pause))
        came = clock.now()
        pace.wait_for_turn()
        begun.append(clock.now())
        if clock.now() > came:
            recent = [earlier for earlier in begun[:-1] if earlier > came - timedelta(seconds=61)]
            assert len(recent) >= most
            assert clock.now() - recent[-most] <= timedelta(seconds=61, microseconds=5)


def test_threads_keep_the_pace_together() -> None:
    clock = FixedClock(NOW)
    pace = Pace(5, clock)
    begun: list[datetime] = []
    lock = threading.Lock()

    class Noting(Pace):
        """Notes the moment at which a turn was given, under the lock that gives it."""

        def _seconds_to_wait(self) -> float:
            with lock:
                wait = pace._seconds_to_wait()
                if wait == 0:
                    begun.append(pace._begun[-1])
                return wait

    noting = Noting(5, clock)
    threads = [threading.Thread(target=lambda: [noting.wait_for_turn() for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(begun) == 40
    assert most_in_a_minute(begun) <= 5


def test_clock_of_tests_loses_no_sleep_of_any_thread() -> None:
    clock = FixedClock(NOW)
    threads = [threading.Thread(target=lambda: [clock.sleep(1) for _ in range(5_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert clock.now() - NOW == timedelta(seconds=20_000)


def test_clock_that_is_put_back_holds_nobody_for_long() -> None:
    clock = FixedClock(NOW)
    pace = Pace(1, clock)
    pace.wait_for_turn()
    clock.advance(timedelta(days=-1))
    before = clock.now()
    pace.wait_for_turn()
    assert clock.now() - before <= timedelta(seconds=61)


def test_reads_and_others_have_a_pace_of_their_own() -> None:
    clock = FixedClock(NOW)
    with answering(lambda asked: Told(body=[])) as server:
        session = HttpSession("installers", server.url, clock, rate=RateLimit(reads_per_minute=5, others_per_minute=2))
        for method in ("GET", "GET", "GET", "GET", "GET", "POST", "POST"):
            session.request(method, "x", passing=lambda answer: None)
        assert clock.now() == NOW
        session.request("POST", "x", passing=lambda answer: None)
        assert clock.now() - NOW == timedelta(seconds=61)
        session.close()
    assert len(server.asked) == 8


def test_every_try_counts_for_the_pace() -> None:
    clock = FixedClock(NOW)
    answers = [Told(503), Told(503), Told(body=[])]

    def answer(asked: Asked) -> Told:
        return answers.pop(0)

    with answering(answer) as server:
        session = HttpSession("installers", server.url, clock, rate=RateLimit(others_per_minute=2))
        session.request("POST", "x", json={}, passing=lambda answer: None)
        session.close()
    assert session.requests_made == 3
    assert clock.now() - NOW >= timedelta(seconds=61)


def test_rate_limit_lets_something_go() -> None:
    with pytest.raises(ValueError, match="at least one"):
        RateLimit(reads_per_minute=0)


@given(st.one_of(st.none(), st.text(), st.from_regex(r"[0-9]{1,12}(\.[0-9]*)?", fullmatch=True)))
def test_any_retry_after_gives_a_bounded_wait(said: str | None) -> None:
    assert SHORTEST_WAIT <= told_wait(said, NOW) <= LONGEST_WAIT


@given(st.integers(1, int(LONGEST_WAIT)))
def test_seconds_and_dates_are_waited_as_told(seconds: int) -> None:
    assert told_wait(str(seconds), NOW) == seconds
    assert told_wait(f" {seconds} ", NOW) == seconds
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert told_wait(date, NOW) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, UNTOLD_WAIT),
        ("", UNTOLD_WAIT),
        ("soon", UNTOLD_WAIT),
        ("-5", UNTOLD_WAIT),
        ("nan", UNTOLD_WAIT),
        ("٣٧", UNTOLD_WAIT),
        ("0", SHORTEST_WAIT),
        ("3601", LONGEST_WAIT),
        ("1.5", 1.5),
        ("Fri, 20 Nov 2026 11:00:00 GMT", SHORTEST_WAIT),
        ("Sat, 21 Nov 2026 12:00:00 GMT", LONGEST_WAIT),
        ("Fri, 20 Nov 2026 12:00:30 -0000", UNTOLD_WAIT),
    ],
)
def test_retry_after_at_its_edges(said: str | None, seconds: float) -> None:
    assert told_wait(said, NOW) == seconds
