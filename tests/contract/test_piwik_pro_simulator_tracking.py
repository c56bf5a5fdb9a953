"""What is sent to the simulated Piwik PRO and what its debugger shows of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import requests

from matokit_pipelines.simulator import Dimension
from tests.contract.piwik_pro_asking import (
    EMPTY,
    END,
    Asking,
    free,
    lines,
    log,
    minutes,
    track,
)


def test_a_tracked_event_is_accepted_and_appears_later_with_what_was_sent() -> None:
    with Asking(EMPTY) as ask:
        sent = {"e_v": "73.5", "dimension1": "Darwin14.2.1", "dimension3": "a1b2c3d", "cid": "ABCDEF0123456789"}
        answer = track(ask, **sent, _id="1111111111111111")
        assert (answer.status_code, answer.content) == (202, b"")
        assert ask.rows() == []
        ask.now += timedelta(minutes=30)
        (row,) = ask.rows()
        assert row["timestamp"] == "2026-11-22T02:00:00"
        assert row["visitor_id"] == "abcdef0123456789"
        assert (row["custom_event_name"], row["custom_event_value"]) == ("x", 73.5)
        assert [row[f"event_custom_dimension_{slot}"] for slot in (1, 2, 3)] == ["Darwin14.2.1", "", "a1b2c3d"]


def test_bulk_tracking_back_dates_and_repeats_are_new_events() -> None:
    with Asking(EMPTY) as ask:
        site = ask.sim.site_id
        ts = int((END - timedelta(hours=3)).timestamp())
        one = f"?idsite={site}&rec=1&e_c=Installer&e_a=Event&e_n=old&e_v=0&cid=00000000000000aa&cdt={ts}"
        two = f"?idsite={site}&rec=1&e_c=Installer&e_a=Event&e_n=text%20%C3%A6&cdt=2026-11-21 22:30:00"
        answer = requests.post(ask.sim.url + "/ppms.php", json={"requests": [one, one, two]}, timeout=5)
        assert answer.status_code == 202
        form = {"idsite": site, "rec": "1", "e_c": "Installer", "e_a": "Event", "e_n": "form"}
        assert requests.post(ask.sim.url + "/ppms.php", data=form, timeout=5).status_code == 202
        ask.now += timedelta(hours=1)
        rows = ask.rows()
        assert sorted((row["custom_event_name"], row["timestamp"][11:16]) for row in rows) == [
            ("form", "02:00"),
            ("old", "23:00"),
            ("old", "23:00"),
            ("text æ", "23:30"),
        ]
        assert len({row["event_id"] for row in rows}) == 4
        assert {row["custom_event_value"] for row in rows if row["custom_event_name"] == "old"} == {0.0}


@pytest.mark.parametrize("value", ["-1", "1e12", "test-con", "nan", ""])
def test_odd_values_are_nothing_or_break_the_event(value: str) -> None:
    with Asking(EMPTY, now=END) as ask:
        track(ask, e_v=value)
        ask.now += timedelta(hours=1)
        assert [row["custom_event_value"] for row in ask.rows()] == [None]
    with Asking(EMPTY, assumed=free(odd_value="broken")) as ask:
        track(ask, e_v=value)
        assert [event["event_type"] for line in lines(ask) for event in line["events"]] == [
            [5, "Custom event"] if value == "" else [17, "Broken event"]
        ]


def test_unreadable_requests_are_refused_and_others_dropped_in_silence() -> None:
    with Asking(EMPTY) as ask:
        assert track(ask, idsite=None).status_code == 400
        assert track(ask, rec=None).status_code == 400
        assert requests.post(ask.sim.url + "/ppms.php", data='{"requests": 5}', timeout=5).status_code == 400
        assert track(ask, idsite="00000000-0000-4000-8000-000000000000").status_code == 202
        assert track(ask, rec="0").status_code == 202
        ask.now += timedelta(hours=1)
        assert ask.rows() == []


def test_a_tracked_event_joins_a_running_session() -> None:
    with Asking(minutes("a", start=END - timedelta(minutes=10))) as ask:
        track(ask, cid="00000000000000aa", e_n="b")
        ask.now = END + timedelta(minutes=29)
        assert ask.names() == []
        ask.now = END + timedelta(minutes=30)
        assert len({row["session_id"] for row in ask.rows()}) == 1
        assert ask.names() == ["a", "b"]


def test_the_debugger_shows_sessions_at_once_with_ids_three_ways_and_utc() -> None:
    kinds = [Dimension(1, 2, "OS"), Dimension(2, 1, "Architecture")]
    with Asking(EMPTY, dimensions=kinds) as ask:
        track(ask, dimension1="Darwin", cid="00000000000000aa")
        track(ask, cid="00000000000000aa", e_n="y")
        (session,) = lines(ask)
        for name in ("session_id", "visitor_id"):
            assert session[f"{name}_str"] == str(session[name])
            assert session[f"{name}_hex"] == f"{session[name]:016x}"
        assert session["visitor_id_hex"] == "00000000000000aa"
        assert session["server_time"] == "2026-11-22T01:00:00"
        assert (session["app_uuid"], session["session_total_events"]) == (ask.sim.site_id, 2)
        first, second = session["events"]
        assert first["event_id"] == session["session_id"] == second["session_id"]
        assert (first["event_index"], second["event_index"]) == (0, 1)
        assert (first["event_custom_dimension_2"], first["event_custom_dimension_1"]) == ("Darwin", "")
        ask.now += timedelta(hours=1)
        assert {row["event_id"] for row in ask.rows()} == {event["event_id_str"] for event in session["events"]}


def test_only_the_debugger_shows_excluded_events_and_why() -> None:
    with Asking(EMPTY) as ask:
        track(ask, agent="examplebot/1.0", cid="00000000000000aa")
        track(ask, e_n="good", cid="00000000000000bb")
        assert len(lines(ask)) == 2
        (session,) = lines(ask, event_type=18)
        (event,) = session["events"]
        assert event["event_type"] == [18, "Excluded event"]
        assert event["exclusion_reason"] == "User agent is on the crawler list"
        ask.now += timedelta(hours=1)
        assert ask.names() == ["good"]
    with Asking(EMPTY, assumed=free(crawler_agents="curl")) as ask:
        track(ask)
        assert lines(ask)[0]["events"][0]["event_type"][0] == 18
    with Asking(EMPTY, assumed=free(exclude_crawlers=False, exclude_unknown_urls=True)) as ask:
        track(ask, agent="examplebot/1.0", url="https://installer.example.org/")
        track(ask, agent="examplebot/1.0", e_n="no url")
        assert [event["event_type"][0] for event in lines(ask)[0]["events"]] == [5, 18]


def test_the_debugger_shows_what_the_limit_of_a_session_excludes() -> None:
    events = minutes(*"abcde", start=END - timedelta(minutes=20))
    with Asking(events, assumed=free(session_max_event_count=3)) as ask:
        (session,) = lines(ask)
        assert [event["event_type"][0] for event in session["events"]] == [5, 5, 5, 18, 18]
        assert session["events"][3]["exclusion_reason"] == "Session limit exceeded"


def test_the_debugger_looks_back_as_far_as_asked_and_pages() -> None:
    events = log(*({"event_ts": END - timedelta(minutes=20 * n), "visitor_id": f"{n:016x}"} for n in range(12)))
    with Asking(events) as ask:
        assert len(lines(ask)) == 2
        assert len(lines(ask, lookup_window=100)) == 6
        pages = [lines(ask, lookup_window=300, limit=5, offset=offset) for offset in (0, 5, 10)]
        assert [len(part) for part in pages] == [6, 6, 2]  # one more than the limit, and again on the next page
        assert len({line["session_id"] for part in pages for line in part}) == 12
        assert len(lines(ask, lookup_window=300, visitor_id="000000000000000b")) == 1
        assert lines(ask, lookup_window=300, event_type=1) == []
        for wrong in ({"lookup_window": 301}, {"lookup_window": "x"}, {"app_id": "nonsense"}):
            answer = ask.get("/api/tracker/v1/debugger", **({"app_id": ask.sim.site_id} | wrong))
            assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain")
            assert answer.text == "Request parameters deserialization error."
        other = ask.get("/api/tracker/v1/debugger", app_id="00000000-0000-4000-8000-000000000000")
        assert (other.status_code, other.text) == (404, "404 page not found")
