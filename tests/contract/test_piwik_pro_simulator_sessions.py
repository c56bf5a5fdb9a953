"""What of the simulated Piwik PRO is in sight when: sessions, delays, rebuilds, vanishing, retention, order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator.piwik_pro_sessions import FOREVER, Ints, Rules, copies, group
from tests.contract.piwik_pro_asking import (
    ALWAYS,
    END,
    NAME,
    NOON,
    Asking,
    at,
    free,
    log,
    minutes,
    track,
    truth,
)


def test_an_event_is_in_sight_half_an_hour_after_its_session_s_last() -> None:
    with Asking(minutes("a", "b", step=20), now=NOON + timedelta(minutes=50) - timedelta(seconds=1)) as ask:
        assert ask.names() == []
        assert ask.count("query", columns=["events"]) == 1
        ask.now += timedelta(seconds=1)
        assert ask.names() == ["a", "b"]


def test_a_steady_stream_holds_its_session_open() -> None:
    with Asking(minutes(*"abcdefgh", step=25), now=NOON + timedelta(minutes=25 * 7 + 29)) as ask:
        assert ask.names() == []


def test_sessions_are_made_by_visitor_gap_length_and_size() -> None:
    rows = [
        *(
            {"event_ts": NOON + timedelta(minutes=m), "visitor_id": "0" * 15 + "1", "name": f"gap{m}"}
            for m in (0, 30, 61)
        ),
        *({"event_ts": NOON + timedelta(minutes=m), "visitor_id": "0" * 15 + "2", "name": f"two{m}"} for m in (0, 1)),
    ]
    with Asking(log(*rows)) as ask:
        found = ask.rows(columns=[*NAME, "event_index"])
        sessions: dict[str, list[tuple[int, str]]] = {}
        for row in found:
            sessions.setdefault(row["session_id"], []).append((row["event_index"], row["custom_event_name"]))
        made = sorted([name for _, name in sorted(members)] for members in sessions.values())
        assert made == [["gap0", "gap30"], ["gap61"], ["two0", "two1"]]
        first = {row["session_id"]: row["event_id"] for row in found if row["event_index"] == 0}
        assert all(session == event for session, event in first.items())
        listed = ask.rows("sessions", columns=["session_total_events", "session_total_custom_events"])
        assert sorted(row["session_total_events"] for row in listed) == [1, 2, 2]
        assert {row["session_id"] for row in listed} == set(sessions)
        wrong = ask.post("sessions", columns=NAME, **ALWAYS)
        assert (wrong.status_code, "not available" in wrong.text) == (400, True)


def test_events_beyond_the_limits_of_a_session_are_lost_unless_it_is_just_split() -> None:
    events = minutes(*(f"{n:02}" for n in range(40)), step=20)
    with Asking(events, assumed=free(session_max_event_count=10), now=END) as ask:
        assert ask.names() == [f"{n:02}" for n in range(10)]
    with Asking(events, assumed=free()) as ask:  # 12 hours hold 37 of them
        assert ask.names() == [f"{n:02}" for n in range(37)]
    split = free(session_max_event_count=10, session_limit_exceeded_action="just_split")
    with Asking(events, assumed=split) as ask:
        rows = ask.rows(columns=["event_index"])
        assert len(rows) == 40
        assert Counter(row["session_id"] for row in rows) == {row["session_id"]: 10 for row in rows}
        assert max(row["event_index"] for row in rows) == 9


def test_visitors_without_an_id_share_one_session() -> None:
    with Asking(minutes("a", "b", visitor_id=None)) as ask:
        assert len({row["session_id"] for row in ask.rows()}) == 1


def test_processing_takes_up_to_two_hours_another_time_for_each_session() -> None:
    events = log(*({"event_ts": NOON, "visitor_id": f"{n:016x}", "name": str(n)} for n in range(200)))
    with Asking(events, processing_delay_s=7_200, assumed=free()) as ask:
        seen = {}
        for quarter in range(0, 12):
            ask.now = NOON + timedelta(minutes=15 * quarter)
            seen[quarter] = ask.count()
        assert (seen[1], seen[2]) == (0, 1) or seen[2] < 20
        assert 60 < seen[6] < 140
        assert sorted(seen.values()) == list(seen.values())
        ask.now = NOON + timedelta(minutes=150)
        assert ask.count() == 200


def test_a_late_event_rebuilds_its_session_and_both_copies_stand_for_a_while() -> None:
    with Asking(minutes("a", "b"), assumed=free()) as ask:
        ask.now = NOON + timedelta(hours=2, minutes=10)
        before = {row["custom_event_name"]: row for row in ask.rows()}
        early = str(int((NOON - timedelta(minutes=5)).timestamp()))
        assert track(ask, cid="00000000000000aa", e_n="late", cdt=early).status_code == 202
        both_copies = ask.rows()
        assert Counter(row["custom_event_name"] for row in both_copies) == {"late": 1, "a": 2, "b": 2}
        assert ask.count() == 5
        assert len({row["event_id"] for row in both_copies}) == 3
        new = {row["custom_event_name"]: row for row in both_copies if row["session_id"] != before["a"]["session_id"]}
        assert [new[name]["event_index"] for name in ("late", "a", "b")] == [0, 1, 2]
        assert new["a"]["session_id"] == new["late"]["event_id"]
        assert new["a"]["event_id"] == before["a"]["event_id"]
        ask.now = NOON + timedelta(hours=3) - timedelta(seconds=1)
        assert ask.count() == 5
        ask.now += timedelta(seconds=1)  # removed on the hour
        assert ask.count() == 3
        assert {row["custom_event_name"]: row for row in ask.rows()} == new


def test_event_ids_may_change_when_a_session_is_rebuilt() -> None:
    with (
        Asking(assumed=free(ids_survive=False), now=END + timedelta(days=2), late_share=0.3) as changed,
        Asking(now=END + timedelta(days=2)) as plain,
    ):
        assert {row["event_id"] for row in changed.rows()} != {row["event_id"] for row in plain.rows()}
        assert changed.count() == plain.count()


def test_late_events_come_late_and_in_the_end_all_are_there_once() -> None:
    with Asking(late_share=0.3, late_seconds=6 * 3_600, processing_delay_s=3_600, assumed=free()) as ask:
        extra = 0
        for hours in range(24):
            ask.now = END - timedelta(days=2) + timedelta(hours=hours, minutes=50)
            ids = [row["event_id"] for row in ask.rows(columns=[])]
            extra += len(ids) - len(set(ids))
        assert extra > 0
        early = ask.count()
        ask.now = END + timedelta(hours=12)
        ids = [row["event_id"] for row in ask.rows(columns=[])]
        assert len(ids) == len(set(ids)) == truth().events.height > early


def test_some_events_vanish_after_they_were_seen() -> None:
    with Asking(now=END + timedelta(hours=1), vanish_share=0.2, vanish_after_s=86_400) as ask:
        left = ask.count()
        assert 0.7 < left / truth().events.height < 0.9
        whole = truth().events.filter(pl.col("event_ts") > END - timedelta(hours=20)).height
        assert ask.count(date_from="2026-11-21 06:00:00") == whole
        ask.now += timedelta(days=2)
        assert 0.7 < ask.count() / truth().events.height < 0.85


def test_an_administrator_takes_events_out() -> None:
    with Asking(minutes("a", "b")) as ask:
        assert ask.names() == ["a", "b"]
        assert ask.sim.exclude(pl.col("name") == "a") == 1
        assert ask.names() == ["b"]


def test_whole_months_vanish_by_retention_on_the_first() -> None:
    days = ["2026-07-31", "2026-08-01", "2026-09-01", "2026-10-31"]
    events = log(*({"event_ts": at(f"{day} 12:00:00"), "name": day} for day in days))
    with Asking(events, retention_days=61, now=at("2026-10-31 22:59:00"), assumed=free()) as ask:
        # A minute before midnight of the site.
        assert ask.names() == days[1:]
        ask.now = at("2026-10-31 23:00:00")
        assert ask.names() == days[2:]


def test_rows_come_in_any_order_and_another_one_each_time() -> None:
    with Asking() as ask:
        first, second = ([row["event_id"] for row in ask.rows(columns=[])] for _ in range(2))
        assert first != second
        assert sorted(first) == sorted(second)
        stamps = [row["timestamp"] for row in ask.rows(columns=[])]
        assert stamps != sorted(stamps)
    with Asking(assumed=free(order="pinned")) as ask:
        first, second = ([row["event_id"] for row in ask.rows(columns=[])] for _ in range(2))
        assert first == second
        half = len(first) // 2
        parts = [ask.rows(columns=[], limit=half + 1, offset=offset) for offset in (0, half + 1)]
        assert [row["event_id"] for part in parts for row in part] == first


def reference(events: list[tuple[int, int]], rules: Rules) -> dict[int, tuple[int, int, bool]]:
    """By event (visitor, ts): first event, place, whether excluded; one event after the other."""
    made: dict[int, tuple[int, int, bool]] = {}
    open_: dict[int, tuple[int, int, int, int]] = {}
    for number in sorted(range(len(events)), key=lambda n: (events[n][1], n)):
        visitor, ts = events[number]
        first, began, last, size = open_.get(visitor, (number, ts, ts, 0))
        over = ts - began > rules.longest or size >= rules.most
        if ts - last > rules.idle or (over and not rules.excludes):
            first, began, size, over = number, ts, 0, False
        made[number] = (first, size, over)
        open_[visitor] = (first, began, ts, size + 1)
    return made


def arrays(events: list[tuple[int, int]]) -> tuple[Ints, Ints, Ints]:
    table = np.array(events, dtype=np.int64).reshape(-1, 2)
    return np.arange(len(table)), table[:, 0].copy(), table[:, 1].copy()


sent = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400)), min_size=1, max_size=40)
rules = st.builds(
    Rules, idle=st.integers(1, 60), longest=st.integers(1, 200), most=st.integers(1, 6), excludes=st.booleans(),
    overlap=st.sampled_from([0, 1_800, 3_600, 7_200]),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(sent, rules)
def test_sessions_are_those_that_one_event_after_the_other_would_make(
    events: list[tuple[int, int]], law: Rules
) -> None:
    grouped = group(*arrays(events), law)
    rows = zip(grouped.event, grouped.first, grouped.index, grouped.excluded, strict=True)
    assert {int(e): (int(f), int(i), bool(x)) for e, f, i, x in rows} == reference(events, law)


@settings(max_examples=150, deadline=None)
@given(sent, rules, st.data())
def test_a_copy_of_each_event_is_in_sight_from_its_first_to_the_end_of_time(
    events: list[tuple[int, int]], law: Rules, data: st.DataObject
) -> None:
    event, visitor, ts = arrays([(who, when * 60) for who, when in events])
    lag = np.array(
        data.draw(st.lists(st.sampled_from([0, 0, 0, 900, 7_200, 90_000]), min_size=len(ts), max_size=len(ts)))
    )
    made = copies(event, visitor, ts, ts + lag, law, lambda first: first * 37 % 500)
    settled = {row["event"]: row for row in made.filter(pl.col("until") == FOREVER).to_dicts()}
    final = reference([(int(v), int(t)) for v, t in zip(visitor, ts, strict=True)], law)
    assert {n: (row["first"], row["index"], row["excluded"]) for n, row in settled.items()} == final
    for mine in made.sort("event", "since").partition_by("event"):
        since, until = mine["since"].to_list(), mine["until"].to_list()
        number = mine["event"][0]
        assert since[0] >= ts[number] + lag[number]
        assert all(later <= earlier for earlier, later in zip(until, since[1:], strict=False))
        assert all(end == FOREVER or end % 3_600 == 0 or end in since for end in until)
