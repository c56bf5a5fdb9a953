"""Web pages elsewhere that call the server: the headers by which a browser lets the listed ones, and nobody else.

Belongs here: the headers. Does not belong here: a browser that obeys them (browser/test_cross_origin.py), which
origins are turned away (unit/test_serving_gate.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.serving import TOKEN, Served, loaded_with, served

LISTED = "https://chat.example.org"
TOOL = "/tools/get-health-status"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = f'[toolserver]\nallowed_origins = ["{LISTED}"]\n'
    with served(loaded_with(tmp_path_factory.mktemp("listed"), settings)) as running:
        yield running


def preflight(server: Served, path: str, origin: str = LISTED, **more: str) -> httpx.Response:
    """What a browser asks before a call with a token."""
    asked = {"origin": origin, "access-control-request-method": "POST", **more}
    return server.client.options(path, headers={**asked, "access-control-request-headers": "authorization"})


def of_sharing(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", [TOOL, "/mcp", "/discovery", "/nothing"])
def test_a_preflight_of_a_listed_origin_is_answered_without_a_token(server: Served, path: str) -> None:
    answer = preflight(server, path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert set(answer.headers["access-control-allow-headers"].split(", ")) == {
        "authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "x-request-id",
    }  # fmt: skip
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["x-request-id"]
    assert "content-length" not in answer.headers  # RFC 9110: not with 204


def test_every_answer_to_a_listed_origin_may_be_read_by_it(server: Served) -> None:
    health = server.post(TOOL, headers={"origin": LISTED})
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    mcp = server.post("/mcp", headers={"origin": LISTED, "accept": "application/json"})
    stranger = server.client.post(TOOL, headers={"origin": LISTED})
    good = server.client.post("/mcp", json=ping, headers={"origin": LISTED, "accept": "application/json", **BEARER})
    found = server.client.get("/discovery", headers={"origin": LISTED})
    assert [a.status_code for a in (health, mcp, stranger, good, found)] == [200, 400, 401, 200, 200]
    for answer in (health, mcp, stranger, good, found):
        assert answer.headers.get_list("access-control-allow-origin") == [LISTED]
        assert answer.headers["access-control-expose-headers"] == "x-as-of, x-request-id"
        assert "access-control-allow-credentials" not in answer.headers
        assert "Origin" in answer.headers.get_list("vary")


def test_nobody_else_is_told_anything(server: Served) -> None:
    other = preflight(server, TOOL, "https://evil.example.org")
    own = preflight(server, TOOL, server.url)  # our own pages ask nothing first
    null = preflight(server, TOOL, "null")
    foreign = preflight(server, TOOL, host="evil.example.org")
    plain = server.client.options(TOOL, headers={"origin": LISTED})
    assert [a.status_code for a in (other, own, null, foreign, plain)] == [403, 401, 403, 421, 401]
    for answer in (other, own, null, server.post(TOOL), server.post(TOOL, headers={"origin": server.url})):
        assert of_sharing(answer) == []


def test_a_preflight_is_no_call_of_a_tool(server: Served) -> None:
    def calls() -> list[str]:
        lines = server.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("matokit_tool_calls_total") and 'status="204"' in line]

    preflight(server, TOOL)
    assert calls() == []
