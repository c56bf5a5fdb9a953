"""The gate: closed but for a short list of exact paths, whatever the spelling; hosts, origins, a caller's pace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.gate import OPEN, Admitted, Gate, Turned, bearer
from matokit_pipelines.toolserver.tokens import Tokens

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
TOKEN = "0123456789abcdef"
CLOCK = FixedClock(NOW)


def gate(clock: FixedClock = CLOCK, hosts: tuple[str, ...] = ("tools.example.org",), a_minute: int = 0) -> Gate:
    loaded = load(environ={"MATOKIT_TOOLSERVER_TOKEN": TOKEN}, cwd=Path("/"))
    return Gate(
        Tokens(loaded, clock), clock, hosts=hosts, origins=("https://chat.example.org",), calls_per_minute=a_minute
    )


def scope(path: str = "/tools/x", host: str = "tools.example.org", **headers: str) -> dict[str, Any]:
    named = {"host": host, **headers}
    return {"path": path, "method": "POST", "headers": [(k.encode(), v.encode("latin-1")) for k, v in named.items()]}


GATE = gate()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_taken_in_any_case(scheme: str) -> None:
    assert GATE.admit(scope(authorization=f"{scheme} {TOKEN}")) == Admitted("main")


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({}, False),
        ({"authorization": "Bearer nope"}, True),
        ({"authorization": f"Basic {TOKEN}"}, True),
        ({"authorization": "Bearer"}, True),
        ({"authorization": TOKEN}, True),
        ({"authorization": f"Bearer {TOKEN}x"}, True),
    ],
)
def test_without_the_token_nobody_comes_in(headers: dict[str, str], sent: bool) -> None:
    assert GATE.admit(scope(**headers)) == Turned(401, "Unauthorized", token_sent=sent)


@given(
    st.one_of(
        st.sampled_from(sorted(OPEN)).flatmap(
            lambda path: st.sampled_from(
                [
                    path + "/",
                    "/" + path,
                    path.upper(),
                    path + "//",
                    path + "%20",
                    path + ";a",
                    path + "/..",
                    "//" + path,
                    path.replace("/", "\\"),
                    path + "\x00",
                    "/." + path,
                    path + "?x",
                    path[:-1],
                    path + "x",
                ]
            )
        ),
        st.text(max_size=30).map(lambda text: "/" + text),
        st.sampled_from(["/tools/get-events", "/track/event", "/mcp", "/metrics", "/openapi.json", "/docs", "/", ""]),
    )
)
def test_no_spelling_of_a_path_slips_past(path: str) -> None:
    verdict = GATE.admit(scope(path))
    assert isinstance(verdict, Admitted) == (path in OPEN)


@pytest.mark.parametrize("path", sorted(OPEN))
def test_open_paths_are_open(path: str) -> None:
    assert GATE.admit(scope(path)) == Admitted("")


@pytest.mark.parametrize(
    ("hosts", "host", "good"),
    [
        (("tools.example.org",), "tools.example.org", True),
        (("tools.example.org",), "TOOLS.example.org:8443", True),
        (("tools.example.org",), "evil.example.org", False),
        (("tools.example.org",), "tools.example.org.evil.net", False),
        (("*.example.org",), "a.example.org", True),
        (("*.example.org",), "example.org", False),
        (("*.example.org",), "aexample.org", False),
        (("127.0.0.1:*",), "127.0.0.1:4000", True),
        (("*",), "any", True),
        (("tools.example.org:4000",), "tools.example.org:4000", True),
        (("tools.example.org:4000",), "tools.example.org", False),
        (("tools.example.org",), "", False),
    ],
)
def test_hosts(hosts: tuple[str, ...], host: str, good: bool) -> None:
    verdict = gate(hosts=hosts).admit(scope(host=host, authorization=f"Bearer {TOKEN}"))
    assert verdict == (Admitted("main") if good else Turned(421, "Invalid Host header"))


def test_probes_are_answered_under_any_name() -> None:
    assert GATE.admit(scope("/healthz", host="10.0.0.7:4000")) == Admitted("")
    assert GATE.admit(scope("/discovery", host="10.0.0.7:4000")) == Turned(421, "Invalid Host header")


@pytest.mark.parametrize(
    ("origin", "good"),
    [
        ("https://chat.example.org", True),
        ("https://tools.example.org", True),
        ("https://evil.example.org", False),
        ("null", False),  # what a browser sends from a page that hides where it is
    ],
)
def test_origins(origin: str, good: bool) -> None:
    verdict = GATE.admit(scope(authorization=f"Bearer {TOKEN}", origin=origin))
    assert verdict == (Admitted("main") if good else Turned(403, "Invalid Origin header"))


def test_the_pace_of_a_caller() -> None:
    clock = FixedClock(NOW)
    paced = gate(clock, a_minute=60)
    asked = scope(authorization=f"Bearer {TOKEN}")
    assert [isinstance(paced.admit(asked), Admitted) for _ in range(61)] == [True] * 60 + [False]
    turned = paced.admit(asked)
    assert isinstance(turned, Turned)
    assert turned.status == 429
    assert turned.retry_after == pytest.approx(1.0)
    clock.advance(timedelta(seconds=2))
    assert [isinstance(paced.admit(asked), Admitted) for _ in range(3)] == [True, True, False]
    assert paced.admit(scope("/healthz")) == Admitted("")


@given(st.binary(max_size=60))
def test_any_header_is_read_without_an_error(value: bytes) -> None:
    assert bearer(value) is None or value.lower().startswith(b"bearer")
