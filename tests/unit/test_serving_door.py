"""The door of the pages: cookies that cannot be made up and open nothing else; no way out of the site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.gate import Turned
from matokit_pipelines.toolserver.pages.door import LASTS, Door, is_page, local, root_of, token_in
from matokit_pipelines.toolserver.tokens import Tokens

NOW = datetime(2026, 11, 16, 9, tzinfo=UTC)
MAIN, PAGES = "0123456789abcdef", "fedcba9876543210"
STRANGER = Turned(401, "Unauthorized")


def door(clock: FixedClock | None = None, *, is_secure: bool = False, **environ: str) -> Door:
    given = {"MATOKIT_TOOLSERVER_TOKEN": MAIN, "MATOKIT_TOOLSERVER_PAGES_TOKEN": PAGES, **environ}
    clock = clock or FixedClock(NOW)
    return Door(Tokens(load(environ=given, cwd=Path("/")), clock), clock, is_secure=is_secure)


def scope(path: str = "/alerts/", method: str = "GET", query: str = "", **headers: str) -> dict[str, Any]:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"path": path, "method": method, "query_string": query.encode(), "headers": sent}


def cookie(of: Door, token: str = PAGES) -> str:
    line = of.cookie_for(token)
    assert line is not None
    return line.partition(";")[0]


def test_a_token_gives_a_cookie_and_the_cookie_its_name() -> None:
    of = door()
    assert of.caller(scope(cookie=cookie(of)), STRANGER) == "pages"
    assert of.caller(scope(cookie=f"a=b; {cookie(of, MAIN)}; c=d"), STRANGER) == "main"
    assert of.cookie_for("0123456789abcdee") is None
    assert of.cookie_for("") is None


def test_it_ends_by_its_own_date_whatever_the_browser_does() -> None:
    clock = FixedClock(NOW)
    of = door(clock)
    kept = cookie(of)
    clock.advance(LASTS - timedelta(minutes=1))
    assert of.caller(scope(cookie=kept), STRANGER) == "pages"
    clock.advance(timedelta(minutes=2))
    assert of.caller(scope(cookie=kept), STRANGER) is None


def test_a_renewed_token_ends_it() -> None:
    kept = cookie(door())
    renewed = door(MATOKIT_TOOLSERVER_PAGES_TOKEN="another-one-0123")
    assert renewed.caller(scope(cookie=kept), STRANGER) is None
    assert renewed.caller(scope(cookie=cookie(door(), MAIN)), STRANGER) == "main"


@pytest.mark.parametrize("change", ["name", "ends", "signature", "cut"])
def test_a_changed_cookie_opens_nothing(change: str) -> None:
    of = door()
    key, _, value = cookie(of).partition("=")
    name, ends, signature = value.split(".")
    forged = {
        "name": f"main.{ends}.{signature}",
        "ends": f"{name}.{int(ends) + 86_400}.{signature}",
        "signature": f"{name}.{ends}.{'0' * len(signature)}",
        "cut": f"{name}.{ends}.{signature[:-1]}",
    }[change]
    assert of.caller(scope(cookie=f"{key}={forged}"), STRANGER) is None


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=120))
@example("main.99999999999.")
@example("..")
@example("main.٣.00")
def test_no_text_is_a_cookie_by_chance_or_an_error(value: str) -> None:
    text = "".join(letter for letter in value if ord(letter) < 256)
    assert door().caller(scope(cookie=f"matokit_pages={text}"), STRANGER) is None


def test_whoever_holds_the_token_of_the_pages_cannot_pass_for_a_caller() -> None:
    clock = FixedClock(NOW)
    given = {"MATOKIT_TOOLSERVER_TOKEN": MAIN, "MATOKIT_TOOLSERVER_PAGES_TOKEN": PAGES}
    known = Tokens(load(environ=given, cwd=Path("/")), clock)
    text = f"main.{int(NOW.timestamp()) + 60}"
    signed = {name: f"matokit_pages={text}.{value.hex()}" for name, value in known.signed(text).items()}
    assert door().caller(scope(cookie=signed["main"]), STRANGER) == "main"
    assert door().caller(scope(cookie=signed["pages"]), STRANGER) is None


def test_over_https_the_cookie_is_of_this_host_only() -> None:
    of = door(is_secure=True)
    line = of.cookie_for(PAGES)
    assert line is not None
    assert line.startswith("__Host-matokit_pages=pages.")
    assert line.endswith("; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure")
    assert "Domain" not in line
    planted = cookie(of).removeprefix("__Host-")  # as another host of the same domain could set it
    assert of.caller(scope(cookie=planted), STRANGER) is None
    assert of.log_out().startswith("__Host-matokit_pages=; Path=/; Max-Age=0;")
    assert "Secure" not in (door().cookie_for(PAGES) or "")


@pytest.mark.parametrize(
    "path", ["/tools/get-events", "/mcp", "/metrics", "/openapi.json", "/cache-statistics", "/track/event", "/alertsx",
             "/Reports/weekly/a.html", "//", "/docs/", ""],
)  # fmt: skip
def test_what_is_no_page_opens_neither_by_cookie_nor_by_the_token_of_the_pages(path: str) -> None:
    of = door()
    assert not is_page(path)
    assert of.caller(scope(path, cookie=cookie(of)), STRANGER) is None
    assert of.caller(scope(path, authorization=f"Bearer {PAGES}"), STRANGER) is None
    assert of.log_in_first(scope(path, accept="text/html")) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_cookie_reads_and_nothing_else(method: str) -> None:
    of = door()
    assert of.caller(scope(method=method, cookie=cookie(of)), STRANGER) is None


@pytest.mark.parametrize("status", [403, 421, 429])
def test_who_is_turned_away_for_another_reason_stays_out(status: int) -> None:
    of = door()
    assert of.caller(scope(cookie=cookie(of)), Turned(status, "")) is None


def test_a_wrong_bearer_token_is_not_made_good_by_a_cookie() -> None:
    of = door()
    assert of.caller(scope(cookie=cookie(of), authorization="Bearer wrong"), STRANGER) is None


@pytest.mark.parametrize(
    ("path", "query", "to"),
    [
        ("/", "", b"login?next=%2F"),
        ("/alerts/", "", b"../login?next=%2Falerts%2F"),
        ("/dashboards/a.html", "environment=ci&days=7",
         b"../login?next=%2Fdashboards%2Fa.html%3Fenvironment%3Dci%26days%3D7"),
        ("/reports/weekly/2026-W46.html", "", b"../../login?next=%2Freports%2Fweekly%2F2026-W46.html"),
    ],
)  # fmt: skip
def test_a_person_is_sent_to_the_log_in_and_told_where_to_go_on(path: str, query: str, to: bytes) -> None:
    of = door()
    assert of.log_in_first(scope(path, query=query, accept="text/html,*/*")) == to
    assert of.log_in_first(scope(path, query=query, accept="application/json")) is None
    assert of.log_in_first(scope(path, "POST", query, accept="text/html")) is None


@given(
    st.one_of(
        st.text(max_size=60),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(
                ["/", "//", "/\\", "\\\\", "https://", "/reports/", "/docs", "/alerts/../", "/\t/", "javascript:"]
            ),
            st.sampled_from(
                ["evil.example.net", "/evil.example.net", "\r\nSet-Cookie: a=b", "..//evil.example.net", "@evil"]
            ),
            st.text(max_size=10),
        ),
    )
)
@example("//evil.example.net")
@example("/\\evil.example.net")
@example("/docs\r\nSet-Cookie: a=b")
@example("/reports/..//evil.example.net/")
def test_the_page_after_the_log_in_is_one_of_ours(wanted: str) -> None:
    found = local(wanted)
    assert is_page(found.partition("?")[0].partition("#")[0])
    assert not any(ord(letter) < 32 for letter in found)
    there = urlsplit(urljoin("https://matokit.example.org/login?next=x", f".{found}"))
    assert (there.scheme, there.netloc) == ("https", "matokit.example.org")


@given(st.binary(max_size=300))
def test_any_form_is_read_or_refused_without_another_error(form: bytes) -> None:
    try:
        token, wanted = token_in(form)
    except ValueError:
        return
    assert isinstance(token, str)
    assert is_page(wanted.partition("?")[0].partition("#")[0])


def test_the_way_to_the_start_from_every_depth() -> None:
    assert [root_of(path) for path in ("/", "/docs", "/alerts/", "/alerts/x", "/reports/weekly/x.html")] == [
        "", "", "../", "../", "../../",
    ]  # fmt: skip
