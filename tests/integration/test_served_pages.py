"""Pages over real HTTP: who sees them, how they leave, that nothing else does, and where the links of messages lead.

Not here: how they look (browser/test_served_pages.py), cookies by themselves (unit/test_serving_door.py).
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from datetime import date
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from matokit_pipelines.alerts.content.links import WIDGETS, Links
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.reports.daily.pages import write_daily
from matokit_pipelines.reports.dashboards.widgets import load_widgets
from matokit_pipelines.settings import load
from matokit_pipelines.toolserver.access_log import ACCESS
from tests import page_homes
from tests.installer_tools import NOW, TOOLS, broken
from tests.serving import ENVIRON, PAGES_TOKEN, TOKEN, Served, served

PUBLIC = "https://matokit.example.org"
SECRETS = {**ENVIRON, "MATOKIT_INSTALLERS_TOKEN": "0123456789abcdef0123456789abcdef"}
KINDS = {"html": "text/html; charset=utf-8", "txt": "text/plain; charset=utf-8", "json": "application/json",
         "csv": "text/csv; charset=utf-8"}  # fmt: skip
CLOSED = ("/metrics", "/openapi.json", "/cache-statistics", "/mcp", "/tools/get-alerts", "/nowhere")


def serving(folder: Path, **environ: str) -> Iterator[Served]:
    loaded = load(folder / "matokit.toml", {"MATOKIT_HOME": str(folder), **SECRETS, **environ}, folder)
    with served(loaded, FixedClock(NOW)) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with every page, and alerts that fire because of a commit."""
    home = broken(tmp_path_factory.mktemp("pages"))
    links = Links.of(home.loaded)
    write_daily(home, date(2026, 11, 21), NOW, home.loaded.home / "reports", links)  # of the day on which they began
    return page_homes.with_pages(home).folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    yield from serving(folder)


@pytest.fixture(scope="module")
def cookie(server: Served) -> dict[str, str]:
    answer = server.client.post("/login", data={"token": PAGES_TOKEN, "next": "/"})
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


def see(server: Served, address: str, cookie: dict[str, str], **headers: str) -> httpx.Response:
    return server.client.get(address, headers={**cookie, **headers})


def ids(server: Served) -> list[str]:
    return re.findall(r'href="([0-9a-f]{10})"', server.get("/alerts/").text)


# -- log-in and log-out -----------------------------------------------------------------------------------------------


def test_a_person_is_asked_to_log_in_and_then_sees_what_was_asked_for(server: Served) -> None:
    page = {"accept": "text/html"}
    first = server.client.get("/dashboards/component_analysis.html?environment=ci&days=7", headers=page)
    assert first.status_code == 303
    form = server.client.get(urljoin("/dashboards/x", first.headers["location"]))
    assert form.status_code == 200
    wanted = unescape(re.findall(r'name="next" value="([^"]*)"', form.text)[0])
    answer = server.client.post("/login", data={"token": TOKEN, "next": wanted})
    assert answer.status_code == 303
    assert answer.headers["location"] == "./dashboards/component_analysis.html?environment=ci&days=7"
    line = answer.headers["set-cookie"]
    assert line.startswith("__Host-matokit_pages=main.")
    assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(line.split("; "))
    assert TOKEN not in line
    seen = see(server, urljoin("/login", answer.headers["location"]), {"cookie": line.partition(";")[0]}, **page)
    assert seen.status_code == 200


@pytest.mark.parametrize("token", ["", "guessed", PAGES_TOKEN[:-1], PAGES_TOKEN + "x", "<script>alert(1)</script>"])
def test_a_wrong_token_gives_no_cookie_and_is_not_shown_again(server: Served, token: str) -> None:
    answer = server.client.post("/login", data={"token": token, "next": "/docs"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["www-authenticate"] == 'Bearer realm="matokit"'
    assert 'value="/docs"' in answer.text
    assert not token or token not in answer.text


def test_a_log_in_that_is_too_long_is_told_as_such(server: Served) -> None:
    answer = server.client.post("/login", data={"token": PAGES_TOKEN, "next": "/" + "x" * 5_000})
    assert answer.status_code == 413
    assert "not known here" not in answer.text
    assert "longer than 4,096 bytes" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    ("origin", "good"),
    [(PUBLIC, True), (None, True), ("https://evil.example.net", False), ("null", False),
     ("https://matokit.example.org.evil.net", False)],
)  # fmt: skip
def test_another_site_can_log_nobody_in_or_out(server: Served, path: str, origin: str | None, good: bool) -> None:
    answer = server.client.post(path, data={"token": PAGES_TOKEN}, headers={"origin": origin} if origin else {})
    assert answer.status_code == (303 if good else 403)
    assert ("set-cookie" in answer.headers) is good


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_browser_says_where_the_forms_come_from(server: Served, path: str) -> None:
    """Under `no-referrer` it would send `Origin: null`, which is turned away."""
    answer = server.client.get(path)
    assert answer.headers["referrer-policy"] == "same-origin"
    assert '<meta name="referrer" content="same-origin">' in answer.text
    assert "form-action 'self'" in answer.headers["content-security-policy"]


def test_log_out_ends_the_cookie_in_this_browser(server: Served) -> None:
    answer = server.client.post("/logout")
    assert answer.status_code == 303
    assert answer.headers["location"] == "login"
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["clear-site-data"] == '"cache"'


def test_a_log_in_form_that_is_odd_is_a_wrong_one(server: Served) -> None:
    assert server.client.post("/login", content=b"&".join(b"a=%d" % n for n in range(50))).status_code == 401
    assert server.client.post("/login", content=b"\xff\xfe\x00").status_code == 401
    assert server.client.put("/login").status_code == 405


# -- what is closed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CLOSED)
def test_neither_the_cookie_nor_the_token_of_the_pages_opens_anything_else(
    server: Served, cookie: dict[str, str], path: str
) -> None:
    for method in ("GET", "POST"):
        for proof in (cookie, {"authorization": f"Bearer {PAGES_TOKEN}"}):
            answer = server.client.request(method, path, headers={**proof, "accept": "text/html"}, json={})
            assert answer.status_code == 401, (method, path)
            assert set(answer.json()) == {"error", "type", "guidance"}


@pytest.mark.parametrize("path", ["/", "/alerts/", "/docs", "/index.json", "/reports/weekly/2026-W46.html"])
def test_without_a_token_no_page_is_seen(server: Served, path: str) -> None:
    answer = server.client.get(path)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert server.client.head(path).status_code == 401
    assert server.client.get(path, headers={"cookie": "__Host-matokit_pages=pages.9999999999.00"}).status_code == 401


TRICKS = (
    "/reports/../state.sqlite", "/reports/..%2fstate.sqlite", "/reports/weekly/..%2f..%2fstate.sqlite",
    "/reports/weekly/%2e%2e/%2e%2e/state.sqlite", "/dashboards/..%5cstate.sqlite", "/dashboards//../state.sqlite",
    "/reports/%2fetc/passwd", "/reports/weekly/..%00.html", "/reports/weekly/.html", "/reports/..%c0%af/state.sqlite",
    "/dashboards/%2e%2e/index.html", "/state.sqlite", "/warehouse.duckdb", "/matokit.toml", "/serving/current.json",
    "/reports/weekly/", "/reports/weekly", "/dashboards/component_analysis/", "/alerts/..%2findex.html",
    "/alerts/0000000000/x", "/reports/weekly/2026-W46.html%0a", "/reports/weekly/2026-W46.html/",
)  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_no_spelling_leads_to_another_file(server: Served, cookie: dict[str, str], path: str) -> None:
    for proof in (cookie, {"authorization": f"Bearer {TOKEN}"}):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest("GET", path)  # as it stands: nothing on the way tidies it
        for name, value in proof.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status in (401, 404), (path, answer.status)
        assert b"SQLite" not in body
        assert b"[project]" not in body


def test_a_link_on_the_disk_that_leads_out_is_not_followed(
    server: Served, folder: Path, cookie: dict[str, str]
) -> None:
    (folder / "reports" / "weekly" / "1999-W01.html").symlink_to(folder / "matokit.toml")
    (folder / "reports" / "odd").symlink_to(folder)
    assert see(server, "/reports/weekly/1999-W01.html", cookie).status_code == 404
    assert see(server, "/reports/odd/index.html", cookie).status_code == 404


def test_messages_that_wait_to_be_sent_are_no_pages(server: Served, folder: Path, cookie: dict[str, str]) -> None:
    [message, *_] = (folder / "reports" / "weekly").glob("*.message.json")
    assert see(server, f"/reports/weekly/{message.name}", cookie).status_code == 404


def test_nothing_secret_reaches_log_page_or_address(
    server: Served, cookie: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    server.server._log.flush()
    with caplog.at_level(logging.INFO, logger=ACCESS.name):
        server.client.post("/login", data={"token": TOKEN, "next": "/docs"})
        see(server, f"/docs?token={TOKEN}", cookie, accept="text/html")
        sent = server.client.get(f"/docs?token={TOKEN}", headers={"accept": "text/html"})
        server.server._log.flush()
    assert sent.status_code == 303
    value = cookie["cookie"].partition("=")[2]
    lines = [json.loads(line) for record in caplog.records for line in record.getMessage().splitlines()]
    told = [(line["method"], line["what"], line["status"], line["caller"]) for line in lines]
    assert told == [("POST", "/login", 303, ""), ("GET", "/docs", 200, "pages"), ("GET", "/docs", 303, "")]
    assert not any(secret in caplog.text for secret in (TOKEN, PAGES_TOKEN, value))


def test_wrong_log_ins_are_counted(server: Served) -> None:
    def counted() -> float:
        found = re.findall(r'matokit_tool_calls_total\{face="page",status="401",tool="login"\} (\S+)',
                           server.get("/metrics").text)  # fmt: skip
        return float(found[0]) if found else 0.0

    before = counted()
    server.client.post("/login", data={"token": "guess-0123456789"})
    assert counted() == before + 1


# -- files ------------------------------------------------------------------------------------------------------------


def files(folder: Path) -> list[str]:
    found = [file for place in ("reports", "dashboards") for file in (folder / place).rglob("*") if file.is_file()]
    return sorted(
        f"/{file.relative_to(folder)}" for file in found if not file.is_symlink() and ".message." not in file.name
    )


def test_every_file_of_the_pages_is_served_as_what_it_is(server: Served, folder: Path, cookie: dict[str, str]) -> None:
    paths = ["/", "/index.html", "/index.json", *files(folder)]
    assert {path.rpartition(".")[2] for path in paths[1:]} == set(KINDS)
    for path in paths:
        ending = path.rpartition(".")[2] if "." in path else "html"
        answer = see(server, path, cookie)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"] == KINDS[ending]
        assert answer.headers["cache-control"] == "private, no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        again = see(server, path, cookie, **{"if-none-match": f'"other", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        assert see(server, path, cookie, **{"if-none-match": '"other"'}).status_code == 200
        head = server.client.head(path, headers=cookie)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
        attached = answer.headers.get("content-disposition", "")
        assert attached == (f'attachment; filename="{Path(path).name}"' if ending == "csv" else "")
        if ending != "html":
            assert answer.content == (folder / path[1:]).read_bytes()


def test_the_navigation_of_a_served_page_has_what_only_a_server_has(
    server: Served, folder: Path, cookie: dict[str, str]
) -> None:
    for path in ("/", "/docs", "/alerts/", f"/alerts/{ids(server)[0]}", *(p for p in files(folder) if "html" in p)):
        said = see(server, path, cookie).text
        links = re.findall(r'<a href="([^"]+)"', said.partition("</nav>")[0].partition("<nav")[2])
        there = [urljoin(f"http://x{path}", link).removeprefix("http://x") for link in links]
        assert there[0] == "/index.html"
        assert there[-3:] == ["/alerts/", "/docs", "/logout"], path
        if "html" in path:
            assert 'logout"' not in (folder / path[1:]).read_text(encoding="utf-8")


def test_a_page_that_was_not_made_says_so(server: Served, cookie: dict[str, str], tmp_path: Path) -> None:
    answer = see(server, "/reports/weekly/1999-W02.html", cookie)
    assert answer.status_code == 404
    assert 'href="../../index.html"' in answer.text
    assert "etag" not in answer.headers
    page_homes.settings_of(tmp_path)
    for empty in serving(tmp_path):
        assert "No page has been made yet" in empty.get("/").text
        assert empty.get("/").status_code == 404
        assert "No alert is open" in empty.get("/alerts/").text


# -- alerts -----------------------------------------------------------------------------------------------------------


def test_the_list_has_every_alert_and_each_leads_to_its_reasons(server: Served, cookie: dict[str, str]) -> None:
    told = server.call(TOOLS["GetAlerts"].endpoint, {"state": "all", "days": 90, "limit": 50})
    assert told["rows"]
    assert sorted(ids(server)) == sorted(row["id"] for row in told["rows"])
    for row in told["rows"]:
        why = server.call(TOOLS["ExplainAlert"].endpoint, {"id": row["id"]})
        answer = see(server, f"/alerts/{row['id']}", cookie)
        assert answer.status_code == 200
        said = unescape(answer.text)
        assert why["why"] in said
        assert all(one["sentence"] in said for one in why["conditions"])
        assert all(line in said for line in why["aftermath"])
        assert all(one["commit"] in said for one in why["commits_before"])
        assert why["runbook"] in said
        assert row["severity"] in said


def test_open_alerts_come_first_and_the_newest_first(server: Served) -> None:
    told = server.call(TOOLS["GetAlerts"].endpoint, {"state": "all", "days": 90, "limit": 50})
    since = {row["id"]: (row["state"] == "past", row["since"]) for row in told["rows"]}
    shown = [since[one] for one in ids(server)]
    assert [past for past, _ in shown] == sorted(past for past, _ in shown)
    for side in (False, True):
        times = [at for past, at in shown if past is side]
        assert times == sorted(times, reverse=True)


def test_links_of_the_alert_pages_lead_to_pages(server: Served, cookie: dict[str, str]) -> None:
    pages = ["/alerts/", *(f"/alerts/{one}" for one in ids(server))]
    followed = set()
    for page in pages:
        for link in re.findall(r'href="([^"#][^"]*)"', see(server, page, cookie).text):
            to = urlsplit(urljoin(f"{server.url}{page}", unescape(link)))
            if f"{to.scheme}://{to.netloc}" == server.url and to.path not in ("/logout", ""):
                followed.add((f"{to.path}?{to.query}" if to.query else to.path, to.fragment))
    assert any("/dashboards/" in path and "days=7" in path for path, _ in followed)
    assert any("/reports/daily/2026-11-21" in path for path, _ in followed)
    for path, fragment in followed:
        answer = see(server, path, cookie)
        assert answer.status_code == 200, path
        assert not fragment or f'id="{fragment}"' in answer.text


def test_every_alert_page_opens_where_no_repository_is_set(folder: Path) -> None:
    for server in serving(folder, MATOKIT_PROJECT_REPOSITORY_URL=""):
        found = ids(server)
        pages = [server.get(f"/alerts/{one}") for one in found]
        assert found
        assert {page.status_code for page in pages} == {200}
        assert any("Commits first seen" in page.text for page in pages)


@pytest.mark.parametrize("wanted", ["0000000000", "x", "%3Cscript%3E", "A" * 300, "é"])
def test_an_alert_that_is_not_there_is_said_so(server: Served, cookie: dict[str, str], wanted: str) -> None:
    answer = see(server, f"/alerts/{wanted}", cookie)
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_alerts_that_cannot_be_read_are_said_so_in_words(tmp_path: Path) -> None:
    page_homes.settings_of(tmp_path)
    (tmp_path / "state.sqlite").write_bytes(b"this is no database" * 100)
    for damaged in serving(tmp_path):
        for path in ("/alerts/", "/alerts/0000000000"):
            answer = damaged.get(path)
            assert answer.status_code == 503
            assert "The alerts cannot be read" in answer.text
            assert "Traceback" not in answer.text


def test_pages_are_read_while_alerts_are_written(server: Served, folder: Path, cookie: dict[str, str]) -> None:
    writer = sqlite3.connect(folder / "state.sqlite", isolation_level=None)
    writer.execute("begin immediate")
    try:
        assert see(server, f"/alerts/{ids(server)[0]}", cookie).status_code == 200
    finally:
        writer.execute("rollback")
        writer.close()


# -- where messages lead ----------------------------------------------------------------------------------------------


def addresses(folder: Path) -> set[str]:
    """Every address of this server that a message carries, by the settings of the home."""
    links = Links.of(load(folder / "matokit.toml", {"MATOKIT_HOME": str(folder)}, folder))
    found = {links.dashboard(rule) for rule in WIDGETS} | {links.public_url}
    found |= {links.widget(one.dashboard, name, environment="production", days=30)
              for name, one in load_widgets().items()}  # fmt: skip
    for message in (folder / "reports").rglob("*.message.json"):
        found |= set(re.findall(rf"{re.escape(PUBLIC)}[^\s\"\\<>|)]*", message.read_text(encoding="utf-8")))
    return found


def test_every_link_of_a_message_leads_to_its_place_on_this_server(
    server: Served, folder: Path, cookie: dict[str, str]
) -> None:
    found = addresses(folder)
    kinds = {urlsplit(address).path.split("/")[1] if urlsplit(address).path else "" for address in found}
    assert kinds == {"", "dashboards", "reports"}
    for address in found:
        to = urlsplit(address)
        asked = f"{to.path or '/'}{'?' + to.query if to.query else ''}"
        answer = see(server, asked, cookie)
        assert answer.status_code == 200, address
        assert not to.fragment or f'id="{to.fragment}"' in answer.text, address
        sent = server.client.get(asked, headers={"accept": "text/html"})  # and without a cookie by way of the log-in
        there = urlsplit(urljoin(f"http://x{to.path or '/'}", sent.headers["location"]))
        assert (sent.status_code, there.path) == (303, "/login")
