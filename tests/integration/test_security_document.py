"""docs/security.md says what is: open paths, settings, bounds, renewing a token, and whose data the tables hold.

Not here: each of the closed paths (test_served_pages.py, unit/test_serving_gate.py), slow clients
(test_toolserver_faults.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import yaml

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.settings import Settings, load
from matokit_pipelines.toolserver import protocol, tokens, wire
from matokit_pipelines.toolserver.gate import OPEN
from matokit_pipelines.toolserver.pages.door import LASTS
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.warehouse.serving import SnapshotStore
from tests.installer_tools import NOW, healthy
from tests.serving import Served, served

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
OLD_A, OLD_B, NEW = "token-a-0123456789abc", "nobody-knows-this-one", "token-b-0123456789abc"
OURS = "https://tools.example.org"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return healthy(tmp_path_factory.mktemp("security"))


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_table_of_open_paths_is_that_of_the_gate() -> None:
    rows = re.findall(r"^\| (`/[^|]+) \|", section("What is reached"), flags=re.MULTILINE)
    assert {path for row in rows for path in re.findall(r"`(/[^`]*)`", row)} == OPEN


def test_every_setting_and_variable_that_it_names_exists(tmp_path: Path) -> None:
    named = set(re.findall(r"`((?:toolserver|links)\.[a-z_]+)`?", TEXT)) | set(
        re.findall(r"`((?:toolserver|links)\.[a-z_]+) = ", TEXT)
    )
    assert len(named) >= 9
    for name in named:
        part, _, key = name.partition(".")
        assert key in Settings.model_fields[part].annotation.model_fields, name  # type: ignore[union-attr]
    variables = set(re.findall(r"\b((?:MATOKIT|OPAL)_[A-Z_]+[A-Z])\b", TEXT))
    assert tokens.MAIN in variables
    assert tokens.PREDECESSOR in variables
    assert tokens.PAGES in variables
    given = {name: "0123456789abcdef" for name in variables if not name.endswith("_FILE")}
    assert load(environ=given, cwd=tmp_path).strangers == ()


def test_every_bound_that_it_names_is_the_one_in_force() -> None:
    assert f"{LASTS.days} days" in TEXT
    assert f"at least {tokens.SHORTEST} characters" in TEXT
    assert f"{protocol.HEAD_SECONDS:.0f} s for a head, {wire.BODY_SECONDS:.0f} s for a body" in TEXT
    assert f"{protocol.PLACES:,} connections" in TEXT
    assert tokens.LOOK_SECONDS == 1.0
    assert f"({Settings().toolserver.port})" not in TEXT
    assert f"`toolserver.port`, {Settings().toolserver.port}" in TEXT
    assert Settings().toolserver.host == "127.0.0.1"
    assert Settings().toolserver.tracking is False


def test_what_it_says_of_the_containers_stands_in_the_compose_file() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        assert service["user"] == "10001"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == ["/tmp"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_its_links_lead_to_files() -> None:
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / link).is_file(), link


# -- renewing a token -------------------------------------------------------------------------------------------------


def slots(folder: Path, home: Home, clock: FixedClock, **environ: str) -> Iterator[Served]:
    """A server with two named tokens in files, as the document sets it up."""
    (folder / "token-a").write_text(OLD_A)
    (folder / "token-b").write_text(OLD_B)
    named = {f"MATOKIT_TOOLSERVER_TOKEN_{one}_FILE": str(folder / f"token-{one.lower()}") for one in "AB"}
    secrets = {"MATOKIT_INSTALLERS_TOKEN": "0123456789abcdef0123456789abcdef", "MATOKIT_LINKS_PUBLIC_URL": OURS}
    given = {"MATOKIT_HOME": str(home.loaded.home), **named, **secrets, **environ}
    with served(load(home.loaded.home / "matokit.toml", given, folder), clock) as server:
        yield server


def test_a_token_is_renewed_while_calls_go_on(tmp_path: Path, home: Home) -> None:
    clock = FixedClock(NOW)

    def put(name: str, token: str) -> None:
        (tmp_path / f"{name}.new").write_text(token)
        (tmp_path / f"{name}.new").rename(tmp_path / name)
        clock.advance(timedelta(seconds=1))

    for server in slots(tmp_path, home, clock):

        def call(token: str, server: Served = server) -> int:
            return server.post("/tools/get-alerts", headers={"authorization": f"Bearer {token}"}).status_code

        cookie = server.client.post("/login", data={"token": OLD_A}).headers["set-cookie"].partition(";")[0]
        assert server.client.get("/docs", headers={"cookie": cookie}).status_code == 200
        put("token-b", NEW)  # step 1: both are good
        assert (call(OLD_A), call(NEW), call(OLD_B)) == (200, 200, 401)
        assert server.client.get("/docs", headers={"cookie": cookie}).status_code == 200
        put("token-a", "again-nobody-knows-it")  # step 4: the old one and its cookies are over
        assert (call(OLD_A), call(NEW)) == (401, 200)
        assert server.client.get("/docs", headers={"cookie": cookie}).status_code == 401


# -- a proxy in front -------------------------------------------------------------------------------------------------


def test_behind_a_proxy_that_passes_its_name_the_log_in_works(tmp_path: Path, home: Home) -> None:
    for server in slots(tmp_path, home, FixedClock(NOW)):
        form = {"token": OLD_A}
        passed = {"host": "tools.example.org", "origin": OURS}
        assert server.client.post("/login", data=form, headers=passed).status_code == 303
        assert server.client.post("/login", data=form, headers={"origin": OURS}).status_code == 303  # its own name
        other = {"host": "tools.example.net", "origin": OURS}
        assert server.client.post("/login", data=form, headers=other).status_code == 421
        forwarded = {**passed, "x-forwarded-host": "evil.example.net", "x-forwarded-for": "203.0.113.7"}
        answer = server.client.get("/docs", headers={**forwarded, "accept": "text/html"})
        assert answer.headers["location"] == "login?next=%2Fdocs"


def test_below_a_folder_of_the_proxy_pages_and_log_in_lead_to_each_other(tmp_path: Path, home: Home) -> None:
    """The proxy takes `/matokit` away; what comes back is followed from there."""
    for server in slots(tmp_path, home, FixedClock(NOW)):
        base = httpx.URL("https://tools.example.org/matokit/")
        page = base.join("alerts/")
        sent = server.client.get("/alerts/", headers={"accept": "text/html"})
        form = page.join(sent.headers["location"])
        assert str(form).startswith("https://tools.example.org/matokit/login?next=")
        after = server.client.post("/login", data={"token": OLD_A, "next": "/alerts/"})
        assert str(form.join(after.headers["location"])) == str(page)
        assert not re.search('(href|action|src)="/', server.client.get("/login").text)
        seen = server.client.get("/alerts/", headers={"cookie": after.headers["set-cookie"].partition(";")[0]})
        assert not re.search('(href|action|src)="/', seen.text)


# -- whose data -------------------------------------------------------------------------------------------------------


def test_what_tools_and_pages_read_holds_no_visitor_and_no_machine(home: Home) -> None:
    with home.warehouse.reader() as warehouse:
        found = warehouse.execute(
            "select visitor_id from raw.matomo_events union select machine_key from staging.installer_events"
        ).fetchall()
    people = {value for (value,) in found if value}
    assert len(people) > 100
    store = SnapshotStore(home.loaded.home, home.clock)
    columns = store.rows("select table_name, column_name, data_type from duckdb_columns() where not internal")
    assert len({row["table_name"] for row in columns}) > 40
    assert not {row["column_name"] for row in columns} & {
        "visitor_id", "machine_key", "session_id", "visit_id", "user_id", "ip", "visit_ip",
    }  # fmt: skip
    for row in columns:
        if "VARCHAR" in row["data_type"]:
            table, column = row["table_name"], row["column_name"]
            values = store.rows(f'select distinct cast("{column}" as varchar) as value from "{table}"')
            assert not people & {one["value"] for one in values}, (table, column)
    store.close()


def test_no_address_or_place_of_a_visitor_is_landed(home: Home) -> None:
    with home.warehouse.reader() as warehouse:
        found = warehouse.execute(
            "select distinct column_name from duckdb_columns() where schema_name in ('raw', 'staging')"
        ).fetchall()
    names = {name for (name,) in found}
    assert "visitor_id" in names
    assert not [name for name in names if re.search(r"(^|_)ip(_|$)|country|city|region|latitude|longitude", name)]
