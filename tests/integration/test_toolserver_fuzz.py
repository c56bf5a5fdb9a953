"""The tool server asked at random: by its own OpenAPI document, and by bytes that are hardly HTTP.

Nothing makes it fail by a defect, answers are as documented, and without a token no data gets out. Belongs here: what
is asked at random. Does not belong here: faults by name (test_toolserver_faults.py).
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from matokit_pipelines.simulator import MatomoSimulator, WebTruth, generate
from matokit_pipelines.toolserver.openapi import openapi
from matokit_pipelines.toolserver.registry import all_tools
from tests.often import examples
from tests.served_homes import ZONE, full_home
from tests.serving import PAGES_TOKEN, TOKEN, Served, served

DOCUMENT = openapi(all_tools(tracking=False))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SECRET = "SecretOfTheTables9f3a"
OPEN_PATHS = ("/discovery", "/healthz", "/readyz", "/health", "/login")
CLOSED_PATHS = (
    *DOCUMENT["paths"].keys() - set(OPEN_PATHS),
    "/mcp", "/metrics", "/cache-statistics", "/openapi.json", "/docs", "/", "/index.html", "/index.json",
    "/reports/weekly/secret.html", "/dashboards/main.html", "/alerts/secret.html", "/serving/CURRENT", "/matokit.toml",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    web = WebTruth.generate(days=14, visits_per_day=40, seed=5, end=now, zone=ZONE)
    truth = generate(days=14, events_per_day=40, seed=7, end=now, zone=ZONE)
    with MatomoSimulator(truth, now=lambda: now, web=web) as matomo:
        full = full_home(
            tmp_path_factory.mktemp("full"), now=now, days=14, events_per_day=60, url=matomo.url, component=SECRET
        )
        for folder in ("reports/weekly", "dashboards", "alerts"):
            page = full.folder / folder / "secret.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(f"<p>{SECRET}</p>", encoding="utf-8")
        with served(full.loaded) as running:
            yield running


def test_the_secret_is_there_to_be_found(server: Served) -> None:
    """What the tests below look for would be told to whoever has the token."""
    assert SECRET.lower() in server.post("/tools/get-component-health", {"limit": 50}).text.lower()
    assert SECRET in server.get("/reports/weekly/secret.html", token=PAGES_TOKEN).text


@SCHEMA.parametrize()
@settings(max_examples=examples(12, 5), suppress_health_check=list(HealthCheck))
def test_answers_are_as_the_document_says(server: Served, case: schemathesis.Case[Any]) -> None:
    answer = case.call(base_url=server.url, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code != 500, answer.text
    case.validate_response(
        answer, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
    )
    if answer.status_code >= 400 and answer.status_code != 404 and case.method != "HEAD":
        assert answer.json().keys() >= {"error", "type", "guidance"}


@SCHEMA.parametrize()
@settings(max_examples=examples(4, 2), suppress_health_check=list(HealthCheck))
def test_nothing_is_told_without_a_token(server: Served, case: schemathesis.Case[Any]) -> None:
    case.headers.pop("Authorization", None)
    answer = case.call(base_url=server.url)
    if case.path not in OPEN_PATHS:
        assert answer.status_code == 401
    assert SECRET.lower() not in answer.text.lower()


# -- bytes ------------------------------------------------------------------------------------------------------------

ODD = st.sampled_from(
    [
        "/", "//", "/.", "/..", "/./", "/../", "%2f", "%2F", "%2e%2e", "%00", "%0a", "%c0%af", "%u002f", "\\", ";", "?",
        "#", "%", "%zz", "%25", "+", "*", "\u00e9", "\u2044", "\uff0f", "\x7f", "http://127.0.0.1", "@", ":80", " ",
    ]
)  # fmt: skip


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    """A known path that is spelt another way, or hardly a path."""
    path: str = draw(st.sampled_from([*CLOSED_PATHS, *OPEN_PATHS]))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(path)))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            path = path[:place] + draw(ODD) + path[place:]
        elif kind == 1:
            path = draw(ODD) + path
        elif kind == 2:
            path = path[:place] + path[place:].swapcase()
        elif kind == 3 and place < len(path):
            path = path[:place] + "".join(f"%{byte:02x}" for byte in path[place].encode()) + path[place + 1 :]
        else:
            path = draw(st.sampled_from(OPEN_PATHS)) + draw(ODD) + path
    return path.encode(draw(st.sampled_from(["utf-8", "utf-16-le"])) if draw(st.integers(0, 20)) == 0 else "utf-8")


METHODS = st.integers(0, 19).flatmap(
    lambda odd: (
        st.sampled_from([b"CONNECT", b"get", b"BREW"]) | st.binary(min_size=1, max_size=8)
        if odd == 0
        else st.sampled_from([b"GET", b"POST", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PATCH", b"TRACE"])
    )
)
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps({"parameters": value}).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            name: st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.lists(st.text())
            for name in ("siteId", "period", "date", "limit", "segment", "fresh", "compare", "component", "days")
        },
    ).map(lambda value: json.dumps({"parameters": value}).encode()),
    st.integers(1, 3_000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 3_000).map(lambda depth: b'{"parameters":' * depth + b"1" + b"}" * depth),
)
WITHOUT_TOKEN = [
    b"authorization: Bearer", b"authorization: Bearer ", b"authorization: bearer x", b"authorization: Basic " + b"QQ==",
    b"authorization: Bearer\t" + TOKEN[:-1].encode(), b"cookie: matokit_pages=main.9999999999.00",
    b"cookie: matokit_pages=pages.9999999999." + b"0" * 64, b"cookie: matokit_pages=..", b"x-forwarded-for: 127.0.0.1",
    b"x-original-url: /healthz", b"x-http-method-override: GET", b"x-forwarded-host: localhost", b"origin: null",
    b"content-type: text/html", b"accept: text/html", b"accept: text/event-stream", b"expect: 100-continue",
    b"upgrade: websocket", b"connection: upgrade", b"range: bytes=0-10", b"x-request-id: " + b"\xff" * 9,
    b"mcp-session-id: 1", b"mcp-protocol-version: nonsense", b"if-none-match: *", b"x: \xc3\xa9",
]  # fmt: skip
HEADERS = st.integers(0, 9).flatmap(
    lambda odd: st.lists(
        st.binary(min_size=1, max_size=30).filter(lambda line: b"\n" not in line)
        if odd == 0
        else st.sampled_from(WITHOUT_TOKEN),
        max_size=4,
    )
)


@st.composite
def requests(draw: st.DrawFn, token: bool) -> bytes:
    """A request as it goes over the wire, right or wrong."""
    body = draw(BODIES)
    lines = [
        draw(METHODS) + b" " + draw(paths()) + b" " + draw(st.sampled_from([b"HTTP/1.1"] * 18 + [b"HTTP/1.0", b"X"]))
    ]
    lines.append(draw(st.sampled_from([b"host: 127.0.0.1"] * 18 + [b"host: evil.example", b"Host:", b"x: y"])))
    lines += draw(HEADERS)
    if token:
        lines.append(f"authorization: Bearer {TOKEN}".encode())
    framing = draw(st.integers(0, 19))
    if framing == 0:
        body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" if body else b"0\r\n\r\n"
        lines.append(b"transfer-encoding: chunked")
    elif framing == 1:
        lines.append(b"content-length: " + draw(st.sampled_from([b"-1", b"1e3", b"0x10", b"9" * 30, b""])))
    else:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def said(port: int, sent: bytes) -> bytes:
    """What the server says to these bytes."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as talk:
        found = b""
        try:
            talk.sendall(sent)
            talk.settimeout(0.4)  # a request that waits for more is not answered, which is right
            while piece := talk.recv(65_536):
                found += piece
                talk.settimeout(20)
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        return found


def statuses(answer: bytes) -> list[int]:
    """Of the answers in it. `pytest --hypothesis-show-statistics` tells which there were."""
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
    event(f"status {found[-1] if found else 'none'}")
    return found


@given(sent=requests(token=False))
@settings(max_examples=examples(600, 200), suppress_health_check=list(HealthCheck))
def test_no_bytes_without_a_token_get_data(server: Served, sent: bytes) -> None:
    answer = said(server.port, sent)
    assert SECRET.lower().encode() not in answer.lower()
    assert 500 not in statuses(answer), answer
    for telling in (b"matokit_build_info", b"staleEvictions", b'"openapi"', b'"result"', b"Traceback", b"marts-"):
        assert telling not in answer, answer


@given(sent=requests(token=True))
@settings(max_examples=examples(600, 200), suppress_health_check=list(HealthCheck))
def test_no_bytes_with_a_token_make_it_fail(server: Served, sent: bytes) -> None:
    answer = said(server.port, sent)
    assert 500 not in statuses(answer), answer
    assert b"Traceback" not in answer


def test_it_still_answers_after_all_that(server: Served) -> None:
    assert server.client.get("/healthz").status_code == 200
    assert server.call("/tools/get-key-numbers")["as_of"]
