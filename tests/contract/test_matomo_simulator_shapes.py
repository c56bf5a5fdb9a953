"""The simulated Matomo answers in the shapes a real one was recorded with: rows, errors, reports, tracking."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import polars as pl
import pytest
import requests

from matokit_pipelines.simulator import Faults, MatomoSimulator, generate
from matokit_pipelines.simulator.sending import SCHEMA

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "matomo"
ZONE = "Europe/Copenhagen"
NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
NOTHING = pl.DataFrame(schema=SCHEMA)
# Made by the server, or from a history that was not sent again.
OWN_IDS = {"idVisit", "pageId", "pageIdAction", "fingerprint", "visitIp"}
HISTORY = {"visitorType", "visitCount", "daysSinceFirstVisit", "secondsSinceFirstVisit", "daysSinceLastVisit"}
HISTORY |= {"secondsSinceLastVisit", "visitorTypeIcon"}


def recording(name: str) -> dict[str, Any]:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def simulator(**more: Any) -> MatomoSimulator:
    return MatomoSimulator(NOTHING, zone=ZONE, now=lambda: NOW, version="5.2.0-b5", **more)


def token_for(sim: MatomoSimulator, auth: str) -> str:
    if "not known" in auth or "expired" in auth:
        return "f" * 32
    kinds = {"view access": sim.token, "valid token": sim.no_access_token, "superuser": sim.superuser_token}
    return next((token for word, token in kinds.items() if auth.startswith(word)), "")


def replay(sim: MatomoSimulator, request: dict[str, Any]) -> requests.Response:
    """The recorded request, made of the simulator in the way it was recorded."""
    params = {"module": "API", "format": "json", **request["params"]}
    if request["method"]:
        params["method"] = request["method"]
    for number, url in enumerate(params.pop("urls", ())):
        params[f"urls[{number}]"] = url
    token = {"token_auth": params.pop("token_auth", token_for(sim, request["auth"]))}
    address = sim.url + "/index.php"
    if request["http"] == "GET":
        return requests.get(address, params=params | token, timeout=5)
    if "query" in request.get("sent", ""):
        return requests.post(address, params=params, data=token, timeout=5)
    return requests.post(address, data=params | token, timeout=5)


def body(answer: requests.Response) -> Any:
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


def track_bulk(sim: MatomoSimulator, events: list[dict[str, Any]]) -> None:
    sent = ["?" + urlencode({"idsite": 1, "rec": 1, **{k: v for k, v in e.items() if k != "case"}}) for e in events]
    bulk = {"requests": sent, "token_auth": sim.superuser_token}
    agent = {"User-Agent": "curl/8.4.0"}
    answer = requests.post(sim.url + "/matomo.php", json=bulk, headers=agent, timeout=10).json()
    assert answer == {"status": "success", "tracked": len(events), "invalid": 0, "invalid_indices": []}


@pytest.fixture(scope="module")
def recorded_day() -> Iterator[MatomoSimulator]:
    """A simulator to which the recorded day and the recorded special events have been sent."""
    with simulator() as sim:
        track_bulk(sim, recording("fixture.2026-11-14.sent")["events"])
        track_bulk(sim, recording("sent.special-events")["events"])
        yield sim


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in row.items() if key not in OWN_IDS | HISTORY | {"actionDetails"}}
    made["actionDetails"] = [
        {key: value for key, value in action.items() if key not in OWN_IDS} for action in row.get("actionDetails", [])
    ]
    return made


# A report that is not simulated, XML, and plain text (tested on its own).
ELSEWHERE = {"error.filter_limit-text", "error.format-xml", "error.format-unknown"}
ERRORS = sorted({path.stem for path in RECORDINGS.glob("error.*.json")} - ELSEWHERE)


@pytest.mark.parametrize("name", ERRORS)
def test_error_answers_are_those_recorded(name: str) -> None:
    wanted = recording(name)
    with simulator() as sim:
        answer = replay(sim, wanted["request"])
    assert answer.status_code == wanted["status"]
    assert answer.headers["content-type"] == wanted["headers"]["content-type"]
    if not isinstance(wanted["body"], str):
        assert body(answer) == wanted["body"]
    else:
        said = re.search(r"An error occurred (.*?) Go Back", wanted["body_cut"])
        assert said is not None
        assert said[1] in answer.text


def test_an_unknown_format_is_answered_in_plain_text() -> None:
    wanted = recording("error.format-unknown")
    with simulator() as sim:
        answer = replay(sim, wanted["request"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, wanted["headers"]["content-type"])
    assert answer.text == wanted["body"]


def test_an_unknown_method_is_a_success_before_5_1() -> None:
    with MatomoSimulator(NOTHING, zone=ZONE, now=lambda: NOW, version="5.0.2") as sim:
        assert replay(sim, recording("error.unknown-method")["request"]).status_code == 200


SERVER_STATES = {
    "brute-force-lock.good-token": Faults(locked=True),
    "brute-force-lock.good-token.post-token-query-params": Faults(locked=True),
    "db-down.VisitsSummary.get": Faults(sqlstate=1.0),
    "db-down.post-token-query-params": Faults(sqlstate=1.0),
    "maintenance.VisitsSummary.get": Faults(maintenance=1.0),
    "maintenance.post-token-query-params": Faults(maintenance=1.0),
    "disabled.visitor-log": Faults(visits_log_disabled=True),
}


@pytest.mark.parametrize(("name", "faults"), SERVER_STATES.items())
def test_states_of_the_server_answer_as_recorded(name: str, faults: Faults) -> None:
    wanted = recording(name)
    with simulator(faults=faults) as sim:
        answer = replay(sim, wanted["request"])
        assert sum(sim.struck.values()) == 1
    assert answer.status_code == wanted["status"]
    assert answer.headers["content-type"] == wanted["headers"]["content-type"]
    if isinstance(wanted["body"], dict):
        assert body(answer) == wanted["body"]


def test_a_page_too_large_for_the_memory_answers_as_recorded() -> None:
    wanted = recording("server.memory-exhausted")
    with simulator(faults=Faults(memory_visits=40)) as sim:
        track_bulk(sim, recording("fixture.2026-11-14.sent")["events"])
        asked = {**wanted["request"], "params": {"idSite": 1, "filter_limit": 10_000}}
        answer = replay(sim, asked)
        smaller = replay(sim, {**asked, "params": {"idSite": 1, "filter_limit": 40}})
    assert (answer.status_code, body(answer)) == (500, wanted["body"])
    assert len(body(smaller)) == 40


def test_twenty_failed_log_ins_lock_a_valid_token_out_for_an_hour() -> None:
    clock = [NOW]
    with MatomoSimulator(NOTHING, zone=ZONE, now=lambda: clock[0]) as sim:
        bad, good = recording("error.bad-token.post-token-query-params"), recording("brute-force-lock.good-token")
        assert [replay(sim, bad["request"]).status_code for _ in range(20)] == [401] * 20
        assert replay(sim, good["request"]).status_code == 500
        assert replay(sim, bad["request"]).status_code == 500
        clock[0] = datetime(2026, 11, 21, 23, 0, 1, tzinfo=UTC)
        assert replay(sim, good["request"]).status_code == 200


@pytest.mark.parametrize("page", ["keyset.0", "keyset.1", "keyset.2"])
def test_the_recorded_day_reads_back_row_by_row(recorded_day: MatomoSimulator, page: str) -> None:
    wanted = recording(f"fixture.2026-11-14.{page}")
    rows = body(replay(recorded_day, wanted["request"]))
    made_up = {row["visitorId"] for row in wanted["body"]} - {row["visitorId"] for row in rows}
    assert len(made_up) <= 1, "only the visitor without an id is named by the server"
    for row, known in zip(rows, wanted["body"], strict=True):
        if known["visitorId"] in made_up:
            row["visitorId"] = known["visitorId"]
        assert comparable(row) == comparable(known)
        assert row.keys() == known.keys()


SPECIAL = {
    "Live.getLastVisitsDetails.event-values": "8258475de852846f",
    "Live.getLastVisitsDetails.dimensions": "e333a913b10a08e7",
    "Live.getLastVisitsDetails.local-midnight": "a0016d89cd702a86",
    "Live.getLastVisitsDetails.long-visit": "a23441c72571a6c9",
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_events_read_back_as_recorded(recorded_day: MatomoSimulator, name: str) -> None:
    wanted = recording(name)
    rows = body(replay(recorded_day, wanted["request"]))
    assert len(rows) == len(wanted["body"])
    for row, known in zip(rows, wanted["body"], strict=True):
        assert comparable(row) == comparable(known)
        assert {key: row[key] for key in HISTORY} == {key: known[key] for key in HISTORY}
        assert [action.keys() for action in row["actionDetails"]] == [a.keys() for a in known["actionDetails"]]


def test_texts_of_any_script_read_back_as_recorded(recorded_day: MatomoSimulator) -> None:
    wanted = recording("Live.getLastVisitsDetails.unicode")
    answer = replay(recorded_day, wanted["request"])
    assert answer.content.isascii()
    names = ("eventCategory", "eventName", "dimension1", "dimension2", "dimension3")
    known = [[a[name] for name in names] for a in wanted["body"][0]["actionDetails"] if len(a["eventName"]) < 99]
    assert [[action[name] for name in names] for action in body(answer)[0]["actionDetails"]] == known


@pytest.mark.parametrize("report", ["Events.getCategory", "Events.getName", "VisitsSummary.get"])
def test_reports_of_the_recorded_day_are_equal(recorded_day: MatomoSimulator, report: str) -> None:
    wanted = recording(f"fixture.2026-11-14.{report}")
    made, known = body(replay(recorded_day, wanted["request"])), wanted["body"]
    if report == "VisitsSummary.get":
        assert made == known
        return
    drop = {"idsubdatatable"}  # a storage id
    assert sorted((str({k: v for k, v in row.items() if k not in drop})) for row in made) == sorted(
        str({k: v for k, v in row.items() if k not in drop}) for row in known
    )
    assert [row["label"] for row in made] == [row["label"] for row in known]


def test_events_with_odd_values_and_with_none_are_reported_as_recorded(recorded_day: MatomoSimulator) -> None:
    wanted = recording("Events.getName.special-day")
    made = {row["label"]: row for row in body(replay(recorded_day, wanted["request"]))}
    for row in wanted["body"]:
        ours = made[row["label"]]
        assert {**ours, "idsubdatatable": 0} == {**row, "idsubdatatable": 0}


SAME_KEYS = (
    "SitesManager.getSiteFromId",
    "SitesManager.getSiteFromId.view-token",
    "VisitsSummary.get.day",
    "VisitsSummary.get.range",
    "VisitsSummary.get.day.format_metrics0",
    "VisitsSummary.get.one-column",
)


@pytest.mark.parametrize("name", SAME_KEYS)
def test_single_answers_have_the_recorded_keys_and_types(recorded_day: MatomoSimulator, name: str) -> None:
    wanted = recording(name)
    asked = {**wanted["request"], "params": {**wanted["request"]["params"], "idSite": 1}}
    if wanted["request"]["params"].get("date") == "2026-11-18":
        asked["params"]["date"] = "2026-11-14"
    made = body(replay(recorded_day, asked))
    assert made.keys() == wanted["body"].keys()
    numbers = (int, float)
    for key, value in made.items():
        known = wanted["body"][key]
        assert isinstance(value, numbers if isinstance(known, numbers) else type(known)), key


EQUAL = (
    "CustomDimensions.getConfiguredCustomDimensions.view-token",
    "API.getMatomoVersion.view-token",
    "API.getMatomoVersion.no-token",
    "API.getBulkRequest.empty",
    "SitesManager.getSitesWithAtLeastViewAccess.no-sites",
    "diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.viewer",
    "diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.noaccess",
    "diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.no-token",
    "diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.bad-token",
    "Live.getLastVisitsDetails.limit0",
    "Events.getCategory.empty",
)


@pytest.mark.parametrize("name", EQUAL)
def test_small_answers_are_equal(recorded_day: MatomoSimulator, name: str) -> None:
    wanted = recording(name)
    request = {**wanted["request"], "params": {**wanted["request"]["params"]}}
    if name == "Events.getCategory.empty":
        request["params"]["idSite"] = 1
        request["params"]["date"] = "2026-11-01"
    answer = replay(recorded_day, request)
    assert (answer.status_code, body(answer)) == (wanted["status"], wanted["body"])


def test_a_bulk_answer_holds_failed_requests_in_their_place(recorded_day: MatomoSimulator) -> None:
    wanted = recording("API.getBulkRequest")
    made = body(replay(recorded_day, wanted["request"]))
    assert made[0].keys() == wanted["body"][0].keys()
    assert made[1:] == wanted["body"][1:]


def test_empty_days_among_several_are_lists(recorded_day: MatomoSimulator) -> None:
    for name in ("VisitsSummary.get.no-data-multi", "Events.getName.day-multi-empty"):
        wanted = recording(name)
        asked = {
            **wanted["request"],
            "params": {**wanted["request"]["params"], "idSite": 1, "date": "2026-10-05,2026-10-07"},
        }
        made = body(replay(recorded_day, asked))
        assert made == {"2026-10-05": [], "2026-10-06": [], "2026-10-07": []}


def test_a_day_that_is_not_archived_answers_nothing_at_first() -> None:
    report, visits = (f"archiving-off.{name}.not-archived" for name in ("Events.getCategory", "VisitsSummary.get"))
    with simulator(faults=Faults(not_archived=1)) as sim:
        track_bulk(sim, recording("fixture.2026-11-14.sent")["events"])
        for name in (report, visits):
            wanted = recording(name)
            asked = {**wanted["request"], "params": {**wanted["request"]["params"], "idSite": 1, "date": "2026-11-14"}}
            assert body(replay(sim, asked)) == wanted["body"]
            assert body(replay(sim, asked)) != wanted["body"]
        assert sim.struck["not_archived"] == 2


def test_more_than_500_names_end_in_others(recorded_day: MatomoSimulator) -> None:
    wanted = recording("Events.getName.more-than-500-names")
    with simulator() as sim:
        events = [
            {"cdt": 1794733200 + 2 * i, "cid": "dd1f69d8e219337f", "e_c": "Installer_CI", "e_a": "Event"}
            for i in range(650)
        ]
        track_bulk(sim, [event | {"e_n": f"heavy_{i:04}", "e_v": 1} for i, event in enumerate(events)])
        made = body(replay(sim, wanted["request"]))
        live = body(replay(sim, recording("Live.getLastVisitsDetails.truncated-visit")["request"]))
    assert len(made) == len(wanted["body"]) == 500
    assert made[-1].keys() == wanted["body"][-1].keys()
    assert made[-1] == {"label": "Others", "nb_events": 151}
    assert made[0] == {"label": "heavy_0000", "nb_events": "1", "segment": "eventName==heavy_0000", "idsubdatatable": 1}
    known = recording("Live.getLastVisitsDetails.truncated-visit")["body"][0]
    assert len(live[0]["actionDetails"]) == 500
    for key in (
        "actions",
        "events",
        "truncatedActionsCount",
        "firstActionTimestamp",
        "lastActionTimestamp",
        "visitDuration",
    ):
        assert live[0][key] == known[key]


TRACKING = sorted(p.stem for p in RECORDINGS.glob("tracking.*.json") if "backdate-token" not in p.stem)


@pytest.mark.parametrize("name", TRACKING)
def test_tracking_answers_as_recorded(name: str) -> None:
    wanted = recording(name)
    request = json.loads(json.dumps(wanted["request"]).replace("<5000 x L>", "L" * 5000))
    agent = {"bot": "Googlebot/2.1", "empty": ""}.get(name.split(".")[-1].split("-")[0], "curl/8.4.0")
    with simulator(site_id=5) as sim:
        params = dict(request["params"])
        if name in ("tracking.backdate-1h-no-token", "tracking.future-cdt"):
            params["cdt"] = int(NOW.timestamp()) + (-3600 if "1h" in name else 3600)
        if name == "tracking.backdate-view-token":
            params["token_auth"] = sim.token
        answer = send(sim, request, params, {"User-Agent": agent})
        with_value = [a for v in sim.log.visits for a in v.actions]
    assert answer.status_code == wanted["status"]
    assert answer.headers["content-type"] == wanted["headers"]["content-type"]
    if isinstance(wanted["body"], dict):
        assert answer.json() == wanted["body"]
    stored = {"bot-user-agent", "rec-missing", "rec-missing.send_image0", "ping", "no-parameters", "bulk.no-rec"}
    short = name.removeprefix("tracking.")
    failed = answer.status_code >= 400 or (isinstance(wanted["body"], dict) and not wanted["body"]["tracked"])
    assert bool(with_value) == (short not in stored and not failed and short != "bulk.empty")
    if short in ("event-empty-category", "event-without-action", "event-without-category"):
        assert [action.category for action in with_value] == [None], "a nameless page view, not an event"


def send(sim: MatomoSimulator, request: dict[str, Any], params: Any, headers: dict[str, str]) -> requests.Response:
    address = sim.url + "/matomo.php"
    if "raw" in request:
        return requests.post(address, data=request["raw"], headers=headers, timeout=5)
    if "json" in request:
        wanted = request["json"]
        if "token_auth" in wanted:
            wanted["token_auth"] = "f" * 32 if "unknown" in request["auth"] else sim.superuser_token
        return requests.post(address, json=wanted, headers=headers, timeout=5)
    if request["http"] == "POST":
        return requests.post(address, data=params, headers=headers, timeout=5)
    return requests.get(address, params=params, headers=headers, timeout=5)


def test_old_events_need_a_token_with_rights() -> None:
    wanted = recording("tracking.backdate-token")
    with simulator(site_id=5) as sim:
        params = wanted["request"]["params"] | {"cdt": "2026-11-01 10:00:00", "token_auth": sim.superuser_token}
        assert send(sim, wanted["request"], params, {}).status_code == 204
        assert [visit.last for visit in sim.log.visits] == [int(datetime(2026, 11, 1, 10, tzinfo=UTC).timestamp())]


@pytest.mark.parametrize("name", ["recording-off.bulk", "recording-off.tracking", "recording-off.tracking.send_image0"])
def test_recording_switched_off_answers_as_recorded(name: str) -> None:
    wanted = recording(name)
    with simulator(site_id=5, faults=Faults(recording_off=True)) as sim:
        answer = send(sim, wanted["request"], wanted["request"]["params"], {})
        assert sim.log.visits == []
    assert (answer.status_code, answer.headers["content-type"]) == (wanted["status"], wanted["headers"]["content-type"])


def test_the_site_of_a_truth_is_in_its_zone() -> None:
    truth = generate(days=3, events_per_day=20, seed=5, end=NOW, zone="America/New_York")
    with MatomoSimulator(truth, now=lambda: NOW) as sim:
        wanted = recording("SitesManager.getSiteFromId.view-token")
        assert body(replay(sim, wanted["request"]))["timezone"] == "America/New_York"
