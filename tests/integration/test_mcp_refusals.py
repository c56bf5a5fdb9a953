"""What `/mcp` answers to what is no good message: the bounds, shape and headers that every answer of the server has.

Belongs here: bodies and headers at `/mcp`. Does not belong here: calling tools (test_tool_clients.py), other paths
(test_toolserver_faults.py).
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from matokit_pipelines.toolserver.wire import SECURITY
from tests.serving import TOKEN, Served, loaded_with, served

VERSIONS = ("2025-06-18", "2026-07-28")
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(loaded_with(tmp_path_factory.mktemp("mcp"))) as running:
        yield running


def post(server: Served, body: bytes, version: str = VERSIONS[0], kind: str = "application/json") -> Any:
    headers = {
        "authorization": f"Bearer {TOKEN}",
        "accept": "application/json, text/event-stream",
        "content-type": kind,
        "mcp-protocol-version": version,
    }
    answer = server.client.post("/mcp", content=body, headers=headers)
    for name, value in SECURITY:
        assert answer.headers.get_list(name.decode()) == [value.decode()], name
    assert len(answer.headers.get_list("x-request-id")) == 1
    return answer


def test_an_answer_of_the_sdk_has_the_headers_of_every_answer(server: Served) -> None:
    answer = post(server, json.dumps(PING).encode())
    assert (answer.status_code, answer.json()["id"]) == (200, 1)
    noted = post(server, b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    assert noted.status_code == 202


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_too_long_and_another_kind_are_refused_as_everywhere(server: Served, version: str) -> None:
    long = post(server, json.dumps({**PING, "params": {"x": "y" * 70_000}}).encode(), version)
    other = post(server, json.dumps(PING).encode(), version, "text/plain")
    assert (long.status_code, other.status_code) == (413, 415)
    for answer in (long, other):
        assert answer.headers["content-type"] == "application/json"
        assert answer.json().keys() >= {"error", "type", "guidance"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700), (b"", -32700), (b"[" * 5_000, -32700), (b"\xff", -32700), (b'{"a": NaN}', -32700),
        (json.dumps([PING]).encode(), -32600), (b"[]", -32600), (b"7", -32600), (b"null", -32600),
        (b'{"a": 1}', -32600), (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
    ],
)  # fmt: skip
def test_what_is_no_message_is_told_in_one_sentence(server: Served, body: bytes, code: int, version: str) -> None:
    answer = post(server, body, version)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert (said["jsonrpc"], said["id"], said["error"]["code"]) == ("2.0", None, code)
    message = said["error"]["message"]
    assert len(message) < 150
    assert "\n" not in message
    assert "pydantic" not in answer.text


def opened(server: Served) -> socket.socket:
    """A connection on which half of a message was sent."""
    head = ["POST /mcp HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {TOKEN}", "accept: application/json"]
    talk = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    talk.sendall("\r\n".join([*head, "content-type: application/json", "content-length: 99", "", '{"json']).encode())
    return talk


def test_a_client_that_hangs_up_is_no_failure_of_ours(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "matokit.access")
    with closing(opened(server)):
        pass
    ends = time.monotonic() + 10
    while '"what": "/mcp", "status": 499' not in caplog.text:
        assert time.monotonic() < ends, caplog.text
        time.sleep(0.02)
    assert "Traceback" not in caplog.text


@pytest.mark.slow  # it waits out the real limit
def test_a_body_that_does_not_come_is_answered(server: Served) -> None:
    with closing(opened(server)) as talk:
        found = b""
        while piece := talk.recv(65_536):
            found += piece
    assert found.startswith(b"HTTP/1.1 408"), found
    assert b"connection: close" in found.lower()
