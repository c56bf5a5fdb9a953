"""The facts about Matomo's log that bite a reader are true of the simulated one."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import Faults, Truth, generate
from matokit_pipelines.simulator.faults import Dice
from matokit_pipelines.simulator.matomo_access import Access, Tokens
from matokit_pipelines.simulator.matomo_api import MatomoApi
from matokit_pipelines.simulator.matomo_live import Site
from matokit_pipelines.simulator.matomo_log import Arrival, MatomoLog, arrivals, stored_value
from matokit_pipelines.simulator.sending import SCHEMA
from matokit_pipelines.simulator.wire import Request

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "matomo"
COPENHAGEN = ZoneInfo("Europe/Copenhagen")
END = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
NOW = int(END.timestamp())


def recording(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())["body"]


@cache
def truth() -> Truth:
    return generate(days=30, events_per_day=150, seed=11, end=END)


class Face:
    """A Matomo without a socket."""

    def __init__(
        self,
        events: pl.DataFrame,
        zone: str = "Europe/Copenhagen",
        now: int = NOW,
        version: str = "5.2.0",
        **faults: Any,
    ) -> None:
        dice = Dice(Faults(**faults))
        late = (dice.faults.late_share, dice.faults.late_seconds, dice.faults.seed)
        self.log = MatomoLog(arrivals(events, zone, late), zone)
        self.now = now
        access = Access(Tokens("v", "n", "s"), dice)
        self.api = MatomoApi(Site(1, "Installer scripts", "DKK", "kr"), self.log, access, dice, version, "2026-01-01")

    def ask(self, method: str, **params: Any) -> Any:
        self.log.advance(self.now)
        sent = {"format": "json", "idSite": "1", "method": method} | {key: str(value) for key, value in params.items()}
        answer = self.api.answer(Request("POST", "/index.php", sent, {"token_auth": "v"}), self.now)
        return json.loads(answer.body)

    def live(self, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("Live.getLastVisitsDetails", **params)
        return found

    def by_cursor(self, limit: int, **params: Any) -> list[dict[str, Any]]:
        found, cursor = [], 0
        while True:
            page = self.live(filter_sort_order="asc", filter_limit=limit, minTimestamp=max(cursor - 1, 0), **params)
            found += page
            if len(page) < limit:
                return found
            if page[-1]["lastActionTimestamp"] == cursor:
                limit *= 2
            cursor = page[-1]["lastActionTimestamp"]

    def by_offset(self, limit: int, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := self.live(filter_limit=limit, filter_offset=len(found), **params):
            found += page
        return found


@cache
def month() -> Face:
    return Face(truth().events)


def pages(visits: list[dict[str, Any]]) -> set[int]:
    return {action["pageId"] for visit in visits for action in visit["actionDetails"]}


def sent(*rows: tuple[str, str, str], zone: str = "UTC", **more: Any) -> pl.DataFrame:
    """Events (visitor's last digit, UTC time, name) as a frame."""
    made = [
        {"event_ts": datetime.fromisoformat(when).replace(tzinfo=UTC), "visitor_id": f"{visitor:0>16}", "name": name}
        | {"category": "Installer", "action": "Event", "value": 1.0, "dimension1": None, "dimension2": "", "url": None}
        | {"dimension3": "a1b2c3d", "dimension4": None}
        | more
        for visitor, when, name in rows
    ]
    return pl.DataFrame(made, schema={name: SCHEMA[name] for name in list(SCHEMA)[:10]})


def test_action_times_are_the_wall_clock_and_visit_times_are_true() -> None:
    face = Face(sent(("1", "2026-07-01T10:00:00", "summer"), ("1", "2026-11-18T10:00:00", "winter")))
    winter, summer = face.live()
    for visit, ahead in ((summer, 7200), (winter, 3600)):
        assert visit["actionDetails"][0]["timestamp"] - visit["lastActionTimestamp"] == ahead
        assert visit["lastActionTimestamp"] == visit["serverTimestamp"] == visit["firstActionTimestamp"]


def test_the_autumn_night_is_written_as_recorded() -> None:
    known = recording("Live.getLastVisitsDetails.dst-end")
    night = [(a["eventName"], a["timestamp"]) for visit in reversed(known) for a in visit["actionDetails"]]
    times = [name.removeprefix("utc_") for name, _ in night]
    days = ["2026-10-24" if time.startswith("23") else "2026-10-25" for time in times]
    rows = [("7", f"{day}T{time}:00", f"utc_{time}") for day, time in zip(days, times, strict=True)]
    made = Face(sent(*rows)).live(period="day", date="2026-10-25")
    assert [(a["eventName"], a["timestamp"]) for visit in reversed(made) for a in visit["actionDetails"]] == night
    for visit, other in zip(made, known, strict=True):
        for key in (
            "firstActionTimestamp",
            "lastActionTimestamp",
            "visitDuration",
            "visitorType",
            "secondsSinceFirstVisit",
        ):
            assert visit[key] == other[key]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_an_offset_over_several_days_skips_visits_silently(order: str) -> None:
    day = {"period": "range", "date": "2026-10-24,2026-11-20", "filter_sort_order": order}
    whole = {visit["idVisit"] for visit in month().live(filter_limit=-1, **day)}
    paged = {visit["idVisit"] for visit in month().by_offset(40, **day)}
    assert paged < whole
    assert len(paged) < 0.9 * len(whole)
    deep = {**day, "filter_limit": 40, "filter_offset": len(whole) - 40}
    assert month().live(**deep) == []


def test_an_offset_from_today_or_without_a_period_skips_visits_too() -> None:
    whole = {visit["idVisit"] for visit in month().live(filter_limit=-1)}
    assert {visit["idVisit"] for visit in month().by_offset(40)} < whole


def test_an_offset_inside_one_past_day_loses_nothing() -> None:
    for day in ("2026-11-18", "2026-10-25"):
        for order in ("asc", "desc"):
            asked = {"period": "day", "date": day, "filter_sort_order": order}
            whole = [visit["idVisit"] for visit in month().live(filter_limit=-1, **asked)]
            assert [visit["idVisit"] for visit in month().by_offset(7, **asked)] == whole
            assert whole


def test_a_past_day_holds_the_visits_that_end_in_it_midnight_in_both() -> None:
    face = Face(
        sent(
            ("1", "2026-11-16T23:00:00", "sharp"),
            ("2", "2026-11-17T22:59:59", "last"),
            ("3", "2026-11-17T23:00:01", "next"),
        )
    )
    named = {
        day: {v["actionDetails"][0]["eventName"] for v in face.live(period="day", date=day)}
        for day in ("2026-11-16", "2026-11-17", "2026-11-18")
    }
    assert named == {"2026-11-16": {"sharp"}, "2026-11-17": {"sharp", "last"}, "2026-11-18": {"next"}}


def test_today_starts_at_yesterday_and_words_follow_utc() -> None:
    rows = [(str(n), f"2026-11-{20 + n // 2}T{10 + n % 2}:00:00", f"e{n}") for n in range(6)]
    just_after_local_midnight = int(datetime(2026, 11, 22, 23, 30, tzinfo=UTC).timestamp())
    face = Face(sent(*rows), now=just_after_local_midnight)
    # In Copenhagen it is the 23rd: its absolute date starts at the 22nd, the word at the 21st.
    assert len(face.live(period="day", date="2026-11-23")) == 2
    assert len(face.live(period="day", date="today")) == 4
    assert len(face.live(period="day", date="yesterday")) == 2
    assert len(face.live(period="day", date="last3")) == 4
    assert len(face.live(period="day", date="previous2")) == 6
    assert face.live(period="day", date="2026-12-24") == []


def test_only_events_up_to_now_exist() -> None:
    face = Face(truth().events, now=NOW - 5 * 86_400)
    before = pages(face.live(filter_limit=-1))
    assert max(v["lastActionTimestamp"] for v in face.live(filter_limit=1)) <= face.now
    face.now = NOW
    assert before < pages(face.live(filter_limit=-1))
    assert len(pages(face.live(filter_limit=-1))) == truth().events.height


def test_a_minimum_is_strictly_exceeded_and_joins_a_period() -> None:
    times = sorted(visit["lastActionTimestamp"] for visit in month().live(filter_limit=-1))
    middle = times[len(times) // 2]
    found = month().live(filter_limit=-1, minTimestamp=middle, filter_sort_order="asc")
    assert [visit["lastActionTimestamp"] for visit in found] == [time for time in times if time > middle]
    day = month().live(filter_limit=-1, minTimestamp=middle, period="day", date="2026-11-18", filter_sort_order="asc")
    whole = month().live(filter_limit=-1, period="day", date="2026-11-18", filter_sort_order="asc")
    assert day == [visit for visit in whole if visit["lastActionTimestamp"] > middle]


def test_ties_are_broken_by_id_only_since_5_2() -> None:
    rows = [(f"{n:x}", "2026-11-18T10:00:00", "same") for n in range(12)]
    new, old = Face(sent(*rows)), Face(sent(*rows), version="5.0.2")
    assert [v["idVisit"] for v in new.live(filter_sort_order="asc")] == list(range(1, 13))
    assert [v["idVisit"] for v in new.live()] == list(range(12, 0, -1))
    orders = [[v["idVisit"] for v in old.live(filter_limit=limit)] for limit in range(12, 20)]
    assert any(order != sorted(order, reverse=True) for order in orders)
    assert all(sorted(order) == list(range(1, 13)) for order in orders)


def test_limits() -> None:
    assert len(month().live()) == 100
    assert len(month().live(filter_limit="abc")) == 100
    assert month().live(filter_limit=0) == []
    assert len(month().live(filter_limit=-1)) == len(month().log.visits)
    assert month().live(doNotFetchActions=1)[0]["actionDetails"] == []


@pytest.mark.parametrize(
    "columns",
    [
        {"showColumns": "idVisit,visitorId,actionDetails,lastActionTimestamp,firstActionTimestamp,events"},
        {
            "hideColumns": "icon,iconSVG,title,subtitle,serverTimePretty,browserIcon,operatingSystemIcon,"
            "deviceTypeIcon,countryFlag,pluginsIcons,plugins"
        },
    ],
)
def test_columns_are_shown_and_hidden_as_recorded(columns: dict[str, str]) -> None:
    name = "showColumns" if "showColumns" in columns else "hideColumns-lean"
    known = recording(f"Live.getLastVisitsDetails.{name}")[0]
    made = next(v for v in month().live(period="day", date="2026-11-18", **columns) if len(v["actionDetails"]) > 1)
    assert made.keys() == known.keys()
    event = next(a for a in made["actionDetails"] if {"eventName", "eventValue"} <= a.keys())
    assert event.keys() == known["actionDetails"][0].keys()


def test_a_segment_picks_visits_and_returns_all_their_actions() -> None:
    web = [
        ("9", "2026-11-18T10:00:00", "Installer"),
        ("9", "2026-11-18T10:01:00", "Web"),
        ("8", "2026-11-18T10:02:00", "Web"),
    ]
    face = Face(pl.concat([sent(row, category=row[2]) for row in web]).sort("event_ts"))
    both = face.live(segment="eventCategory==Installer")
    assert [[a["eventCategory"] for a in visit["actionDetails"]] for visit in both] == [["Installer", "Web"]]
    assert len(face.live(segment="eventCategory=^Inst")) == 1
    assert len(face.live(segment="eventCategory=^Inst,eventCategory==Web")) == 2
    assert len(face.live(segment="eventCategory!=")) == 2
    assert [v["visitorId"] for v in face.live(segment="visitorId==0000000000000008")] == ["0000000000000008"]
    assert len(face.live(segment="eventName==We%62;visitorId==0000000000000009")) == 1


def test_reports_count_the_events_of_live_by_their_own_local_day() -> None:
    by_day: Counter[str] = Counter()
    for visit in month().live(filter_limit=-1):
        for action in visit["actionDetails"]:
            if action["type"] == "event":
                by_day[str(datetime.fromtimestamp(action["timestamp"], UTC).date())] += 1
    first, last = min(by_day), max(by_day)
    for report in ("Events.getCategory", "Events.getName"):
        made = month().ask(report, period="day", date=f"{first},{last}", filter_limit=-1)
        counted = {day: sum(int(row["nb_events"]) for row in rows) for day, rows in made.items()}
        assert counted == {day: by_day[day] for day in counted}
        assert sum(counted.values()) == sum(by_day.values())


def test_numbers_come_as_numbers_and_as_texts() -> None:
    days = [f"2026-11-{day}" for day in range(10, 20)]  # which it is differs from row to row, not from day to day
    rows = [row for day in days for row in month().ask("Events.getName", period="day", date=day, filter_limit=-1)]
    assert {type(row["nb_events"]) for row in rows} == {int, str}
    assert {type(row["nb_uniq_visitors"]) for row in rows} == {int}


def test_late_rows_do_not_move_the_cursor() -> None:
    face = Face(sent(("1", "2026-11-18T10:00:00", "a"), ("1", "2026-11-18T10:20:00", "b")))
    at = int(datetime(2026, 11, 18, 10, 0, tzinfo=UTC).timestamp())
    face.live()

    def late(minutes: int, name: str) -> None:
        ts = at + 60 * minutes
        face.log.take(Arrival(NOW, f"{1:0>16}", ts, ts + 3600, "Installer", "Event", name, 1, (None, None, None), None))

    late(10, "between")
    late(-10, "before")
    (visit,) = face.live()
    assert [action["eventName"] for action in visit["actionDetails"]] == ["before", "a", "between", "b"]
    assert (visit["firstActionTimestamp"], visit["lastActionTimestamp"]) == (at, at + 1200)
    assert visit["visitDuration"] < 1201
    late(-60, "an hour before")
    newest, oldest = face.live(filter_sort_order="desc")
    assert (newest["idVisit"], oldest["idVisit"]) == (1, 2)
    assert oldest["lastActionTimestamp"] == at - 3600


def test_half_an_hour_of_silence_or_local_midnight_starts_a_visit() -> None:
    within, beyond = "2026-11-18T10:30:00", "2026-11-18T11:00:01"
    assert [
        v["actions"]
        for v in Face(sent(("1", "2026-11-18T10:00:00", "a"), ("1", within, "b"), ("1", beyond, "c"))).live()
    ] == [1, 2]
    night = sent(
        ("1", "2026-11-17T22:59:00", "a"), ("1", "2026-11-17T23:01:00", "b"), ("1", "2026-11-17T23:02:00", "c")
    )
    assert [v["actions"] for v in Face(night).live()] == [2, 1]
    assert [v["actions"] for v in Face(night, zone="UTC").live()] == [3]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1", 1),
        ("0", 0),
        (None, None),
        ("", None),
        ("37.5", 37.5),
        ("12.3456789", 12.346),
        ("-1", -1),
        ("abc", 0),
        ("true", 0),
        ("1,5", 1),
        ("1e3", 1000),
        ("0.0001", 0),
        ("123456789012", 123456789012),
    ],
)
def test_values_are_stored_as_recorded(text: str | None, kept: float | None) -> None:
    assert stored_value(text) == kept
    assert type(stored_value(text)) is type(kept)


def test_a_comma_made_a_value_zero_before_5_1() -> None:
    assert stored_value("1,5", "5.0.2") == 0


moments = st.integers(0, 4 * 3_600)
runs = st.lists(st.tuples(st.integers(0, 6), moments), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    runs=runs,
    limit=st.integers(1, 50),
    late=st.sampled_from([0.0, 0.3]),
    zone=st.sampled_from(["UTC", "Europe/Copenhagen"]),
)
def test_a_cursor_returns_every_event_exactly_once_at_any_page_size(
    runs: list[tuple[int, int]], limit: int, late: float, zone: str
) -> None:
    start = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)
    rows = [
        (str(v), (start + timedelta(seconds=s)).replace(tzinfo=None).isoformat(), f"n{i}")
        for i, (v, s) in enumerate(runs)
    ]
    face = Face(sent(*rows), zone=zone, late_share=late, late_seconds=900)
    seen = {a["pageId"]: a["eventName"] for visit in face.by_cursor(limit) for a in visit["actionDetails"]}
    assert sorted(seen.values()) == sorted(name for _, _, name in rows)
    by_wall = {a["eventName"]: a["timestamp"] for visit in face.by_cursor(limit) for a in visit["actionDetails"]}
    place = ZoneInfo(zone)
    for _, when, name in rows:
        local = datetime.fromisoformat(when).replace(tzinfo=UTC).astimezone(place)
        assert by_wall[name] == int(local.replace(tzinfo=UTC).timestamp())


@settings(max_examples=40, deadline=None)
@given(day=st.dates(date(2026, 10, 23), date(2026, 11, 19)), limit=st.integers(1, 50))
def test_day_slices_return_what_the_cursor_does(day: date, limit: int) -> None:
    asked = {"period": "day", "date": str(day)}
    assert pages(month().by_cursor(limit, **asked)) == pages(month().by_offset(limit, **asked))
