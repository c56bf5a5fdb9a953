"""What the client asks Piwik PRO, what it makes of documented answers, what it says of refusals in each envelope."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import (
    REFUSED,
    AccessRefused,
    AnswerNotUnderstood,
    AnswerUnreadable,
    MatokitError,
    SourceBusy,
    SourceError,
    SourceMissing,
    SourceUnavailable,
)
from matokit_pipelines.sources.http import HttpLimits, HttpSession
from matokit_pipelines.sources.piwik_pro import RATE_LIMIT, TRANSIENT_STATUS, PiwikProClient
from matokit_pipelines.sources.piwik_pro_pages import slow_rows
from matokit_pipelines.sources.piwik_pro_token import Credentials
from matokit_pipelines.sources.sites import Dimension
from tests.answering import Asked, Server, Told, answering

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SITE = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
SECRET = "a-very-secret-secret"
START, END = datetime.fromisoformat("2025-08-20"), datetime.fromisoformat("2025-08-21")
COLUMNS = ("event_type", "event_index", "custom_event_name", "custom_event_value", "event_custom_dimension_1")
LABELS = ["session_id", "event_id", "visitor_id", "timestamp", *COLUMNS]
ROW = [
    "9914512345678901234", "18446744073709551615", "4e2ac4d7dfddfad1", "2025-08-20T09:12:44",
    [5, "Custom event"], 0, "homebrew_install", None, "",
]  # fmt: skip
JSON_API = "application/vnd.api+json"
APP = {
    "data": {
        "type": "ppms/app",
        "id": SITE,
        "attributes": {
            "name": "Installer",
            "addedAt": "2025-08-15T10:00:00+02:00",
            "timezone": "Europe/Copenhagen",
            "excludeUnknownUrls": False,
            "excludedUserAgents": ["curl"],
            "realTimeDashboards": True,
        },
    }
}
APPS = {
    "meta": {"total": 2},
    "data": [
        {"type": "ppms/app", "id": OTHER, "attributes": {"name": "Website"}},
        {"type": "ppms/app", "id": SITE, "attributes": {"name": "Installer"}},
    ],
}

Answers = Callable[[Asked], Told]


@contextmanager
def piwik_pro(answer: Answers) -> Iterator[tuple[PiwikProClient, Server]]:
    """A client of a server that gives tokens and else answers by `answer`."""

    def told(asked: Asked) -> Told:
        if asked.path == "/auth/token":
            return Told(200, {"token_type": "Bearer", "expires_in": 1800, "access_token": "a.b.c"})
        assert asked.headers["authorization"] == "Bearer a.b.c"
        return answer(asked)

    with answering(told) as server:
        limits = HttpLimits(attempts=3)
        clock = FixedClock(NOW)
        session = HttpSession("installers", server.url, clock, limits, transient=TRANSIENT_STATUS, rate=RATE_LIMIT)
        client = PiwikProClient(session, SITE, lambda: Credentials("an-id", SECRET), clock)
        try:
            yield client, server
        finally:
            client.close()


def page(rows: list[Any], count: int, labels: list[str] = LABELS) -> Told:
    body = json.dumps({"data": rows, "meta": {"columns": labels, "count": count}}, separators=(",", ":"))
    return Told(200, body.encode())


def is_one_sentence(error: MatokitError, server: Server, *words: str) -> None:
    said = str(error)
    assert error.exit_code == REFUSED
    assert "\n" not in said
    assert said.endswith(".")
    assert ".." not in said
    assert "<" not in said
    assert "installers" in said
    assert server.url.removeprefix("http://") in said
    assert SECRET not in said
    assert "a.b.c" not in said
    assert all(word in said for word in words), said


def refusal(client: PiwikProClient, ask: Callable[[PiwikProClient], object]) -> MatokitError:
    with pytest.raises(MatokitError) as told:
        ask(client)
    return told.value


# -- what is asked ----------------------------------------------------------------------------------------------


def test_events_are_asked_for_as_documented() -> None:
    with piwik_pro(lambda asked: page([ROW], 250)) as (client, server):
        found = client.events(START, END, COLUMNS, limit=1, offset=7)
    asked = server.asked[-1]
    assert (asked.method, asked.path) == ("POST", "/api/analytics/v1/events/")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["accept-encoding"] == "gzip"
    assert asked.json == {
        "website_id": SITE,
        "columns": [{"column_id": column} for column in COLUMNS],
        "date_from": "2025-08-20 00:00:00",
        "date_to": "2025-08-21 00:00:00",
        "filters": {
            "operator": "and",
            "conditions": [{"column_id": "event_type", "condition": {"operator": "eq", "value": 5}}],
        },
        "offset": 7,
        "limit": 1,
        "format": "json",
        "column_format": "id",
    }
    assert found.columns == tuple(LABELS)
    assert found.count == 250
    assert found.exact_frame
    assert json.loads(found.rows) == [ROW]
    assert client.requests_made == len(server.asked) == 2
    assert client.bytes_received > len(found.rows)


@pytest.mark.parametrize("moment", [START.replace(tzinfo=UTC), datetime.fromisoformat("2025-08-20 00:00:00.000001")])
def test_windows_are_wall_clocks_of_whole_seconds(moment: datetime) -> None:
    with piwik_pro(lambda asked: page([], 0)) as (client, server), pytest.raises(ValueError, match="wall clock"):
        client.events(moment, END, COLUMNS)
    assert server.asked == []


def test_count_is_one_small_request() -> None:
    with piwik_pro(lambda asked: page([ROW[:5]], 123_456, LABELS[:5])) as (client, server):
        assert client.count(START, END) == 123_456
    assert server.asked[-1].json["limit"] == 1
    assert server.asked[-1].json["columns"] == [{"column_id": "event_type"}]
    assert len(server.asked) == 2


def test_empty_window_is_a_page() -> None:
    with piwik_pro(lambda asked: page([], 0)) as (client, _):
        found = client.events(START, END, COLUMNS)
    assert found.count == 0
    assert slow_rows(found.rows) == ([], [])


def test_real_time_needs_the_time_only() -> None:
    with piwik_pro(lambda asked: page([["2026-11-20T11:59:00", "x"]], 1, ["timestamp", "custom_event_name"])) as found:
        client, server = found
        got = client.real_time(START, END, ["custom_event_name"])
    assert server.asked[-1].path == "/api/analytics/v1/real-time-events/"
    assert server.asked[-1].json["date_from"] == "2025-08-20 00:00:00"
    assert got.columns == ("timestamp", "custom_event_name")


@pytest.mark.parametrize("named", [True, False], ids=["columns named", "columns not named"])
@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        ("to_date", ["2025-08-19", "2025-08-20"]),
        ("to_start_of_hour", ["2025-08-19T23:00:00", "2025-08-20T00:00:00"]),
        ("to_start_of_hour", ["2025-08-19 23:00:00", "2025-08-20 00:00:00"]),
    ],
)
def test_events_are_counted_by_hour_and_day(unit: Any, texts: list[str], named: bool) -> None:
    def answer(asked: Asked) -> Told:
        rows = [[texts[0], 41], [texts[1], 5]]
        meta: dict[str, Any] = {"count": 2}
        if named:
            rows = [row[::-1] for row in rows]
            meta["columns"] = ["custom_events", f"timestamp__{unit}"]
        return Told(200, {"data": rows, "meta": meta})

    with piwik_pro(answer) as (client, server):
        found = client.events_by(unit, START, END)
    assert found == {datetime.fromisoformat(texts[0]): 41, datetime.fromisoformat(texts[1]): 5}
    assert server.asked[-1].path == "/api/analytics/v1/query/"
    asked = server.asked[-1].json
    assert asked["columns"] == [{"column_id": "timestamp", "transformation_id": unit}, {"column_id": "custom_events"}]
    assert asked["options"] == {"sampling": 1}
    assert asked["limit"] == 100_000
    assert asked["order_by"] == [[0, "asc"]]
    assert asked["filters"]["conditions"][0]["condition"] == {"operator": "eq", "value": 5}
    assert (asked["date_from"], asked["date_to"]) == ("2025-08-20 00:00:00", "2025-08-21 00:00:00")


def test_counts_of_several_pages_are_one() -> None:
    rows = [[f"2025-08-{day:02}", day] for day in range(1, 8)]

    def answer(asked: Asked) -> Told:
        at = asked.json["offset"]
        return Told(200, {"data": rows[at : at + 3], "meta": {"count": len(rows)}})

    with piwik_pro(answer) as (client, server):
        found = client.events_by("to_date", START, END)
    assert sum(found.values()) == 28
    assert [asked.json["offset"] for asked in server.asked[1:]] == [0, 3, 6]


def test_counts_that_never_come_are_told() -> None:
    with piwik_pro(lambda asked: Told(200, {"data": [], "meta": {"count": 3}})) as (client, server):
        error = refusal(client, lambda c: c.events_by("to_date", START, END))
    assert type(error) is AnswerNotUnderstood
    is_one_sentence(error, server)


# -- what the site is -------------------------------------------------------------------------------------------


def test_site_and_its_settings() -> None:
    with piwik_pro(lambda asked: Told(200, APP, JSON_API)) as (client, server):
        app = client.app()
        assert client.site() == app.site
    assert (server.asked[-1].method, server.asked[-1].path) == ("GET", f"/api/apps/v2/{SITE}")
    assert app.site.site_id == SITE
    assert app.site.name == "Installer"
    assert app.site.zone.key == "Europe/Copenhagen"
    assert app.site.created == datetime(2025, 8, 15, 8, tzinfo=UTC)
    assert app.real_time_dashboards
    assert not app.exclude_unknown_urls
    assert app.excluded_user_agents == ("curl",)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [({}, "time zone"), ({"timezone": "Atlantis/North"}, "no rules"), ({"timezone": "UTC", "addedAt": "x"}, "site")],
)
def test_site_without_a_usable_zone_is_told(attributes: dict[str, str], words: str) -> None:
    with piwik_pro(lambda asked: Told(200, {"data": {"attributes": attributes}}, JSON_API)) as (client, server):
        error = refusal(client, lambda c: c.site())
    assert type(error) is AnswerNotUnderstood
    is_one_sentence(error, server, words)


def listed(entries: list[Any]) -> Answers:
    """A management list that gives at most 1,000 entries at once."""

    def answer(asked: Asked) -> Told:
        at, limit = int(asked.query["offset"]), min(int(asked.query["limit"]), 1000)
        return Told(200, {"meta": {"total": len(entries)}, "data": entries[at : at + limit]}, JSON_API)

    return answer


def test_dimensions_of_all_pages_with_slots_of_their_own() -> None:
    shapes = [("session", 1, 1), ("event", 1, 2), ("event", 2, 3)]
    entries: list[Any] = [
        {"attributes": {"name": f"d{number}", "active": number != 3, "case_sensitive": number != 2, "scope": scope,
                        "slot": slot, "tracking_id": number, "website_id": SITE}}
        for scope, slot, number in [*shapes, *(("event", n, n) for n in range(4, 1202))]
    ]  # fmt: skip
    with piwik_pro(listed(entries)) as (client, server):
        found = client.dimensions()
    assert found[:3] == [
        Dimension(1, "d1", True, "session", 1, True),
        Dimension(2, "d2", True, "event", 1, False),
        Dimension(3, "d3", False, "event", 2, True),
    ]
    assert len(found) == 1201
    asked = server.asked[1:]
    assert [(a.query["limit"], a.query["offset"], a.query["website_id"]) for a in asked] == [
        ("1000", "0", SITE),
        ("1000", "1000", SITE),
    ]
    assert asked[0].path == "/api/analytics/v1/manage/custom-dimensions/"


def test_list_that_ends_before_its_total_ends_there() -> None:
    with piwik_pro(lambda asked: Told(200, {"meta": {"total": 5}, "data": []}, JSON_API)) as (client, _):
        assert client.dimensions() == []


def test_apps_are_listed() -> None:
    with piwik_pro(lambda asked: Told(200, APPS, JSON_API)) as (client, server):
        assert client.apps() == [(OTHER, "Website"), (SITE, "Installer")]
    assert server.asked[-1].path == "/api/apps/v2"


def test_tracker_settings_as_named_by_the_server() -> None:
    told = {"data": {"type": "tracker/settings/app", "id": SITE, "attributes": {"exclude_crawlers": True}}}
    with piwik_pro(lambda asked: Told(200, told, JSON_API)) as (client, server):
        assert client.tracker_settings() == {"exclude_crawlers": True}
    assert server.asked[-1].path == f"/api/tracker/v2/settings/app/{SITE}"
    with piwik_pro(lambda asked: Told(200, {"data": {"type": "x", "id": SITE}}, JSON_API)) as (client, _):
        assert client.tracker_settings() == {}


# -- the debugger -----------------------------------------------------------------------------------------------


def sessions(*numbers: int) -> bytes:
    lines = [{"session_id": 2**63 + n, "session_id_str": str(2**63 + n), "events": [{"t": "\u2028"}]} for n in numbers]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def test_debugger_is_paged_by_what_was_asked_and_gives_each_session_once() -> None:
    pages = [sessions(1, 2, 3), sessions(3, 4), b""]
    with piwik_pro(lambda asked: Told(200, pages.pop(0), "application/x-ndjson")) as (client, server):
        found = list(client.debug_sessions(120, "4e2ac4d7dfddfad1", limit=2))
    assert [session["session_id"] - 2**63 for session in found] == [1, 2, 3, 4]
    asked = server.asked[1:]
    assert [a.query["offset"] for a in asked] == ["0", "2", "4"]
    assert asked[0].query == {
        "app_id": SITE, "lookup_window": "120", "limit": "2", "offset": "0", "visitor_id": "4e2ac4d7dfddfad1"
    }  # fmt: skip
    assert (asked[0].method, asked[0].path) == ("GET", "/api/tracker/v1/debugger")


def test_debugger_that_repeats_itself_comes_to_an_end() -> None:
    with piwik_pro(lambda asked: Told(200, sessions(1, 2), "application/x-ndjson")) as (client, server):
        assert len(list(client.debug_sessions(30))) == 2
    assert len(server.asked) == 3


@pytest.mark.parametrize("minutes", [0, 301])
def test_debugger_looks_back_five_hours_at_most(minutes: int) -> None:
    with piwik_pro(lambda asked: Told()) as (client, _), pytest.raises(ValueError, match="1 to 300"):
        list(client.debug_sessions(minutes))


def test_half_a_session_is_asked_for_again() -> None:
    pages = [sessions(1)[:-9], sessions(1), b""]
    with piwik_pro(lambda asked: Told(200, pages.pop(0), "application/x-ndjson")) as (client, server):
        assert len(list(client.debug_sessions(30))) == 1
    assert len(server.asked) == 4


# -- refusals -----------------------------------------------------------------------------------------------------

EVERYTHING: dict[str, Callable[[PiwikProClient], object]] = {
    "events": lambda c: c.events(START, END, COLUMNS),
    "count": lambda c: c.count(START, END),
    "events_by": lambda c: c.events_by("to_date", START, END),
    "real_time": lambda c: c.real_time(START, END, COLUMNS),
    "site": lambda c: c.site(),
    "dimensions": lambda c: c.dimensions(),
    "tracker_settings": lambda c: c.tracker_settings(),
    "debug_sessions": lambda c: list(c.debug_sessions(30)),
    "apps": lambda c: c.apps(),
}


@pytest.mark.parametrize("what", EVERYTHING)
def test_page_instead_of_data_is_told_after_a_few_tries(what: str) -> None:
    with piwik_pro(lambda asked: Told(200, b"<html><h1>Welcome</h1></html>", "text/html; charset=utf-8")) as found:
        client, server = found
        error = refusal(client, EVERYTHING[what])
    assert type(error) is AnswerNotUnderstood
    is_one_sentence(error, server, "url", "page instead of data")
    assert len(server.asked) == 1 + 3


@pytest.mark.parametrize("what", EVERYTHING)
@pytest.mark.parametrize("document", [b"[]", b"{}", b"null", b'{"data":3}', b'{"data":[3],"meta":3}', b'"x"'])
def test_other_document_is_told_and_not_repeated(what: str, document: bytes) -> None:
    with piwik_pro(lambda asked: Told(200, document, JSON_API)) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is AnswerNotUnderstood
    is_one_sentence(error, server)
    assert len(server.asked) == 2


@pytest.mark.parametrize("what", EVERYTHING)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_for_again(what: str, status: int) -> None:
    with piwik_pro(lambda asked: Told(status, b"<html>x</html>", "text/html")) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is (SourceBusy if status == 429 else SourceUnavailable)
    is_one_sentence(error, server, str(status))
    assert len(server.asked) == 1 + 3


@pytest.mark.parametrize("what", EVERYTHING)
def test_half_a_document_is_asked_for_again(what: str) -> None:
    with piwik_pro(lambda asked: Told(200, b'{"data":[["x"', JSON_API)) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is AnswerUnreadable
    is_one_sentence(error, server, "half a document")
    assert len(server.asked) == 1 + 3


@pytest.mark.parametrize(
    "told",
    [
        Told(401, {"errors": [{"status": "401", "detail": "No valid credentials provided."}]}),
        Told(401, {"error": "access token not authorized"}),
        Told(401, b"", "text/plain"),
    ],
    ids=["analytics", "management", "debugger"],
)
@pytest.mark.parametrize("what", EVERYTHING)
def test_token_that_is_refused_at_once_is_told(what: str, told: Told) -> None:
    with piwik_pro(lambda asked: told) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is AccessRefused
    is_one_sentence(error, server, "MATOKIT_INSTALLERS_CLIENT_ID")
    assert server.paths().count("/auth/token") == 2
    assert len(server.asked) == 4


def refusing(told: Told, apps: Told) -> Answers:
    return lambda asked: apps if asked.path == "/api/apps/v2" else told


ENVELOPES = [
    (Told(400, {"errors": [{"status": "400", "detail": 'Dimension "example" does not exist.',
          "source": {"parameter": "columns.0.column_id"}}]}), "Dimension 'example' does not exist"),
    (Told(400, {"error": "invalid offset"}), "invalid offset"),
    (Told(400, b"Request parameters deserialization error.\n", "text/plain"), "deserialization error"),
    (Told(400, b"<html><b>Bad</b></html>", "text/html"), "status 400"),
    (Told(400, {"errors": [{"detail": "a" * 500}, {"detail": None}, 3]}), "aaa…"),
    (Told(400, {"errors": {"detail": 3}}), "status 400"),
    (Told(400, [3]), "status 400"),
    (Told(418, b""), "status 418"),
]  # fmt: skip


@pytest.mark.parametrize(("told", "words"), ENVELOPES)
@pytest.mark.parametrize("what", EVERYTHING)
def test_bad_request_says_what_the_server_said(what: str, told: Told, words: str) -> None:
    with piwik_pro(lambda asked: told) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is SourceError
    is_one_sentence(error, server, words)
    assert "columns.0" not in str(error)
    assert len(server.asked) == 2


FORBIDDEN = Told(403, {"errors": [{"status": "403", "detail": "No valid license found."}]})
MISSING = Told(404, {"errors": [{"status": "404", "title": "Not Found"}]}, JSON_API)
SITE_BOUND = [what for what in EVERYTHING if what != "apps"]


@pytest.mark.parametrize("what", SITE_BOUND)
@pytest.mark.parametrize(("told", "kind"), [(FORBIDDEN, AccessRefused), (MISSING, SourceMissing)])
def test_site_that_may_not_be_seen_or_is_none_lists_those_that_may(
    what: str, told: Told, kind: type[MatokitError]
) -> None:
    other = {"meta": {"total": 1}, "data": APPS["data"][:1]}  # type: ignore[index]
    with piwik_pro(refusing(told, Told(200, other, JSON_API))) as (client, server):
        error = refusal(client, EVERYTHING[what])
    assert type(error) is kind
    is_one_sentence(error, server, SITE, f"may see: {OTHER} (Website)")
    assert server.paths()[-1] == "/api/apps/v2"
    assert len(server.asked) == 3


def test_many_sites_are_not_all_named() -> None:
    entries = [{"id": f"id-{n}", "attributes": {"name": "a\nb" * 50}} for n in range(1207)]
    with piwik_pro(lambda asked: listed(entries)(asked) if asked.path == "/api/apps/v2" else MISSING) as found:
        client, server = found
        error = refusal(client, lambda c: c.site())
    is_one_sentence(error, server, "id-0", "and 1,202 more")
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    ("apps", "words"),
    [
        (Told(200, {"meta": {"total": 0}, "data": []}, JSON_API), "no site at all"),
        (Told(200, APPS, JSON_API), "that site in the list"),
        (Told(403, {"error": "no"}), "correct its site_id"),
        (Told(503), "correct its site_id"),
        (Told(200, b"<html></html>", "text/html"), "correct its site_id"),
    ],
)
def test_missing_site_is_told_whatever_the_list_says(apps: Told, words: str) -> None:
    with piwik_pro(refusing(MISSING, apps)) as (client, server):
        error = refusal(client, lambda c: c.site())
    assert type(error) is SourceMissing
    is_one_sentence(error, server, words)


def test_list_that_is_not_there_means_another_address() -> None:
    with piwik_pro(lambda asked: Told(404, b"404 page not found", "text/plain")) as (client, server):
        error = refusal(client, lambda c: c.apps())
    assert type(error) is SourceError
    is_one_sentence(error, server, "404", "url")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"data": [], "meta": {"columns": LABELS}}, "how many rows"),
        ({"data": [ROW], "meta": {"columns": LABELS, "count": "1"}}, "how many rows"),
        ({"data": [ROW], "meta": {"columns": ["Session ID", "Event ID"], "count": 1}}, "lacks the column event_id"),
    ],
)
def test_page_that_cannot_be_relied_on_is_told_and_not_repeated(document: Any, words: str) -> None:
    with piwik_pro(lambda asked: Told(200, document)) as (client, server):
        error = refusal(client, lambda c: c.events(START, END, COLUMNS))
    assert type(error) is AnswerNotUnderstood
    is_one_sentence(error, server, words, "kept")
    assert len(server.asked) == 2


def test_threads_read_at_once_and_get_their_own_pages() -> None:
    def answer(asked: Asked) -> Told:
        return page([[*ROW[:6], str(asked.json["offset"]), *ROW[7:]]], 100)

    found: dict[int, str] = {}
    with piwik_pro(answer) as (client, server):

        def work(first: int) -> None:
            for offset in range(first, 40, 4):
                found[offset] = json.loads(client.events(START, END, COLUMNS, offset=offset).rows)[0][6]

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
    assert found == {offset: str(offset) for offset in range(40)}
    assert server.paths().count("/auth/token") == 1
    assert client.requests_made == 41
