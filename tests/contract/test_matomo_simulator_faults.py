"""Faults of the simulated Matomo: what they look like on the wire, that they are counted and reproducible."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import requests

from matokit_pipelines.simulator import Faults, MatomoSimulator, Truth, generate
from matokit_pipelines.simulator.faults import TRANSIENT, Dice

END = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
VERSION = "API.getMatomoVersion"


@cache
def truth() -> Truth:
    return generate(days=10, events_per_day=120, seed=3, end=END)


def simulator(**faults: Any) -> MatomoSimulator:
    return MatomoSimulator(truth(), now=lambda: END, faults=Faults(**faults))


def ask(sim: MatomoSimulator, method: str, **params: Any) -> requests.Response:
    asked = {"module": "API", "format": "json", "method": method, "idSite": 1, **params}
    return requests.post(sim.url + "/index.php", params=asked, data={"token_auth": sim.token}, timeout=5)


def outcome(sim: MatomoSimulator) -> str:
    try:
        answer = ask(sim, VERSION)
    except requests.exceptions.RequestException as error:
        return type(error).__name__
    return f"{answer.status_code} {answer.headers['content-type'].split(';')[0]}"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("dropped", "ConnectionError"),
        ("half", "ChunkedEncodingError"),
        ("html", "200 text/html"),
        ("sqlstate", "500 application/json"),
        ("maintenance", "503 text/html"),
    ],
)
def test_transient_faults_strike_at_most_twice_in_a_row(fault: str, seen: str) -> None:
    with simulator(**{fault: 1.0}) as sim:
        assert [outcome(sim) for _ in range(6)] == [seen, seen, "200 application/json"] * 2
        assert sim.struck == {fault: 4}


def test_half_an_answer_is_shorter_than_it_says() -> None:
    with simulator(half=1.0) as sim, pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        ask(sim, "Live.getLastVisitsDetails", filter_limit=5)


def test_a_slow_answer_outlasts_a_short_patience() -> None:
    with simulator(slow=1.0, slow_seconds=0.6) as sim:
        began = time.monotonic()
        assert ask(sim, VERSION).status_code == 200
        assert time.monotonic() - began >= 0.6
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.post(sim.url + "/index.php", params={"method": VERSION}, timeout=0.2)


def test_faults_are_reproducible_and_about_as_frequent_as_asked() -> None:
    shares = dict.fromkeys(TRANSIENT, 0.05)
    first, second = Dice(Faults(seed=4, **shares)), Dice(Faults(seed=4, **shares))
    drawn = [first.transient() for _ in range(4_000)]
    assert drawn == [second.transient() for _ in range(4_000)]
    assert drawn != [Dice(Faults(seed=5, **shares)).transient() for _ in range(4_000)]
    counted = Counter(drawn)
    assert all(120 < counted[name] < 250 for name in TRANSIENT)
    assert first.struck == {name: counted[name] for name in TRANSIENT}
    streaks = "".join("x" if fault else "." for fault in drawn)
    assert "xx" in streaks
    assert "xxx" not in streaks


def test_nothing_strikes_by_default() -> None:
    with simulator() as sim:
        assert {outcome(sim) for _ in range(10)} == {"200 application/json"}
        assert sim.struck.total() == 0


def events_of(sim: MatomoSimulator, day: str) -> int:
    rows = ask(sim, "Events.getCategory", period="day", date=day, filter_limit=-1).json()
    return sum(int(row["nb_events"]) for row in rows)


def test_reports_lie_once_or_always() -> None:
    day = date(2026, 11, 18)
    with simulator() as honest, simulator(lies={day: -3}) as liar, simulator(lies={day: 5}, lies_once=True) as once:
        true = events_of(honest, str(day))
        assert [events_of(liar, str(day)) for _ in range(3)] == [true - 3] * 3
        assert [events_of(once, str(day)) for _ in range(3)] == [true + 5, true, true]
        assert events_of(liar, "2026-11-17") == events_of(honest, "2026-11-17")
        assert (liar.struck["lies"], once.struck["lies"]) == (3, 1)


def test_late_rows_come_later_some_into_visits_already_read() -> None:
    clock = [datetime(2026, 11, 18, 8, 0, tzinfo=UTC)]
    sim = MatomoSimulator(truth(), now=lambda: clock[0], faults=Faults(late_share=0.4, late_seconds=7_200))
    grew_without_a_newer_end = False
    with sim:
        before = {v["idVisit"]: v for v in ask(sim, "Live.getLastVisitsDetails", filter_limit=-1).json()}
        while clock[0] < END and not grew_without_a_newer_end:
            clock[0] += timedelta(hours=1)
            after = {v["idVisit"]: v for v in ask(sim, "Live.getLastVisitsDetails", filter_limit=-1).json()}
            grown = [after[i] for i, v in before.items() if after[i]["actions"] > v["actions"]]
            grew_without_a_newer_end = any(
                v["lastActionTimestamp"] == before[v["idVisit"]]["lastActionTimestamp"] for v in grown
            )
            before = after
        assert grew_without_a_newer_end
        clock[0] = END + timedelta(hours=3)
        whole = ask(sim, "Live.getLastVisitsDetails", filter_limit=-1).json()
        assert sum(visit["actions"] for visit in whole) == truth().events.height


def test_a_page_repeats_and_a_cursor_still_gets_every_event() -> None:
    with simulator(page_repeats=0.5, seed=2) as sim:
        seen: set[int] = set()
        cursor, limit = 0, 10
        while True:
            asked = {"filter_sort_order": "asc", "filter_limit": limit, "minTimestamp": max(cursor - 1, 0)}
            page = ask(sim, "Live.getLastVisitsDetails", **asked).json()
            seen |= {action["pageId"] for visit in page for action in visit["actionDetails"]}
            if len(page) < limit:
                break
            limit = 2 * limit if page[-1]["lastActionTimestamp"] <= cursor else 10
            cursor = max(cursor, page[-1]["lastActionTimestamp"])
        assert sim.struck["page_repeats"] > 2
        assert len(seen) == truth().events.height


def test_requests_are_recorded_without_the_token_and_told_to_the_hook() -> None:
    told: list[tuple[int, str]] = []
    with MatomoSimulator(truth(), now=lambda: END, on_request=lambda n, method: told.append((n, method))) as sim:
        ask(sim, VERSION)
        ask(sim, "Live.getLastVisitsDetails", filter_limit=1)
        assert sim.requests.counts == {VERSION: 1, "Live.getLastVisitsDetails": 1}
        assert told == [(1, VERSION), (2, "Live.getLastVisitsDetails")]
        assert sim.requests.recent[-1][1]["filter_limit"] == "1"
        assert sim.token not in repr(sim.requests)


def test_a_stopped_server_listens_no_more() -> None:
    sim = simulator()
    assert sim.url.startswith("http://127.0.0.1:")
    sim.stop()
    sim.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(sim, VERSION)


def test_an_event_tracked_is_an_event_read_at_once() -> None:
    with simulator() as sim:
        event = {
            "idsite": 1,
            "rec": 1,
            "cid": "00000000000000aa",
            "e_c": "Installer",
            "e_a": "Event",
            "e_n": "late",
            "e_v": 7,
        }
        event |= {"cdt": int(END.timestamp()) - 3_600, "dimension1": "Darwin15.1", "send_image": 0}
        assert requests.post(sim.url + "/matomo.php", data=event, timeout=5).status_code == 204
        (visit,) = ask(sim, "Live.getLastVisitsDetails", segment="visitorId==00000000000000aa").json()
        (action,) = visit["actionDetails"]
        assert (action["eventName"], action["eventValue"], action["dimension1"], action["dimension2"]) == (
            "late",
            7,
            "Darwin15.1",
            None,
        )
        assert visit["lastActionTimestamp"] == event["cdt"]
