"""Visits into rows: exact times in every zone, nothing dropped unseen, null and zero apart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.sources.matomo_visits import Reading, action_times, read_visits

ZONES = ["Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
AUTUMN = {
    "Europe/Copenhagen": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "America/New_York": datetime(2026, 11, 1, 6, tzinfo=UTC),
    "Australia/Lord_Howe": datetime(2026, 4, 4, 15, tzinfo=UTC),
    "UTC": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "Asia/Kathmandu": datetime(2026, 10, 25, 1, tzinfo=UTC),
}
DIMENSIONS = {"os": 1, "architecture": 2, "commit": 3}
NOON = 1_795_000_000


def wall(instant: datetime, zone: ZoneInfo) -> int:
    """The stamp that Matomo writes: the site's clock as if it were UTC."""
    return int(instant.astimezone(zone).replace(tzinfo=UTC).timestamp())


def possible(stamps: list[int], zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, ...]]:
    """All ways to read the stamps that keep order and bounds, found by trying every one."""
    offsets = {first.astimezone(zone).utcoffset(), last.astimezone(zone).utcoffset()}
    offsets |= {(first + timedelta(hours=h)).astimezone(zone).utcoffset() for h in range(-4, 5)}
    choices = []
    for stamp in stamps:
        naive = datetime.fromtimestamp(stamp, UTC)
        choices.append(sorted({naive - o for o in offsets if o is not None and wall(naive - o, zone) == stamp}))
    return [
        way
        for way in product(*choices)
        if list(way) == sorted(way) and all(first <= instant <= last for instant in way)
    ]


@st.composite
def visits_around_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, list[datetime]]:
    name = draw(st.sampled_from(ZONES))
    steps = draw(st.lists(st.integers(-7_200, 7_200), min_size=1, max_size=6))
    return ZoneInfo(name), sorted(AUTUMN[name] + timedelta(seconds=step) for step in steps)


@given(visits_around_a_change())
def test_times_come_back_exactly_where_order_and_bounds_decide(made: tuple[ZoneInfo, list[datetime]]) -> None:
    zone, true = made
    stamps = [wall(instant, zone) for instant in true]
    ways = possible(stamps, zone, true[0], true[-1])
    assert tuple(true) in ways
    found = action_times(stamps, zone, true[0], true[-1])
    for index, instant in enumerate(true):
        answer = found[index]
        assert answer is not None
        decided = len({way[index] for way in ways}) == 1
        assert answer[1] == (not decided), "flagged exactly where two readings are possible"
        assert answer[0] == (instant if decided else min(way[index] for way in ways))


@given(st.lists(st.one_of(st.integers(-(2**70), 2**70), st.text(max_size=4), st.none(), st.floats()), max_size=6))
def test_any_stamp_is_read_or_refused_and_never_breaks(stamps: list[Any]) -> None:
    bounds = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 3, tzinfo=UTC)
    assert len(action_times(stamps, ZoneInfo("Europe/Copenhagen"), *bounds)) == len(stamps)


def test_event_inserted_before_the_first_action_keeps_its_time() -> None:
    first = datetime(2026, 11, 14, 10, tzinfo=UTC)
    zone = ZoneInfo("Europe/Copenhagen")
    early = first - timedelta(minutes=10)
    found = action_times([wall(early, zone), wall(first, zone)], zone, first, first)
    assert found == [(early, False), (first, False)]


def event(**more: Any) -> dict[str, Any]:
    made = {"type": "event", "pageId": 7, "timestamp": NOON, "eventCategory": "Installer", "eventAction": "Event"}
    return {**made, **more}


def visit(*actions: Any, **more: Any) -> dict[str, Any]:
    made = {"idVisit": 1, "visitorId": "ab", "firstActionTimestamp": NOON, "lastActionTimestamp": NOON}
    return {**made, "actionDetails": list(actions), **more}


def read(*visits: Any) -> Reading:
    reading = Reading()
    read_visits(visits, ZoneInfo("UTC"), DIMENSIONS, reading)
    return reading


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({}, None), ({"eventValue": None}, None), ({"eventValue": ""}, None), ({"eventValue": 0}, 0.0),
        ({"eventValue": "0"}, 0.0), ({"eventValue": -0.0}, 0.0), ({"eventValue": 37.5}, 37.5),
        ({"eventValue": "12.346"}, 12.346), ({"eventValue": -1}, -1.0), ({"eventValue": 123456789012}, 123456789012.0),
    ],
)  # fmt: skip
def test_values_zero_and_absent_never_meet(sent: dict[str, Any], stored: float | None) -> None:
    [row] = read(visit(event(**sent))).rows
    assert row["value"] == stored
    assert str(row["value"]) != "-0.0"


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (event(eventValue=True), "value"), (event(eventValue="many"), "value"), (event(eventValue=[1]), "value"),
        (event(pageId=None), "event id"), (event(pageId="x"), "event id"), (event(timestamp=None), "time"),
        (event(timestamp="soon"), "time"), (event(pageId=2**80), "event id"), ("text", "not an action"),
    ],
)  # fmt: skip
def test_what_cannot_become_a_row_is_kept_aside(odd: Any, reason: str) -> None:
    reading = read(visit(odd, event(pageId=8)))
    assert [row["event_id"] for row in reading.rows] == ["8"]
    [piece] = reading.quarantined
    assert reason in piece.reason
    json.loads(piece.payload)
    assert reading.received == 2


def test_visit_without_bounds_puts_its_events_aside_and_no_others() -> None:
    reading = read(visit(event(), {"type": "action"}, lastActionTimestamp=None), visit(event(pageId=9), idVisit=2))
    assert [row["event_id"] for row in reading.rows] == ["9"]
    assert len(reading.quarantined) == 1


def test_kept_pieces_hold_no_personal_data() -> None:
    secret = "anna@example.org"
    reading = read(visit(event(pageId=None, url=secret, visitIp=secret, userId=secret)))
    assert secret not in reading.quarantined[0].payload


def test_only_wanted_dimensions_are_read() -> None:
    [row] = read(visit(event(dimension1="a", dimension2=None, dimension3="", dimension7="stack trace"))).rows
    assert (row["os_raw"], row["architecture_raw"], row["commit_raw"]) == ("a", None, "")
    assert "stack trace" not in row.values()


def test_half_a_character_is_replaced_and_stored() -> None:
    [row] = read(visit(event(eventName="broken \ud83d pair"))).rows
    assert row["name"] == "broken ? pair"


things = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
odd_events = st.fixed_dictionaries(
    {"type": st.just("event")},
    optional=dict.fromkeys(("pageId", "timestamp", "eventValue", "eventName", "dimension1"), things),
)


@given(st.lists(st.one_of(odd_events, things), max_size=4), things, things)
def test_any_answer_becomes_rows_or_pieces(actions: list[Any], first: Any, last: Any) -> None:
    reading = read(visit(*actions, firstActionTimestamp=first, lastActionTimestamp=last), first)
    events = sum(isinstance(a, dict) and a.get("type") == "event" for a in actions)
    others = sum(not isinstance(a, dict) for a in actions)
    assert reading.received == events + others + 1
    assert all(row["event_ts"].tzinfo is not None for row in reading.rows)
