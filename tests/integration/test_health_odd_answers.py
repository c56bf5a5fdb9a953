"""What health and diagnosis say of upstreams that answer oddly: no Matomo at all, or one in trouble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.health_kits import ask, health, kit_of, settings_of
from tests.upstreams import TOKEN, Reply, Upstream, matomo


def seen(folder: Path, reply: Reply) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The check matomo-api and the three steps, where every question is answered alike."""
    with Upstream(lambda method, params: reply).serving() as server, kit_of(settings_of(folder, server.url)) as kit:
        checks = health(kit)[1]
        steps: list[dict[str, Any]] = ask(kit, "DiagnoseMatomo")["checks"]
    assert TOKEN not in str(checks) + str(steps)
    return checks["matomo-api"], steps


@pytest.mark.parametrize("body", [None, 42, "5.2.0", True, {"status": "ok"}, {"value": ""}, {"value": None}, {}, [{}]])
def test_what_answers_json_is_no_matomo_for_that(tmp_path: Path, body: object) -> None:
    check, steps = seen(tmp_path, Reply(body))
    assert check["status"] == "fail"
    assert "version" in check["output"]
    assert [step["status"] for step in steps] == ["error", "skipped", "skipped"]
    assert "not the expected API" in steps[0]["error"]["guidance"]


@pytest.mark.parametrize(
    ("reply", "kind", "guidance"),
    [
        (Reply({"result": "error", "message": "SQLSTATE[HY000] [2002] Connection refused"}, 500), "matomo", "log"),
        (Reply({"result": "error", "message": "Not from there."}, 403), "matomo", "address and token"),
        (Reply({"result": "error", "message": "Please specify a value for 'x'."}), "matomo", "Check the site"),
        (Reply({"result": "error", "message": f"Odd: token_auth={TOKEN}"}, 500), "matomo", "log"),
        (Reply({"result": "error", "message": f"Odd: token_auth={TOKEN}"}), "matomo", "token"),
    ],
)
def test_a_matomo_that_says_no_was_reached(tmp_path: Path, reply: Reply, kind: str, guidance: str) -> None:
    check, steps = seen(tmp_path, reply)
    assert check["status"] == "fail"
    assert [step["status"] for step in steps] == ["ok", "error", "skipped"]
    assert steps[1]["error"]["type"] == kind
    assert guidance in steps[1]["error"]["guidance"]


@pytest.mark.parametrize("body", [b"", b" ", b'{"value": "5.', b"5.2.0"])
def test_what_is_no_json_is_no_api(tmp_path: Path, body: bytes) -> None:
    _, steps = seen(tmp_path, Reply(body))
    assert [step["status"] for step in steps] == ["error", "skipped", "skipped"]
    assert "not the expected API" in steps[0]["error"]["guidance"]
    assert ("half a document" in steps[0]["error"]["message"]) == bool(body.strip())


def test_a_redirect_is_told_without_what_it_carries(tmp_path: Path) -> None:
    place = "https://someone:word@login.example.org/sso/start?state=abc123&code=def456#there"
    check, steps = seen(tmp_path, Reply(b"", 302, {"Location": place}))
    assert "on to https://login.example.org/sso/start" in check["output"]
    for hidden in ("someone", "word", "abc123", "def456", "there"):
        assert hidden not in check["output"] + str(steps)


def test_a_token_for_no_site_at_all(tmp_path: Path) -> None:
    with Upstream(matomo(())).serving() as server, kit_of(settings_of(tmp_path, server.url)) as kit:
        checks = health(kit, includeDetails=True)[1]
        steps = ask(kit, "DiagnoseMatomo")["checks"]
    for said in (checks["matomo-api"]["output"], checks["site-access"]["output"], steps[2]["error"]["message"]):
        assert said == "The token that matokit has is good, but may view no site at all."
    assert "view access" in steps[2]["error"]["guidance"]


def test_a_site_with_a_connection_of_its_own_is_named_as_a_site(tmp_path: Path) -> None:
    index = {"11": {"name": "Shop", "baseUrl": "http://127.0.0.1:9", "tokenAuth": TOKEN}}
    with Upstream(matomo()).serving() as server:
        loaded = settings_of(tmp_path, server.url, MATOKIT_SITE_INDEX_JSON=json.dumps({"sites": index}))
        with kit_of(loaded) as kit:
            checks = health(kit)[1]
            steps = ask(kit, "DiagnoseMatomo", siteId="Shop")["checks"]
    said = checks["matomo-api (site 11)"]["output"]
    assert said.startswith("Site 11 could not be read from 127.0.0.1:9: nothing listens there")
    assert steps[0]["error"]["message"] == said


def test_a_page_in_place_of_piwik_pro_names_the_url(tmp_path: Path) -> None:
    page = Reply(b"<html>Log in</html>", kind="text/html")
    with Upstream(matomo()).serving() as server, Upstream(lambda method, params: page).serving() as cloud:
        more = (
            f'[[sources]]\nname = "cloud"\nkind = "piwik_pro"\nurl = "{cloud.url}"\n'
            'site_id = "1c9a4b0e-1111-2222-3333-444455556666"\nstart_date = 2026-11-01\n'
        )
        loaded = settings_of(
            tmp_path, server.url, more, MATOKIT_CLOUD_CLIENT_ID="a" * 32, MATOKIT_CLOUD_CLIENT_SECRET="b" * 50
        )
        with kit_of(loaded) as kit:
            steps = ask(kit, "DiagnoseMatomo")["checks"]
    [error] = [step["error"] for step in steps if "error" in step]
    assert cloud.url in error["guidance"]
    assert "source cloud" in error["guidance"]
