"""GetHealthStatus and DiagnoseMatomo beside the predecessor's recordings, and on a real Matomo's recorded answers.

What is kept: names of checks and steps, their order, keys and types, words. What differs is listed in
tests/health_document.py, with the reasons.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.simulator import Assumptions, PiwikProSimulator, generate
from matokit_pipelines.toolserver.health.tools import HEALTH_TOOLS
from matokit_pipelines.toolserver.parameters import choices, published_type
from tests.health_kits import NOW, ask, kit_of, publish, settings_of
from tests.replay import Replay, recording, verbatim
from tests.upstreams import TOKEN, Reply, Upstream, matomo

OPAL = Path(__file__).parents[1] / "fixtures" / "opal"
OURS = {"rate-limit", "warehouse", "piwik-pro-api"}


def cases(name: str) -> dict[str, Mapping[str, Any]]:
    found = json.loads((OPAL / f"predecessor-{name}.json").read_text(encoding="utf-8"))
    return {case["case"]: case for case in found["cases"]}


HEALTH = cases("get-health-status")
DIAGNOSE = cases("diagnose-matomo")


def types(value: Any) -> Any:
    """The JSON types of a value; any two numbers are alike."""
    if isinstance(value, Mapping):
        return {key: types(one) for key, one in value.items()}
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.fixture
def shop() -> Iterator[Upstream]:
    """The stub behind the recordings: version 5.3.2, one site, Example shop."""
    with Upstream(matomo((1,), version="5.3.2", name="Example shop")).serving() as upstream:
        yield upstream


def health(folder: Path, server: Upstream, parameters: Mapping[str, Any]) -> Any:
    loaded = settings_of(folder, server.url)
    publish(loaded)
    with kit_of(loaded) as kit:
        return ask(kit, "GetHealthStatus", **parameters)


@pytest.mark.parametrize("case", ["healthy", "with details", "details, site without access"])
def test_health_as_recorded(tmp_path: Path, shop: Upstream, case: str) -> None:
    theirs = HEALTH[case]["response"]["body"]
    ours = health(tmp_path, shop, HEALTH[case]["request"]["body"]["parameters"])
    assert ours["status"] == theirs["status"]
    assert set(theirs) <= set(ours)
    kept = [check for check in ours["checks"] if check["name"] not in OURS]
    assert [check["name"] for check in kept] == [check["name"] for check in theirs["checks"]]
    for mine, known in zip(kept, theirs["checks"], strict=True):
        assert mine["status"] == known["status"]
        assert mine["componentType"] == known["componentType"]
        if known["name"] != "tracking-queue":  # made up there; off here, so nothing is observed
            assert types(mine) == types(known)
    assert len(ours["timestamp"]) == len(theirs["timestamp"])
    if case == "with details":
        assert kept[-1]["output"] == "Site ID 1 accessible"


def test_the_predecessors_version_probe_would_fail_and_ours_does_not(tmp_path: Path) -> None:
    """On a current Matomo, as recorded: API.getVersion is no method."""
    theirs = HEALTH["upstream without the version method (a current Matomo)"]["response"]["body"]
    assert theirs["status"] == "unhealthy"
    answers = {
        "API.getMatomoVersion": verbatim("API.getMatomoVersion.view-token"),
        "SitesManager.getSiteFromId": verbatim("SitesManager.getSiteFromId.view-token"),
    }
    with Replay(instead=lambda method, params: answers.get(method)).serving() as server:
        loaded = settings_of(tmp_path, server.url)
        publish(loaded)
        with kit_of(loaded) as kit:
            ours = ask(kit, "GetHealthStatus", includeDetails=True)
    assert ours["status"] == "healthy"


def test_cache_thresholds_beside_the_recording(tmp_path: Path, shop: Upstream) -> None:
    theirs = cases("health-cache-thresholds")["hit rate near zero"]["response"]["body"]
    [known] = [check for check in theirs["checks"] if check["name"] == "reports-cache"]
    with kit_of(settings_of(tmp_path, shop.url)) as kit:
        for number in range(44):
            assert kit.cache.lookup("popularUrls", number, 1) is None
        [ours] = [check for check in ask(kit, "GetHealthStatus")["checks"] if check["name"] == "reports-cache"]
    assert types(ours) == types(known)
    assert ours["output"] == known["output"] == "Hit rate: 0.0% (0/44 requests)"
    assert (known["status"], ours["status"]) == ("warn", "fail")


def diagnosed(folder: Path, url: str, token: str = TOKEN, **parameters: Any) -> list[dict[str, Any]]:
    with kit_of(settings_of(folder, url, MATOKIT_INSTALLERS_TOKEN=token)) as kit:
        found: list[dict[str, Any]] = ask(kit, "DiagnoseMatomo", **parameters)["checks"]
    assert token not in json.dumps(found)
    return found


def test_diagnosis_as_recorded(tmp_path: Path, shop: Upstream) -> None:
    [theirs] = [case for name, case in DIAGNOSE.items() if name.startswith("upstream that answers")]
    known = theirs["response"]["body"]["checks"]
    ours = diagnosed(tmp_path, shop.url)
    assert [(c["id"], c["label"], c["status"]) for c in ours] == [(c["id"], c["label"], c["status"]) for c in known]
    assert ours[0]["details"] == known[0]["details"] == {"version": "5.3.2"}
    assert ours[1]["details"] == {"sites": 1}
    assert ours[2]["details"] == known[2]["details"] == {"idsite": 1, "name": "Example shop"}


def test_diagnosis_of_a_site_without_access_as_recorded(tmp_path: Path, shop: Upstream) -> None:
    case = DIAGNOSE["site without access"]
    known = case["response"]["body"]["checks"]
    ours = diagnosed(tmp_path, shop.url, **case["request"]["body"]["parameters"])
    assert [(c["id"], c["status"]) for c in ours] == [(c["id"], c["status"]) for c in known]
    assert ours[2]["error"]["type"] == known[2]["error"]["type"] == "matomo"
    assert set(known[2]["error"]) == set(ours[2]["error"]) == {"type", "message", "guidance"}


# -- a real Matomo's recorded answers ---------------------------------------------------------------------------------

VERSION = verbatim("diagnose.API.getMatomoVersion.viewer")
NO_VERSION = verbatim("diagnose.API.getMatomoVersion.noaccess")
SITES = {
    who: verbatim(f"diagnose.SitesManager.getSitesIdWithAtLeastViewAccess.{who}")
    for who in ("admin", "viewer", "noaccess", "bad-token")
}


def real(who: str) -> Replay:
    """A real Matomo as it answers a kind of token."""
    version = VERSION if who in ("admin", "viewer") else NO_VERSION if who == "noaccess" else SITES["bad-token"]
    answers = {"SitesManager.getSitesIdWithAtLeastViewAccess": SITES[who], "API.getMatomoVersion": version}
    if who == "viewer":
        answers["SitesManager.getSiteFromId"] = verbatim("SitesManager.getSiteFromId.view-token")
    return Replay(instead=lambda method, params: answers.get(method))


@pytest.mark.parametrize(
    ("who", "statuses", "kind"),
    [
        ("viewer", ["ok", "ok", "ok"], None),
        ("noaccess", ["ok", "ok", "error"], "view access"),
        ("bad-token", ["ok", "error", "skipped"], "valid token"),
    ],
)
def test_diagnosis_tells_a_token_without_sites_from_a_bad_one(
    tmp_path: Path, who: str, statuses: list[str], kind: str | None
) -> None:
    with real(who).serving() as server:
        ours = diagnosed(tmp_path, server.url)
        assert [check["status"] for check in ours] == statuses
        if kind:
            [error] = [check["error"] for check in ours if "error" in check]
            assert kind in error["guidance"]
        if who == "bad-token":
            assert len(server.asked) == 1  # each failing probe counts towards the lock-out
            assert ours[2]["skippedReason"] == "Matomo did not accept the token."


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("brute-force-lock.good-token.post-token-query-params", ["ok", "error", "skipped"]),
        ("maintenance.post-token-query-params", ["error", "skipped", "skipped"]),
        ("db-down.post-token-query-params", ["ok", "error", "skipped"]),
        ("error.unknown-method", ["ok", "error", "skipped"]),
    ],
)
def test_diagnosis_of_other_answers(tmp_path: Path, name: str, statuses: list[str]) -> None:
    with Replay(instead=lambda method, params: verbatim(name)).serving() as server:
        ours = diagnosed(tmp_path, server.url)
    assert [check["status"] for check in ours] == statuses
    assert all(check["error"]["guidance"] for check in ours if "error" in check)


def test_diagnosis_of_a_page_and_of_silence(tmp_path: Path) -> None:
    with Upstream(lambda method, params: Reply(b"<html>Log in</html>", kind="text/html")).serving() as server:
        ours = diagnosed(tmp_path, server.url)
    assert [check["status"] for check in ours] == ["error", "skipped", "skipped"]
    assert "log-in page" in ours[0]["error"]["guidance"]
    silent = diagnosed(tmp_path / "silent", "http://127.0.0.1:9")
    assert silent[0]["error"]["type"] == "network"
    assert silent[1]["skippedReason"] == silent[2]["skippedReason"] == "Matomo base URL could not be reached."


def test_diagnosis_without_a_token(tmp_path: Path, shop: Upstream) -> None:
    with kit_of(settings_of(tmp_path, shop.url, MATOKIT_INSTALLERS_TOKEN="")) as kit:
        ours = ask(kit, "DiagnoseMatomo")["checks"]
    assert [check["status"] for check in ours] == ["skipped", "error", "skipped"]
    assert "MATOKIT_INSTALLERS_TOKEN" in ours[1]["error"]["guidance"]
    assert shop.asked == []


# -- Piwik PRO --------------------------------------------------------------------------------------------------------

CLOUD = """
[[sources]]
name = "cloud"
kind = "piwik_pro"
url = "{url}"
site_id = "{site}"
"""


@pytest.mark.parametrize(
    ("wrong", "statuses"),
    [("", ["ok", "ok", "ok"]), ("secret", ["ok", "error", "skipped"]), ("site", ["ok", "ok", "error"]),
     ("url", ["error", "skipped", "skipped"])],
)  # fmt: skip
def test_diagnosis_of_piwik_pro(tmp_path: Path, shop: Upstream, wrong: str, statuses: list[str]) -> None:
    truth = generate(days=3, events_per_day=5, seed=2, end=NOW)
    with PiwikProSimulator(truth, now=lambda: NOW, assumed=Assumptions(rate_limit=False)) as cloud:
        site = "00000000-0000-4000-8000-00000000dead" if wrong == "site" else cloud.site_id
        more = CLOUD.format(url="http://127.0.0.1:9" if wrong == "url" else cloud.url, site=site)
        secret = "wrong-secret-0000" if wrong == "secret" else cloud.client_secret
        environ = {"MATOKIT_CLOUD_CLIENT_ID": cloud.client_id, "MATOKIT_CLOUD_CLIENT_SECRET": secret}
        with kit_of(settings_of(tmp_path, shop.url, more, **environ)) as kit:
            ours = ask(kit, "DiagnoseMatomo")["checks"]
    theirs = ours[3:]
    ids = ["piwik-pro-base-url", "piwik-pro-token-auth", "piwik-pro-site-access"]
    assert [check["id"] for check in theirs] == ids
    assert [check["status"] for check in theirs] == statuses
    assert secret not in json.dumps(ours)
    for check in theirs:
        if check["status"] == "error":
            assert check["error"]["guidance"]
            assert check["error"]["type"] == ("network" if wrong == "url" else "piwik-pro")


# -- as published -----------------------------------------------------------------------------------------------------


def test_names_paths_and_parameters_are_the_predecessors() -> None:
    found = json.loads((OPAL / "predecessor-discovery.json").read_text(encoding="utf-8"))
    manifest = next(
        case["response"]["body"] for case in found["cases"] if "functions" in (case["response"].get("body") or {})
    )
    known = {function["name"]: function for function in manifest["functions"]}
    for tool in HEALTH_TOOLS:
        theirs = known[tool.name]
        assert (tool.endpoint, "POST") == (theirs["endpoint"], theirs["http_method"])
        ours = {name: published_type(field) for name, field in tool.parameters.model_fields.items()}
        assert ours == {one["name"]: one["type"] for one in theirs["parameters"]}
        assert all(field.description and not choices(field) for field in tool.parameters.model_fields.values())


def test_recordings_used_here_are_what_they_say() -> None:
    assert recording("diagnose.API.getMatomoVersion.noaccess")["status"] == 401
    assert SITES["bad-token"][0] == 401
