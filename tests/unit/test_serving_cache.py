"""The cache of answers: what a lookup finds, what ends an answer, what is counted, and who waits for whom."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.toolserver.cache import CacheEvent, ReportCache

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)


def cache(seconds: float = 60, entries: int = 10) -> tuple[ReportCache[str], FixedClock, list[CacheEvent]]:
    clock, heard = FixedClock(NOW), list[CacheEvent]()
    return ReportCache(clock, seconds=seconds, entries=entries, hook=heard.append), clock, heard


def made(kept: ReportCache[str], key: object, value: str, generation: int = 1, feature: str = "events") -> str:
    async def make() -> str:
        return value

    return asyncio.run(kept.made_once(feature, key, generation, make))


def test_a_kept_answer_is_found_until_its_time_is_over() -> None:
    kept, clock, heard = cache()
    assert kept.lookup("events", "k", 1) is None
    made(kept, "k", "answer")
    clock.advance(timedelta(seconds=59))
    assert kept.lookup("events", "k", 1) == "answer"
    clock.advance(timedelta(seconds=1))
    assert kept.lookup("events", "k", 1) is None
    assert [event.type for event in heard] == ["miss", "set", "hit", "stale-eviction", "miss"]
    assert heard[1].ttl_ms == 60_000
    assert heard[2].ttl_ms == 1_000
    assert heard[2].expires_at == NOW + timedelta(seconds=60)
    assert kept.statistics() == {
        "total": {"hits": 1, "misses": 2, "sets": 1, "staleEvictions": 1, "entries": 0},
        "features": [{"feature": "events", "hits": 1, "misses": 2, "sets": 1, "staleEvictions": 1, "entries": 0}],
    }


def test_an_answer_of_the_future_is_none_once_the_clock_was_put_back() -> None:
    clock = FixedClock(NOW + timedelta(hours=1))
    kept = ReportCache[str](clock, seconds=60, entries=10)
    made(kept, "k", "answer")
    clock.advance(timedelta(hours=-1))
    assert kept.lookup("events", "k", 1) is None


def test_a_new_generation_of_the_tables_ends_an_answer_at_once() -> None:
    kept, _, _ = cache()
    made(kept, "k", "old", generation=1)
    assert kept.lookup("events", "k", 2) is None
    assert kept.lookup("events", "k", 1) is None


def test_the_one_least_recently_asked_for_makes_room() -> None:
    kept, _, _ = cache(entries=2)
    made(kept, "a", "a")
    made(kept, "b", "b")
    assert kept.lookup("events", "a", 1) == "a"
    made(kept, "c", "c")
    assert [kept.lookup("events", key, 1) for key in "abc"] == ["a", None, "c"]
    assert kept.statistics()["total"]["entries"] == 2


def test_all_who_wait_get_what_is_made_once() -> None:
    kept, _, _ = cache()
    calls = []

    async def play() -> list[str]:
        going, release = asyncio.Event(), asyncio.Event()

        async def make() -> str:
            calls.append(1)
            going.set()
            await release.wait()
            return "answer"

        first = asyncio.create_task(kept.made_once("events", "k", 1, make))
        await going.wait()
        others = [asyncio.create_task(kept.made_once("events", "k", 1, make)) for _ in range(5)]
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(play()) == ["answer"] * 6
    assert len(calls) == 1
    assert kept.counts["events"].shared == 5


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    kept, _, _ = cache()

    async def play() -> list[object]:
        going, release = asyncio.Event(), asyncio.Event()

        async def fail() -> str:
            going.set()
            await release.wait()
            raise ValueError("no")

        first = asyncio.create_task(kept.made_once("events", "k", 1, fail))
        await going.wait()
        second = asyncio.create_task(kept.made_once("events", "k", 1, fail))
        await asyncio.sleep(0)
        release.set()
        return list(await asyncio.gather(first, second, return_exceptions=True))

    assert [type(found) for found in asyncio.run(play())] == [ValueError, ValueError]
    assert kept.lookup("events", "k", 1) is None
    assert made(kept, "k", "then") == "then"


def test_without_time_nothing_is_kept() -> None:
    kept, _, _ = cache(seconds=0)
    made(kept, "k", "answer")
    assert kept.lookup("events", "k", 1) is None
    assert kept.statistics()["total"] == {"hits": 0, "misses": 1, "sets": 0, "staleEvictions": 0, "entries": 0}


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("look"), st.integers(0, 4), st.integers(1, 2)),
            st.tuples(st.just("make"), st.integers(0, 4), st.integers(1, 2)),
            st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
        ),
        max_size=40,
    ),
    entries=st.integers(1, 4),
)
def test_it_never_gives_what_a_plain_list_would_not(steps: list[tuple[str, int, int]], entries: int) -> None:
    kept, clock, _ = cache(seconds=60, entries=entries)
    plain: list[tuple[int, int, datetime, str]] = []  # key, generation, end, value; least recently used first
    for number, (what, key, generation) in enumerate(steps):
        if what == "wait":
            clock.advance(timedelta(seconds=key))
            continue
        if what == "make":
            made(kept, key, str(number), generation)
            if any(entry[0] == key and entry[1] > generation for entry in plain):
                continue
            plain = [entry for entry in plain if entry[0] != key]
            plain.append((key, generation, clock.now() + timedelta(seconds=60), str(number)))
            plain = plain[-entries:]
            continue
        entry = next((entry for entry in plain if entry[0] == key), None)
        if entry:
            plain.remove(entry)
            if entry[1] == generation and clock.now() < entry[2]:
                plain.append(entry)
        right = entry[3] if entry and entry in plain else None
        assert kept.lookup("events", key, generation) == right
    assert kept.statistics()["total"]["entries"] == len(plain)


def test_making_for_one_generation_is_not_shared_with_another() -> None:
    kept, _, _ = cache()

    async def play() -> list[str]:
        going, release = asyncio.Event(), asyncio.Event()

        async def old() -> str:
            going.set()
            await release.wait()
            return "old"

        async def new() -> str:
            return "new"

        first = asyncio.create_task(kept.made_once("events", "k", 1, old))
        await going.wait()
        second = asyncio.create_task(kept.made_once("events", "k", 2, new))
        await asyncio.sleep(0.01)
        release.set()
        return list(await asyncio.gather(first, second))

    assert asyncio.run(play()) == ["old", "new"]
    assert kept.lookup("events", "k", 2) == "new"


def test_what_is_made_is_made_to_its_end_when_the_first_caller_goes_away() -> None:
    kept, _, _ = cache()

    async def play() -> str:
        going, release = asyncio.Event(), asyncio.Event()

        async def make() -> str:
            going.set()
            await release.wait()
            return "answer"

        first = asyncio.create_task(kept.made_once("events", "k", 1, make))
        await going.wait()
        second = asyncio.create_task(kept.made_once("events", "k", 1, make))
        await asyncio.sleep(0)
        first.cancel()
        release.set()
        return await second

    assert asyncio.run(play()) == "answer"
    assert kept.lookup("events", "k", 1) == "answer"
