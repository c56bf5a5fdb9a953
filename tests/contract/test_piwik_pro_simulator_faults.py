"""Faults of the simulated Piwik PRO: what they look like on the wire, that they are counted and reproducible."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
import requests

from matokit_pipelines.simulator import Assumptions, PiwikProFaults
from matokit_pipelines.simulator.piwik_pro_faults import TRANSIENT, Dice
from tests.contract.piwik_pro_asking import ALWAYS, END, NAME, Asking, at, free, truth

DAY = {"date_from": "2026-11-20 00:00:00", "date_to": "2026-11-21 00:00:00", "limit": 100_000}
NO_WAIT = {"token_serves": 0}


def outcome(ask: Asking, **headers: str) -> str:
    try:
        body = {"website_id": ask.sim.site_id, "columns": [], **DAY}
        url = ask.sim.url + "/api/analytics/v1/events/"
        answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {ask.bearer}", **headers}, timeout=5)
    except requests.exceptions.RequestException as error:
        return type(error).__name__
    return f"{answer.status_code} {answer.headers['content-type'].split(';')[0]}"


def logged_in(**faults: Any) -> Asking:
    """Asking with a token although every request might fail."""
    ask = Asking(assumed=free(), **faults)
    while ask.bearer is None:
        try:
            ask.bearer = ask.token().json()["access_token"]
        except (requests.exceptions.RequestException, KeyError):
            continue
    ask.sim.struck.clear()
    return ask


GOOD = "200 application/json"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("dropped", {"ConnectionError"}),
        ("half", {"ChunkedEncodingError"}),
        ("html", {"200 text/html", "502 text/html"}),
        ("server_error", {f"{status} application/json" for status in (500, 502, 503, 504)}),
        ("maintenance", {"503 text/html"}),
        ("rate_limited", {"429 application/json"}),
    ],
)
def test_transient_faults_strike_at_most_twice_in_a_row(fault: str, seen: set[str]) -> None:
    with logged_in(**{fault: 1.0}) as ask:
        got = [outcome(ask) for _ in range(30)]
        assert got[2::3] == [GOOD] * 10 or got[0::3] == [GOOD] * 10 or got[1::3] == [GOOD] * 10
        assert set(got) - {GOOD} == seen
        assert ask.sim.struck == {fault: 20}


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_half_an_answer_is_shorter_than_it_says(encoding: str) -> None:
    with logged_in(half=1.0, most_in_a_row=100) as ask:
        body = {"website_id": ask.sim.site_id, "columns": [], **DAY}
        headers = {"Authorization": f"Bearer {ask.bearer}", "Accept-Encoding": encoding}
        url = ask.sim.url + "/api/analytics/v1/events/"
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            requests.post(url, json=body, headers=headers, timeout=5)


def test_a_slow_answer_outlasts_a_short_patience() -> None:
    with Asking(slow=1.0, slow_seconds=0.5) as ask:
        began = time.monotonic()
        assert ask.token().status_code == 200
        assert time.monotonic() - began >= 0.5


def test_faults_are_reproducible_and_about_as_frequent_as_asked() -> None:
    shares = dict.fromkeys(TRANSIENT, 0.05) | NO_WAIT
    first, second = (Dice(PiwikProFaults(seed=4, **shares)) for _ in range(2))
    drawn = [first.transient(9) for _ in range(4_000)]
    assert drawn == [second.transient(9) for _ in range(4_000)]
    assert drawn != [Dice(PiwikProFaults(seed=5, **shares)).transient(9) for _ in range(4_000)]
    counted = Counter(drawn)
    assert all(100 < counted[name] < 250 for name in TRANSIENT)
    assert first.struck == {name: counted[name] for name in TRANSIENT}
    streaks = "".join("x" if fault else "." for fault in drawn)
    assert "xx" in streaks
    assert "xxx" not in streaks


def test_a_whole_run_of_requests_meets_the_same_faults_again() -> None:
    def run() -> list[str]:
        with logged_in(seed=3, dropped=0.2, half=0.2, html=0.2, server_error=0.2, short_page=0.2) as ask:
            return [outcome(ask) for _ in range(40)]

    assert run() == run()


def test_nothing_strikes_by_default() -> None:
    with logged_in() as ask:
        assert {outcome(ask) for _ in range(20)} == {GOOD}
        assert ask.sim.struck.total() == 0
    measures = ("_s", "_seconds", "most_in_a_row", "token_serves")
    faults = PiwikProFaults()
    on = [one.name for one in fields(faults) if getattr(faults, one.name) and not one.name.endswith(measures)]
    assert on == []


def test_a_token_expires_between_pages_and_only_after_it_served() -> None:
    with logged_in(token_expires_early=1.0, token_serves=3) as ask:
        assert [outcome(ask) for _ in range(5)] == [GOOD] * 3 + ["401 application/json"] * 2
        assert ask.get("/api/apps/v2").json() == {"error": "access token not authorized"}
        ask.log_in()
        assert [outcome(ask) for _ in range(4)] == [GOOD] * 3 + ["401 application/json"]
        ask.log_in()
        assert [ask.get("/api/apps/v2").status_code for _ in range(3)] == [200] * 3
        assert ask.get("/api/apps/v2").json() == {"error": "Expired JWT Token"}
        assert ask.sim.struck == {"token_expires_early": 3}


# The rate limit


def test_sixty_posts_a_minute_and_six_hundred_gets() -> None:
    with Asking() as ask:
        assert {ask.post("events", columns=[], **DAY).status_code for _ in range(60)} == {200}
        ask.now += timedelta(seconds=20.5)
        refused = ask.post("query", columns=["events"], **DAY)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
        assert refused.json() == {"errors": [{"status": "429", "detail": "Too many requests."}]}
        assert ask.token().status_code == 200
        assert {ask.get("/api/apps/v2").status_code for _ in range(600)} == {200}
        assert ask.get("/api/apps/v2").headers["retry-after"] == "60"
        ask.now += timedelta(seconds=39.5)
        assert ask.post("events", columns=[], **DAY).status_code == 200
        assert ask.sim.struck == {"rate_limit": 2}


def test_the_limit_counts_by_credential_by_path_or_tokens_too() -> None:
    with Asking(assumed=Assumptions(rate_limit_other=2)) as ask:
        assert [ask.post("events", columns=[], **DAY).status_code for _ in range(3)] == [200, 200, 429]
        assert ask.post("sessions", columns=[], **DAY).status_code == 429
        ask.log_in(client_id=ask.sim.no_access_client_id)
        assert ask.post("events", columns=[], **DAY).status_code == 403
    with Asking(assumed=Assumptions(rate_limit_other=2, rate_limit_scope="path")) as ask:
        assert [ask.post("events", columns=[], **DAY).status_code for _ in range(3)] == [200, 200, 429]
        assert ask.post("sessions", columns=[], **DAY).status_code == 200
    with Asking(assumed=Assumptions(rate_limit_other=2, rate_limit_tokens=True)) as ask:
        assert [ask.token().status_code for _ in range(3)] == [200, 200, 429]


def test_the_limit_can_be_switched_off() -> None:
    with Asking(assumed=free(rate_limit_other=1)) as ask:
        assert {ask.post("events", columns=[], **DAY).status_code for _ in range(4)} == {200}


# Counts and pages


def test_a_lying_count_never_settles_and_only_in_its_window() -> None:
    window = (at("2026-11-20 10:00:00"), at("2026-11-20 11:00:00"))
    with Asking(lying_count=(window,), assumed=free()) as ask:
        rows = len(ask.rows(columns=[], **DAY))
        told = [ask.count(**DAY) for _ in range(4)]
        assert len(set(told)) == 4
        assert min(told) > rows
        inside = {"date_from": "2026-11-20 11:59:59", "date_to": "2026-11-20 12:00:00"}  # 10:59:59 UTC
        assert ask.count(**inside) > len(ask.rows(columns=[], **inside))
        for edges in (("10:00:00", "11:00:00"), ("12:00:00", "13:00:00")):
            beside = {"date_from": f"2026-11-20 {edges[0]}", "date_to": f"2026-11-20 {edges[1]}"}
            assert ask.count(**beside) == len(ask.rows(columns=[], **beside))
        assert ask.rows("query", columns=["events"], **DAY) == [{"events": rows}]


def test_a_count_moves_once_a_window() -> None:
    with Asking(moving_count_once=True) as ask:
        told = [ask.count(**DAY) for _ in range(3)]
        assert told == [told[1] - 3, told[1], told[1]]
        assert len(ask.rows(columns=[], **DAY)) == told[1]
        assert ask.count() == truth().events.height - 3 - hidden(ask)


def hidden(ask: Asking) -> int:
    """Events whose session has not ended yet."""
    return truth().events.height - len(ask.rows(columns=[]))


def test_a_page_comes_back_empty_early() -> None:
    with Asking(short_page=1.0) as ask:
        value = ask.post("events", columns=[], **DAY).json()
        assert value["data"] == []
        assert value["meta"]["count"] > 0
        beyond = ask.post("events", columns=[], **DAY, offset=100_000).json()
        assert beyond["data"] == []
        assert ask.sim.struck == {"short_page": 1}


def test_a_page_repeats_rows_of_the_one_before() -> None:
    with Asking(repeated_rows=1.0, assumed=free(order="pinned")) as ask:
        pages = [
            [row["event_id"] for row in ask.rows(columns=[], **(DAY | {"limit": 20, "offset": n}))] for n in (0, 20)
        ]
        assert pages[1][:7] == pages[0][-7:]
        assert [len(page) for page in pages] == [20, 20]
        assert ask.sim.struck == {"repeated_rows": 1}


def test_odd_rows_are_more_than_what_was_sent_and_each_is_spoilt() -> None:
    with Asking(odd_rows=9, now=END + timedelta(hours=1)) as ask:
        value = ask.post("events", columns=NAME, **ALWAYS).json()
        assert value["meta"]["count"] == len(value["data"]) == truth().events.height + 9
        width = len(value["meta"]["columns"])
        objects = [row for row in value["data"] if isinstance(row, dict)]
        lists = [row for row in value["data"] if isinstance(row, list)]
        assert (len(objects), Counter(len(row) - width for row in lists)) == (3, {0: len(lists) - 4, -1: 2, 1: 2})
        place = value["meta"]["columns"].index("timestamp")
        assert sum(row[place] == "2026-13-45T99:99:99" for row in lists) == 2


def test_many_readers_at_once_all_get_whole_answers() -> None:
    with Asking(assumed=free()) as ask:
        ask.log_in()
        wanted = sorted(row["event_id"] for row in ask.rows(columns=[]))
        got: list[list[str]] = []

        def read() -> None:
            for _ in range(5):
                body = {"website_id": ask.sim.site_id, "columns": [], **ALWAYS}
                url = ask.sim.url + "/api/analytics/v1/events/"
                value = requests.post(url, json=body, headers=ask.headers(), timeout=20).json()
                got.append(sorted(row[1] for row in value["data"]))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [wanted] * 20
        assert ask.sim.requests.total == 22
