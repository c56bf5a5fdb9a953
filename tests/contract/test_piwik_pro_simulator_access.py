"""Tokens, envelopes of errors and management endpoints of the simulated Piwik PRO, as documented."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import requests

from matokit_pipelines.simulator import Dimension
from tests.contract.piwik_pro_asking import END, Asking, free

DAY = {"date_from": "2026-11-20 00:00:00", "date_to": "2026-11-21 00:00:00"}
DEFAULTS = ["session_id", "event_id", "visitor_id", "timestamp"]


def test_a_token_is_given_for_json_and_for_a_form() -> None:
    with Asking() as ask:
        form = {"grant_type": "client_credentials", "client_id": ask.sim.client_id}
        form["client_secret"] = ask.sim.client_secret
        for answer in (ask.token(), requests.post(ask.sim.url + "/auth/token", data=form, timeout=5)):
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json; charset=UTF-8"
            value = answer.json()
            assert list(value) == ["token_type", "expires_in", "access_token"]
            assert (value["token_type"], value["expires_in"]) == ("Bearer", 1_800)
            payload = value["access_token"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            assert {"iss", "aud", "iat", "exp", "sub", "org", "eml"} <= set(claims)
            assert claims["exp"] - claims["iat"] == 1_800


@pytest.mark.parametrize(
    ("sent", "status", "error", "hint"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", None),
        ({"client_id": "nobody"}, 400, "invalid_client", None),
        ({"client_id": None}, 400, "invalid_client", "Check the `client_id` parameter"),
        (
            {"grant_type": "password"},
            400,
            "unsupported_grant_type",
            "Check that all required parameters have been provided",
        ),
    ],
)
def test_refused_tokens(sent: dict[str, Any], status: int, error: str, hint: str | None) -> None:
    with Asking() as ask:
        answer = ask.token(**sent)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        value = answer.json()
        assert value["error"] == error
        assert value.get("hint") == hint
        assert set(value) == ({"error", "error_description", "hint", "message"} if hint else {"error"})


def test_an_unknown_client_may_also_be_answered_401() -> None:
    with Asking(assumed=free(unknown_client=401)) as ask:
        assert ask.token(client_id="nobody").status_code == 401


def test_an_ended_licence_refuses_tokens_with_402_and_analytics_with_403() -> None:
    with Asking(no_license=True) as ask:
        answer = ask.token()
        assert answer.status_code == 402
        assert answer.json() == {
            "code": 402,
            "message": 'There is no active license for "default" organization',
        }


def test_a_user_without_the_site_is_told_so_in_each_envelope() -> None:
    with Asking() as ask:
        ask.log_in(client_id=ask.sim.no_access_client_id)
        answer = ask.post("events", **DAY)
        assert (answer.status_code, answer.json()["errors"][0]["status"]) == (403, "403")
        assert ask.get("/api/apps/v2").json() == {"meta": {"total": 0}, "data": []}
        assert ask.get(f"/api/apps/v2/{ask.sim.site_id}").status_code == 404
        assert ask.get("/api/tracker/v1/debugger", app_id=ask.sim.site_id).status_code == 404


def test_a_bad_token_is_refused_in_three_envelopes() -> None:
    with Asking() as ask:
        ask.bearer = "nonsense"
        analytics = ask.post("events", **DAY)
        assert analytics.status_code == 401
        assert analytics.json() == {"errors": [{"status": "401", "detail": "No valid credentials provided."}]}
        for path in (f"/api/apps/v2/{ask.sim.site_id}", "/api/analytics/v1/manage/custom-dimensions/"):
            managed = ask.get(path)
            assert (managed.status_code, managed.json()) == (401, {"error": "access token not authorized"})
        debugger = ask.get("/api/tracker/v1/debugger", app_id=ask.sim.site_id)
        assert (debugger.status_code, debugger.headers["content-type"], debugger.text) == (401, "text/plain", "")


def test_a_missing_and_an_expired_token_have_texts_of_their_own() -> None:
    with Asking() as ask:
        bare = requests.get(ask.sim.url + "/api/apps/v2", timeout=5)
        assert (bare.status_code, bare.json()) == (401, {"error": "JWT not found"})
        assert ask.get("/api/apps/v2").status_code == 200
        ask.renews = False
        ask.now = END + timedelta(seconds=1_799)
        assert ask.get("/api/apps/v2").status_code == 200
        ask.now = END + timedelta(seconds=1_800)
        assert ask.get("/api/apps/v2").json() == {"error": "Expired JWT Token"}
        assert ask.post("events", **DAY).status_code == 401
        ask.log_in()
        assert ask.post("events", **DAY).status_code == 200


def test_the_app_tells_its_zone() -> None:
    with Asking(zone="America/New_York") as ask:
        answer = ask.get(f"/api/apps/v2/{ask.sim.site_id}")
        assert answer.headers["content-type"] == "application/vnd.api+json"
        data = answer.json()["data"]
        assert (data["type"], data["id"]) == ("ppms/app", ask.sim.site_id)
        assert data["attributes"]["timezone"] == "America/New_York"
        assert data["attributes"]["realTimeDashboards"] is False
        listed = ask.get("/api/apps/v2", limit=1_000).json()
        assert listed["meta"] == {"total": 1}
        assert list(listed["data"][0]["attributes"]) == ["name", "addedAt", "updatedAt"]
        assert ask.get("/api/apps/v2", limit=1_001).status_code == 400
        assert ask.get("/api/apps/v2", search="nothing of the kind").json()["meta"] == {"total": 0}
        unknown = ask.get("/api/apps/v2/00000000-0000-4000-8000-000000000000")
        assert (unknown.status_code, unknown.json()["errors"][0]["status"]) == (404, "404")


def test_custom_dimensions_tell_slots_ten_at_a_time() -> None:
    many = [Dimension(number, 13 - number, f"D{number}") for number in range(1, 13)]
    with Asking(dimensions=many) as ask:
        path = "/api/analytics/v1/manage/custom-dimensions/"
        value = ask.get(path, website_id=ask.sim.site_id).json()
        assert value["meta"] == {"total": 12}
        assert len(value["data"]) == 10
        rest = ask.get(path, website_id=ask.sim.site_id, offset=10, limit=1_000).json()["data"]
        assert [one["attributes"]["tracking_id"] for one in rest] == [11, 12]
        assert [one["attributes"]["slot"] for one in rest] == [2, 1]
        assert value["data"][0]["type"] == "CustomDimension"
        assert set(value["data"][0]["attributes"]) == {
            "website_id",
            "name",
            "active",
            "case_sensitive",
            "scope",
            "slot",
            "tracking_id",
            "extractions",
        }
        assert ask.get(path).status_code == 400
        one = value["data"][3]
        assert ask.get(path + one["id"], website_id=ask.sim.site_id).json() == {"data": one}
        nothing = ask.get(path + "00000000-0000-4000-8000-000000000000", website_id=ask.sim.site_id)
        assert nothing.status_code == 404
        slots = ask.get(path + "slots/", website_id=ask.sim.site_id).json()["data"]["attributes"]
        assert slots["event"] == {"available": 200, "used": 12, "left": 188}


def test_tracker_settings_say_what_is_excluded() -> None:
    with Asking() as ask:
        answer = ask.get(f"/api/tracker/v2/settings/app/{ask.sim.site_id}")
        assert answer.headers["content-type"] == "application/vnd.api+json"
        data = answer.json()["data"]
        assert (data["type"], data["id"]) == ("tracker/settings/app", ask.sim.site_id)
        told = data["attributes"]
        assert told["session_limit_exceeded_action"] == "split_and_exclude"
        assert (told["exclude_crawlers"], told["exclude_unknown_urls"]) == (True, False)
        assert (told["session_max_duration_seconds"], told["session_max_event_count"]) == (43_200, 5_000)
        assert ask.get("/api/tracker/v2/settings/app/00000000-0000-4000-8000-000000000000").status_code == 403
    with Asking(assumed=free(settings_inherited=True, session_limit_exceeded_action="just_split")) as ask:
        own = ask.get(f"/api/tracker/v2/settings/app/{ask.sim.site_id}").json()["data"]["attributes"]
        assert "exclude_crawlers" not in own
        shared = ask.get("/api/tracker/v2/settings/app/global").json()["data"]
        assert (shared["type"], shared["id"]) == ("tracker/settings/app/global", "global")
        assert shared["attributes"]["session_limit_exceeded_action"] == "just_split"


def test_the_catalogue_of_columns_is_plain_json() -> None:
    with Asking() as ask:
        path = "/analytics/api/engine/"
        dimensions = ask.get(path + "dimensions/", website_id=ask.sim.site_id)
        assert dimensions.headers["content-type"] == "application/json"
        known = {one["column_id"]: one["column_meta"]["column_type"] for one in dimensions.json()}
        assert (known["timestamp"], known["event_type"], known["custom_event_value"]) == ("datetime", "str", "float")
        assert {"session_id", "event_id"} & set(known) == set()
        metrics = ask.get(path + "metrics/", website_id=ask.sim.site_id).json()
        assert {"events", "custom_events", "sessions", "visitors"} <= {one["column_id"] for one in metrics}


def test_unknown_paths_and_verbs() -> None:
    with Asking() as ask:
        assert ask.get("/api/nothing").status_code == 404
        assert ask.post("nothing").json()["errors"][0]["status"] == "404"
        posted = ask.session.post(ask.sim.url + "/api/apps/v2", json={}, headers=ask.headers(), timeout=5)
        assert posted.status_code == 415
        assert "application/vnd.api+json" in posted.text
        assert ask.session.get(ask.sim.url + "/auth/token", timeout=5).status_code == 405


def test_what_was_asked_is_remembered_without_secrets() -> None:
    seen: list[tuple[int, str]] = []
    with Asking(on_request=lambda number, path: seen.append((number, path))) as ask:
        ask.post("events", **DAY)
        ask.get("/api/apps/v2")
        assert ask.sim.requests.total == 3
        assert seen == [(1, "/auth/token"), (2, "/api/analytics/v1/events"), (3, "/api/apps/v2")]
        assert ask.sim.client_secret not in repr(ask.sim.requests)
        assert ask.sim.requests.recent[1][1]["date_from"] == DAY["date_from"]
